"""Hyperliquid: perpetuals, spot and builder markets of `api.hyperliquid.xyz`.

Every frame is a whole image: no sequence number, no checksum, no change. A lost frame
heals with the next one, and only silence and the age of `data.time` tell of trouble.

    feed kind bbo      `bbo`, sent when the best price or size changed in a block
    feed kind depth    `l2Book`, whole images; `fast` 5 levels about every 0.5 s, else
                       20 levels about every 5 s (seen since 2026-07-25; 2 s in June)
    liveness           `activeAssetCtx`: oracle updates about every 3 s; has no time
    trades             `trades`; replays about 30 old ones after each subscribe

Of one block, `bbo` and `l2Book` show the same touch. Coarser books (`nSigFigs`) are
never asked for. How markets are called:

    instrument         symbol        what requests and frames call it
    BTC-PERP           BTC           BTC
    PEPE-PERP          kPEPE         kPEPE: a thousand PEPE
    xyz:GOLD-PERP      xyz:GOLD      xyz:GOLD: perpetual of the builder dex `xyz`
    PURR-USDC          PURR/USDC     PURR/USDC: the first spot pair alone
    HYPE-USDC          HYPE/USDC     @107: any other pair; its index is not its place
    @1234              @1234         @1234: a pair whose name an older one has

Names of tokens need not be unique: the pair with the lowest index keeps the name, so
that no later one can take it. A spot pair is followed by its index (`@107`) at once, by
its name once discovery was read, a perpetual always by its name.

Doubts, none of them verified against the live venue:
- One recorded-looking `bbo` has a single element: a missing element is an absent side.
- The ack of `fast` may or may not echo it: acks are matched by type and coin alone, so
  one session must not subscribe both speeds of one coin.
- A third party saw sockets dropped after 4 to 8 subscribes back to back; others send
  bursts unharmed. Requests are spaced; a gap of 500 ms is said to be safe.
- 10 connections an address are documented in 2026, 100 before: 10 is binding.
- Only the first error text was recorded; the rest is quoted from clients.
- Acks reportedly do not count as traffic for the 60 s silence rule: we ping each 25 s.
- `allPerpMetas` is known from test data of a client: that it lists the main dex too is
  not relied upon, nor that it is there.
- Over its limits the REST host is said to answer null, as it does for unknown markets.
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
from feedhandler.events import (
    FLAG_SNAPSHOT,
    TIME_NONE,
    BookEvent,
    Event,
    QuoteEvent,
)
from feedhandler.venues import _base
from feedhandler.venues._base import (
    Decode,
    Frame,
    Market,
    Options,
    RestRequest,
    Subscription,
)

HELLO: Final = b"Websocket connection"
FIRST_PAIR: Final = "PURR/USDC"  # the only pair that is called by its name
PERP_DECIMALS_MAX: Final = 6
SPOT_DECIMALS_MAX: Final = 8
SIGNIFICANT_FIGURES: Final = 5

Decimals = Annotated[int, msgspec.Meta(ge=0, le=12)]

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
    size_decimals: Decimals | None = None
    is_delisted: bool = msgspec.field(default=False, name="isDelisted")


class _Meta(Struct):
    universe: list[_MetaRow]


class _Token(Struct, rename={"size_decimals": "szDecimals"}):
    name: str
    index: int
    size_decimals: Decimals | None = None


class _Pair(Struct):
    name: str
    index: int
    tokens: tuple[int, int]  # base and quote, each by its index


class _SpotMeta(Struct):
    universe: list[_Pair]
    tokens: list[_Token]


class _Image(Struct):
    coin: str
    time: int
    levels: tuple[list[_TextLevel], list[_TextLevel]]


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
_decode_metas = msgspec.json.Decoder(list[_Meta] | None).decode
_decode_spot_meta = msgspec.json.Decoder(_SpotMeta | None).decode
_decode_image = msgspec.json.Decoder(_Image | None).decode


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
        data.coin, stamp_ns, 0, bid, bid_size, ask, ask_size, FLAG_SNAPSHOT, True
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
    """Return funding and references, and a refusal for each that cannot be used.

    A spot pair has no funding.
    """
    data = _decode_context(raw)
    value = data.ctx.get
    errors: list[FrameError] = []
    interval_ns = next_ns = TIME_NONE
    if value("funding") is not None:
        interval_ns = HOUR_NS
        # Paid every hour on the hour; the frame itself names no time.
        next_ns = (wall_ns // HOUR_NS + 1) * HOUR_NS
    funding = events.FundingEvent(
        data.coin,
        TIME_NONE,
        _base.part(decimal.optional, value("funding"), errors),
        interval_ns,
        next_ns,
        _base.part(decimal.reference, value("markPx"), errors),
        _base.part(decimal.reference, value("oraclePx"), errors),
        _base.part(decimal.reference, value("midPx"), errors),
        _base.part(decimal.size, value("openInterest"), errors),
    )
    if not _base.says_something(funding):
        raise errors[0] if errors else FrameError("missing", "every number")
    return (funding, *(events.RejectEvent(row.reason, row.detail) for row in errors))


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
    time = Raw(str(data.time).encode())
    if data.bbo is not None:
        pair = [None if bytes(row) == b"null" else _level(row) for row in data.bbo]
        return (_quote_of_bbo(_Bbo(data.coin, time, pair), wall_ns),)
    if data.levels is None:
        raise FrameError("missing", "neither bbo nor levels")
    bids, bad_bids = frames.keep_first(data.levels[0], _level)
    asks, bad_asks = frames.keep_first(data.levels[1], _level)
    book = _Book(data.coin, time, (bids, asks))
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


def _info(weight: int, wanted: Mapping[str, str]) -> RestRequest:
    return RestRequest("POST", "/info", msgspec.json.encode(wanted), weight=weight)


def _listing(kind: str, *, is_optional: bool) -> RestRequest:
    request = _info(20, {"type": kind})
    return msgspec.structs.replace(request, is_optional=is_optional)


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
        rest_weight_per_minute=1_200,
    )
    # `bbo` comes on change only; `l2Book` had a p99 of 1.3 s (February 2026).
    fresh_ms: ClassVar[Mapping[str, int]] = {"bbo": 3_000, "depth": 2_000}
    liveness_channel = "activeAssetCtx"
    # The main dex, every dex, and the spot pairs.
    discovery = (
        _listing("meta", is_optional=False),
        _listing("allPerpMetas", is_optional=True),
        _listing("spotMeta", is_optional=True),
    )
    # A spot pair's: a perpetual's is its symbol, see `market_by_name`.
    has_market_ids = True
    cross_check = "time"

    def parse_markets(self, bodies: Sequence[bytes]) -> list[Market]:
        """Return perpetuals of the main dex, then of builders, then spot pairs."""
        main, every, spot = bodies
        metas = [frames.checked(_decode_meta, main)]
        metas += frames.checked(_decode_metas, every) or ()
        rows: dict[str, _MetaRow] = {}
        for meta in metas:
            for row in meta.universe:
                rows.setdefault(row.name, row)
        pairs = frames.checked(_decode_spot_meta, spot)
        found = [_market(row) for row in rows.values()]
        return found if pairs is None else found + _spot_markets(pairs)

    def market_by_name(self, name: str) -> Market:
        """Take `@107` for a spot pair, `HYPE-USDC` for one whose index is unknown."""
        if name.startswith("@"):
            return Market(name, name, market_id=name)
        is_pair = "/" in name or ("-" in name and ":" not in name)
        if is_pair and not name.endswith(_base.SUFFIX):
            pair = name.replace("-", "/")
            market_id = pair if pair == FIRST_PAIR else ""
            return Market(pair, pair.replace("/", "-"), market_id=market_id)
        market = super().market_by_name(name)
        return msgspec.structs.replace(market, market_id=market.symbol)

    def subscriptions(self, symbol: str, options: Options) -> list[Subscription]:
        """Return books, liveness and, when asked for, trades, in that order."""
        book: dict[str, Any] = {"type": "l2Book", "coin": symbol}
        if options.fast:
            book["fast"] = True
        books = {_base.BBO: {"type": "bbo", "coin": symbol}, _base.DEPTH: book}
        liveness = {"type": "activeAssetCtx", "coin": symbol}
        wanted = [_subscription(books[kind], kind) for kind in options.kinds]
        wanted.append(_subscription(liveness, _base.LIVENESS))
        if options.trades:
            trades = {"type": "trades", "coin": symbol}
            wanted.append(_subscription(trades, _base.TRADES))
        return wanted

    def request(
        self, topics: Sequence[str], request_id: int, *, is_end: bool = False
    ) -> str:
        """Return the request for one stream: the venue takes no more, and no id."""
        (topic,) = topics
        method = "unsubscribe" if is_end else "subscribe"
        return f'{{"method":"{method}","subscription":{topic}}}'

    def decoder(self, markets: Mapping[str, Market]) -> Decode:
        """Return the decoder; images need no memory of a session."""
        return decode

    def snapshot_request(self, market: Market) -> RestRequest:
        """Return the request for 20 levels a side."""
        return _info(2, {"type": "l2Book", "coin": market.key})

    def parse_snapshot(self, market: Market, body: bytes, wall_ns: int) -> BookEvent:
        """Return the image in the answer; one bad level refuses it."""
        return frames.checked(partial(_snapshot, market, wall_ns), body)

    def ping(self) -> str:
        """Return the application's own ping; the server closes after 60 s unused."""
        return '{"method":"ping"}'

    def tick_at(self, market: Market, price: float) -> float:
        """Allow five figures, whole numbers, and the decimals that a size leaves."""
        if not (market.lot > 0 and price > 0):
            return nan
        is_spot = market.key.startswith("@") or "/" in market.key
        decimals_max = SPOT_DECIMALS_MAX if is_spot else PERP_DECIMALS_MAX
        size_decimals = round(-math.log10(market.lot))
        finest = 10.0 ** (size_decimals - decimals_max)
        by_figures = 10.0 ** (math.floor(math.log10(price)) - SIGNIFICANT_FIGURES + 1)
        return min(1.0, max(finest, by_figures))


