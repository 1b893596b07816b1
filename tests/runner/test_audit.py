"""REST and stream compared: within what the stream showed meanwhile, with tolerance."""

from __future__ import annotations

import numpy as np
import pytest

from feedhandler.runner.audit import (
    AGREED,
    DISAGREED,
    DISCARDED,
    SETTLE_NS,
    Audit,
    Check,
)
from shm_layout.schema import QUOTE

MS = 1_000_000
NAN = float("nan")


class Stream:
    """One instrument's tops, and the audit that looks at them."""

    def __init__(self, tick: float = 0.5, bps: int = 0) -> None:
        self.audit = Audit(2, bps, misses_max=3)
        self.tops = np.zeros(1, QUOTE.dtype)
        self.tops["session"] = 1
        self.ticks = np.array([tick])
        self.now_ns = 0

    def show(self, bid: float, ask: float, lasting_ms: int = 100) -> None:
        self.tops["bid"], self.tops["ask"] = bid, ask
        for _ in range(lasting_ms // 50):
            self.now_ns += 50 * MS
            self.audit.sample(self.tops, self.now_ns)

    def check(
        self, start_ns: int, publish_ns: int, bid: float, ask: float, index: int = 0
    ) -> str:
        self.audit.expect(Check(index, start_ns, publish_ns, bid, ask))
        results = self.audit.settle(self.tops, self.ticks, publish_ns + SETTLE_NS)
        assert [index for index, _ in results] == [index]
        return results[0][1]


@pytest.mark.parametrize(
    ("bid", "ask", "result"),
    [
        (100.0, 101.0, AGREED),
        (101.0, 102.0, AGREED),  # two ticks
        (101.1, 101.0, DISAGREED),
        (100.0, 102.1, DISAGREED),
        (NAN, 101.0, DISAGREED),
        (100.0, NAN, DISAGREED),
    ],
)
def test_two_ticks_are_tolerated_and_no_more(
    bid: float, ask: float, result: str
) -> None:
    stream = Stream()
    stream.show(100.0, 101.0, 500)
    assert stream.check(200 * MS, 300 * MS, bid, ask) == result


def test_basis_points_are_tolerated_where_they_are_more() -> None:
    stream = Stream(tick=NAN, bps=5)
    stream.show(100_000.0, 100_001.0, 500)
    assert stream.check(200 * MS, 300 * MS, 100_049.0, 100_050.0) == AGREED
    assert stream.check(200 * MS, 300 * MS, 100_060.0, 100_061.0) == DISAGREED


def test_any_top_of_the_time_of_the_request_may_be_the_one() -> None:
    stream = Stream()
    stream.show(100.0, 101.0, 300)
    stream.show(110.0, 111.0, 300)
    stream.show(200.0, 201.0, 500)
    assert stream.check(250 * MS, 500 * MS, 100.0, 101.0) == AGREED
    assert stream.check(250 * MS, 500 * MS, 105.0, 106.0) == AGREED
    assert stream.check(250 * MS, 400 * MS, 200.0, 201.0) == DISAGREED
    assert stream.check(400 * MS, 450 * MS, 100.0, 101.0) == DISAGREED


def test_an_absent_side_agrees_with_an_absent_side() -> None:
    stream = Stream()
    stream.show(NAN, 101.0, 500)
    assert stream.check(200 * MS, 300 * MS, NAN, 101.0) == AGREED
    assert stream.check(200 * MS, 300 * MS, 100.0, 101.0) == DISAGREED


@pytest.mark.parametrize(
    ("start_ns", "publish_ns", "index"),
    [
        (20 * MS, 300 * MS, 0),  # begun before we saw the stream
        (400 * MS, 300 * MS, 0),  # ended before it began
        (200 * MS, 300 * MS, 1),  # of nobody
    ],
)
def test_a_check_with_nothing_to_compare_is_discarded(
    start_ns: int, publish_ns: int, index: int
) -> None:
    stream = Stream()
    stream.show(100.0, 101.0, 500)
    assert stream.check(start_ns, publish_ns, 1.0, 2.0, index) == DISCARDED
    assert not stream.audit.is_suspect.any()
    assert np.isnan(stream.audit.score).all()


def test_a_check_over_two_sessions_is_discarded() -> None:
    stream = Stream()
    stream.show(100.0, 101.0, 300)
    stream.tops["session"] = 2
    stream.show(100.0, 101.0, 300)
    assert stream.check(200 * MS, 400 * MS, 100.0, 101.0) == DISCARDED


def test_a_check_waits_until_the_stream_has_settled() -> None:
    stream = Stream()
    stream.show(100.0, 101.0, 500)
    stream.audit.expect(Check(0, 200 * MS, 300 * MS, 100.0, 101.0))
    assert not stream.audit.settle(stream.tops, stream.ticks, 300 * MS)
    due_ns = 300 * MS + SETTLE_NS
    assert stream.audit.settle(stream.tops, stream.ticks, due_ns) == [(0, AGREED)]
    assert stream.audit.settle(stream.tops, stream.ticks, due_ns) == []
