"""Lighter over REST: its markets, and the orders that are added up to a book."""

from __future__ import annotations

import json
from math import isnan
from typing import Any

import pytest

from feedhandler.codec.frame import FrameError
from feedhandler.events import TIME_NONE, BookEvent
from feedhandler.venues._base import Market, find_market
from feedhandler.venues.lighter import VENUE
from tests.venues.frames import WALL_NS, directory, lines, refused

FRAMES = directory("lighter")
ETH = Market("ETH", "ETH-PERP", market_id="0")
BTC = Market("BTC", "BTC-PERP", market_id="1")
FIRST_ID = 1 << 48  # of an order of market 0
LIMIT = 250


def read(name: str) -> bytes:
    return (FRAMES / name).read_bytes()


# --- Markets ------------------------------------------------------------------------


def test_discovery_gives_ids_names_and_steps() -> None:
    (market,) = VENUE.parse_markets([read("rest_order_book_details.json")])
    assert (market.symbol, market.instrument, market.key) == ("ETH", "ETH-PERP", "0")
    assert (market.tick, market.lot, market.is_active) == (0.01, 0.0001, True)
    for name in ("ETH-PERP", "ETH", "0"):
        assert find_market(VENUE, name, [market]) is market


def test_thousand_is_a_multiple_and_what_is_not_active_delisted() -> None:
    row = {"symbol": "1000PEPE", "market_id": 4, "status": "inactive"}
    body = json.dumps({"order_book_details": [row]}).encode()
    (market,) = VENUE.parse_markets([body])
    assert (market.instrument, market.multiplier) == ("PEPE-PERP", 1000.0)
    assert isnan(market.tick)
    assert not market.is_active


def test_only_an_id_can_be_followed_without_discovery() -> None:
    assert find_market(VENUE, "1", []).market_id == "1"
    assert find_market(VENUE, "BTC-PERP", []).market_id == ""


def test_requests_stay_below_one_a_second() -> None:
    assert VENUE.limits.rest_weight_per_minute == 60
    assert [request.weight for request in VENUE.discovery] == [1]
    assert VENUE.snapshot_request(ETH).weight == 1


@pytest.mark.parametrize("line", range(5))
def test_error_envelope_is_neither_discovery_nor_book(line: int) -> None:
    error = json.loads(lines("lighter", "rest_errors.jsonl")[line])["body"]
    body = json.dumps(error).encode()
    with refused("venue_error"):
        VENUE.parse_markets([body])
    with refused("venue_error") as refusal:
        VENUE.parse_snapshot(ETH, body, WALL_NS)
    assert str(error["code"]) in refusal.value.detail


# --- Books --------------------------------------------------------------------------


def order(price: Any, size: Any = "1.0", index: Any = FIRST_ID + 7) -> dict[str, Any]:
    return {"order_index": index, "price": price, "remaining_base_amount": size}


def parse(
    bids: Any = (), asks: Any = (), market: Market = ETH, **more: Any
) -> BookEvent:
    answer = {"code": 200, "bids": bids, "asks": asks, **more}
    kept = {key: value for key, value in answer.items() if value != "absent"}
    return VENUE.parse_snapshot(market, json.dumps(kept).encode(), WALL_NS)


def test_request_names_the_market_by_its_id() -> None:
    request = VENUE.snapshot_request(BTC)
    path = "/api/v1/orderBookOrders?market_id=1&limit=250"
    assert (request.method, request.path, request.body) == ("GET", path, b"")


def test_recorded_orders_are_an_image_without_time_or_number() -> None:
    body = read("rest_order_book_orders.json")
    image = VENUE.parse_snapshot(ETH, body, WALL_NS)
    expected = BookEvent("0", TIME_NONE, True, [(2361.17, 3.4125)], [(2361.32, 0.0317)])
    assert image == expected


def test_orders_of_one_price_are_one_level() -> None:
    image = parse(
        bids=[order("100.0", "0.1"), order("100.00", "0.2"), order("99.5", "3")],
        asks=[order("101.0", "1.5"), order("101.0", "1.5"), order("101.0", "0.0")],
    )
    assert image.bids == [(100.0, 0.3), (99.5, 3.0)]
    assert image.asks == [(101.0, 3.0)]


