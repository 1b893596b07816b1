"""Hyperliquid: perpetuals, spot and builder markets of `api.hyperliquid.xyz`.

Every frame is a whole image: no sequence number, no checksum, no change. A lost frame
heals with the next one, and only silence and the age of `data.time` tell of trouble.

    feed kind bbo      `bbo`, sent when the best price or size changed in a block
    feed kind depth    `l2Book`, whole images; `fast` 5 levels about every 0.5 s, else
                       20 levels about every 5 s (seen since 2026-07-25; 2 s in June)
    liveness           `activeAssetCtx`: oracle updates about every 3 s; has no time
    trades             `trades`; replays about 30 old ones after each subscribe

Doubts, none of them verified against the live venue:
- One recorded-looking `bbo` has a single element: a missing element is an absent side.
- The ack of `fast` may or may not echo it: acks are matched by type and coin alone, so
  one session must not subscribe both speeds of one coin.
- A third party saw sockets dropped after 4 to 8 subscribes back to back; others send
  bursts unharmed. Requests are spaced; a gap of 500 ms is said to be safe.
- 10 connections an address are documented in 2026, 100 before: 10 is binding.
- Only the first error text was recorded; the rest is quoted from clients.
- Acks reportedly do not count as traffic for the 60 s silence rule: we ping each 25 s.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from math import nan
from typing import Annotated, Any, ClassVar, Final

import msgspec
from msgspec import Raw, Struct

from feedhandler import events
from feedhandler.book.image import best_ask, best_bid, touch
from feedhandler.codec import decimal
from feedhandler.codec import frame as frames
from feedhandler.codec.decimal import Price, Size
from feedhandler.codec.frame import FAILURES, FrameError, refuse
from feedhandler.codec.stamp import HOUR_NS, MILLISECOND_NS, event_ns
from feedhandler.events import FLAG_SNAPSHOT, TIME_NONE, Event, QuoteEvent
from feedhandler.venues import _base
from feedhandler.venues._base import Decode, Frame, Market, Options, Subscription

HELLO: Final = b"Websocket connection"
PRICE_DECIMALS_MAX: Final = 6
SIGNIFICANT_FIGURES: Final = 5

_SIDES: Final = {"B": events.SIDE_BID, "A": events.SIDE_ASK}


# --- Frames -------------------------------------------------------------------------
#
# `bbo` and `l2Book` are decoded in one pass, numbers included, by a decoder that takes
# text for a number; `time` stays raw there, because it must not be text. Every other
# channel, and a hot frame that was refused, is decoded again with strict types.


class _Level(Struct, gc=False, rename={"price": "px", "size": "sz"}):
    price: Price
    size: Size


class _Bbo(Struct, gc=False):
    coin: str
    time: Raw
    bbo: Annotated[list[_Level | None], msgspec.Meta(max_length=2)]


class _Book(Struct, gc=False):
    coin: str
    time: Raw
    levels: tuple[list[_Level], list[_Level]]


class _BboFrame(Struct, gc=False, tag_field="channel", tag="bbo"):
    data: _Bbo


class _BookFrame(Struct, gc=False, tag_field="channel", tag="l2Book"):
    data: _Book


class _AnyFrame(Struct):
    channel: str
    data: Raw = Raw()


class _TextLevel(Struct, rename={"price": "px", "size": "sz"}):
    price: str
    size: str


class _Loose(Struct):
    coin: str
    time: int
    bbo: Annotated[list[Raw], msgspec.Meta(max_length=2)] | None = None
    levels: tuple[list[Raw], list[Raw]] | None = None


class _Trade(Struct, gc=False, rename={"price": "px", "size": "sz"}):
    coin: str
    side: str
    price: str
    size: str
    time: int
    tid: Annotated[int, msgspec.Meta(ge=0, le=(1 << 63) - 1)] = 0


class _CoinContext(Struct, gc=False):
    coin: str
    ctx: dict[str, Any]


class _Response(Struct, gc=False):
    method: str
    subscription: dict[str, Any]


class _MetaRow(Struct, rename={"size_decimals": "szDecimals"}):
    name: str
    size_decimals: Annotated[int, msgspec.Meta(ge=0, le=12)] | None = None
    is_delisted: bool = msgspec.field(default=False, name="isDelisted")


class _Meta(Struct):
    universe: list[_MetaRow]


_decode_hot = msgspec.json.Decoder(_BboFrame | _BookFrame, strict=False).decode
_decode_any = msgspec.json.Decoder(_AnyFrame).decode
_decode_loose = msgspec.json.Decoder(_Loose).decode
_decode_level = msgspec.json.Decoder(_TextLevel).decode
_decode_rows = msgspec.json.Decoder(list[Raw]).decode
_decode_trade = msgspec.json.Decoder(_Trade).decode
_decode_context = msgspec.json.Decoder(_CoinContext).decode
_decode_response = msgspec.json.Decoder(_Response).decode
_decode_text = msgspec.json.Decoder(str).decode
_decode_meta = msgspec.json.Decoder(_Meta).decode


def decode(frame: Frame, wall_ns: int) -> Sequence[Event]:
    """Return what a frame means; raise `FrameError` when none of it can be used."""
    try:
        message = _decode_hot(frame)
        if type(message) is _BboFrame:
            return (_quote_of_bbo(message.data, wall_ns),)
        return _quote_of_book(message.data, wall_ns)
    except FAILURES as error:
        return _decode_cold(frame, error, wall_ns)


def _quote_of_bbo(data: _Bbo, wall_ns: int) -> QuoteEvent:
    pair = data.bbo
    bid, bid_size = touch(pair[0] if pair else None)
    ask, ask_size = touch(pair[1] if len(pair) > 1 else None)
    stamp_ns = event_ns(int(data.time), MILLISECOND_NS, wall_ns)
    return QuoteEvent(data.coin, stamp_ns, 0, bid, bid_size, ask, ask_size)


def _quote_of_book(data: _Book, wall_ns: int, bad_count: int = 0) -> Sequence[Event]:
    bids, asks = data.levels
    bid, bid_size, is_bids_unsorted = best_bid(bids)
    ask, ask_size, is_asks_unsorted = best_ask(asks)
    stamp_ns = event_ns(int(data.time), MILLISECOND_NS, wall_ns)
    quote = QuoteEvent(
        data.coin, stamp_ns, 0, bid, bid_size, ask, ask_size, FLAG_SNAPSHOT
    )
    if not (bad_count or is_bids_unsorted or is_asks_unsorted):
        return (quote,)
    found: list[Event] = [quote]
    if bad_count:
        found.append(events.NoticeEvent("bad_level", bad_count))
    if is_bids_unsorted or is_asks_unsorted:
        found.append(events.NoticeEvent("unsorted"))
    return found


def _trades(raw: Raw, wall_ns: int) -> list[Event]:
    """Return each row that can be used, and a refusal for each that cannot."""
    convert = partial(_trade, wall_ns=wall_ns)
    rows, errors = frames.keep_good(_decode_rows(raw), convert)
    return [*rows, *(events.RejectEvent(row.reason, row.detail) for row in errors)]


def _trade(raw: Raw, wall_ns: int) -> Event:
    row = _decode_trade(raw)
    if row.side not in _SIDES:
        raise FrameError("side", row.side)
    price = decimal.price(row.price)
    size = decimal.size(row.size)
    stamp_ns = event_ns(row.time, MILLISECOND_NS, wall_ns)
    return events.TradeEvent(row.coin, stamp_ns, price, size, _SIDES[row.side], row.tid)


def _context(raw: Raw, wall_ns: int) -> Sequence[Event]:
    """Return funding and references; a spot pair has no funding."""
    data = _decode_context(raw)
    value = data.ctx.get
    interval_ns = next_ns = TIME_NONE
    if value("funding") is not None:
        interval_ns = HOUR_NS
        # Paid every hour on the hour; the frame itself names no time.
        next_ns = (wall_ns // HOUR_NS + 1) * HOUR_NS
    funding = events.FundingEvent(
        data.coin,
        TIME_NONE,
        _number(value("funding")),
        interval_ns,
        next_ns,
        _reference(value("markPx")),
        _reference(value("oraclePx")),
        _reference(value("midPx")),
        _number(value("openInterest")),
    )
    return (funding,)


def _number(text: str | None) -> float:
    return nan if text is None else decimal.parse(text)


def _reference(text: str | None) -> float:
    """Return a reference price; an empty book is sent as null or as zero."""
    value = _number(text)
    return value if value > 0 else nan


def _response(raw: Raw, wall_ns: int) -> Sequence[Event]:
    data = _decode_response(raw)
    key = _key_of(data.subscription)
    if data.method == "unsubscribe":
        return (events.UnsubscribedEvent(key),)
    return (events.AckEvent(key),)


def _error(raw: Raw, wall_ns: int) -> Sequence[Event]:
    """Read an error text: it has no id, but most end in the JSON they are about."""
    text = _decode_text(raw)
    about = frames.json_tail(text)
    # A text about a whole request holds the subscription inside it.
    key = _key_of(about.get("subscription", about))
    start = next(start for start in _ERRORS if text.startswith(start))
    return (_ERRORS[start](key, text),)


# How an error text begins -> what it means, given the key in it and the text. Anything
# else leaves the request pending: an overdue ack sends it again.
_ERRORS: Final[dict[str, Callable[[str, str], Event]]] = {
    "Already subscribed": lambda key, text: events.AckEvent(key),
    "Already unsubscribed": lambda key, text: events.UnsubscribedEvent(key),
    "Invalid subscription": partial(events.RefusalEvent, "invalid"),
    "Cannot subscribe": partial(events.RefusalEvent, "too_many"),
    "Cannot track": partial(events.RefusalEvent, "too_many"),
    "Error parsing JSON": partial(events.RefusalEvent, "malformed"),
    "Cannot send": lambda key, text: events.NoticeEvent("rate_limited", 1, text),
    "": lambda key, text: events.NoticeEvent("venue_error", 1, text),
}


def _key_of(subscription: object) -> str:
    """Name a subscription by what the venue's normalised echo keeps of it."""
    match subscription:
        case {"type": str(kind), "coin": str(coin)}:
            return f"{kind}:{coin}"
    return ""


