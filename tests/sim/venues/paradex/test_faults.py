"""The faults that a venue itself renders, as a naive client meets them."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest

from feedhandler.sim.venues._base import Frame
from tests.sim.venues.paradex.desk import BTC, ETH, Book, Desk, read, touch_of

DELTAS, BBO = f"order_book.{BTC}.deltas", f"bbo.{BTC}"


def opened(desk: Desk) -> Book:
    """A client's book after the snapshot and some deltas."""
    book = Book()
    for frame in desk.subscribe(DELTAS) + desk.move(100):
        assert book.apply(read(frame.text))
    return book


def follow(book: Book, frames: list[Frame]) -> list[bool]:
    """Apply deltas, and say of each whether it followed the one before it."""
    return [book.apply(read(frame.text)) for frame in frames]


def test_gap_loses_one_delta_and_a_new_snapshot_heals_it() -> None:
    desk = Desk()
    book = opened(desk)
    fault = desk.start("gap")
    desk.end(fault)
    numbers = [read(frame.text).seq for frame in desk.move(200)]
    assert numbers[0] == book.seq + 2
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    desk.ask("unsubscribe", DELTAS)
    frames = desk.subscribe(DELTAS) + desk.move(100)
    assert all(follow(book, frames))


def test_gap_of_some_time_loses_every_second_delta() -> None:
    desk = Desk()
    opened(desk)
    fault = desk.start("gap+1h")
    numbers = [read(frame.text).seq for frame in desk.move(400)]
    steps = {later - sooner for sooner, later in pairwise(numbers)}
    assert steps == {2}
    desk.end(fault)
    numbers = [read(frame.text).seq for frame in desk.move(400)]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def test_gap_of_another_market_touches_nothing_here() -> None:
    desk = Desk()
    book = opened(desk)
    desk.end(desk.start(f"gap(symbol={ETH})"))
    assert all(follow(book, desk.move(200)))


def test_gap_leaves_the_touch_channel_whole() -> None:
    desk = Desk()
    desk.subscribe(BBO)
    desk.start("gap+1h")
    frames = desk.move(300)
    assert frames
    perp = desk.venue.listed[BTC]
    assert read(frames[-1].text).seq <= perp.seq


def test_corrupt_book_disagrees_with_the_touch_of_its_number_and_heals() -> None:
    desk = Desk()
    book = opened(desk)
    desk.subscribe(BBO)
    fault = desk.start("corrupt")
    wrong, touches = 0, {}
    for frame in desk.started + desk.move(300):
        event = read(frame.text)
        assert frame.top is not None
        if event.kind == "bbo":
            assert frame.top.fault == ""
            touches[event.seq] = event.touch
            continue
        assert book.apply(event)
        assert book.touch == touch_of(frame.top)
        assert frame.top.fault == "corrupt"
        wrong += touches.get(event.seq, book.touch) != book.touch
    assert wrong == len(touches) > 10
    follow(book, desk.end(fault))
    for frame in desk.move(300):
        event = read(frame.text)
        if event.kind == "bbo":
            touches[event.seq] = event.touch
        else:
            assert book.apply(event)
            assert touches.get(event.seq, book.touch) == book.touch


def test_crossed_book_is_a_delta_marked_in_the_truth_and_heals() -> None:
    desk = Desk()
    book = opened(desk)
    desk.venue.is_crossed = True
    frames = desk.taken(desk.venue.refresh())
    (frame,) = frames
    assert all(follow(book, frames))
    bid, _, ask, _ = book.touch
    assert bid is not None
    assert ask is not None
    assert bid >= ask
    assert frame.top is not None
    assert frame.top.fault == "crossed"
    rest = desk.json(f"/bbo/{BTC}")
    assert float(rest["bid"]) < float(rest["ask"])
    desk.venue.is_crossed = False
    (frame,) = healed = desk.taken(desk.venue.refresh())
    assert all(follow(book, healed))
    assert frame.top is not None
    assert book.touch == touch_of(frame.top)
    assert all(follow(book, desk.move(100)))


