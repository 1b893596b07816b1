"""Venues that are wrong in one way each: what the claims must notice.

Each is the template with one part exchanged, and none of them is far-fetched: most are
what a venue's first decoder does.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from math import nan
from typing import Any

import msgspec

from feedhandler.codec.frame import FrameError
from feedhandler.events import (
    TIME_NONE,
    AckEvent,
    AddEvent,
    BookEvent,
    Event,
    FundingEvent,
    NoticeEvent,
    PongEvent,
    QuoteEvent,
    RefusalEvent,
    RejectEvent,
    TickEvent,
    TradeEvent,
    UnsubscribedEvent,
)
from feedhandler.venues._base import (
    Decode,
    Market,
    Venue,
)
from tests.conformance.template_venue import Template, decode

Frame = bytes | bytearray | str
replace = msgspec.structs.replace


def with_decode(wrong: Decode) -> Venue:
    """Return the template with another decoder."""

    class Wrong(Template):
        def decoder(self, markets: Mapping[str, Market]) -> Decode:
            return wrong

    return Wrong()


def with_events(change: Callable[[Any], Any]) -> Venue:
    """Return the template whose every event is changed; None drops it."""

    def wrong(frame: Frame, wall_ns: int) -> Sequence[Event]:
        changed = (change(event) for event in decode(frame, wall_ns))
        return [event for event in changed if event is not None]

    return with_decode(wrong)


# --- Decoders ----------------------------------------------------------------------


def naive(frame: Frame, wall_ns: int) -> Sequence[Event]:
    """Decode as many do: `json`, `float`, no check of anything."""
    row = json.loads(frame)
    event_ns = int(row.get("time") or 0) * 1_000_000 or TIME_NONE
    channel = row.get("channel")
    if channel == "quote":
        sides = [row.get(side) or (nan, nan) for side in ("bid", "ask")]
        bid, bid_size, ask, ask_size = (
            float(value) for side in sides for value in side
        )
        quote = (row["market"], event_ns, row["number"], bid, bid_size, ask, ask_size)
        return (QuoteEvent(*quote),)
    if channel == "book":
        bids, asks = (
            [(float(price), float(size)) for price, size in row.get(side, [])]
            for side in ("bids", "asks")
        )
        is_image = row["is_image"]
        market, number = row["market"], row["number"]
        return (BookEvent(market, event_ns, is_image, bids, asks, number),)
    if channel == "trade":
        side = 1 if row["side"] == "buy" else 2
        price, size = float(row["price"]), float(row["size"])
        return (TradeEvent(row["market"], event_ns, price, size, side, row["id"]),)
    return decode(frame, wall_ns)


def naive_but_refusing(frame: Frame, wall_ns: int) -> Sequence[Event]:
    """Turn every exception into a refusal: the values are still not checked."""
    try:
        return naive(frame, wall_ns)
    except FrameError:
        raise
    except Exception as error:
        raise FrameError("json", str(error)[:200]) from error


def odd_reason(frame: Frame, wall_ns: int) -> Sequence[Event]:
    try:
        return decode(frame, wall_ns)
    except FrameError as error:
        raise FrameError("odd", error.detail) from error


def taking_literals(frame: Frame, wall_ns: int) -> Sequence[Event]:
    """Read what only some parsers call JSON."""
    row = _parsed(frame)
    return decode(json.dumps(row).replace("NaN", "null") if row else frame, wall_ns)


def raising(frame: Frame, wall_ns: int) -> Sequence[Event]:
    """Let the parser's own exception out."""
    try:
        return decode(frame, wall_ns)
    except FrameError as error:
        raise KeyError(error.reason) from error


def mending(frame: Frame, wall_ns: int) -> Sequence[Event]:
    """Close what was cut."""
    try:
        return decode(frame, wall_ns)
    except FrameError:
        for end in (b"}", b'"}', b"]}", b'"]}'):
            try:
                return decode(bytes(frame) + end, wall_ns)  # type: ignore[arg-type]
            except FrameError:
                continue
        raise


def silent(frame: Frame, wall_ns: int) -> Sequence[Event]:
    """Take what cannot be read for nothing."""
    try:
        return decode(frame, wall_ns)
    except FrameError:
        return ()


def first_of_two(frame: Frame, wall_ns: int) -> Sequence[Event]:
    """Apply the first document, whatever follows it."""
    text = bytes(frame).decode() if not isinstance(frame, str) else frame
    try:
        _, end = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):
        return decode(frame, wall_ns)
    return decode(text[:end], wall_ns)


def forbidding(frame: Frame, wall_ns: int) -> Sequence[Event]:
    """Refuse a field that is not known."""
    if b"zz_unknown" in bytes(frame):  # type: ignore[arg-type]
        raise FrameError("shape", "unknown field")
    return decode(frame, wall_ns)


def deaf_to_order(frame: Frame, wall_ns: int) -> Sequence[Event]:
    """Tell a channel by where it stands."""
    if not bytes(frame).startswith((b'{"channel"', b'{"result"', b'{"id"', b'{"error')):  # type: ignore[arg-type]
        raise FrameError("shape", "channel is not the first field")
    return decode(frame, wall_ns)


def slow(frame: Frame, wall_ns: int) -> Sequence[Event]:
    """Search a text in a way that takes its length squared."""
    re.search(r"([a-z]+:\w+)\s*$", bytes(frame).decode(errors="replace"))  # type: ignore[arg-type]
    return decode(frame, wall_ns)


