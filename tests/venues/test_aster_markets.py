"""Aster's REST: which markets there are, what they are called, and their books."""

from __future__ import annotations

import json
from math import isnan
from typing import Any

import pytest

from feedhandler.codec.frame import FrameError
from feedhandler.events import TIME_NONE, BookEvent
from feedhandler.venues._base import Market, find_market
from feedhandler.venues.aster import VENUE
from tests.venues.frames import HOUR_NS, MS, refused
from tests.venues.test_aster import FRAMES, WALL_NS

INFO = (FRAMES / "rest_exchangeInfo_doc.json").read_bytes()
INTERVALS = (FRAMES / "rest_fundingInfo_doc.json").read_bytes()
IMAGE = (FRAMES / "rest_depth_doc.json").read_bytes()
ROWS = (FRAMES / "rest_errors.jsonl").read_text().splitlines()
BODIES = [json.loads(row)["body"] for row in ROWS]
# A firewall answers in HTML.
ERRORS = [
    body.encode() if isinstance(body, str) else json.dumps(body).encode()
    for body in BODIES
]
BTC = VENUE.market_by_name("BTC-PERP")


def row(symbol: str, **facts: Any) -> dict[str, Any]:
    found = json.loads(INFO)["symbols"][0]
    return {**found, "symbol": symbol, **facts}


def info(*rows: object) -> bytes:
    return json.dumps({"symbols": rows}).encode()


def parse(*rows: object, intervals: bytes = INTERVALS) -> list[Market]:
    return VENUE.parse_markets([info(*rows), intervals])


# --- Markets ------------------------------------------------------------------------


def test_discovery_asks_for_markets_and_for_intervals() -> None:
    paths = [each.path for each in VENUE.discovery]
    assert paths == ["/fapi/v3/exchangeInfo", "/fapi/v3/fundingInfo"]


def test_discovery_gives_names_steps_and_intervals() -> None:
    (market,) = VENUE.parse_markets([INFO, INTERVALS])
    # Not by `baseAsset`, which says BLZ, nor by the precisions.
    assert (market.symbol, market.instrument, market.key) == (
        "DOGEUSDT",
        "DOGE-PERP",
        "DOGEUSDT",
    )
    assert (market.tick, market.lot, market.is_active) == (0.0001, 1.0, True)
    assert market.funding_interval_ns == 8 * HOUR_NS


def test_symbol_with_newer_fields_and_without_others_is_a_market() -> None:
    recorded = (FRAMES / "rest_exchangeInfo_symbol_asterusdt_2025.json").read_bytes()
    (market,) = parse(json.loads(recorded))
    assert market.instrument == "ASTER-PERP"
    assert (market.tick, market.lot, market.is_active) == (0.01, 0.00001, True)


def test_interval_is_that_of_the_symbol() -> None:
    (market,) = parse(row("ZORAUSDT"))
    assert market.funding_interval_ns == 4 * HOUR_NS


@pytest.mark.parametrize(
    "intervals", [b"", b"[]", b"[1]", b"<html>", b"{}", ERRORS[0], ERRORS[2]]
)
def test_without_intervals_the_markets_stay_and_their_interval_is_unknown(
    intervals: bytes,
) -> None:
    (market,) = parse(row("BTCUSDT"), intervals=intervals)
    assert market.instrument == "BTC-PERP"
    assert market.funding_interval_ns == TIME_NONE
    assert VENUE.parse_markets([info(row("BTCUSDT"))]) == [market]


@pytest.mark.parametrize("hours", [0, -8, 25, 1e300, "8", True, None])
def test_interval_that_makes_no_sense_is_unknown(hours: object) -> None:
    intervals = json.dumps([{"symbol": "BTCUSDT", "fundingIntervalHours": hours}])
    (market,) = parse(row("BTCUSDT"), intervals=intervals.encode())
    assert market.funding_interval_ns == TIME_NONE


@pytest.mark.parametrize("status", ["PENDING_TRADING", "PRE_SETTLE", "SETTLING", ""])
def test_market_that_does_not_trade_is_not_active(status: str) -> None:
    (market,) = parse(row("MATICUSDT", status=status))
    assert not market.is_active


def test_only_perpetuals_are_markets() -> None:
    assert not parse(row("BTCUSDT_260925", contractType="CURRENT_QUARTER"))


def test_thousand_is_a_multiple() -> None:
    (market,) = parse(row("1000PEPEUSDT"))
    assert (market.instrument, market.multiplier) == ("PEPE-PERP", 1000.0)


