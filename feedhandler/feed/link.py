"""The connection of a feed: opened, watched, ended with a label, opened again.

      wait ──▶ connecting ──▶ open ──▶ ended ──▶ wait …
                   └───── failed ────────┘

Owns the loop over sessions and all that happens between two of them: back-off, session
numbers, the link word, counters, log and audit lines. What may happen inside a session
is the session's business; this module carries bytes and time to it.
"""

from __future__ import annotations

import asyncio
import functools
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from feedhandler import log
from feedhandler.book.trades import TradeFilter
from feedhandler.events import Event
from feedhandler.feed import labels
from feedhandler.feed.counters import Counters
from feedhandler.feed.directory import Directory
from feedhandler.feed.labels import Ending, ending
from feedhandler.feed.publisher import Publisher
from feedhandler.feed.session import Session
from feedhandler.feed.settings import MS, Settings
from feedhandler.transport.backoff import Backoff, StateFile
from feedhandler.transport.errors import TransportError
from feedhandler.transport.websocket import Closed, Connection, connect
from feedhandler.venues._base import Venue
from shm_layout import LINK_CONNECTING, LINK_DOWN, LINK_UP, OwnershipLost, Writer

DOWN_LINE_NS: Final = 10_000_000_000
MINUTE_NS: Final = 60_000_000_000
FORBIDDEN: Final = (401, 403)
OVERLOADED: Final = (1012, 1013)

Fail = Callable[[BaseException], None]


