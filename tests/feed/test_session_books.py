"""A session that keeps books: what a broken chain makes of what is published."""

from __future__ import annotations

import json
from math import isnan
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from feedhandler.events import (
    FLAG_SNAPSHOT,
    FLAG_UNCHANGED,
    FundingEvent,
    QuoteEvent,
    SyncingEvent,
)
from feedhandler.venues._base import Options
from feedhandler.venues.lighter import VENUE
from tests.feed.driver import MS, SECOND, Driven

SUBSCRIBE = '{"type":"subscribe","channel":"order_book/1"}'
CANCEL = '{"type":"unsubscribe","channel":"order_book/1"}'

Sizes = dict[str, str]


def step(
    verb: str, bids: Sizes, asks: Sizes, nonce: int, begin: int = 0
) -> dict[str, Any]:
    sides = {
        name: [{"price": price, "size": size} for price, size in side.items()]
        for name, side in (("bids", bids), ("asks", asks))
    }
    data = {**sides, "nonce": nonce, "begin_nonce": begin}
    return {"type": f"{verb}/order_book", "channel": "order_book:1", "order_book": data}


def image(nonce: int, bid: str = "100", ask: str = "101") -> dict[str, Any]:
    return step("subscribed", {bid: "1", "99": "2"}, {ask: "1", "102": "2"}, nonce)


def change(
    begin: int, nonce: int, bids: Sizes | None = None, asks: Sizes | None = None
) -> dict[str, Any]:
    return step("update", bids or {}, asks or {}, nonce, begin)


def stats() -> dict[str, Any]:
    numbers = {"current_funding_rate": "0.0012", "mark_price": "100"}
    channel = {"type": "update/market_stats", "channel": "market_stats:1"}
    return {**channel, "market_stats": numbers}


def whole(kind: str = "depth") -> Driven:
    """Return a session of one market that is subscribed and has its image."""
    driven = Driven(("1",), options=Options(kind, trades=False), venue=VENUE)
    driven.turn(SECOND, 10 * MS)
    if kind == "depth":
        (quote,) = driven.receive(image(10))
        assert isinstance(quote, QuoteEvent)
        assert quote.flags == FLAG_SNAPSHOT
    driven.counted.clear()
    driven.sent.clear()
    return driven


def top(events: list[Any]) -> tuple[float, float, float, float]:
    (quote,) = events
    assert isinstance(quote, QuoteEvent)
    return quote.bid, quote.bid_size, quote.ask, quote.ask_size


def texts(driven: Driven) -> list[str]:
    return [text for _, text in driven.sent]


# --- Depth --------------------------------------------------------------------------


def test_change_moves_the_top_and_has_the_venues_sequence() -> None:
    driven = whole()
    events = driven.receive(change(10, 14, {"100": "0.00000"}, {"100.5": "3"}))
    assert top(events) == (99.0, 2.0, 100.5, 3.0)
    assert isinstance(events[0], QuoteEvent)
    assert (events[0].venue_sequence, events[0].flags) == (14, 0)


def test_change_below_the_top_is_published_as_unchanged() -> None:
    driven = whole()
    (quote,) = driven.receive(change(10, 11, {"98": "5"}))
    assert isinstance(quote, QuoteEvent)
    assert quote.flags == FLAG_UNCHANGED


def test_gap_is_syncing_first_then_resynced_then_whole_again() -> None:
    driven = whole()
    assert driven.receive(change(12, 14, {"100.5": "9"})) == [
        SyncingEvent("1", "nonce_gap")
    ]
    assert driven.counted["resyncs.nonce_gap"] == 1
    assert driven.receive(change(14, 15)) == []
    assert driven.counted["before_image"] == 1
    driven.turn(SECOND, 10 * MS)
    assert texts(driven) == [CANCEL, SUBSCRIBE]
    assert driven.receive(change(15, 16, {"100.6": "9"})) == []
    assert top(driven.receive(image(20))) == (100.0, 1.0, 101.0, 1.0)
    assert top(driven.receive(change(20, 21, {"100": "4"})))[1] == 4.0
    assert driven.counted["acks"] == 1
    assert driven.label == ""


def test_duplicate_and_older_changes_are_ignored() -> None:
    driven = whole()
    change_of_ten = change(10, 12, {"98": "1"})
    driven.receive(change_of_ten)
    assert driven.receive(change_of_ten) == []
    assert driven.receive(change(9, 11, {"100.5": "1"})) == []
    assert (driven.counted["duplicates"], driven.counted["regressed"]) == (1, 1)
    assert top(driven.receive(change(12, 13))) == (100.0, 1.0, 101.0, 1.0)


def test_last_change_again_with_other_content_is_a_resync() -> None:
    driven = whole()
    driven.receive(change(10, 12))
    assert driven.receive(change(10, 12, {"100.5": "1"})) == [
        SyncingEvent("1", "nonce_gap")
    ]


def test_change_that_crosses_the_book_is_never_published() -> None:
    driven = whole()
    assert driven.receive(change(10, 11, {"101.5": "1"})) == [
        SyncingEvent("1", "crossed")
    ]
    assert driven.counted["resyncs.crossed"] == 1
    assert driven.receive(change(11, 12, {"101.5": "0"})) == []


def test_change_that_empties_a_side_is_a_gap_nobody_named() -> None:
    driven = whole()
    events = driven.receive(change(10, 11, {"100": "0", "99": "0"}))
    assert events == [SyncingEvent("1", "nonce_gap")]


def test_refused_change_breaks_the_chain_of_the_next() -> None:
    driven = whole()
    assert driven.receive(change(10, 11, {"x": "1"})) == []
    assert driven.receive(change(11, 12)) == [SyncingEvent("1", "nonce_gap")]


