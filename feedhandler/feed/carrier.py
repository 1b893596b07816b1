"""One connection and its session: bytes and time in, events and frames out.

      open ──▶ frames ─▶ session ─▶ published, or held back while in the shade
                 ticks ─▶ session ─▶ frames sent
      ended: a future with the reason

Owns one connection from its opening to its end, be it a socket or a bundle of them. A
carrier in the shade runs beside the one
that is shown: its quotes are held back, the newest of each symbol, until it takes over;
its trades and funding are not, because each of them counts once whoever brought it.
"""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from feedhandler import log
from feedhandler.book.trades import TradeFilter
from feedhandler.events import DisputeEvent, Event, QuoteEvent, SyncingEvent
from feedhandler.feed import labels
from feedhandler.feed.counters import Counters
from feedhandler.feed.labels import Ending, ending
from feedhandler.feed.session import Session
from feedhandler.feed.settings import MS, Settings
from feedhandler.transport.budget import Budget
from feedhandler.transport.bundle import Bundle, connect_all
from feedhandler.transport.websocket import Closed, Connection, OnFrame, connect
from feedhandler.venues._base import Market, Venue
from shm_layout import OwnershipLost

OVERLOADED: Final = (1012, 1013)
# Frames in a row that our own code failed on: it will not do better with the next.
FAULTS_MAX: Final = 10

Publish = Callable[[Sequence[Event], int], None]
Fail = Callable[[BaseException], None]


