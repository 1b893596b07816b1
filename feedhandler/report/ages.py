"""One age over time, put together from samples: its distribution and its silences.

A sample says how old the quote is now, how many came since the sample before, and the
longest silence that one of them ended. From that the saw in between is rebuilt:

    no quote came      the age grew on: one ramp
    one came           it grew until then, fell to 0, and grew again: exact
    several came       the longest silence is exact; the others share what is left,
                       half of them short, half long, as chance would have them
    count unknown      taken as one, which makes the age too old rather than too young

An unknown age is the time since the last stamp that was known: unknown is as old as the
silence may be, and its time is told apart. Before the first quote there is no age, but
a deadline: a start that took longer, or never ended, is one long silence.
"""

from __future__ import annotations

import heapq
from typing import Final

import numpy as np

from feedhandler.report.blocks import Blocks, Floats
from feedhandler.report.spread import EDGES_MS, time_below

THRESHOLDS_MS: Final = (1_000.0, 2_000.0, 5_000.0, 10_000.0, 30_000.0, 120_000.0)

START_MAX_S: Final = 30.0  # connect, its retry, and the deadline of the first data

_SHOWN_MS: Final = 2_000.0  # silences at least this long are remembered, …
_SILENCES_MAX: Final = 64  # … the longest ones
_BUFFER_MAX: Final = 1_024
_SAME_MS: Final = 0.05  # ages are written to the microsecond

_BY_CHANCE_MIN: Final = 4  # fewer are taken as equal
_LONG_HALF: Final = 1.693

Ramp = tuple[float, float, float]  # low, high, how many


class AgeTrack:
    """One age of one instrument; times in seconds of the run, ages in ms."""

    def __init__(self, edges: Floats = EDGES_MS, *, with_blocks: bool = False) -> None:
        # What it came to.
        self.below = np.zeros(len(edges))
        self.blocks = Blocks(len(edges)) if with_blocks else None
        self.max_ms = -np.inf
        self.first_s: float | None = None  # when it was known for the first time
        self.unknown_s = 0.0
        self.unseen_s = 0.0  # of lost samples: nothing can be said
        self.counts = [0] * len(THRESHOLDS_MS)
        self.totals_ms = [0.0] * len(THRESHOLDS_MS)
        self._silences: list[tuple[float, float]] = []  # (length, end in seconds)

        # The sample before.
        self._edges = edges
        self._stamp_s = 0.0  # of the last quote that is known
        self._last_s: float | None = None

        # Ramps of one block that are not in `below` yet.
        self._buffer: list[Ramp] = []
        self._buffer_s = 0.0

    def add(
        self,
        at_s: float,
        age_ms: float | None,
        quotes: int = 0,
        gap_max_ms: float = 0.0,
        is_whole: bool = True,
    ) -> list[Ramp]:
        """Take a sample; return the ramps since the last one, the oldest first.

        `is_whole` is False when samples are missing in between.
        """
        last_s, self._last_s = self._last_s, at_s
        if last_s is None:
            self._stamp_s = at_s - (age_ms or 0.0) / 1e3
        if self.first_s is None and age_ms is not None:
            return self._begin(at_s, age_ms)
        if last_s is None:
            return []
        span_ms = (at_s - last_s) * 1e3
        if age_ms is None:
            self.unknown_s += span_ms / 1e3
        if self.first_s is None:
            return []
        before_ms = (last_s - self._stamp_s) * 1e3
        after_ms = before_ms + span_ms
        if age_ms is not None and age_ms < after_ms - _SAME_MS:
            after_ms = max(0.0, age_ms)
            if not is_whole:
                self.unseen_s += span_ms / 1e3
                self._stamp_s = at_s - after_ms / 1e3
                return []
        ramps = rebuild(span_ms, before_ms, after_ms, quotes, gap_max_ms)
        if len(ramps) > 1:
            self._end_silence(ramps[0][1], last_s + (ramps[0][1] - before_ms) / 1e3)
        self._stamp_s = at_s - after_ms / 1e3
        self.take(at_s, ramps)
        return ramps

    def take(self, at_s: float, ramps: list[Ramp]) -> None:
        """Count ramps that are known already."""
        if self.blocks is not None:
            block = self.blocks.index_of(at_s)
            if self._buffer and block != self.blocks.index_of(self._buffer_s):
                self.flush()
            self._buffer_s = at_s
        for low, high, count in ramps:
            if high > self.max_ms:
                self.max_ms = high
            if high > THRESHOLDS_MS[0]:
                self._count(low, high, count)
        self._buffer += ramps
        if len(self._buffer) >= _BUFFER_MAX:
            self.flush()

    def close(self) -> None:
        """End the run: what never spoke was silent all along."""
        if self.first_s is None and self._last_s is not None:
            waited_ms = (self._last_s - self._stamp_s) * 1e3
            self.take(self._last_s, [(0.0, waited_ms, 1.0)])
        self.flush()

    def flush(self) -> None:
        """Bring `below` and `blocks` up to date."""
        if not self._buffer:
            return
        below = time_below(self._edges, np.array(self._buffer))
        self._buffer = []
        self.below += below
        if self.blocks is not None:
            self.blocks.add(self._buffer_s, below)

    def silences(self) -> list[tuple[float, float]]:
        """Return (begin, end) in seconds of the longest ones, in order of time."""
        found = list(self._silences)
        if self._last_s is not None:
            length_s = self._last_s - self._stamp_s
            if length_s * 1e3 >= _SHOWN_MS:
                found.append((length_s * 1e3, self._last_s))
        return sorted((end_s - length / 1e3, end_s) for length, end_s in found)

    def _begin(self, at_s: float, age_ms: float) -> list[Ramp]:
        """Take the first age that is known; return a silence if that came too late."""
        waited_s = at_s - age_ms / 1e3 - self._stamp_s
        self.first_s, self._stamp_s = at_s, at_s - age_ms / 1e3
        if waited_s <= START_MAX_S:
            return []
        ramps = [(0.0, waited_s * 1e3, 1.0)]
        self._end_silence(waited_s * 1e3, self._stamp_s)
        self.take(at_s, ramps)
        return ramps

    def _count(self, low: float, high: float, count: float) -> None:
        for index, threshold in enumerate(THRESHOLDS_MS):
            if high <= threshold:
                break
            self.totals_ms[index] += count * (high - max(low, threshold))
            if low <= threshold:
                self.counts[index] += int(count)

    def _end_silence(self, length_ms: float, end_s: float) -> None:
        if length_ms < _SHOWN_MS:
            return
        heapq.heappush(self._silences, (length_ms, end_s))
        if len(self._silences) > _SILENCES_MAX:
            heapq.heappop(self._silences)


