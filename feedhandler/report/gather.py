"""A run, gathered record by record from its telemetry; memory does not grow with it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from feedhandler.report.blocks import Blocks
from feedhandler.report.instruments import GOOD, InstrumentTrack, Look
from feedhandler.report.processes import ProcessTrack
from feedhandler.report.tally import Spans
from feedhandler.report.venues import VenueTrack
from feedhandler.telemetry.read import Telemetry
from feedhandler.telemetry.records import (
    Histogram,
    Market,
    Move,
    Sample,
    Start,
    Stop,
    Totals,
)

_NS_PER_MS: Final = 1e6
_JUMP_S: Final = 3_600.0  # a step of the clock between files is worth no more
_TOGETHER_MAX: Final = 256


class Run:
    """Everything that is known of one run."""

    def __init__(self) -> None:
        # What was read.
        self.starts: list[Start] = []
        self.stop: Stop | None = None
        self.samples = 0
        self.totals = 0
        self.first_ms = 0  # wall clock
        self.last_ms = 0
        self.span_s = 0.0
        self.sample_gap_max_s = 0.0
        self.telemetry: Telemetry | None = None

        # By venue, venue:instrument, role, name.
        self.venues: dict[str, VenueTrack] = {}
        self.instruments: dict[str, InstrumentTrack] = {}
        self.processes: dict[str, ProcessTrack] = {}
        self.markets: dict[str, Market] = {}
        self.hops: dict[str, Spans] = {}
        self.cadence: dict[str, Spans] = {}  # of quotes, by venue:instrument
        self.ticks: dict[str, Spans] = {}  # of liveness channels, likewise
        self.signs: dict[str, Spans] = {}  # of quotes or ticks, by venue

        # Across venues.
        self.stale_together_s: dict[int, float] = {}  # how many at once -> seconds
        self.pairs_s: dict[tuple[str, str], float] = {}
        self.together: list[tuple[float, float, tuple[str, ...]]] = []
        self.moves = Blocks()

        # The record before.
        self._origin_ns = 0
        self._last_ns: int | None = None
        self._last_number = -1
        self._bad: tuple[str, ...] = ()
        self._bad_since_s = 0.0
        self._begins_at_zero = False  # cadence was counted from nothing

    def read(self, telemetry: Telemetry) -> Run:
        """Take every record of it; return self."""
        self.telemetry = telemetry
        return self.take(telemetry)

    def take(self, records: Iterable[object]) -> Run:
        """Take the records, in order, and close; return self."""
        for record in records:
            if isinstance(record, Sample):
                self._take_sample(record)
            elif isinstance(record, Totals):
                self._take_totals(record)
            elif isinstance(record, Move):
                self._take_move(record)
            elif isinstance(record, Start):
                self.starts.append(record)
                del self.starts[64:]
                self._begins_at_zero |= record.file_number == 0
            elif isinstance(record, Stop):
                self.stop = record
        self._close()
        return self

    def feed_kind(self, venue: str) -> str:
        """Return bbo, depth, or nothing where it is not known."""
        track = self.venues.get(venue)
        return "" if track is None else track.feed_kind

    # --- Samples ----------------------------------------------------------------------

    def _take_sample(self, sample: Sample) -> None:
        is_whole = sample.number == self._last_number + 1
        at_s = self._time_of(sample)
        if self.samples:
            gap_s = at_s - self.span_s
            self.sample_gap_max_s = max(self.sample_gap_max_s, gap_s)
        self._last_number = sample.number
        self.samples += 1
        self._compare_venues(at_s, sample)
        self.span_s = at_s
        for index, venue in enumerate(sample.venues):
            track = self.venues.get(venue)
            if track is None:
                track = self.venues[venue] = VenueTrack(venue)
            track.add(at_s, sample, index)
        seen = set()
        for index, name in enumerate(sample.instruments):
            seen.add(name)
            quote = self.instruments.get(name)
            if quote is None:
                venue, _, instrument = name.partition(":")
                quote = self.instruments[name] = InstrumentTrack(venue, instrument)
            quote.add(at_s, _look(sample, index), is_whole)
        if len(seen) < len(self.instruments):
            for name, quote in self.instruments.items():
                if name not in seen:
                    quote.add_missing(at_s, is_whole)

    def _time_of(self, sample: Sample) -> float:
        now_ns = sample.ts_mono_ns
        if self._last_ns is None:
            self._origin_ns, self.first_ms = now_ns, sample.ts_ms
        elif now_ns < self._last_ns:
            # Another boot: the wall clock bridges the two, as far as it can be right.
            gap_s = min(_JUMP_S, max(0.0, (sample.ts_ms - self.last_ms) / 1e3))
            self._origin_ns = now_ns - int((self.span_s + gap_s) * 1e9)
        self._last_ns, self.last_ms = now_ns, sample.ts_ms
        return (now_ns - self._origin_ns) / 1e9

    def _compare_venues(self, at_s: float, sample: Sample) -> None:
        """Count the time in which venues were bad together, by the state before."""
        if self.samples > 1:
            span_s = at_s - self.span_s
            count = len(self._bad)
            together_s = self.stale_together_s.get(count, 0.0)
            self.stale_together_s[count] = together_s + span_s
            for first, venue in enumerate(self._bad):
                for other in self._bad[first + 1 :]:
                    pair = (venue, other)
                    self.pairs_s[pair] = self.pairs_s.get(pair, 0.0) + span_s
        states = zip(sample.venues, sample.venue_state, strict=True)
        bad = tuple(venue for venue, state in states if state not in GOOD)
        if bad != self._bad:
            self._end_together(at_s)
            self._bad, self._bad_since_s = bad, at_s

    def _end_together(self, at_s: float) -> None:
        if len(self._bad) > 1 and len(self.together) < _TOGETHER_MAX:
            self.together.append((self._bad_since_s, at_s, self._bad))

    # --- Other records ----------------------------------------------------------------

    def _take_move(self, move: Move) -> None:
        quote = self.instruments.get(f"{move.venue}:{move.instrument}")
        if quote is not None and self._last_ns is not None:
            at_s = max(0.0, (move.ts_mono_ns - self._origin_ns) / 1e9)
            # A stamp of another boot must not stretch the axis.
            quote.add_move(min(at_s, self.span_s + 1.0), move.previous, move.state)

    def _take_totals(self, totals: Totals) -> None:
        self.totals += 1
        is_first = self.totals == 1
        for process in totals.processes:
            track = self.processes.get(process.role)
            if track is None:
                track = self.processes[process.role] = ProcessTrack(process.role)
                if not is_first:
                    track.counters.add({})
            track.add(self.span_s, process)
        for market in totals.markets:
            self.markets[f"{market.venue}:{market.instrument}"] = market
        _add_spans(self.hops, totals.histograms, not is_first)
        from_zero = self._begins_at_zero or not is_first
        _add_spans(self.cadence, totals.cadence, from_zero)
        _add_spans(self.ticks, totals.ticks, from_zero)
        _add_spans(self.signs, totals.signs, from_zero)

    def _close(self) -> None:
        self._end_together(self.span_s)
        for venue in self.venues.values():
            venue.close()
        for quote in self.instruments.values():
            quote.close()


def _add_spans(
    known: dict[str, Spans], histograms: list[Histogram], from_zero: bool
) -> None:
    for histogram in histograms:
        spans = known.setdefault(histogram.name, Spans())
        spans.add(histogram, from_zero=from_zero)


def _look(sample: Sample, index: int) -> Look:
    return Look(
        state=sample.states[index],
        reason=sample.reasons[index],
        is_tradable=bool(sample.tradable[index]),
        is_rest=sample.sources[index] == "REST",
        apply_ms=_ms(sample.apply_age_ns[index]),
        recv_ms=_ms(sample.recv_age_ns[index]),
        event_ms=sample.event_age_ms[index],
        confirmed_ms=_known(sample.confirmed_age_ms[index]),
        funding_ms=_known(sample.funding_age_ms[index]),
        quotes=sample.quotes[index],
        gap_max_ms=sample.gap_max_ns[index] / _NS_PER_MS,
    )


def _ms(age_ns: int) -> float | None:
    return None if age_ns < 0 else age_ns / _NS_PER_MS


def _known(age_ms: float) -> float | None:
    return None if age_ms < 0 else age_ms
