"""REST: forms, errors, weights, limits."""

from __future__ import annotations

import json
from typing import Any

import pytest

from feedhandler.sim.limits import Limits
from tests.sim.venues.aster.desk import Desk, samples


@pytest.mark.parametrize("version", ["v1", "v3"])
def test_both_generations_of_paths_answer_alike(version: str) -> None:
    desk = Desk()
    for name in ("exchangeInfo", "ticker/bookTicker", "premiumIndex", "time"):
        answer = desk.answer(f"/fapi/{version}/{name}")
        assert (answer.status, answer.content_type) == (200, "application/json")
        assert json.loads(answer.body) == desk.get(name)


def test_ping_and_time() -> None:
    desk = Desk()
    assert desk.get("ping") == {}
    assert desk.get("time") == {"serverTime": desk.clock.wall_ms()}


def test_listed_symbols_have_tick_and_lot_that_the_book_keeps() -> None:
    desk = Desk()
    symbols = {row["symbol"]: row for row in desk.get("exchangeInfo")["symbols"]}
    assert {"BTCUSDT", "ETHUSDT", "SOLUSDT", "HYPEUSDT", "1000PEPEUSDT"} <= set(symbols)
    statuses = {row["status"] for row in symbols.values()}
    assert statuses == {"TRADING", "PENDING_TRADING", "SETTLING"}
    for symbol, row in symbols.items():
        filters = {one["filterType"]: one for one in row["filters"]}
        tick = float(filters["PRICE_FILTER"]["tickSize"])
        lot = float(filters["LOT_SIZE"]["stepSize"])
        book = desk.get("depth", symbol=symbol)
        for price, size in book["bids"] + book["asks"]:
            assert float(price) / tick == pytest.approx(round(float(price) / tick))
            assert float(size) / lot == pytest.approx(round(float(size) / lot))
            assert float(size) > 0
        assert bool(book["bids"]) == (row["status"] == "TRADING")
    assert symbols["HYPEUSDT"]["pricePrecision"] == 5  # not that of the tick
    assert desk.get("exchangeInfo")["rateLimits"][0]["limit"] == 2400


def test_depth_is_ordered_and_limited() -> None:
    desk = Desk()
    for limit in (5, 10, 20, 50, 100, 500, 1000):
        book = desk.get("depth", symbol="btcusdt", limit=limit)
        bids, asks = (
            [float(row[0]) for row in book[side]] for side in ("bids", "asks")
        )
        assert len(bids) == len(asks) == min(limit, 20)
        assert bids == sorted(bids, reverse=True)
        assert asks == sorted(asks)


@pytest.mark.parametrize(
    ("name", "query", "code"),
    [
        ("depth", {}, -1102),
        ("depth", {"symbol": ""}, -1102),
        ("depth", {"symbol": "NOSUCH"}, -1121),
        ("depth", {"symbol": "BTCUSDT", "limit": 7}, -4021),
        ("depth", {"symbol": "BTCUSDT", "limit": "many"}, -1130),
        ("depth", {"symbol": "BTCUSDT", "limit": "9" * 5000}, -1130),
        ("depth", {"symbol": "BTCUSDT", "limit": "-5"}, -1130),
        ("trades", {}, -1102),
        ("trades", {"symbol": "BTCUSDT", "limit": "²"}, -1130),
        ("openInterest", {}, -1102),
        ("ticker/bookTicker", {"symbol": "NOSUCH"}, -1121),
        ("premiumIndex", {"symbol": "NOSUCH"}, -1121),
        ("fundingRate", {"symbol": "BTCUSDT", "startTime": "now"}, -1130),
    ],
)
def test_bad_request_is_400_with_the_code(
    name: str, query: dict[str, Any], code: int
) -> None:
    answer = Desk().answer(f"/fapi/v3/{name}", **query)
    assert answer.status == 400
    body = json.loads(answer.body)
    assert set(body) == {"code", "msg"}
    assert body["code"] == code


def test_unknown_path_is_a_page_and_other_methods_are_refused() -> None:
    desk = Desk()
    for path in ("/", "/fapi/v2/depth", "/fapi/v3/nosuch", "/info", "/api/v3/depth"):
        answer = desk.answer(path)
        assert (answer.status, answer.content_type) == (404, "text/html")
    assert desk.answer("/fapi/v3/time", method="POST").status == 405


def test_spot_has_no_pairs_so_that_clients_of_both_markets_start() -> None:
    answer = Desk().answer("/api/v3/exchangeInfo")
    assert json.loads(answer.body)["symbols"] == []


def test_trades_are_the_past_oldest_first() -> None:
    desk = Desk()
    rows = desk.get("trades", symbol="BTCUSDT")
    assert len(rows) > 10
    assert [row["time"] for row in rows] == sorted(row["time"] for row in rows)
    assert rows[-1]["time"] < desk.clock.wall_ms()
    assert desk.get("trades", symbol="BTCUSDT", limit=3) == rows[-3:]
    for row in rows:
        quote = float(row["price"]) * float(row["qty"])
        assert float(row["quoteQty"]) == pytest.approx(quote, abs=0.01)
    aggregates = desk.get("aggTrades", symbol="BTCUSDT")
    assert set(aggregates[0]) == set("apqflTm")
    assert aggregates[-1]["l"] == rows[-1]["id"]