def _subscription(wanted: Mapping[str, Any], carries: str) -> Subscription:
    topic = msgspec.json.encode(wanted).decode()
    return Subscription(_key_of(wanted), wanted["coin"], topic, carries)


def _market(row: _MetaRow) -> Market:
    # The price step depends on the price: see `tick_at`.
    lot = _lot(row.size_decimals)
    is_active = not row.is_delisted
    return _base.perpetual(row.name, lot=lot, is_active=is_active, market_id=row.name)


def _spot_markets(meta: _SpotMeta) -> list[Market]:
    """Name each pair by its tokens, or by its index where the name is taken."""
    tokens = {token.index: token for token in meta.tokens}
    markets: dict[str, Market] = {}
    for pair in sorted(meta.universe, key=lambda pair: pair.index):
        base, quote = (tokens.get(index) for index in pair.tokens)
        symbol = pair.name
        if base is not None and quote is not None:
            symbol = f"{base.name.strip()}/{quote.name.strip()}"
        if symbol in markets:
            symbol = pair.name
        lot = nan if base is None else _lot(base.size_decimals)
        instrument = symbol.replace("/", "-")
        markets[symbol] = Market(symbol, instrument, lot=lot, market_id=pair.name)
    return list(markets.values())


def _lot(decimals: int | None) -> float:
    return nan if decimals is None else 10.0**-decimals


def _snapshot(market: Market, wall_ns: int, body: bytes) -> BookEvent:
    image = _decode_image(body)
    if image is None:
        raise FrameError("venue_error", "null")
    if image.coin != market.key:
        raise FrameError("symbol", f"asked={market.key} got={image.coin[:64]}")
    bids, asks = (
        [(decimal.price(level.price), decimal.size(level.size)) for level in side]
        for side in image.levels
    )
    stamp_ns = event_ns(image.time, MILLISECOND_NS, wall_ns)
    return BookEvent(market.key, stamp_ns, True, bids, asks)


VENUE: Final = Hyperliquid()
