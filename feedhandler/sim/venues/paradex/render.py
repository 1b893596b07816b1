"""A perp's state as the frames of Paradex's streams, and the answers to requests."""

from __future__ import annotations

from feedhandler.sim.ladder import Book, aggregate, decimal_units
from feedhandler.sim.truth import Fact, Funding, Top
from feedhandler.sim.truth import Fill as Told
from feedhandler.sim.venues._base import ACK, DATA, ERROR, PONG, Frame, dump
from feedhandler.sim.venues.paradex import sbe
from feedhandler.sim.venues.paradex.books import (
    changes,
    levels,
    scaled,
    touch,
    with_retail,
)
from feedhandler.sim.venues.paradex.channels import (
    BBO,
    BBO_INTERACTIVE,
    DELTAS,
    DELTAS_INTERACTIVE,
    FUNDING,
    SUMMARY,
    TRADES,
    Channel,
)
from feedhandler.sim.venues.paradex.listings import Fill, Image, Json, Perp, plain

IMAGE_LEVELS = 15
UNIT = 100_000_000  # of a price, size or rate
WRONG_SYMBOL = "wrong_symbol"  # the fault that names another market


def answer_frame(number: object, body: Json, in_us: int, took_us: int) -> Frame:
    """A JSON-RPC answer; like every text of the venue it ends in a newline."""
    answer: Json = {"jsonrpc": "2.0", "id": number, **body}
    answer |= {"usIn": in_us, "usDiff": took_us, "usOut": in_us + took_us}
    return Frame(dump(answer) + "\n", ERROR if "error" in body else ACK)


def heartbeat_frame(version: int, now_ms: int) -> Frame:
    return Frame(sbe.heartbeat(version, now_ms * 1000), PONG, "heartbeat")


def bbo_frame(perp: Perp, version: int, symbol: str, is_interactive: bool) -> Frame:
    book = with_retail(perp.shown, perp.grid) if is_interactive else perp.shown
    ms, seq = perp.told.changed_ms, perp.seq
    data = sbe.bbo(version, ms * 1000, seq, touch(book, perp.grid), symbol)
    kind = BBO_INTERACTIVE if is_interactive else BBO
    return _quote(perp, data, kind, symbol, book, Image(seq, book, ms, perp.fault))


def delta_frame(
    perp: Perp, old: Image, version: int, symbol: str, is_interactive: bool
) -> Frame:
    """What changed since an earlier image; nothing may have, and is told too."""
    now = perp.told
    books = old.book, now.book
    if is_interactive:
        books = with_retail(old.book, perp.grid), with_retail(now.book, perp.grid)
    sides = changes(*books, perp.grid)
    data = sbe.book(version, now.changed_ms * 1000, now.seq, sbe.DELTA, sides, symbol)
    kind = DELTAS_INTERACTIVE if is_interactive else DELTAS
    return _quote(perp, data, kind, symbol, books[1], now)


def image_frame(
    perp: Perp, image: Image, channel: Channel, version: int, symbol: str
) -> Frame:
    """The whole book, or for a channel with a rate its best levels."""
    grid, api = perp.grid, image.book
    book = with_retail(api, grid) if channel.is_interactive else api
    whole = book
    if channel.tick:
        step = decimal_units(channel.tick, grid.price_decimals)
        bids = aggregate(book.bids, step, up=False)
        book = Book(bids, aggregate(book.asks, step, up=True))
    if channel.rate_ms:
        book = Book(book.bids[:IMAGE_LEVELS], book.asks[:IMAGE_LEVELS])
    bests: tuple[sbe.Touch, int, sbe.Touch] = (sbe.NO_TOUCH, sbe.NULL, sbe.NO_TOUCH)
    if channel.is_interactive:
        bests = (touch(whole, grid), _relative_spread(whole), touch(api, grid))
    data = sbe.book(
        version,
        image.changed_ms * 1000,
        image.seq,
        sbe.SNAPSHOT,
        levels(book, grid),
        symbol,
        *bests,
    )
    if channel.tick:
        return Frame(data, DATA, channel.kind, symbol)  # no truth: prices are rounded
    return _quote(perp, data, channel.kind, symbol, book, image)


