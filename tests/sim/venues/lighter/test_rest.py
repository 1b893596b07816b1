"""The answers of REST."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal

import pytest

from feedhandler.sim import Limits
from feedhandler.sim.venues._base import Request
from tests.sim.venues.lighter.desk import Desk, lines, sample, shape, without


def test_details_have_the_recorded_shape() -> None:
    status, body = Desk().get("orderBookDetails", market_id=0)
    recorded = sample("rest_order_book_details.json")
    assert status == 200
    assert shape(body) == shape(recorded)
    row, recorded_row = (one["order_book_details"][0] for one in (body, recorded))
    for name in ("size_decimals", "price_decimals", "symbol", "market_type"):
        assert row[name] == recorded_row[name]


def test_order_books_have_the_recorded_shape() -> None:
    _, body = Desk().get("orderBooks", market_id=0)
    assert shape(body) == shape(sample("rest_order_books.json"))


def test_assets_are_listed_for_clients_that_ask_first() -> None:
    _, body = Desk().get("assetDetails")
    assert [row["symbol"] for row in body["asset_details"]] == ["ETH", "USDC"]


@pytest.mark.parametrize(
    ("query", "name"),
    [
        (
            {"path": "orderBookOrders", "market_id": 0, "limit": 5},
            "rest_order_book_orders.json",
        ),
        (
            {
                "path": "fundings",
                "market_id": 0,
                "resolution": "1h",
                "start_timestamp": 0,
                "end_timestamp": 4_000_000_000,
                "count_back": 2,
            },
            "rest_fundings.json",
        ),
        ({"path": "funding-rates"}, "rest_funding_rates.json"),
        (
            {"path": "recentTrades", "market_id": 0, "limit": 1},
            "rest_recent_trades.json",
        ),
    ],
)
def test_answer_has_the_recorded_shape(query: dict[str, object], name: str) -> None:
    path = str(query.pop("path"))
    status, body = Desk().get(path, **query)
    assert status == 200
    flag = "taker_position_sign_changed"
    assert shape(without(body, flag)) == shape(sample(name))


def test_details_list_what_clients_look_for() -> None:
    _, body = Desk().get("orderBookDetails")
    rows = {row["market_id"]: row for row in body["order_book_details"]}
    assert {rows[key]["symbol"] for key in (0, 1)} == {"ETH", "BTC"}
    symbols = {row["symbol"] for row in rows.values()}
    assert {"SOL", "HYPE", "1000PEPE"} <= symbols
    inactive = [row["symbol"] for row in rows.values() if row["status"] != "active"]
    assert inactive == ["ADA"]
    (spot,) = body["spot_order_book_details"]
    assert (spot["symbol"], spot["market_id"]) == ("ETH/USDC", 2048)


@pytest.mark.parametrize(
    ("query", "counts"),
    [
        ({"filter": "perp"}, (8, 0)),
        ({"filter": "spot"}, (0, 1)),
        ({"filter": "all", "market_id": 255}, (8, 1)),
        ({"market_id": 1}, (1, 0)),
        ({"market_id": 1, "filter": "spot"}, (0, 0)),
    ],
)
def test_details_are_filtered(query: dict[str, object], counts: object) -> None:
    _, body = Desk().get("orderBookDetails", **query)
    perps, spots = body["order_book_details"], body["spot_order_book_details"]
    assert (len(perps), len(spots)) == counts


def test_orders_add_up_to_the_book_of_the_stream() -> None:
    desk = Desk()
    desk.move(200)
    desk.tick(0.05)
    book = desk.subscribe("order_book/1")["order_book"]
    _, body = desk.get("orderBookOrders", market_id=1, limit=250)
    for side in ("bids", "asks"):
        sizes: dict[str, Decimal] = defaultdict(Decimal)
        for row in body[side]:
            sizes[row["price"]] += Decimal(row["remaining_base_amount"])
        known = {row["price"]: Decimal(row["size"]) for row in book[side]}
        assert sizes == known
        assert body[f"total_{side}"] == len(body[side])
        assert len({row["order_index"] for row in body[side]}) == len(body[side])
    assert desk.get("orderBookOrders", market_id=1, limit=250)[1] == body
    short = desk.get("orderBookOrders", market_id=1, limit=3)[1]
    assert [len(short[side]) for side in ("asks", "bids")] == [3, 3]


def test_orders_of_an_empty_book_are_none() -> None:
    _, body = Desk().get("orderBookOrders", market_id=39, limit=10)
    assert (body["asks"], body["bids"], body["total_asks"]) == ([], [], 0)


def test_funding_is_hourly_percent_and_the_value_of_one_coin() -> None:
    desk = Desk()
    now_s = desk.clock.wall_ms() // 1000
    query = {
        "market_id": 1,
        "resolution": "1h",
        "start_timestamp": now_s - 36_000,
        "end_timestamp": now_s,
        "count_back": 0,
    }
    assert desk.get("fundings", **query)[1]["fundings"] == []
    _, body = desk.get("fundings", **{**query, "count_back": 50})
    rows = body["fundings"]
    assert len(rows) == 10
    assert all(row["timestamp"] % 3600 == 0 for row in rows)
    for row in rows:
        value = float(row["rate"]) / 100 * 97_000
        assert float(row["value"]) == pytest.approx(value)
        assert float(row["rate"]) >= 0
        assert row["direction"] in ("long", "short")
    stats = desk.subscribe("market_stats/1")["market_stats"]
    sign = 1 if rows[-1]["direction"] == "long" else -1
    assert float(stats["funding_rate"]) == sign * float(rows[-1]["rate"])
    in_ms = {
        **query,
        "start_timestamp": (now_s - 36_000) * 1000,
        "end_timestamp": now_s * 1000,
        "count_back": 50,
    }
    assert desk.get("fundings", **in_ms)[1] == body
    _, days = desk.get("fundings", **{**query, "resolution": "1d", "count_back": 50})
    assert all(row["timestamp"] % 86_400 == 0 for row in days["fundings"])
    _, long = desk.get("fundings", **{**query, "start_timestamp": 0, "count_back": 500})
    assert len(long["fundings"]) == 100


def test_funding_rates_are_of_four_venues_and_ours_is_the_last() -> None:
    desk = Desk()
    _, body = desk.get("funding-rates")
    rows = [row for row in body["funding_rates"] if row["market_id"] == 1]
    venues = ["binance", "bybit", "hyperliquid", "lighter"]
    assert [row["exchange"] for row in rows] == venues
    stats = desk.subscribe("market_stats/1")["market_stats"]
    hourly = float(stats["current_funding_rate"]) / 100
    assert rows[-1]["rate"] == pytest.approx(hourly * 8, abs=1e-8)


@pytest.mark.parametrize(
    ("path", "query", "code"),
    [
        ("nonsense", {}, 29404),
        ("orderBookOrders", {"market_id": 254, "limit": 5}, 21602),
        ("orderBookOrders", {"market_id": "x", "limit": 5}, 21602),
        ("orderBookOrders", {"limit": 5}, 21602),
        ("orderBookOrders", {"market_id": 0}, 20001),
        ("orderBookOrders", {"market_id": 0, "limit": 251}, 20001),
        ("orderBookOrders", {"market_id": 0, "limit": 0}, 20001),
        ("recentTrades", {"market_id": 0, "limit": 101}, 20001),
        ("orderBookDetails", {"filter": "none"}, 20001),
        ("orderBookDetails", {"market_id": "²"}, 21602),
        (
            "fundings",
            {
                "market_id": 0,
                "resolution": "1h",
                "start_timestamp": 5,
                "end_timestamp": 5,
            },
            22400,
        ),
        ("fundings", {"market_id": 0, "resolution": "1h"}, 22400),
        ("fundings", {"market_id": 0, "resolution": "1m"}, 22403),
    ],
)
def test_wrong_request_is_400_with_the_code(
    path: str, query: dict[str, object], code: int
) -> None:
    status, body = Desk().get(path, **query)
    assert (status, body["code"]) == (400, code)
    known = {one["body"]["code"]: one["body"] for one in lines("rest_errors.jsonl")}
    if code in (29404, 21602):
        assert body == known[code]
    assert shape(body) == shape(known[29404])


def test_requests_beyond_the_budget_are_429_until_a_minute_passed() -> None:
    desk = Desk(limits=Limits(rest_weight_per_minute=2))
    assert [desk.get("orderBooks")[0] for _ in range(3)] == [200, 200, 429]
    (known,) = [one for one in lines("rest_errors.jsonl") if one["status"] == 429]
    assert desk.get("orderBooks") == (429, known["body"])
    desk.clock.turn(60.0)
    assert desk.get("orderBooks")[0] == 200


def test_paths_are_known_with_and_without_the_version() -> None:
    venue = Desk().venue
    for path in ("/api/v1/orderBooks", "/orderBooks"):
        assert venue.rest(Request("GET", path, {}, b"")).status == 200
    for path in ("/", "/api/v1", "/api/v1/"):
        assert '"status":200' in venue.rest(Request("GET", path, {}, b"")).body
    assert venue.rest(Request("POST", "/api/v1/orderBooks", {}, b"")).status == 400
