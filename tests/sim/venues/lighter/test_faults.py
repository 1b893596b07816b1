"""Faults of the book's own stream, as a client that checks it sees them."""

from __future__ import annotations

import json

from feedhandler.sim.truth import Top
from tests.sim.venues.lighter.desk import Desk, Json, NaiveClient


def follow(desk: Desk, client: NaiveClient, events: int) -> list[Top]:
    """Apply the book's frames; the client has to agree with what each one told."""
    tops = []
    for frames in desk.steps(events):
        for frame in frames:
            if frame.channel != "order_book":
                continue
            client.take(json.loads(frame.text))
            assert frame.top is not None
            tops.append(frame.top)
    return tops


def joined(desk: Desk) -> NaiveClient:
    client = NaiveClient()
    client.take(desk.subscribe("order_book/1"))
    return client


def test_gap_loses_one_delta_and_only_one() -> None:
    desk = Desk()
    client = joined(desk)
    follow(desk, client, 100)
    desk.inject("gap")
    assert client.gaps == 0
    follow(desk, client, 400)
    assert client.gaps == 1
    desk.unsubscribe("order_book/1")
    fresh = joined(desk)
    tops = follow(desk, fresh, 100)
    assert fresh.gaps == 0
    assert fresh.touch() == tops[-1][:4]


def test_gap_with_a_duration_loses_every_second_delta() -> None:
    desk = Desk()
    client = joined(desk)
    with desk.fault("gap+1h"):
        count = len(follow(desk, client, 1000))
        assert client.gaps == count > 20
    follow(desk, client, 200)
    assert client.gaps <= count + 1


def test_gap_of_one_symbol_leaves_the_others() -> None:
    desk = Desk()
    client = joined(desk)
    desk.inject("gap(symbol=ETH)")
    follow(desk, client, 300)
    assert client.gaps == 0
    assert not desk.instrument(1).loses_next


def test_corrupt_delta_chains_and_disagrees_with_the_ticker() -> None:
    desk = Desk()
    client = joined(desk)
    ticker = desk.subscribe("ticker/1")
    wrong = 0
    with desk.fault("corrupt"):
        for message in desk.move(600):
            if message["type"] == "update/ticker":
                ticker = message
            else:
                client.take(message)
            if client.nonce == ticker["nonce"]:
                told = ticker["ticker"]["b"]["size"]
                wrong += client.touch()[1] != told
    assert wrong > 5
    assert client.gaps == 0
    tops = follow(desk, client, 300)
    assert tops[-1].fault == ""
    assert client.touch() == tops[-1][:4]


def test_corrupt_books_are_marked_in_the_truth_and_heal() -> None:
    desk = Desk()
    client = joined(desk)
    with desk.fault("corrupt"):
        tops = follow(desk, client, 200)
        assert {top.fault for top in tops} == {"corrupt"}
        assert client.touch() == tops[-1][:4]
    messages = desk.tick(0.05)
    assert len(messages) == 1  # it heals without the market's help
    client.take(messages[0])
    assert client.gaps == 0
    assert client.touch()[1] != tops[-1].bid_size


def test_old_snapshot_does_not_join_the_chain() -> None:
    desk = Desk()
    desk.move(300)
    with desk.fault("old_snapshot"):
        request = {"type": "subscribe", "channel": "order_book/1"}
        (frame,) = desk.frames(request)
        assert frame.top is not None
        assert frame.top.fault == "old_snapshot"
        client = NaiveClient()
        client.take(json.loads(frame.text))
        assert client.nonce is not None
        assert client.nonce < desk.instrument(1).sent.nonce
        follow(desk, client, 100)
        assert client.gaps == 1
        desk.unsubscribe("order_book/1")
    client = joined(desk)
    follow(desk, client, 100)
    assert client.gaps == 0


def test_wrong_symbol_names_another_market() -> None:
    desk = Desk()
    for channel in ("order_book/1", "ticker/1", "trade/1"):
        desk.subscribe(channel)
    messages: list[Json] = []
    with desk.fault("wrong_symbol"):
        for frames in desk.steps(600):
            for frame in frames:
                assert frame.symbol == "ADA"
                assert frame.top is None or frame.top.fault == "wrong_symbol"
                messages.append(json.loads(frame.text))
        rows = desk.get("recentTrades", market_id=1, limit=5)[1]["trades"]
        assert {row["market_id"] for row in rows} == {0}
        details = desk.get("orderBookDetails", market_id=1)[1]["order_book_details"]
        assert details[0]["symbol"] == "ETH"
    channels = {message["channel"] for message in messages}
    assert channels == {"order_book:39", "ticker:39", "trade:39"}
    assert {one["ticker"]["s"] for one in messages if "ticker" in one} == {"ADA"}
    assert {one["channel"] for one in desk.move(100)} <= {
        "order_book:1",
        "ticker:1",
        "trade:1",
    }


def test_crossed_books_cross_in_deltas_and_heal() -> None:
    desk = Desk()
    client = joined(desk)
    follow(desk, client, 50)
    desk.venue.is_crossed = True
    tops = follow(desk, client, 200)
    assert {top.fault for top in tops} == {"crossed"}
    assert client.touch() == tops[-1][:4]
    bid, ask = client.rows()
    assert float(bid[0][0]) > float(ask[0][0])
    desk.venue.is_crossed = False
    tops = follow(desk, client, 200)
    assert client.touch() == tops[-1][:4]
    assert client.gaps == 0


def test_one_sided_book_is_emptied_by_removals() -> None:
    desk = Desk()
    client = joined(desk)
    desk.subscribe("ticker/1")
    desk.venue.missing_side = "ask"
    desk.venue.refresh()
    tops = follow(desk, client, 100)
    assert client.rows()[1] == []
    assert tops[-1].ask is None
    desk.unsubscribe("ticker/1")
    ticker = desk.subscribe("ticker/1")["ticker"]
    assert ticker["a"] == {"price": "", "size": ""}
    assert float(ticker["b"]["price"]) > 0
    desk.venue.missing_side = ""
    follow(desk, client, 100)
    assert len(client.rows()[1]) == 20
    assert client.gaps == 0


def test_slow_clock_holds_every_time_and_turns_none_back() -> None:
    desk = Desk()
    client = joined(desk)
    before = follow(desk, client, 100)[-1].event_ms
    desk.venue.time.lag_ms = 60_000
    stamps_ms = [top.event_ms for top in follow(desk, client, 200)]
    assert stamps_ms == sorted(stamps_ms)
    assert before <= stamps_ms[0]
    assert stamps_ms[-1] - stamps_ms[0] <= 1
