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
host has neither time nor nonce and cannot be joined to the stream: only a new
subscription heals a gap. It is the first 250 orders of a side, which we add up to
levels. It names no market, but its orders do: from 2^48 times the market's id plus one
come the ids of asks, counted up, and before the next market's those of bids, counted
down (recorded of markets 0 and 1, in books and trades of 2026).

Doubts, none of them verified against the live venue:
- Whether `Already Subscribed` is followed by an image is unknown: we take it that none
  is, and a book that waits for one is ended and subscribed again.
- Frames of 2025 lack `begin_nonce` and `last_updated_at`: such a change is applied when
  it is newer, and has no event time. `offset` has gaps of its own and is not used.
- One `nonce` is taken to count the transactions of the whole venue, for tickers, books
  and trades alike: those recorded within 90 minutes lie on one line of about 1,000 a
  second. So at one nonce ticker and book agree; no recording has both of one step.
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
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from math import nan
from typing import Annotated, Any, ClassVar, Final

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from feedhandler import events
from feedhandler.book.continuity import SEQUENCE_NONE, NonceChain, OrderingGuard, Rule
from feedhandler.book.image import touch
from feedhandler.codec import decimal
from feedhandler.codec import frame as frames
from feedhandler.codec.decimal import VALUE_MIN, Price, Size
from feedhandler.codec.frame import FAILURES, FrameError, refuse
from feedhandler.codec.stamp import HOUR_NS, MICROSECOND_NS, MILLISECOND_NS, event_ns
from feedhandler.events import SIDE_ASK, SIDE_BID, TIME_NONE, BookEvent, Event
from feedhandler.venues import _base
from feedhandler.venues._base import (
    Decode,
    Frame,
    Market,
    Options,
    RestRequest,
    Subscription,
)

Number = Annotated[int, msgspec.Meta(ge=0, le=(1 << 63) - 1)]
SIZE_DECIMALS_MAX: Final = 12
Decimals = Annotated[float, msgspec.Meta(ge=0, le=SIZE_DECIMALS_MAX)]

ORDERS_MAX: Final = 250  # of one side in one answer of the REST host
ORDER_BITS: Final = 48  # of an order's id; what is above them tells the market
REST_GOOD: Final = 200  # the `code` of a good answer


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


class _TextLevel(Struct):
    price: str
    size: str


class _TextBook(Struct):
    asks: list[_TextLevel]
    bids: list[_TextLevel]


class _LooseLevel(Struct):
    price: str = ""
    size: str = ""


class _LooseTicker(Struct):
    a: _LooseLevel | None = None
    b: _LooseLevel | None = None
    last_updated_at: int = 0


class _AnyFrame(Struct):
    type: str = ""
    channel: str = ""
    nonce: Number | None = None
    timestamp: int = 0
    order_book: _TextBook | None = None
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
    # Texts: each is read on its own, so that a bad one costs no other.
    current_funding_rate: Any = None
    mark_price: Any = None
    index_price: Any = None
    mid_price: Any = None
    open_interest: Any = None


class _MarketRow(Struct):
    symbol: str
    market_id: Annotated[int, msgspec.Meta(ge=0, le=1 << 32)]
    status: str = "active"
    price_decimals: Decimals = nan
    size_decimals: Decimals = nan


class _Answer(Struct):
    code: int = REST_GOOD
    message: str | None = None


class _Details(_Answer):
    order_book_details: list[_MarketRow] | UnsetType = UNSET


class _Order(Struct, gc=False):
    order_index: Number
    price: str
    remaining_base_amount: str


class _Orders(_Answer):
    bids: list[_Order] | UnsetType | None = UNSET
    asks: list[_Order] | UnsetType | None = UNSET


_decode_hot = msgspec.json.Decoder(
    _ImageFrame | _ChangeFrame | _TickerFrame, strict=False
).decode
_decode_any = msgspec.json.Decoder(_AnyFrame).decode
_decode_trade = msgspec.json.Decoder(_Trade).decode
_decode_details = msgspec.json.Decoder(_Details).decode
_decode_orders = msgspec.json.Decoder(_Orders).decode


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
    return BookEvent(
        _market_id(message.channel, "order_book"),
        event_ns(data.last_updated_at, MICROSECOND_NS, wall_ns),
        is_snapshot,
        _sized(data.bids),
        _sized(data.asks),
        data.nonce,
        data.begin_nonce,
    )


def _sized(levels: Sequence[_Level]) -> list[tuple[float, float]]:
    """Return levels as pairs; a size too small to be one refuses all."""
    found = [(level.price, level.size) for level in levels]
    for _, size in found:
        if size < VALUE_MIN and size != 0.0:
            raise decimal.DecimalError("range", size)
    return found


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


def _side(row: _LooseLevel | None) -> _Level | None:
    if row is None or not (row.price or row.size):
        return None
    return _Level(decimal.price(row.price), decimal.size(row.size))


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
    said: list[Event] = []
    for each, raw in found.items():
        said += _funding(each, msgspec.json.decode(raw, type=_Stats), stamp_ns, wall_ns)
    return said