@pytest.mark.parametrize("nothing", [[], None])
def test_side_without_orders_is_empty(nothing: Any) -> None:
    image = parse(bids=nothing, asks=[order("101")])
    assert (image.bids, image.asks) == ([], [(101.0, 1.0)])


def test_last_level_of_a_list_that_was_cut_is_left_out() -> None:
    bids = [order(str(2_000 - place // 2)) for place in range(LIMIT)]
    asks = [order(str(2_001 + place // 2)) for place in range(LIMIT - 1)]
    image = parse(bids, asks)
    assert (len(image.bids), image.bids[-1]) == (LIMIT // 2 - 1, (1_877.0, 2.0))
    assert (len(image.asks), image.asks[-1]) == (LIMIT // 2, (2_125.0, 1.0))


def test_cut_list_of_a_single_level_keeps_it() -> None:
    assert parse([order("100", "0.5")] * LIMIT).bids == [(100.0, 125.0)]


@pytest.mark.parametrize(
    "name", ["rest_recent_trades.json", "ws_trade_update_btc.json"]
)
def test_recorded_ids_of_orders_tell_the_market(name: str) -> None:
    for row in json.loads(read(name))["trades"]:
        market = Market("X", "X-PERP", market_id=str(row["market_id"]))
        bids = [order("100", index=row["bid_id"])]
        asks = [order("101", index=row["ask_id"])]
        assert parse(bids, asks, market).symbol == market.key
        other = Market("X", "X-PERP", market_id=str(row["market_id"] + 1))
        for side in ({"bids": bids}, {"asks": asks}):
            with refused("symbol"):
                parse(**side, market=other)


def test_book_of_another_market_is_refused() -> None:
    with pytest.raises(FrameError, match="symbol"):
        VENUE.parse_snapshot(BTC, read("rest_order_book_orders.json"), WALL_NS)


@pytest.mark.parametrize("index", [0, 7, FIRST_ID - 1, 2 * FIRST_ID])
def test_order_that_is_none_of_the_market_refuses_the_book(index: int) -> None:
    with pytest.raises(FrameError, match="symbol"):
        parse(bids=[order("100"), order("99", index=index)])


def test_levels_that_name_no_market_are_refused() -> None:
    with pytest.raises(FrameError, match="missing"):
        VENUE.parse_snapshot(ETH, read("rest_order_book_depth_schema_only.json"), 0)


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({"bids": "absent"}, "missing"),
        ({"asks": "absent"}, "missing"),
        ({"bids": {}}, "type"),
        ({"bids": [["100", "1"]]}, "type"),
        ({"bids": [{"price": "100", "remaining_base_amount": "1"}]}, "missing"),
        ({"bids": [{"order_index": FIRST_ID, "price": "100"}]}, "missing"),
        ({"bids": [order("0")]}, "nonpositive"),
        ({"bids": [order("nan")]}, "number"),
        ({"bids": [order("")]}, "number"),
        ({"bids": [order("1e13")]}, "range"),
        ({"bids": [order(100.5)]}, "type"),
        ({"bids": [order("100", "-1")]}, "range"),
        ({"bids": [order("100", True)]}, "type"),
        ({"asks": [order("100", index="7")]}, "type"),
        ({"asks": [order("100", index=-1)]}, "range"),
        ({"asks": [order("100", index=1 << 64)]}, "range"),
        ({"code": "200"}, "type"),
        ({"code": 23000, "message": None}, "venue_error"),
    ],
)
def test_bad_answer_is_refused_with_its_reason(
    facts: dict[str, Any], reason: str
) -> None:
    with refused(reason):
        parse(**facts)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "empty"),
        (b"null", "shape"),
        (b"[]", "shape"),
        (b"{}", "missing"),
        (b"<html>", "json"),
        (b'{"code":200', "json"),
        (b"[" * 5_000, "shape"),
    ],
)
def test_what_is_no_envelope_is_refused(body: bytes, reason: str) -> None:
    with refused(reason):
        VENUE.parse_snapshot(ETH, body, WALL_NS)
