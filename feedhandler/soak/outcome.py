"""Was the outcome of a scenario as expected? Telemetry alone says, in one pass.

    what                    of a venue, from its first good moment on
    state reason source     words of its instruments            seen, never
    link                    words                               seen, never
    reconnects resyncs      labels that were counted            seen, never
    final                   states of its instruments at last   seen, never
    not_good_s              longest time with an instrument neither LIVE nor QUIET
    tradable_share          of instruments and time, 0 to 1
    reconnects_count        session ends of all labels
    any numeric column      such as ring_lost: the greatest value   at_least, at_most

What was not looked at for want of samples is not as expected.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from feedhandler.soak.scenario import Expect
from feedhandler.telemetry.records import Sample

GOOD: Final = frozenset(("LIVE", "QUIET"))
_OF_INSTRUMENTS: Final = {"state": "states", "reason": "reasons", "source": "sources"}
_LABELS: Final = ("reconnects", "resyncs")


@dataclass(frozen=True, slots=True)
class Finding:
    """One expectation at one venue, and what was there."""

    venue: str
    expected: str
    found: str
    is_met: bool


@dataclass(slots=True)
class _Seen:
    words: set[str] = field(default_factory=set)
    greatest: float | None = None
    samples: int = 0

    # Of times.
    tradable: int = 0
    rows: int = 0
    bad_since_s: float | None = None
    bad_longest_s: float = 0.0
    before: dict[str, int] = field(default_factory=dict)


class Outcome:
    """Looks at every sample of a run for what is expected of its venues."""

    def __init__(
        self,
        expects: Iterable[Expect],
        venues: Iterable[str],
        harmed: set[str],
        begun_ns: int,
    ) -> None:
        self._venues = tuple(venues)
        self._begun_ns = begun_ns
        self._rows = [
            (expect, venue, _Seen())
            for expect in expects
            for venue in self._chosen(expect.venue, harmed)
        ]
        self._was_good: set[str] = set()

    def take(self, sample: Sample) -> None:
        """Look at one sample; its time counts from the market's beginning."""
        at_s = (sample.ts_mono_ns - self._begun_ns) / 1e9
        states = {venue: _rows_of(sample, venue) for venue in self._venues}
        for venue, rows in states.items():
            if rows and all(sample.states[row] in GOOD for row in rows):
                self._was_good.add(venue)
        for expect, venue, seen in self._rows:
            if venue in self._was_good and expect.from_s <= at_s <= expect.to_s:
                _look(expect.what, sample, venue, states[venue], at_s, seen)

    def findings(self) -> list[Finding]:
        """Return every expectation with what was found."""
        return [
            finding
            for expect, venue, seen in self._rows
            for finding in _judge(expect, venue, seen)
        ]

    def _chosen(self, word: str, harmed: set[str]) -> tuple[str, ...]:
        if word == "*":
            return self._venues
        if word == "others":
            return tuple(venue for venue in self._venues if venue not in harmed)
        return (word,) if word in self._venues else ()


def gates_finding(
    failed: Iterable[str], must: Iterable[str], may: Iterable[str]
) -> list[Finding]:
    """Compare the gates that failed, each `name subject`, with those that should.

    A pattern is the beginning of a gate; `may` names some that tell nothing here.
    """
    names = list(failed)
    wanted, tolerated = list(must), list(may)
    findings = [
        Finding("run", f"gate fails: {pattern}", ", ".join(names) or "none fails", hit)
        for pattern in wanted
        for hit in [any(name.startswith(pattern) for name in names)]
    ]
    known = tuple(wanted + tolerated)
    strangers = [name for name in names if not (known and name.startswith(known))]
    findings.append(
        Finding(
            "run", "no other gate fails", ", ".join(strangers) or "none", not strangers
        )
    )
    return findings


def _look(
    what: str, sample: Sample, venue: str, rows: list[int], at_s: float, seen: _Seen
) -> None:
    seen.samples += 1
    place = sample.venues.index(venue)
    states = [sample.states[row] for row in rows]
    if what in _OF_INSTRUMENTS:
        column = getattr(sample, _OF_INSTRUMENTS[what])
        seen.words.update(column[row] for row in rows)
    elif what == "link":
        seen.words.add(sample.link[place])
    elif what == "final":
        seen.words = set(states)
    elif what in _LABELS:
        counts = getattr(sample, what)[place]
        if seen.samples == 1:
            seen.before = dict(counts)
        seen.words.update(
            label for label, n in counts.items() if n > seen.before.get(label, 0)
        )
    elif what == "tradable_share":
        seen.tradable += sum(sample.tradable[row] for row in rows)
        seen.rows += len(rows)
    elif what == "not_good_s":
        _follow_bad(all(state in GOOD for state in states), at_s, seen)
    else:
        _raise(_number(what, sample, place), seen)


def _follow_bad(is_good: bool, at_s: float, seen: _Seen) -> None:
    if is_good:
        seen.bad_since_s = None
        return
    if seen.bad_since_s is None:
        seen.bad_since_s = at_s
    seen.bad_longest_s = max(seen.bad_longest_s, at_s - seen.bad_since_s)


def _number(what: str, sample: Sample, place: int) -> float | None:
    if what == "reconnects_count":
        return float(sum(sample.reconnects[place].values()))
    column = getattr(sample, what)
    value = column[place] if len(column) == len(sample.venues) else None
    return None if value is None else float(value)


def _raise(value: float | None, seen: _Seen) -> None:
    if value is not None and (seen.greatest is None or value > seen.greatest):
        seen.greatest = value


def _judge(expect: Expect, venue: str, seen: _Seen) -> Iterator[Finding]:
    words = ", ".join(sorted(filter(None, seen.words))) or "none"
    for word in expect.seen:
        met = word in seen.words
        yield Finding(venue, f"{expect.what} shows {word}", words, met)
    for word in expect.never:
        met = word not in seen.words and seen.samples > 0
        yield Finding(venue, f"{expect.what} never shows {word}", words, met)
    value = _value(expect.what, seen)
    found = "nothing" if value is None else f"{value:.6g}"
    if expect.at_least is not None:
        met = value is not None and value >= expect.at_least
        text = f"{expect.what} at least {expect.at_least:g}"
        yield Finding(venue, text, found, met)
    if expect.at_most is not None:
        met = value is not None and value <= expect.at_most
        yield Finding(venue, f"{expect.what} at most {expect.at_most:g}", found, met)


def _value(what: str, seen: _Seen) -> float | None:
    if not seen.samples:
        return None
    if what == "tradable_share":
        return seen.tradable / seen.rows if seen.rows else None
    if what == "not_good_s":
        return seen.bad_longest_s
    return seen.greatest


def _rows_of(sample: Sample, venue: str) -> list[int]:
    start = f"{venue}:"
    return [
        row for row, name in enumerate(sample.instruments) if name.startswith(start)
    ]
