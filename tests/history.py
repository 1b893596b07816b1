"""Holds every read that a client made to what the simulated venues really sent.

    truth    ── a ──── b ─────────────── c ────────▶ sent_ns
    reads      a a a a  b b b b b b b b b b  c c c    each with its read_ns
                                          └ stale if tradable beyond its limit

Owns the history, kept as spans of equal reads, and four counts that must be zero:

    stale     tradable, although the venue had sent something else for longer than the
              limit, or although nothing came for longer than the limit
    wrong     prices that were never sent by then, or only by a fault that falsified
    reversed  older than what an earlier read of that source had shown
    rest      tradable, although the price is REST's

Nothing here waits and nothing knows the product, but for the names of a quote's
fields. Both clocks are the monotonic one of this machine.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from tests.truth import PRICES, SHOWN_MAX, Prices, Sent, check, read

NEVER = -(2**63)  # how a stamp says that there is none
STREAM, REST = "STREAM", "REST"


class Read(NamedTuple):
    """What one read of one instrument said, without its time."""

    venue: str
    instrument: str
    symbol: str
    source: str
    epoch: int
    session: int
    sequence: int
    recv_ns: int
    publish_ns: int
    prices: Prices
    state: str
    reason: str
    tradable: bool


@dataclass(slots=True)
class Span:
    """Equal reads, one after the other."""

    read: Read
    first_ns: int
    last_ns: int
    count: int = 1


class Limits(NamedTuple):
    """How old a tradable quote of a venue may be, in nanoseconds."""

    fresh_ns: int  # of a state LIVE
    confirm_ns: int  # of a state QUIET: since its check


class Complaint(NamedTuple):
    """One span that should not have been, and by how much."""

    why: str
    excess_ns: int
    span: Span
    detail: str = ""  # in the words of `truth`


@dataclass
class Findings:
    """What became of a history."""

    reads: int = 0
    tradable: int = 0
    spans: int = 0
    stale: int = 0
    wrong: int = 0
    reversed: int = 0
    rest: int = 0
    complaints: list[Complaint] = field(default_factory=list)

    @property
    def is_clean(self) -> bool:
        return not self.complaints

    def add(self, why: str, span: Span, excess_ns: int = 0, detail: str = "") -> None:
        setattr(self, why, getattr(self, why) + span.count)
        self.complaints.append(Complaint(why, excess_ns, span, detail))

    def forgive_untraded(self) -> None:
        """Drop what was wrong and nobody could have traded on; the counts stay."""
        self.complaints = [
            one
            for one in self.complaints
            if one.why != "wrong" or one.span.read.tradable
        ]

    def __str__(self) -> str:
        counts = {k: v for k, v in vars(self).items() if k != "complaints"}
        facts = " ".join(f"{name}={value}" for name, value in counts.items())
        return "\n".join([facts, *map(str, self.complaints[:SHOWN_MAX])])


class History:
    """Every read in order of time, spans of equal ones as one."""

    def __init__(self) -> None:
        self.spans: dict[tuple[str, str], list[Span]] = {}

    def add(self, quote: Any, read_ns: int) -> None:
        """Keep one read: a `Quote`, or a row of `quotes()`."""
        entry = as_read(quote)
        spans = self.spans.setdefault((entry.venue, entry.instrument), [])
        if spans and spans[-1].read == entry:
            spans[-1].last_ns = read_ns
            spans[-1].count += 1
        else:
            spans.append(Span(entry, read_ns, read_ns))

    def cut(self) -> None:
        """Forget all but the newest span of each instrument."""
        for spans in self.spans.values():
            del spans[:-1]


def as_read(quote: Any) -> Read:
    """Return what a quote says, whichever call it came from."""
    get = quote.__getitem__ if hasattr(quote, "dtype") else quote.__getattribute__
    prices = tuple(_number(get(name)) for name in PRICES)
    words = (str(get(name)) for name in ("venue", "instrument", "symbol", "source"))
    numbers = (
        int(get(name))
        for name in ("epoch", "session", "sequence", "recv_ns", "publish_ns")
    )
    state = (str(get("state")), str(get("reason")), bool(get("tradable")))
    return Read(*words, *numbers, prices, *state)


def judge(
    history: History, truth_path: str | Path, limits: Mapping[str, Limits]
) -> Findings:
    """Hold a history to the truth log; `limits` by venue. Never raises for either."""
    findings = Findings()
    for (venue, _), spans in sorted(history.spans.items()):
        findings.reads += sum(span.count for span in spans)
        findings.tradable += sum(span.count for span in spans if span.read.tradable)
        findings.spans += len(spans)
        spoken = [span for span in spans if span.read.recv_ns != NEVER]
        for source in (STREAM, REST):
            of_source = [span for span in spoken if span.read.source == source]
            _judge_order(findings, of_source)
            _judge_prices(findings, truth_path, of_source, source)
        _judge_age(findings, truth_path, spoken, limits[venue])
    return findings


def _judge_order(findings: Findings, spans: Iterable[Span]) -> None:
    newest: Read | None = None
    for span in spans:
        entry = span.read
        if newest is not None and not (
            _order(entry) >= _order(newest) and entry.recv_ns >= newest.recv_ns
        ):
            findings.add("reversed", span, newest.recv_ns - entry.recv_ns)
        else:
            newest = entry


def _order(entry: Read) -> tuple[int, int, int]:
    return entry.epoch, entry.session, entry.sequence


def _judge_prices(
    findings: Findings, truth_path: str | Path, spans: Sequence[Span], source: str
) -> None:
    """Each record that was read is one that was sent, in the order it was sent."""
    if not spans:
        return
    records: list[dict[str, Any]] = []
    owners: list[Span] = []
    last: tuple[int, int, int] | None = None
    for span in spans:
        entry = span.read
        if _order(entry) == last:
            continue
        last = _order(entry)
        # A REST quote counts its age from its request, which comes before the answer.
        by_ns = entry.recv_ns if source == STREAM else entry.publish_ns
        prices = dict(zip(PRICES, entry.prices, strict=True))
        records.append({**prices, "recv_ns": by_ns})
        owners.append(span)
    first = spans[0].read
    report = check(truth_path, records, first.venue, first.symbol)
    for row in report.wrong:
        findings.add("wrong", owners[row.place], detail=row.why)


def _judge_age(
    findings: Findings, truth_path: str | Path, spans: Sequence[Span], limits: Limits
) -> None:
    if not spans:
        return
    timeline = _Timeline(read(truth_path, spans[0].read.venue, spans[0].read.symbol))
    for span in spans:
        entry = span.read
        if not entry.tradable:
            continue
        if entry.source == REST:
            findings.add("rest", span)
            continue
        is_quiet = entry.state == "QUIET"
        limit_ns = limits.confirm_ns if is_quiet else limits.fresh_ns
        since_ns = timeline.superseded_ns(entry.prices, span.last_ns)
        if not is_quiet:  # whose own age says nothing
            since_ns = min(since_ns, entry.recv_ns)
        if not (span.last_ns - since_ns <= limit_ns):
            findings.add("stale", span, span.last_ns - since_ns - limit_ns)


class _Timeline:
    """What was true of one market when, whatever the channel that told it."""

    def __init__(self, sent: Sequence[Sent]) -> None:
        true = sorted((row.sent_ns, row.prices) for row in sent if not row.fault)
        self._times = [sent_ns for sent_ns, _ in true]
        self._prices = [prices for _, prices in true]
        self._places: dict[Prices, list[int]] = {}
        for place, prices in enumerate(self._prices):
            self._places.setdefault(prices, []).append(place)

    def superseded_ns(self, prices: Prices, by_ns: int) -> int:
        """When something else was told after these prices were last told by then.

        `by_ns` itself while nothing else was; what was never told is judged elsewhere.
        """
        until = bisect.bisect_right(self._times, by_ns)
        places = self._places.get(prices, [])
        count = bisect.bisect_left(places, until)
        if not count:
            return by_ns
        place = places[count - 1] + 1
        return self._times[place] if place < until else by_ns


def _number(value: Any) -> float | None:
    number = float(value)
    return None if number != number else number
