"""Paradex: the perpetual markets of `api.prod.paradex.trade`.

Since 2026-09-21 channels send SBE, little-endian binary; requests and their answers
stay JSON-RPC text. A frame is told by its content: text begins with a brace that no
control byte follows, and such a block length, above 2,303 bytes, no template has.

    feed kind bbo      `bbo`, sent when the top changed: numbers grow, with holes
    feed kind depth    `order_book….deltas`: the whole book, then each change of it,
                       numbered without a hole: absolute sizes, zero removing a level;
                       changes without a level are normal
    liveness           `markets_summary`: marks and funding, sent periodically, while
                       `funding_data` comes only on change; the venue's heartbeat tells
                       of the link, not of the data
    trades             `trades`; a replay after a subscribe is not known

Number N of `bbo` is the top of the book at its number N. After a gap only a new
subscription heals: the image of the REST host is not joined to the stream. The channels
as they were in JSON are decoded too, for captures from before the change.

Version 1 of the schema is asked for: it is the one that the documentation names and
that was recorded, and an unsupported version is refused when connecting, with HTTP 400.
Of version 2 it is said both that production serves it and that it is capped at 1; all
it has for us is the text of a trade's id. Any version is decoded, by the lengths that
a frame tells; an address with a query of its own may ask for another.

Doubts, none of them verified against the live venue:
- A book's frame names its market and no channel: the changes of `interactive_deltas`,
  whose book includes retail orders and may look crossed, could not be told from ours.
  They are never subscribed, and one book a market and session is all the venue allows.
- Whether `bbo` begins with an image is unknown: in the recording its first frame is
  younger than the ack. A market whose top rests may have no quote until it moves.
- A trade's number is its id (28 digits) cut to 64 bits, sometimes negative. The low 63
  bits of either are the same if the cut keeps the low bits. They name a trade among its
  neighbours, which is all that they are used for; all ones, or all zeros, is no id.
- Liquidations and trades with retail orders are trades. Transfers, settlements and
  block trades are not: no order of the book was executed; they are counted by name.
- Numbers may start anew after the daily release (04:30 UTC). Within one session older
  numbers are ignored: the quote ages until its market is subscribed anew.
- Some wrong names are acknowledged and never stream: only the deadline of the first
  data tells. A request that stands already is an error; that its text says `already`
  is a guess. An error with the id 0, recorded once, is taken to name no request.
- Rates are per period, 8 h as a rule, which the summary does not tell: discovery does.
  `funding_rate_8h` was seen empty beside a period of 0 hours.
- Whether `ws-public` is slower, how old a connection may get, and what the venue says
  of too many subscriptions is unknown: it documents no such limit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from math import nan
from struct import Struct as Layout
from typing import Annotated, ClassVar, Final
from urllib.parse import quote

import msgspec
from msgspec import Raw, Struct

from feedhandler import events
from feedhandler.book.continuity import OrderingGuard, Rule, SequencePlusOne
from feedhandler.codec import decimal, sbe
from feedhandler.codec import frame as frames
from feedhandler.codec.decimal import Price, Size
from feedhandler.codec.frame import FAILURES, FrameError, refuse
from feedhandler.codec.sbe import HEADER_BYTES, NULL_INT64, Binary
from feedhandler.codec.stamp import HOUR_NS, MICROSECOND_NS, MILLISECOND_NS, event_ns
from feedhandler.events import SIDE_ASK, SIDE_BID, SIDE_NONE, TIME_NONE, Event
from feedhandler.venues import _base
from feedhandler.venues._base import Decode, Frame, Market, Options, Subscription

PERPETUAL: Final = "-USD-PERP"  # of a symbol
SNAPSHOT_LEVELS: Final = 20  # of one side, the venue's default

SCHEMA: Final = 1
UNIT: Final = 10**8  # of prices, sizes and rates
PRECISE_UNIT: Final = 10**12  # of rates called precise
ID_MASK: Final = (1 << 63) - 1
ID_CHARS_MAX: Final = 40
HOURS_MAX: Final = 24 * 7  # of a funding period; 1, 8 and 24 were seen

_SIDES: Final = {1: SIDE_BID, 2: SIDE_ASK, 254: SIDE_NONE}
_SIDE_NAMES: Final = {"BUY": SIDE_BID, "SELL": SIDE_ASK}
_TRADE_TYPES: Final = {
    1: "FILL",
    2: "LIQUIDATION",
    3: "UNWIND_TRANSFER",
    4: "SETTLE_MARKET",
    5: "RPI",
    6: "BLOCK_TRADE",
}
_EXECUTIONS: Final = ("FILL", "LIQUIDATION", "RPI")

Markets = Mapping[str, Market]
Events = Sequence[Event]


# --- Binary frames -------------------------------------------------------------------

_TRADE: Final = Layout("<qqqBqqqB")
_BBO: Final = Layout("<6q")
_BOOK: Final = Layout("<qqB")
_LEVEL: Final = Layout("<qq")
_SUMMARY: Final = Layout("<8q")
_FUNDING: Final = Layout("<7qh")
# Where a block of version 1 has the precise rate, and how long it is at least.
_PRECISE: Final = Layout("<q")
_PRECISE_OFFSET: Final = HEADER_BYTES + 232
_PRECISE_BLOCK_BYTES: Final = 240

_IMAGE: Final = 0  # of a book; 1 is a change


def decode(markets: Markets, frame: Frame, wall_ns: int) -> Events:
    """Return what a frame means; raise `FrameError` when none of it can be used."""
    if isinstance(frame, str) or (frame[:1] == b"{" and frame[1:2] >= b"\t"):
        return _decode_text(markets, frame, wall_ns)
    block_bytes, template_id, schema_id, _ = sbe.header(frame)
    if schema_id != SCHEMA:
        raise FrameError("unknown_type", f"schema={schema_id}")
    handle = _TEMPLATES.get(template_id)
    if handle is None:
        return (events.NoticeEvent("unknown_type", 1, f"template {template_id}"),)
    return handle(markets, frame, block_bytes, wall_ns)


def _bbo(markets: Markets, frame: Binary, block_bytes: int, wall_ns: int) -> Events:
    stamp, seq, bid, bid_size, ask, ask_size = sbe.block(frame, block_bytes, _BBO)
    symbol, _ = sbe.text(frame, HEADER_BYTES + block_bytes)
    if not (bid > 0 and bid_size > 0 and ask > 0 and ask_size > 0 and seq >= 0):
        _check_sequence(seq)
        top = (*_side(bid, bid_size), *_side(ask, ask_size))
    else:
        top = (bid / UNIT, bid_size / UNIT, ask / UNIT, ask_size / UNIT)
    stamp_ns = event_ns(stamp, MICROSECOND_NS, wall_ns)
    return (events.QuoteEvent(symbol, stamp_ns, seq, *top),)


def _side(price: int, size: int) -> tuple[float, float]:
    """Return one side of a touch, which is null when it is empty."""
    if price == NULL_INT64 or size == 0:
        return nan, nan
    if price <= 0:
        raise FrameError("nonpositive", f"price={price}")
    if size < 0:
        raise FrameError("range", f"size={size}")
    return price / UNIT, size / UNIT


def _book(markets: Markets, frame: Binary, block_bytes: int, wall_ns: int) -> Events:
    stamp, seq, package = sbe.block(frame, block_bytes, _BOOK)
    bids, end = sbe.rows(frame, HEADER_BYTES + block_bytes, _LEVEL)
    asks, end = sbe.rows(frame, end, _LEVEL)
    symbol, _ = sbe.text(frame, end)
    if package > 1:
        raise FrameError("type", f"package={package}")
    _check_sequence(seq)
    book = events.BookEvent(
        symbol,
        event_ns(stamp, MICROSECOND_NS, wall_ns),
        package == _IMAGE,
        _levels(bids),
        _levels(asks),
        seq,
    )
    return (book,)


def _levels(rows: Sequence[tuple[int, int]]) -> list[tuple[float, float]]:
    """Return every level: a book is whole or refused, and then its gap heals it."""
    levels = [(price / UNIT, size / UNIT) for price, size in rows if price > 0 <= size]
    if len(levels) != len(rows):
        raise FrameError("range", f"bad_levels={len(rows) - len(levels)}")
    return levels


def _check_sequence(seq: int) -> None:
    if seq < 0:
        raise FrameError("range", f"seq={seq}")


def _trade(markets: Markets, frame: Binary, block_bytes: int, wall_ns: int) -> Events:
    row = sbe.block(frame, block_bytes, _TRADE)
    _, _, number, side, price, size, created, kind = row
    symbol, end = sbe.text(frame, HEADER_BYTES + block_bytes)
    trade_id = number & ID_MASK
    if not sbe.is_over(frame, end):
        trade_id = _trade_id(sbe.text(frame, end)[0]) or trade_id
    if side not in _SIDES:
        raise FrameError("side", str(side))
    if price <= 0 or size <= 0:
        raise FrameError("nonpositive", f"price={price} size={size}")
    trade = events.TradeEvent(
        symbol,
        event_ns(created, MICROSECOND_NS, wall_ns),
        price / UNIT,
        size / UNIT,
        _SIDES[side],
        0 if trade_id == ID_MASK else trade_id,
    )
    return _executed(trade, _TRADE_TYPES.get(kind, str(kind)))


def _trade_id(text: str) -> int:
    """Return the low 63 bits of an id, 0 for a text that is no number."""
    if len(text) > ID_CHARS_MAX or not (text.isascii() and text.isdigit()):
        return 0
    return int(text) & ID_MASK


def _executed(trade: events.TradeEvent, kind: str) -> Events:
    """Keep what was executed in the book; what was not is named, once."""
    if kind in _EXECUTIONS:
        return (trade,)
    return (events.NoticeEvent("unknown_type", 1, f"trade {kind[:32]}"),)


def _summary(markets: Markets, frame: Binary, block_bytes: int, wall_ns: int) -> Events:
    row = sbe.block(frame, block_bytes, _SUMMARY)
    stamp, _, mark, index, _, _, open_interest, funding = row
    symbol, _ = sbe.text(frame, HEADER_BYTES + block_bytes)
    rate = _number(funding)
    if block_bytes >= _PRECISE_BLOCK_BYTES:
        (precise,) = _PRECISE.unpack_from(frame, _PRECISE_OFFSET)
        if precise != NULL_INT64:
            rate = precise / PRECISE_UNIT
    stamp_ns = event_ns(stamp, MICROSECOND_NS, wall_ns)
    per_hour = _per_hour(markets.get(symbol), rate)
    references = (_number(mark), _number(index), _number(open_interest))
    return (_context(symbol, stamp_ns, per_hour, *references),)


def _funding(markets: Markets, frame: Binary, block_bytes: int, wall_ns: int) -> Events:
    row = sbe.block(frame, block_bytes, _FUNDING)
    _, _, rate, _, created, _, rate_8h, hours = row
    symbol, _ = sbe.text(frame, HEADER_BYTES + block_bytes)
    stamp_ns = event_ns(created, MICROSECOND_NS, wall_ns)
    market = markets.get(symbol)
    per_hour = _per_hour(market, _number(rate), hours, _number(rate_8h))
    return (_context(symbol, stamp_ns, per_hour),)


def _number(mantissa: int) -> float:
    return sbe.decimal(mantissa, UNIT)


def _per_hour(
    market: Market | None, rate: float, hours: int = 0, rate_8h: float = nan
) -> tuple[float, int]:
    """Return a period's rate for one hour, and the period; absent where unknown.

    What a rate says of its own period goes first: in JSON it has more decimals than
    the normalised one. A normalised zero beside another rate is one that was empty.
    """
    if 0 < hours <= HOURS_MAX and rate == rate:
        return rate / hours, hours * HOUR_NS
    if rate_8h == rate_8h and (rate_8h or not rate):
        return rate_8h / 8, 8 * HOUR_NS
    interval_ns = TIME_NONE if market is None else market.funding_interval_ns
    if interval_ns <= 0:
        return nan, TIME_NONE
    return rate / (interval_ns / HOUR_NS), interval_ns


def _context(
    symbol: str,
    stamp_ns: int,
    per_hour: tuple[float, int],
    mark: float = nan,
    index: float = nan,
    open_interest: float = nan,
) -> Event:
    """Return funding and references; it accrues all the time, so no payment is due."""
    mark = mark if mark > 0 else nan
    index = index if index > 0 else nan
    interest = open_interest if open_interest >= 0 else nan
    return events.FundingEvent(
        symbol, stamp_ns, *per_hour, TIME_NONE, mark, index, nan, interest
    )


# Template -> what makes events of its frames. Any other is skipped, and named once.
_TEMPLATES: Final[dict[int, Callable[[Markets, Binary, int, int], Events]]] = {
    1: _trade,
    2: _bbo,
    3: _book,
    4: _summary,
    5: _funding,
    40: lambda *heartbeat: (events.PongEvent(),),
}


# --- Text frames: answers, and channels as they were in JSON --------------------------

Number = Annotated[int, msgspec.Meta(ge=0, le=(1 << 63) - 1)]


class _Error(Struct):
    code: int = 0
    message: str = ""
    data: str | None = None


class _Result(Struct):
    channel: str = ""


class _TextLevel(Struct):
    side: str
    price: str
    size: str


class _Data(Struct):
    """What a channel sent, whichever it was; the summary calls its market symbol."""

    market: str = ""
    symbol: str = ""
    seq_no: Number = -1  # refused where it is needed
    last_updated_at: int = 0
    created_at: int = 0
    # `bbo`
    bid: str | None = None
    bid_size: str | None = None
    ask: str | None = None
    ask_size: str | None = None
    # `order_book`: levels by what became of them
    update_type: str = ""
    inserts: list[_TextLevel] | None = None
    updates: list[_TextLevel] | None = None
    deletes: list[_TextLevel] | None = None
    # `trades`
    id: str = ""
    side: str = ""
    price: str = ""
    size: str = ""
    trade_type: str = "FILL"
    # `funding_data` and `markets_summary`
    funding_rate: str | None = None
    funding_rate_8h: str | None = None
    funding_period_hours: int = 0
    mark_price: str | None = None
    underlying_price: str | None = None
    open_interest: str | None = None


class _Params(Struct):
    channel: str
    data: Raw


class _Message(Struct):
    id: int | str | None = None
    result: _Result | None = None
    error: _Error | None = None
    params: _Params | None = None


_decode_message = msgspec.json.Decoder(_Message).decode
_decode_data = msgspec.json.Decoder(_Data).decode


def _decode_text(markets: Markets, frame: Frame, wall_ns: int) -> Events:
    try:
        message = _decode_message(frame)
        if message.params is None:
            return (_answer(message),)
        kind = message.params.channel.partition(".")[0]
        handle = _CHANNELS.get(kind)
        is_retail = "interactive" in message.params.channel
        if handle is None or is_retail:
            name = f"{kind[:32]}.interactive" if is_retail else kind[:32]
            return (events.NoticeEvent("unknown_type", 1, name),)
        data = _decode_data(message.params.data)
        if not (data.market or data.symbol):
            raise FrameError("missing", "market")
        return handle(markets, data, wall_ns)
    except FAILURES as error:
        raise refuse(error, frame) from error


def _answer(message: _Message) -> Event:
    """Say what an answer means: by the id of its request, or by its channel."""
    key = f"#{message.id}" if message.id else ""
    if message.error is not None:
        return _meaning(message.error, key)
    if message.result is None:
        raise FrameError("missing", "neither params, result nor error")
    if not key and not message.result.channel:
        raise FrameError("missing", "id and channel")
    return events.AckEvent(key or message.result.channel)


def _meaning(error: _Error, key: str) -> Event:
    """Say what an error means; an internal one leaves the request to its deadline."""
    said = f": {error.data}" if error.data else ""
    text = f"{error.code} {error.message}{said}"
    if error.code == -32603:
        return events.NoticeEvent("venue_error", 1, text)
    lower = text.lower()
    if "already" in lower and key:
        return events.StandingEvent(key)
    if "rate limit" in lower:
        return events.NoticeEvent("rate_limited", 1, text)
    reason = "too_many" if "too many" in lower else "invalid"
    return events.RefusalEvent(
        "malformed" if error.code == -32700 else reason, key, text
    )


def _text_bbo(markets: Markets, data: _Data, wall_ns: int) -> Events:
    _check_sequence(data.seq_no)
    stamp_ns = event_ns(data.last_updated_at, MILLISECOND_NS, wall_ns)
    bid = _text_side(data.bid, data.bid_size)
    ask = _text_side(data.ask, data.ask_size)
    return (events.QuoteEvent(data.market, stamp_ns, data.seq_no, *bid, *ask),)


def _text_side(price: str | None, size: str | None) -> tuple[float, float]:
    amount = decimal.size(size) if size else 0.0
    return (decimal.price(price or ""), amount) if amount else (nan, nan)


def _text_book(markets: Markets, data: _Data, wall_ns: int) -> Events:
    if data.update_type not in ("s", "d"):
        raise FrameError("type", f"update_type={data.update_type[:32]}")
    _check_sequence(data.seq_no)
    stamp_ns = event_ns(data.last_updated_at, MILLISECOND_NS, wall_ns)
    sides: dict[str, list[tuple[float, float]]] = {"BUY": [], "SELL": []}
    if data.inserts is None or data.updates is None or data.deletes is None:
        raise FrameError("missing", "inserts, updates or deletes")
    kept = [(row, decimal.size(row.size)) for row in data.inserts + data.updates]
    for row, size in kept + [(row, 0.0) for row in data.deletes]:
        if row.side not in sides:
            raise FrameError("side", row.side[:32])
        sides[row.side].append((decimal.price(row.price), size))
    is_image = data.update_type == "s"
    bids, asks = sides.values()
    return (events.BookEvent(data.market, stamp_ns, is_image, bids, asks, data.seq_no),)


def _text_trade(markets: Markets, data: _Data, wall_ns: int) -> Events:
    if data.side not in _SIDE_NAMES:
        raise FrameError("side", data.side[:32])
    trade = events.TradeEvent(
        data.market,
        event_ns(data.created_at, MILLISECOND_NS, wall_ns),
        decimal.price(data.price),
        decimal.price(data.size),  # above zero, as a price
        _SIDE_NAMES[data.side],
        _trade_id(data.id),
    )
    return _executed(trade, data.trade_type)


def _text_funding(markets: Markets, data: _Data, wall_ns: int) -> Events:
    stamp_ns = event_ns(data.created_at, MILLISECOND_NS, wall_ns)
    rate = decimal.optional(data.funding_rate or None)
    rate_8h = decimal.optional(data.funding_rate_8h or None)
    hours = data.funding_period_hours
    per_hour = _per_hour(markets.get(data.market), rate, hours, rate_8h)
    return (_context(data.market, stamp_ns, per_hour),)


def _text_summary(markets: Markets, data: _Data, wall_ns: int) -> Events:
    stamp_ns = event_ns(data.created_at, MILLISECOND_NS, wall_ns)
    rate = decimal.optional(data.funding_rate or None)
    mark = decimal.reference(data.mark_price)
    index = decimal.reference(data.underlying_price)
    interest = decimal.optional(data.open_interest or None)
    per_hour = _per_hour(markets.get(data.symbol), rate)
    return (_context(data.symbol, stamp_ns, per_hour, mark, index, interest),)


# What a channel's name begins with -> what makes events of its data.
_CHANNELS: Final[dict[str, Callable[[Markets, _Data, int], Events]]] = {
    "bbo": _text_bbo,
    "order_book": _text_book,
    "trades": _text_trade,
    "funding_data": _text_funding,
    "markets_summary": _text_summary,
}


# --- The REST host -------------------------------------------------------------------


class _Failure(Struct):
    error: str = ""
    message: str | None = None


class _Snapshot(_Failure):
    market: str = ""
    seq_no: Number | None = None
    last_updated_at: int = 0
    bids: list[tuple[Price, Size]] | None = None
    asks: list[tuple[Price, Size]] | None = None


class _Listed(_Failure):
    results: list[Raw] | None = None


class _MarketRow(Struct):
    symbol: str
    asset_kind: str = ""
    price_tick_size: str | None = None
    order_size_increment: str | None = None
    funding_period_hours: int | None = None
    trading_mode: str = "STANDARD"


# Numbers may be text, in levels and, for options, in rows of markets.
_decode_snapshot = msgspec.json.Decoder(_Snapshot, strict=False).decode
_decode_listed = msgspec.json.Decoder(_Listed).decode
_decode_row = msgspec.json.Decoder(_MarketRow, strict=False).decode


def _read_snapshot(market: Market, wall_ns: int, body: bytes) -> events.BookEvent:
    data = _decode_snapshot(body)
    _check_failure(data)
    if data.market != market.symbol:
        raise FrameError("symbol", f"market={data.market[:64]}")
    if data.bids is None or data.asks is None or data.seq_no is None:
        raise FrameError("missing", "bids, asks or seq_no")
    stamp_ns = event_ns(data.last_updated_at, MILLISECOND_NS, wall_ns)
    return events.BookEvent(
        market.key, stamp_ns, True, data.bids, data.asks, data.seq_no
    )


def _read_markets(body: bytes) -> list[Market]:
    """Return the rows that can be used: an odd one must not cost the others."""
    listed = _decode_listed(body)
    _check_failure(listed)
    if listed.results is None:
        raise FrameError("missing", "results")
    rows, errors = frames.keep_good(listed.results, _market)
    found = [market for market in rows if market is not None]
    if errors and not found:
        raise errors[0]
    return found


def _market(raw: Raw) -> Market | None:
    row = _decode_row(raw)
    if row.asset_kind != "PERP":
        return None
    hours = row.funding_period_hours or 0
    return _base.perpetual(
        row.symbol,
        row.symbol.removesuffix(_base.SUFFIX).removesuffix("-USD"),
        tick=decimal.reference(row.price_tick_size),
        lot=decimal.reference(row.order_size_increment),
        is_active=row.trading_mode != "RFQ_ONLY",  # that has no book
        funding_interval_ns=hours * HOUR_NS if 0 < hours <= HOURS_MAX else TIME_NONE,
    )


def _check_failure(answer: _Failure) -> None:
    if answer.error:
        said = f": {answer.message}" if answer.message else ""
        raise FrameError("venue_error", f"{answer.error}{said}"[:200])


class Paradex(_base.Venue):
    """The declarations of Paradex's mainnet."""

    name = "paradex"
    ws_url = "wss://ws.api.prod.paradex.trade/v1"
    rest_url = "https://api.prod.paradex.trade/v1"
    ws_query = f"sbeSchemaId={SCHEMA}&sbeSchemaVersion=1"
    limits = _base.Limits(
        frame_bytes_max=4 << 20,  # a whole book is one frame: 2 MB, if counts are full
        ping_interval_ms=0,  # the venue pings; clients' pings have closed connections
        subscribe_gap_ms=50,  # no limit is documented: a choice
        connects_per_minute=600,
        subscriptions_max=1_000,  # no limit is documented: a choice
        rest_weight_per_minute=1_500,
    )
    # Both come on change only. A book was silent for 4.9 s when recorded (ETH, October
    # 2026): such a market is quiet, which is another thing than fresh.
    fresh_ms: ClassVar[Mapping[str, int]] = {"bbo": 3_000, "depth": 3_000}
    liveness_channel = "markets_summary"
    discovery = (_base.RestRequest("GET", "/markets"),)
    continuity: ClassVar[Mapping[str, type[Rule]]] = {
        "bbo": OrderingGuard,
        "depth": SequencePlusOne,
    }
    cross_check = "sequence"

    def parse_markets(self, bodies: Sequence[bytes]) -> list[Market]:
        """Return the perpetuals of a `markets` answer."""
        (body,) = bodies
        return frames.checked(_read_markets, body)

    def market_by_name(self, name: str) -> Market:
        """Take `BTC-PERP` for the symbol `BTC-USD-PERP`, anything else for a symbol."""
        base = name.removesuffix(_base.SUFFIX)
        if base == name:
            return super().market_by_name(name)
        base = base.removesuffix("-USD")
        return _base.perpetual(base + PERPETUAL, base)

    def subscriptions(self, symbol: str, options: Options) -> list[Subscription]:
        """Return books, liveness and, when asked for, trades, in that order."""
        books = {
            _base.BBO: f"bbo.{symbol}",
            _base.DEPTH: f"order_book.{symbol}.deltas",
        }
        wanted = [(books[kind], kind) for kind in options.kinds]
        wanted.append((f"markets_summary.{symbol}", _base.LIVENESS))
        if options.trades:
            wanted.append((f"trades.{symbol}", _base.TRADES))
        return [Subscription(name, symbol, name, carries) for name, carries in wanted]

    def request(
        self, topics: Sequence[str], request_id: int, *, is_end: bool = False
    ) -> str:
        """Return the request for one channel: the venue takes no more in one."""
        (topic,) = topics
        call = {
            "jsonrpc": "2.0",
            "method": "unsubscribe" if is_end else "subscribe",
            "params": {"channel": topic},
            "id": request_id,
        }
        return msgspec.json.encode(call).decode()

    def decoder(self, markets: Mapping[str, Market]) -> Decode:
        """Return the decoder; rates are per period, which the markets tell."""
        return partial(decode, markets)

    def snapshot_request(self, market: Market) -> _base.RestRequest:
        """Return the request for the best levels, numbered as the stream is."""
        path = f"/orderbook/{quote(market.symbol, safe='')}?depth={SNAPSHOT_LEVELS}"
        return _base.RestRequest("GET", path)

    def parse_snapshot(
        self, market: Market, body: bytes, wall_ns: int
    ) -> events.BookEvent:
        """Return the image in the answer."""
        return frames.checked(partial(_read_snapshot, market, wall_ns), body)


VENUE: Final = Paradex()
