"""Samples made by hand: one venue's row and its instruments, the rest at rest."""

from __future__ import annotations

from typing import Any

from feedhandler.telemetry.records import SCHEMA, Sample

SECOND = 1_000_000_000
QUIET_ROW: dict[str, Any] = {
    "feed_kind": "bbo",
    "venue_state": "LIVE",
    "link": "UP",
    "session": 1,
    "epoch": 1,
    "venue_age_ms": 1.0,
    "venue_age_event_ms": 2.0,
    "liveness_age_ms": 3.0,
    "exchange_skew_ms": 1.0,
    "reconnects": {},
    "resyncs": {},
    "frames": 1,
    "frames_hz": 10.0,
    "published": 1,
    "unchanged": 0,
    "rejected": 0,
    "ring_head": 1,
    "ring_lag": 0,
    "ring_laps": 0,
    "ring_lost": 0,
    "ring_drained": 1,
    "budget_hits": 0,
    "follow_lost": 0,
}
QUIET_QUOTE: dict[str, Any] = {
    "reasons": "",
    "sources": "STREAM",
    "apply_age_ns": 1,
    "recv_age_ns": 1,
    "event_age_ms": 1.0,
    "rest_age_ms": -1.0,
    "confirmed_age_ms": -1.0,
    "quotes": 1,
    "gap_max_ns": 1,
    "funding_rate": None,
    "funding_age_ms": -1.0,
}


def sample(
    at_s: float, states: dict[str, str], rows: dict[str, dict[str, Any]] | None = None
) -> Sample:
    """Return a sample of venues with one instrument each, in these states.

    `rows` changes fields of a venue, or of its instrument, by the venue's name.
    """
    columns: dict[str, list[Any]] = {"venues": list(states), "instruments": []}
    for venue, state in states.items():
        changed = (rows or {}).get(venue, {})
        columns["instruments"].append(f"{venue}:BTC-PERP")
        quote = {**QUIET_QUOTE, "states": state, "tradable": int(state == "LIVE")}
        for name, value in {**QUIET_ROW, **quote}.items():
            columns.setdefault(name, []).append(changed.get(name, value))
    return Sample(
        schema=SCHEMA,
        number=int(at_s * 4),
        ts_ms=int(at_s * 1_000),
        ts_mono_ns=int(at_s * SECOND),
        **columns,
    )
