"""What of a session's frames is published, and what is not."""

from __future__ import annotations

from feedhandler.events import (
    FLAG_REPLAYED,
    FundingEvent,
    QuoteEvent,
    SyncingEvent,
    TradeEvent,
)
from feedhandler.feed.session import PAUSE_NS_MAX
from tests.feed.driver import (
    MS,
    SECOND,
    TICK,
    WALL_MS,
    Driven,
    context,
    running,
)


def test_backlog_after_a_pause_is_not_published() -> None:
    driven = running(symbols=("BTC", "ETH"))
    driven.now += PAUSE_NS_MAX + 1
    events = driven.quote(bid="90")
    assert events == [SyncingEvent("BTC", "paused"), SyncingEvent("ETH", "paused")]
    assert driven.label == "stale_watchdog"
    assert driven.counted["self_stalls"] == 1
    assert driven.quote(bid="90") == []


def test_pause_is_seen_by_the_clock_too() -> None:
    driven = running()
    driven.now += 60 * SECOND
    assert driven.tick() == [SyncingEvent("BTC", "paused")]
    assert driven.label == "stale_watchdog"


def test_short_stall_publishes_what_it_delayed() -> None:
    driven = running()
    driven.now += 300 * MS
    assert len(driven.quote()) == 1
    assert driven.label == ""


# --- Events -------------------------------------------------------------------------


def test_quote_funding_and_trades_come_through() -> None:
    driven = running()
    assert isinstance(driven.quote()[0], QuoteEvent)
    assert isinstance(driven.receive(context())[0], FundingEvent)


def test_replayed_trades_are_flagged_and_repeated_ones_dropped() -> None:
    driven = running()
    base = {"coin": "BTC", "side": "A", "px": "1", "sz": "1"}
    old = {**base, "time": WALL_MS - 5_000, "tid": 7}
    new = {**base, "time": WALL_MS + 10_000, "tid": 8}
    events = driven.receive({"channel": "trades", "data": [old, new, old]})
    flags = [event.flags for event in events if isinstance(event, TradeEvent)]
    assert flags == [FLAG_REPLAYED, 0]
    assert driven.counted["duplicates"] == 1


def test_third_crossed_book_in_a_row_syncs_before_anything_else() -> None:
    driven = running(symbols=("BTC", "ETH"))
    events = [driven.quote(bid="102") for _ in range(3)]
    assert events == [[], [], [SyncingEvent("BTC", "crossed")]]
    assert driven.counted["resyncs.crossed"] == 1
    assert driven.counted["crossed"] == 3
    driven.turn(SECOND, 10 * MS)
    assert driven.requests("unsubscribe") == [{"type": "bbo", "coin": "BTC"}]
    assert driven.requests()[-1] == {"type": "bbo", "coin": "BTC"}
    assert driven.label == ""
    driven.acknowledge()
    (event,) = driven.quote()
    assert isinstance(event, QuoteEvent)


def test_book_left_crossed_is_resynced_by_the_clock() -> None:
    driven = running()
    driven.quote(bid="102")
    driven.turn(SECOND)
    assert SyncingEvent("BTC", "crossed") in driven.events
    assert driven.counted["resyncs.crossed"] == 1


def test_symbol_that_never_spoke_is_subscribed_again_while_others_flow() -> None:
    driven = Driven(["BTC", "ETH"])
    driven.turn(SECOND, 10 * MS)
    for _ in range(400):
        driven.acknowledge()
        driven.quote("BTC")
        driven.turn(TICK)
    assert driven.label == ""
    assert driven.counted["resyncs.stale_instrument"] == 2
    assert driven.requests().count({"type": "bbo", "coin": "ETH"}) == 3
    assert driven.requests().count({"type": "bbo", "coin": "BTC"}) == 1


def test_notes_are_bounded() -> None:
    driven = running()
    for _ in range(1_000):
        driven.receive(b"x")
    assert len(driven.session.take_notes()) <= 64
