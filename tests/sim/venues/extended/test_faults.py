"""The faults of the data that only this venue can show, as a client sees them."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest

from feedhandler.sim.venues.extended.requests import V1
from tests.sim.venues.extended.desk import Desk, Line, NaiveBook, numbers

BTC = "BTC-USD"


def both_books(desk: Desk) -> list[Line]:
    """BTC's full book on either kind of stream."""
    second = desk.rpc()
    second.call("subscribe", "orderbooks", market=BTC, depth="full")
    return [desk.open(f"/orderbooks/{BTC}"), second]


def run(lines: Iterable[Line], ticks: int) -> None:
    opened = list(lines)
    for _ in range(ticks):
        pushes = opened[0].desk.move(20) + opened[0].desk.tick()
        for line in opened:
            line.of(pushes)


def holes(line: Line) -> int:
    told = [message["seq"] for message in line.messages if "seq" in message]
    return sum(later != earlier + 1 for earlier, later in pairwise(told))


def replayed(line: Line) -> NaiveBook:
    book = NaiveBook()
    for message in line.messages:
        if "seq" in message:
            book.apply(message)
    return book


def marks(line: Line) -> set[str]:
    return {frame.top.fault for frame in line.got if frame.top is not None}


def test_gap_loses_one_change_and_its_number() -> None:
    desk = Desk()
    opened = both_books(desk)
    run(opened, 5)
    desk.begin("gap")
    run(opened, 20)
    assert [holes(line) for line in opened] == [1, 1]
    assert all(replayed(line).mismatches for line in opened)


def test_stream_opened_under_mute_begins_with_a_snapshot_after_it() -> None:
    desk = Desk()
    fault = desk.begin("mute")
    opened = both_books(desk)
    run(opened, 5)
    assert not any("seq" in message for line in opened for message in line.messages)
    desk.end(fault)
    run(opened, 20)
    for line in opened:
        told = [message for message in line.messages if "seq" in message]
        assert told[0]["type"].endswith("SNAPSHOT")
        assert (holes(line), replayed(line).mismatches) == (0, 0)


def test_rejected_market_has_no_stream_of_its_own_and_is_unknown_to_requests() -> None:
    desk = Desk()
    desk.begin(f"reject(symbol={BTC})")
    assert desk.venue.open(f"{V1}/orderbooks/{BTC}", {}) is None
    assert desk.venue.open(f"{V1}/orderbooks/ETH-USD", {}) is not None
    (answer,) = desk.rpc().call("subscribe", "orderbooks", market=BTC, depth="full")
    assert answer["error"]["code"] == 1001


def test_gap_for_a_duration_loses_every_second_change() -> None:
    desk = Desk()
    opened = both_books(desk)
    run(opened, 5)
    fault = desk.begin("gap+10s")
    run(opened, 20)
    desk.end(fault)
    assert min(holes(line) for line in opened) > 5
    run(opened, 1)
    seen = [holes(line) for line in opened]
    run(opened, 10)
    assert [holes(line) for line in opened] == seen


def test_gap_of_one_symbol_leaves_the_others() -> None:
    desk = Desk()
    opened = [desk.open("/orderbooks/BTC-USD"), desk.open("/orderbooks/ETH-USD")]
    desk.begin("gap(symbol=ETH-USD)")
    run(opened, 20)
    assert [holes(line) for line in opened] == [0, 1]


def test_corrupt_sizes_do_not_fit_the_changes_and_are_marked() -> None:
    desk = Desk()
    opened = both_books(desk)
    run(opened, 5)
    fault = desk.begin("corrupt(symbol=BTC-USD)")
    run(opened, 10)
    desk.end(fault)
    for line in opened:
        assert replayed(line).mismatches >= 5
        assert marks(line) == {"", "corrupt"}
        assert holes(line) == 0


def test_corrupt_touch_is_in_the_truth_as_it_was_sent() -> None:
    desk = Desk()
    line = desk.open(f"/orderbooks/{BTC}")
    desk.begin("corrupt")
    run([line], 200)
    found = 0
    for frame, message in zip(line.got, line.messages, strict=True):
        assert frame.top is not None
        best = {"b": frame.top[:2], "a": frame.top[2:4]}
        for side, (price, size) in best.items():
            assert price is not None
            told = {Decimal(row["p"]): row.get("c") for row in message["data"][side]}
            if told.get(Decimal(price)) is not None:
                assert size == told[Decimal(price)]
                found += 1
    assert found > 20