def emptied(frame: Frame, wall_ns: int) -> Sequence[Event]:
    """Keep the number of a change that cannot be read, and nothing else of it."""
    try:
        return decode(frame, wall_ns)
    except FrameError as error:
        found = re.search(rb'"number": ?(\d+)', bytes(frame))  # type: ignore[arg-type]
        if found is None or b'"book"' not in bytes(frame):  # type: ignore[arg-type]
            raise
        step = BookEvent("BTC", TIME_NONE, False, [], [], int(found[1]))
        return (RejectEvent(error.reason, error.detail), step)


def patched(channel: str, **good: object) -> Decode:
    """Return a decoder that puts these values into a frame that it cannot read."""

    def wrong(frame: Frame, wall_ns: int) -> Sequence[Event]:
        try:
            return decode(frame, wall_ns)
        except FrameError:
            row = _parsed(frame)
            if row.get("channel") != channel:
                raise
            return decode(json.dumps({**row, **good}), wall_ns)

    return wrong


last_good_bid = patched("quote", bid=["84050.1", "0.25000"])
without_levels = patched("book", bids=[], asks=[])
one_sided = patched("quote", bid=None)


def _parsed(frame: Frame) -> dict[str, Any]:
    try:
        row = json.loads(frame)
    except (ValueError, RecursionError):
        return {}
    return row if isinstance(row, dict) else {}


# --- Events ------------------------------------------------------------------------


def rounded(event: Event) -> Event:
    if isinstance(event, QuoteEvent):
        return replace(event, bid=round(event.bid, 0))
    return event


def of_another_time(event: Event) -> Event:
    if isinstance(event, TradeEvent):
        return replace(event, event_ns=event.event_ns // 1_000_000_000)
    return event


def of_another_level(event: Event) -> Event:
    """Give a price the size of its neighbour's side, and lose a level."""
    if isinstance(event, BookEvent):
        return replace(event, bids=event.bids[:1], asks=event.asks[:1])
    return event


def mispaired(event: Event) -> Event:
    """Give each bid the size of its neighbour."""
    if isinstance(event, BookEvent) and len(event.bids) > 1:
        sizes = [size for _, size in event.bids]
        prices = [price for price, _ in event.bids]
        bids = list(zip(prices, [*sizes[1:], sizes[0]], strict=True))
        return replace(event, bids=bids)
    return event


def of_lower_case(event: Event) -> Event:
    if isinstance(event, QuoteEvent):
        return replace(event, symbol=event.symbol.lower())
    return event


def of_one_market(event: Event) -> Event:
    if isinstance(event, QuoteEvent | BookEvent):
        return replace(event, symbol="BTC")
    return event


def zero_for_absent(event: Event) -> Event:
    if isinstance(event, QuoteEvent) and event.bid != event.bid:
        return replace(event, bid=0.0, bid_size=0.0)
    return event


def uncrossed(event: Event) -> Event:
    if isinstance(event, QuoteEvent) and event.bid > event.ask:
        return replace(event, bid=event.ask, ask=event.bid)
    return event


def all_images(event: Event) -> Event:
    if isinstance(event, BookEvent):
        return replace(event, is_snapshot=True)
    return event


def all_sums(event: Event) -> Event:
    """Take absolute sizes for signed ones."""
    if isinstance(event, BookEvent) and not event.is_snapshot:
        bids = [(price, size, nan) for price, size in event.bids]
        return AddEvent(event.symbol, event.event_ns, bids, [])
    return event


def first_only(event: Event) -> Event:
    """Keep the first level, as if it were the best."""
    if isinstance(event, BookEvent):
        return replace(event, bids=event.bids[:1])
    return event


def never_locked(event: Event) -> Event:
    if isinstance(event, QuoteEvent) and event.bid == event.ask:
        return replace(event, ask=nan, ask_size=nan)
    return event


def end_as_ack(event: Event) -> Event:
    return AckEvent("quote/BTC") if isinstance(event, UnsubscribedEvent) else event


def known_ack(event: Event) -> Event:
    return AckEvent("#1") if isinstance(event, AckEvent) else event


def nothing(event: Event) -> None:
    """Drop everything."""


def nan_size(event: Event) -> Event:
    """Lose a size."""
    return replace(event, bid_size=nan) if isinstance(event, QuoteEvent) else event


def without_number(event: Event) -> Event:
    if isinstance(event, QuoteEvent):
        return replace(event, venue_sequence=-1, event_ns=TIME_NONE)
    return event


def without_trade_id(event: Event) -> Event:
    return replace(event, trade_id=0) if isinstance(event, TradeEvent) else event


def pong_as_tick(event: Event) -> Event:
    return TickEvent("BTC") if isinstance(event, PongEvent) else event


def mark_as_notice(event: Event) -> Event:
    return NoticeEvent("hello") if isinstance(event, FundingEvent) else event


def soft_refusal(event: Event) -> Event:
    return NoticeEvent("venue_error") if isinstance(event, RefusalEvent) else event


def unknown_ack(event: Event) -> Event:
    return AckEvent("elsewhere") if isinstance(event, AckEvent) else event


class Remembering:
    """Adds the asks of the first image to each later one."""

    def __init__(self) -> None:
        self._asks: list[tuple[float, float]] = []

    def __call__(self, event: Event) -> Event:
        if isinstance(event, BookEvent) and event.is_snapshot:
            if event.asks and not self._asks:
                self._asks = event.asks
            asks = [*event.asks, *self._asks] if event.asks else event.asks
            return replace(event, asks=asks)
        return event
