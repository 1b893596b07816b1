"""Counters, histograms, heartbeat: words that are added to, by both implementations."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shm_layout import schema
from shm_layout.directory import Histogram, bucket_limit_ns
from shm_layout.limits import BUCKET_EXPONENT_MAX, BUCKETS
from tests.shm_layout.memory import IMPLEMENTATIONS, MASK, SMALL, Memory

SIGNED_MAX = (1 << 63) - 1


def counter_offset(memory: Memory, index: int) -> int:
    first = memory.plan.counters_offset + schema.COUNTERS.size_bytes
    return first + index * schema.COUNTER.size_bytes


def histogram_offset(memory: Memory, index: int) -> int:
    first = memory.plan.histograms_offset + schema.HISTOGRAMS.size_bytes
    return first + index * schema.HISTOGRAM.size_bytes


def histogram(memory: Memory, index: int) -> Histogram:
    start = histogram_offset(memory, index)
    data = memory.bytes[start : start + schema.HISTOGRAM.size_bytes]
    _, *numbers = schema.HISTOGRAM.struct.unpack(data)
    count, total, largest, negative, *buckets = numbers
    return Histogram("h", count, total, largest, negative, tuple(buckets))


def test_counter_adds_and_leaves_its_neighbours(name: str, memory: Memory) -> None:
    writer = memory.writer(name)
    for amount in (1, 0, 41):
        writer.count(1, amount)
    values = [memory[counter_offset(memory, index)] for index in range(SMALL.counters)]
    assert values == [0, 42, 0, 0]


def test_counter_wraps(name: str, memory: Memory) -> None:
    memory[counter_offset(memory, 3)] = MASK - 1
    memory.writer(name).count(3, 5)
    assert memory[counter_offset(memory, 3)] == 3


def test_heartbeat_and_progress_are_stored(name: str, memory: Memory) -> None:
    writer = memory.writer(name)
    writer.beat(123, 456)
    assert memory[memory.owner("heartbeat_ns")] == 123
    assert memory[memory.owner("progress")] == 456
    writer.beat(-1, MASK)
    assert memory[memory.owner("heartbeat_ns")] == MASK
    assert writer.load(memory.owner("progress")) == MASK


# --- histograms -----------------------------------------------------------------------


def test_bucket_limits_close_every_gap() -> None:
    limits = [bucket_limit_ns(bucket) for bucket in range(BUCKETS)]
    assert limits == sorted(set(limits))
    assert limits[:17] == list(range(17))
    assert limits[-1] == (1 << (BUCKET_EXPONENT_MAX + 1)) - 1


def expected_bucket(value_ns: int) -> int:
    """Return the first bucket whose limit is not below the value, the last at most."""
    for bucket in range(BUCKETS):
        if value_ns <= bucket_limit_ns(bucket):
            return bucket
    return BUCKETS - 1


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.integers(-(1 << 63), SIGNED_MAX),
            st.integers(0, 40),
            st.integers(0, 62).flatmap(
                lambda bits: st.integers((1 << bits) - 1, (1 << bits) + 1)
            ),
        ),
        min_size=1,
        max_size=40,
    )
)
def test_histograms_of_both_are_equal_and_right(values: list[int]) -> None:
    found = {}
    for name in IMPLEMENTATIONS:
        memory = Memory()
        writer = memory.writer(name)
        for value in values:
            writer.record(1, value)
        found[name] = histogram(memory, 1)
        assert histogram(memory, 0).count == 0
    counted = [value for value in values if value >= 0]
    buckets = [0] * BUCKETS
    for value in counted:
        buckets[expected_bucket(value)] += 1
    assert found["native"] == found["twin"]
    assert found["native"] == Histogram(
        "h",
        len(values),
        sum(counted) & MASK,
        max(counted, default=0),
        len(values) - len(counted),
        tuple(buckets),
    )


def test_every_boundary_falls_into_its_bucket(name: str, memory: Memory) -> None:
    writer = memory.writer(name)
    for bucket in range(BUCKETS):
        writer.record(0, bucket_limit_ns(bucket))  # the largest of this bucket
    for bucket in range(BUCKETS - 1):
        writer.record(0, bucket_limit_ns(bucket) + 1)  # the smallest of the next
    assert histogram(memory, 0).buckets == (1, *[2] * (BUCKETS - 1))


def test_sum_and_count_wrap(name: str, memory: Memory) -> None:
    start = histogram_offset(memory, 0)
    for field in ("count", "sum_ns", "negative"):
        memory[start + schema.HISTOGRAM.offsets[field]] = MASK
    writer = memory.writer(name)
    writer.record(0, 5)
    writer.record(0, -5)
    found = histogram(memory, 0)
    assert (found.count, found.sum_ns, found.negative) == (1, 4, 0)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 1 << 41), min_size=1, max_size=60), st.floats(0, 100))
def test_percentile_is_right_to_a_sixteenth(values: list[int], percent: float) -> None:
    memory = Memory()
    writer = memory.writer("twin")
    for value in values:
        writer.record(0, value)
    rank = max(1, math.ceil(len(values) * percent / 100))
    exact = sorted(values)[rank - 1]
    found = histogram(memory, 0).percentile_ns(percent)
    assert found is not None
    assert exact <= found <= max(exact * 17 // 16, exact)


def test_percentile_of_nothing_is_none(memory: Memory) -> None:
    assert histogram(memory, 0).percentile_ns(99) is None


@pytest.mark.parametrize("percent", [0.0, 50.0, 100.0])
def test_percentile_never_exceeds_the_largest(memory: Memory, percent: float) -> None:
    memory.writer("twin").record(0, 1_000_003)
    assert histogram(memory, 0).percentile_ns(percent) == 1_000_003
