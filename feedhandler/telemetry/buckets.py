"""Log-linear histograms: filled from arrays, written without their zeros.

The buckets are those of shared memory, 16 a power of two, so that a histogram of ours
and one of a feed are read alike.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from feedhandler.telemetry import records
from shm_layout.directory import Histogram
from shm_layout.limits import BUCKET_EXPONENT_MAX, BUCKETS, BUCKETS_PER_OCTAVE_BITS

_BITS = BUCKETS_PER_OCTAVE_BITS
_LARGEST = (1 << (BUCKET_EXPONENT_MAX + 1)) - 1  # falls into the last bucket


class Spread:
    """A histogram of our own; values are nanoseconds, not negative."""

    def __init__(self) -> None:
        self.count = 0
        self.sum_ns = 0
        self.max_ns = 0
        self._buckets = np.zeros(BUCKETS, np.int64)

    def add(self, values_ns: npt.NDArray[np.int64]) -> None:
        """Record every value."""
        if not len(values_ns):
            return
        self.count += len(values_ns)
        self.sum_ns += int(values_ns.sum())
        self.max_ns = max(self.max_ns, int(values_ns.max()))
        self._buckets += np.bincount(buckets_of(values_ns), minlength=BUCKETS)

    def record(self, name: str) -> records.Histogram:
        """Return it as it is written."""
        return records.Histogram(
            name=name,
            count=self.count,
            sum_ns=self.sum_ns,
            max_ns=self.max_ns,
            negative=0,
            buckets=without_zeros(self._buckets.tolist()),
        )


def buckets_of(values_ns: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the bucket of each value."""
    values = np.clip(values_ns, 0, _LARGEST)
    # Every value is below 2^53, so its binary exponent is exact.
    exponents = np.frexp(values.astype(np.float64))[1].astype(np.int64) - 1
    below = np.maximum(exponents - _BITS, 0)
    linear = (values >> below) & ((1 << _BITS) - 1)
    return np.where(values < 1 << _BITS, values, ((below + 1) << _BITS) + linear)


def shrink(role: str, histogram: Histogram) -> records.Histogram:
    """Return a histogram of shared memory as it is written."""
    return records.Histogram(
        name=f"{role}/{histogram.name}",
        count=histogram.count,
        sum_ns=histogram.sum_ns,
        max_ns=histogram.max_ns,
        negative=histogram.negative,
        buckets=without_zeros(histogram.buckets),
    )


def expand(histogram: records.Histogram) -> Histogram:
    """Return a written histogram with all its buckets, for its percentiles.

    Raises `ValueError` when it holds what no bucket is.
    """
    pairs = histogram.buckets
    buckets = [0] * BUCKETS
    for index, count in zip(pairs[::2], pairs[1::2], strict=True):
        if not 0 <= index < BUCKETS:
            raise ValueError(f"no such bucket: index={index} name={histogram.name}")
        buckets[index] = count
    return Histogram(
        histogram.name,
        histogram.count,
        histogram.sum_ns,
        histogram.max_ns,
        histogram.negative,
        tuple(buckets),
    )


def without_zeros(buckets: Sequence[int]) -> list[int]:
    """Return index and count of each bucket that is not empty, one after the other."""
    pairs: list[int] = []
    for index, count in enumerate(buckets):
        if count:
            pairs += (index, count)
    return pairs
