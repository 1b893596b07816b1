"""A book on one venue's grid of prices and sizes, in whole units of the last decimal.

Owns the rounding of the market's true prices to a venue's grid, and the decimal text of
a unit. Computes in integers, so that the text a venue sends is exact by construction.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from feedhandler.sim.market import Asset, Rung


class Level(NamedTuple):
    price: int
    size: int
    orders: int


class Book(NamedTuple):
    """Both sides, best level first; a side may be empty."""

    bids: tuple[Level, ...]
    asks: tuple[Level, ...]


EMPTY = Book((), ())


@dataclass(frozen=True, slots=True)
class Grid:
    """Legal prices and sizes of one market of one venue.

    `multiplier` is how many coins the venue counts as one (1000 for kPEPE).
    `significant` limits the digits of a price; whole numbers are always legal then.
    """

    price_decimals: int
    size_decimals: int
    multiplier: float = 1.0
    tick_units: int = 1
    significant: int = 0

    def tick(self, price: int) -> int:
        """Distance of neighbouring legal prices at this price."""
        if not self.significant:
            return self.tick_units
        excess = max(0, len(str(price)) - self.significant)
        exponent = min(excess, self.price_decimals)
        return max(self.tick_units, int(10**exponent))

    def floor(self, price: float) -> int:
        units = math.floor(price)
        return units - units % self.tick(units)

    def ceil(self, price: float) -> int:
        units = math.ceil(price)
        return units + -units % self.tick(units)


def ladder(asset: Asset, grid: Grid) -> Book:
    """The asset's book as this grid shows it: strictly ordered, never crossed."""
    unit = 10**grid.price_decimals
    mid = asset.mid * grid.multiplier * unit
    half = mid * asset.half_spread
    best_bid = grid.floor(mid - half)
    best_ask = max(grid.ceil(mid + half), grid.ceil(best_bid + 1))
    bids = []
    price = grid.ceil(best_bid + 1)
    for rung in asset.bids:
        price = min(grid.floor(best_bid - mid * rung.offset), grid.floor(price - 1))
        bids.append(_level(rung, price, grid))
    asks = []
    price = grid.floor(best_ask - 1)
    for rung in asset.asks:
        price = max(grid.ceil(best_ask + mid * rung.offset), grid.ceil(price + 1))
        asks.append(_level(rung, price, grid))
    return Book(tuple(bids), tuple(asks))


def aggregate(levels: Iterable[Level], step: int, up: bool) -> tuple[Level, ...]:
    """Merge levels into buckets of `step` units; asks round up, bids round down."""
    merged: dict[int, Level] = {}
    for level in levels:
        price = level.price + -level.price % step if up else level.price
        price -= price % step
        old = merged.get(price, Level(price, 0, 0))
        merged[price] = Level(price, old.size + level.size, old.orders + level.orders)
    return tuple(merged.values())


def crossed(book: Book) -> Book:
    """The book with its best prices exchanged: what a faulty venue might send."""
    if not book.bids or not book.asks:
        return book
    bid, ask = book.bids[0], book.asks[0]
    return Book(
        (bid._replace(price=ask.price), *book.bids[1:]),
        (ask._replace(price=bid.price), *book.asks[1:]),
    )


def moved(book: Book, bps: float, grid: Grid) -> Book:
    """The book with every price so many basis points away, on its grid, not crossed."""
    factor = 1 + bps / 10_000
    bids: list[Level] = []
    for level in book.bids:
        price = grid.floor(level.price * factor)
        if bids:
            price = min(price, grid.floor(bids[-1].price - 1))
        bids.append(level._replace(price=price))
    asks: list[Level] = []
    below = bids[0].price if bids else 0
    for level in book.asks:
        price = max(grid.ceil(level.price * factor), grid.ceil(below + 1))
        asks.append(level._replace(price=price))
        below = price
    return Book(tuple(bids), tuple(asks))


def without(book: Book, side: str) -> Book:
    """The book with one side (`bid` or `ask`) gone."""
    return book._replace(bids=()) if side == "bid" else book._replace(asks=())


def decimal_text(units: int, decimals: int) -> str:
    """Units as decimal text without needless zeros, but always with one decimal."""
    if decimals == 0:
        return f"{units}.0"
    whole, part = divmod(units, 10**decimals)
    fraction = f"{part:0{decimals}d}".rstrip("0") or "0"
    return f"{whole}.{fraction}"


def decimal_units(text: str, decimals: int) -> int:
    """The inverse of `decimal_text`; raises ValueError beyond the grid's decimals."""
    whole, _, fraction = text.partition(".")
    fraction = fraction.rstrip("0")
    if len(fraction) > decimals or not (whole + fraction).isdigit():
        raise ValueError(f"not on the grid: text={text!r} decimals={decimals}")
    return int(whole + fraction.ljust(decimals, "0"))


def _level(rung: Rung, price: int, grid: Grid) -> Level:
    size = rung.size / grid.multiplier * 10**grid.size_decimals
    return Level(price, max(1, round(size)), rung.orders)
