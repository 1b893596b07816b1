"""Extended: the perpetual markets of `api.starknet.extended.exchange`.

One JSON-RPC socket (v2) for every market. Where the configured address ends in `/v1`,
a socket for each stream: its path is the subscription, and the topic of its frames,
which name none and whose types are shorter or absent.

    feed kind bbo      `orderbooks.1.M`, the touch when it changed, at most every 10 ms:
                       always a whole image
    feed kind depth    `orderbooks.M`, one image (v1: one a minute), then changes about
                       every 100 ms: signed change and resulting size of each level
    liveness           `prices.mark.M`: the mark price, about once a second
    trades             `trades.M`; v2 replays 50 after each subscribe, oldest first
    funding            REST `/stats`

`type` alone, which `data.t` must not contradict, says whether a frame is an image.

Every data frame of a socket has the number after the one before it, over all its
topics; answers have none. Which topic has lost a frame is unknown, so that only a new
session heals a gap. A full book's frame that cannot be read is such a gap: its number
is not told. Of any other bad frame the number counts: nothing after it is wrong.

`/stats` publishes funding: rate, next time, references and open interest of one moment.
The stream `funding-rates` has rates when they are applied, once an hour, and by the
only recording one on subscribing: it is understood, and not subscribed. A mark or index
price is only a tick: alone it would take the place of a whole record of funding.

The server pings every 15 s, which the transport answers. We send the protocol's own
`ping` besides, because one operator was closed with 1011 unless the client pinged each
10 s. An answer to it, of any shape, is a pong; an error to it is only counted.

Doubts, none of them verified against the live venue:
- v2 is what the official client uses; no public document describes it.
- No limit of connections, topics, requests or life time is documented: ours are modest.
- Codes of v2's errors are guesses from JSON-RPC and REST. An error that names a request
  refuses it, unless it sounds transient: then the request is sent again when overdue.
- A depth that does not exist got no answer at all: only the ack's deadline shows it.
- Whether v1 wants pings of ours is unknown: none is sent, its own are answered.
- On v1 an unknown market (404) keeps the whole connection from opening.
- Servers of 2024 sent no `c`; whether v1 always does today is unknown.
- Whether v2 sends new images, as v1 does each minute, is unknown: one is a new book.
- Statuses other than ACTIVE and REDUCE_ONLY are taken for markets without streams.
- What maintenance does to a socket, and the body of a 429, nobody has recorded.
- The venue's clock was seen 2 to 3 s ahead: a trade from just before the subscription
  may then pass for a live one.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from math import nan
from typing import Annotated, Any, ClassVar, Final, Literal
from urllib.parse import quote

import msgspec
from msgspec import Raw, Struct

from feedhandler import events
from feedhandler.book.continuity import FrameSequence, ImageFirst, Rule
from feedhandler.book.image import best_ask, best_bid
from feedhandler.codec import decimal
from feedhandler.codec import frame as frames
from feedhandler.codec.decimal import VALUE_MAX, Price, Size
from feedhandler.codec.frame import FAILURES, FrameError, refuse
from feedhandler.codec.stamp import HOUR_NS, MILLISECOND_NS, event_ns
from feedhandler.events import TIME_NONE, BookEvent, Event, FundingEvent
from feedhandler.venues import _base
from feedhandler.venues._base import Decode, Frame, Market, RestRequest, Subscription

BOOK: Final = "orderbooks."
TOUCH: Final = "orderbooks.1."
TRADES: Final = "trades."
MARK: Final = "prices.mark."
INDEX: Final = "prices.index."
FUNDING: Final = "funding-rates."

QUOTED_IN: Final = "-USD"  # how every perpetual's name ends
PING_ID: Final = "0"  # requests count from 1

Number = Annotated[int, msgspec.Meta(ge=0, le=(1 << 63) - 1)]
# Neither NaN nor infinity is within limits.
Change = Annotated[float, msgspec.Meta(ge=-VALUE_MAX, le=VALUE_MAX)]

_SIDES: Final = {"BUY": events.SIDE_BID, "SELL": events.SIDE_ASK}


# --- Books --------------------------------------------------------------------------
# Decoded in one pass, numbers included, by a decoder that takes text for a number. One
# price is printed in several ways (84050, 84050.000000): as doubles they are one key.


class _Level(Struct, gc=False, rename={"price": "p", "size": "q"}):
    price: Price
    size: Size


class _Step(Struct, gc=False, rename={"price": "p", "change": "q", "size": "c"}):
    price: Price
    change: Change
    size: Size = nan


class _Image(Struct, gc=False):
    m: str
    b: list[_Level]
    a: list[_Level]
    t: Literal["SNAPSHOT"] = "SNAPSHOT"


class _Changes(Struct, gc=False):
    m: str
    b: list[_Step]
    a: list[_Step]
    t: Literal["DELTA"] = "DELTA"


class _BookFrame(Struct, gc=False, kw_only=True, tag_field="type"):
    seq: Number
    ts: int = 0
    subscription: str = ""


class _PathImageFrame(_BookFrame, gc=False, tag="SNAPSHOT"):
    data: _Image


class _ImageFrame(_PathImageFrame, gc=False, kw_only=True, tag="ORDERBOOKS.SNAPSHOT"):
    subscription: str


class _PathChangeFrame(_BookFrame, gc=False, tag="DELTA"):
    data: _Changes


class _ChangeFrame(_PathChangeFrame, gc=False, kw_only=True, tag="ORDERBOOKS.DELTA"):
    subscription: str


_decode_hot = msgspec.json.Decoder(
    _ImageFrame | _ChangeFrame | _PathImageFrame | _PathChangeFrame, strict=False
).decode


def decode(frame: Frame, wall_ns: int, topic: str = "") -> Sequence[Event]:
    """Return what a frame means; raise `FrameError` when none of it can be used."""
    try:
        message = _decode_hot(frame)
        if topic:
            message.subscription = topic
        if isinstance(message, _PathChangeFrame):
            return (events.FrameEvent(message.seq), _changes(message, wall_ns))
        return _image(message, wall_ns)
    except FAILURES as error:
        return _decode_cold(frame, error, wall_ns, topic)


def _changes(message: _PathChangeFrame, wall_ns: int) -> Event:
    data = message.data
    if _is_touch(message.subscription, data):
        raise FrameError("shape", "a change of depth 1")
    return events.AddEvent(
        data.m,
        event_ns(message.ts, MILLISECOND_NS, wall_ns),
        [(step.price, step.change, step.size) for step in data.b],
        [(step.price, step.change, step.size) for step in data.a],
    )


def _image(message: _PathImageFrame, wall_ns: int) -> Sequence[Event]:
    data = message.data
    number = events.FrameEvent(message.seq)
    if _is_touch(message.subscription, data):
        return (number, *_quote(message, wall_ns))
    image = BookEvent(
        data.m,
        event_ns(message.ts, MILLISECOND_NS, wall_ns),
        True,
        [(level.price, level.size) for level in data.b],
        [(level.price, level.size) for level in data.a],
    )
    return (number, image)


def _quote(message: _PathImageFrame, wall_ns: int) -> Sequence[Event]:
    data = message.data
    bid, bid_size, is_bids_unsorted = best_bid(data.b)
    ask, ask_size, is_asks_unsorted = best_ask(data.a)
    stamp_ns = event_ns(message.ts, MILLISECOND_NS, wall_ns)
    top = events.QuoteEvent(data.m, stamp_ns, message.seq, bid, bid_size, ask, ask_size)
    if is_bids_unsorted or is_asks_unsorted:
        return (top, events.NoticeEvent("unsorted"))
    return (top,)


def _is_touch(topic: str, data: _Image | _Changes) -> bool:
    """Tell depth 1 from a full book; raise for the book of another market."""
    if topic == TOUCH + data.m:
        return True
    _check_topic(topic, BOOK, data.m)
    return False


# --- Everything else ----------------------------------------------------------------


class _AnyFrame(Struct):
    type: str | None = None
    data: Raw = Raw()
    ts: int = 0
    seq: Number | None = None
    subscription: str = ""
    id: str | int | None = None
    result: Raw = Raw()
    error: Any = None


class _LooseImage(Struct):
    m: str
    b: list[Raw]
    a: list[Raw]
    t: Literal["SNAPSHOT"] = "SNAPSHOT"


class _Trade(Struct, gc=False, rename={"side": "S", "time": "T"}):
    m: str
    side: str
    p: str
    q: str
    time: int = 0
    i: Number = 0


class _Reference(Struct, gc=False):
    m: str
    p: str


class _Rate(Struct, gc=False, rename={"time": "T"}):
    m: str
    f: str
    time: int = 0


class _Result(Struct):
    method: str = ""
    status: str = ""
    subscription: str = ""


_decode_any = msgspec.json.Decoder(_AnyFrame).decode
_decode_image = msgspec.json.Decoder(_LooseImage).decode
_decode_level = msgspec.json.Decoder(_Level, strict=False).decode
_decode_rows = msgspec.json.Decoder(list[Raw]).decode
_decode_trade = msgspec.json.Decoder(_Trade).decode
_decode_reference = msgspec.json.Decoder(_Reference).decode
_decode_rate = msgspec.json.Decoder(_Rate).decode
_decode_result = msgspec.json.Decoder(_Result).decode

_IMAGES: Final = frozenset({"ORDERBOOKS.SNAPSHOT", "SNAPSHOT"})
_CHANGES: Final = frozenset({"ORDERBOOKS.DELTA", "DELTA"})


def _decode_cold(
    frame: Frame, error: Exception, wall_ns: int, topic: str
) -> Sequence[Event]:
    """Decode what is no good book, or refuse with the reason that fits best."""
    try:
        message = _decode_any(frame)
        message.subscription = topic or message.subscription
        if message.error is not None:
            return _refusal(message)
        if bytes(message.result):
            return _answer(message)
        return _data(message, error, wall_ns)
    except FAILURES as second:
        raise refuse(second, frame) from second


def _data(message: _AnyFrame, error: Exception, wall_ns: int) -> Sequence[Event]:
    """Return a frame's number and meaning; a refused one of a full book has neither."""
    if message.seq is None or not bytes(message.data):
        raise FrameError("missing", "seq or data")
    number = events.FrameEvent(message.seq)
    topic = message.subscription
    kind = message.type or _kind_of(message.data)
    is_book = kind in _IMAGES | _CHANGES or topic.startswith(BOOK)
    try:
        if kind in _CHANGES or (kind == "ORDERBOOKS.SNAPSHOT" and not topic):
            raise error
        if kind in _IMAGES:
            return _loose_image(message, message.seq, wall_ns)
        if is_book:
            raise FrameError("unknown_type", kind[:64])
        return (number, *_read(kind, message, wall_ns))
    except FAILURES as second:
        refused = refuse(second, bytes(message.data))
        if is_book and not topic.startswith(TOUCH):
            raise refused from second
        return (number, events.RejectEvent(refused.reason, refused.detail))


