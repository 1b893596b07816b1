"""Which answers are shown: bytes of thought, no network."""

from __future__ import annotations

from math import inf, isnan, nan

import pytest

from feedhandler.events import (
    FLAG_LOCKED,
    FLAG_ONE_SIDED,
    FLAG_SNAPSHOT,
    TIME_NONE,
    BookEvent,
)
from feedhandler.rest.due import AUDIT, CONFIRM, FALLBACK
from feedhandler.rest.validate import Discard, History, top_of

S = 1_000_000_000
T = 1_700_000_000 * S
Levels = list[tuple[float, float]]
BIDS: Levels = [(10.0, 1.0), (9.0, 2.0)]
ASKS: Levels = [(11.0, 1.0), (12.0, 2.0)]


def image(
    event_ns: int = T,
    sequence: int = -1,
    bids: Levels | None = None,
    asks: Levels | None = None,
) -> BookEvent:
    return BookEvent(
        "BTC",
        event_ns,
        True,
        BIDS if bids is None else bids,
        ASKS if asks is None else asks,
        sequence,
    )


def refused(one: BookEvent) -> str:
    with pytest.raises(Discard) as caught:
        top_of(one)
    return caught.value.reason


def judge(
    history: History,
    one: BookEvent,
    purpose: str = FALLBACK,
    *,
    at_s: int = 0,
    date_s: int | None = None,
    stream_ns: int = TIME_NONE,
) -> str:
    """Return why an answer is discarded; nothing, and remember it, when it is not."""
    try:
        history.check(one, purpose, at_s * S, date_s, stream_ns)
    except Discard as error:
        return error.reason
    history.note(one, at_s * S, date_s)
    return ""


def test_top_is_the_best_of_each_side_wherever_it_stands() -> None:
    top = top_of(image(bids=[(9.0, 2.0), (10.0, 1.0)], asks=[(12.0, 2.0), (11.0, 3.0)]))
    assert (top.bid, top.bid_size, top.ask, top.ask_size) == (10.0, 1.0, 11.0, 3.0)
    assert top.flags == FLAG_SNAPSHOT


def test_one_side_is_flagged_and_none_refused() -> None:
    top = top_of(image(asks=[]))
    assert isnan(top.ask)
    assert top.flags == FLAG_SNAPSHOT | FLAG_ONE_SIDED
    assert refused(image(bids=[], asks=[])) == "empty"
    assert refused(image(bids=[(10.0, 0.0)], asks=[])) == "empty", "size 0 is absent"


def test_locked_is_flagged_and_crossed_refused() -> None:
    assert top_of(image(asks=[(10.0, 1.0)])).flags == FLAG_SNAPSHOT | FLAG_LOCKED
    assert refused(image(asks=[(9.5, 1.0)])) == "crossed"


@pytest.mark.parametrize("price", [0.0, -1.0, nan, inf, -inf])
def test_level_with_an_impossible_price_refuses_all(price: float) -> None:
    assert refused(image(bids=[*BIDS, (price, 1.0)])) == "level"


@pytest.mark.parametrize("size", [-1.0, nan, inf])
def test_level_with_an_impossible_size_refuses_all(size: float) -> None:
    assert refused(image(asks=[*ASKS, (20.0, size)])) == "level"


def test_answer_older_than_the_last_is_refused_for_every_purpose() -> None:
    for purpose in (FALLBACK, CONFIRM, AUDIT):
        history = History()
        assert judge(history, image(T), purpose) == ""
        assert judge(history, image(T - 1), purpose) == "older"
        assert judge(history, image(T + 1), purpose) == ""


def test_number_decides_where_times_are_equal_or_absent() -> None:
    history = History()
    assert judge(history, image(T, 7)) == ""
    assert judge(history, image(T, 6)) == "older"
    assert judge(history, image(T, 8)) == ""
    history = History()
    assert judge(history, image(TIME_NONE, 7)) == ""
    assert judge(history, image(TIME_NONE, 6)) == "older"


def test_newer_time_outlives_a_number_that_began_anew() -> None:
    history = History()
    assert judge(history, image(T, 1_000)) == ""
    assert judge(history, image(T + S, 1)) == ""


def test_answer_older_than_the_stream_is_refused() -> None:
    history = History()
    assert judge(history, image(T), AUDIT, stream_ns=T + 5 * S) == "older"
    assert judge(history, image(T), AUDIT, stream_ns=T + S // 2) == "", "clocks differ"
    without_time = image(TIME_NONE, bids=[(10.0, 9.0)])
    assert judge(History(), without_time, AUDIT, stream_ns=T) == ""


@pytest.mark.parametrize(
    "one", [image(T, 7), image(T), image(TIME_NONE, 7), image(TIME_NONE)]
)
def test_frozen_answer_gives_a_fallback_no_freshness(one: BookEvent) -> None:
    history = History()
    assert judge(history, one) == ""
    for at_s in range(1, 100):
        assert judge(history, one, at_s=at_s, date_s=at_s) == "frozen"


def test_levels_that_move_are_news_where_there_is_neither_time_nor_number() -> None:
    history = History()
    assert judge(history, image(TIME_NONE)) == ""
    assert judge(history, image(TIME_NONE, bids=[(10.0, 1.5), (9.0, 2.0)])) == ""


def test_quiet_market_is_confirmed_again_by_the_same_answer() -> None:
    history = History()
    for at_s in range(0, 90, 9):
        assert judge(history, image(T, 7), CONFIRM, at_s=at_s, date_s=at_s) == ""


def test_stored_answer_confirms_nothing() -> None:
    history = History()
    assert judge(history, image(T, 7), CONFIRM, at_s=0, date_s=100) == ""
    assert judge(history, image(T, 7), CONFIRM, at_s=9, date_s=100) == "frozen"
    assert judge(history, image(T, 7), CONFIRM, at_s=9, date_s=108) == ""


def test_what_a_former_process_published_is_remembered() -> None:
    assert judge(History(T, 7), image(T, 7)) == "frozen"
    assert judge(History(T, 7), image(T - S, 9)) == "older"
    assert judge(History(), image(T, 7)) == ""
