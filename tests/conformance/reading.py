"""What an event may say at all, and what a frame says, read without the venue's code.

Every number that an event holds must be one that the frame holds: that is all the kit
need know of a venue to find a wrong one.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from feedhandler.codec.decimal import VALUE_MAX, VALUE_MIN
from feedhandler.codec.frame import REASONS
from feedhandler.codec.stamp import AHEAD_NS_MAX
from feedhandler.events import (
    SIDE_ASK,
    SIDE_BID,
    TIME_NONE,
    AddEvent,
    BookEvent,
    Event,
    FrameEvent,
    FundingEvent,
    NoticeEvent,
    QuoteEvent,
    RejectEvent,
    TickEvent,
    TradeEvent,
)
from feedhandler.feed.counters import NAMES
from tests.conformance import mutate
from tests.conformance.facts import WALL_NS, Facts, Numbers

EARLIEST_NS = 1_546_300_800 * 1_000_000_000  # 2019: no venue here is older
ID_MAX = (1 << 63) - 1

DATA = (QuoteEvent, BookEvent, AddEvent, TradeEvent, FundingEvent, TickEvent)


# --- What an event may say at all -------------------------------------------------


def check_sense(events: Iterable[Event]) -> None:
    """Check every value that an event could carry into a record."""
    for number, event in enumerate(events):
        if isinstance(event, FrameEvent):
            assert number == 0, "FrameEvent comes first"
            assert -1 <= event.sequence <= ID_MAX, event
        elif isinstance(event, RejectEvent):
            assert event.reason in REASONS, event
        elif isinstance(event, NoticeEvent):
            assert event.name in (*NAMES, "unknown_type"), event
            assert event.count > 0, event
        elif isinstance(event, DATA):
            assert isinstance(event.symbol, str), event
            if not isinstance(event, TickEvent):
                _check_time(event.event_ns)
                _check_values(event)


def _check_time(event_ns: int) -> None:
    assert type(event_ns) is int
    is_real = EARLIEST_NS // 2 < event_ns <= WALL_NS + AHEAD_NS_MAX
    assert event_ns == TIME_NONE or is_real, f"event_ns={event_ns}"


def _check_values(event: Event) -> None:
    if isinstance(event, QuoteEvent):
        for price, size in ((event.bid, event.bid_size), (event.ask, event.ask_size)):
            if price != price:
                assert size != size, f"size without price: {event}"
            else:
                assert _is_real(price), event
                assert _is_real(size), event
        assert -1 <= event.venue_sequence <= ID_MAX, event
    elif isinstance(event, BookEvent):
        for price, size in (*event.bids, *event.asks):
            assert _is_real(price), event
            assert 0.0 <= size <= VALUE_MAX, event  # the book takes dust for none
        for number in (event.sequence, event.first):
            assert -1 <= number <= ID_MAX, event
    elif isinstance(event, AddEvent):
        for price, change, size in (*event.bids, *event.asks):
            assert _is_real(price), event
            assert abs(change) <= VALUE_MAX, event
            assert size != size or 0.0 <= size <= VALUE_MAX, event
    elif isinstance(event, TradeEvent):
        assert _is_real(event.price), event
        assert event.size == 0 or _is_real(event.size), event
        assert event.aggressor in (0, SIDE_BID, SIDE_ASK), event
        assert 0 <= event.trade_id <= ID_MAX, event
    elif isinstance(event, FundingEvent):
        for reference in (event.mark_price, event.oracle_price, event.mid_price):
            assert reference != reference or 0.0 < reference <= VALUE_MAX, event
        for value in (event.rate_per_hour, event.open_interest):
            assert not math.isinf(value), event


def _is_real(value: float) -> bool:
    return type(value) is float and VALUE_MIN <= value <= VALUE_MAX


# --- What a frame says, read without the venue -------------------------------------


def numbers_of(facts: Facts, frame: bytes) -> Numbers:
    """Return the prices, sizes and times that a frame's texts hold."""
    if facts.numbers is not None and frame[:1] not in (b"{", b"["):
        return facts.numbers(frame)
    prices: list[float] = []
    pairs: set[tuple[float, float]] = set()
    references: set[float] = set()
    times_ns: set[int] = set()
    for holder in _holders(json.loads(frame, parse_float=str)):
        numbers = {key: mutate.number_of(value) for key, value in holder.items()}
        for key, number in numbers.items():
            if number is None:
                continue
            references.add(number)
            if isinstance(value := holder[key], int):
                times_ns.update(value * unit for unit in (1, 1_000, 10**6, 10**9))
            if key in facts.sizes_of and math.isfinite(number):
                prices.append(number)
                sizes = (numbers.get(name) for name in facts.sizes_of[key])
                pairs.update((number, size) for size in sizes if size is not None)
    return Numbers(
        frozenset(prices),
        frozenset(pairs),
        frozenset(references),
        frozenset(times_ns),
        len(prices),
    )