def _kind_of(raw: Raw) -> str:
    """Name what a frame without a type, as v1 sends them, carries by its fields."""
    found = msgspec.json.decode(raw)
    row = found[0] if isinstance(found, list) and found else found
    for field, kind in (("S", "TRADES"), ("f", "FUNDING_RATES"), ("o", "CANDLE")):
        if isinstance(row, dict) and field in row:
            return kind
    if row == []:
        return "TRADES"
    raise FrameError("missing", "type")


def _loose_image(message: _AnyFrame, seq: int, wall_ns: int) -> Sequence[Event]:
    """Read an image without its bad levels, unless the best is among them."""
    data = _decode_image(message.data)
    bids, bad_bids = frames.keep_first(data.b, _decode_level)
    asks, bad_asks = frames.keep_first(data.a, _decode_level)
    image = _PathImageFrame(
        data=_Image(data.m, bids, asks),
        seq=seq,
        ts=message.ts,
        subscription=message.subscription,
    )
    found = _image(image, wall_ns)
    bad = bad_bids + bad_asks
    return (*found, events.NoticeEvent("bad_level", bad)) if bad else found


def _read(kind: str, message: _AnyFrame, wall_ns: int) -> Sequence[Event]:
    """Return what a frame of data means that is no book."""
    match kind:
        case "TRADES":
            return _trades(message, wall_ns)
        case "PRICES.MP" | "MP":
            return (_tick(message, MARK),)
        case "PRICES.IP" | "IP":
            return (_tick(message, INDEX),)
        case "FUNDING_RATES":
            return (_rate(message, wall_ns),)
    return (events.NoticeEvent("unknown_type", 1, kind[:64]),)


