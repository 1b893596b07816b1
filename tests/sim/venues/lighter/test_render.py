"""What the venue says looks as what was recorded: the same keys and types."""

from __future__ import annotations

import pytest

from tests.sim.venues.lighter.desk import Desk, Json, lines, sample, shape, without


def first(desk: Desk, channel: str, kind: str) -> Json:
    """The first update of a channel that is not empty on either side."""
    for message in desk.move(1500, channel):
        book = message.get("order_book", {"bids": [1], "asks": [1]})
        if message["type"] == kind and book["bids"] and book["asks"]:
            return message
    raise AssertionError(f"no {kind}")


def test_snapshot_and_delta_have_the_recorded_shape() -> None:
    recorded = lines("ws_order_book_snapshot_then_update_btc.jsonl")
    desk = Desk()
    snapshot = desk.subscribe("order_book/1")
    assert shape(snapshot) == shape(recorded[0])
    delta = first(desk, "order_book", "update/order_book")
    assert shape(delta) == shape(recorded[1])


def test_ticker_has_the_recorded_shape() -> None:
    recorded = lines("ws_ticker_subscribed_then_update_btc.jsonl")
    desk = Desk()
    assert shape(desk.subscribe("ticker/1")) == shape(recorded[0])
    update = first(desk, "ticker", "update/ticker")
    assert shape(update) == shape(recorded[1])
    assert shape(update) == shape(sample("ws_ticker_update_eth.json"))


def test_replayed_trades_have_the_recorded_shape() -> None:
    desk = Desk()
    desk.subscribe("trade/1")
    while not desk.instrument(1).liquidations:
        desk.trades(500)
    desk.unsubscribe("trade/1")
    message = desk.subscribe("trade/1")
    recorded = sample("ws_trade_subscribed_btc.json")
    # The flag is there when it is true, in rows of trades; liquidations always had it.
    flag = "taker_position_sign_changed"
    assert shape(message["liquidation_trades"]) == shape(recorded["liquidation_trades"])
    assert shape(without(message, flag)) == shape(without(recorded, flag))


def test_new_trades_have_the_recorded_shape() -> None:
    desk = Desk()
    desk.subscribe("trade/1")
    recorded = sample("ws_trade_update_btc.json")
    only = sample("ws_trade_update_liquidation_only.json")
    shapes = []
    for message in desk.trades(8000):
        if message["trades"]:
            rows = message["trades"]
            assert message["liquidation_trades"] == []
            message["trades"] = [
                row for row in rows if "taker_position_sign_changed" in row
            ] or rows
        shapes.append(shape(message))
    assert shape(recorded) in shapes
    assert shape(only) in shapes
    plain = shape(recorded)
    del plain["trades"][0]["taker_position_sign_changed"]
    assert all(one in (plain, shape(recorded), shape(only)) for one in shapes)


@pytest.mark.parametrize("kind", ["subscribed", "update"])
def test_statistics_of_all_markets_have_the_recorded_shape(kind: str) -> None:
    desk = Desk()
    message = desk.subscribe("market_stats/all")
    if kind == "update":
        desk.move(200)
        (message,) = desk.tick(1.0)
    recorded = sample(f"ws_market_stats_all_{kind}.json")
    assert message["type"] == recorded["type"]
    rows = message["market_stats"]
    # The field was added between the recordings of April and June 2026.
    row = without(rows["1"], "base_interest_rate")
    assert shape(row) == shape(recorded["market_stats"]["1"])
    del message["market_stats"], recorded["market_stats"]
    assert shape(message) == shape(recorded)


def test_statistics_of_one_market_have_the_recorded_shape() -> None:
    message = Desk().subscribe("market_stats/1")
    recorded = sample("ws_market_stats_single_subscribed_btc.json")
    assert shape(message) == shape(recorded)
    older = sample("ws_market_stats_single_2025_old_shape.json")["market_stats"]
    assert set(older) <= set(message["market_stats"])


def test_documented_examples_have_our_shape() -> None:
    desk = Desk()
    desk.subscribe("height")
    height = desk.tick(1.0)[0]
    assert shape(height) == shape(sample("ws_height_update.json"))
    single = desk.subscribe("spot_market_stats/2048")
    assert shape(single) == shape(sample("ws_spot_market_stats_single_subscribed.json"))
    every = desk.subscribe("spot_market_stats/all")["spot_market_stats"]
    rows = sample("ws_spot_market_stats_all_update.json")["spot_market_stats"]
    assert shape(every) == shape(rows)


def test_market_without_orders_looks_as_documented() -> None:
    desk = Desk()
    book = desk.subscribe("order_book/39")
    empty = sample("ws_order_book_subscribed_empty.json")
    assert shape(book) == shape(empty)
    assert book["order_book"] == empty["order_book"]
    ticker = desk.subscribe("ticker/39")
    empty = sample("ws_ticker_subscribed_empty.json")
    assert shape(ticker) == shape(empty)
    assert ticker["ticker"] == empty["ticker"]


def test_control_frames_are_the_known_ones() -> None:
    desk = Desk()
    hello, ping, pong, unsubscribed = lines("ws_control_frames.jsonl")
    greeting = desk.venue.greet(desk.session)[0].text
    assert str(greeting).startswith('{"type":"connected","session_id":"')
    assert len(str(greeting)) == len('{"type":"connected","session_id":""}') + 36
    assert set(hello) == {"type", "session_id"}
    assert desk.say({"type": "ping"}) == [pong]
    assert desk.tick(60.0) == [ping]
    desk.subscribe("order_book/0")
    assert desk.unsubscribe("order_book/0") == unsubscribed


def test_numbers_are_printed_with_all_decimals_of_the_market() -> None:
    desk = Desk()
    for market_id, price_decimals in ((0, 2), (1, 1), (2, 3), (4, 6)):
        book = desk.subscribe(f"order_book/{market_id}")["order_book"]
        for row in (*book["bids"], *book["asks"]):
            assert len(row["price"].partition(".")[2]) == price_decimals
            assert len(row["size"].partition(".")[2]) == 6 - price_decimals
    desk.unsubscribe("order_book/1")
    desk.subscribe("order_book/1")
    gone = {
        row["size"]
        for message in desk.move(300)
        if message["channel"] == "order_book:1"
        for row in message["order_book"]["bids"]
        if float(row["size"]) == 0
    }
    assert gone == {"0.00000"}