def test_funding_history_is_ascending_bounded_and_repeatable() -> None:
    desk = Desk()
    rows = desk.get("fundingRate", symbol="BTCUSDT")
    times = [row["fundingTime"] for row in rows]
    assert len(rows) == 100
    assert times == list(range(times[0], times[-1] + 1, 8 * 3_600_000))
    assert times[-1] <= desk.clock.wall_ms() < times[-1] + 8 * 3_600_000
    assert rows == desk.get("fundingRate", symbol="BTCUSDT")
    window = {"startTime": times[10], "endTime": times[20]}
    assert desk.get("fundingRate", symbol="BTCUSDT", **window) == rows[10:21]
    assert desk.get("fundingRate", symbol="BTCUSDT", limit=3, **window) == rows[10:13]
    many = desk.get("fundingRate", symbol="BTCUSDT", startTime=1, limit=100_000)
    assert len(many) == 1000
    assert len(desk.get("fundingRate", limit=5)) == 5
    assert desk.get("fundingRate", symbol="NEWUSDT") == []


def test_funding_intervals_can_be_asked_for_one_symbol() -> None:
    (row,) = Desk().get("fundingInfo", symbol="HYPEUSDT")
    assert row["fundingIntervalHours"] == 4
    assert type(row["fundingFeeCap"]) is float


@pytest.mark.parametrize(
    ("name", "query", "weight"),
    [
        ("ping", {}, 1),
        ("exchangeInfo", {}, 1),
        ("depth", {"symbol": "BTCUSDT", "limit": 5}, 2),
        ("depth", {"symbol": "BTCUSDT", "limit": 50}, 2),
        ("depth", {"symbol": "BTCUSDT", "limit": 100}, 5),
        ("depth", {"symbol": "BTCUSDT"}, 10),
        ("depth", {"symbol": "BTCUSDT", "limit": 1000}, 20),
        ("ticker/bookTicker", {"symbol": "BTCUSDT"}, 1),
        ("ticker/bookTicker", {}, 2),
        ("ticker/24hr", {"symbol": "BTCUSDT"}, 1),
        ("ticker/24hr", {}, 40),
        ("aggTrades", {"symbol": "BTCUSDT"}, 20),
        ("trades", {"symbol": "BTCUSDT"}, 1),
        ("premiumIndex", {}, 1),
    ],
)
def test_weight_is_told_in_the_header(
    name: str, query: dict[str, Any], weight: int
) -> None:
    desk = Desk()
    for count in (1, 2):
        answer = desk.answer(f"/fapi/v3/{name}", **query)
        assert answer.headers == {"X-MBX-USED-WEIGHT-1M": str(count * weight)}


def test_weight_beyond_the_limit_is_429_until_the_minute_ends() -> None:
    desk = Desk(limits=Limits(rest_weight_per_minute=50))
    wanted = {row["status"]: row for row in samples("rest_errors.jsonl")}[429]
    desk.clock.turn(60 - desk.clock.monotonic_s() % 60 + 13.0)
    statuses = [
        desk.answer("/fapi/v3/depth", symbol="BTCUSDT", limit=1000) for _ in range(3)
    ]
    assert [answer.status for answer in statuses] == [200, 200, 429]
    refused = statuses[-1]
    assert refused.headers == {"X-MBX-USED-WEIGHT-1M": "60", "Retry-After": "47"}
    assert set(refused.headers) == set(wanted["headers"])
    body = json.loads(refused.body)
    assert body == {
        "code": -1003,
        "msg": wanted["body"]["msg"].replace("2400", "50"),
    }
    desk.clock.turn(47.0)
    assert desk.answer("/fapi/v3/ping").headers["X-MBX-USED-WEIGHT-1M"] == "1"


def test_who_goes_on_is_banned_and_for_twice_as_long_the_next_time() -> None:
    desk = Desk(limits=Limits(rest_weight_per_minute=1))
    wanted = {row["status"]: row for row in samples("rest_errors.jsonl")}[418]
    bans = []
    for _ in range(3):
        for _ in range(30):
            answer = desk.answer("/fapi/v3/ping")
            if answer.status == 418:
                break
        assert answer.status == 418
        bans.append(int(answer.headers["Retry-After"]))
        until_ms = desk.clock.wall_ms() + 1000 * bans[-1]
        text = wanted["body"]["msg"].replace("1787302963505", str(until_ms))
        assert json.loads(answer.body) == {"code": -1003, "msg": text}
        desk.clock.turn(bans[-1] - 1)
        assert desk.answer("/fapi/v3/ping").headers["Retry-After"] == "1"
        desk.clock.turn(1.0)
        assert desk.answer("/fapi/v3/ping").status == 200
    assert bans == [120, 240, 480]