def _trades(message: _AnyFrame, wall_ns: int) -> Sequence[Event]:
    """Return each row that can be used, and a refusal for each that cannot."""

    def convert(raw: Raw) -> Event:
        row = _decode_trade(raw)
        if message.subscription != TRADES + "all":
            _check_topic(message.subscription, TRADES, row.m)
        if row.side not in _SIDES:
            raise FrameError("side", row.side[:64])
        return events.TradeEvent(
            row.m,
            event_ns(row.time, MILLISECOND_NS, wall_ns),
            decimal.price(row.p),
            decimal.size(row.q),
            _SIDES[row.side],
            row.i,
        )

    rows, errors = frames.keep_good(_decode_rows(message.data), convert)
    return [*rows, *(events.RejectEvent(row.reason, row.detail) for row in errors)]


def _tick(message: _AnyFrame, topic: str) -> Event:
    """Read a mark or index price; a bad one proves nothing."""
    data = _decode_reference(message.data)
    _check_topic(message.subscription, topic, data.m)
    decimal.price(data.p)
    return events.TickEvent(data.m)


def _rate(message: _AnyFrame, wall_ns: int) -> Event:
    """Read a rate; its time is no boundary: one was sent 34 minutes past the hour."""
    data = _decode_rate(message.data)
    _check_topic(message.subscription, FUNDING, data.m)
    stamp_ns = event_ns(data.time, MILLISECOND_NS, wall_ns)
    rate = decimal.parse(data.f)
    absent = (nan, nan, nan, nan)
    return FundingEvent(data.m, stamp_ns, rate, HOUR_NS, TIME_NONE, *absent)


