"""Counters that only go up, and histograms, over the span that was looked at."""

from __future__ import annotations

from collections.abc import Mapping

from feedhandler.telemetry.records import Histogram


class Tally:
    """How much one counter grew, over restarts of whoever counts."""

    def __init__(self) -> None:
        self.grown = 0
        self.is_known = False
        self._last: int | None = None
        self._was_absent = False

    def add(self, value: int | None) -> int:
        """Take the counter as it stands; return what it grew by."""
        if value is None:
            self._was_absent = True
            return 0
        self.is_known = True
        last, self._last = self._last, value
        if last is None:
            # What a counter shows that we saw appear was counted before our eyes.
            step = value if self._was_absent else 0
        else:
            step = value - last if value >= last else value  # begun anew
        self.grown += step
        return step


class Tallies:
    """Counters by name; a name that is missing stands at zero."""

    def __init__(self) -> None:
        self._tallies: dict[str, Tally] = {}
        self._is_begun = False

    def add(self, values: Mapping[str, int]) -> dict[str, int]:
        """Take them as they stand; return those that grew, and by how much."""
        steps: dict[str, int] = {}
        for name in {*values, *self._tallies}:
            tally = self._tallies.get(name)
            if tally is None:
                tally = self._tallies[name] = Tally()
                if self._is_begun:
                    tally.add(None)
            if name not in values:
                continue
            if step := tally.add(values[name]):
                steps[name] = step
        self._is_begun = True
        return steps

    def grown(self) -> dict[str, int]:
        """Return every counter that grew."""
        return {
            name: tally.grown
            for name, tally in sorted(self._tallies.items())
            if tally.grown
        }


class Spans:
    """One histogram over the span that was looked at, and over restarts."""

    def __init__(self) -> None:
        self.max_ns = 0  # since its process began: histograms keep no other
        self.negative = 0
        self.buckets: dict[int, int] = {}
        self._last: dict[int, int] | None = None
        self._last_negative = 0

    def add(self, histogram: Histogram, *, from_zero: bool = False) -> None:
        """Take it as it stands. `from_zero`: all in it is ours, also the first time."""
        pairs = histogram.buckets
        now = dict(zip(pairs[::2], pairs[1::2], strict=False))
        last, self._last = self._last, now
        self.max_ns = max(self.max_ns, histogram.max_ns)
        if last is None:
            self._last_negative = histogram.negative
            if not from_zero:
                return
            last = {}
        elif sum(now.values()) < sum(last.values()):
            last, self._last_negative = {}, 0
        self.negative += max(0, histogram.negative - self._last_negative)
        self._last_negative = histogram.negative
        for bucket, count in now.items():
            step = count - last.get(bucket, 0)
            if step > 0:
                self.buckets[bucket] = self.buckets.get(bucket, 0) + step

    @property
    def count(self) -> int:
        """How many values are in it."""
        return sum(self.buckets.values())
