"""Aster: the USDT-margined perpetuals of `fapi.asterdex.com`.

Streams speak the Binance futures dialect, on the bare `/ws`. Nothing is sent on
subscribing: a stream speaks when something changes, so that a quiet market is silent
until then, and only the mark price ticks each second.

    feed kind bbo      `<s>@bookTicker`, in real time, ordered by its `u`
    feed kind depth    `<s>@depth@100ms`, changes of absolute size, each naming the one
                       it follows; the image comes by REST, 1,000 levels a side
    liveness           `<s>@markPrice@1s`: mark, index, funding
    trades             `<s>@aggTrade`, batched by 100 ms; replays nothing

Trades are `aggTrade` and not `trade`: it is documented for futures and holds market
trades alone, where `trade` mixes in the insurance fund and deleveraging. The price is
up to 100 ms of delay, and one row for all fills of a taker at one price.

A change is whole or refused: to drop one level of it would leave a book silently wrong,
while a missing change is noticed with the next one.

Doubts, none of them verified against the live venue:
- An image names no symbol, and update ids are shared by all, so an image of another
  market would be joined without a gap. It lasts until the first change near the touch
  crosses the book. With both kinds subscribed the compare with `bookTicker`, which
  names its symbol, finds it too. Ticks are no proof: they may change, and are cached.
- `bookTicker` and depth seem to share their `u`: tops of one number are compared. If
  they do not share it, such numbers hardly ever meet.
- Partial books (`@depth5` …) look like changes. They are not subscribed, and must not
  be: nothing in a bare frame tells them apart.
- Below its 1,000th level an image knows nothing; changes there are kept all the same.
- Whether errors echo the request's id is not documented. One without an id is taken to
  be about the oldest request without an answer, if its code is that of a bad request.
- A name that is not listed may be acknowledged and stay silent, or close the connection
  with 1008: requests are small, so that few names fall with a bad one.
- `E` and `T` were missing in old captures: then the event has no time.
- `fundingInfo` seems to name every market; one that it does not name has 8 hours. When
  the whole answer is missing the interval is unknown, and so is the rate per hour.
- `@depth@0ms` is faster and undocumented, whence `fast` changes nothing here.
- No limit of connections is documented; who breaks limits again and again is banned.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from math import nan
from typing import Annotated, Any, ClassVar, Final, TypeVar

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from feedhandler import events
from feedhandler.book.continuity import OrderingGuard, Rule
from feedhandler.book.pu_chain import PuChain
from feedhandler.codec import decimal
from feedhandler.codec import frame as frames
from feedhandler.codec.decimal import VALUE_MIN, Price, Size
from feedhandler.codec.frame import FAILURES, FrameError, refuse
from feedhandler.codec.stamp import (
    DAY_NS,
    HOUR_NS,
    MILLISECOND_NS,
    event_ns,
)
from feedhandler.events import SIDE_ASK, SIDE_BID, TIME_NONE, Event
from feedhandler.venues import _base
from feedhandler.venues._base import Decode, Frame, Market, Options, Subscription

QUOTE_ASSET: Final = "USDT"
INTERVAL_HOURS: Final = 8  # of a market that `fundingInfo` does not name
INTERVAL_HOURS_MAX: Final = 24
TEXT_CHARS_MAX: Final = 200

Number = Annotated[int, msgspec.Meta(ge=0, le=(1 << 63) - 1)]
Step = Annotated[int, msgspec.Meta(ge=1, le=(1 << 63) - 1)]
Levels = list[tuple[Price, Size]]

Body = TypeVar("Body")


# --- Frames -------------------------------------------------------------------------
# What we subscribe is decoded in one pass, numbers included, by a decoder that takes
# text for a number. Everything else, and what it refused, is read again, strictly.


class _Quote(
    Struct,
    gc=False,
    tag_field="e",
    tag="bookTicker",
    rename={
        "symbol": "s",
        "sequence": "u",
        "bid": "b",
        "bid_size": "B",
        "ask": "a",
        "ask_size": "A",
        "matched_ms": "T",
        "sent_ms": "E",
    },
):
    symbol: str
    sequence: Number
    bid: Size  # as a price: 0 for an absent side
    bid_size: Size
    ask: Size
    ask_size: Size
    matched_ms: int = 0
    sent_ms: int = 0


class _Change(
    Struct,
    gc=False,
    tag_field="e",
    tag="depthUpdate",
    rename={
        "symbol": "s",
        "first": "U",
        "sequence": "u",
        "previous": "pu",
        "bids": "b",
        "asks": "a",
        "matched_ms": "T",
        "sent_ms": "E",
    },
):
    symbol: str
    first: Number
    sequence: Number
    previous: Number
    bids: Levels
    asks: Levels
    matched_ms: int = 0
    sent_ms: int = 0


class _Trade(
    Struct,
    gc=False,
    tag_field="e",
    tag="aggTrade",
    rename={
        "symbol": "s",
        "trade_id": "a",
        "price": "p",
        "size": "q",
        "is_buyer_maker": "m",
        "matched_ms": "T",
        "sent_ms": "E",
    },
):
    symbol: str
    trade_id: Number
    price: Price
    size: Size
    is_buyer_maker: bool
    matched_ms: int = 0
    sent_ms: int = 0


class _Mark(
    Struct,
    gc=False,
    tag_field="e",
    tag="markPriceUpdate",
    rename={
        "symbol": "s",
        "mark": "p",
        "index": "i",
        "rate": "r",
        "next_ms": "T",
        "sent_ms": "E",
    },
):
    symbol: str
    mark: str | None = None
    index: str | None = None
    rate: str | None = None
    next_ms: int = 0
    sent_ms: int = 0


class _Error(Struct):
    code: int | None = None
    msg: str = ""


class _AnyFrame(Struct):
    e: str = ""
    stream: str = ""
    data: Raw = Raw()
    result: Any | UnsetType = UNSET
    id: int | None = None
    code: int | None = None
    msg: str = ""
    error: _Error | str | None = None


class _Image(
    Struct,
    rename={"sequence": "lastUpdateId", "matched_ms": "T", "sent_ms": "E"},
):
    sequence: Step
    bids: Levels
    asks: Levels
    matched_ms: int = 0
    sent_ms: int = 0
    symbol: str = ""  # not sent, as far as is known


class _Filter(Struct, rename="camel"):
    filter_type: str = ""
    tick_size: str = ""
    step_size: str = ""


class _MarketRow(Struct, rename="camel"):
    symbol: str
    contract_type: str = ""
    status: str = ""
    quote_asset: str = QUOTE_ASSET
    margin_asset: str = QUOTE_ASSET
    filters: list[_Filter] = msgspec.field(default_factory=list)


class _Info(Struct):
    symbols: list[Raw]


class _IntervalRow(Struct, rename={"hours": "fundingIntervalHours"}):
    symbol: str
    hours: Any = None


class _RestError(Struct):
    code: int
    msg: str = ""


_decode_hot = msgspec.json.Decoder(
    _Quote | _Change | _Trade | _Mark, strict=False
).decode
_decode_any = msgspec.json.Decoder(_AnyFrame).decode
_decode_image = msgspec.json.Decoder(_Image, strict=False).decode
_decode_info = msgspec.json.Decoder(_Info).decode
_decode_row = msgspec.json.Decoder(_MarketRow).decode
_decode_intervals = msgspec.json.Decoder(list[_IntervalRow]).decode
_decode_rest_error = msgspec.json.Decoder(_RestError).decode

_KINDS: Final = ("bookTicker", "depthUpdate", "aggTrade", "markPriceUpdate")


def decode(
    markets: Mapping[str, Market], frame: Frame, wall_ns: int
) -> Sequence[Event]:
    """Return what a frame means; raise `FrameError` when none of it can be used."""
    try:
        message = _decode_hot(frame)
        if type(message) is _Quote:
            return (_quote(message, wall_ns),)
        return _read(markets, message, wall_ns)
    except FAILURES as error:
        return _decode_cold(markets, frame, error, wall_ns)


def _quote(message: _Quote, wall_ns: int) -> Event:
    bid = message.bid
    bid_size = message.bid_size
    ask = message.ask
    ask_size = message.ask_size
    if not (bid >= VALUE_MIN and bid_size >= VALUE_MIN):
        bid, bid_size = _absent(bid, bid_size)
    if not (ask >= VALUE_MIN and ask_size >= VALUE_MIN):
        ask, ask_size = _absent(ask, ask_size)
    return events.QuoteEvent(
        message.symbol,
        event_ns(message.matched_ms or message.sent_ms, MILLISECOND_NS, wall_ns),
        message.sequence,
        bid,
        bid_size,
        ask,
        ask_size,
    )


def _absent(price: float, size: float) -> tuple[float, float]:
    """Return an absent side: nothing is offered, usually at the price zero."""
    if size == 0.0:
        return nan, nan
    reason = "range" if price else "nonpositive"
    raise FrameError(reason, f"price={price} size={size}")


def _read(
    markets: Mapping[str, Market], message: _Change | _Trade | _Mark, wall_ns: int
) -> Sequence[Event]:
    if type(message) is _Change:
        stamp_ms = message.matched_ms or message.sent_ms
        change = events.BookEvent(
            message.symbol,
            event_ns(stamp_ms, MILLISECOND_NS, wall_ns),
            False,
            message.bids,
            message.asks,
            message.sequence,
            message.previous,
            message.first,
        )
        return (change,)
    if type(message) is _Trade:
        return (_trade(message, wall_ns),)
    assert type(message) is _Mark
    return _funding(markets.get(message.symbol), message, wall_ns)


def _trade(message: _Trade, wall_ns: int) -> Event:
    if message.size < VALUE_MIN:
        raise FrameError("nonpositive", f"size={message.size}")
    return events.TradeEvent(
        message.symbol,
        event_ns(message.matched_ms or message.sent_ms, MILLISECOND_NS, wall_ns),
        message.price,
        message.size,
        SIDE_ASK if message.is_buyer_maker else SIDE_BID,
        message.trade_id,
    )


def _funding(market: Market | None, message: _Mark, wall_ns: int) -> Sequence[Event]:
    """Return what of a mark price can be used; a part that cannot is refused alone.

    The rate is per interval, which only discovery tells. A market without funding has
    an empty rate, and is due at zero.
    """
    errors: list[FrameError] = []
    mark = _base.part(_reference, message.mark, errors)
    index = _base.part(_reference, message.index, errors)
    rate = _base.part(decimal.optional, message.rate or None, errors)
    stamp_ns = event_ns(message.sent_ms, MILLISECOND_NS, wall_ns)
    if errors and not (mark == mark or index == index or rate == rate):
        raise errors[0]
    interval_ns = TIME_NONE
    if market is not None and rate == rate:
        interval_ns = market.funding_interval_ns
    next_ns = message.next_ms * MILLISECOND_NS
    now_ns = wall_ns if stamp_ns == TIME_NONE else stamp_ns
    is_due = abs(next_ns - now_ns) <= DAY_NS
    funding = events.FundingEvent(
        message.symbol,
        stamp_ns,
        nan if interval_ns == TIME_NONE else rate * (HOUR_NS / interval_ns),
        interval_ns,
        next_ns if is_due else TIME_NONE,
        mark,
        index,
        nan,
        nan,
    )
    return [funding, *(events.RejectEvent(row.reason, row.detail) for row in errors)]


def _reference(text: str | None) -> float:
    """Return a reference price; where there is none it is absent, empty or zero."""
    return decimal.size(text) or nan if text else nan


def _decode_cold(
    markets: Mapping[str, Market], frame: Frame, error: Exception, wall_ns: int
) -> Sequence[Event]:
    """Decode what is not hot or is wrapped, or refuse it with the fitting reason."""
    try:
        message = _decode_any(frame)
        if message.stream:
            if not bytes(message.data):
                raise FrameError("missing", "data")
            inner = _decode_any(message.data)
            if inner.e in _KINDS:
                return _decode_wrapped(markets, message.data, wall_ns)
            message = inner
        if message.e not in _KINDS:
            return (_answer(message),)
    except FAILURES as second:
        error = second
    raise refuse(error, frame) from error


def _decode_wrapped(
    markets: Mapping[str, Market], data: Raw, wall_ns: int
) -> Sequence[Event]:
    message = _decode_hot(data)
    if type(message) is _Quote:
        return (_quote(message, wall_ns),)
    return _read(markets, message, wall_ns)


def _answer(message: _AnyFrame) -> Event:
    """Say what a frame means that carries no data of ours."""
    if message.e:
        return events.NoticeEvent("unknown_type", 1, message.e[:TEXT_CHARS_MAX])
    if message.code is not None or message.error is not None:
        return _refusal(message)
    if message.result is UNSET:
        raise FrameError("missing", "e")
    if message.id is None:
        raise FrameError("missing", "id")
    return events.AckEvent(f"#{message.id}")


def _refusal(message: _AnyFrame) -> Event:
    """Say what an error means; an unknown one leaves the request to its deadline."""
    code, text = message.code, message.msg
    if isinstance(message.error, _Error):
        code, text = message.error.code, message.error.msg
    elif message.error:
        text = message.error
    told = f"{code} {text}"[:TEXT_CHARS_MAX]
    key = "" if message.id is None else f"#{message.id}"
    if code == 3:
        return events.RefusalEvent("malformed", key, told)
    if code == 2 or key:
        reason = "too_many" if "too many" in text.lower() else "invalid"
        return events.RefusalEvent(reason, key, told)
    return events.NoticeEvent("venue_error", 1, told)


# --- REST ---------------------------------------------------------------------------


def _checked(decode_body: Callable[[bytes], Body], body: bytes) -> Body:
    """Decode a whole body; raise `FrameError`, for the venue's own error with it."""
    try:
        return decode_body(body)
    except FAILURES as error:
        told = _error_in(body)
        if told:
            raise FrameError("venue_error", told) from error
        raise refuse(error, body) from error


