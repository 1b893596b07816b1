"""Bounded series: what is put together stays the sum of its parts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedhandler.report.blocks import POINTS_MAX, Blocks, Points, slope
from feedhandler.report.tally import Spans, Tallies, Tally
from feedhandler.telemetry.records import Histogram


@given(st.lists(st.floats(0, 1e6), max_size=200))
def test_sums_survive_every_doubling_of_the_width(times: list[float]) -> None:
    blocks = Blocks(blocks_max=8)
    for at_s in times:
        blocks.add(at_s, 1.0)
    assert blocks.rows.sum() == len(times)
    assert len(blocks.rows) <= 8


def test_the_greatest_value_survives_where_it_was() -> None:
    blocks = Blocks(keep="max", blocks_max=4)
    for at_s in range(1_000):
        blocks.add(float(at_s), 7.0 if at_s == 700 else 1.0)
    place = int(np.argmax(blocks.rows[:, 0]))
    assert place * blocks.width_s <= 700 < (place + 1) * blocks.width_s


def test_points_are_thinned_and_keep_their_span() -> None:
    points = Points()
    for number in range(100_000):
        points.add(float(number), float(number))
    assert len(points.values) < POINTS_MAX
    assert points.values[0] == (0.0, 0.0)
    assert points.values[-1][0] > 99_000
    assert slope(points.values) == pytest.approx(1.0)


def test_a_slope_ignores_a_spike_and_needs_three_points() -> None:
    flat = [(float(t), 1e6 if t == 50 else 5.0) for t in range(100)]
    assert slope(flat) == 0.0
    assert slope(flat[:2]) is None


def test_a_counter_that_begins_anew_is_added_and_one_from_before_is_not() -> None:
    tally = Tally()
    for value in (100, 103, 2, 5):
        tally.add(value)
    assert tally.grown == 3 + 2 + 3
    appeared = Tally()
    appeared.add(None)
    appeared.add(4)
    assert appeared.grown == 4


def test_a_reason_that_appears_later_was_counted_while_we_looked() -> None:
    tallies = Tallies()
    tallies.add({"old": 7})
    assert tallies.add({"old": 7, "new": 2}) == {"new": 2}
    assert tallies.grown() == {"new": 2}


def test_a_histogram_counts_what_came_in_our_span_and_after_a_restart() -> None:
    def histogram(*pairs: int) -> Histogram:
        return Histogram(
            name="x", count=0, sum_ns=0, max_ns=99, negative=0, buckets=list(pairs)
        )

    spans = Spans()
    for shown in (histogram(3, 10), histogram(3, 12, 5, 1), histogram(5, 4)):
        spans.add(shown)
    assert spans.buckets == {3: 2, 5: 5}
