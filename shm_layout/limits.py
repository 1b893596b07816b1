"""Every limit of the shared memory, and how the limits must relate.

A capacity comes from configuration; what it may be is decided here, once.
"""

from __future__ import annotations

from dataclasses import dataclass

RECORD_BYTES = 128
LINE_BYTES = 128  # two 64-byte lines: x86 prefetches them as a pair
SECTION_ALIGNMENT = 4096

INSTRUMENTS_DEFAULT = 1_024
INSTRUMENTS_MAX = 65_536
RING_SLOTS_DEFAULT = 65_536
RING_SLOTS_MIN = 8  # a reader resumes half a ring behind the head: keep that useful
RING_SLOTS_MAX = 1 << 24  # 2 GiB of records
COUNTERS_DEFAULT = 256
COUNTERS_MAX = 4_096
HISTOGRAMS_DEFAULT = 16
HISTOGRAMS_MAX = 1_024
COMMANDS_MAX = 32  # venues that one runner commands: ten times those that are known

# Reading a slot is retried only when a whole newer quote was published meanwhile. The
# longest runs measured under a full-rate writer were 22 tries in C and 66 in Python.
SLOT_RETRIES_MAX = 1_024

# A price that jumped is believed once it has stood for so long: the writer flags what
# comes sooner, a reader believes a flagged quote that is older.
OUTLIER_HOLD_NS = 1_000_000_000

# Log-linear buckets: 16 a power of two keeps an error of at most 1/16; values up to
# 2^41 ns (36 minutes) have a bucket of their own.
BUCKETS_PER_OCTAVE_BITS = 4
BUCKET_EXPONENT_MAX = 40
BUCKETS = (BUCKET_EXPONENT_MAX - BUCKETS_PER_OCTAVE_BITS + 2) << BUCKETS_PER_OCTAVE_BITS

assert RECORD_BYTES % 8 == 0
assert SECTION_ALIGNMENT % LINE_BYTES == 0
assert RING_SLOTS_MIN & (RING_SLOTS_MIN - 1) == 0
assert RING_SLOTS_DEFAULT & (RING_SLOTS_DEFAULT - 1) == 0
assert RING_SLOTS_MAX * RECORD_BYTES <= 1 << 31
assert INSTRUMENTS_DEFAULT <= INSTRUMENTS_MAX < 1 << 32
assert BUCKETS == 608


@dataclass(frozen=True, slots=True)
class Capacities:
    """How much one segment holds. Out-of-range values raise `ValueError`."""

    instruments: int = INSTRUMENTS_DEFAULT
    ring_slots: int = RING_SLOTS_DEFAULT
    counters: int = COUNTERS_DEFAULT
    histograms: int = HISTOGRAMS_DEFAULT

    def __post_init__(self) -> None:
        _check("instruments", self.instruments, 1, INSTRUMENTS_MAX)
        _check("ring_slots", self.ring_slots, RING_SLOTS_MIN, RING_SLOTS_MAX)
        _check("counters", self.counters, 1, COUNTERS_MAX)
        _check("histograms", self.histograms, 1, HISTOGRAMS_MAX)
        if self.ring_slots & (self.ring_slots - 1):
            raise ValueError(f"not a power of two: ring_slots={self.ring_slots}")


def _check(name: str, value: int, minimum: int, maximum: int) -> None:
    if not minimum <= value <= maximum:
        raise ValueError(f"out of range {minimum}..{maximum}: {name}={value}")
