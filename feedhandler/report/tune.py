"""Limits from measured cadence: what each would cost in false alarms, and how soon it
would see a failure.

    fresh limit   venue.<name>.fresh_ms     older than this is not tradable
    liveness      runner.liveness_ms        old, and this silent too, is broken
    watchdog      venue.<name>.stale_ms     ends a session in which all is silent
    layer B       rest.after_ms             REST helps out
    layer A       ladder.resubscribe_ms … restart_ms

The smallest round value whose false alarms are few enough is proposed, within bounds,
and nothing where the evidence is thin; `alarms` says what a false alarm is. A fresh
limit is never above what a watchdog may be, however slow the market: the last quote of
a mute link is tradable for that long, and REST is there to confirm a quiet one. Nothing
that runs is ever changed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from feedhandler.config import LadderConfig, RestConfig, RunnerConfig, VenueConfig
from feedhandler.report.alarms import Alarm, Silence
from feedhandler.report.gather import Run
from feedhandler.report.manifest import Manifest
from feedhandler.report.rests import ladder_facts, rest_facts
from feedhandler.report.tails import Tail
from feedhandler.report.tally import Spans

SCHEMA: Final = 1
OBSERVED_MIN_S: Final = 300.0

# Whose silences: quotes and ticks of the liveness channel are an instrument's, signs of
# life, which are either of these, a venue's. How many a proposal needs, and their name.
QUOTES: Final = "quotes"
TICKS: Final = "ticks"
SIGNS: Final = "signs"
INTERVALS_MIN: Final = {QUOTES: 200, TICKS: 100, SIGNS: 200}
_WORDS: Final = {QUOTES: "", TICKS: " liveness", SIGNS: " signs of life"}
_BOTH: Final = (QUOTES, TICKS)

_ROUND: Final = (1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 7.5, 9.0)
_SHARE_OF_MIN: Final = 10  # silences that tell which share of them was an alarm
# What a quote that was tradable becomes when it is too old.
_AGED: Final = ("QUIET quiet_unconfirmed", "STALE age", "STALE liveness")
_RESTART_TIMES: Final = 3
# A feed helps itself first: the others wait for that many times its watchdog.
_AFTER_WATCHDOG: Final = {
    ("rest", "after_ms"): 2,
    ("ladder", "reconnect_ms"): 3,
}


@dataclass(frozen=True, slots=True)
class Knob:
    """One limit: where it is set, its bounds, and how many false alarms a day it may
    raise for one instrument, or one venue."""

    name: str
    section: str  # `venue` for one that each venue has
    key: str
    least_ms: int
    most_ms: int
    per_day: float
    delay_ms: int  # until somebody looks, on top of the limit
    silences: tuple[str, ...]
    takes_most: bool = False  # propose `most_ms` where nothing is good enough


KNOBS: Final = (
    Knob("fresh limit", "venue", "fresh_ms", 250, 5_000, 24.0, 0, (QUOTES,), True),
    Knob("liveness limit", "runner", "liveness_ms", 5_000, 60_000, 1.0, 50, (TICKS,)),
    Knob("watchdog", "venue", "stale_ms", 5_000, 60_000, 0.1, 200, (SIGNS,)),
    Knob("layer B fallback", "rest", "after_ms", 10_000, 120_000, 1.0, 1_000, _BOTH),
    Knob(
        "layer A resubscribe",
        "ladder",
        "resubscribe_ms",
        10_000,
        120_000,
        1.0,
        1_000,
        _BOTH,
    ),
    Knob(
        "layer A reconnect",
        "ladder",
        "reconnect_ms",
        15_000,
        300_000,
        0.1,
        1_000,
        _BOTH,
    ),
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
    tails = _tails(run)
    refused = {
        silences: {
            name: reason
            for name, tail in tails[silences].items()
            if (reason := thin(tail, INTERVALS_MIN[silences]))
        }
        for silences in tails
    }
    rows: list[dict[str, Any]] = []
    for knob in KNOBS:
        rows += _rows(knob, run, manifest, tails, refused)
    return {
        "schema": SCHEMA,
        "span_s": round(run.span_s, 1),
        "refused": {
            f"{name}{_WORDS[silences]}": reason
            for silences, reasons in refused.items()
            for name, reason in reasons.items()
        },
        "cadence": _cadences(run, tails[QUOTES]),
        "ticks": _cadences(run, tails[TICKS]),
        "signs": _cadences(run, tails[SIGNS]),
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


def thin(tail: Tail, intervals_min: int) -> str:
    """Return why the evidence is too thin, or nothing."""
    if not tail.count:
        return "no cadence in the telemetry"
    if tail.observed_s < OBSERVED_MIN_S:
        return f"observed {tail.observed_s:.0f} s, at least {OBSERVED_MIN_S:.0f} needed"
    if tail.count < intervals_min:
        return f"{tail.count} intervals, at least {intervals_min} needed"
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
    _keep_order(needed, rows)
    found = []
    for (section, key), value in sorted(needed.items(), key=_order):
        current = current_value(manifest, section, key)
        if value not in (current, effective.get((section, key))):
            found.append(Change(section, key, current, value))
    return found


def _keep_order(needed: dict[tuple[str, str], int], rows: list[dict[str, Any]]) -> None:
    """Raise what must come later: the watchdog first, then REST, then the ladder."""
    watchdog = max(
        (
            needed.get((row["section"], row["key"]), row["current_ms"])
            for row in rows
            if row["key"] == "stale_ms"
        ),
        default=0,
    )
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
    defaults = {"runner": RunnerConfig, "rest": RestConfig, "ladder": LadderConfig}
    kind = defaults.get(section, VenueConfig)
    return int(getattr(kind(), key))


def fit(alarm: Alarm, knob: Knob) -> int | None:
    """Return the smallest round limit that is good enough, None if there is none."""
    for limit_ms in _round_values(knob.least_ms, knob.most_ms):
        per_day = alarm.per_day(limit_ms)
        is_rare = per_day is not None and per_day <= knob.per_day
        if is_rare and alarm.is_beyond(limit_ms):
            return limit_ms
    return None


def _tails(run: Run) -> dict[str, dict[str, Tail]]:
    """Return silences by kind and by whose they are."""
    tails: dict[str, dict[str, Tail]] = {QUOTES: {}, TICKS: {}, SIGNS: {}}
    for name, track in sorted(run.instruments.items()):
        # A resync is a silence that the market did not make.
        resyncs = sum(run.venues[track.venue].resyncs.grown().values())
        quotes, ticks = run.cadence.get(name, Spans()), run.ticks.get(name, Spans())
        tails[QUOTES][name] = Tail(quotes, track.seen_s, resyncs)
        tails[TICKS][name] = Tail(ticks, track.seen_s)
    for venue, seen in sorted(run.venues.items()):
        tails[SIGNS][venue] = Tail(run.signs.get(venue, Spans()), seen.seen_s)
    return tails


def _rows(
    knob: Knob,
    run: Run,
    manifest: Manifest,
    tails: dict[str, dict[str, Tail]],
    refused: dict[str, dict[str, str]],
) -> Iterator[dict[str, Any]]:
    for name in tails[knob.silences[0]]:
        venue = name.partition(":")[0]
        section = f"venue.{venue}" if knob.section == "venue" else knob.section
        current = current_value(manifest, section, knob.key)
        if knob.key == "fresh_ms":
            current = _fresh_ms(run, manifest, name)
        alarm = _alarm(knob, run, manifest, tails, name)
        note = "; ".join(
            f"{silences}: {reason}"
            for silences in knob.silences
            if (reason := refused[silences].get(name))
        )
        proposed = None if note else fit(alarm, knob)
        if proposed is None and not note:
            proposed, note = _at_most(knob)
        ends = run.venues[venue].ends.grown().get("stale_watchdog", 0)
        if knob.key == "stale_ms" and ends and not note:
            note = f"not counted: {ends} silences that it ended itself"
        yield {
            "limit": knob.name,
            "section": section,
            "key": knob.key,
            "instrument": name,
            "feed_kind": run.feed_kind(venue),
            "current_ms": current,
            "current_per_day": _rounded(alarm.per_day(current)) if current else None,
            "in_run": _in_run(knob, run, name),
            "proposed_ms": proposed,
            "proposed_per_day": (
                None if proposed is None else _rounded(alarm.per_day(proposed))
            ),
            "detects_within_ms": (
                None
                if proposed is None
                else alarm.seen_after_ms(proposed) + knob.delay_ms
            ),
            "note": note,
        }


def _at_most(knob: Knob) -> tuple[int | None, str]:
    """Return what is proposed where no limit is good enough, and why."""
    text = f"nothing up to {knob.most_ms} ms keeps below {knob.per_day:g}/day"
    if not knob.takes_most:
        return None, text
    return knob.most_ms, f"{text}: a slow market, which REST has to confirm"


def _alarm(
    knob: Knob,
    run: Run,
    manifest: Manifest,
    tails: dict[str, dict[str, Tail]],
    name: str,
) -> Alarm:
    """Return what raises an alarm of a limit; the others stand as in the run."""
    parts = [tails[silences][name] for silences in knob.silences]
    if knob.key == "fresh_ms":
        longer = parts[0].longer(_fresh_ms(run, manifest, name))
        aged = _in_run(knob, run, name) or 0
        share = min(1.0, aged / longer) if longer >= _SHARE_OF_MIN else 1.0
        return Alarm((Silence(parts[0]),), share)
    if knob.silences != _BOTH:
        return Alarm((Silence(parts[0]),))
    liveness_ms = current_value(manifest, "runner", "liveness_ms")
    if knob.section == "rest":
        return Alarm((Silence(parts[0]), Silence(parts[1], liveness_ms, False)))
    fresh_ms = _fresh_ms(run, manifest, name)
    return Alarm((Silence(parts[0], fresh_ms), Silence(parts[1], liveness_ms)))


def _fresh_ms(run: Run, manifest: Manifest, name: str) -> int:
    """Return the fresh limit in effect: that of the configuration, or the venue's."""
    section = f"venue.{name.partition(':')[0]}"
    market = run.markets.get(name)
    known = 0 if market is None else market.fresh_ms
    return current_value(manifest, section, "fresh_ms") or known


