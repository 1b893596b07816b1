"""Hyperliquid's markets: names, steps and what its discovery says about them."""

from __future__ import annotations

import json
from math import isnan, nan
from typing import Any

import pytest

from feedhandler.codec.frame import FrameError
from feedhandler.venues._base import Market, find_market
from feedhandler.venues.hyperliquid import VENUE
from tests.venues.frames import directory

FRAMES = directory("hyperliquid")
NO_METAS = b"[]"
NO_SPOT = b'{"universe":[],"tokens":[]}'


def body(name: str) -> bytes:
    return (FRAMES / name).read_bytes()


def perpetuals(name: str) -> list[Market]:
    return VENUE.parse_markets([body(name), NO_METAS, NO_SPOT])


def pairs(spot: Any) -> dict[str, Market]:
    """Return spot markets by what frames call them."""
    given = spot if isinstance(spot, bytes) else json.dumps(spot).encode()
    markets = VENUE.parse_markets([b'{"universe":[]}', NO_METAS, given])
    return {market.key: market for market in markets}


def everything() -> list[Market]:
    names = ("rest_meta_2023.json", "rest_all_perp_metas.json", "rest_spot_meta.json")
    return VENUE.parse_markets([body(name) for name in names])


# --- Discovery ----------------------------------------------------------------------


def test_discovery_costs_what_the_venue_counts() -> None:
    bodies = [request.body for request in VENUE.discovery]
    assert bodies == [
        b'{"type":"meta"}',
        b'{"type":"allPerpMetas"}',
        b'{"type":"spotMeta"}',
    ]
    assert sum(request.weight for request in VENUE.discovery) == 60


def test_discovery_names_every_market() -> None:
    markets = perpetuals("rest_meta_testnet_201.json")
    assert len(markets) == 201
    by_symbol = {market.symbol: market for market in markets}
    sol, pepe, matic = by_symbol["SOL"], by_symbol["kPEPE"], by_symbol["MATIC"]
    assert (sol.instrument, sol.lot, sol.multiplier) == ("SOL-PERP", 0.01, 1.0)
    assert (pepe.instrument, pepe.lot, pepe.multiplier) == ("PEPE-PERP", 1.0, 1000.0)
    assert sol.is_active
    assert not matic.is_active
    assert isnan(sol.tick)


def test_oldest_shape_of_discovery_is_read() -> None:
    market = perpetuals("rest_meta_2023.json")[0]
    assert (market.symbol, market.key, market.lot) == ("BTC", "BTC", 1e-5)


def test_delisted_market_stays_listed_and_is_not_active() -> None:
    markets = perpetuals("rest_meta_delisted.json")
    active = {market.symbol: market.is_active for market in markets}
    assert active == {"BTC": True, "ETH": True, "HPOS": True, "LOOM": False}


def test_builders_markets_keep_the_dex_in_their_name() -> None:
    named = {market.symbol: market for market in everything()}
    index = named["km:US500"]
    assert (index.instrument, index.key) == ("km:US500-PERP", "km:US500")
    assert (index.lot, index.is_active) == (0.001, True)
    assert named["hyna:BTC"].instrument == "hyna:BTC-PERP"


def test_market_that_two_answers_list_is_one_market() -> None:
    symbols = [market.symbol for market in everything()]
    assert len(symbols) == len(set(symbols))
    assert symbols.count("BTC") == 1


def test_first_pair_is_called_by_its_name() -> None:
    (market,) = pairs(body("rest_spot_meta.json")).values()
    assert (market.symbol, market.instrument) == ("PURR/USDC", "PURR-USDC")
    assert (market.key, market.lot) == ("PURR/USDC", 1.0)


def test_other_pairs_are_called_by_an_index_that_is_not_their_place() -> None:
    markets = pairs(body("rest_spot_meta_testnet_trimmed.json"))
    assert len(markets) == 25
    assert list(markets)[:6] == ["PURR/USDC", "@1", "@2", "@3", "@5", "@6"]
    test, padded = markets["@1"], markets["@2"]
    assert (test.symbol, test.instrument) == ("TEST/USDC", "TEST-USDC")
    assert test.lot == 0.1
    # This token's name ends in a blank.
    assert (padded.symbol, padded.lot) == ("JPL/USDC", 0.001)


def spot_meta(*rows: tuple[int, str, str]) -> dict[str, Any]:
    """Return pairs of (index, base, quote), each with tokens of its own."""
    tokens: list[dict[str, Any]] = []
    universe = []
    for index, *names in rows:
        first = len(tokens)
        tokens += [
            {"name": name, "szDecimals": 2, "index": first + place}
            for place, name in enumerate(names)
        ]
        pair = {"name": f"@{index}", "index": index, "tokens": [first, first + 1]}
        universe.append(pair)
    return {"universe": universe, "tokens": tokens}


def test_older_pair_keeps_a_name_that_two_have() -> None:
    given = spot_meta((205, "HYPE", "USDC"), (107, "HYPE", "USDC"), (9, "HYPE", "USDH"))
    markets = pairs(given)
    names = {key: market.instrument for key, market in markets.items()}
    assert names == {"@9": "HYPE-USDH", "@107": "HYPE-USDC", "@205": "@205"}
    assert find_market(VENUE, "HYPE-USDC", list(markets.values())).key == "@107"


def test_pair_of_an_unknown_token_has_its_index_for_a_name() -> None:
    given = spot_meta((7, "HYPE", "USDC"))
    given["tokens"] = given["tokens"][1:]
    market = pairs(given)["@7"]
    assert (market.symbol, market.instrument) == ("@7", "@7")
    assert isnan(market.lot)


