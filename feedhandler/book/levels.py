"""One side of a depth book: price to size, the best price always at hand.

    sizes   {price: size}          every level; 0.0 marks one that is removed, and
    heap    [best, …]              still in the heap: each price is in it once

A change of a level that is held is one store. A new price is pushed onto the heap, a
removed one only marked: it leaves the heap when it comes to the top, or in a sweep when
marked and held have doubled since the last. So a change costs the logarithm of the
depth at most, and reading the best price nothing. No held level is ever dropped.

Prices and sizes are doubles that `codec` has checked: `84050` and `84050.000000` are
one key. A size below `VALUE_MIN` is no size: the level is absent.

Measured by `perf/book.py` (CPython 3.11; CPU time of a delta of five levels, nine in
ten near the touch, and of an image):

    levels             this     sorted list   SortedDict   numpy arrays
    20                 860 ns   740 ns        2120 ns      5040 ns
    1,000              890 ns   820 ns        2320 ns      5280 ns
    6,000              970 ns   980 ns        2440 ns      5500 ns
    6,000, all over    870 ns   1650 ns       2510 ns      7130 ns
    image of 6,000     283 µs   399 µs        317 µs       940 µs

A sorted list with bisect moves what stands before a change: as good near the touch,
twelve times slower all over 100,000 levels, where this stays at 1 µs. The same list in
C, tried once, took 220 to 380 ns near the touch and 120 µs for the image: two thirds
of the time here, a third of that for decoding and applying a frame of ten levels.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from heapq import heapify, heappop, heappush
from math import floor, log10, nan
from typing import Final

from feedhandler.codec.decimal import VALUE_MIN

# A level as venues send it: price and absolute size.
Level = tuple[float, float]
# Price, signed change, and the absolute size that results (NaN when it was not sent).
SignedLevel = tuple[float, float, float]

# Of one side. The deepest book seen had 6,035 levels on both (Extended, 2026-09-26).
LEVELS_MAX: Final = 100_000
# Marked levels that are not worth a sweep.
MARKED_SLACK: Final = 64
# Doubles hold every decimal of so many digits, so a true sum agrees in all of them.
DIGITS: Final = 15
SUM_TOLERANCE: Final = 10.0 ** (1 - DIGITS)


class Levels:
    """The levels of one side, as an image gave them and changes left them.

    `best` and `best_size` are NaN when there is no level. A level that a change removes
    although it is not held is normal, and counted in `absent_removals`. A side of more
    than `LEVELS_MAX` is told by `is_overfull`, at twice as many at the latest.
    """

    __slots__ = (
        "_heap",
        "_sign",
        "_sizes",
        "_sweep_above",
        "absent_removals",
        "best",
        "best_size",
        "duplicates",
        "is_overfull",
        "is_unsorted",
        "mismatches",
    )

    def __init__(self, levels: Sequence[Level] = (), *, is_bid: bool) -> None:
        # The levels; bids are in the heap with their sign turned. An image is sorted
        # as a rule, which makes it a heap already.
        self._sign = -1.0 if is_bid else 1.0
        self._sizes = {price: size for price, size in levels if size >= VALUE_MIN}
        repeated = 0
        if len(self._sizes) != len(levels):
            last_words = dict(levels)
            repeated = len(levels) - len(last_words)
            self._sizes = _held(last_words)
        self._heap = self._keys()
        self._heap.sort()
        self._sweep_above = 2 * len(self._sizes) + MARKED_SLACK

        # The touch.
        self.best = nan
        self.best_size = nan

        # What was odd in the image, and in the changes since.
        self.duplicates = repeated
        self.absent_removals = 0
        self.mismatches = 0
        self.is_overfull = len(self._sizes) > LEVELS_MAX
        self.change(())
        self.is_unsorted = (
            bool(levels) and self._sign * levels[0][0] > self._sign * self.best
        )

    def __len__(self) -> int:
        """Return how many levels are held; counts them."""
        return len(_held(self._sizes))

    def change(self, levels: Iterable[Level]) -> None:
        """Set the absolute size of each level, one after the other; 0 removes it."""
        sizes = self._sizes
        heap = self._heap
        sign = self._sign
        for price, size in levels:
            if size >= VALUE_MIN:
                if price not in sizes:
                    heappush(heap, sign * price)
                sizes[price] = size
            elif sizes.get(price):
                sizes[price] = 0.0
            else:
                self.absent_removals += 1
        while heap:
            best = sign * heap[0]
            size = sizes[best]
            if size:
                self.best = best
                self.best_size = size
                break
            heappop(heap)
            del sizes[best]
        else:
            self.best = self.best_size = nan
        if len(sizes) > self._sweep_above:
            self._sweep()

    def add(self, levels: Iterable[SignedLevel]) -> None:
        """Apply signed changes; what contradicts its result counts in `mismatches`."""
        self.change(self._results(levels))

    def holds(self, levels: Iterable[Level]) -> bool:
        """Tell whether each level's last word is the size that is held."""
        sizes = self._sizes
        return all(
            sizes.get(price, 0.0) == (size if size >= VALUE_MIN else 0.0)
            for price, size in dict(levels).items()
        )

    def ranked(self) -> list[Level]:
        """Return every level, the best first; sorts, so not for each update."""
        return sorted(_held(self._sizes).items(), reverse=self._sign < 0.0)

    def _results(self, levels: Iterable[SignedLevel]) -> Iterator[Level]:
        """Yield the size that each change leads to, seeing the changes before it."""
        sizes = self._sizes
        for price, change, result in levels:
            held = sizes.get(price, 0.0)
            if result != result:
                result = _sum(held, change)
                is_right = result >= 0.0
            else:
                largest = max(held, abs(change), result)
                is_right = abs(held + change - result) <= SUM_TOLERANCE * largest
            if not is_right:
                self.mismatches += 1
            yield price, result

    def _sweep(self) -> None:
        """Forget what is marked, and make the heap anew of what is held."""
        self._sizes = _held(self._sizes)
        self._heap = self._keys()
        heapify(self._heap)
        self._sweep_above = 2 * len(self._sizes) + MARKED_SLACK
        self.is_overfull = len(self._sizes) > LEVELS_MAX

    def _keys(self) -> list[float]:
        if self._sign < 0.0:
            return [-price for price in self._sizes]
        return list(self._sizes)


def _held(sizes: dict[float, float]) -> dict[float, float]:
    return {price: size for price, size in sizes.items() if size >= VALUE_MIN}


def _sum(held: float, change: float) -> float:
    """Return the decimal that two decimals add up to, without a double's dust.

    A plain sum would leave 0.3 − 0.2 − 0.1 as a level of a size that nobody sent.
    """
    largest = max(held, abs(change))
    if largest == 0.0:
        return 0.0
    return round(held + change, DIGITS - 1 - floor(log10(largest)))
