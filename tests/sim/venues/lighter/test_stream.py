"""The market on the wire: books that join, tickers that agree, trades that hit."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.sim.venues.lighter.desk import Desk, NaiveClient, rows_of


@settings(max_examples=10, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    market_id=st.sampled_from([0, 1, 4, 24, 2048]),
    late=st.integers(0, 60),
)
def test_naive_client_has_exactly_our_book_at_every_step(
    seed: int, market_id: int, late: int
) -> None:
    desk = Desk(seed)
    desk.move(late)
    instrument = desk.instrument(market_id)
    client = NaiveClient()
    channel = {"type": "subscribe", "channel": f"order_book/{market_id}"}
    (frame,) = desk.frames(channel)
    client.take(json.loads(frame.text))
    count = 0
    for frames in desk.steps(300):
        for frame in frames:
            count += 1
            client.take(json.loads(frame.text))
            assert frame.top is not None
            assert client.touch() == frame.top[:4]
            assert (frame.channel, frame.symbol) == ("order_book", instrument.symbol)
        assert client.rows() == rows_of(instrument, instrument.sent.book)
    assert client.gaps == 0
    assert count > 10


def test_newcomers_join_the_running_chain() -> None:
    desk = Desk()
    clients = []
    for _ in range(10):
        session = desk.open()
        client = NaiveClient()
        for message in desk.say(
            {"type": "subscribe", "channel": "order_book/1"}, session
        ):
            client.take(message)
        clients.append(client)
        desk.session = session
        for message in desk.move(37):
            for other in clients:
                other.take(message)
    assert [client.gaps for client in clients] == [0] * 10
    assert all(client.rows() == clients[0].rows() for client in clients)


def test_deltas_chain_and_offsets_grow_with_holes() -> None:
    desk = Desk()
    snapshot = desk.subscribe("order_book/1")
    messages = [snapshot, *desk.move(2000)]
    assert len(messages) > 100
    steps = set()
    for before, after in pairwise(messages):
        assert after["order_book"]["begin_nonce"] == before["order_book"]["nonce"]
        assert after["order_book"]["nonce"] > before["order_book"]["nonce"]
        assert after["offset"] == after["order_book"]["offset"] > before["offset"]
        assert after["last_updated_at"] >= before["last_updated_at"]
        assert after["last_updated_at"] <= after["timestamp"] * 1000
        steps.add(after["offset"] - before["offset"])
    assert len(steps) > 5


def test_deltas_are_batched_and_hold_changed_levels_only() -> None:
    desk = Desk()
    snapshot = desk.subscribe("order_book/1")
    client = NaiveClient()
    client.take(snapshot)
    times_ms = []
    for message in desk.move(2000):
        for side in ("bids", "asks"):
            known = client.sides[side]
            rows = message["order_book"][side]
            assert len({row["price"] for row in rows}) == len(rows)
            for row in rows:
                if float(row["size"]) == 0:
                    assert row["price"] in known
                else:
                    assert known.get(row["price"]) != row["size"]
        client.take(message)
        times_ms.append(message["timestamp"])
    gaps_ms = [b - a for a, b in pairwise(times_ms)]
    assert min(gaps_ms) >= 50
    assert sum(len(side) for side in client.rows()) == 40


def test_nothing_is_sent_of_a_book_that_stands_still() -> None:
    desk = Desk()
    desk.subscribe("order_book/1")
    desk.subscribe("ticker/1")
    desk.move(50)
    desk.tick(0.05)
    assert [desk.tick(0.05) for _ in range(20)] == [[]] * 20


def test_ticker_agrees_with_the_book_at_equal_nonce() -> None:
    desk = Desk()
    client = NaiveClient()
    client.take(desk.subscribe("order_book/1"))
    ticker = desk.subscribe("ticker/1")
    compared = 0
    for message in desk.move(3000):
        if message["channel"] == "order_book:1":
            client.take(message)
        else:
            assert message["nonce"] > ticker["nonce"]
            assert message["ticker"] != ticker["ticker"]
            ticker = message
        if client.nonce == ticker["nonce"]:
            compared += 1
            bid, ask = ticker["ticker"]["b"], ticker["ticker"]["a"]
            told = (bid["price"], bid["size"], ask["price"], ask["size"])
            assert told == client.touch()
    assert compared > 100


def test_markets_of_one_asset_agree_and_are_not_crossed() -> None:
    desk = Desk()
    perp, spot = NaiveClient(), NaiveClient()
    perp.take(desk.subscribe("order_book/0"))
    spot.take(desk.subscribe("order_book/2048"))
    for message in desk.move(1000):
        (perp if message["channel"] == "order_book:0" else spot).take(message)
    assert perp.rows() == spot.rows()
    bids, asks = perp.rows()
    assert float(bids[0][0]) < float(asks[0][0])


def test_counted_coins_have_their_multiplier() -> None:
    desk = Desk()
    ticker = desk.subscribe("ticker/4")["ticker"]
    asset = desk.market.assets["PEPE"]
    assert ticker["s"] == "1000PEPE"
    assert float(ticker["b"]["price"]) == pytest.approx(asset.mid * 1000, rel=1e-3)


def test_trades_hit_the_touch_that_was_known() -> None:
    desk = Desk()
    known = desk.subscribe("ticker/1")["ticker"]
    desk.subscribe("trade/1")
    count = 0
    for message in desk.move(3000):
        if message["type"] == "update/ticker":
            known = message["ticker"]
            continue
        assert "timestamp" not in message
        for row in message["trades"] + message["liquidation_trades"]:
            count += 1
            struck = known["a"] if row["is_maker_ask"] else known["b"]
            assert row["price"] == struck["price"]
            assert float(row["size"]) <= float(struck["size"])
            quote = float(row["price"]) * float(row["size"])
            assert float(row["usd_amount"]) == pytest.approx(quote)
            assert row["trade_id_str"] == str(row["trade_id"])
            assert len(row["tx_hash"]) == 80
            assert row["timestamp"] * 1000 < row["transaction_time"]
    assert count > 30


def test_first_trades_frame_replays_the_past_newest_first() -> None:
    desk = Desk()
    desk.trades(2000)
    message = desk.subscribe("trade/1")
    rows = message["trades"]
    ids = [row["trade_id"] for row in rows]
    assert len(ids) == 30
    assert ids == sorted(ids, reverse=True)
    status, body = desk.get("recentTrades", market_id=1, limit=100)
    assert status == 200
    assert body["trades"][:30] == rows


def test_trade_ids_are_unique_over_all_markets() -> None:
    desk = Desk()
    for market_id in (0, 1, 2048):
        desk.subscribe(f"trade/{market_id}")
    messages = desk.trades(3000)
    ids = [
        row["trade_id"]
        for message in messages
        for row in message["trades"] + message["liquidation_trades"]
    ]
    assert len(set(ids)) == len(ids) > 100
    assert ids == sorted(ids)


def test_statistics_tell_percent_of_an_hour() -> None:
    desk = Desk()
    row = desk.subscribe("market_stats/1")["market_stats"]
    context = desk.market.assets["BTC"].context()
    rate = float(row["current_funding_rate"])
    assert rate == pytest.approx(context.funding_per_hour * 100, abs=1e-4)
    hour_ms = 3_600_000
    assert 0 <= row["funding_timestamp"] % hour_ms < 5
    assert row["funding_timestamp"] // hour_ms == desk.clock.wall_ms() // hour_ms
    dollars = context.open_interest * context.mark
    assert float(row["open_interest"]) == pytest.approx(dollars)
    assert row["daily_price_low"] <= float(row["mid_price"]) <= row["daily_price_high"]


def test_statistics_of_all_hold_the_markets_that_changed() -> None:
    desk = Desk()
    every = desk.subscribe("market_stats/all")["market_stats"]
    assert set(every) == {"0", "1", "2", "3", "4", "7", "24", "39"}
    desk.tick(1.0)
    assert desk.tick(1.0) == []
    desk.market.assets["BTC"].advance_context()
    (update,) = desk.tick(1.0)
    assert set(update["market_stats"]) == {"1"}


def test_height_grows_with_the_time() -> None:
    desk = Desk()
    height = desk.subscribe("height")
    assert (height["type"], height["channel"]) == ("subscribed/height", "height")
    heights = [height["height"]]
    for _ in range(10):
        heights += [message["height"] for message in desk.tick(0.12)]
    assert len(heights) == 11
    assert heights == sorted(set(heights))


def test_same_seed_sends_the_same_frames() -> None:
    def frames() -> list[str | bytes]:
        desk = Desk()
        for channel in ("order_book/1", "ticker/1", "trade/1", "market_stats/all"):
            desk.subscribe(channel)
        return [frame.text for taken in desk.steps(1000) for frame in taken]

    assert frames() == frames()
