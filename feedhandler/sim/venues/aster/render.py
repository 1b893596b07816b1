"""A perp's state as the payloads that Aster's streams carry.

Levels of a partial book come as in the documentation's sample: prices ascend on both
sides, so the best bid is the last one. Nobody has recorded one; clients must sort.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from feedhandler.sim.ladder import Book
from feedhandler.sim.truth import Fact, Fill, Funding, Top
from feedhandler.sim.venues._base import ACK, DATA, ERROR, Frame, dump
from feedhandler.sim.venues.aster.listings import LISTINGS, Json, Listing, number_text
from feedhandler.sim.venues.aster.perp import Perp
from feedhandler.sim.venues.aster.streams import Event, Stream
from feedhandler.sim.venues.aster.tape import Aggregate, Candle, Print

FUNDING_HOURS = {listing.symbol: listing.funding_hours for listing in LISTINGS}
DAY_MS = 86_400_000
HOUR_MS = 3_600_000
SECOND_MS = 1000
MINUTE_MS = 60_000


def ack_frame(request_id: int | None, result: object = None) -> Frame:
    return Frame(dump({"result": result, "id": request_id}), ACK)


def error_frame(error: Json) -> Frame:
    return Frame(dump(error), ERROR)


def data_frame(
    stream: Stream, payload: Any, combined: bool, symbol: str, top: Top | None
) -> Frame:
    """A payload as one stream carries it, bare or in the combined wrapper."""
    text = dump({"stream": stream.name, "data": payload} if combined else payload)
    rows = payload if isinstance(payload, list) else [payload]
    facts = tuple(fact for row in rows if (fact := fact_of(stream, row)) is not None)
    return Frame(text, DATA, stream.channel, symbol, top, facts)


def fact_of(stream: Stream, row: Json) -> Fact | None:
    """What the truth log has of a payload that tells of a trade or of funding."""
    kind = row.get("e")
    if kind in ("trade", "aggTrade"):
        side = "sell" if row["m"] else "buy"
        number = str(row["t" if kind == "trade" else "a"])
        return Fill(row["s"], row["p"], row["q"], side, number, row["T"])
    if kind == "markPriceUpdate":
        rate = float(row["r"]) if row["r"] else None
        mark, oracle = float(row["p"]), float(row["i"])
        return Funding(row["s"], rate, FUNDING_HOURS[row["s"]], mark, oracle, row["E"])
    return None


# Books.


def top_of(perp: Perp, event_ms: int, book: Book | None = None) -> Top:
    """The top of a book, which is the one the streams show if none is given."""
    texts: list[str | None] = []
    for side in perp.shown if book is None else book:
        texts += _row(perp, side[0].price, side[0].size) if side else [None, None]
    bid, bid_size, ask, ask_size = texts
    return Top(bid, bid_size, ask, ask_size, event_ms, perp.fault, perp.update_id)


def quote(perp: Perp, now_ms: int) -> Json:
    """`bookTicker`; a side that is empty has price and size zero, as in REST."""
    touch = [side[0] if side else None for side in (perp.shown.bids, perp.shown.asks)]
    bid, ask = (
        _row(perp, level.price if level else 0, level.size if level else 0)
        for level in touch
    )
    return {
        "e": "bookTicker",
        "u": perp.update_id,
        "s": perp.symbol,
        "b": bid[0],
        "B": bid[1],
        "a": ask[0],
        "A": ask[1],
        "T": perp.changed_ms,
        "E": now_ms,
    }


def diff(perp: Perp, event: Event, now_ms: int) -> Json:
    bids = sorted(event.bids.items(), reverse=True)
    return _depth(perp, event, now_ms, bids, sorted(event.asks.items()))


def partial(perp: Perp, event: Event, levels: int, now_ms: int) -> Json:
    bids, asks = (
        [(level.price, level.size) for level in side[:levels]] for side in perp.shown
    )
    return _depth(perp, event, now_ms, bids[::-1], asks)


def rows(perp: Perp, levels: Iterable[tuple[int, int]]) -> list[list[str]]:
    return [_row(perp, price, size) for price, size in levels]


def _depth(
    perp: Perp,
    event: Event,
    now_ms: int,
    bids: Iterable[tuple[int, int]],
    asks: Iterable[tuple[int, int]],
) -> Json:
    return {
        "e": "depthUpdate",
        "E": now_ms,
        "T": perp.changed_ms,
        "s": perp.symbol,
        "U": event.first_id,
        "u": event.last_id,
        "pu": event.previous_id,
        "b": rows(perp, bids),
        "a": rows(perp, asks),
    }


def _row(perp: Perp, price: int, size: int) -> list[str]:
    return [perp.listing.price_text(price), perp.listing.size_text(size)]


# Trades.


def trade(perp: Perp, row: Print, now_ms: int) -> Json:
    price, size = _row(perp, row.price, row.size)
    return {
        "e": "trade",
        "E": now_ms,
        "T": row.time_ms,
        "s": perp.symbol,
        "t": row.trade_id,
        "p": price,
        "q": size,
        "X": row.kind,
        "m": row.buyer_is_maker,
    }


def aggregate(perp: Perp, row: Aggregate, now_ms: int) -> Json:
    price, size = _row(perp, row.price, row.size)
    return {
        "e": "aggTrade",
        "E": now_ms,
        "a": row.aggregate_id,
        "s": perp.symbol,
        "p": price,
        "q": size,
        "f": row.first_id,
        "l": row.last_id,
        "T": row.time_ms,
        "m": row.buyer_is_maker,
    }


def liquidation(perp: Perp, row: Print, now_ms: int) -> Json:
    price, size = _row(perp, row.price, row.size)
    order = {
        "s": perp.symbol,
        "S": "SELL" if row.buyer_is_maker else "BUY",
        "o": "LIMIT",
        "f": "IOC",
        "q": size,
        "p": price,
        "ap": price,
        "X": "FILLED",
        "l": size,
        "z": size,
        "T": row.time_ms,
    }
    return {"e": "forceOrder", "E": now_ms, "o": order}


def kline(perp: Perp, interval: str, candle: Candle, now_ms: int) -> Json:
    listing = perp.listing
    inner = {
        "t": candle.start_ms,
        "T": candle.end_ms - 1,
        "s": perp.symbol,
        "i": interval,
        "f": candle.first_id,
        "L": candle.last_id,
        "o": listing.price_text(candle.open),
        "c": listing.price_text(candle.close),
        "h": listing.price_text(candle.high),
        "l": listing.price_text(candle.low),
        "v": listing.size_text(candle.volume),
        "n": candle.count,
        "x": now_ms >= candle.end_ms - 1,
        "q": _amount(listing, candle.quote),
        "V": listing.size_text(candle.taker_volume),
        "Q": _amount(listing, candle.taker_quote),
        "B": "0",
    }
    return {"e": "kline", "E": now_ms, "s": perp.symbol, "k": inner}


# Marks and the day.


def mark(perp: Perp, now_ms: int) -> Json:
    """`markPriceUpdate`, on the full second; no rate and no time without funding."""
    prices = mark_prices(perp)
    rate, next_ms = funding(perp, now_ms)
    return {
        "e": "markPriceUpdate",
        "E": now_ms - now_ms % SECOND_MS,
        "s": perp.symbol,
        "p": prices[0],
        "P": prices[2],
        "i": prices[1],
        "r": rate,
        "T": next_ms,
    }


def mark_prices(perp: Perp) -> tuple[str, str, str]:
    """Mark, index and estimated settle price."""
    if perp.asset is None:
        return "1.00000000", "1.00000000", "1.00000000"
    now, multiplier = perp.asset.context(), perp.listing.multiplier
    values = (now.mark, now.oracle, (now.mark + now.oracle) / 2)
    one, two, three = (number_text(value * multiplier, 8) for value in values)
    return one, two, three


def funding(perp: Perp, now_ms: int) -> tuple[str, int]:
    """The running rate for one interval as a fraction, and when it is due."""
    if perp.asset is None:
        return "", 0
    hours = perp.listing.funding_hours
    rate = perp.asset.context().funding_per_hour * hours
    return number_text(rate, 8), (now_ms // (hours * HOUR_MS) + 1) * hours * HOUR_MS


def mini(perp: Perp, now_ms: int) -> Json:
    day = day_figures(perp, now_ms)
    return {
        "e": "24hrMiniTicker",
        "E": now_ms,
        "s": perp.symbol,
        "c": day["lastPrice"],
        "o": day["openPrice"],
        "h": day["highPrice"],
        "l": day["lowPrice"],
        "v": day["volume"],
        "q": day["quoteVolume"],
    }


def ticker(perp: Perp, now_ms: int) -> Json:
    day = day_figures(perp, now_ms)
    return {
        "e": "24hrTicker",
        "E": now_ms,
        "s": perp.symbol,
        "p": day["priceChange"],
        "P": day["priceChangePercent"],
        "w": day["weightedAvgPrice"],
        "c": day["lastPrice"],
        "Q": day["lastQty"],
        "o": day["openPrice"],
        "h": day["highPrice"],
        "l": day["lowPrice"],
        "v": day["volume"],
        "q": day["quoteVolume"],
        "O": day["openTime"],
        "C": day["closeTime"],
        "F": day["firstId"],
        "L": day["lastId"],
        "n": day["count"],
    }


def day_figures(perp: Perp, now_ms: int) -> Json:
    """The REST row of `ticker/24hr`; streams name the same figures shortly."""
    listing, tape = perp.listing, perp.tape
    opened, volume, turnover = 0, 0.0, 0.0
    last = tape.prints[-1] if tape.prints else None
    if perp.asset is not None:
        now = perp.asset.context()
        unit = 10**listing.price_decimals * listing.multiplier
        opened = round(now.previous_day_price * unit)
        turnover = now.day_volume
        volume = turnover / now.mark / listing.multiplier
    closed = last.price if last else opened
    change = closed - opened
    return {
        "symbol": perp.symbol,
        "priceChange": listing.price_text(change),
        "priceChangePercent": number_text(100 * change / opened if opened else 0, 3),
        "weightedAvgPrice": listing.price_text((opened + closed) // 2),
        "lastPrice": listing.price_text(closed),
        "lastQty": listing.size_text(last.size if last else 0),
        "openPrice": listing.price_text(opened),
        "highPrice": listing.price_text(max(opened, tape.high)),
        "lowPrice": listing.price_text(min(opened, tape.low or opened)),
        "volume": number_text(volume, listing.size_decimals),
        "quoteVolume": number_text(turnover, 2),
        "openTime": (now_ms - DAY_MS) // MINUTE_MS * MINUTE_MS,
        "closeTime": last.time_ms if last else now_ms,
        "firstId": tape.first_id,
        "lastId": tape.next_id - 1,
        "count": tape.next_id - tape.first_id,
    }


def _amount(listing: Listing, units: int) -> str:
    """A sum of price times size, of whole units of both."""
    decimals = listing.price_decimals + listing.size_decimals
    return number_text(units / 10**decimals, 4)