def _loose(raw: Raw, wall_ns: int) -> Sequence[Event]:
    """Read a quote or a book that the one pass refused: keep it, or say why not."""
    data = _decode_loose(raw)
    sides = data.levels
    if data.bbo is not None:
        present = [[row] if bytes(row) != b"null" else [] for row in data.bbo]
        bid, ask = [*present, [], []][:2]
        sides = (bid, ask)
    if sides is None:
        raise FrameError("missing", "neither bbo nor levels")
    bids, bad_bids = frames.keep_first(sides[0], _level)
    asks, bad_asks = frames.keep_first(sides[1], _level)
    book = _Book(data.coin, Raw(str(data.time).encode()), (bids, asks))
    return _quote_of_book(book, wall_ns, bad_bids + bad_asks)


def _level(raw: Raw) -> _Level:
    level = _decode_level(raw)
    return _Level(decimal.price(level.price), decimal.size(level.size))


# Channel -> what makes events of its `data`.
_COLD: Final[dict[str, Callable[[Raw, int], Sequence[Event]]]] = {
    "bbo": _loose,
    "l2Book": _loose,
    "trades": _trades,
    "activeAssetCtx": _context,
    "activeSpotAssetCtx": _context,
    "subscriptionResponse": _response,
    "error": _error,
    "pong": lambda raw, wall_ns: (events.PongEvent(),),
}