@pytest.mark.parametrize("query", [{}, {"depth": "1"}])
def test_old_snapshot_tells_an_earlier_book_and_time_under_the_next_number(
    query: dict[str, str],
) -> None:
    desk = Desk()
    line = desk.open(f"/orderbooks/{BTC}", **query)
    first = line.messages[0]
    run([line], 20)
    fault = desk.begin("old_snapshot")
    seen = len(line.got)
    while len(line.got) == seen:
        run([line], 1)
    desk.end(fault)
    late = line.messages[seen]
    assert late["type"] == "SNAPSHOT"
    assert (late["data"], late["ts"]) == (first["data"], first["ts"])
    assert late["seq"] == line.messages[seen - 1]["seq"] + 1
    top = line.got[seen].top
    assert top is not None
    assert top.fault == "old_snapshot"
    run([line], 20)
    if not query:
        assert replayed(line).mismatches


def test_wrong_symbol_names_another_market_on_streams_and_rest() -> None:
    desk = Desk()
    opened = both_books(desk)
    fault = desk.begin("wrong_symbol")
    run(opened, 3)
    for line in opened:
        assert {one["data"]["m"] for one in line.messages[-2:]} == {"ETH-USD"}
        assert "wrong_symbol" in marks(line)
        wrong = [frame for frame in line.got if frame.top and frame.top.fault]
        assert {frame.symbol for frame in wrong} == {"ETH-USD"}
    assert opened[1].messages[-1]["subscription"] == "orderbooks.BTC-USD"
    assert desk.data(f"/info/markets/{BTC}/orderbook")["market"] == "ETH-USD"
    desk.end(fault)
    assert desk.data(f"/info/markets/{BTC}/orderbook")["market"] == BTC


def test_wrong_symbol_renames_every_row_of_trades() -> None:
    desk = Desk()
    desk.begin("wrong_symbol(channel=trades)")
    _, replay = desk.rpc().call("subscribe", "trades", market=BTC)
    assert {row["m"] for row in replay["data"]} == {"ETH-USD"}


@pytest.mark.parametrize("side", ["bid", "ask"])
def test_one_sided_book_is_emptied_by_a_delta_and_filled_by_the_next(side: str) -> None:
    desk = Desk()
    line = desk.open(f"/orderbooks/{BTC}")
    fault = desk.begin(f"one_sided(side={side})")
    (emptied,) = line.step(0)
    rows = emptied["data"]["b" if side == "bid" else "a"]
    assert len(rows) > 50
    assert all(Decimal(row["c"]) == 0 for row in rows)
    top = line.got[-1].top
    assert top is not None
    assert (top.bid if side == "bid" else top.ask) is None
    desk.end(fault)
    line.step(0)
    assert replayed(line).equals(desk.perp(BTC))


def test_crossed_book_is_sent_as_real_changes_and_heals() -> None:
    desk = Desk()
    opened = [*both_books(desk), desk.open(f"/orderbooks/{BTC}", depth="1")]
    fault = desk.begin("crossed")
    pushes = desk.tick()
    for line in opened:
        line.of(pushes)
        top = line.got[-1].top
        assert top is not None
        assert top.fault == "crossed"
        bid, _, ask, _ = numbers(top)
        assert bid is not None
        assert ask is not None
        assert bid > ask
    desk.end(fault)
    run(opened, 3)
    for line in opened[:2]:
        book = replayed(line)
        assert book.mismatches == 0
        assert book.equals(desk.perp(BTC))
        top = line.got[-1].top
        assert top is not None
        assert top.fault == ""


def test_quiet_market_tells_prices_and_no_books() -> None:
    desk = Desk()
    book = desk.open(f"/orderbooks/{BTC}")
    price = desk.open(f"/prices/mark/{BTC}")
    desk.begin("quiet")
    told: list[Any] = []
    for _ in range(30):
        pushes = desk.tick()
        assert book.of(pushes) == []
        told += price.of(pushes)
    assert told