def _check_topic(topic: str, kind: str, symbol: str) -> None:
    if topic and topic != kind + symbol:
        raise FrameError("symbol", f"m={symbol[:64]} subscription={topic[:64]}")


def _answer(message: _AnyFrame) -> Sequence[Event]:
    """Read the answer to a request."""
    if message.id is not None and str(message.id) == PING_ID:
        return (events.PongEvent(),)
    result = _decode_result(message.result)
    key = result.subscription if message.id is None else f"#{message.id}"
    match result.method, result.status:
        case "subscribe", "OK":
            return (events.AckEvent(key),)
        case "unsubscribe", "OK":
            return (events.UnsubscribedEvent(key),)
        case "subscribe" | "unsubscribe", status:
            return (events.RefusalEvent("invalid", key, f"status={status[:64]}"),)
    return (events.NoticeEvent("unknown_type", 1, result.method[:64]),)


# Codes, numbers as a rule, of errors that may pass: of JSON-RPC, HTTP and the venue.
_TRANSIENT: Final = frozenset({"-32603", "500", "502", "503", "1010"})


def _refusal(message: _AnyFrame) -> Sequence[Event]:
    """Say what an error means; one that names no request of ours is only counted."""
    error = message.error
    facts = error if isinstance(error, dict) else {"code": error}
    code = str(facts.get("code"))
    text = f"{code} {facts.get('message', '')}".strip()[:200]
    number = () if message.seq is None else (events.FrameEvent(message.seq),)
    request_id = "" if message.id is None else str(message.id)
    if code == "429":
        return (*number, events.NoticeEvent("rate_limited", 1, text))
    if request_id in ("", PING_ID) or code in _TRANSIENT:
        return (*number, events.NoticeEvent("venue_error", 1, text))
    reason = "malformed" if code in ("-32700", "-32600") else "invalid"
    return (*number, events.RefusalEvent(reason, f"#{request_id}", text))


# --- REST ---------------------------------------------------------------------------


class _Envelope(Struct):
    status: str = ""
    data: Raw = Raw()
    error: Any = None


class _MarketRow(Struct, rename={"trading": "tradingConfig"}):
    name: str
    type: str = "PERPETUAL"  # servers of 2024 sent neither type nor status
    status: str = "ACTIVE"
    active: bool = True
    trading: dict[str, Any] = {}


class _RestLevel(Struct, rename={"size": "qty"}):
    price: Price
    size: Size


class _RestBook(Struct):
    market: str
    bid: list[_RestLevel]
    ask: list[_RestLevel]