def trade_frame(
    perp: Perp, fill: Fill, version: int, symbol: str, now_ms: int
) -> Frame:
    data = sbe.trade(
        version,
        (now_ms * 1000, fill.time_ms * 1000),
        fill.seq,
        fill.trade_id,
        sbe.BUY if fill.buy else sbe.SELL,
        scaled(fill.price, perp.grid.price_decimals),
        scaled(fill.size, perp.grid.size_decimals),
        sbe.LIQUIDATION if fill.is_liquidation else sbe.FILL,
        symbol,
    )
    told = Told(
        symbol,
        plain(fill.price, perp.grid.price_decimals),
        plain(fill.size, perp.grid.size_decimals),
        "buy" if fill.buy else "sell",
        fill.trade_id,
        fill.time_ms,
    )
    return _noted(perp, data, TRADES, symbol, told)


def summary_frame(perp: Perp, version: int, symbol: str, now_ms: int) -> Frame:
    now = perp.context()
    bid, bid_size, ask, ask_size = touch(perp.book, perp.grid)
    rate = now.funding_per_hour * perp.listing.period_hours
    figures = (
        _fixed(perp.dollars(now.mark)),
        _fixed(perp.dollars(now.oracle)),
        scaled(perp.last_price, perp.grid.price_decimals),
        _fixed(now.day_volume),
        _fixed(now.open_interest / perp.listing.multiplier),
        _fixed(rate),
        bid,
        ask,
        sbe.LARGEST,
        _fixed(now.mark / now.previous_day_price - 1),
    )
    precise = round(rate * 10**sbe.PRECISE_DECIMALS)
    data = sbe.summary(
        version, now_ms * 1000, figures, (bid_size, ask_size), precise, symbol
    )
    mark, oracle = perp.dollars(now.mark), perp.dollars(now.oracle)
    told = Funding(symbol, rate, perp.listing.period_hours, mark, oracle, now_ms)
    return _noted(perp, data, SUMMARY, symbol, told)


def funding_frame(perp: Perp, version: int, symbol: str, now_ms: int) -> Frame:
    now = perp.context()
    hours = perp.listing.period_hours
    data = sbe.funding(
        version,
        (now_ms * 1000, now_ms * 1000),
        rate=_fixed(now.funding_per_hour * hours),
        index=_fixed(perp.funding_index),
        premium=_fixed(perp.premium()),
        rate_8h=_fixed(now.funding_per_hour * 8),
        period_hours=hours,
        market=symbol,
    )
    told = Funding(symbol, now.funding_per_hour * hours, hours, None, None, now_ms)
    return _noted(perp, data, FUNDING, symbol, told)


def top_of(perp: Perp, book: Book, event_ms: int, fault: str = "") -> Top:
    price, size = perp.grid.price_decimals, perp.grid.size_decimals
    texts: list[str | None] = []
    for side in book:
        best = side[0] if side else None
        texts.append(None if best is None else plain(best.price, price))
        texts.append(None if best is None else plain(best.size, size))
    bid, bid_size, ask, ask_size = texts
    return Top(bid, bid_size, ask, ask_size, event_ms, fault)


def _quote(
    perp: Perp, data: bytes, kind: str, symbol: str, book: Book, image: Image
) -> Frame:
    fault = image.fault if symbol == perp.symbol else WRONG_SYMBOL
    top = top_of(perp, book, image.changed_ms, fault)._replace(sequence=image.seq)
    return Frame(data, DATA, kind, symbol, top)


def _noted(perp: Perp, data: bytes, kind: str, symbol: str, told: Fact) -> Frame:
    frame = Frame(data, DATA, kind, symbol, facts=(told,))
    return frame if symbol == perp.symbol else frame.falsified(WRONG_SYMBOL)


def _fixed(value: float) -> int:
    return round(value * UNIT)


def _relative_spread(book: Book) -> int:
    if not book.bids or not book.asks:
        return sbe.NULL
    bid, ask = book.bids[0].price, book.asks[0].price
    return _fixed(2 * (ask - bid) / (ask + bid))