def _funding(
    market_id: str, data: _Stats, stamp_ns: int, wall_ns: int
) -> Sequence[Event]:
    """Return what can be used, and a refusal for each part that cannot."""
    errors: list[FrameError] = []
    now_ns = wall_ns if stamp_ns == TIME_NONE else stamp_ns
    mark = _base.part(decimal.reference, data.mark_price, errors)
    funding = events.FundingEvent(
        market_id,
        stamp_ns,
        _base.part(decimal.optional, data.current_funding_rate, errors) / 100.0,
        HOUR_NS,
        (now_ns // HOUR_NS + 1) * HOUR_NS,
        mark,
        _base.part(decimal.reference, data.index_price, errors),
        _base.part(decimal.reference, data.mid_price, errors),
        _base.part(decimal.size, data.open_interest, errors) / mark,
    )
    if errors and not _base.says_something(funding):
        raise errors[0]
    return (funding, *(events.RejectEvent(row.reason, row.detail) for row in errors))


# An error names its channel, if at all, at its end: `Already Subscribed to : ticker:3`.
_CHANNEL: Final = re.compile(r"([a-z_]+:\w+)\s*$")
CHANNEL_CHARS_MAX: Final = 64  # a search costs the square of what it looks at


def _meaning(error: _AnyFrame) -> Event:
    """Say what an error means; an unknown one leaves the request to its deadline."""
    text = f"{error.code} {error.message}"
    found = _CHANNEL.search(error.message[-CHANNEL_CHARS_MAX:])
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
        if message.order_book is not None:
            for level in (*message.order_book.bids, *message.order_book.asks):
                decimal.price(level.price)
                decimal.size(level.size)
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
        rest_weight_per_minute=60,  # requests, whatever they ask for
    )
    # A busy book had a p95 of 190 ms (February 2026); a ticker comes on change only.
    fresh_ms: ClassVar[Mapping[str, int]] = {"bbo": 3_000, "depth": 2_000}
    liveness_channel = "market_stats"
    discovery = (RestRequest("GET", "/api/v1/orderBookDetails"),)
    continuity: ClassVar[Mapping[str, type[Rule]]] = {
        "bbo": OrderingGuard,
        "depth": NonceChain,
    }
    has_market_ids = True
    cross_check = "sequence"

    def parse_markets(self, bodies: Sequence[bytes]) -> list[Market]:
        """Return the perpetuals of an `orderBookDetails` answer."""
        (body,) = bodies
        answer = frames.checked(_decode_details, body)
        _check(answer)
        if answer.order_book_details is UNSET:
            raise FrameError("missing", "order_book_details")
        return [_market(row) for row in answer.order_book_details]

    def market_by_name(self, name: str) -> Market:
        """Take digits for a market's id; any other name waits for discovery."""
        if name.isascii() and name.isdigit():
            return Market(name, name, market_id=str(int(name)))
        return super().market_by_name(name)

    def subscriptions(self, symbol: str, options: Options) -> list[Subscription]:
        """Return books, liveness and, when asked for, trades, in that order."""
        books = {_base.BBO: "ticker", _base.DEPTH: "order_book"}
        wanted = [(books[kind], kind) for kind in options.kinds]
        wanted.append(("market_stats", _base.LIVENESS))
        if options.trades:
            wanted.append(("trade", _base.TRADES))
        return [
            Subscription(f"{kind}:{symbol}", symbol, f"{kind}/{symbol}", carries)
            for kind, carries in wanted
        ]

    def request(
        self, topics: Sequence[str], request_id: int, *, is_end: bool = False
    ) -> str:
        """Return the request for one stream: the venue takes no more, and no id."""
        (topic,) = topics
        verb = "unsubscribe" if is_end else "subscribe"
        return msgspec.json.encode({"type": verb, "channel": topic}).decode()

    def decoder(self, markets: Mapping[str, Market]) -> Decode:
        """Return the decoder; continuity is judged by the session."""
        return decode

    def snapshot_request(self, market: Market) -> RestRequest:
        """Return the request for as many orders as the venue shows."""
        query = f"market_id={market.key}&limit={ORDERS_MAX}"
        return RestRequest("GET", f"/api/v1/orderBookOrders?{query}")

    def parse_snapshot(self, market: Market, body: bytes, wall_ns: int) -> BookEvent:
        """Return the orders in the answer, added up to levels; it has no time."""
        return frames.checked(partial(_snapshot, market), body)

    def ping(self) -> str:
        """Return the client's own ping."""
        return '{"type":"ping"}'


def _market(row: _MarketRow) -> Market:
    return _base.perpetual(
        row.symbol,
        tick=10.0**-row.price_decimals,
        lot=10.0**-row.size_decimals,
        is_active=row.status == "active",
        market_id=str(row.market_id),
    )


def _check(answer: _Answer) -> None:
    if answer.code != REST_GOOD:
        text = (answer.message or "")[:200]
        raise FrameError("venue_error", f"{answer.code} {text}")


def _snapshot(market: Market, body: bytes) -> BookEvent:
    answer = _decode_orders(body)
    _check(answer)
    if answer.bids is UNSET or answer.asks is UNSET:
        raise FrameError("missing", "bids or asks")
    bids = _levels(market, answer.bids or (), worst=min)
    asks = _levels(market, answer.asks or (), worst=max)
    return BookEvent(market.key, TIME_NONE, True, bids, asks)


def _levels(
    market: Market, orders: Sequence[_Order], worst: Callable[[Iterable[float]], float]
) -> list[tuple[float, float]]:
    """Add up the orders of each price, in the order in which they come."""
    ids = int(market.key) + 1
    sizes: dict[float, float] = {}
    for order in orders:
        if order.order_index >> ORDER_BITS != ids:
            raise FrameError("symbol", f"order_index={order.order_index}")
        price = decimal.price(order.price)
        size = sizes.get(price, 0.0) + decimal.size(order.remaining_base_amount)
        sizes[price] = round(size, SIZE_DECIMALS_MAX)
    if len(orders) >= ORDERS_MAX and len(sizes) > 1:
        # Where the list was cut, the last price may have more orders.
        del sizes[worst(sizes)]
    return list(sizes.items())


VENUE: Final = Lighter()