def _error_in(body: bytes) -> str:
    try:
        found = _decode_rest_error(body)
    except FAILURES:
        return ""
    return f"{found.code} {found.msg}"[:TEXT_CHARS_MAX]


def _intervals(body: bytes) -> dict[str, int] | None:
    """Return funding intervals by symbol, None when the answer tells nothing.

    One that makes no sense is in it as unknown.
    """
    try:
        rows = _decode_intervals(body)
    except FAILURES:
        return None
    return {row.symbol: _interval_ns(row.hours) for row in rows} or None


def _interval_ns(hours: object) -> int:
    if isinstance(hours, bool) or not isinstance(hours, int | float):
        return TIME_NONE
    is_sane = 0 < hours <= INTERVAL_HOURS_MAX
    return round(hours * HOUR_NS) if is_sane else TIME_NONE


def _market(row: _MarketRow, interval_ns: int) -> Market:
    is_usdt = row.quote_asset == row.margin_asset == QUOTE_ASSET
    steps = {each.filter_type: each for each in row.filters}
    return _perpetual(
        row.symbol,
        is_usdt=is_usdt,
        tick=_step(steps.get("PRICE_FILTER", _Filter()).tick_size),
        lot=_step(steps.get("LOT_SIZE", _Filter()).step_size),
        is_active=row.status == "TRADING",
        funding_interval_ns=interval_ns,
    )


