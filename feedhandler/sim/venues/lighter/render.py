"""A market's state as the JSON frames that Lighter puts on the wire."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from feedhandler.sim.ladder import Level
from feedhandler.sim.truth import Fill, Funding, Top
from feedhandler.sim.venues._base import ACK, DATA, ERROR, Frame, dump
from feedhandler.sim.venues.lighter.books import Change, Delta, Image
from feedhandler.sim.venues.lighter.listings import Instrument, Json, Name
from feedhandler.sim.venues.lighter.requests import (
    ALL,
    BOOK,
    HEIGHT,
    TEXTS,
    TICKER,
    TRADE,
    Topic,
)

SUBSCRIBED, UPDATE = "subscribed", "update"


def error_frame(code: int, name: str = "", *, is_flat: bool = False) -> Frame:
    """An error in one of the two forms that the venue is known to send."""
    error: Json = {"code": code, "message": TEXTS[code].format(name)}
    body = {"type": "error", **error} if is_flat else {"error": error}
    return Frame(dump(body), ERROR)


def snapshot_frame(instrument: Instrument, image: Image, now_ms: int) -> Frame:
    """The first frame of a subscription, which is its acknowledgement too."""
    bids, asks = image.book
    body = _book(instrument, asks, bids, image, begin_nonce=0)
    top = top_of(instrument, image)
    return _book_frame(SUBSCRIBED, instrument, instrument.name, body, top, now_ms)


def delta_frame(
    instrument: Instrument, delta: Delta, name: Name, fault: str, now_ms: int
) -> Frame:
    """What changed; the top told to the truth is that of the book it leads to."""
    after = delta.after
    body = _book(instrument, delta.asks, delta.bids, after, delta.begin_nonce)
    top = top_of(instrument, after)
    top = top._replace(fault=fault) if fault else top
    return _book_frame(UPDATE, instrument, name, body, top, now_ms)


def ticker_frame(
    kind: str, instrument: Instrument, name: Name, fault: str, now_ms: int
) -> Frame:
    image = instrument.live
    rows = []
    for side in (image.book.asks, image.book.bids):
        empty = {"price": "", "size": ""}
        rows.append(_rows(instrument, side[:1])[0] if side else empty)
    changed_us = instrument.touch_us
    told: Json = {"last_updated_at": changed_us} if changed_us else {}
    ticker = {"s": name.symbol, "a": rows[0], "b": rows[1]}
    message = {
        "type": f"{kind}/{TICKER}",
        "channel": Topic(TICKER, str(name.market_id)).colon_name,
        **told,
        "nonce": instrument.touch_nonce,
        "ticker": {**ticker, "last_updated_at": changed_us},
        "timestamp": now_ms,
    }
    top = top_of(instrument, image)._replace(
        event_ms=changed_us // 1000, sequence=instrument.touch_nonce
    )
    top = top._replace(fault=fault) if fault else top
    return Frame(dump(message), _kind(kind), TICKER, name.symbol, top)


def trades_frame(
    kind: str,
    instrument: Instrument,
    trades: Iterable[Json],
    liquidations: Iterable[Json],
    name: Name,
    fault: str = "",
) -> Frame:
    """Trades, without a time of the frame itself; rows carry their market's id."""
    market = {"market_id": name.market_id}
    trades, liquidations = list(trades), list(liquidations)
    fills = tuple(
        Fill(
            name.symbol,
            row["price"],
            row["size"],
            "buy" if row["is_maker_ask"] else "sell",
            row["trade_id_str"],
            row["timestamp"],
            fault,
        )
        for row in trades + liquidations
    )
    message = {
        "type": f"{kind}/{TRADE}",
        "channel": Topic(TRADE, str(name.market_id)).colon_name,
        "nonce": instrument.live.nonce,
        "trades": [{**row, **market} for row in trades],
        "liquidation_trades": [{**row, **market} for row in liquidations],
    }
    return Frame(dump(message), _kind(kind), TRADE, name.symbol, facts=fills)


def stats_frame(kind: str, topic: Topic, body: Json, symbol: str, now_ms: int) -> Frame:
    """`market_stats` or `spot_market_stats`, of one market or of all."""
    message = {
        "type": f"{kind}/{topic.channel}",
        "channel": topic.colon_name,
        "timestamp": now_ms,
        topic.channel: body,
    }
    rows = [body] if topic.place != ALL else body.values()
    facts = tuple(_funding(row) for row in rows if "current_funding_rate" in row)
    return Frame(dump(message), _kind(kind), topic.channel, symbol, facts=facts)


def height_frame(kind: str, height: int, now_ms: int) -> Frame:
    message = {
        "type": f"{kind}/{HEIGHT}",
        "channel": HEIGHT,
        "height": height,
        "timestamp": now_ms,
    }
    return Frame(dump(message), _kind(kind), HEIGHT)


def top_of(instrument: Instrument, image: Image) -> Top:
    bid, ask = (_rows(instrument, side[:1]) for side in image.book)
    return Top(
        bid[0]["price"] if bid else None,
        bid[0]["size"] if bid else None,
        ask[0]["price"] if ask else None,
        ask[0]["size"] if ask else None,
        image.changed_us // 1000,
        image.fault,
        image.nonce,
    )


def _funding(row: Json) -> Funding:
    """The rate of the running hour, which frames tell in percent."""
    return Funding(
        row["symbol"],
        float(row["current_funding_rate"]) / 100,
        1,
        float(row["mark_price"]),
        float(row["index_price"]),
        row["funding_timestamp"],
    )


def _kind(kind: str) -> int:
    return ACK if kind == SUBSCRIBED else DATA


def _book(
    instrument: Instrument,
    asks: Sequence[Level | Change],
    bids: Sequence[Level | Change],
    image: Image,
    begin_nonce: int,
) -> Json:
    return {
        "code": 0,
        "asks": _rows(instrument, asks),
        "bids": _rows(instrument, bids),
        "offset": image.offset,
        "nonce": image.nonce,
        "last_updated_at": image.changed_us,
        "begin_nonce": begin_nonce,
    }


def _book_frame(
    kind: str, instrument: Instrument, name: Name, body: Json, top: Top, now_ms: int
) -> Frame:
    changed_us = body["last_updated_at"]
    told: Json = {"last_updated_at": changed_us} if changed_us else {}
    message = {
        "type": f"{kind}/{BOOK}",
        "channel": Topic(BOOK, str(name.market_id)).colon_name,
        **told,
        "offset": body["offset"],
        "timestamp": now_ms,
        "order_book": body,
    }
    return Frame(dump(message), _kind(kind), BOOK, name.symbol, top)


def _rows(
    instrument: Instrument, levels: Sequence[Level | Change]
) -> list[dict[str, str]]:
    price, size = instrument.price_text, instrument.size_text
    return [{"price": price(row.price), "size": size(row.size)} for row in levels]