def _in_run(knob: Knob, run: Run, name: str) -> int | None:
    """Return how often it happened in the run, of real faults too; None: not known.

    Steps and entries are counted by venue.
    """
    venue = name.partition(":")[0]
    if knob.key == "stale_ms":
        return run.venues[venue].ends.grown().get("stale_watchdog", 0)
    if knob.section == "rest":
        entered: int | None = rest_facts(run, venue)["entered"]
        return entered
    if knob.section == "ladder":
        steps = ladder_facts(run, venue)["steps"]
        return None if steps is None else steps.get(knob.key.removesuffix("_ms"), 0)
    lost = run.instruments[name].tradable.lost_to
    words = _AGED if knob.key == "fresh_ms" else _AGED[-1:]
    return sum(lost.get(word, 0) for word in words)


def _cadences(run: Run, tails: dict[str, Tail]) -> list[dict[str, Any]]:
    rows = []
    for name, tail in tails.items():
        values = {
            f"p{percent:g}_ms": _rounded(tail.percentile_ms(percent))
            for percent in (50, 95, 99, 99.9)
        }
        row = {
            "instrument": name,
            "feed_kind": run.feed_kind(name.partition(":")[0]),
            "intervals": tail.count,
            "excused": tail.excused,
            "observed_s": round(tail.observed_s, 1),
            **values,
            "longest_ms": _rounded(tail.longest_ms),
        }
        rows.append(row)
    return rows


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