def test_same_prices_after_a_doubt_are_news() -> None:
    driven = whole()
    driven.receive(change(12, 14))
    (quote,) = driven.receive(image(20))
    assert isinstance(quote, QuoteEvent)
    assert quote.flags == FLAG_SNAPSHOT


def test_image_as_old_as_the_last_step_heals() -> None:
    driven = whole()
    driven.receive(change(11, 12))
    assert top(driven.receive(image(10))) == (100.0, 1.0, 101.0, 1.0)


def test_images_that_stay_crossed_are_asked_for_in_growing_gaps() -> None:
    driven = whole()
    for number in range(600):
        driven.receive(image(20 + number, bid="103"))
        driven.receive(stats())
        driven.turn(100 * MS, 10 * MS)
    assert not any(isinstance(event, QuoteEvent) for event in driven.events[1:])
    assert 2 <= texts(driven).count(SUBSCRIBE) <= 5


def test_book_that_gets_no_new_image_needs_a_new_session() -> None:
    driven = whole()
    driven.receive(change(12, 14))
    while driven.goes_on:
        driven.receive(stats())
        for key in ("order_book:1", "market_stats:1"):
            driven.receive(already(key))
        driven.turn(100 * MS)
    assert driven.label == "seq_gap"


def already(key: str) -> dict[str, Any]:
    text = f"Already Subscribed to : {key}"
    return {"error": {"code": 30003, "message": text}}


def test_standing_subscription_without_its_image_is_ended_and_begun_again() -> None:
    driven = Driven(("1",), options=Options("depth", trades=False), venue=VENUE)
    driven.turn(SECOND, 10 * MS)
    driven.receive(already("order_book:1"))
    driven.turn(SECOND, 10 * MS)
    assert [text for text in texts(driven) if "order_book" in text] == [
        SUBSCRIBE,
        CANCEL,
        SUBSCRIBE,
    ]


def test_standing_subscription_of_a_whole_book_is_an_ack() -> None:
    driven = whole()
    driven.receive(already("order_book:1"))
    driven.turn(SECOND, 10 * MS)
    assert texts(driven) == []


def test_doubt_of_one_symbol_leaves_the_other_alone() -> None:
    options = Options("depth", trades=False)
    driven = Driven(("1", "2"), options=options, venue=VENUE)
    driven.turn(2 * SECOND, 10 * MS)
    other = json.loads(json.dumps(image(5)).replace("order_book:1", "order_book:2"))
    driven.receive(image(10))
    driven.receive(other)
    assert driven.receive(change(12, 13)) == [SyncingEvent("1", "nonce_gap")]
    more = json.dumps(change(5, 6)).replace("order_book:1", "order_book:2")
    assert top(driven.receive(more.encode())) == (100.0, 1.0, 101.0, 1.0)


@given(
    st.lists(
        st.tuples(
            st.integers(90, 110),
            st.integers(0, 3),
            st.sampled_from(["good", "cut", "again"]),
        ),
        max_size=60,
    )
)
def test_no_history_publishes_other_than_the_true_top(
    history: list[tuple[int, int, str]],
) -> None:
    driven = whole()
    bids, asks = {100: 1.0, 99: 2.0}, {101: 1.0, 102: 2.0}
    nonce = 10
    message = image(nonce)
    for price, size, fate in history:
        side, name = (bids, "bids") if price <= 100 else (asks, "asks")
        if fate != "again":
            if size:
                side[price] = float(size)
            elif len(side) > 1:
                side.pop(price, None)
            row = {str(price): str(side.get(price, 0.0))}
            message = change(nonce, nonce + 2, **{name: row})
            nonce += 2
        if fate == "cut":
            continue
        for event in driven.receive(message):
            if isinstance(event, QuoteEvent):
                best = max(bids), min(asks)
                assert (event.bid, event.ask) == best
                assert (event.bid_size, event.ask_size) == (
                    bids[best[0]],
                    asks[best[1]],
                )
            else:
                assert isinstance(event, SyncingEvent)


# --- Best bid and offer -------------------------------------------------------------


def ticker(nonce: int, bid: str = "100") -> dict[str, Any]:
    sides = {"b": {"price": bid, "size": "1"}, "a": {"price": "101", "size": "1"}}
    channel = {"type": "update/ticker", "channel": "ticker:1"}
    return {**channel, "nonce": nonce, "ticker": sides}


def test_ticker_is_ordered_by_its_nonce() -> None:
    driven = whole("bbo")
    (quote,) = driven.receive(ticker(7))
    assert isinstance(quote, QuoteEvent)
    assert quote.venue_sequence == 7
    assert driven.receive(ticker(7, "99")) == []
    assert driven.receive(ticker(6, "99")) == []
    assert (driven.counted["duplicates"], driven.counted["regressed"]) == (1, 1)
    assert top(driven.receive(ticker(50, "99")))[0] == 99.0


def test_book_frame_in_a_session_of_tickers_is_refused() -> None:
    driven = whole("bbo")
    assert driven.receive(image(10)) == []
    assert driven.counted["rejected.unsubscribed"] == 1


# --- Control ------------------------------------------------------------------------


def test_pings_of_the_server_are_answered_once_a_tick() -> None:
    driven = whole()
    session = driven.session
    for _ in range(1_000):
        session.receive(b'{"type":"ping"}', driven.now)
    assert session.take_outgoing() == ['{"type":"pong"}']


def test_statistics_are_fresh_data_without_a_quote() -> None:
    driven = whole()
    (event,) = driven.receive(stats())
    assert isinstance(event, FundingEvent)
    assert event.rate_per_hour == 0.0012 / 100
    assert isnan(event.open_interest)