class _Stats(Struct, rename="camel"):
    mark_price: str | None = None
    index_price: str | None = None
    funding_rate: str | None = None
    next_funding_rate: Any = None  # a time in ms, whatever its name says
    open_interest_base: str | None = None


_decode_envelope = msgspec.json.Decoder(_Envelope).decode
_decode_market = msgspec.json.Decoder(_MarketRow).decode
_decode_rest_book = msgspec.json.Decoder(_RestBook, strict=False).decode
_decode_stats = msgspec.json.Decoder(_Stats).decode


def _payload(body: bytes) -> bytes:
    """Return what an answer holds; raise `FrameError` for the venue's own error."""
    answer = frames.checked(_decode_envelope, body)
    if answer.status != "OK":
        reason = "venue_error" if answer.status or answer.error else "missing"
        raise FrameError(reason, f"status={answer.status[:64]} {answer.error}"[:200])
    if not bytes(answer.data):
        raise FrameError("missing", "data")
    return bytes(answer.data)


def _perpetual(row: _MarketRow) -> Market:
    is_active = row.active and row.status in ("ACTIVE", "REDUCE_ONLY")
    tick = _base.step(row.trading.get("minPriceChange"))
    lot = _base.step(row.trading.get("minOrderSizeChange"))
    base = row.name.removesuffix(QUOTED_IN)
    return _base.perpetual(row.name, base, tick=tick, lot=lot, is_active=is_active)


# --- The venue ----------------------------------------------------------------------


class Extended(_base.Venue):
    """The declarations of Extended's mainnet."""

    name = "extended"
    # `stream.extended.exchange` is part of the path.
    ws_url = "wss://api.starknet.extended.exchange/stream.extended.exchange/v2/rpc"
    rest_url = "https://api.starknet.extended.exchange/api/v1"
    limits = _base.Limits(
        frame_bytes_max=4 << 20,  # a book of 6,035 levels was one frame of 169 KB
        ping_interval_ms=10_000,
        subscribe_gap_ms=20,
        connects_per_minute=30,
        subscriptions_max=1_000,
        rest_weight_per_minute=1_000,  # requests, over all endpoints
        read_timeout_ms=10_000,
    )
    # The book had a p95 of 470 ms and a p99 of 1,250 ms (February 2026); the touch
    # comes on change only.
    fresh_ms: ClassVar[Mapping[str, int]] = {"bbo": 3_000, "depth": 2_000}
    liveness_channel = "prices.mark"
    discovery = (RestRequest("GET", "/info/markets"),)
    # Frames prove the order; the touch goes by time besides, so that an old image of it
    # is dropped.
    continuity: ClassVar[Mapping[str, type[Rule]]] = {"depth": ImageFirst}
    frame_rule = FrameSequence
    has_funding_requests = True

    def at(self, ws_url: str) -> _base.Venue:
        """Return the venue of path streams for a base of them."""
        return _Paths() if ws_url.rstrip("/").endswith("/v1") else self

    def parse_markets(self, bodies: Sequence[bytes]) -> list[Market]:
        """Return the perpetuals of a list; a row that cannot be read is left out."""
        (body,) = bodies
        raws = frames.checked(_decode_rows, _payload(body))
        rows, errors = frames.keep_good(raws, _decode_market)
        if errors and not rows:
            raise errors[0]
        return [_perpetual(row) for row in rows if row.type == "PERPETUAL"]

    def market_by_name(self, name: str) -> Market:
        """Take `BTC-PERP` for `BTC-USD`, anything else for a symbol."""
        base = name.removesuffix(_base.SUFFIX)
        symbol = name if base == name else base + QUOTED_IN
        return _base.perpetual(symbol, symbol.removesuffix(QUOTED_IN))

    def subscriptions(self, symbol: str, options: _base.Options) -> list[Subscription]:
        """Return books, liveness and, when asked for, trades, in that order."""
        trades = (_base.TRADES,) if options.trades else ()
        return [
            Subscription(topic := _TOPICS[carries] + symbol, symbol, topic, carries)
            for carries in (*options.kinds, _base.LIVENESS, *trades)
        ]

    def request(
        self, topics: Sequence[str], request_id: int, *, is_end: bool = False
    ) -> str:
        """Return the request for one topic."""
        (topic,) = topics
        method = "unsubscribe" if is_end else "subscribe"
        market, scope, selector, _ = _stream(topic)
        params = {"scope": scope, "selector": {"market": market, **selector}}
        return _call(method, str(request_id), params=params)

    def decoder(self, markets: Mapping[str, Market]) -> Decode:
        """Return the decoder; continuity is judged by the session."""
        return decode

    def ping(self) -> str:
        """Return the client's own ping, whose answer is told by its id."""
        return _call("ping", PING_ID)

    def snapshot_request(self, market: Market) -> RestRequest:
        """Return the request for a whole book."""
        return _of_market(market, "orderbook")

    def parse_snapshot(self, market: Market, body: bytes, wall_ns: int) -> BookEvent:
        """Return the book, which has neither time nor number: it starts no stream."""
        data = frames.checked(_decode_rest_book, _payload(body))
        if data.market != market.symbol:
            raise FrameError("symbol", f"market={data.market[:64]}")
        return BookEvent(
            market.key,
            TIME_NONE,
            True,
            [(level.price, level.size) for level in data.bid],
            [(level.price, level.size) for level in data.ask],
        )

    def funding_request(self, market: Market) -> RestRequest:
        """Return the request for the running rate and all that belongs to it."""
        return _of_market(market, "stats")

    def parse_funding(self, market: Market, body: bytes, wall_ns: int) -> FundingEvent:
        """Return funding; the answer has no time, and does not name its market."""
        data = frames.checked(_decode_stats, _payload(body))
        if data.funding_rate is None:
            raise FrameError("missing", "fundingRate")
        return FundingEvent(
            market.key,
            TIME_NONE,
            decimal.parse(data.funding_rate),
            HOUR_NS,
            _base.next_funding_ns(data.next_funding_rate, wall_ns),
            decimal.reference(data.mark_price),
            decimal.reference(data.index_price),
            nan,
            decimal.optional(data.open_interest_base),
            is_rest=True,
        )


