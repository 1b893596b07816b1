"""Arguments of the Python twin, checked as the native module checks them."""

from __future__ import annotations

from typing import Any

import numpy as np

from shm_layout import schema
from shm_layout.limits import (
    BUCKET_EXPONENT_MAX,
    BUCKETS,
    BUCKETS_PER_OCTAVE_BITS,
    RECORD_BYTES,
)

_OCTAVE = 1 << BUCKETS_PER_OCTAVE_BITS


def bucket_of(value_ns: int) -> int:
    """Return the log-linear bucket of a value that is not negative."""
    if value_ns < _OCTAVE:
        return value_ns
    exponent = value_ns.bit_length() - 1
    if exponent > BUCKET_EXPONENT_MAX:
        return BUCKETS - 1
    below = exponent - BUCKETS_PER_OCTAVE_BITS
    return ((below + 1) << BUCKETS_PER_OCTAVE_BITS) + (
        (value_ns >> below) & (_OCTAVE - 1)
    )


def check_geometry(geometry: tuple[int, ...], size_bytes: int) -> None:
    owner, counters, counter, latest, slot, ring, records, histograms, histogram = (
        geometry
    )
    fits = (
        records > 0
        and records & (records - 1) == 0
        and all(value >= 0 for value in geometry)
        and owner + schema.OWNER.size_bytes <= size_bytes
        and counters + schema.COUNTERS.size_bytes + counter * schema.COUNTER.size_bytes
        <= size_bytes
        and latest + slot * schema.SLOT.size_bytes <= size_bytes
        and ring + schema.RING.size_bytes + records * RECORD_BYTES <= size_bytes
        and histograms
        + schema.HISTOGRAMS.size_bytes
        + histogram * schema.HISTOGRAM.size_bytes
        <= size_bytes
    )
    if not fits:
        raise ValueError(f"sections do not fit: bytes={size_bytes}")


def check_index(value: int, count: int, name: str) -> None:
    check_limit(value, count - 1, name)


def check_limit(value: int, limit: int, name: str) -> None:
    if value < 0:
        raise OverflowError(f"negative: {name}={value}")
    if value > limit:
        raise ValueError(f"above its limit {limit}: {name}={value}")


def records_of(out: Any) -> memoryview:
    array = out if isinstance(out, np.ndarray) else np.frombuffer(out, np.uint8)
    records: memoryview = array.reshape(-1).view(np.uint8).data
    if records.readonly:
        raise BufferError("Object is not writable.")
    if len(records) % RECORD_BYTES:
        raise ValueError(f"not an array of records: bytes={len(records)}")
    return records
