"""The document of `status --json`, built from shared memory alone.

Owns its keys, which are a contract: more may be added, none is removed. Works the same
when every process is dead: what they left is still there, and its ages tell.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Any, Final

from feedhandler.cli.hops import hop_rows
from feedhandler.cli.locks import is_being_filled
from feedhandler.cli.readers import reader_rows
from feedhandler.client.rest import FeedWithRest
from feedhandler.rest.report import rest_rows
from feedhandler.supervisor.leftovers import is_readers, roles_present
from feedhandler.verdict import HEARTBEAT_LIMIT_NS, is_beating
from shm_layout import (
    LINK_UP,
    TIME_NONE,
    Owner,
    Reader,
    SegmentError,
    SegmentNotReady,
    SegmentRefused,
    identity,
)

SCHEMA: Final = 1
HEALTHY_STATES: Final = ("LIVE", "QUIET")
_NS_PER_MS: Final = 1_000_000

# The worst of its instruments is the venue's state; this is what worse means.
_SEVERITY: Final = (
    "LIVE",
    "QUIET",
    "SYNCING",
    "UNKNOWN",
    "SUSPECT",
    "STALE",
    "QUARANTINED",
    "DOWN",
)

Document = dict[str, Any]


def read_status(instance: str) -> Document:
    """Return the whole document; an instance without segments has empty lists."""
    readers, refused = _attach_all(instance)
    now_ns = time.monotonic_ns()
    try:
        supervisor = readers.get("supervisor")
        kept = supervisor.counters() if supervisor is not None else {}
        owners = {role: reader.owner() for role, reader in readers.items()}
        instruments = _instruments(instance)
        feeds = {
            role.removeprefix("feed:"): reader
            for role, reader in readers.items()
            if role.startswith("feed:")
        }
        runner = readers["runner"].counters() if "runner" in readers else {}
        return {
            "schema": SCHEMA,
            "instance": instance,
            "ts_ms": time.time_ns() // _NS_PER_MS,
            "processes": _processes(owners, refused, kept, now_ns),
            "venues": [
                _venue(venue, reader, owners[f"feed:{venue}"], instruments, now_ns)
                for venue, reader in feeds.items()
            ],
            "instruments": instruments,
            "rings": [_ring(venue, reader, runner) for venue, reader in feeds.items()],
            "hops": hop_rows(readers),
            "rest": rest_rows(readers.get("rest"), now_ns),
            "readers": reader_rows(readers, refused, now_ns),
        }
    finally:
        for reader in readers.values():
            reader.close()


def is_healthy(document: Document) -> bool:
    """Say whether feeds and runner run and every venue is fit to be traded on."""
    # A supervisor that is gone matters to nobody who reads quotes. A feed that never
    # made a segment is known from the supervisor alone.
    states = {row["role"]: row["state"] for row in document["processes"]}
    needed = [role for role in states if role == "runner" or role.startswith("feed:")]
    return (
        "runner" in needed
        and all(states[role] == "running" for role in needed)
        and bool(document["venues"])
        and all(venue["state"] in HEALTHY_STATES for venue in document["venues"])
    )


def _attach_all(instance: str) -> tuple[dict[str, Reader], dict[str, str]]:
    """Return readers by role, and why a role's segment cannot be read."""
    readers: dict[str, Reader] = {}
    refused: dict[str, str] = {}
    for role in roles_present(instance):
        try:
            readers[role] = Reader.attach(instance, role)
        except SegmentNotReady:
            refused[role] = "starting" if is_being_filled(instance, role) else "dead"
        except SegmentRefused as error:
            refused[role] = f"refused: {error.reason}"
        except SegmentError:
            continue  # removed since it was listed
    return readers, refused


def _processes(
    owners: Mapping[str, Owner],
    refused: Mapping[str, str],
    kept: Mapping[str, int],
    now_ns: int,
) -> list[Document]:
    known = [name.removeprefix("restarts.") for name in kept if "restarts." in name]
    roles = {role for role in (*owners, *refused, *known) if not is_readers(role)}
    states = {role: _process_state(owner, now_ns) for role, owner in owners.items()}
    # Without a segment: its supervisor is about to start it, or nobody is.
    absent = "dead" if states.get("supervisor") == "dead" else "starting"
    rows = []
    for role in sorted(roles, key=_role_order):
        owner = owners.get(role)
        if role == "sim" and owner is None:
            continue  # it has no segment, so nothing is known of it here
        state = states.get(role) or refused.get(role, absent)
        if kept.get(f"disabled.{role}") and state not in ("running", "hung"):
            state = "disabled"  # else somebody runs it without the supervisor
        rows.append(
            {
                "role": role,
                "pid": owner.pid if owner is not None else None,
                "state": state,
                "epoch": owner.epoch if owner is not None else None,
                "heartbeat_age_ms": _heartbeat_age_ms(owner, now_ns),
                # Only our supervisor counts them, and not its own.
                "restarts": kept.get(f"restarts.{role}"),
            }
        )
    return rows


