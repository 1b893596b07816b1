"""Each trade once, history flagged, memory bounded."""

from __future__ import annotations

from feedhandler.book.trades import TRADE_IDS_MAX, TradeFilter
from feedhandler.events import FLAG_REPLAYED, SIDE_BID, TIME_NONE, TradeEvent


def trade(trade_id: int, event_ns: int = 1_000) -> TradeEvent:
    return TradeEvent("BTC", event_ns, 1.0, 1.0, SIDE_BID, trade_id)


def test_trade_is_admitted_once() -> None:
    seen = TradeFilter()
    assert [seen.admit(trade(number)) for number in (7, 3, 7, 3)] == [
        True,
        True,
        False,
        False,
    ]


def test_trade_older_than_the_subscription_is_replayed() -> None:
    seen = TradeFilter()
    seen.subscribed(1_000)
    old, new, timeless = trade(1, 999), trade(2, 1_000), trade(3, TIME_NONE)
    for event in (old, new, timeless):
        assert seen.admit(event)
    assert old.flags == FLAG_REPLAYED
    assert new.flags == 0
    assert timeless.flags == FLAG_REPLAYED


def test_replay_after_a_reconnect_brings_only_what_was_missed() -> None:
    seen = TradeFilter()
    for number in range(1, 31):
        seen.admit(trade(number))
    seen.subscribed(5_000)
    missed = [number for number in range(21, 41) if seen.admit(trade(number))]
    assert missed == list(range(31, 41))


def test_trades_without_an_id_are_all_admitted() -> None:
    seen = TradeFilter()
    assert all(seen.admit(trade(0)) for _ in range(3))


def test_memory_is_bounded_and_forgets_the_oldest() -> None:
    seen = TradeFilter()
    for number in range(1, TRADE_IDS_MAX + 2):
        assert seen.admit(trade(number))
    assert seen.admit(trade(1))
    assert not seen.admit(trade(TRADE_IDS_MAX))
    assert len(seen._ids) == len(seen._order) == TRADE_IDS_MAX
