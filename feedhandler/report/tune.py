"""Limits from measured cadence: what each would cost in false alarms, and how soon it
would see a failure.

    fresh limit   venue.<name>.fresh_ms     older than this is not tradable
    watchdog      venue.<name>.stale_ms     ends a session in which all is silent
    layer B       rest.after_ms             REST helps out
    layer A       ladder.resubscribe_ms … restart_ms

The smallest round value whose false alarms are few enough is proposed, within bounds,
and nothing where the evidence is thin. Nothing that runs is ever changed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from feedhandler.config import LadderConfig, RestConfig, VenueConfig
from feedhandler.report.gather import Run
from feedhandler.report.manifest import Manifest
from feedhandler.report.tails import Tail
from feedhandler.report.tally import Spans

SCHEMA: Final = 1
GAPS_MIN: Final = 200
OBSERVED_MIN_S: Final = 300.0

_ROUND: Final = (1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 7.5, 9.0)
_MARGIN: Final = 1.5  # above p99, whatever the tail promises
_RESTART_TIMES: Final = 3
# A feed helps itself first: the others wait for that many times its watchdog.
_AFTER_WATCHDOG: Final = {
    ("rest", "after_ms"): 2,
    ("ladder", "reconnect_ms"): 3,
}


@dataclass(frozen=True, slots=True)
class Knob:
    """One limit: where it is set, its bounds, and how many false alarms a day it may
    raise for one instrument."""

    name: str
    section: str  # `venue` for one that each venue has
    key: str
    least_ms: int
    most_ms: int
    per_day: float
    delay_ms: int  # until somebody looks, on top of the limit


KNOBS: Final = (
    Knob("fresh limit", "venue", "fresh_ms", 250, 60_000, 24.0, 0),
    Knob("watchdog", "venue", "stale_ms", 5_000, 60_000, 0.1, 200),
    Knob("layer B fallback", "rest", "after_ms", 10_000, 120_000, 1.0, 1_000),
    Knob(
        "layer A resubscribe", "ladder", "resubscribe_ms", 10_000, 120_000, 1.0, 1_000
    ),
    Knob("layer A reconnect", "ladder", "reconnect_ms", 15_000, 300_000, 0.1, 1_000),
)


@dataclass(frozen=True, slots=True)
class Change:
    """One key whose value would change."""

    section: str
    key: str
    current: int
    proposed: int


def propose(run: Run, manifest: Manifest) -> dict[str, Any]:
    """Return the proposals, what each rests on, and what was refused."""
    tails = {name: _tail(run, name) for name in sorted(run.instruments)}
    refused = {
        name: reason
        for name, tail in tails.items()
        if (reason := thin(tail, run, name))
    }
    rows: list[dict[str, Any]] = []
    for knob in KNOBS:
        rows += _rows(knob, run, manifest, tails, refused)
    return {
        "schema": SCHEMA,
        "span_s": round(run.span_s, 1),
        "refused": refused,
        "cadence": [_cadence(run, name, tail) for name, tail in tails.items()],
        "limits": rows,
        "changes": [
            {
                "section": change.section,
                "key": change.key,
                "current": change.current,
                "proposed": change.proposed,
            }
            for change in changes(rows, manifest)
        ],
    }


def thin(tail: Tail, run: Run, name: str) -> str:
    """Return why an instrument's evidence is too thin, or nothing."""
    if name not in run.cadence:
        return "no cadence in the telemetry"
    if tail.observed_s < OBSERVED_MIN_S:
        return f"observed {tail.observed_s:.0f} s, at least {OBSERVED_MIN_S:.0f} needed"
    if tail.count < GAPS_MIN:
        return f"{tail.count} intervals, at least {GAPS_MIN} needed"
    return ""


def changes(rows: list[dict[str, Any]], manifest: Manifest) -> list[Change]:
    """Return the keys that would change: for each the greatest that anything needs."""
    needed: dict[tuple[str, str], int] = {}
    effective: dict[tuple[str, str], int] = {}
    blocked = {
        (row["section"], row["key"]) for row in rows if row["proposed_ms"] is None
    }
    for row in rows:
        place = (row["section"], row["key"])
        if place not in blocked:
            needed[place] = max(needed.get(place, 0), row["proposed_ms"])
            effective[place] = row["current_ms"]
    _keep_order(needed)
    found = []
    for (section, key), value in sorted(needed.items(), key=_order):
        current = current_value(manifest, section, key)
        if value not in (current, effective.get((section, key))):
            found.append(Change(section, key, current, value))
    return found


