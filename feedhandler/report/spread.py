"""Where time was spent between two ages: a distribution over time, not over samples.

An age grows with the clock and falls back when a quote comes, so its picture is a saw.
Every tooth is a ramp, on which each age between its ends is held equally long:

    age │   ╱│    ╱│        ramp 0 ─▶ 3 s:  1 s in each of 0…1, 1…2, 2…3
        │  ╱ │╱│ ╱ │        ten ramps 0 ─▶ 0.1 s: a second below 0.1
        └──────────── time

Kept is the time spent below each of a fixed set of edges, which adds up over ramps and
over blocks of time, and whose percentiles are right to less than one step of edges.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_PER_DECADE: Final = 20
_POSITIVE: Final = np.logspace(-2, 9, 11 * _PER_DECADE + 1)  # 10 µs to 11 days, in ms
EDGES_MS: Final[Floats] = np.concatenate(([0.0], _POSITIVE))
# Ages by the venue's clock may be negative.
SIGNED_EDGES_MS: Final[Floats] = np.concatenate((-_POSITIVE[::-1], [0.0], _POSITIVE))


def time_below(edges: Floats, ramps: Floats) -> Floats:
    """Return the time, ms, that `ramps` spend below each edge.

    A row of `ramps` is its low end, its high end, and how many of it there are.
    """
    count = len(edges)
    slope = np.zeros(count + 1)
    moment = np.zeros(count + 1)
    for column, sign in ((0, 1.0), (1, -1.0)):
        ends = ramps[:, column]
        weights = sign * ramps[:, 2]
        places = np.searchsorted(edges, ends)
        slope += np.bincount(places, weights, minlength=count + 1)
        moment += np.bincount(places, weights * ends, minlength=count + 1)
    result: Floats = edges * np.cumsum(slope[:-1]) - np.cumsum(moment[:-1])
    return result


def percentiles(edges: Floats, below: Floats, percents: list[float]) -> Floats:
    """Return percentiles, ms, of one distribution or of each row of several.

    NaN where no time was spent at all.
    """
    rows = np.atleast_2d(below)
    totals = rows[:, -1]
    columns = []
    for percent in percents:
        wanted = totals * (percent / 100)
        place = np.clip((rows < wanted[:, None]).sum(axis=1), 1, len(edges) - 1)
        each = np.arange(len(rows))
        low, high = rows[each, place - 1], rows[each, place]
        share = np.divide(
            wanted - low, high - low, out=np.ones(len(rows)), where=high > low
        )
        value = edges[place - 1] + np.clip(share, 0, 1) * np.diff(edges)[place - 1]
        columns.append(np.where(totals > 0, value, np.nan))
    result: Floats = np.stack(columns, axis=-1)
    return result if below.ndim > 1 else result[0]


def mean_ms(edges: Floats, below: Floats) -> Floats:
    """Return the mean age over time, ms, of one distribution or of each row."""
    rows = np.atleast_2d(below)
    middles = (edges[1:] + edges[:-1]) / 2
    totals = rows[:, -1]
    sums = np.diff(rows, axis=1) @ middles
    result: Floats = np.divide(
        sums, totals, out=np.full(len(rows), np.nan), where=totals > 0
    )
    return result if below.ndim > 1 else result[0]
