"""Hyperliquid's markets: names, steps and what its discovery says about them."""

from __future__ import annotations

from math import isnan, nan
from pathlib import Path

import pytest

from feedhandler.venues._base import find_market
from feedhandler.venues.hyperliquid import VENUE

FRAMES = Path(__file__).parent / "hyperliquid" / "frames"


def body(name: str) -> bytes:
    return (FRAMES / name).read_bytes()


def test_discovery_names_every_market() -> None:
    markets = VENUE.parse_markets(body("rest_meta_testnet_201.json"))
    assert len(markets) == 201
    by_symbol = {market.symbol: market for market in markets}
    sol, pepe, matic = by_symbol["SOL"], by_symbol["kPEPE"], by_symbol["MATIC"]
    assert (sol.instrument, sol.lot, sol.multiplier) == ("SOL-PERP", 0.01, 1.0)
    assert (pepe.instrument, pepe.lot, pepe.multiplier) == ("PEPE-PERP", 1.0, 1000.0)
    assert sol.is_active
    assert not matic.is_active
    assert isnan(sol.tick)


def test_oldest_shape_of_discovery_is_read() -> None:
    markets = VENUE.parse_markets(body("rest_meta_2023.json"))
    assert markets[0].symbol == "BTC"
    assert markets[0].lot == 1e-5


@pytest.mark.parametrize(
    ("name", "symbol", "instrument", "multiplier"),
    [
        ("BTC-PERP", "BTC", "BTC-PERP", 1.0),
        ("PEPE-PERP", "kPEPE", "PEPE-PERP", 1000.0),
        ("kPEPE", "kPEPE", "PEPE-PERP", 1000.0),
        ("SOL", "SOL", "SOL-PERP", 1.0),
    ],
)
def test_name_is_found_among_discovered_markets(
    name: str, symbol: str, instrument: str, multiplier: float
) -> None:
    markets = VENUE.parse_markets(body("rest_meta_testnet_201.json"))
    market = find_market(VENUE, name, markets)
    assert (market.symbol, market.instrument) == (symbol, instrument)
    assert market.multiplier == multiplier


@pytest.mark.parametrize(
    ("name", "symbol", "instrument", "multiplier"),
    [
        ("BTC-PERP", "BTC", "BTC-PERP", 1.0),
        ("ETH", "ETH", "ETH-PERP", 1.0),
        ("kPEPE", "kPEPE", "PEPE-PERP", 1000.0),
        ("KAITO-PERP", "KAITO", "KAITO-PERP", 1.0),
        ("xyz:TSLA-PERP", "xyz:TSLA", "xyz:TSLA-PERP", 1.0),
        ("xyz:TSLA", "xyz:TSLA", "xyz:TSLA-PERP", 1.0),
    ],
)
def test_name_works_by_the_rule_without_discovery(
    name: str, symbol: str, instrument: str, multiplier: float
) -> None:
    market = find_market(VENUE, name, [])
    assert (market.symbol, market.instrument) == (symbol, instrument)
    assert market.multiplier == multiplier
    assert isnan(market.lot)


@pytest.mark.parametrize(
    ("symbol", "price", "tick"),
    [
        ("BTC", 105055.0, 1.0),
        ("BTC", 9999.5, 0.1),
        ("ETH", 3007.1, 0.1),
        ("SOL", 128.54, 0.01),
        ("kPEPE", 0.0123, 0.000001),
    ],
)
def test_tick_has_five_figures_and_the_decimals_left_by_the_size(
    symbol: str, price: float, tick: float
) -> None:
    markets = VENUE.parse_markets(body("rest_meta_testnet_201.json"))
    market = find_market(VENUE, symbol, markets)
    assert VENUE.tick_at(market, price) == pytest.approx(tick, rel=1e-12)


def test_tick_is_unknown_without_a_lot_or_a_price() -> None:
    unknown_lot = find_market(VENUE, "BTC-PERP", [])
    assert isnan(VENUE.tick_at(unknown_lot, 100.0))
    known = VENUE.parse_markets(body("rest_meta_2023.json"))[0]
    assert isnan(VENUE.tick_at(known, nan))
