"""Drives a session of any venue: no socket, no clock, and the kit for its server.

Frames go in as a venue's facts make them; what may be published is kept, and looked at
as a reader would.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from feedhandler.book.trades import TradeFilter
from feedhandler.events import (
    FLAG_ONE_SIDED,
    FLAG_SYNCING,
    Event,
    QuoteEvent,
    SyncingEvent,
)
from feedhandler.feed.session import Session
from feedhandler.feed.settings import Timing
from feedhandler.venues._base import DEPTH, Market, Options, Venue
from tests.conformance.facts import WALL_NS, Facts, bid_at

MS = 1_000_000
SECOND = 1_000 * MS
TICK = 100 * MS
TIMING = Timing(
    stale_ns=10 * SECOND,
    first_data_ns=10 * SECOND,
    ack_ns=5 * SECOND,
    read_timeout_ns=3_600 * SECOND,
    ping_interval_ns=3_600 * SECOND,
    session_limit_ns=86_400 * SECOND,
    subscribe_gap_ns=0,
)


class Driven:
    """One session that follows one market of a venue."""

    def __init__(
        self,
        venue: Venue,
        facts: Facts,
        kind: str,
        *,
        bases: Sequence[str] = ("BTC",),
        is_answered: bool = True,
    ) -> None:
        self.venue = venue
        self.facts = facts
        self.kind = kind
        self.now = 0
        self.counted: Counter[str] = Counter()
        self.published: list[Event] = []
        self.markets = dict(self._markets(bases))
        self.symbol = next(iter(self.markets))
        self.market = self.markets[self.symbol]
        self.trades = {symbol: TradeFilter() for symbol in self.markets}
        self.sent: list[str] = []
        self._is_answered = is_answered
        self.session = Session(
            venue,
            self.markets,
            Options(kind),
            TIMING,
            self.trades,
            self._count,
            self.now,
            WALL_NS,
        )
        self._take(self.session.opened(self.now, WALL_NS))
        self.turn(2 * SECOND, is_until_sent=True)

    def _markets(self, bases: Sequence[str]) -> list[tuple[str, Market]]:
        found = []
        for base in bases:
            (market,) = self.venue.parse_markets(self.facts.discover(base))
            found.append((market.key, market))
        return found

    @property
    def label(self) -> str:
        return "" if self.session.ending is None else self.session.ending.label

    def _count(self, name: str, amount: int) -> None:
        self.counted[name] += amount

    def _take(self, events: Sequence[Event]) -> list[Event]:
        self.published += events
        for text in self.session.take_outgoing():
            self.sent.append(text)
            if self._is_answered:
                for frame in self.facts.accept(text):
                    self.receive(frame)
        return list(events)

    def receive(self, frame: bytes) -> list[Event]:
        return self._take(self.session.receive(frame, self.now))

    def turn(self, span_ns: int, *, is_until_sent: bool = False) -> None:
        """Let time pass, tick by tick, until the span is over or the session is."""
        end = self.now + span_ns
        while self.now < end and not self.label:
            if is_until_sent and self.session.next_due_ns is None:
                break
            self.now = min(self.now + TICK, end)
            self._take(self.session.tick(self.now, WALL_NS + self.now))

    def image(self, step: int) -> list[Event]:
        """Give the market its whole book: by a frame, or by the answer of REST."""
        if self.facts.image is not None:
            return self.receive(self.facts.image(self.symbol, step))
        body = self.facts.snapshot(self.symbol, step)
        self.session.take_wanted_images(self.now)
        image = self.venue.parse_snapshot(self.market, body, WALL_NS)
        return self._take(self.session.take_image(image, self.now))

    def change(self, step: int) -> list[Event]:
        assert self.facts.change is not None
        return self.receive(self.facts.change(self.symbol, step))

    def frame(self, step: int) -> bytes:
        """Return a frame of this kind: a quote, a change, or an image of the depth."""
        facts = self.facts
        make: Callable[[str, int], bytes] | None = facts.quote
        if self.kind == DEPTH:
            make = facts.change or facts.image
        assert make is not None
        return make(self.symbol, step)

    def begin(self, step: int = 1) -> None:
        """Bring the first quote."""
        if self.has_changes:
            self.image(step)
        else:
            self.receive(self.frame(step))
        assert self.steps()[-1:] == [step], f"no quote: {dict(self.counted)}"

    @property
    def has_changes(self) -> bool:
        return self.kind == DEPTH and self.facts.change is not None

    def quotes(self) -> list[QuoteEvent]:
        return [row for row in self.published if isinstance(row, QuoteEvent)]

    def steps(self) -> list[int]:
        """Return the steps that were published, told by their bids."""
        return [step_of(row) for row in self.quotes() if row.bid == row.bid]


def step_of(quote: QuoteEvent) -> int:
    return round(quote.bid - float(bid_at(0)))


def syncing(events: Sequence[Event], symbol: str) -> list[SyncingEvent]:
    return [
        row for row in events if isinstance(row, SyncingEvent) and row.symbol == symbol
    ]


def check_publishable(events: Sequence[Event]) -> None:
    """Check what a reader would trade on: two sides that are there, and not crossed."""
    for row in events:
        if not isinstance(row, QuoteEvent) or row.flags & FLAG_SYNCING:
            continue
        if row.flags & FLAG_ONE_SIDED:
            assert row.bid != row.bid or row.ask != row.ask, row
            continue
        assert row.bid <= row.ask, f"crossed, or a side is missing: {row}"
        assert 0.0 < row.bid_size < float("inf"), row
        assert 0.0 < row.ask_size < float("inf"), row


def counted(driven: Driven, start: str) -> int:
    """Return what the counters stand at whose names begin so."""
    found = driven.counted.items()
    return sum(count for name, count in found if name.startswith(start))
