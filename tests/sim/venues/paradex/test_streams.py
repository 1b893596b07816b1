"""What the channels say: snapshots, deltas, touches, trades, funding, heartbeats."""

from __future__ import annotations

from itertools import pairwise
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feedhandler.sim.venues._base import PONG, Frame
from tests.sim.venues.paradex.desk import BTC, ETH, UNIT, Book, Desk, read, touch_of

KPEPE, HYPE = "kPEPE-USD-PERP", "HYPE-USD-PERP"


def events(frames: list[Frame], kind: str) -> list[SimpleNamespace]:
    return [event for event in (read(frame.text) for frame in frames)
            if event.kind == kind]  # fmt: skip


def market_book(desk: Desk, symbol: str) -> list[dict[int, int]]:
    """The market's book as it is, in the wire's numbers."""
    perp = desk.venue.listed[symbol]
    price_unit = 10 ** (8 - perp.grid.price_decimals)
    size_unit = 10 ** (8 - perp.grid.size_decimals)
    return [
        {level.price * price_unit: level.size * size_unit for level in side}
        for side in perp.market_book
    ]


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from([BTC, ETH, KPEPE]), st.integers(0, 2))
def test_naive_client_has_the_whole_book_and_the_truth_at_every_step(
    seed: int, symbol: str, version: int
) -> None:
    desk = Desk(seed, version)
    desk.move(30)
    book = Book()
    frames = desk.subscribe(f"order_book.{symbol}.deltas")
    for _ in range(250):
        for frame in frames:
            event = read(frame.text)
            assert event.market == frame.symbol == symbol
            assert book.apply(event)
            assert frame.top is not None
            assert book.touch == touch_of(frame.top)
            assert event.ts_us == frame.top.event_ms * 1000
        assert [book.bids, book.asks] == market_book(desk, symbol)
        frames = desk.move(1)


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 2**32))
def test_touch_is_that_of_the_book_with_the_same_number(seed: int) -> None:
    desk = Desk(seed)
    book, tops = Book(), {}
    frames = desk.subscribe(f"order_book.{BTC}.deltas")
    frames += desk.subscribe(f"bbo.{BTC}") + desk.move(500)
    touches: dict[int, list[int | None]] = {}
    for event in map(read, (frame.text for frame in frames)):
        if event.kind == "bbo":
            touches[event.seq] = event.touch
        else:
            assert book.apply(event)
            tops[event.seq] = book.touch
    assert len(touches) > 20
    assert touches == {seq: tops[seq] for seq in touches}
    # A touch is told when it changes, and only then.
    told = [tops[seq] for seq in sorted(tops)]
    changed = [after for before, after in pairwise(told)
               if before != after]  # fmt: skip
    assert list(touches.values()) == changed


def test_number_advances_by_one_with_every_event_of_the_market() -> None:
    desk = Desk()
    (opening,) = desk.subscribe(f"order_book.{BTC}.deltas")
    deltas = events(desk.move(600), "book")
    numbers = [event.seq for event in deltas]
    first = read(opening.text).seq + 1
    assert numbers == list(range(first, first + len(deltas)))
    assert {event.package for event in deltas} == {"DELTA"}
    assert all(event.bests == [-(2**63)] * 9 for event in deltas)


def test_touch_is_silent_until_it_changes() -> None:
    desk = Desk()
    assert desk.subscribe(f"bbo.{BTC}") == []


def test_all_markets_come_on_one_channel() -> None:
    desk = Desk()
    desk.subscribe("bbo.ALL")
    markets = {event.market for event in events(desk.move(400), "bbo")}
    assert markets == set(desk.venue.listed)


def test_books_of_venues_agree_within_the_spread() -> None:
    desk = Desk()
    desk.move(300)
    perp = desk.venue.listed[BTC]
    (frame,) = desk.subscribe(f"order_book.{BTC}.deltas")
    assert frame.top is not None
    bid, _, ask, _ = touch_of(frame.top)
    assert bid is not None
    assert ask is not None
    mid = perp.asset.mid * UNIT
    assert bid < ask
    assert bid <= mid <= ask


@pytest.mark.parametrize("name", ["snapshot@15@50ms", "snapshot@15@100ms"])
def test_images_are_whole_and_told_when_the_book_moved_on(name: str) -> None:
    desk = Desk()
    (opening,) = desk.subscribe(f"order_book.{BTC}.{name}")
    desk.tick(0.1)
    assert desk.tick(0.1) == []
    numbers = [read(opening.text).seq]
    for _ in range(20):
        assert desk.move(20) == []
        frames = desk.tick(0.1)
        for event in events(frames, "book"):
            assert event.package == "SNAPSHOT"
            assert (len(event.bids), len(event.asks)) == (15, 15)
            assert event.bids == sorted(event.bids, reverse=True)
            assert event.asks == sorted(event.asks)
            assert event.seq > numbers[-1]
            numbers.append(event.seq)
    assert len(numbers) > 10


