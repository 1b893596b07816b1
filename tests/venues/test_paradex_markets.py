"""Paradex: its markets and names, what we ask of it, and its REST host."""

from __future__ import annotations

import json
from math import isnan
from typing import Any

import pytest

from feedhandler.codec.frame import FrameError
from feedhandler.events import TIME_NONE, BookEvent
from feedhandler.venues._base import Market, Options, find_market
from feedhandler.venues.paradex import VENUE
from tests.venues.frames import HOUR_NS, MS
from tests.venues.test_paradex import BTC, FRAMES, WALL_NS

MARKET = Market(BTC, "BTC-PERP")


def read(name: str) -> bytes:
    return (FRAMES / name).read_bytes()


def listed(*rows: dict[str, Any]) -> list[Market]:
    return VENUE.parse_markets([json.dumps({"results": rows}).encode()])


def perp(symbol: str, **facts: Any) -> dict[str, Any]:
    return {"symbol": symbol, "asset_kind": "PERP", **facts}


# --- Markets --------------------------------------------------------------------------


def test_recorded_rows_give_the_perpetuals_alone() -> None:
    (market,) = VENUE.parse_markets(
        [read("rest_markets_perp_and_option_recorded.json")]
    )
    assert (market.symbol, market.key) == ("BODEN-USD-PERP", "BODEN-USD-PERP")
    assert (market.instrument, market.multiplier) == ("BODEN-PERP", 1.0)
    assert (market.tick, market.lot) == (0.00001, 1.0)
    assert market.is_active
    assert market.funding_interval_ns == TIME_NONE


def test_rows_tell_periods_and_markets_without_a_book() -> None:
    found = VENUE.parse_markets(
        [read("rest_markets_tradingmode_community_synthetic.json")]
    )
    facts = [
        (row.instrument, row.tick, row.lot, row.funding_interval_ns, row.is_active)
        for row in found
    ]
    assert facts == [
        ("BTC-PERP", 0.1, 0.00001, 8 * HOUR_NS, True),
        ("ETH-PERP", 0.01, 0.001, HOUR_NS, True),
        ("SOL-PERP", 0.001, 0.01, 8 * HOUR_NS, False),
    ]


def test_thousand_is_a_multiple() -> None:
    (market,) = listed(perp("kBONK-USD-PERP", base_currency="BONK"))
    assert (market.instrument, market.multiplier) == ("BONK-PERP", 1000.0)
    assert find_market(VENUE, "BONK-PERP", [market]) is market
    assert isnan(market.tick)


def test_numbers_of_a_row_may_be_text_and_odd_rows_do_not_cost_the_others() -> None:
    good = perp("BTC-USD-PERP", funding_period_hours="8", price_tick_size="0.1")
    odd = perp("ODD-USD-PERP", price_tick_size="x")
    (market,) = listed(odd, good, perp(""), {"symbol": 5})[:1]
    assert (market.symbol, market.tick) == ("BTC-USD-PERP", 0.1)
    assert market.funding_interval_ns == 8 * HOUR_NS
    with pytest.raises(FrameError, match="number"):
        listed(odd)


@pytest.mark.parametrize(
    ("name", "symbol", "instrument", "multiplier"),
    [
        ("BTC-PERP", "BTC-USD-PERP", "BTC-PERP", 1.0),
        ("BTC-USD-PERP", "BTC-USD-PERP", "BTC-PERP", 1.0),
        ("kBONK-USD-PERP", "kBONK-USD-PERP", "BONK-PERP", 1000.0),
        ("ETH-USD", "ETH-USD", "ETH-USD-PERP", 1.0),
    ],
)
def test_name_is_known_without_discovery(
    name: str, symbol: str, instrument: str, multiplier: float
) -> None:
    market = find_market(VENUE, name, [])
    assert (market.symbol, market.instrument) == (symbol, instrument)
    assert market.multiplier == multiplier


# --- Requests -------------------------------------------------------------------------


def test_requests_are_those_of_the_protocol() -> None:
    documented = read("ws_client_requests_doc.jsonl").decode().splitlines()
    rows = VENUE.subscriptions(BTC, Options("both"))
    topics = [row.topic for row in rows]
    assert topics == [
        f"bbo.{BTC}",
        f"order_book.{BTC}.deltas",
        f"markets_summary.{BTC}",
        f"trades.{BTC}",
    ]
    ids = (1, 2, 6, 4)
    sent = [
        VENUE.request([topic], number)
        for topic, number in zip(topics, ids, strict=True)
    ]
    assert set(sent) <= set(documented)
    assert VENUE.request(topics[:1], 7, is_end=True) == documented[-1]
    assert VENUE.limits.chunk == 1


def test_no_ping_of_ours_is_sent() -> None:
    assert VENUE.ping() is None
    assert VENUE.limits.ping_interval_ms == 0


def test_schema_is_asked_for() -> None:
    assert VENUE.ws_query == "sbeSchemaId=1&sbeSchemaVersion=1"
    assert "?" not in VENUE.ws_url


# --- The REST host --------------------------------------------------------------------


def test_image_is_asked_for_by_symbol() -> None:
    request = VENUE.snapshot_request(MARKET)
    assert (request.method, request.body) == ("GET", b"")
    assert request.path == "/orderbook/BTC-USD-PERP?depth=20"
    odd = VENUE.snapshot_request(Market("A/../B?x", "A-PERP"))
    assert odd.path == "/orderbook/A%2F..%2FB%3Fx?depth=20"


def test_recorded_image_is_read() -> None:
    found = VENUE.parse_snapshot(
        MARKET, read("rest_orderbook_2024_recorded.json"), WALL_NS
    )
    assert found == BookEvent(
        BTC,
        1718172538340 * MS,
        True,
        [(68477.6, 0.1)],
        [(69578.2, 3.019)],
        14115975,
    )


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"market": "ETH-USD-PERP"}, "symbol"),
        ({"market": None}, "type"),
        ({"bids": None}, "missing"),
        ({"seq_no": None}, "missing"),
        ({"seq_no": -1}, "range"),
        ({"asks": [["1"]]}, "shape"),
        ({"asks": [["-1", "1"]]}, "range"),
        ({"asks": [["x", "1"]]}, "type"),
        ({"asks": [["1", "-1"]]}, "range"),
        ({"last_updated_at": WALL_NS}, "time"),
        ({"error": "NOT_FOUND", "message": "no such market"}, "venue_error"),
    ],
)
def test_image_of_no_use_is_refused_with_its_reason(
    changed: dict[str, Any], reason: str
) -> None:
    body = {**json.loads(read("rest_orderbook_2024_recorded.json")), **changed}
    with pytest.raises(FrameError) as caught:
        VENUE.parse_snapshot(MARKET, json.dumps(body).encode(), WALL_NS)
    assert caught.value.reason == reason


def test_error_of_the_venue_is_told_as_one() -> None:
    rows = read("rest_system_and_errors.jsonl").splitlines()
    body = json.dumps(json.loads(rows[-1])["body"]).encode()
    with pytest.raises(FrameError, match="venue_error: NOT_ONBOARDED: User has"):
        VENUE.parse_snapshot(MARKET, body, WALL_NS)
    with pytest.raises(FrameError, match="venue_error"):
        VENUE.parse_markets([body])