@pytest.mark.parametrize("asset", ["quoteAsset", "marginAsset"])
def test_market_in_another_currency_keeps_it_in_its_name(asset: str) -> None:
    others = [row(symbol, **{asset: "USD1"}) for symbol in ("BTCUSD1", "ETHUSDT")]
    markets = parse(*others, row("BTCUSDT"))
    assert [market.instrument for market in markets] == [
        "BTCUSD1-PERP",
        "ETHUSDT-PERP",
        "BTC-PERP",
    ]
    assert find_market(VENUE, "BTC-PERP", markets).symbol == "BTCUSDT"


def test_bad_rows_leave_the_others() -> None:
    bad = [1, {}, {"symbol": 5}, row("ETHUSDT", filters=[1])]
    odd = {"filterType": "PRICE_FILTER", "tickSize": "many"}
    markets = parse(*bad, row("BTCUSDT", filters=[odd]))
    assert [market.symbol for market in markets] == ["BTCUSDT"]
    assert isnan(markets[0].tick)
    with pytest.raises(FrameError):
        parse(*bad)


@pytest.mark.parametrize(
    ("name", "symbol", "instrument"),
    [
        ("BTC-PERP", "BTCUSDT", "BTC-PERP"),
        ("BTCUSDT", "BTCUSDT", "BTC-PERP"),
        ("1000PEPEUSDT", "1000PEPEUSDT", "PEPE-PERP"),
    ],
)
def test_name_is_known_without_discovery(
    name: str, symbol: str, instrument: str
) -> None:
    market = find_market(VENUE, name, [])
    assert (market.symbol, market.instrument) == (symbol, instrument)
    assert isnan(market.tick)


@pytest.mark.parametrize("body", ERRORS)
def test_error_envelope_is_no_discovery_and_no_image(body: bytes) -> None:
    reason = "venue_error" if body.startswith(b"{") else "json"
    with pytest.raises(FrameError, match=reason):
        VENUE.parse_markets([body, INTERVALS])
    with pytest.raises(FrameError, match=reason):
        VENUE.parse_snapshot(BTC, body, WALL_NS)


# --- Images -------------------------------------------------------------------------


def image(**facts: Any) -> bytes:
    found = {**json.loads(IMAGE), **facts}
    return json.dumps({k: v for k, v in found.items() if v != "absent"}).encode()


def test_image_is_asked_for_with_all_its_levels_and_weight() -> None:
    request = VENUE.snapshot_request(BTC)
    assert request.path == "/fapi/v3/depth?symbol=BTCUSDT&limit=1000"
    assert (request.method, request.weight) == ("GET", 20)


def test_image_has_the_markets_key_and_the_number_that_changes_join() -> None:
    assert VENUE.parse_snapshot(BTC, IMAGE, WALL_NS) == BookEvent(
        "BTCUSDT",
        1589436922959 * MS,
        True,
        [(4.0, 431.0)],
        [(4.000002, 12.0)],
        1027024,
    )


def test_image_without_times_has_none_and_an_empty_one_no_levels() -> None:
    event = VENUE.parse_snapshot(
        BTC, image(T="absent", E="absent", bids=[], asks=[]), WALL_NS
    )
    assert (event.event_ns, event.bids, event.asks) == (TIME_NONE, [], [])


def test_image_that_names_its_symbol_must_name_the_right_one() -> None:
    assert VENUE.parse_snapshot(BTC, image(symbol="BTCUSDT"), WALL_NS).bids
    with pytest.raises(FrameError, match="symbol"):
        VENUE.parse_snapshot(BTC, image(symbol="ETHUSDT"), WALL_NS)


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({"lastUpdateId": "absent"}, "missing"),
        ({"lastUpdateId": 0}, "range"),
        ({"lastUpdateId": -1}, "range"),
        ({"lastUpdateId": 1 << 64}, "range"),
        ({"lastUpdateId": "many"}, "type"),
        ({"lastUpdateId": None}, "type"),
        ({"bids": "absent"}, "missing"),
        ({"asks": None}, "type"),
        ({"bids": [["4", "1"], ["nan", "1"]]}, "range"),
        ({"bids": [["4", "1"], ["3", "-1"]]}, "range"),
        ({"bids": [["4"]]}, "shape"),
        ({"T": 1_787_410_900_000}, "time_future"),
        ({"T": 1_787_410_900_000_000}, "time"),
    ],
)
def test_image_that_cannot_be_whole_is_refused(
    facts: dict[str, Any], reason: str
) -> None:
    with refused(reason):
        VENUE.parse_snapshot(BTC, image(**facts), WALL_NS)


@pytest.mark.parametrize("length", range(0, len(IMAGE) - 1, 7))
def test_truncated_image_is_refused(length: int) -> None:
    with pytest.raises(FrameError):
        VENUE.parse_snapshot(BTC, IMAGE[:length], WALL_NS)
