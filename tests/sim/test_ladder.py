"""Books on a grid: legal prices, strict order, exact text."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedhandler.sim.ladder import (
    Book,
    Grid,
    Level,
    aggregate,
    crossed,
    decimal_text,
    decimal_units,
    ladder,
    moved,
    without,
)
from feedhandler.sim.market import Market

FIVE_FIGURES = [
    Grid(6 - size_decimals, size_decimals, significant=5) for size_decimals in range(6)
]


@pytest.mark.parametrize(
    ("price", "size_decimals", "tick"),
    [
        (105_055.0, 5, 1.0),
        (97_000.0, 5, 1.0),
        (9_999.0, 5, 0.1),
        (3_400.1, 4, 0.1),
        (189.99, 2, 0.01),
        (99.999, 2, 0.001),
        (24.0, 2, 0.001),
        (0.36, 0, 0.00001),
        (0.018498, 0, 0.000001),
        (0.0012, 0, 0.000001),
        (1_234_567.0, 3, 1.0),
    ],
)
def test_tick_follows_the_rule_of_five_figures(
    price: float, size_decimals: int, tick: float
) -> None:
    decimals = 6 - size_decimals
    grid = Grid(decimals, size_decimals, significant=5)
    formula = min(1.0, max(10**-decimals, 10 ** (math.floor(math.log10(price)) - 4)))
    units = round(price * 10**decimals)
    assert grid.tick(units) / 10**decimals == pytest.approx(tick)
    assert tick == pytest.approx(formula)


@given(st.sampled_from(FIVE_FIGURES), st.floats(0.01, 1e9))
def test_floor_and_ceil_are_legal_and_enclose(grid: Grid, price: float) -> None:
    low, high = grid.floor(price), grid.ceil(price)
    assert low <= price <= high
    for units in (low, high):
        assert units % grid.tick(units) == 0 if units else True


@given(st.integers(0, 10**15), st.integers(0, 8))
def test_decimal_text_and_its_inverse_agree(units: int, decimals: int) -> None:
    text = decimal_text(units, decimals)
    assert decimal_units(text, decimals) == units
    assert "." in text
    assert text.endswith(".0") or not text.endswith("0")


@pytest.mark.parametrize("text", ["1.23", "", "-1", "1e5", "NaN", "1,0"])
def test_text_off_the_grid_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not on the grid"):
        decimal_units(text, 1)


@pytest.mark.parametrize("seed", range(4))
def test_every_book_is_legal_ordered_and_open(seed: int) -> None:
    market = Market(seed)
    for _ in range(1000):
        asset = market.assets[market.step().asset]
        for grid in FIVE_FIGURES:
            bids, asks = ladder(asset, grid)
            prices = [level.price for level in (*reversed(bids), *asks)]
            assert prices == sorted(set(prices))
            if min(prices) > 0:
                assert all(price % grid.tick(price) == 0 for price in prices)
            assert all(level.size > 0 and level.orders > 0 for level in (*bids, *asks))


def test_plain_grid_keeps_its_tick() -> None:
    grid = Grid(price_decimals=2, size_decimals=3, tick_units=5)
    assert grid.floor(1234.9) == 1230
    assert grid.ceil(1231) == 1235


def test_multiplier_counts_coins_by_the_thousand() -> None:
    asset = Market(7).assets["PEPE"]
    bids, _ = ladder(asset, Grid(6, 0, multiplier=1000.0, significant=5))
    assert decimal_text(bids[0].price, 6).startswith("0.0184")


BOOK = Book((Level(99, 5, 1), Level(98, 1, 1)), (Level(101, 7, 2), Level(104, 1, 1)))


def test_crossed_book_has_its_best_prices_exchanged() -> None:
    bids, asks = crossed(BOOK)
    assert (bids[0].price, asks[0].price) == (101, 99)
    assert crossed(without(BOOK, "ask")) == without(BOOK, "ask")


@given(
    st.sampled_from(FIVE_FIGURES),
    st.sampled_from(sorted(Market(7).assets)),
    st.floats(-9_000, 90_000),
)
def test_moved_book_is_that_far_away_legal_and_strictly_ordered(
    grid: Grid, asset: str, bps: float
) -> None:
    book = ladder(Market(7).assets[asset], grid)
    bids, asks = moved(book, bps, grid)
    rising = [level.price for level in (*reversed(bids), *asks)]
    assert rising == sorted(set(rising))
    assert all(grid.floor(price) == price for price in rising if price > 0)
    assert [level.size for level in bids] == [level.size for level in book.bids]
    wanted = book.bids[0].price * (1 + bps / 10_000)
    assert bids[0].price <= wanted < bids[0].price + grid.tick(bids[0].price) + 1


def test_moved_book_without_a_side_keeps_that_side_empty() -> None:
    assert moved(without(BOOK, "bid"), 1_000, Grid(0, 0)).bids == ()
    assert moved(without(BOOK, "ask"), 1_000, Grid(0, 0)).asks == ()


def test_aggregate_rounds_away_from_the_touch_and_keeps_sizes() -> None:
    assert aggregate(BOOK.bids, 10, up=False) == (Level(90, 6, 2),)
    assert aggregate(BOOK.asks, 10, up=True) == (Level(110, 8, 3),)
    assert aggregate(BOOK.asks, 1, up=True) == BOOK.asks
