"""How often a silence is longer than a limit, from the measured time between quotes.

Where at least ten such silences were seen they are counted. Beyond that the tail is
continued by a generalised Pareto distribution, fitted by its moments to the longest
silences; its weight is bounded, so that one odd silence does not forbid every limit.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from feedhandler.report.tally import Spans
from shm_layout.directory import bucket_limit_ns
from shm_layout.limits import BUCKETS_PER_OCTAVE_BITS

DAY_S: Final = 86_400.0

_COUNTED_MIN: Final = 10
_TAIL_MIN: Final = 30  # silences that the fit rests on, …
_TAIL_SHARE: Final = 0.05  # … or this share of them all
_SHAPE_MAX: Final = 0.4
_NARROWEST: Final = 1 / (1 << BUCKETS_PER_OCTAVE_BITS)


class Tail:
    """Silences of one instrument. `excused` of the longest were failures, not quiet."""

    def __init__(self, spans: Spans, observed_s: float, excused: int = 0) -> None:
        places = sorted(place for place, count in spans.buckets.items() if count > 0)
        counts = np.array([spans.buckets[place] for place in places], dtype=np.int64)
        self.observed_s = observed_s
        self.excused = min(excused, int(counts[-1]) if len(counts) else 0)
        left = self.excused = min(excused, int(counts.sum()))
        for index in range(len(counts) - 1, -1, -1):
            taken = min(left, int(counts[index]))
            counts[index] -= taken
            left -= taken
        kept = counts > 0
        self._counts = counts[kept]
        # The upper end of each bucket: what it holds may be that long.
        ends = [min(bucket_limit_ns(place), spans.max_ns) for place in places]
        self._ends_ms = np.array(ends, dtype=np.float64)[kept] / 1e6
        self.count = int(self._counts.sum())
        # Where the shortest begin: nothing is known of what would be shorter.
        first = places[0] if places else 0
        self._least_ms = bucket_limit_ns(first - 1) / 1e6 if first else 0.0
        self._fit()

    def percentile_ms(self, percent: float) -> float | None:
        """Return a percentile of the time between quotes."""
        if not self.count:
            return None
        wanted = math.ceil(self.count * percent / 100)
        place = int(np.searchsorted(np.cumsum(self._counts), wanted))
        return float(self._ends_ms[min(place, len(self._ends_ms) - 1)])

    def longer(self, limit_ms: float) -> int:
        """Return how many silences above a limit were seen."""
        return int(self._counts[self._ends_ms > limit_ms].sum())

    @property
    def longest_ms(self) -> float | None:
        """The longest silence that is not excused."""
        return float(self._ends_ms[-1]) if self.count else None

    def per_day(self, limit_ms: float) -> float | None:
        """Return how many silences above a limit a day brings; None without any."""
        if not self.count or self.observed_s <= 0:
            return None
        seen = self.longer(limit_ms)
        if seen >= _COUNTED_MIN or limit_ms <= self._from_ms:
            return seen / self.observed_s * DAY_S
        beyond = limit_ms - self._from_ms
        if self._shape > 1e-6:
            share = float(1 + self._shape * beyond / self._scale_ms) ** (
                -1 / self._shape
            )
        else:
            share = math.exp(-beyond / self._scale_ms)
        return float(self._above / self.observed_s * DAY_S * share)

    def _fit(self) -> None:
        """Fit what lies above the threshold where the tail begins."""
        self._from_ms, self._above = 0.0, self.count
        self._shape, self._scale_ms = 0.0, 1.0
        if not self.count:
            return
        wanted = max(_TAIL_MIN, int(_TAIL_SHARE * self.count))
        above = np.cumsum(self._counts[::-1])[::-1]
        places = np.flatnonzero(above >= min(wanted, self.count))
        place = int(places[-1])
        self._from_ms = float(self._ends_ms[place - 1]) if place else self._least_ms
        weights = self._counts[place:]
        excess = self._ends_ms[place:] - self._from_ms
        self._above = int(weights.sum())
        mean = float(np.average(excess, weights=weights))
        variance = float(np.average((excess - mean) ** 2, weights=weights))
        if variance > 0 and mean > 0:
            ratio = mean * mean / variance
            self._shape = min(_SHAPE_MAX, max(0.0, 0.5 * (1 - ratio)))
        # The mean stays what was measured, whatever shape was allowed. Buckets are 1/16
        # wide: a tail narrower than that, as of even ticks, is taken as that wide.
        least_ms = max(_NARROWEST * self._from_ms, 1e-3)
        self._scale_ms = max(mean * (1 - self._shape), least_ms)