class Carrier:
    """A connection that was or will be opened once, under one session number."""

    def __init__(
        self,
        number: int,
        venue: Venue,
        settings: Settings,
        markets: Mapping[str, Market],
        trades: Mapping[str, TradeFilter],
        messages: Budget | None,
        counters: Counters,
        publish: Publish,
        said_quote: Callable[[Carrier], None],
        fail: Fail,
        *,
        is_shade: bool = False,
    ) -> None:
        self.number = number
        self._venue = venue
        self._settings = settings
        self._counters = counters
        self._publish = publish
        self._said_quote = said_quote
        self._fail = fail
        self.session = Session(
            venue,
            markets,
            settings.options,
            settings.timing,
            trades,
            counters.add,
            time.monotonic_ns(),
            time.time_ns(),
            pace=None if messages is None else functools.partial(messages.take, 1),
        )

        # The connection and how it ended.
        self._connection: Connection | Bundle | None = None
        self._pace_timer: asyncio.TimerHandle | None = None
        self.opened_ns: int | None = None
        self.ended: asyncio.Future[Ending] = asyncio.get_running_loop().create_future()

        # The shade: the newest quote of each symbol, or the doubt that followed it.
        self.is_shade = is_shade
        self._held: dict[str, tuple[Event, int]] = {}
        self.frames = 0
        self._faults = 0
        self.first_quote_ns: int | None = None

    @property
    def is_ready(self) -> bool:
        """Whether every symbol has its quote, so that it could be shown."""
        return self.session.is_whole and not self.ended.done()

    @property
    def open_ms(self) -> int:
        """For how long it has been open."""
        if self.opened_ns is None:
            return 0
        return (time.monotonic_ns() - self.opened_ns) // MS

    async def open(self) -> None:
        """Open the connection; raise `TransportError` when it cannot be."""
        connection = await self._connect()
        now_ns = time.monotonic_ns()
        self._connection = connection
        # Bound to this carrier's end: it may come when the next one has begun.
        connection.closed.add_done_callback(
            functools.partial(_on_closed, ended=self.ended)
        )
        self._apply(self.session.opened(now_ns, time.time_ns()), now_ns)
        self.opened_ns = now_ns

    async def _connect(self) -> Connection | Bundle:
        settings = self._settings
        open_one = functools.partial(
            connect,
            frame_bytes_max=self._venue.limits.frame_bytes_max,
            open_timeout_s=settings.connect_timeout_s,
            headers=dict(settings.headers),
            is_insecure_allowed=settings.is_insecure_allowed,
        )
        if not self.session.streams:
            return await open_one(settings.ws_url, self._on_frame)
        streams: dict[str, OnFrame] = {
            self._venue.stream_url(settings.ws_url, topic): functools.partial(
                self._on_stream_frame, topic
            )
            for topic in self.session.streams
        }
        return await connect_all(streams, open_one, settings.connect_timeout_s)

    def tick(self, now_ns: int, wall_ns: int) -> None:
        """Let the session look at its deadlines."""
        connection = self._connection
        if connection is not None:
            self.session.heard(connection.recv_ns)
        self._apply(self.session.tick(now_ns, wall_ns), now_ns)
        if isinstance(connection, Bundle):
            # The session hears them all: which of them is silent it cannot know.
            quiet_ns = now_ns - connection.recv_ns
            if quiet_ns >= self._settings.timing.read_timeout_ns:
                self.end(ending("read_timeout", "a socket is silent"))

    def apply(self, events: Sequence[Event], now_ns: int) -> None:
        """Take what an image by REST, or an order, made of the session."""
        self._apply(events, now_ns)

    def held_times(self) -> list[tuple[str, int]]:
        """Return the symbol and the venue's time of each quote held back."""
        held = [event for event, _ in self._held.values()]
        return [
            (event.symbol, event.event_ns)
            for event in held
            if isinstance(event, QuoteEvent)
        ]

    def show(self) -> list[tuple[Event, int]]:
        """Step out of the shade; return what was held back, with its receive time."""
        self.is_shade = False
        held = list(self._held.values())
        self._held.clear()
        return held

    def end(self, why: Ending) -> None:
        """End it from outside; the first reason stays."""
        if not self.ended.done():
            self.ended.set_result(why)

    async def close(self) -> None:
        """Let go of the connection within a second."""
        if self._pace_timer is not None:
            self._pace_timer.cancel()
            self._pace_timer = None
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.end()

    def _on_stream_frame(
        self, topic: str, frame: bytes | bytearray, recv_ns: int
    ) -> None:
        """Carry one frame of a bundle, whose socket alone tells its topic."""
        self.session.turn_to(topic)
        self._on_frame(frame, recv_ns)

    def _on_frame(self, frame: bytes | bytearray, recv_ns: int) -> None:
        """Carry one frame to the session and what it means to the publisher."""
        session = self.session
        self.frames += 1
        try:
            events = session.receive(frame, recv_ns)
            if events:
                if self.is_shade:
                    events = self._hold(events, recv_ns)
                self._publish(events, recv_ns)
        except OwnershipLost as error:
            self._fail(error)
        except Exception as error:  # noqa: BLE001 - one frame must not end the feed
            self._faults += 1
            if self._faults >= FAULTS_MAX:
                self._fail(error)
            self._counters.add("rejected.handler")
            log.event("frame_handler_failed", error=error, frame=bytes(frame[:200]))
        else:
            self._faults = 0
        if session.ending is not None or self.first_quote_ns is None:
            self._look()

    def _look(self) -> None:
        """See whether the first quote has come, or the end."""
        session = self.session
        # A bundle has quotes before the last of its sockets is open: they wait for it.
        is_said = self.first_quote_ns is not None or self.opened_ns is None
        if not is_said and session.has_quote:
            self.first_quote_ns = time.monotonic_ns()
            self._said_quote(self)
        if session.ending is not None:
            self.end(session.ending)

    def _apply(self, events: Sequence[Event], now_ns: int) -> None:
        """Publish what a tick brought, send what is due, and see whether it ended."""
        session = self.session
        if events:
            if self.is_shade:
                events = self._hold(events, now_ns)
            self._publish(events, now_ns)
        connection = self._connection
        if connection is not None:
            for text in session.take_outgoing():
                if connection.is_ending:
                    break  # how it ended is about to be told
                if not connection.send_now(text):
                    session.send_failed(text)
                    break
        self._look()
        due_ns = session.next_due_ns
        if due_ns is not None and self._pace_timer is None:
            delay_s = max(0, due_ns - now_ns) / 1e9
            loop = asyncio.get_running_loop()
            self._pace_timer = loop.call_later(delay_s, self._pace)

    def _pace(self) -> None:
        self._pace_timer = None
        self.tick(time.monotonic_ns(), time.time_ns())

    def _hold(self, events: Sequence[Event], recv_ns: int) -> list[Event]:
        """Keep the newest word on each symbol; return what need not wait."""
        passed: list[Event] = []
        for event in events:
            if isinstance(event, QuoteEvent | SyncingEvent | DisputeEvent):
                self._held[event.symbol] = (event, recv_ns)
            else:
                passed.append(event)
        return passed


def _on_closed(closed: asyncio.Future[Closed], ended: asyncio.Future[Ending]) -> None:
    how = closed.result()
    if not ended.done():
        weight = labels.WEIGHT_OVERLOADED if how.code in OVERLOADED else 1
        ended.set_result(Ending(how.label, how.detail, weight))
