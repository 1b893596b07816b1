"""A market's state as the JSON that Extended puts on the wire.

Sizes have the decimals of the lot. One price is written in several ways, as recorded
("84050" in a delta was "84050.000000" in the snapshot before it): the writing depends
on the price and on the kind of frame alone, so that a seed gives the same text.
"""

from __future__ import annotations

from collections.abc import Iterable

from feedhandler.sim.ladder import Book, Level
from feedhandler.sim.truth import Top
from feedhandler.sim.venues.extended.listings import TICK_UNITS, Json, Perp

SNAPSHOT, DELTA = "SNAPSHOT", "DELTA"
COLLATERAL_DECIMALS = 6  # of USD: the longest writing of a price that was seen
# One price in so many is written with a needless zero, with six decimals, or short.
WRITINGS = 16
_SPREAD = 0x9E3779B1  # odd: neighbouring prices are not written alike
_SALTS = {SNAPSHOT: 0, DELTA: 5}


def fixed(units: int, decimals: int) -> str:
    """Units as decimal text with exactly so many decimals, and a sign if negative."""
    if decimals == 0:
        return str(units)
    whole, part = divmod(abs(units), 10**decimals)
    sign = "-" if units < 0 else ""
    return f"{sign}{whole}.{part:0{decimals}d}"


def price_text(perp: Perp, units: int) -> str:
    """A price as the venue writes it by default: with the decimals of its tick."""
    if units % TICK_UNITS:
        return fixed(units, perp.grid.price_decimals)
    return fixed(units // TICK_UNITS, perp.listing.tick_decimals)


def size_text(perp: Perp, units: int) -> str:
    return fixed(units, perp.grid.size_decimals)


def size_units(text: str) -> int:
    """The inverse of `size_text`."""
    return int(text.replace(".", ""))


def written_price(perp: Perp, units: int, kind: str) -> str:
    """A price in one of the venue's writings."""
    text = price_text(perp, units)
    whole, _, fraction = text.partition(".")
    writing = ((units * _SPREAD >> 8) + _SALTS[kind]) % WRITINGS
    if writing == 0:
        return f"{whole}.{fraction}0"
    if writing == 1:
        return f"{whole}.{fraction.ljust(COLLATERAL_DECIMALS, '0')}"
    if writing == 2 and fraction:
        return text.rstrip("0").rstrip(".")
    return text


def mark_text(value: float) -> str:
    """Mark and index prices: the recorded ones have twelve decimals and more."""
    return f"{value:.12f}"


def rate_text(value: float) -> str:
    return f"{value:.6f}"


def snapshot_rows(perp: Perp, side: Iterable[Level]) -> list[Json]:
    return [
        {
            "q": size_text(perp, level.size),
            "p": written_price(perp, level.price, SNAPSHOT),
        }
        for level in side
    ]


def delta_rows(
    perp: Perp, old: tuple[Level, ...], new: tuple[Level, ...], is_bid: bool
) -> list[Json]:
    """What changed between two images of a side, best price first.

    `q` is the signed change, `c` the resulting size; a removed level has `c` zero.
    """
    before = {level.price: level.size for level in old}
    after = {level.price: level.size for level in new}
    prices = [price for price, size in after.items() if before.get(price) != size]
    prices += [price for price in before if price not in after]
    return [
        {
            "q": size_text(perp, after.get(price, 0) - before.get(price, 0)),
            "p": written_price(perp, price, DELTA),
            "c": size_text(perp, after.get(price, 0)),
        }
        for price in sorted(prices, reverse=is_bid)
    ]


def book_data(kind: str, symbol: str, bids: list[Json], asks: list[Json]) -> Json:
    return {"t": kind, "m": symbol, "b": bids, "a": asks}


def touch(book: Book) -> Book:
    """The book of depth 1."""
    return Book(book.bids[:1], book.asks[:1])


def top_of(perp: Perp, book: Book, kind: str, time_ms: int, fault: str) -> Top:
    """The touch of a book, written as a frame of this kind writes it."""
    texts: list[str | None] = []
    for side in book:
        if side:
            texts.append(written_price(perp, side[0].price, kind))
            texts.append(size_text(perp, side[0].size))
        else:
            texts += [None, None]
    bid, bid_size, ask, ask_size = texts
    return Top(bid, bid_size, ask, ask_size, time_ms, fault)


def funding_data(perp: Perp, time_ms: int) -> Json:
    assert perp.asset is not None
    rate = perp.asset.context().funding_per_hour
    return {"m": perp.symbol, "f": rate_text(rate), "T": time_ms}


def price_data(perp: Perp, option: str, time_ms: int) -> Json:
    """A mark price has no time of its own, an index price whole seconds."""
    assert perp.asset is not None
    context = perp.asset.context()
    price = context.mark if option == "mark" else context.oracle
    stamp_ms = 0 if option == "mark" else time_ms // 1000 * 1000
    text = mark_text(price * perp.listing.multiplier)
    return {"m": perp.symbol, "p": text, "ts": stamp_ms}
