"""What the simulator renders has the keys, their order and the types as recorded."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.sim.venues.extended.desk import Desk, lines, sample, shape

MARK = {"type": "mark", "market": "BTC-USD"}
INDEX = {"type": "index", "market": "BTC-USD"}
BTC = {"market": "BTC-USD"}


def snapshot_and_delta() -> tuple[Any, Any]:
    line = Desk().rpc()
    line.call("subscribe", "orderbooks", market="BTC-USD", depth="full")
    while True:
        for message in line.step(20):
            if message["data"]["b"] and message["data"]["a"]:
                return line.messages[1], message


@pytest.mark.parametrize(
    ("scope", "selector", "name"),
    [
        ("trades", BTC, "ws_v2_trades_replay.json"),
        ("prices", MARK, "ws_v2_mark_price.json"),
        ("prices", INDEX, "ws_v2_index_price.json"),
        ("funding-rates", BTC, "ws_v2_funding_rate.json"),
        ("orderbooks", {**BTC, "depth": "1"}, "ws_v2_orderbook_depth1.json"),
    ],
)
def test_first_v2_frame_has_the_recorded_shape(
    scope: str, selector: dict[str, object], name: str
) -> None:
    _, frame = Desk().rpc().call("subscribe", scope, **selector)
    assert shape(frame) == shape(sample(name))
    recorded = sample(name)
    assert frame["type"] == recorded["type"]
    assert frame["subscription"] == recorded.get("subscription")


def test_v2_snapshot_and_delta_have_the_recorded_shapes() -> None:
    recorded = lines("ws_v2_orderbook_snapshot_then_delta.jsonl")
    for frame, expected in zip(snapshot_and_delta(), recorded, strict=True):
        assert shape(frame) == shape(expected)
        assert frame["type"] == expected["type"]
        assert frame["data"]["d"] == expected["data"]["d"]
        assert frame["subscription"] == expected["subscription"]


def test_v1_frames_have_the_recorded_shapes() -> None:
    desk = Desk()
    (mark,) = desk.open("/prices/mark/BTC-USD").messages
    assert shape(mark) == shape(sample("ws_v1_mark_price_2026.json"))
    (image,) = desk.open("/orderbooks/BTC-USD").messages
    recorded = sample("ws_v1_orderbook_snapshot_2026.json")
    # The number was cut from the quote of that frame.
    assert shape(image) == shape({**recorded, "seq": 1})


def test_v1_frames_have_the_documented_keys() -> None:
    desk = Desk()
    snapshot, delta, trades, funding, mark, index, _ = lines("ws_v1_frames_docs.jsonl")
    book = desk.open("/orderbooks/BTC-USD")
    tape = desk.open("/publicTrades/BTC-USD")
    while not (tape.got and len(book.got) > 1):
        pushes = desk.move(20) + desk.tick()
        book.of(pushes)
        tape.of(pushes)
    newer = {"t", "c"}
    assert set(book.messages[0]) == set(snapshot)
    assert set(book.messages[0]["data"]) - newer == set(snapshot["data"])
    assert set(book.messages[1]) == set(delta)
    rows = book.messages[1]["data"]["b"] + book.messages[1]["data"]["a"]
    assert set(rows[0]) - newer == set(delta["data"]["b"][0])
    assert set(tape.messages[0]) == set(trades)
    assert set(tape.messages[0]["data"][0]) == set(trades["data"][0])
    (rate,) = desk.open("/funding/BTC-USD").messages
    assert set(rate) == set(funding)
    assert set(rate["data"]) == set(funding["data"])
    for path, expected in (("mark", mark), ("index", index)):
        (price,) = desk.open(f"/prices/{path}/BTC-USD").messages
        assert price["type"] == expected["type"]
        assert set(price["data"]) == set(expected["data"])


def test_sizes_have_the_decimals_of_the_lot_as_recorded() -> None:
    _, delta = snapshot_and_delta()
    recorded = lines("ws_v2_orderbook_snapshot_then_delta.jsonl")[1]
    for frame in (delta, recorded):
        for row in frame["data"]["b"] + frame["data"]["a"]:
            assert Decimal(row["q"]).as_tuple().exponent == -5
            assert Decimal(row["c"]).as_tuple().exponent == -5


def test_mark_price_has_no_time_and_index_whole_seconds() -> None:
    line = Desk().rpc()
    line.desk.clock.turn(0.42)
    mark = line.call("subscribe", "prices", **MARK)[1]
    index = line.call("subscribe", "prices", **INDEX)[1]
    assert mark["data"]["ts"] == 0
    assert index["data"]["ts"] % 1000 == 0
    assert 0 < index["ts"] - index["data"]["ts"] < 1000
    assert len(mark["data"]["p"].partition(".")[2]) >= 12


def test_funding_comes_at_once_stamped_now_and_then_on_the_hour() -> None:
    desk = Desk()
    line = desk.open("/funding/BTC-USD")
    (first,) = line.messages
    assert first["data"]["T"] == first["ts"] == desk.clock.wall_ms()
    left_s = 3600 - desk.clock.wall_ms() / 1000 % 3600
    assert line.of(desk.tick(left_s - 1.0)) == []
    (second,) = line.of(desk.tick(1.0))
    assert second["data"]["T"] % 3_600_000 == 0
    assert line.of(desk.tick(10.0)) == []


def test_v2_trades_begin_with_fifty_past_ones_oldest_first() -> None:
    desk = Desk()
    _, replay = desk.rpc().call("subscribe", "trades", market="BTC-USD")
    rows = replay["data"]
    assert len(rows) == len(sample("ws_v2_trades_replay.json")["data"]) == 50
    assert [row["T"] for row in rows] == sorted(row["T"] for row in rows)
    ids = [row["i"] for row in rows]
    assert ids == sorted(set(ids))
    assert min(ids) > 2**53
    assert rows[-1]["T"] < replay["ts"]


def test_trade_id_tells_its_time_as_the_recorded_ones() -> None:
    rows = sample("ws_v2_trades_replay.json")["data"]
    line = Desk().open("/publicTrades/BTC-USD")
    while not line.got:
        line.step(20)
    for row in [*rows, *line.messages[0]["data"]]:
        assert (row["i"] >> 22) + 1_288_834_974_657 == row["T"]


def test_v1_trades_begin_with_what_happens_and_hit_the_touch() -> None:
    desk = Desk()
    line = desk.open("/publicTrades/BTC-USD")
    assert line.got == []
    count = 0
    for _ in range(2000):
        bids, asks = desk.perp("BTC-USD").book
        for message in line.of(desk.move(1)):
            assert "type" not in message
            for row in message["data"]:
                count += 1
                struck = asks[0] if row["S"] == "BUY" else bids[0]
                assert Decimal(row["p"]) * 10 == struck.price
                assert row["T"] == message["ts"]
    assert count > 20


def test_prices_come_every_second_while_the_market_stands_still() -> None:
    desk = Desk()
    line = desk.open("/prices/mark")
    line.of(desk.tick(0.0))
    for _ in range(3):
        told = line.of(desk.tick(1.0))
        assert len(told) == 7