def _holders(value: Any) -> Iterator[dict[str | int, Any]]:
    """Yield each object and each list, as what it holds by key or index."""
    if isinstance(value, dict | list):
        holder = value if isinstance(value, dict) else dict(enumerate(value))
        yield holder
        for held in holder.values():
            yield from _holders(held)


def check_said(said: Numbers, event: Event, *, is_damaged: bool = False) -> None:
    """Check that a frame holds every number, pair and time of an event.

    Of a damaged frame a level or a side may be missing, or be said to be gone.
    """
    prices, pairs = said_by(event)
    if is_damaged:
        pairs = [pair for pair in pairs if pair[1] >= VALUE_MIN]
    assert said.prices.issuperset(prices), f"price not in the frame: {event}"
    assert said.pairs.issuperset(pairs), f"size not of its price: {event}"
    assert said.references.issuperset(references_of(event)), f"not sent: {event}"
    if levels_of(event) and not is_damaged:
        assert len(levels_of(event)) == said.level_count, f"levels lost: {event}"
    is_touch = said.level_count == len(said.pairs) == 2
    if isinstance(event, QuoteEvent) and is_touch and not is_damaged:
        real = {price for price, size in said.pairs if size >= VALUE_MIN}
        assert {*prices} == real, f"a side lost: {event}"
    event_ns = getattr(event, "event_ns", TIME_NONE)
    is_sent = event_ns == TIME_NONE or event_ns in said.times_ns
    assert is_sent, f"time not in the frame: {event}"


def levels_of(event: Event) -> list[tuple[float, ...]]:
    """Return the levels of a step of a book."""
    if isinstance(event, BookEvent | AddEvent):
        return [*event.bids, *event.asks]
    return []


def references_of(event: Event) -> list[float]:
    """Return the reference prices of an event that are there."""
    if not isinstance(event, FundingEvent):
        return []
    stated = (event.mark_price, event.oracle_price, event.mid_price)
    return [value for value in stated if value == value]


def said_by(event: Event) -> tuple[list[float], list[tuple[float, float]]]:
    """Return the prices of an event that are there, and each with its sizes."""
    pairs: list[tuple[float, float]] = []
    if isinstance(event, QuoteEvent):
        pairs = [(event.bid, event.bid_size), (event.ask, event.ask_size)]
    elif isinstance(event, TradeEvent):
        pairs = [(event.price, event.size)]
    for price, *sizes in levels_of(event):
        pairs += [(price, size) for size in sizes]
    real = [(price, size) for price, size in pairs if price == price]
    return [price for price, _ in real], [pair for pair in real if pair[1] == pair[1]]


def comparable(events: Iterable[Event]) -> list[str]:
    """Return events as values that compare equal, NaN to NaN."""
    return [
        f"{type(event).__name__}{msgspec.structs.astuple(event)}" for event in events
    ]


def data_of(events: Iterable[Event]) -> list[Event]:
    """Return the events that could lead to a record, or prove data to be alive."""
    return [event for event in events if isinstance(event, DATA)]