def rebuild(
    span_ms: float, before_ms: float, after_ms: float, quotes: int, gap_max_ms: float
) -> list[Ramp]:
    """Return the ramps between two samples; their times add up to `span_ms`.

    The first begins where the age stood, the last ends where it stands now.
    """
    if after_ms >= before_ms + span_ms - _SAME_MS:
        return [(before_ms, before_ms + span_ms, 1.0)]
    # From the stamp before to the newest.
    between = max(before_ms, before_ms + span_ms - after_ms)
    rest = quotes - 1
    if rest <= 0:
        return [(before_ms, between, 1.0), (0.0, after_ms, 1.0)]
    longest = min(gap_max_ms, between) or between / quotes
    others = (between - longest) / rest
    if before_ms > others or longest <= others:
        first = max(before_ms, longest)
        teeth = _share_out(between - first, rest, longest)
    else:
        first = max(before_ms, others)
        left = max(0.0, between - first - longest)
        teeth = [(0.0, longest, 1.0), *_share_out(left, rest - 1, longest)]
    return [(before_ms, first, 1.0), *teeth, (0.0, after_ms, 1.0)]


def _share_out(whole_ms: float, count: int, longest_ms: float) -> list[Ramp]:
    """Return ramps that share a time, none longer than the longest that was seen.

    Of quotes that come by chance the shorter half of the silences takes 15 % of the
    time, the longer half 85 %: their means are 1 - ln 2 and 1 + ln 2 of the mean.
    """
    if count < 1:
        return []
    mean = whole_ms / count
    if count < _BY_CHANCE_MIN:
        return [(0.0, mean, float(count))]
    half = count // 2
    long = max(mean, min(_LONG_HALF * mean, longest_ms))
    short = max(0.0, (whole_ms - half * long) / (count - half))
    return [(0.0, short, float(count - half)), (0.0, long, float(half))]
