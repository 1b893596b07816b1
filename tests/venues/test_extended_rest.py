"""Extended's requests and REST answers: markets, whole books, funding."""

from __future__ import annotations

import json
from math import isnan, nan
from typing import Any

import pytest

from feedhandler.codec.frame import FrameError
from feedhandler.events import TIME_NONE, BookEvent, FundingEvent
from feedhandler.venues._base import Market, Options, RestRequest, find_market
from feedhandler.venues.extended import VENUE
from tests.venues.frames import HOUR_NS, MS, comparable, directory, lines, refused
from tests.venues.test_extended import WALL_NS

FRAMES = directory("extended")
BTC = VENUE.market_by_name("BTC-PERP")


def good(data: object) -> bytes:
    return json.dumps({"status": "OK", "data": data}).encode()


def read(name: str) -> Any:
    return json.loads((FRAMES / name).read_bytes())


def errors() -> list[bytes]:
    """Return the bodies of errors that are no empty ones."""
    rows = [json.loads(line) for line in lines("extended", "rest_errors.jsonl")]
    return [json.dumps(row["body"]).encode() for row in rows if row["body"]]


# --- Requests -----------------------------------------------------------------------


def test_requests_are_those_of_the_protocol() -> None:
    documented = [json.loads(row) for row in lines("extended", "ws_v2_requests.jsonl")]
    rows = VENUE.subscriptions(BTC.key, Options("both"))
    keys = ["orderbooks.1", "orderbooks", "prices.mark", "trades"]
    assert [row.key for row in rows] == [f"{key}.BTC-USD" for key in keys]
    sent = [
        VENUE.request([row.topic], number)
        for row, number in zip(rows, (2, 1, 5, 3), strict=True)
    ]
    sent.append(VENUE.request([rows[1].topic], 11, is_end=True))
    for text in sent:
        assert json.loads(text) in documented
    ping = json.loads(VENUE.ping())
    assert {**ping, "id": "10"} in documented


def test_id_of_a_ping_is_that_of_no_request() -> None:
    ids = {json.loads(VENUE.request(["trades.X"], number))["id"] for number in (1, 2)}
    assert json.loads(VENUE.ping())["id"] not in ids


def test_market_whose_name_begins_like_the_touch_has_its_own_topics() -> None:
    rows = VENUE.subscriptions("1000PEPE-USD", Options("both"))
    selectors = [
        json.loads(VENUE.request([row.topic], 1))["params"]["selector"] for row in rows
    ]
    assert {row["market"] for row in selectors} == {"1000PEPE-USD"}
    assert [row.get("depth") for row in selectors] == ["1", "full", None, None]


# --- Markets ------------------------------------------------------------------------


def test_discovery_gives_names_and_steps() -> None:
    (market,) = VENUE.parse_markets([(FRAMES / "rest_markets_btc.json").read_bytes()])
    assert (market.symbol, market.instrument, market.key) == (
        "BTC-USD",
        "BTC-PERP",
        "BTC-USD",
    )
    assert (market.tick, market.lot, market.multiplier) == (1.0, 0.00001, 1.0)
    assert market.is_active
    for name in ("BTC-PERP", "BTC-USD"):
        assert find_market(VENUE, name, [market]) is market


def test_discovery_of_2024_had_neither_type_nor_status() -> None:
    body = (FRAMES / "rest_markets_btc_2024_old_shape.json").read_bytes()
    markets = {market.symbol: market for market in VENUE.parse_markets([body])}
    assert markets["BTC-USD"].tick == 0.1
    assert markets["BTC-USD"].is_active


def test_thousand_is_a_multiple() -> None:
    (market,) = VENUE.parse_markets([good([{"name": "1000PEPE-USD"}])])
    assert (market.instrument, market.multiplier) == ("PEPE-PERP", 1000.0)
    assert isnan(market.tick)
    assert isnan(market.lot)


@pytest.mark.parametrize(
    ("status", "is_active"),
    [
        ("ACTIVE", True),
        ("REDUCE_ONLY", True),
        ("DELISTED", False),
        ("PRELISTED", False),
        ("DISABLED", False),
        ("NEW", False),
    ],
)
def test_status_tells_whether_streams_are_to_be_expected(
    status: str, is_active: bool
) -> None:
    row = {"name": "X-USD", "status": status}
    assert VENUE.parse_markets([good([row])])[0].is_active is is_active
    (market,) = VENUE.parse_markets([good([{**row, "active": False}])])
    assert not market.is_active


def test_only_perpetuals_are_markets_and_a_bad_row_costs_itself() -> None:
    rows = [
        {"name": "BTCSPOT-USD", "type": "SPOT"},
        {"name": 5},
        {"name": "ETH-USD", "tradingConfig": {"minPriceChange": "0.1"}},
        {"name": "SOL-USD", "tradingConfig": {"minPriceChange": "NaN"}},
    ]
    eth, sol = VENUE.parse_markets([good(rows)])
    assert (eth.symbol, eth.tick) == ("ETH-USD", 0.1)
    assert isnan(eth.lot)
    assert isnan(sol.tick)


@pytest.mark.parametrize("data", [None, {}, 5, [{"name": 5}], [[]]])
def test_discovery_without_a_readable_row_is_refused(data: object) -> None:
    with pytest.raises(FrameError):
        VENUE.parse_markets([good(data)])


