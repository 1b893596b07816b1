"""Values over the time of a run, in a bounded number of blocks of equal width.

When a run outgrows them, neighbours are put together and the width doubles, so that
ten minutes and ten days take the same memory.
"""

from __future__ import annotations

import operator
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

BLOCKS_MAX: Final = 128
POINTS_MAX: Final = 2_048


class Blocks:
    """One row of values a block; rows are summed, or the greatest value is kept."""

    def __init__(
        self,
        columns: int = 1,
        keep: Literal["sum", "max"] = "sum",
        blocks_max: int = BLOCKS_MAX,
        width_s: float = 1.0,
    ) -> None:
        assert blocks_max % 2 == 0
        self.width_s = width_s
        self.count = 0  # blocks up to the last that something was added to
        self._combine = np.add if keep == "sum" else np.maximum
        # Arrays of one number take ten times as long as the number.
        self._combine_one = operator.add if keep == "sum" else max
        self._nothing = 0.0 if keep == "sum" else -np.inf
        self._rows = np.full((blocks_max, columns), self._nothing)
        self._end_s = width_s * blocks_max

    @property
    def rows(self) -> Floats:
        """The blocks so far; one that nothing was added to is 0, or -inf for max."""
        return self._rows[: self.count]

    def index_of(self, at_s: float) -> int:
        """Return the block of a time, after making room for it."""
        while at_s >= self._end_s:
            half = len(self._rows) // 2
            paired = self._combine(self._rows[0::2], self._rows[1::2])
            self._rows[:half] = paired
            self._rows[half:] = self._nothing
            self.width_s *= 2
            self._end_s *= 2
            self.count = (self.count + 1) // 2
        return max(0, int(at_s / self.width_s))

    def add(self, at_s: float, values: Floats | float) -> None:
        """Add to, or raise, the block of that time."""
        index = self.index_of(at_s)
        self.count = max(self.count, index + 1)
        rows = self._rows
        if isinstance(values, float):
            rows[index, 0] = self._combine_one(rows.item(index, 0), values)
        else:
            rows[index] = self._combine(rows[index], values)


class Points:
    """A series of (seconds, value), thinned evenly when it grows too long."""

    def __init__(self) -> None:
        self.values: list[tuple[float, float]] = []
        self._every = 1
        self._seen = 0

    def add(self, at_s: float, value: float) -> None:
        """Add one point."""
        if self._seen % self._every == 0:
            self.values.append((at_s, value))
        self._seen += 1
        if len(self.values) >= POINTS_MAX:
            del self.values[1::2]
            self._every *= 2


def slope(points: list[tuple[float, float]]) -> float | None:
    """Return the Theil–Sen slope, units a second: the median over all pairs.

    A spike, or a step at one end, moves it little. None for fewer than three points.
    """
    if len(points) < 3:
        return None
    step = max(1, len(points) // 512)
    at_s, values = np.array(points[::step]).T
    first, second = np.triu_indices(len(at_s), 1)
    spans = at_s[second] - at_s[first]
    apart = spans > 0
    if not apart.any():
        return None
    rises = (values[second] - values[first])[apart] / spans[apart]
    return float(np.median(rises))