def test_images_come_no_faster_than_their_rate() -> None:
    desk = Desk()
    for rate, symbol in (("50ms", BTC), ("100ms", ETH)):
        desk.subscribe(f"order_book.{symbol}.snapshot@15@{rate}")
    desk.tick(0.2)
    found: list[str] = []
    for _ in range(20):
        desk.move(20)
        desk.clock.turn(-0.2)  # the moves took no time
        found += [event.market for event in events(desk.tick(0.051), "book")]
    assert found.count(BTC) == 20
    assert 9 <= found.count(ETH) <= 11


def test_image_in_steps_has_rounded_prices_and_no_truth() -> None:
    desk = Desk()
    (frame,) = desk.subscribe(f"order_book.{BTC}.snapshot@15@100ms@10")
    event = read(frame.text)
    prices = [price for price, _ in event.bids + event.asks]
    assert all(price % (10 * UNIT) == 0 for price in prices)
    assert event.bids[0][0] < event.asks[0][0]
    assert frame.top is None


def test_interactive_book_has_more_at_the_touch_and_tells_both() -> None:
    desk = Desk()
    other = desk.open()
    (api,) = desk.subscribe(f"order_book.{BTC}.deltas", other)
    (frame,) = desk.subscribe(f"order_book.{BTC}.interactive@15@200ms")
    event, plain = read(frame.text), read(api.text)
    bid, bid_size, ask, ask_size, spread, *api_touch = event.bests
    assert [*event.bids[0], *event.asks[0]] == [bid, bid_size, ask, ask_size]
    assert [*plain.bids[0], *plain.asks[0]] == api_touch
    assert (bid, ask_size) > (api_touch[0], api_touch[3])
    assert spread == pytest.approx((ask - bid) / ((ask + bid) / 2) * UNIT, abs=1)


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 2**32))
def test_interactive_deltas_build_the_interactive_book(seed: int) -> None:
    desk = Desk(seed)
    book = Book()
    frames = desk.subscribe(f"order_book.{BTC}.interactive_deltas")
    desk.subscribe(f"bbo.{BTC}.interactive")
    for frame in frames + desk.move(400):
        event = read(frame.text)
        assert frame.top is not None
        if event.kind == "book":
            assert book.apply(event)
            assert book.touch == touch_of(frame.top)
        else:
            assert event.touch == touch_of(frame.top)


def test_trades_are_at_the_touch_and_share_the_number() -> None:
    desk = Desk()
    book = Book()
    frames = desk.subscribe(f"order_book.{BTC}.deltas")
    assert desk.subscribe("trades.ALL") == []
    frames += desk.move(3000)
    ids, forced, pending = [], 0, []
    for frame in frames:
        event = read(frame.text)
        if event.kind == "trade":
            ids.append(event.trade_id)
            forced += event.trade_type == "LIQUIDATION"
            assert (event.seq == 0) == (event.trade_type == "LIQUIDATION")
            assert event.ts_us >= event.created_us
            if event.market == BTC:
                best = book.touch[2 if event.side == "BUY" else 0]
                assert event.price == best
                pending.append(event.seq)
        else:
            assert book.apply(event)
            assert set(pending) <= {0, event.seq}
            pending.clear()
    assert len(set(ids)) == len(ids) > 100
    assert {len(one) for one in ids} == {28}
    assert 0 < forced < len(ids) / 5


def test_funding_tells_the_rate_of_its_period() -> None:
    desk = Desk()
    desk.subscribe("funding_data")
    desk.tick(1.0)
    found = {event.market: event for event in events(desk.tick(1.0), "funding")}
    assert set(found) == set(desk.venue.listed)
    assert (found[BTC].hours, found[HYPE].hours) == (8, 1)
    assert found[BTC].rate == found[BTC].rate_8h
    assert found[HYPE].rate_8h == pytest.approx(8 * found[HYPE].rate, abs=8)
    later = {event.market: event for event in events(desk.tick(60.0), "funding")}
    gained = later[BTC].index - found[BTC].index
    assert gained == pytest.approx(found[BTC].premium / (8 * 60), abs=2)


def test_summary_tells_the_touch_and_the_marks() -> None:
    desk = Desk()
    desk.move(100)
    desk.subscribe(f"markets_summary.{BTC}")
    desk.subscribe(f"order_book.{ETH}.deltas")
    (event,) = events(desk.tick(1.0), "summary")
    assert event.market == BTC
    assert event.seq == 0
    assert event.bid < event.ask
    assert event.mark == pytest.approx(event.bid, rel=0.01)
    assert event.index == pytest.approx(event.bid, rel=0.01)
    assert event.last == pytest.approx(event.bid, rel=0.01)
    assert event.total == 2**63 - 1
    assert min(event.bid_size, event.ask_size, event.open_interest) > 0


def test_heartbeat_comes_when_nothing_else_does() -> None:
    desk = Desk()
    assert desk.tick(19.0) == []
    (frame,) = desk.tick(6.0)
    assert read(frame.text).kind == "heartbeat"
    assert frame.kind == PONG
    assert desk.tick(6.0) == []
    desk.subscribe(f"bbo.{BTC}")
    for _ in range(6):
        desk.clock.turn(6.0)
        assert "heartbeat" not in {read(f.text).kind for f in desk.move(40)}
        assert desk.tick(0.0) == []