def _decode_cold(frame: Frame, error: Exception, wall_ns: int) -> Sequence[Event]:
    """Decode what is not hot, and refuse with the reason that fits best."""
    reason = frames.reason_of(error, frame)
    if reason == "json" and frame[: len(HELLO)] in (HELLO, HELLO.decode()):
        return (events.NoticeEvent("hello"),)
    if isinstance(error, FrameError):
        raise error
    try:
        loose = _decode_any(frame)
        handle = _COLD.get(loose.channel)
        if handle is None:
            return (events.NoticeEvent("unknown_type", 1, loose.channel),)
        if not bytes(loose.data) and loose.channel != "pong":
            raise FrameError("missing", "data")
        return handle(loose.data, wall_ns)
    except FAILURES as second:
        raise refuse(second, frame) from second


class Hyperliquid(_base.Venue):
    """The declarations of Hyperliquid's mainnet."""

    name = "hyperliquid"
    ws_url = "wss://api.hyperliquid.xyz/ws"
    rest_url = "https://api.hyperliquid.xyz"
    limits = _base.Limits(
        frame_bytes_max=1 << 20,
        ping_interval_ms=25_000,
        # 2,000 messages a minute are allowed: this stays below them for ever.
        subscribe_gap_ms=31,
        connects_per_minute=30,
        subscriptions_max=1_000,
    )
    # `bbo` comes on change only; `l2Book` had a p99 of 1.3 s (February 2026).
    fresh_ms: ClassVar[Mapping[str, int]] = {"bbo": 3_000, "depth": 2_000}
    liveness_channel = "activeAssetCtx"
    discovery = _base.RestRequest("POST", "/info", b'{"type":"meta"}')

    def parse_markets(self, body: bytes) -> list[Market]:
        """Return the perpetuals of a `meta` answer."""
        return [_market(row) for row in frames.checked(_decode_meta, body).universe]

    def subscriptions(self, symbol: str, options: Options) -> list[Subscription]:
        """Return quote, liveness and, when asked for, trades, in that order."""
        book: dict[str, Any] = {"type": "bbo", "coin": symbol}
        if options.feed_kind == "depth":
            book["type"] = "l2Book"
            if options.fast:
                book["fast"] = True
        wanted = [
            _subscription(book, is_book=True),
            _subscription({"type": "activeAssetCtx", "coin": symbol}),
        ]
        if options.trades:
            trades = {"type": "trades", "coin": symbol}
            wanted.append(_subscription(trades, is_trades=True))
        return wanted

    def decoder(self) -> Decode:
        """Return the decoder; images need no memory of a session."""
        return decode

    def ping(self) -> str:
        """Return the application's own ping; the server closes after 60 s unused."""
        return '{"method":"ping"}'

    def tick_at(self, market: Market, price: float) -> float:
        """Allow five figures, whole numbers, and the decimals a size leaves of six."""
        if not (market.lot > 0 and price > 0):
            return nan
        size_decimals = round(-math.log10(market.lot))
        finest = 10.0 ** (size_decimals - PRICE_DECIMALS_MAX)
        by_figures = 10.0 ** (math.floor(math.log10(price)) - SIGNIFICANT_FIGURES + 1)
        return min(1.0, max(finest, by_figures))


def _subscription(
    wanted: Mapping[str, Any], *, is_book: bool = False, is_trades: bool = False
) -> Subscription:
    subscribe, unsubscribe = (
        msgspec.json.encode({"method": method, "subscription": wanted}).decode()
        for method in ("subscribe", "unsubscribe")
    )
    key = _key_of(wanted)
    coin = wanted["coin"]
    return Subscription(key, coin, subscribe, unsubscribe, is_book, is_trades)


def _market(row: _MetaRow) -> Market:
    # The price step depends on the price: see `tick_at`.
    decimals = row.size_decimals
    lot = nan if decimals is None else 10.0**-decimals
    return _base.perpetual(row.name, lot=lot, is_active=not row.is_delisted)


VENUE: Final = Hyperliquid()