GOOD = [b'{"universe":[]}', NO_METAS, NO_SPOT]


@pytest.mark.parametrize("index", range(3))
@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"5",
        b"<html>",
        b'{"universe":5}',
        b'{"universe":[{}]}',
        b'[{"universe":[{"name":"A","szDecimals":-1}]}]',
        b'{"universe":[{"name":"A","szDecimals":99}]}',
    ],
)
def test_one_bad_answer_refuses_all_of_discovery(index: int, answer: bytes) -> None:
    bodies = [*GOOD[:index], answer, *GOOD[index + 1 :]]
    with pytest.raises(FrameError):
        VENUE.parse_markets(bodies)


def test_only_the_main_dex_is_needed() -> None:
    assert [request.is_optional for request in VENUE.discovery] == [False, True, True]
    main = body("rest_meta_delisted.json")
    assert len(VENUE.parse_markets([main, b"null", b"null"])) == 4
    with pytest.raises(FrameError):
        VENUE.parse_markets([b"null", NO_METAS, NO_SPOT])


@pytest.mark.parametrize("tokens", ["[1]", "[1,0,2]", '["1",0]', "null", "1"])
def test_pair_must_name_two_tokens(tokens: str) -> None:
    spot = f'{{"universe":[{{"name":"@1","index":1,"tokens":{tokens}}}],"tokens":[]}}'
    with pytest.raises(FrameError):
        pairs(spot.encode())


# --- Names --------------------------------------------------------------------------


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
    market = find_market(VENUE, name, perpetuals("rest_meta_testnet_201.json"))
    assert (market.symbol, market.instrument) == (symbol, instrument)
    assert market.multiplier == multiplier


@pytest.mark.parametrize("name", ["TEST-USDC", "TEST/USDC", "@1"])
def test_pair_is_found_by_each_of_its_names(name: str) -> None:
    markets = pairs(body("rest_spot_meta_testnet_trimmed.json"))
    assert find_market(VENUE, name, list(markets.values())) is markets["@1"]


@pytest.mark.parametrize(
    ("name", "symbol", "instrument", "multiplier"),
    [
        ("BTC-PERP", "BTC", "BTC-PERP", 1.0),
        ("ETH", "ETH", "ETH-PERP", 1.0),
        ("kPEPE", "kPEPE", "PEPE-PERP", 1000.0),
        ("KAITO-PERP", "KAITO", "KAITO-PERP", 1.0),
        ("xyz:TSLA-PERP", "xyz:TSLA", "xyz:TSLA-PERP", 1.0),
        ("xyz:GOLD", "xyz:GOLD", "xyz:GOLD-PERP", 1.0),
        ("xyz:BRK-B", "xyz:BRK-B", "xyz:BRK-B-PERP", 1.0),
    ],
)
def test_perpetual_is_followed_by_its_name_without_discovery(
    name: str, symbol: str, instrument: str, multiplier: float
) -> None:
    market = find_market(VENUE, name, [])
    assert (market.symbol, market.instrument) == (symbol, instrument)
    assert market.market_id == market.key == symbol
    assert market.multiplier == multiplier
    assert isnan(market.lot)


@pytest.mark.parametrize(
    ("name", "symbol", "instrument", "market_id"),
    [
        ("@107", "@107", "@107", "@107"),
        ("PURR-USDC", "PURR/USDC", "PURR-USDC", "PURR/USDC"),
        ("PURR/USDC", "PURR/USDC", "PURR-USDC", "PURR/USDC"),
        ("HYPE-USDC", "HYPE/USDC", "HYPE-USDC", ""),
        ("HYPE/USDC", "HYPE/USDC", "HYPE-USDC", ""),
    ],
)
def test_pair_waits_for_discovery_unless_its_name_is_its_id(
    name: str, symbol: str, instrument: str, market_id: str
) -> None:
    assert VENUE.has_market_ids
    market = find_market(VENUE, name, [])
    assert (market.symbol, market.instrument) == (symbol, instrument)
    assert market.market_id == market_id


# --- Price steps --------------------------------------------------------------------


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
    market = find_market(VENUE, symbol, perpetuals("rest_meta_testnet_201.json"))
    assert VENUE.tick_at(market, price) == pytest.approx(tick, rel=1e-12)


@pytest.mark.parametrize(
    ("key", "price", "tick"),
    [
        ("@1", 21.828, 0.001),
        ("@1", 0.0000123, 0.0000001),
        ("@2", 0.0000123, 0.00001),
        ("PURR/USDC", 0.000012345, 0.00000001),
        ("PURR/USDC", 123456.0, 1.0),
    ],
)
def test_tick_of_a_pair_has_two_decimals_more(
    key: str, price: float, tick: float
) -> None:
    market = pairs(body("rest_spot_meta_testnet_trimmed.json"))[key]
    assert VENUE.tick_at(market, price) == pytest.approx(tick, rel=1e-12)


def test_recorded_book_of_a_pair_keeps_its_tick() -> None:
    market = pairs(spot_meta((107, "HYPE", "USDC")))["@107"]
    book = json.loads(body("rest_l2book_spot_107.json"))
    for level in [*book["levels"][0], *book["levels"][1]]:
        price = float(level["px"])
        steps = price / VENUE.tick_at(market, price)
        assert steps == pytest.approx(round(steps), abs=1e-6)


def test_tick_is_unknown_without_a_lot_or_a_price() -> None:
    unknown_lot = find_market(VENUE, "BTC-PERP", [])
    assert isnan(VENUE.tick_at(unknown_lot, 100.0))
    known = perpetuals("rest_meta_2023.json")[0]
    assert isnan(VENUE.tick_at(known, nan))
