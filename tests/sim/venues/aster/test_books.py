"""Deltas, snapshots and quotes tell one and the same book."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feedhandler.sim.faults import parse
from tests.sim.venues.aster.desk import Desk, Gap, LocalBook

DIFFS = ("depth@0ms", "depth@100ms", "depth", "depth@500ms")


def diffs(told: list[Any], symbol: str = "BTCUSDT") -> list[Any]:
    return [row for row in told if row["e"] == "depthUpdate" and row["s"] == symbol]


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    channel=st.sampled_from(DIFFS),
    before=st.integers(0, 400),
    limit=st.sampled_from([500, 1000]),
)
def test_snapshot_and_deltas_are_the_book_at_every_step(
    seed: int, channel: str, before: int, limit: int
) -> None:
    desk = Desk(seed)
    desk.subscribe(f"ethusdt@{channel}")
    book = LocalBook()
    for event in desk.move(before):
        book.apply(event)
    book.load(desk.get("depth", symbol="ETHUSDT", limit=limit))
    steps = 0
    while steps < 15:
        for event in desk.move(1):
            book.apply(event)
            steps += 1
            assert (book.bids, book.asks) == desk.shown("ETHUSDT")
            assert max(book.bids) < min(book.asks)


@pytest.mark.parametrize("channel", DIFFS)
def test_each_event_names_the_last_id_of_the_one_before(channel: str) -> None:
    desk = Desk()
    desk.subscribe(f"btcusdt@{channel}")
    events = desk.move(3000)
    assert len(events) > 20
    assert all(one["U"] <= one["u"] for one in events)
    assert all(one["pu"] == last["u"] for last, one in pairwise(events))
    # Ids are the venue's, shared by all symbols.
    assert all(one["U"] > one["pu"] + 1 for one in events[1:] if one["U"] == one["u"])
    assert sum(one["U"] != one["pu"] + 1 for one in events) > len(events) // 2
    for name in ("E", "T", "u"):
        told = [one[name] for one in events]
        assert told == sorted(told)
    assert all(one["T"] <= one["E"] for one in events)


def test_streams_of_different_pace_have_their_own_chains() -> None:
    desk = Desk()
    fast, slow = LocalBook(), LocalBook()
    desk.subscribe("btcusdt@depth@100ms")
    desk.move(333)
    desk.subscribe("btcusdt@depth@500ms")
    snapshot = desk.get("depth", symbol="BTCUSDT", limit=1000)
    desk.venue.receive(
        desk.session, '{"method":"SET_PROPERTY","params":["combined",true],"id":1}'
    )
    fast.load(snapshot)
    slow.load(snapshot)
    books = {"btcusdt@depth@100ms": fast, "btcusdt@depth@500ms": slow}
    for told in desk.move(2000):
        books[told["stream"]].apply(told["data"])
    for told in desk.tick(0.5):
        books[told["stream"]].apply(told["data"])
    assert (fast.bids, fast.asks) == desk.shown("BTCUSDT")
    assert (slow.bids, slow.asks) == (fast.bids, fast.asks)


def test_snapshot_without_a_later_change_is_adjacent_to_the_next_event() -> None:
    desk = Desk()
    desk.subscribe("btcusdt@depth@0ms")
    last = diffs(desk.move(500))[-1]
    snapshot = desk.get("depth", symbol="BTCUSDT", limit=1000)
    assert snapshot["lastUpdateId"] == last["u"]
    event = desk.until()
    assert event["pu"] == snapshot["lastUpdateId"] < event["U"]


def test_snapshot_amid_a_batch_lies_within_the_event() -> None:
    desk = Desk(cadence={"depth@500ms": 5.0})
    desk.subscribe("btcusdt@depth@500ms")
    desk.tick(0.0)
    assert desk.move(50) == []
    snapshot = desk.get("depth", symbol="BTCUSDT", limit=1000)
    event = desk.until()
    assert event["U"] <= snapshot["lastUpdateId"] <= event["u"]


def test_newcomer_gets_the_same_events_as_those_before_it() -> None:
    desk = Desk()
    desk.subscribe("btcusdt@depth@100ms")
    desk.move(200)
    newcomer = desk.open("/ws/btcusdt@depth@100ms")
    desk.move(200)
    topics = [push.topic for push in desk.pushes]
    assert topics
    assert all(topic in newcomer.topics for topic in topics)


def test_stream_left_and_taken_again_starts_a_chain_that_joins_a_snapshot() -> None:
    desk = Desk()
    for _ in range(3):
        desk.subscribe("btcusdt@depth@100ms")
        book = LocalBook()
        for event in desk.move(100):
            book.apply(event)
        book.load(desk.get("depth", symbol="BTCUSDT", limit=1000))
        for event in desk.move(300):
            book.apply(event)
        for event in desk.tick(0.1):
            book.apply(event)
        assert (book.bids, book.asks) == desk.shown("BTCUSDT")
        params = ["btcusdt@depth@100ms"]
        desk.say({"method": "UNSUBSCRIBE", "params": params, "id": 2})
        assert desk.move(100) == []


def test_stream_nobody_held_between_two_ticks_starts_without_a_hole() -> None:
    desk = Desk(cadence={"depth@100ms": 1.0})
    for _ in range(20):
        desk.subscribe("btcusdt@depth@100ms")
        desk.tick(1.0)
        assert desk.move(20, 0.0) == [], "gathered, not sent"
        desk.venue.sessions.discard(desk.session)
        assert desk.move(20, 0.0) == []
        desk.session = desk.open("/ws/btcusdt@depth@100ms")
        desk.move(1, 0.0)
        book = LocalBook()
        book.load(desk.get("depth", symbol="BTCUSDT", limit=1000))
        for event in desk.tick(1.0):
            book.apply(event)
        assert (book.bids, book.asks) == desk.shown("BTCUSDT")


def test_delta_has_only_what_changed_and_absolute_sizes() -> None:
    desk = Desk()
    desk.subscribe("btcusdt@depth@0ms")
    bids, asks = desk.shown("BTCUSDT")
    seen = set()
    for _ in range(300):
        for event in desk.move(1):
            after = desk.shown("BTCUSDT")
            for known, new, rows in zip(
                (bids, asks), after, (event["b"], event["a"]), strict=True
            ):
                told = {float(price): float(size) for price, size in rows}
                changed = {
                    price: new.get(price, 0.0)
                    for price in known.keys() | new.keys()
                    if known.get(price) != new.get(price)
                }
                assert told == changed
                seen |= {
                    "gone" if not size else "added" if price not in known else "changed"
                    for price, size in told.items()
                }
            bids, asks = after
    assert seen == {"gone", "added", "changed"}


@pytest.mark.parametrize("levels", [5, 10, 20])
@pytest.mark.parametrize("pace", ["", "@100ms", "@500ms"])
def test_partial_book_is_the_best_levels_and_its_bids_ascend(
    levels: int, pace: str
) -> None:
    desk = Desk()
    desk.subscribe(f"solusdt@depth{levels}{pace}")
    desk.move(500)
    told = desk.tick(0.5) or [desk.until()]
    bids, asks = desk.shown("SOLUSDT")
    rows = told[-1]
    prices = [float(price) for price, _ in rows["b"]]
    assert prices == sorted(sorted(bids)[-levels:])
    assert [float(price) for price, _ in rows["a"]] == sorted(asks)[:levels]


def test_quote_tells_every_change_of_the_touch_with_the_id_of_the_book() -> None:
    desk = Desk()
    desk.subscribe("btcusdt@bookTicker", "btcusdt@depth@0ms")
    book, quotes = LocalBook(), 0
    book.load(desk.get("depth", symbol="BTCUSDT", limit=1000))
    top: Any = book.top
    for _ in range(3000):
        told = desk.move(1)
        for event in diffs(told):
            book.apply(event)
        rows = [row for row in told if row["e"] == "bookTicker"]
        assert (book.top != top) == bool(rows)
        for row in rows:
            quotes += 1
            assert tuple(float(row[key]) for key in "bBaA") == book.top
            assert row["u"] == book.update_id
        top = book.top
    assert quotes > 100


def test_all_symbols_stream_has_every_quote() -> None:
    desk = Desk()
    desk.subscribe("!bookTicker")
    symbols = {row["s"] for row in desk.move(1000)}
    assert {"BTCUSDT", "ETHUSDT", "SOLUSDT", "HYPEUSDT", "1000PEPEUSDT"} <= symbols


def test_truth_of_each_frame_is_the_top_a_client_has_then() -> None:
    desk = Desk()
    desk.subscribe("btcusdt@bookTicker", "btcusdt@depth@100ms", "btcusdt@depth5@100ms")
    book = LocalBook()
    book.load(desk.get("depth", symbol="BTCUSDT", limit=1000))
    channels = set()
    for _ in range(2000):
        desk.move(1)
        for push in desk.pushes:
            told, top = json.loads(push.frame.text), push.frame.top
            assert top is not None
            assert push.frame.symbol == "BTCUSDT"
            channels.add(push.frame.channel)
            if push.frame.channel == "depth@100ms":
                book.apply(told)
                assert tuple(float(str(text)) for text in top[:4]) == book.top
            elif push.frame.channel == "bookTicker":
                assert list(top[:4]) == [told[key] for key in "bBaA"]
            else:
                assert [*told["b"][-1], *told["a"][0]] == list(top[:4])
            assert top.event_ms == told["T"]
    assert channels == {"bookTicker", "depth@100ms", "depth5@100ms"}


def test_books_of_all_symbols_agree_with_the_market() -> None:
    desk = Desk()
    desk.move(500)
    for row in desk.get("ticker/bookTicker"):
        perp = desk.venue.listed[row["symbol"]]
        if perp.asset is None:
            assert (row["askPrice"], float(row["askQty"])) == ("0.0000", 0.0)
            continue
        fair = perp.asset.mid * perp.listing.multiplier
        assert float(row["bidPrice"]) == pytest.approx(fair, rel=1e-3)
        assert float(row["bidPrice"]) < float(row["askPrice"])


def test_missing_side_is_taken_away_by_deltas_and_comes_back() -> None:
    desk = Desk()
    desk.subscribe("btcusdt@depth@0ms", "btcusdt@bookTicker")
    book = LocalBook()
    book.load(desk.get("depth", symbol="BTCUSDT", limit=1000))
    desk.venue.missing_side = "ask"
    told = desk.taken(desk.venue.refresh())
    for event in diffs(told):
        book.apply(event)
    assert book.bids
    assert book.asks == {}
    (row,) = [row for row in told if row["e"] == "bookTicker"]
    assert (row["a"], row["A"]) == ("0.0", "0.000")
    assert desk.get("depth", symbol="BTCUSDT")["asks"] == []
    desk.venue.missing_side = ""
    for event in diffs(desk.taken(desk.venue.refresh())):
        book.apply(event)
    assert (book.bids, book.asks) == desk.shown("BTCUSDT")


def test_crossed_book_is_in_the_streams_alone_and_heals() -> None:
    desk = Desk()
    desk.subscribe("btcusdt@depth@0ms")
    book = LocalBook()
    book.load(desk.get("depth", symbol="BTCUSDT", limit=1000))
    desk.venue.is_crossed = True
    pushes = desk.venue.refresh()
    assert {push.frame.top.fault for push in pushes if push.frame.top} == {"crossed"}
    for event in desk.taken(pushes):
        book.apply(event)
    assert max(book.bids) > min(book.asks)
    row = desk.get("ticker/bookTicker", symbol="BTCUSDT")
    assert float(row["bidPrice"]) < float(row["askPrice"])
    desk.venue.is_crossed = False
    for event in desk.taken(desk.venue.refresh()):
        book.apply(event)
    assert (book.bids, book.asks) == desk.shown("BTCUSDT")


# Faults of the data.


def follow(desk: Desk, book: LocalBook, events: int) -> None:
    for told in desk.move(events):
        book.apply(told)


@pytest.mark.parametrize("text", ["gap", "gap(symbol=BTCUSDT,channel=depth@100ms)"])
def test_gap_loses_one_delta_and_breaks_the_chain(text: str) -> None:
    desk = Desk()
    desk.subscribe("btcusdt@depth@100ms")
    book = LocalBook()
    book.load(desk.get("depth", symbol="BTCUSDT", limit=1000))
    follow(desk, book, 300)
    fault = parse(text)
    desk.venue.board.add(fault)
    desk.venue.refresh()
    desk.venue.board.remove(fault)
    desk.venue.refresh()
    with pytest.raises(Gap):
        follow(desk, book, 500)
    book = LocalBook()
    book.load(desk.get("depth", symbol="BTCUSDT", limit=1000))
    follow(desk, book, 500)  # one was lost, not more


def test_gap_of_another_symbol_leaves_this_one_whole() -> None:
    desk = Desk()
    desk.subscribe("btcusdt@depth@100ms")
    book = LocalBook()
    book.load(desk.get("depth", symbol="BTCUSDT", limit=1000))
    desk.venue.board.add(parse("gap(symbol=ETHUSDT)+1h"))
    desk.venue.refresh()
    follow(desk, book, 500)


def test_lasting_gap_loses_every_second_delta() -> None:
    desk = Desk()
    desk.subscribe("btcusdt@depth@100ms")
    desk.venue.board.add(parse("gap+1h"))
    desk.venue.refresh()
    events = desk.move(2000)
    assert len(events) > 5
    assert all(one["pu"] > last["u"] for last, one in pairwise(events))


def test_corrupt_delta_has_a_size_that_cannot_be_and_says_so_in_the_truth() -> None:
    desk = Desk()
    desk.subscribe("btcusdt@depth@100ms", "btcusdt@bookTicker")
    desk.venue.board.add(parse("corrupt"))
    for told in desk.move(500):
        if told["e"] == "depthUpdate":
            for rows in (told["b"], told["a"]):
                assert not rows or float(rows[0][1]) < 0
    marks = {
        (push.frame.channel, push.frame.top.fault)
        for push in desk.pushes
        if push.frame.top
    }
    assert marks == {("depth@100ms", "corrupt"), ("bookTicker", "")}


def test_wrong_symbol_is_another_listed_one_in_streams_and_rest() -> None:
    desk = Desk()
    desk.subscribe("btcusdt@bookTicker")
    desk.venue.board.add(parse("wrong_symbol(symbol=BTCUSDT)"))
    assert {row["s"] for row in desk.move(500)} == {"ETHUSDT"}
    assert {push.frame.top.fault for push in desk.pushes if push.frame.top} == {
        "wrong_symbol"
    }
    row = desk.get("ticker/bookTicker", symbol="BTCUSDT")
    assert row["symbol"] == "ETHUSDT"
    assert desk.get("premiumIndex", symbol="SOLUSDT")["symbol"] == "SOLUSDT"


def test_old_snapshot_lies_before_the_first_buffered_event() -> None:
    desk = Desk()
    desk.move(1000)
    desk.subscribe("btcusdt@depth@100ms")
    first = desk.until()
    desk.venue.board.add(parse("old_snapshot"))
    book = LocalBook()
    book.apply(first)
    with pytest.raises(Gap):
        book.load(desk.get("depth", symbol="BTCUSDT", limit=1000))
