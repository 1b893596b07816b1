"""Template: a venue that does not exist, as the smallest file that is complete.

Copy it to `feedhandler/venues/<name>.py` and change what your venue does differently;
`tests/venues/template/` shows the fixtures and facts beside it. Nothing else knows a
venue's name. Here stands what a reader must know of the venue, and what is doubtful.

    feed kind bbo      `quote`, a whole image of the touch, numbered with holes
    feed kind depth    `book`, one image, then changes of absolute size without a hole
    liveness           `mark`: mark price and funding, each second
    trades             `trade`, one row a frame

Doubts, none of them verified against a live venue:
- Everything: nobody runs it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import nan
from typing import Annotated, ClassVar, Final

import msgspec
from msgspec import Struct

from feedhandler import events
from feedhandler.book.continuity import OrderingGuard, Rule, SequencePlusOne
from feedhandler.codec import decimal
from feedhandler.codec import frame as frames
from feedhandler.codec.decimal import VALUE_MIN, DecimalError, Price, Size
from feedhandler.codec.frame import FAILURES, FrameError, refuse
from feedhandler.codec.stamp import HOUR_NS, MILLISECOND_NS, event_ns
from feedhandler.events import TIME_NONE, BookEvent, Event
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
Level = tuple[Price, Size]

_SIDES: Final = {"buy": events.SIDE_BID, "sell": events.SIDE_ASK}
# What a subscription carries -> the channel; in the order of `subscriptions`.
_CHANNELS: Final = {_base.BBO: "quote", _base.DEPTH: "book"}


# --- Frames -------------------------------------------------------------------------
# One pass, numbers included, by a decoder that takes text for a number. What it
# refuses is read again, strictly, for the reason.


class _Quote(Struct, gc=False, tag_field="channel", tag="quote"):
    market: str
    number: Number
    bid: Level | None
    ask: Level | None
    time: int = 0


class _Book(Struct, gc=False, tag_field="channel", tag="book"):
    market: str
    number: Number
    is_image: bool
    bids: list[Level]
    asks: list[Level]
    time: int = 0


class _Trade(Struct, gc=False, tag_field="channel", tag="trade"):
    market: str
    id: Number
    side: str
    price: Price
    size: Size
    time: int = 0


class _Mark(Struct, gc=False, tag_field="channel", tag="mark"):
    market: str
    price: Price
    rate: Annotated[float, msgspec.Meta(ge=-1.0, le=1.0)]
    time: int = 0


class _AnyFrame(Struct):
    channel: str = ""
    id: int | None = None
    result: str = ""
    error: str = ""


class _Row(Struct):
    name: str
    tick: str = ""
    lot: str = ""
    is_open: bool = True


class _Answer(Struct):
    error: str = ""
    market: str = ""
    number: Number = 0
    bids: list[Level] | None = None
    asks: list[Level] | None = None
    markets: list[_Row] | None = None


_decode_hot = msgspec.json.Decoder(_Quote | _Book | _Trade | _Mark, strict=False).decode
_decode_any = msgspec.json.Decoder(_AnyFrame).decode
_decode_answer = msgspec.json.Decoder(_Answer, strict=False).decode


def decode(frame: Frame, wall_ns: int) -> Sequence[Event]:
    """Return what a frame means; raise `FrameError` when none of it can be used."""
    try:
        message = _decode_hot(frame)
        stamp_ns = event_ns(message.time, MILLISECOND_NS, wall_ns)
        if type(message) is _Quote:
            touch = (*_side(message.bid), *_side(message.ask))
            return (
                events.QuoteEvent(message.market, stamp_ns, message.number, *touch),
            )
        if type(message) is _Book:
            return (_book(message, stamp_ns),)
        if type(message) is _Trade:
            return (_trade(message, stamp_ns),)
        assert type(message) is _Mark
        return (_mark(message, stamp_ns, wall_ns),)
    except FAILURES as error:
        return _decode_cold(frame, error)


def _side(level: Level | None) -> tuple[float, float]:
    """Return one side of a touch; without a size it is absent."""
    if level is None or level[1] == 0.0:
        return nan, nan
    if level[1] < VALUE_MIN:
        raise DecimalError("range", level[1])
    return level


def _book(message: _Book, stamp_ns: int) -> Event:
    """Return a step of a book, which is whole or refused: see `_Book`."""
    return BookEvent(
        message.market,
        stamp_ns,
        message.is_image,
        message.bids,
        message.asks,
        message.number,
    )


def _trade(message: _Trade, stamp_ns: int) -> Event:
    if message.side not in _SIDES:
        raise FrameError("side", message.side[:32])
    if message.size < VALUE_MIN:
        raise DecimalError("range", message.size)
    side = _SIDES[message.side]
    return events.TradeEvent(
        message.market, stamp_ns, message.price, message.size, side, message.id
    )


def _mark(message: _Mark, stamp_ns: int, wall_ns: int) -> Event:
    next_ns = (wall_ns // HOUR_NS + 1) * HOUR_NS
    return events.FundingEvent(
        message.market,
        stamp_ns,
        message.rate,
        HOUR_NS,
        next_ns,
        message.price,
        nan,
        nan,
        nan,
    )


def _decode_cold(frame: Frame, error: Exception) -> Sequence[Event]:
    """Read an answer, or refuse with the reason that fits best."""
    try:
        message = _decode_any(frame)
        if message.channel in ("quote", "book", "trade", "mark"):
            raise error
        key = "" if message.id is None else f"#{message.id}"
        if message.error:
            return (events.RefusalEvent("invalid", key, message.error[:200]),)
        match message.result:
            case "pong":
                return (events.PongEvent(),)
            case "subscribed":
                return (events.AckEvent(key),)
            case "ended":
                return (events.UnsubscribedEvent(key),)
    except FAILURES as second:
        raise refuse(second, frame) from second
    if not message.channel:
        raise FrameError("missing", "channel")
    return (events.NoticeEvent("unknown_type", 1, message.channel[:64]),)


class Template(_base.Venue):
    """The declarations of the venue."""

    name = "template"
    ws_url = "wss://stream.template.example/v1"
    rest_url = "https://api.template.example"
    limits = _base.Limits(
        frame_bytes_max=1 << 20,
        ping_interval_ms=20_000,
        subscribe_gap_ms=50,
        connects_per_minute=30,
        subscriptions_max=500,
        rest_weight_per_minute=600,
        chunk=10,
    )
    fresh_ms: ClassVar[Mapping[str, int]] = {"bbo": 3_000, "depth": 2_000}
    liveness_channel = "mark"
    discovery = (RestRequest("GET", "/v1/markets"),)
    continuity: ClassVar[Mapping[str, type[Rule]]] = {
        "bbo": OrderingGuard,
        "depth": SequencePlusOne,
    }
    cross_check = "sequence"

    def parse_markets(self, bodies: Sequence[bytes]) -> list[Market]:
        """Return the markets of the list."""
        (body,) = bodies
        answer = _answer(body)
        if answer.markets is None:
            raise FrameError("missing", "markets")
        return [_market(row) for row in answer.markets]

    def subscriptions(self, symbol: str, options: Options) -> list[Subscription]:
        """Return books, liveness and, when asked for, trades, in that order."""
        wanted = [(_CHANNELS[kind], kind) for kind in options.kinds]
        wanted.append(("mark", _base.LIVENESS))
        if options.trades:
            wanted.append(("trade", _base.TRADES))
        names = [(f"{channel}/{symbol}", carries) for channel, carries in wanted]
        return [Subscription(name, symbol, name, carries) for name, carries in names]

    def request(
        self, topics: Sequence[str], request_id: int, *, is_end: bool = False
    ) -> str:
        """Return one request for all the topics; its answer has its id."""
        verb = "end" if is_end else "subscribe"
        wanted = {"do": verb, "topics": list(topics), "id": request_id}
        return msgspec.json.encode(wanted).decode()

    def decoder(self, markets: Mapping[str, Market]) -> Decode:
        """Return the decoder; it needs no memory of a session."""
        return decode

    def ping(self) -> str:
        """Return the application's own ping."""
        return '{"do":"ping"}'

    def snapshot_request(self, market: Market) -> RestRequest:
        """Return the request for a whole image."""
        return RestRequest("GET", f"/v1/book?market={market.key}", weight=5)

    def parse_snapshot(self, market: Market, body: bytes, wall_ns: int) -> BookEvent:
        """Return the image in the answer."""
        answer = _answer(body)
        if answer.market != market.key:
            raise FrameError("symbol", f"market={answer.market[:64]}")
        if answer.bids is None or answer.asks is None:
            raise FrameError("missing", "bids or asks")
        sides = (answer.bids, answer.asks)
        return BookEvent(market.key, TIME_NONE, True, *sides, answer.number)


def _answer(body: bytes) -> _Answer:
    answer = frames.checked(_decode_answer, body)
    if answer.error:
        raise FrameError("venue_error", answer.error[:200])
    return answer


def _market(row: _Row) -> Market:
    tick, lot = (decimal.reference(text) for text in (row.tick, row.lot))
    return _base.perpetual(row.name, tick=tick, lot=lot, is_active=row.is_open)


VENUE: Final = Template()
