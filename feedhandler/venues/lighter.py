"""Lighter: the perpetual markets of `mainnet.zklighter.elliot.ai`.

A market is an integer: requests and frames name no other thing. Ids stay, symbols may
be renamed, so events carry the id, and discovery gives it its name. An id may be
configured as it is (`1`); a name has to wait for discovery.

    feed kind bbo      `ticker`, a whole image, sent when the best bid or offer changed
    feed kind depth    `order_book`, one image, then changes about every 50 ms: absolute
                       sizes, zero removing a level; each names the nonce it follows
    liveness           `market_stats`: funding and references, about once a second
    trades             `trade`; replays recent ones after each subscribe, newest first

A `subscribed/…` frame is acknowledgement and first image in one. The book of the REST
host cannot be joined to the stream: only a new subscription heals a gap.

Doubts, none of them verified against the live venue:
- Whether `Already Subscribed` is followed by an image is unknown: we take it that none
  is, and a book that waits for one is ended and subscribed again.
- Frames of 2025 lack `begin_nonce` and `last_updated_at`: such a change is applied when
  it is newer, and has no event time. `offset` has gaps of its own and is not used.
- A ticker without sides is an empty book; one without the `ticker` object is refused.
- Funding is percent per hour, by arithmetic on recorded payments, due on the full hour.
- `open_interest` is the base amount times the mark price: divided by it, each recorded
  value has no more decimals than a size. It is published as base, as on other venues.
- A trade's `timestamp`, 50 ms before `transaction_time`, is probably a block's.
- Liquidations may come as a list, a map, null or not at all; they are trades too.
- Limits were lowered and raised within months: the lowest of 2026 are binding.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from math import nan
from typing import Annotated, Any, ClassVar, Final

import msgspec
from msgspec import Raw, Struct

from feedhandler import events
from feedhandler.book.continuity import SEQUENCE_NONE, NonceChain, OrderingGuard, Rule
from feedhandler.book.image import touch
from feedhandler.codec import decimal
from feedhandler.codec import frame as frames
from feedhandler.codec.decimal import Price, Size
from feedhandler.codec.frame import FAILURES, FrameError, refuse
from feedhandler.codec.stamp import HOUR_NS, MICROSECOND_NS, MILLISECOND_NS, event_ns
from feedhandler.events import SIDE_ASK, SIDE_BID, TIME_NONE, Event
from feedhandler.venues import _base
from feedhandler.venues._base import Decode, Frame, Market, Options, Subscription

Number = Annotated[int, msgspec.Meta(ge=0, le=(1 << 63) - 1)]
Decimals = Annotated[float, msgspec.Meta(ge=0, le=12)]


# --- Frames -------------------------------------------------------------------------
# Books and tickers are decoded in one pass, numbers included, by a decoder that takes
# text for a number (a third party saw integers as text). A book is whole or refused.


class _Level(Struct, gc=False):
    price: Price
    size: Size


class _Book(Struct, gc=False):
    asks: list[_Level]
    bids: list[_Level]
    nonce: Number
    begin_nonce: int = SEQUENCE_NONE
    last_updated_at: int = 0


class _Ticker(Struct, gc=False):
    a: _Level | None = None
    b: _Level | None = None
    last_updated_at: int = 0


class _ChangeFrame(Struct, gc=False, tag_field="type", tag="update/order_book"):
    channel: str
    order_book: _Book


class _ImageFrame(_ChangeFrame, gc=False, tag="subscribed/order_book"):
    pass


class _TickerFrame(Struct, gc=False, tag_field="type", tag="update/ticker"):
    channel: str
    nonce: Number
    ticker: _Ticker


class _LooseTicker(Struct):
    a: dict[str, str] | None = None
    b: dict[str, str] | None = None
    last_updated_at: int = 0


class _AnyFrame(Struct):
    type: str = ""
    channel: str = ""
    nonce: Number | None = None
    timestamp: int = 0
    ticker: _LooseTicker | None = None
    market_stats: Raw = Raw()
    trades: list[Raw] | None = None
    liquidation_trades: list[Raw] | dict[str, Raw] | None = None
    error: _AnyFrame | None = None
    code: int = 0
    message: str = ""


class _Trade(Struct, gc=False):
    price: str
    size: str
    is_maker_ask: bool
    trade_id: Number = 0
    timestamp: int = 0  # ms
    transaction_time: int = 0  # µs


class _Stats(Struct, gc=False):
    current_funding_rate: str | None = None
    mark_price: str | None = None
    index_price: str | None = None
    mid_price: str | None = None
    open_interest: str | None = None


class _MarketRow(Struct):
    symbol: str
    market_id: Annotated[int, msgspec.Meta(ge=0, le=1 << 32)]
    status: str = "active"
    price_decimals: Decimals = nan
    size_decimals: Decimals = nan


class _Details(Struct):
    order_book_details: list[_MarketRow]


_decode_hot = msgspec.json.Decoder(
    _ImageFrame | _ChangeFrame | _TickerFrame, strict=False
).decode
_decode_any = msgspec.json.Decoder(_AnyFrame).decode
_decode_trade = msgspec.json.Decoder(_Trade).decode
_decode_details = msgspec.json.Decoder(_Details).decode


def decode(frame: Frame, wall_ns: int) -> Sequence[Event]:
    """Return what a frame means; raise `FrameError` when none of it can be used."""
    try:
        message = _decode_hot(frame)
        if type(message) is _TickerFrame:
            return (_quote(message, wall_ns),)
        if type(message) is _ImageFrame:
            image = _book(message, wall_ns, is_snapshot=True)
            return (events.AckEvent(message.channel), image)
        return (_book(message, wall_ns, is_snapshot=False),)
    except FAILURES as error:
        return _decode_cold(frame, error, wall_ns)


def _book(message: _ChangeFrame, wall_ns: int, *, is_snapshot: bool) -> Event:
    data = message.order_book
    return events.BookEvent(
        _market_id(message.channel, "order_book"),
        event_ns(data.last_updated_at, MICROSECOND_NS, wall_ns),
        is_snapshot,
        [(level.price, level.size) for level in data.bids],
        [(level.price, level.size) for level in data.asks],
        data.nonce,
        data.begin_nonce,
    )


def _quote(message: _TickerFrame, wall_ns: int) -> Event:
    data = message.ticker
    return events.QuoteEvent(
        _market_id(message.channel, "ticker"),
        event_ns(data.last_updated_at, MICROSECOND_NS, wall_ns),
        message.nonce,
        *touch(data.b),
        *touch(data.a),
    )


def _market_id(channel: str, kind: str) -> str:
    found, _, market_id = channel.partition(":")
    if found != kind or not market_id:
        raise FrameError("shape", f"channel={channel[:64]}")
    return market_id


def _ticker(message: _AnyFrame, wall_ns: int) -> Sequence[Event]:
    """Read a ticker: an absent side is missing, empty, or of empty texts."""
    if message.ticker is None or message.nonce is None:
        raise FrameError("missing", "ticker or nonce")
    data = message.ticker
    ticker = _Ticker(_side(data.a), _side(data.b), data.last_updated_at)
    return (_quote(_TickerFrame(message.channel, message.nonce, ticker), wall_ns),)


def _side(row: Mapping[str, str] | None) -> _Level | None:
    if not row or not any(row.values()):
        return None
    price = decimal.price(row.get("price", ""))
    return _Level(price, decimal.size(row.get("size", "")))


def _trades(message: _AnyFrame, wall_ns: int) -> Sequence[Event]:
    """Return each row that can be used, oldest first, and a refusal for each other."""
    forced = message.liquidation_trades or ()
    raws = [*(message.trades or ())]
    raws += forced.values() if isinstance(forced, dict) else forced
    market_id = _market_id(message.channel, "trade")
    rows, errors = frames.keep_good(raws, lambda raw: _trade(market_id, wall_ns, raw))
    rows.sort(key=lambda row: row.trade_id)
    return [*rows, *(events.RejectEvent(row.reason, row.detail) for row in errors)]


def _trade(market_id: str, wall_ns: int, raw: Raw) -> events.TradeEvent:
    row = _decode_trade(raw)
    return events.TradeEvent(
        market_id,
        event_ns(
            row.transaction_time or 1_000 * row.timestamp, MICROSECOND_NS, wall_ns
        ),
        decimal.price(row.price),
        decimal.size(row.size),
        SIDE_BID if row.is_maker_ask else SIDE_ASK,
        row.trade_id,
    )


def _stats(message: _AnyFrame, wall_ns: int) -> Sequence[Event]:
    """Return funding and references, of one market or of all that the frame names."""
    market_id = _market_id(message.channel, "market_stats")
    if not bytes(message.market_stats):
        raise FrameError("missing", "market_stats")
    stamp_ns = event_ns(message.timestamp, MILLISECOND_NS, wall_ns)
    found = {market_id: message.market_stats}
    if market_id == "all":
        found = msgspec.json.decode(message.market_stats, type=dict[str, Raw])
    return [_funding(each, found[each], stamp_ns, wall_ns) for each in found]


def _funding(market_id: str, raw: Raw, stamp_ns: int, wall_ns: int) -> Event:
    data = msgspec.json.decode(raw, type=_Stats)
    now_ns = wall_ns if stamp_ns == TIME_NONE else stamp_ns
    mark = decimal.reference(data.mark_price)
    return events.FundingEvent(
        market_id,
        stamp_ns,
        decimal.optional(data.current_funding_rate) / 100.0,
        HOUR_NS,
        (now_ns // HOUR_NS + 1) * HOUR_NS,
        mark,
        decimal.reference(data.index_price),
        decimal.reference(data.mid_price),
        decimal.optional(data.open_interest) / mark,
    )


# An error names its channel, if at all, at its end: `Already Subscribed to : ticker:3`.
_CHANNEL: Final = re.compile(r"([a-z_]+:\w+)\s*$")


def _meaning(error: _AnyFrame) -> Event:
    """Say what an error means; an unknown one leaves the request to its deadline."""
    text = f"{error.code} {error.message}"
    found = _CHANNEL.search(error.message)
    key = found.group(1) if found else ""
    match error.code:
        case 30002:  # not subscribed
            return events.UnsubscribedEvent(key)
        case 30003:  # already subscribed
            return events.StandingEvent(key)
        case 30000 | 30001 | 30005 | 30006 | 30007 | 30008:
            return events.RefusalEvent("invalid", key, text)
        case 23001 | 23003:
            return events.RefusalEvent("too_many", key, text)
    is_pace = error.code in (23000, 30009, 30010)
    return events.NoticeEvent("rate_limited" if is_pace else "venue_error", 1, text)


def _decode_cold(frame: Frame, error: Exception, wall_ns: int) -> Sequence[Event]:
    """Decode what is not hot, and refuse with the reason that fits best."""
    try:
        message = _decode_any(frame)
        if not message.type.endswith("/order_book"):
            return _read(message, wall_ns)
    except FAILURES as second:
        error = second
    raise refuse(error, frame) from error


# What a frame of data is called behind `subscribed/` or `update/` -> its events.
_CHANNELS: Final[dict[str, Callable[[_AnyFrame, int], Sequence[Event]]]] = {
    "ticker": _ticker,
    "trade": _trades,
    "market_stats": _stats,
}


def _read(message: _AnyFrame, wall_ns: int) -> Sequence[Event]:
    if message.error is not None or message.type == "error":
        return (_meaning(message.error or message),)
    match message.type:
        case "":
            raise FrameError("missing", "type")
        case "ping":
            return (events.ReplyEvent('{"type":"pong"}'),)
        case "pong":
            return (events.PongEvent(),)
        case "connected":
            return (events.NoticeEvent("hello"),)
        case "unsubscribed":
            return (events.UnsubscribedEvent(message.channel),)
    verb, _, kind = message.type.partition("/")
    if kind not in _CHANNELS or verb not in ("subscribed", "update"):
        return (events.NoticeEvent("unknown_type", 1, message.type),)
    acks = () if verb == "update" else (events.AckEvent(message.channel),)
    return (*acks, *_CHANNELS[kind](message, wall_ns))


class Lighter(_base.Venue):
    """The declarations of Lighter's mainnet."""

    name = "lighter"
    ws_url = "wss://mainnet.zklighter.elliot.ai/stream"
    rest_url = "https://mainnet.zklighter.elliot.ai"
    limits = _base.Limits(
        frame_bytes_max=4 << 20,  # a whole book is one frame
        ping_interval_ms=30_000,  # the server closes who was silent for two minutes
        subscribe_gap_ms=320,  # 200 frames a minute, pings and answers among them
        connects_per_minute=60,
        subscriptions_max=100,
    )
    # A busy book had a p95 of 190 ms (February 2026); a ticker comes on change only.
    fresh_ms: ClassVar[Mapping[str, int]] = {"bbo": 3_000, "depth": 2_000}
    liveness_channel = "market_stats"
    discovery = _base.RestRequest("GET", "/api/v1/orderBookDetails")
    continuity: ClassVar[Mapping[str, type[Rule]]] = {
        "bbo": OrderingGuard,
        "depth": NonceChain,
    }
    has_market_ids = True

    def parse_markets(self, body: bytes) -> list[Market]:
        """Return the perpetuals of an `orderBookDetails` answer."""
        rows = frames.checked(_decode_details, body).order_book_details
        return [_market(row) for row in rows]

    def market_by_name(self, name: str) -> Market:
        """Take digits for a market's id; any other name waits for discovery."""
        if name.isascii() and name.isdigit():
            return Market(name, name, market_id=str(int(name)))
        return super().market_by_name(name)

    def subscriptions(self, symbol: str, options: Options) -> list[Subscription]:
        """Return quote, liveness and, when asked for, trades, in that order."""
        book = "order_book" if options.feed_kind == "depth" else "ticker"
        trades = [_subscription("trade", symbol, is_trades=True)]
        return [
            _subscription(book, symbol, is_book=True),
            _subscription("market_stats", symbol),
            *(trades if options.trades else ()),
        ]

    def decoder(self) -> Decode:
        """Return the decoder; continuity is judged by the session."""
        return decode

    def ping(self) -> str:
        """Return the client's own ping."""
        return '{"type":"ping"}'


def _subscription(kind: str, symbol: str, **facts: Any) -> Subscription:
    request, cancel = (
        msgspec.json.encode({"type": verb, "channel": f"{kind}/{symbol}"}).decode()
        for verb in ("subscribe", "unsubscribe")
    )
    return Subscription(f"{kind}:{symbol}", symbol, request, cancel, **facts)


def _market(row: _MarketRow) -> Market:
    return _base.perpetual(
        row.symbol,
        tick=10.0**-row.price_decimals,
        lot=10.0**-row.size_decimals,
        is_active=row.status == "active",
        market_id=str(row.market_id),
    )


VENUE: Final = Lighter()