def _keep_order(needed: dict[tuple[str, str], int]) -> None:
    """Raise what must come later: the watchdog first, then REST, then the ladder."""
    watchdogs = [value for (_, key), value in needed.items() if key == "stale_ms"]
    watchdog = max(watchdogs, default=0)
    for place, times in _AFTER_WATCHDOG.items():
        if place in needed:
            needed[place] = max(needed[place], times * watchdog)
    reconnect = needed.get(("ladder", "reconnect_ms"))
    if reconnect is None:
        # One without the other could stand the wrong way round.
        needed.pop(("ladder", "resubscribe_ms"), None)
        return
    needed["ladder", "restart_ms"] = min(600_000, _RESTART_TIMES * reconnect)
    first = needed.pop(("ladder", "resubscribe_ms"), None)
    if first is not None:
        needed["ladder", "resubscribe_ms"] = min(first, reconnect)


def _order(item: tuple[tuple[str, str], int]) -> tuple[bool, str]:
    section, _ = item[0]
    return not section.startswith("venue."), section


def current_value(manifest: Manifest, section: str, key: str) -> int:
    """Return what was in effect in the run, or the default."""
    table: Any = manifest.config
    for part in section.split("."):
        table = table.get(part, {}) if isinstance(table, dict) else {}
    if isinstance(table, dict) and isinstance(table.get(key), int):
        return int(table[key])
    defaults = {"rest": RestConfig, "ladder": LadderConfig}
    kind = defaults.get(section, VenueConfig)
    return int(getattr(kind(), key))


def fit(tail: Tail, knob: Knob) -> int | None:
    """Return the smallest round limit that is good enough, None if there is none."""
    floor_ms = max(knob.least_ms, _MARGIN * (tail.percentile_ms(99) or 0.0))
    for limit_ms in _round_values(knob.least_ms, knob.most_ms):
        per_day = tail.per_day(limit_ms)
        if limit_ms >= floor_ms and per_day is not None and per_day <= knob.per_day:
            return limit_ms
    return None


def _tail(run: Run, name: str) -> Tail:
    """Return an instrument's silences without those that its sessions' ends made."""
    track = run.instruments[name]
    venue = run.venues[track.venue]
    counts = {**venue.ends.grown(), "shutdown": 0}
    failures = sum(counts.values()) + sum(venue.resyncs.grown().values())
    return Tail(run.cadence.get(name) or Spans(), track.seen_s, failures)


def _rows(
    knob: Knob,
    run: Run,
    manifest: Manifest,
    tails: dict[str, Tail],
    refused: dict[str, str],
) -> Iterator[dict[str, Any]]:
    for name, tail in tails.items():
        venue = run.instruments[name].venue
        if knob.key == "stale_ms" and name != _liveliest(venue, run, tails):
            continue  # a session is silent only while all of its instruments are
        section = f"venue.{venue}" if knob.section == "venue" else knob.section
        current = current_value(manifest, section, knob.key)
        if knob.key == "fresh_ms" and not current:
            market = run.markets.get(name)
            current = 0 if market is None else market.fresh_ms
        proposed = None if name in refused else fit(tail, knob)
        note = refused.get(name, "")
        if knob.key == "stale_ms" and proposed is not None and proposed > current:
            # The liveness channel feeds the watchdog too, and no file tells its pace.
            proposed = None
            note = "silent quotes are no reason to raise it: liveness feeds it too"
        if proposed is None and not note:
            note = f"nothing up to {knob.most_ms} ms keeps below {knob.per_day}/day"
        yield {
            "limit": knob.name,
            "section": section,
            "key": knob.key,
            "instrument": name,
            "feed_kind": run.feed_kind(venue),
            "current_ms": current,
            "current_per_day": _rounded(tail.per_day(current)) if current else None,
            "proposed_ms": proposed,
            "proposed_per_day": (
                None if proposed is None else _rounded(tail.per_day(proposed))
            ),
            "detects_within_ms": None if proposed is None else proposed + knob.delay_ms,
            "note": note,
        }


def _liveliest(venue: str, run: Run, tails: dict[str, Tail]) -> str:
    names = [name for name in tails if run.instruments[name].venue == venue]
    return max(names, key=lambda name: tails[name].count)


def _cadence(run: Run, name: str, tail: Tail) -> dict[str, Any]:
    values = {
        f"p{percent:g}_ms": _rounded(tail.percentile_ms(percent))
        for percent in (50, 95, 99, 99.9)
    }
    return {
        "instrument": name,
        "feed_kind": run.feed_kind(run.instruments[name].venue),
        "intervals": tail.count,
        "excused": tail.excused,
        "observed_s": round(tail.observed_s, 1),
        **values,
        "longest_ms": _rounded(tail.longest_ms),
    }


def _round_values(least_ms: int, most_ms: int) -> Iterator[int]:
    decade = 100.0
    while decade <= most_ms:
        for factor in _ROUND:
            value = int(decade * factor)
            if least_ms <= value <= most_ms:
                yield value
        decade *= 10


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
