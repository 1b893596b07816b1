"""Our buckets are those of shared memory."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from feedhandler.telemetry.buckets import Spread, buckets_of, expand
from shm_layout import Capacities, Writer
from shm_layout.directory import bucket_limit_ns
from shm_layout.limits import BUCKETS


@given(st.integers(0, (1 << 41) - 1))
def test_value_lies_between_the_limits_of_its_bucket(value: int) -> None:
    (bucket,) = buckets_of(np.array([value])).tolist()
    assert value <= bucket_limit_ns(bucket)
    assert bucket == 0 or value > bucket_limit_ns(bucket - 1)


def test_value_above_every_limit_is_in_the_last_bucket() -> None:
    assert buckets_of(np.array([1 << 41, 1 << 62])).tolist() == [BUCKETS - 1] * 2


def test_spread_is_what_shared_memory_would_hold(instance: str) -> None:
    values = [0, 1, 15, 16, 17, 31, 32, 1_000, 999_999, 10**9, 10**12, 10**13]
    spread = Spread()
    spread.add(np.array(values))
    with Writer.open(
        instance, "runner", Capacities(1, ring_slots=8, histograms=1)
    ) as writer:
        index = writer.histogram("x")
        for value in values:
            writer.record(index, value)
        (histogram,) = writer.histograms()
        writer.close(unlink=True)
    read_back = expand(spread.record("x"))
    assert read_back == histogram
    assert read_back.percentile_ns(50) == histogram.percentile_ns(50)
