"""A book as a client of Paradex sees it, and what changed from one to the next."""

from __future__ import annotations

from collections.abc import Iterable

from feedhandler.sim.ladder import Book, Grid, Level, decimal_units
from feedhandler.sim.venues.paradex.sbe import DECIMALS, NULL, Pair, Touch

Sides = tuple[list[Pair], list[Pair]]


def touch(book: Book, grid: Grid) -> Touch:
    """Best prices and sizes as they go on the wire."""
    bid, ask = (
        _wire(side[0].price, side[0].size, grid) if side else (NULL, NULL)
        for side in book
    )
    return (*bid, *ask)


def levels(book: Book, grid: Grid) -> Sides:
    """All levels of both sides as they go on the wire, the best first."""
    bids, asks = ([_wire(level.price, level.size, grid) for level in side]
                  for side in book)  # fmt: skip
    return bids, asks


def changes(old: Book, new: Book, grid: Grid) -> Sides:
    """What turns one book into the other: absolute sizes, 0 for a level that left."""
    bids, asks = (
        [_wire(price, size, grid) for price, size in _changed(before, after)]
        for before, after in zip(old, new, strict=True)
    )
    return bids, asks


def with_retail(book: Book, grid: Grid) -> Book:
    """The book with the orders that only retail clients may take.

    They improve the bid by a tick where the spread has room, and thicken the ask.
    """
    if not book.bids or not book.asks:
        return book
    bid, ask = book.bids[0], book.asks[0]
    bids, asks = book.bids, book.asks
    better = bid.price + grid.tick(bid.price)
    if better < ask.price:
        bids = (Level(better, max(1, bid.size // 2), 1), *bids)
    thicker = ask._replace(size=ask.size + max(1, ask.size // 2))
    return Book(bids, (thicker, *asks[1:]))


def miscounted(book: Book) -> Book:
    """The book with wrong sizes at the touch, which no checksum would tell."""
    bids, asks = (
        (side[0]._replace(size=2 * side[0].size + 1), *side[1:]) if side else ()
        for side in book
    )
    return Book(bids, asks)


def is_on_grid(tick: str, grid: Grid) -> bool:
    """True if a book can be shown in steps of this tick; empty is the grid's own."""
    if not tick:
        return True
    try:
        step = decimal_units(tick, grid.price_decimals)
    except ValueError:
        return False
    return step > 0 and step % grid.tick_units == 0


def scaled(units: int, decimals: int) -> int:
    """Units of a grid as the wire's units."""
    return int(units * 10 ** (DECIMALS - decimals))


def _wire(price: int, size: int, grid: Grid) -> Pair:
    return scaled(price, grid.price_decimals), scaled(size, grid.size_decimals)


def _changed(before: Iterable[Level], after: Iterable[Level]) -> list[Pair]:
    old = {level.price: level.size for level in before}
    new = {level.price: level.size for level in after}
    gone = [(price, 0) for price in old if price not in new]
    return gone + [pair for pair in new.items() if old.get(pair[0]) != pair[1]]