class _Paths(Extended):
    """The older streams (v1): each has a path, and takes a socket."""

    limits = msgspec.structs.replace(
        Extended.limits,
        ping_interval_ms=0,
        connects_per_minute=12,  # of all sockets at once
        subscriptions_max=50,  # sockets: no limit is documented, ours is modest
        read_timeout_ms=40_000,  # any socket hears the server's ping each 15 s
    )
    has_requests = False

    def stream_url(self, ws_url: str, topic: str) -> str:
        """Return the address whose path is a topic's."""
        market, _, _, path = _stream(topic)
        return ws_url.rstrip("/") + path.format(quote(market, safe=""))

    def stream_decoder(self, markets: Mapping[str, Market], topic: str) -> Decode:
        """Return a decoder that knows what the socket carries."""
        return functools.partial(decode, topic=topic)


def _of_market(market: Market, what: str) -> RestRequest:
    symbol = quote(market.symbol, safe="")
    return RestRequest("GET", f"/info/markets/{symbol}/{what}")


def _stream(topic: str) -> tuple[str, str, dict[str, Any], str]:
    """Return a topic's market, scope, selector and path."""
    kind = next(kind for kind in _STREAMS if topic.startswith(kind))
    return topic.removeprefix(kind), *_STREAMS[kind]


_TOPICS: Final = {"bbo": TOUCH, "depth": BOOK, "liveness": MARK, "trades": TRADES}
# Topic -> scope, selector, and path of v1; depth 1 before the book whose name it
# begins with.
_STREAMS: Final[dict[str, tuple[str, dict[str, Any], str]]] = {
    TOUCH: ("orderbooks", {"depth": "1", "rfqOnly": False}, "/orderbooks/{}?depth=1"),
    BOOK: ("orderbooks", {"depth": "full", "rfqOnly": False}, "/orderbooks/{}"),
    MARK: ("prices", {"type": "mark"}, "/prices/mark/{}"),
    TRADES: ("trades", {}, "/publicTrades/{}"),
}


def _call(method: str, request_id: str, **facts: Any) -> str:
    call = {"method": method, "id": request_id, "jsonrpc": "2.0", **facts}
    return msgspec.json.encode(call).decode()


VENUE: Final = Extended()