class Link:
    """One venue's connection, for the life of the process."""

    def __init__(
        self,
        venue: Venue,
        settings: Settings,
        directory: Directory,
        writer: Writer,
        publisher: Publisher,
        counters: Counters,
        backoff: Backoff,
        state_file: StateFile,
        fail: Fail,
    ) -> None:
        self._venue = venue
        self._settings = settings
        self._directory = directory
        self._writer = writer
        self._publisher = publisher
        self._counters = counters
        self._backoff = backoff
        self._state_file = state_file
        self._fail = fail
        self._trades: dict[str, TradeFilter] = {}
        self._has_markets = asyncio.Event()

        # The current connection.
        self._number = writer.session
        self._session: Session | None = None
        self._connection: Connection | None = None
        self._ended: asyncio.Future[Ending] | None = None
        self._pace_timer: asyncio.TimerHandle | None = None
        self._opened_ns: int | None = None
        self._is_healthy = False

        # What is said once in a session.
        self._is_subscribed_said = False
        self._is_quote_said = False

        # Over all connections.
        self.frames = 0
        self._frames_counted = 0
        self._connects: deque[int] = deque(maxlen=venue.limits.connects_per_minute)
        self._down_since_ns = time.monotonic_ns()
        self._down_said_ns = self._down_since_ns
        self._last_label = "-"

    async def run(self) -> None:
        """Keep a session open until cancelled, which is how a process ends it."""
        if not self._directory.indexes:
            log.event("waiting", reason="discovery")
            await self._has_markets.wait()
        await self._wait(self._backoff.remaining_ms(_wall_ms()), "restart")
        while True:
            await self._wait(self._budget_wait_ms(), "connects_per_minute")
            why = await self._run_session()
            await self._wait(self._account(why), why.label)

    def tick(self, now_ns: int, wall_ns: int) -> None:
        """Let the session look at its deadlines; called with each heartbeat."""
        session = self._session
        if session is not None:
            if self._connection is not None:
                session.heard(self._connection.recv_ns)
            self._apply(session, session.tick(now_ns, wall_ns), now_ns)
            self._say(session, now_ns)
        if session is None or not session.has_quote:
            self._say_down(now_ns)
        self._flush()

    def follow(self) -> None:
        """Subscribe what the directory has newly learnt."""
        self._publisher.set_indexes(self._directory.indexes)
        if self._directory.indexes:
            self._has_markets.set()
        if self._session is not None:
            self._note_trades()
            self._session.follow(self._directory.indexes)

    # --- One session ----------------------------------------------------------------

    async def _run_session(self) -> Ending:
        """Open a connection and stay until it ends; return why it did."""
        now_ns = time.monotonic_ns()
        self._number += 1
        self._publisher.session = self._number
        self._connects.append(now_ns)
        self._counters.add("connects")
        self._writer.set_link(LINK_CONNECTING, self._number)
        self._is_subscribed_said = self._is_quote_said = self._is_healthy = False
        self._opened_ns = None
        self._ended = asyncio.get_running_loop().create_future()
        self._note_trades()
        settings = self._settings
        self._session = Session(
            self._venue,
            self._directory.indexes,
            settings.options,
            settings.timing,
            self._trades,
            self._counters.add,
            now_ns,
            time.time_ns(),
        )
        try:
            self._connection = await connect(
                settings.ws_url,
                self._on_frame,
                frame_bytes_max=self._venue.limits.frame_bytes_max,
                open_timeout_s=settings.connect_timeout_s,
                is_insecure_allowed=settings.is_insecure_allowed,
            )
            self._opened(self._session, self._connection, now_ns)
            return await self._ended
        except TransportError as error:
            return _ending_of_error(error)
        except asyncio.CancelledError:
            log.event("session_end", label="shutdown", session=self._number)
            self._count_end("shutdown")
            raise
        finally:
            await self._leave()

    def _opened(self, session: Session, connection: Connection, began_ns: int) -> None:
        now_ns = time.monotonic_ns()
        self._opened_ns = now_ns
        # Bound to this session's end: it may come when the next one has begun.
        connection.closed.add_done_callback(
            functools.partial(_on_closed, ended=self._ended)
        )
        self._writer.set_link(LINK_UP, self._number)
        self._writer.stamp_stage("connected", now_ns)
        log.event("connected", session=self._number, ms=(now_ns - began_ns) // MS)
        self._apply(session, session.opened(now_ns, time.time_ns()), now_ns)

    async def _leave(self) -> None:
        """Turn every quote untradable, then let go of the connection."""
        self._writer.set_link(LINK_DOWN, self._number)
        if self._pace_timer is not None:
            self._pace_timer.cancel()
            self._pace_timer = None
        if self._session is not None:
            self._say_notes(self._session)
            self._flush()
        connection, self._connection = self._connection, None
        session, self._session = self._session, None
        if session is not None and session.has_quote:
            self._down_since_ns = time.monotonic_ns()
        if connection is not None:
            await connection.end()

    def _on_frame(self, frame: bytes | bytearray, recv_ns: int) -> None:
        """Carry one frame to the session and what it means to the publisher."""
        session = self._session
        if session is None:
            return
        self.frames += 1
        try:
            events = session.receive(frame, recv_ns)
            if events:
                self._publisher.publish(events, recv_ns)
        except OwnershipLost as error:
            self._fail(error)
        except Exception as error:  # noqa: BLE001 - one frame must not end the feed
            self._counters.add("rejected.handler")
            log.event("frame_handler_failed", error=error, frame=frame[:200])
        if session.ending is not None or not self._is_quote_said:
            self._after_frame(session, recv_ns)

    def _after_frame(self, session: Session, recv_ns: int) -> None:
        if session.has_quote and not self._is_quote_said:
            self._is_quote_said = True
            self._writer.stamp_stage("first_quote", time.monotonic_ns())
            log.event("first_quote", session=self._number, ms=self._open_ms(recv_ns))
        if session.ending is not None:
            self._finish(session.ending)

    def _apply(self, session: Session, events: Sequence[Event], now_ns: int) -> None:
        """Publish what a tick brought, send what is due, and see whether it ended."""
        if events:
            self._publisher.publish(events, now_ns)
        connection = self._connection
        if connection is not None:
            for text in session.take_outgoing():
                if connection.is_ending:
                    break  # how it ended is about to be told
                if not connection.send_now(text):
                    session.send_failed(text)
                    break
        if session.ending is not None:
            self._finish(session.ending)
        elif (due_ns := session.next_due_ns) is not None and self._pace_timer is None:
            delay_s = max(0, due_ns - now_ns) / 1e9
            loop = asyncio.get_running_loop()
            self._pace_timer = loop.call_later(delay_s, self._pace)

    def _pace(self) -> None:
        self._pace_timer = None
        self.tick(time.monotonic_ns(), time.time_ns())

    def _finish(self, why: Ending) -> None:
        if self._ended is not None and not self._ended.done():
            self._ended.set_result(why)

    def _note_trades(self) -> None:
        for symbol in self._directory.indexes:
            self._trades.setdefault(symbol, TradeFilter())

    # --- Between sessions -----------------------------------------------------------

    def _account(self, why: Ending) -> int:
        """Count, log and audit the end of a session; return the wait in ms."""
        now_ns = time.monotonic_ns()
        if self._has_been_healthy(now_ns):
            self._backoff.succeeded()
        wait_ms = self._backoff.failed(_wall_ms(), why.weight, why.retry_after_ns // MS)
        self._state_file.save(self._backoff.state)
        self._last_label = why.label
        log.event(
            "session_end",
            label=why.label,
            detail=why.detail,
            session=self._number,
            lasted_ms=self._open_ms(now_ns),
            retry_in_ms=wait_ms,
            failures=self._backoff.failures,
        )
        self._count_end(why.label)
        return wait_ms

    def _count_end(self, label: str) -> None:
        name = f"reconnects.{label}"
        self._counters.add(name)
        log.audit(
            venue=self._venue.name,
            reconnect_reason=label,
            count=self._counters.value(name),
            session=self._number,
            ts_ms=_wall_ms(),
        )

    def _open_ms(self, now_ns: int) -> int:
        return 0 if self._opened_ns is None else (now_ns - self._opened_ns) // MS

    def _has_been_healthy(self, now_ns: int) -> bool:
        """Tell whether the session has had data and lasted for long enough."""
        if self._opened_ns is None or not self._is_quote_said:
            return False
        return now_ns - self._opened_ns >= self._settings.healthy_ns

    def _budget_wait_ms(self) -> int:
        """Return the wait that the venue's limit of connects a minute asks for."""
        connects = self._connects
        if len(connects) < (connects.maxlen or 0):
            return 0
        return max(0, connects[0] + MINUTE_NS - time.monotonic_ns()) // MS

    async def _wait(self, wait_ms: int, reason: str) -> None:
        if wait_ms > 10_000:
            log.event("waiting", ms=wait_ms, reason=reason)
        if wait_ms > 0:
            await asyncio.sleep(wait_ms / 1_000)

    # --- Words and counts -----------------------------------------------------------

    def _say(self, session: Session, now_ns: int) -> None:
        self._say_notes(session)
        if session.is_subscribed and not self._is_subscribed_said:
            self._is_subscribed_said = True
            self._writer.stamp_stage("subscribed", now_ns)
            log.event("subscribed", session=self._number, ms=self._open_ms(now_ns))
        if not self._is_healthy and self._has_been_healthy(now_ns):
            self._is_healthy = True
            self._backoff.succeeded()
            self._state_file.save(self._backoff.state)

    def _say_notes(self, session: Session) -> None:
        notes, session.notes = session.notes, []
        for name, facts in notes:
            log.event(name, **facts)

    def _say_down(self, now_ns: int) -> None:
        if now_ns - self._down_said_ns >= DOWN_LINE_NS:
            self._down_said_ns = now_ns
            log.event(
                "down",
                ms=(now_ns - self._down_since_ns) // MS,
                failures=self._backoff.failures,
                session=self._number,
                last=self._last_label,
            )

    def _flush(self) -> None:
        self._publisher.flush()
        if fresh := self.frames - self._frames_counted:
            self._counters.add("frames", fresh)
            self._frames_counted = self.frames


def _on_closed(
    closed: asyncio.Future[Closed], ended: asyncio.Future[Ending] | None
) -> None:
    how = closed.result()
    if ended is not None and not ended.done():
        weight = labels.WEIGHT_OVERLOADED if how.code in OVERLOADED else 1
        ended.set_result(Ending(how.label, how.detail, weight))


def _ending_of_error(error: TransportError) -> Ending:
    why = ending(error.label, str(error), error.retry_after_s * 1_000_000_000)
    if error.status in FORBIDDEN:
        return Ending(why.label, why.detail, labels.WEIGHT_FORBIDDEN)
    return why


def _wall_ms() -> int:
    return time.time_ns() // MS