@pytest.mark.parametrize("side", ["bid", "ask"])
def test_missing_side_leaves_by_a_delta_and_is_null_in_the_touch(side: str) -> None:
    desk = Desk()
    book = opened(desk)
    desk.subscribe(BBO)
    desk.venue.missing_side = side
    touch, delta = desk.taken(desk.venue.refresh())
    missing = slice(0, 2) if side == "bid" else slice(2, 4)
    assert read(touch.text).touch[missing] == [None, None]
    assert book.apply(read(delta.text))
    assert not (book.bids if side == "bid" else book.asks)
    assert desk.json(f"/orderbook/{BTC}")[f"{side}s"] == []
    assert desk.json(f"/bbo/{BTC}")[side] == ""
    desk.subscribe(f"markets_summary.{BTC}")
    event = next(read(f.text) for f in desk.tick(1.0) if read(f.text).kind == "summary")
    assert (event.bid if side == "bid" else event.ask) == -(2**63)
    desk.venue.missing_side = ""
    assert book.apply(read(desk.taken(desk.venue.refresh())[-1].text))
    assert None not in book.touch


def test_old_snapshot_does_not_join_the_deltas_after_it() -> None:
    desk = Desk()
    desk.move(400)
    fault = desk.start("old_snapshot")
    book = Book()
    (frame,) = desk.subscribe(DELTAS)
    assert frame.top is not None
    assert frame.top.fault == "old_snapshot"
    assert follow(book, [frame, *desk.move(1000)[:1]]) == [True, False]
    live = desk.venue.listed[BTC].seq
    assert desk.json(f"/orderbook/{BTC}")["seq_no"] < live
    desk.end(fault)
    desk.ask("unsubscribe", DELTAS)
    assert all(follow(book, desk.subscribe(DELTAS) + desk.move(100)))
    assert desk.json(f"/orderbook/{BTC}")["seq_no"] == desk.venue.listed[BTC].seq


def test_old_images_have_numbers_below_those_before_them() -> None:
    desk = Desk()
    desk.move(400)
    (frame,) = desk.subscribe(f"order_book.{BTC}.snapshot@15@50ms")
    desk.start("old_snapshot")
    desk.move(50)
    (late,) = desk.tick(0.1)
    assert read(late.text).seq < read(frame.text).seq


def test_wrong_symbol_names_another_market_everywhere() -> None:
    desk = Desk()
    for channel in (DELTAS, BBO, f"trades.{BTC}", f"funding_data.{BTC}"):
        desk.subscribe(channel)
    fault = desk.start("wrong_symbol")
    frames = desk.move(600) + desk.tick(1.0)
    assert {read(frame.text).kind for frame in frames} == {
        "book", "bbo", "trade", "funding"
    }  # fmt: skip
    assert {read(frame.text).market for frame in frames} == {ETH}
    assert {frame.top.fault for frame in frames if frame.top} == {"wrong_symbol"}
    assert desk.json(f"/orderbook/{BTC}")["market"] == ETH
    assert desk.json(f"/bbo/{BTC}")["market"] == ETH
    desk.end(fault)
    assert {read(frame.text).market for frame in desk.move(100)} == {BTC}
    assert desk.json(f"/orderbook/{BTC}")["market"] == BTC


def test_fault_of_one_channel_leaves_the_others() -> None:
    desk = Desk()
    desk.subscribe(DELTAS)
    desk.subscribe(BBO)
    desk.start("wrong_symbol(channel=bbo)")
    named = {(event.kind, event.market) for event in
             (read(frame.text) for frame in desk.move(300))}  # fmt: skip
    assert named == {("bbo", ETH), ("book", BTC)}


def test_muted_session_is_idle_and_gets_heartbeats() -> None:
    desk = Desk()
    desk.subscribe(BBO)
    desk.start("mute")
    kinds = []
    for _ in range(10):
        desk.move(100)
        kinds += [read(frame.text).kind for frame in desk.tick(5.0)]
    assert kinds.count("heartbeat") >= 2


def test_quiet_market_is_silent_while_funding_goes_on() -> None:
    desk = Desk()
    opened(desk)
    desk.subscribe("funding_data")
    desk.venue.is_quiet = True
    assert desk.taken(desk.venue.refresh()) == []
    kinds = {read(frame.text).kind for frame in desk.tick(1.0)}
    assert kinds == {"funding"}


def test_deaf_venue_acknowledges_and_holds_nothing() -> None:
    desk = Desk()
    desk.venue.is_deaf = True
    (answer,) = desk.ask("subscribe", DELTAS)
    assert "result" in json.loads(answer.text)
    assert desk.move(100) == []
    desk.venue.is_deaf = False
    assert desk.subscribe(DELTAS)
