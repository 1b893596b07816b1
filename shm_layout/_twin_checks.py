"""Arguments of the Python twin, checked as the native module checks them."""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np

from shm_layout import schema
from shm_layout.limits import (
    BUCKET_EXPONENT_MAX,
    BUCKETS,
    BUCKETS_PER_OCTAVE_BITS,
    RECORD_BYTES,
    RING_SLOTS_MIN,
)

_MASK = (1 << 64) - 1
_SIGNED_MIN, _SIGNED_MAX = -(1 << 63), (1 << 63) - 1
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


def as_geometry(numbers: Any) -> tuple[int, ...]:
    if not isinstance(numbers, tuple) or len(numbers) != 10:
        raise TypeError(f"geometry is a tuple of 10: {numbers!r}")
    return tuple(as_unsigned(number, "geometry") for number in numbers)


def check_geometry(geometry: tuple[int, ...], size_bytes: int) -> None:
    owner, counters, counter, latest, slot, ring, records = geometry[:7]
    histograms, histogram, funding = geometry[7:]
    fits = (
        records >= RING_SLOTS_MIN
        and records & (records - 1) == 0
        and all(offset % 8 == 0 for offset in (owner, counters, latest, ring))
        and histograms % 8 == funding % 8 == 0
        and owner + schema.OWNER.size_bytes <= size_bytes
        and counters + schema.COUNTERS.size_bytes + counter * schema.COUNTER.size_bytes
        <= size_bytes
        and max(latest, funding) + slot * schema.SLOT.size_bytes <= size_bytes
        and ring + schema.RING.size_bytes + records * RECORD_BYTES <= size_bytes
        and histograms
        + schema.HISTOGRAMS.size_bytes
        + histogram * schema.HISTOGRAM.size_bytes
        <= size_bytes
    )
    if not fits:
        raise ValueError(f"sections do not fit: bytes={size_bytes}")


def check_index(value: int, count: int, name: str) -> int:
    return check_limit(value, count - 1, name)


def check_limit(value: int, limit: int, name: str) -> int:
    number = as_unsigned(value, name)
    if number > limit:
        raise ValueError(f"above its limit {limit}: {name}={number}")
    return number


def as_unsigned(value: int, name: str) -> int:
    """Return what fits into 64 bits; whatever has `__index__` will do."""
    number = operator.index(value)
    if not 0 <= number <= _MASK:
        raise OverflowError(f"not an unsigned word: {name}={number}")
    return number


def as_signed(value: int, name: str) -> int:
    number = operator.index(value)
    if not _SIGNED_MIN <= number <= _SIGNED_MAX:
        raise OverflowError(f"not a signed word: {name}={number}")
    return number


def check_values(
    head: tuple[int, int, int, int, int], payload: tuple[Any, ...]
) -> None:
    flags, session, event_ns, recv_ns, venue_sequence = head
    check_limit(flags, 0xFFFF, "flags")
    check_limit(session, 0xFFFF_FFFF, "session")
    as_signed(event_ns, "event_ns")
    as_signed(recv_ns, "recv_ns")
    as_unsigned(venue_sequence, "venue_sequence")
    for value in payload:
        math.fabs(value)  # unlike `float`, it refuses text


def records_of(out: Any) -> memoryview:
    return items_of(out, RECORD_BYTES, "records")


def items_of(out: Any, item_bytes: int, name: str) -> memoryview:
    if isinstance(out, np.ndarray):
        # A copy of a scattered array would take the records and be lost.
        if not out.flags.c_contiguous or not out.flags.writeable:
            raise ValueError("not writable in one piece")
        array = out.reshape(-1).view(np.uint8)
    else:
        with memoryview(out) as view:
            if view.readonly or not view.c_contiguous:
                raise BufferError("not writable in one piece")
        array = np.frombuffer(out, np.uint8)
    if len(array) % item_bytes:
        raise ValueError(f"not an array of {name}: bytes={len(array)}")
    return array.data
