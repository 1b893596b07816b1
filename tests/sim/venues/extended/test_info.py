"""The answers of GET /api/v1/info."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest

from feedhandler.sim.limits import Limits
from feedhandler.sim.venues._base import Request
from tests.sim.venues.extended.desk import LIVE, Desk, lines, sample, shape

HOUR_MS = 3_600_000


def test_market_has_the_recorded_shape() -> None:
    body = json.loads(Desk().get("/info/markets", market="BTC-USD").body)
    recorded = sample("rest_markets_btc.json")
    # The recording names one short position; nobody is near here.
    recorded["data"][0]["marketStats"]["deleverageLevels"]["shortPositions"] = []
    assert shape(body) == shape(recorded)
    (row,), (expected,) = body["data"], recorded["data"]
    for key in ("name", "type", "assetName", "status", "referenceMarket", "l2Config"):
        assert row[key] == expected[key]
    for key in ("minPriceChange", "minOrderSizeChange", "minOrderSize"):
        assert row["tradingConfig"][key] == expected["tradingConfig"][key]


def test_statistics_have_the_recorded_shape_and_a_time_as_next_funding_rate() -> None:
    desk = Desk()
    body = json.loads(desk.get("/info/markets/ETH-USD/stats").body)
    assert shape(body) == shape(sample("rest_market_stats_eth.json"))
    left_ms = body["data"]["nextFundingRate"] - desk.clock.wall_ms()
    assert 0 < left_ms <= HOUR_MS
    assert body["data"]["nextFundingRate"] % HOUR_MS == 0
    bid, ask = (float(body["data"][key]) for key in ("bidPrice", "askPrice"))
    assert bid < ask
    assert float(body["data"]["markPrice"]) == pytest.approx(bid, rel=1e-2)


@pytest.mark.parametrize(
    ("path", "query", "name"),
    [
        ("/info/markets/BTC-USD/orderbook", {}, "rest_orderbook_docs.json"),
        ("/info/markets/BTC-USD/trades", {}, "rest_trades_docs.json"),
        (
            "/info/BTC-USD/funding",
            {"startTime": 0, "endTime": 2 * 10**12},
            "rest_funding_history_docs.json",
        ),
        (
            "/info/BTC-USD/open-interests",
            {"startTime": 0, "endTime": 2 * 10**12, "interval": "P1H"},
            "rest_open_interests_docs.json",
        ),
    ],
)
def test_answer_has_the_documented_shape(
    path: str, query: dict[str, object], name: str
) -> None:
    answer = Desk().get(path, **query)
    assert shape(json.loads(answer.body)) == shape(sample(name))


def test_every_market_is_listed_with_its_grid() -> None:
    rows = {row["name"]: row for row in Desk().data("/info/markets")}
    assert {name for name, row in rows.items() if row["active"]} == set(LIVE)
    assert rows["MATIC-USD"]["status"] == "DELISTED"
    grids = {
        name: (
            row["tradingConfig"]["minPriceChange"],
            row["tradingConfig"]["minOrderSizeChange"],
        )
        for name, row in rows.items()
    }
    assert grids["BTC-USD"] == ("1", "0.00001")
    assert grids["ETH-USD"] == ("0.1", "0.001")
    assert grids["1000PEPE-USD"] == ("0.000001", "1")


def test_best_prices_lie_on_the_tick() -> None:
    desk = Desk()
    for row in desk.data("/info/markets"):
        if row["active"]:
            tick = row["tradingConfig"]["minPriceChange"]
            for key in ("bidPrice", "askPrice", "lastPrice"):
                steps = float(row["marketStats"][key]) / float(tick)
                assert steps == pytest.approx(round(steps), abs=1e-6)


def test_orderbook_is_the_streams_book() -> None:
    desk = Desk()
    (image,) = desk.open("/orderbooks/ETH-USD").messages
    book = desk.data("/info/markets/ETH-USD/orderbook")
    for long, short in (("bid", "b"), ("ask", "a")):
        told = [(float(row["price"]), float(row["qty"])) for row in book[long]]
        streamed = [(float(row["p"]), float(row["q"])) for row in image["data"][short]]
        assert told == streamed


def test_trades_are_newest_first() -> None:
    desk = Desk()
    desk.move(2000)
    ids = [row["i"] for row in desk.data("/info/markets/BTC-USD/trades")]
    assert ids == sorted(ids, reverse=True)
    assert len(set(ids)) == len(ids) == 50


def test_funding_history_is_hourly_and_its_cursor_goes_on() -> None:
    desk = Desk()
    now_ms = desk.clock.wall_ms()
    query = {"startTime": now_ms - 10 * HOUR_MS, "endTime": now_ms, "limit": 4}
    times_ms = []
    cursor: dict[str, int] = {}
    while True:
        body = json.loads(desk.get("/info/BTC-USD/funding", **query, **cursor).body)
        assert body["pagination"]["count"] == len(body["data"])
        if not body["data"]:
            break
        times_ms += [row["T"] for row in body["data"]]
        cursor = {"cursor": body["pagination"]["cursor"]}
        assert cursor["cursor"] > 2**53
    assert len(times_ms) == 10
    steps = {later - earlier for later, earlier in pairwise(times_ms)}
    assert steps == {HOUR_MS}
    assert all(query["startTime"] <= time_ms <= now_ms for time_ms in times_ms)


def test_funding_history_is_bounded() -> None:
    desk = Desk()
    query = {"startTime": 0, "endTime": 10**18}
    assert len(desk.data("/info/BTC-USD/funding", **query)) == 100
    rows = desk.data("/info/BTC-USD/funding", **query, limit=10**6)
    assert len(rows) == 10_000


@pytest.mark.parametrize("interval", ["P1H", "PT1H", "P1D"])
def test_open_interest_is_in_dollars_and_coins_and_bounded(interval: str) -> None:
    desk = Desk()
    query = {"interval": interval, "startTime": 0, "endTime": desk.clock.wall_ms()}
    rows = desk.data("/info/BTC-USD/open-interests", **query)
    assert len(rows) == 300
    assert len(desk.data("/info/BTC-USD/open-interests", **query, limit=7)) == 7
    price = float(rows[0]["i"]) / float(rows[0]["I"])
    assert price == pytest.approx(desk.market.assets["BTC"].profile.price)


@pytest.mark.parametrize(
    ("path", "query", "status", "code"),
    [
        ("/info/markets/NOSUCH-USD/stats", {}, 404, 1001),
        ("/info/markets/NOSUCH-USD/orderbook", {}, 404, 1001),
        ("/info/markets", {"market": "NOSUCH-USD"}, 404, 1001),
        ("/info/NOSUCH-USD/funding", {"startTime": 0, "endTime": 1}, 404, 1001),
        ("/info/BTC-USD/funding", {}, 400, 400),
        ("/info/BTC-USD/funding", {"startTime": "x", "endTime": 1}, 400, 400),
        ("/info/BTC-USD/funding", {"startTime": "²", "endTime": 1}, 400, 400),
        ("/info/BTC-USD/open-interests", {"interval": "P1W"}, 400, 1006),
    ],
)
def test_error_has_the_venues_envelope(
    path: str, query: dict[str, object], status: int, code: int
) -> None:
    answer = Desk().get(path, **query)
    assert answer.status == status
    body = json.loads(answer.body)
    assert shape(body) == shape(lines("rest_errors.jsonl")[1]["body"])
    assert body["error"]["code"] == code


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/v1/info/nonsense"),
        ("GET", "/api/v1/info/markets/BTC-USD/nonsense"),
        ("GET", "/api/v1"),
        ("GET", "/"),
        ("GET", "/info/markets"),
        ("GET", "/stream.extended.exchange/v1/orderbooks/BTC-USD"),
        ("POST", "/api/v1/info/markets"),
    ],
)
def test_other_paths_and_methods_are_an_empty_404(method: str, path: str) -> None:
    answer = Desk().venue.rest(Request(method, path, {}, b""))
    assert (answer.status, answer.body) == (404, "")


def test_requests_beyond_the_budget_are_429_until_a_minute_passed() -> None:
    desk = Desk(limits=Limits(rest_weight_per_minute=2))
    statuses = [desk.get("/info/markets").status for _ in range(3)]
    assert statuses == [200, 200, 429]
    recorded = lines("rest_errors.jsonl")[2]
    assert json.loads(desk.get("/info/markets").body) == recorded["body"]
    desk.clock.turn(60.0)
    assert desk.get("/info/markets").status == 200


def test_a_thousand_requests_a_minute_are_allowed() -> None:
    assert Desk().venue.allowed.rest_weight_per_minute == 1000


def test_assets_name_the_collateral_and_each_markets_coin() -> None:
    desk = Desk()
    rows = desk.data("/info/assets")
    assert [row["name"] for row in rows if row["isCollateral"]] == ["USD"]
    coins = {row["assetName"] for row in desk.data("/info/markets")}
    assert coins < {row["name"] for row in rows}
    (only,) = desk.data("/info/assets", type="SPOT")
    assert only["id"] == 1


def test_delisted_market_has_an_empty_book_and_no_price() -> None:
    desk = Desk()
    book = desk.data("/info/markets/MATIC-USD/orderbook")
    assert book == {"market": "MATIC-USD", "bid": [], "ask": []}
    assert float(desk.data("/info/markets/MATIC-USD/stats")["markPrice"]) == 0.0