def _process_state(owner: Owner, now_ns: int) -> str:
    """Return running, hung (alive without a heartbeat), starting or dead."""
    if not identity.is_alive(owner.pid, owner.start_ticks):
        return "dead"
    if owner.heartbeat_ns == 0:
        return "starting"
    # The stamp may be younger than `now_ns`, which was taken before it was read.
    age_ns = max(0, now_ns - owner.heartbeat_ns)
    return "running" if age_ns <= HEARTBEAT_LIMIT_NS else "hung"


def _heartbeat_age_ms(owner: Owner | None, now_ns: int) -> float | None:
    if owner is None or owner.heartbeat_ns == 0:
        return None
    return _ms(max(0, now_ns - owner.heartbeat_ns))


def _venue(
    venue: str,
    reader: Reader,
    owner: Owner,
    instruments: list[Document],
    now_ns: int,
) -> Document:
    counters = reader.counters()
    rows = [row for row in instruments if row["venue"] == venue]
    now_ns = max(now_ns, owner.heartbeat_ns)
    beats = is_beating(owner.heartbeat_ns, now_ns, HEARTBEAT_LIMIT_NS)
    kinds = sorted({row["feed_kind"] for row in rows})
    return {
        "venue": venue,
        "feed_kind": kinds[0] if kinds else None,
        "state": _venue_state(owner, beats, rows),
        "session": owner.session,
        "reconnects": _group(counters, "reconnects"),
        "resyncs": _group(counters, "resyncs"),
        "frames": counters.get("frames", 0),
        "published": counters.get("published", 0),
        "unchanged": counters.get("unchanged", 0),
        "rejected": _group(counters, "rejected"),
    }


def _venue_state(owner: Owner, beats: bool, rows: list[Document]) -> str:
    if not beats or owner.link != LINK_UP:
        return "DOWN"
    if not rows:
        return "UNKNOWN"
    states: list[str] = [row["state"] for row in rows]
    return max(states, key=_SEVERITY.index)


def _ring(venue: str, reader: Reader, runner: Mapping[str, int]) -> Document:
    """Return how the runner keeps up with one feed's ring; None without a runner."""
    row: Document = {"venue": venue, "head": reader.head()}
    for name in ("drained", "lag", "laps", "lost", "budget_hits"):
        row[name] = runner.get(f"{name}.{venue}")
    return row


def _instruments(instance: str) -> list[Document]:
    with FeedWithRest(instance) as feed:
        table = feed.quotes()
    names = table.dtype.names or ()
    return [_instrument(dict(zip(names, row, strict=True))) for row in table.tolist()]


def _instrument(row: Mapping[str, Any]) -> Document:
    return {
        "venue": row["venue"],
        "instrument": row["instrument"],
        "symbol": row["symbol"],
        "feed_kind": row["feed_kind"],
        "state": row["state"],
        "reason": row["reason"],
        "tradable": row["tradable"],
        "source": row["source"] or None,
        "bid": _present(row["bid"]),
        "bid_size": _present(row["bid_size"]),
        "ask": _present(row["ask"]),
        "ask_size": _present(row["ask_size"]),
        "apply_age_ms": _age_ms(row["apply_age_ns"]),
        "recv_age_ms": _age_ms(row["recv_age_ns"]),
        "event_age_ms": (
            None if row["event_ns"] == TIME_NONE else _ms(row["event_age_ns"])
        ),
    }


def _group(counters: Mapping[str, int], prefix: str) -> dict[str, int]:
    """Return the counters below a dotted prefix by what follows it."""
    start = f"{prefix}."
    return {
        name.removeprefix(start): value
        for name, value in counters.items()
        if name.startswith(start)
    }


def _role_order(role: str) -> tuple[int, str]:
    first = ("supervisor", "runner", "rest", "telemetry")
    return (first.index(role) if role in first else len(first), role)


def _present(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _age_ms(age_ns: int) -> float | None:
    return None if age_ns < 0 else _ms(age_ns)


def _ms(age_ns: int) -> float:
    return round(age_ns / _NS_PER_MS, 3)