def _step(text: str) -> float:
    """Return a step; a market does not fall with one that makes no sense."""
    return _base.part(_reference, text, [])


def _perpetual(symbol: str, *, is_usdt: bool = True, **facts: Any) -> Market:
    """Name a market by its symbol: `baseAsset` was seen to be wrong.

    One in another currency keeps it in its name, so that the two never mix.
    """
    base = symbol.removesuffix(QUOTE_ASSET) if is_usdt else symbol
    return _base.perpetual(symbol, base, **facts)


class Aster(_base.Venue):
    """The declarations of Aster's mainnet."""

    name = "aster"
    ws_url = "wss://fstream.asterdex.com/ws"
    rest_url = "https://fapi.asterdex.com"
    limits = _base.Limits(
        frame_bytes_max=1 << 20,
        ping_interval_ms=0,  # the server pings, by protocol frames
        subscribe_gap_ms=250,  # 10 messages a second are allowed, pongs among them
        connects_per_minute=30,
        subscriptions_max=200,
        rest_weight_per_minute=2_400,
        session_limit_ms=85_800_000,  # 23 h 50 min: at 24 h the server cuts
        chunk=20,
    )
    # Depth had a p50 of 185 ms and a p95 of 231 ms (February 2026); a `bookTicker`
    # comes on change only.
    fresh_ms: ClassVar[Mapping[str, int]] = {"bbo": 3_000, "depth": 2_000}
    liveness_channel = "markPrice@1s"
    discovery = (
        _base.RestRequest("GET", "/fapi/v3/exchangeInfo"),
        _base.RestRequest("GET", "/fapi/v3/fundingInfo"),
    )
    continuity: ClassVar[Mapping[str, type[Rule]]] = {
        "bbo": OrderingGuard,
        "depth": PuChain,
    }
    cross_check = "sequence"

    def parse_markets(self, bodies: Sequence[bytes]) -> list[Market]:
        """Return the perpetuals of `exchangeInfo`, with intervals of `fundingInfo`.

        Without the second, or with a bad one, every interval is unknown.
        """
        raws = _checked(_decode_info, bodies[0]).symbols
        rows, errors = frames.keep_good(raws, _decode_row)
        if errors and not rows:
            raise errors[0]
        known = _intervals(bodies[1]) if len(bodies) > 1 else None
        default_ns = TIME_NONE if known is None else INTERVAL_HOURS * HOUR_NS
        intervals = known or {}
        return [
            _market(row, intervals.get(row.symbol, default_ns))
            for row in rows
            if row.contract_type == "PERPETUAL"
        ]

    def market_by_name(self, name: str) -> Market:
        """Take `BTC-PERP` for `BTCUSDT`, anything else for a symbol."""
        base = name.removesuffix(_base.SUFFIX)
        return _perpetual(name if base == name else base + QUOTE_ASSET)

    def subscriptions(self, symbol: str, options: Options) -> list[Subscription]:
        """Return books, the mark price and, when asked for, trades, in that order."""
        books = {_base.BBO: "bookTicker", _base.DEPTH: "depth@100ms"}
        wanted = [(books[kind], kind) for kind in options.kinds]
        wanted.append((self.liveness_channel, _base.LIVENESS))
        if options.trades:
            wanted.append(("aggTrade", _base.TRADES))
        found = []
        for channel, carries in wanted:
            topic = f"{symbol.lower()}@{channel}"
            found.append(Subscription(topic, symbol, topic, carries))
        return found

    def request(
        self, topics: Sequence[str], request_id: int, *, is_end: bool = False
    ) -> str:
        """Return one request for all the topics; its answer has its id."""
        method = "UNSUBSCRIBE" if is_end else "SUBSCRIBE"
        wanted = {"method": method, "params": list(topics), "id": request_id}
        return msgspec.json.encode(wanted).decode()

    def decoder(self, markets: Mapping[str, Market]) -> Decode:
        """Return the decoder; it asks the markets for their funding intervals."""
        return partial(decode, markets)

    def snapshot_request(self, market: Market) -> _base.RestRequest:
        """Return the request for the deepest image there is."""
        path = f"/fapi/v3/depth?symbol={market.symbol}&limit=1000"
        return _base.RestRequest("GET", path, weight=20)

    def parse_snapshot(
        self, market: Market, body: bytes, wall_ns: int
    ) -> events.BookEvent:
        """Return the image; which market's it is, the answer does not say."""
        image = _checked(_decode_image, body)
        if image.symbol not in ("", market.symbol):
            text = f"expected={market.symbol} received={image.symbol}"
            raise FrameError("symbol", text[:TEXT_CHARS_MAX])
        return events.BookEvent(
            market.key,
            event_ns(image.matched_ms or image.sent_ms, MILLISECOND_NS, wall_ns),
            True,
            image.bids,
            image.asks,
            image.sequence,
        )


VENUE: Final = Aster()
