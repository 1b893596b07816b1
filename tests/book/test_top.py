"""What may replace the last top of book, and what is dropped."""

from __future__ import annotations

from itertools import pairwise
from math import nan

import pytest

from feedhandler.book.top import (
    ACCEPTED,
    CROSSED,
    CROSSED_NS_MAX,
    REGRESSED,
    RESYNC,
    RESYNC_GAP_NS,
    TopOfBook,
)
from feedhandler.events import (
    FLAG_LOCKED,
    FLAG_ONE_SIDED,
    FLAG_SNAPSHOT,
    FLAG_UNCHANGED,
    TIME_NONE,
    QuoteEvent,
)


def quote(
    bid: float = 9.0,
    ask: float = 10.0,
    event_ns: int = 100,
    size: float = 1.0,
    flags: int = 0,
) -> QuoteEvent:
    return QuoteEvent("BTC", event_ns, 0, bid, size, ask, size, flags)


def judged(top: TopOfBook, event: QuoteEvent, recv_ns: int = 0) -> tuple[int, int]:
    return top.judge(event, recv_ns), event.flags


def test_first_quote_is_accepted_and_is_a_change() -> None:
    assert judged(TopOfBook("BTC"), quote()) == (ACCEPTED, 0)


def test_same_top_again_is_accepted_as_unchanged() -> None:
    top = TopOfBook("BTC")
    judged(top, quote())
    assert judged(top, quote(event_ns=101)) == (ACCEPTED, FLAG_UNCHANGED)
    assert judged(top, quote(event_ns=102, size=2.0)) == (ACCEPTED, 0)


def test_flags_of_the_frame_are_kept() -> None:
    verdict, flags = judged(TopOfBook("BTC"), quote(flags=FLAG_SNAPSHOT))
    assert (verdict, flags) == (ACCEPTED, FLAG_SNAPSHOT)


def test_equal_time_is_accepted_and_older_is_dropped() -> None:
    top = TopOfBook("BTC")
    judged(top, quote(event_ns=100))
    assert judged(top, quote(bid=8.0, event_ns=100))[0] == ACCEPTED
    assert judged(top, quote(event_ns=99))[0] == REGRESSED


def test_quote_without_a_time_is_never_older() -> None:
    top = TopOfBook("BTC")
    judged(top, quote(event_ns=100))
    assert judged(top, quote(event_ns=TIME_NONE))[0] == ACCEPTED
    assert judged(top, quote(event_ns=99))[0] == REGRESSED


def test_order_in_time_starts_again_with_a_new_subscription() -> None:
    top = TopOfBook("BTC")
    judged(top, quote(event_ns=100))
    top.restart()
    assert judged(top, quote(event_ns=50))[0] == ACCEPTED


def test_locked_book_is_accepted_with_its_flag() -> None:
    assert judged(TopOfBook("BTC"), quote(bid=10.0)) == (ACCEPTED, FLAG_LOCKED)


@pytest.mark.parametrize(("bid", "ask"), [(nan, 10.0), (9.0, nan), (nan, nan)])
def test_one_sided_book_is_accepted_with_its_flag(bid: float, ask: float) -> None:
    top = TopOfBook("BTC")
    assert judged(top, quote(bid, ask)) == (ACCEPTED, FLAG_ONE_SIDED)
    again = judged(top, quote(bid, ask, event_ns=101))
    assert again == (ACCEPTED, FLAG_ONE_SIDED | FLAG_UNCHANGED)


def test_crossed_book_is_dropped_and_the_third_in_a_row_resyncs() -> None:
    top = TopOfBook("BTC")
    verdicts = [judged(top, quote(bid=11.0), recv_ns)[0] for recv_ns in (1, 2, 3)]
    assert verdicts == [CROSSED, CROSSED, RESYNC]
    assert top.is_syncing


def test_good_quote_between_crossed_ones_starts_the_count_again() -> None:
    top = TopOfBook("BTC")
    for _ in range(5):
        assert judged(top, quote(bid=11.0), 1)[0] == CROSSED
        assert judged(top, quote(bid=11.0), 2)[0] == CROSSED
        assert judged(top, quote(), 3)[0] == ACCEPTED
    assert not top.is_syncing


def test_book_crossed_for_half_a_second_resyncs() -> None:
    top = TopOfBook("BTC")
    assert judged(top, quote(bid=11.0), 1)[0] == CROSSED
    assert judged(top, quote(bid=11.0), 1 + CROSSED_NS_MAX)[0] == RESYNC


def test_crossed_silence_resyncs_by_the_clock_alone() -> None:
    top = TopOfBook("BTC")
    judged(top, quote(bid=11.0), 1)
    assert not top.crossed_too_long(CROSSED_NS_MAX)
    assert top.crossed_too_long(1 + CROSSED_NS_MAX)
    assert not top.crossed_too_long(2 + CROSSED_NS_MAX)


def test_quote_that_ends_syncing_is_a_change_even_with_the_old_prices() -> None:
    top = TopOfBook("BTC")
    judged(top, quote())
    for recv_ns in (1, 2, 3):
        judged(top, quote(bid=11.0), recv_ns)
    assert judged(top, quote(event_ns=101)) == (ACCEPTED, 0)
    assert not top.is_syncing


def test_book_that_stays_crossed_asks_for_resyncs_ever_more_rarely() -> None:
    top = TopOfBook("BTC")
    resyncs = []
    for recv_ns in range(0, 40 * RESYNC_GAP_NS, RESYNC_GAP_NS // 50):
        if judged(top, quote(bid=11.0), recv_ns)[0] == RESYNC:
            resyncs.append(recv_ns)
    gaps = [after - before for before, after in pairwise(resyncs)]
    assert gaps[0] >= RESYNC_GAP_NS
    assert all(after >= before for before, after in pairwise(gaps))
    assert len(resyncs) < 10
