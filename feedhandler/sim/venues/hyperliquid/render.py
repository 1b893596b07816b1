"""A perp's state as the JSON that Hyperliquid puts on the wire."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from feedhandler.sim.ladder import Book, Level, aggregate, decimal_text
from feedhandler.sim.truth import Fact, Fill, Funding, Top
from feedhandler.sim.venues._base import DATA, ERROR, Frame, dump
from feedhandler.sim.venues.hyperliquid.listings import Json, Perp

FAST_LEVELS = 5


class Topic(NamedTuple):
    """The key of a subscription; the options are those of `l2Book`."""

    channel: str
    symbol: str = ""
    figures: int | None = None
    mantissa: int | None = None
    fast: bool = False

    @property
    def cadence(self) -> str:
        """The channel's name in the table of cadences, the truth log and faults."""
        return f"{self.channel}:fast" if self.fast else self.channel


def error_frame(text: str) -> Frame:
    return Frame(dump({"channel": "error", "data": text}), ERROR)


def bbo_frame(perp: Perp) -> Frame:
    touch = [_row(perp, side[0]) if side else None for side in perp.shown]
    data = {"coin": perp.symbol, "time": perp.changed_ms, "bbo": touch}
    return _frame(Topic("bbo", perp.symbol), data, top_of(perp, perp.changed_ms))


def image_frame(perp: Perp, book: Book, topic: Topic, time_ms: int) -> Frame:
    data = image(perp, book, topic, time_ms)
    is_aggregated = topic.figures is not None
    top = None if is_aggregated else top_of(perp, time_ms, book)
    return _frame(topic, data, top)


def trades_frame(perp: Perp, rows: list[Json]) -> Frame:
    fills = tuple(
        Fill(
            perp.symbol,
            row["px"],
            row["sz"],
            "buy" if row["side"] == "B" else "sell",
            str(row["tid"]),
            row["time"],
        )
        for row in rows
    )
    return _frame(Topic("trades", perp.symbol), rows, facts=fills)


def context_frame(perp: Perp) -> Frame:
    told = context(perp)
    rate, mark, oracle = (float(told[key]) for key in ("funding", "markPx", "oraclePx"))
    fact = Funding(perp.symbol, rate, 1, mark, oracle, event_ms=0)
    data = {"coin": perp.symbol, "ctx": told}
    return _frame(Topic("activeAssetCtx", perp.symbol), data, facts=(fact,))


def mids_frame(mids: Json) -> Frame:
    return _frame(Topic("allMids"), {"mids": mids})


def top_of(perp: Perp, time_ms: int, book: Book | None = None) -> Top:
    """The top of a book, which is the one that the stream says if none is given."""
    sides = perp.shown if book is None else book
    bid, ask = (_row(perp, side[0]) if side else {} for side in sides)
    return Top(
        bid.get("px"), bid.get("sz"), ask.get("px"), ask.get("sz"), time_ms, perp.fault
    )


def image(perp: Perp, book: Book, topic: Topic, time_ms: int) -> Json:
    """The `l2Book` object, of the stream's `data` as of the REST answer."""
    bids, asks = book
    if topic.figures is not None and (bids or asks):
        digits = len(str((bids or asks)[0].price))
        step = 10 ** max(0, digits - topic.figures) * (topic.mantissa or 1)
        bids, asks = aggregate(bids, step, up=False), aggregate(asks, step, up=True)
    depth = FAST_LEVELS if topic.fast else None
    levels = [[_row(perp, level) for level in side[:depth]] for side in (bids, asks)]
    data: Json = {"coin": perp.symbol, "time": time_ms, "levels": levels}
    if topic.figures is not None and bids and asks:
        data["spread"] = _price(perp, asks[0].price - bids[0].price)
    if topic.fast:
        data["fast"] = True
    return data


def context(perp: Perp) -> Json:
    """Funding, mark, oracle and mid; null where the book has no touch."""
    bids, asks = perp.book
    if perp.asset is None:
        return _dead_context()
    now = perp.asset.context()
    multiplier = perp.listing.multiplier
    touch = [_price(perp, side[0].price) for side in (bids, asks) if side]
    has_touch = len(touch) == 2
    return {
        "funding": rate(now.funding_per_hour),
        "openInterest": _trimmed(now.open_interest / multiplier, 2),
        "prevDayPx": _dollars(perp, now.previous_day_price),
        "dayNtlVlm": _trimmed(now.day_volume, 4),
        "premium": rate(now.premium) if has_touch else None,
        "oraclePx": _dollars(perp, now.oracle),
        "markPx": _dollars(perp, now.mark),
        "midPx": mid(perp),
        "impactPxs": touch if has_touch else None,
        "dayBaseVlm": _trimmed(now.day_volume / now.mark / multiplier, 2),
    }


def mid(perp: Perp) -> str | None:
    bids, asks = perp.book
    if not (bids and asks):
        return None
    # Half a unit needs one decimal more than the grid has.
    tenths = (bids[0].price + asks[0].price) * 5
    return decimal_text(tenths, perp.grid.price_decimals + 1)


def trade_row(perp: Perp, buy: bool, fill: Level, time_ms: int) -> Json:
    """A fill, without the names that the venue gives it."""
    return {
        "coin": perp.symbol,
        "side": "B" if buy else "A",
        "px": _price(perp, fill.price),
        "sz": decimal_text(fill.size, perp.grid.size_decimals),
        "time": time_ms,
    }


def rate(value: float) -> str:
    return f"{value:.10f}".rstrip("0").ljust(3, "0")


def renamed(frame: Frame, symbol: str) -> Frame:
    """The frame as it would name another coin, in every row of its data."""
    message = json.loads(frame.text)
    data = message["data"]
    for row in data if isinstance(data, list) else [data]:
        row["coin"] = symbol
    facts = tuple(fact._replace(symbol=symbol) for fact in frame.facts)
    told = frame._replace(text=dump(message), symbol=symbol, facts=facts)
    return told.falsified("wrong_symbol")


def _frame(
    topic: Topic, data: object, top: Top | None = None, facts: tuple[Fact, ...] = ()
) -> Frame:
    text = dump({"channel": topic.channel, "data": data})
    return Frame(text, DATA, topic.cadence, topic.symbol, top, facts)


def _row(perp: Perp, level: Level) -> dict[str, Any]:
    return {
        "px": _price(perp, level.price),
        "sz": decimal_text(level.size, perp.grid.size_decimals),
        "n": level.orders,
    }


def _price(perp: Perp, units: int) -> str:
    return decimal_text(units, perp.grid.price_decimals)


def _dollars(perp: Perp, price: float) -> str:
    return _trimmed(price * perp.listing.multiplier, perp.grid.price_decimals)


def _trimmed(value: float, decimals: int) -> str:
    return decimal_text(round(value * 10**decimals), decimals)


def _dead_context() -> Json:
    zeros = ("funding", "openInterest", "prevDayPx", "dayNtlVlm", "dayBaseVlm")
    nulls = ("premium", "midPx", "impactPxs")
    prices = {"oraclePx": "0.3786", "markPx": "0.3786"}
    return {**dict.fromkeys(zeros, "0.0"), **dict.fromkeys(nulls), **prices}