def test_name_alone_tells_the_symbol() -> None:
    for name in ("BTC-PERP", "BTC-USD"):
        market = VENUE.market_by_name(name)
        assert (market.symbol, market.instrument) == ("BTC-USD", "BTC-PERP")
    market = VENUE.market_by_name("NVDA_24_5-PERP")
    assert market.symbol == "NVDA_24_5-USD"


# --- Books --------------------------------------------------------------------------


def test_whole_book_is_asked_for_and_read_by_its_long_names() -> None:
    request = VENUE.snapshot_request(BTC)
    assert request == RestRequest("GET", "/info/markets/BTC-USD/orderbook")
    body = (FRAMES / "rest_orderbook_docs.json").read_bytes()
    assert VENUE.parse_snapshot(BTC, body, WALL_NS) == BookEvent(
        "BTC-USD",
        TIME_NONE,
        True,
        [(61827.7, 0.04852), (61820.5, 0.50274)],
        [(61840.3, 0.04852), (61864.1, 0.4998)],
    )


def test_name_that_is_no_path_stays_one_part_of_it() -> None:
    request = VENUE.snapshot_request(Market("../X?y", "X-PERP"))
    assert request.path == "/info/markets/..%2FX%3Fy/orderbook"


def test_book_of_another_market_is_refused() -> None:
    body = (FRAMES / "rest_orderbook_docs.json").read_bytes()
    with refused("symbol"):
        VENUE.parse_snapshot(VENUE.market_by_name("ETH-PERP"), body, WALL_NS)


@pytest.mark.parametrize(
    ("level", "reason"),
    [
        ({"price": "0", "qty": "1"}, "range"),
        ({"price": "1", "qty": "-1"}, "range"),
        ({"price": "NaN", "qty": "1"}, "range"),
        ({"price": "x", "qty": "1"}, "type"),
        ({"price": "1"}, "missing"),
        ({"p": "1", "q": "1"}, "missing"),
        (["1", "1"], "type"),
    ],
)
def test_book_with_a_bad_level_is_refused(level: object, reason: str) -> None:
    body = good({"market": "BTC-USD", "bid": [level], "ask": []})
    with refused(reason):
        VENUE.parse_snapshot(BTC, body, WALL_NS)


@pytest.mark.parametrize("body", errors())
def test_error_envelope_is_the_venues_error_wherever_it_comes(body: bytes) -> None:
    for parse in (
        lambda: VENUE.parse_markets([body]),
        lambda: VENUE.parse_snapshot(BTC, body, WALL_NS),
        lambda: VENUE.parse_funding(BTC, body, WALL_NS),
    ):
        with refused("venue_error"):
            parse()


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "empty"),
        (b"{", "json"),
        (b"<html>", "json"),
        (b"[]", "shape"),
        (b"null", "shape"),
        (b"{}", "missing"),
        (b'{"status":"OK"}', "missing"),
        (b'{"status":"OK","data":[]}', "shape"),
        (b'{"status":5}', "type"),
    ],
)
def test_answer_that_is_none_is_refused(body: bytes, reason: str) -> None:
    for parse in (VENUE.parse_snapshot, VENUE.parse_funding):
        with refused(reason):
            parse(BTC, body, WALL_NS)


# --- Funding ------------------------------------------------------------------------

ETH = VENUE.market_by_name("ETH-PERP")
NEXT_NS = 1_770_314_400_000 * MS


def stats(**facts: object) -> bytes:
    answer = read("rest_market_stats_eth.json")
    answer["data"] |= facts
    return json.dumps(answer).encode()


def funding(body: bytes, wall_ns: int = NEXT_NS - HOUR_NS // 2) -> FundingEvent:
    return VENUE.parse_funding(ETH, body, wall_ns)


def test_statistics_are_funding_whose_next_rate_is_a_time() -> None:
    assert VENUE.funding_request(ETH) == RestRequest(
        "GET", "/info/markets/ETH-USD/stats"
    )
    references = (1963.0832622375, 1964.63264326875, nan, 29713.437)
    expected = FundingEvent(
        "ETH-USD", TIME_NONE, 0.000013, HOUR_NS, NEXT_NS, *references, is_rest=True
    )
    assert comparable([funding(stats())]) == comparable([expected])


@pytest.mark.parametrize("value", [None, "0.000013", 0.000013, -1, True, "", [], 1])
def test_next_time_that_is_none_is_absent(value: object) -> None:
    assert funding(stats(nextFundingRate=value)).next_funding_ns == TIME_NONE


def test_next_time_of_another_day_is_absent() -> None:
    assert funding(stats(), WALL_NS).next_funding_ns == TIME_NONE


def test_references_may_be_absent() -> None:
    names = ("markPrice", "indexPrice", "openInterestBase")
    found = funding(stats(**dict.fromkeys(names)))
    assert found.rate_per_hour == 0.000013
    assert isnan(found.mark_price)
    assert isnan(found.oracle_price)
    assert isnan(found.open_interest)


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({"fundingRate": None}, "missing"),
        ({"fundingRate": "NaN"}, "number"),
        ({"fundingRate": 0.1}, "type"),
        ({"markPrice": "x"}, "number"),
        ({"openInterestBase": "1e99"}, "range"),
    ],
)
def test_bad_statistics_are_refused(facts: dict[str, Any], reason: str) -> None:
    with refused(reason):
        funding(stats(**facts))
