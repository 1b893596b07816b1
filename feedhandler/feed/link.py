"""The connection of a feed: opened, watched, ended with a label, opened again.

      wait ──▶ connecting ──▶ open ──▶ ended ──▶ wait …
                   │           │ near its limit: a successor opens in the
                   │           ▼ shade, and takes over once it has every quote
                   └─ failed ─▶ …

Owns the loop over sessions and all that happens between two of them: back-off, session
numbers, the link word, counters, log and audit lines. What may happen inside a session
is the session's business.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any, Final

from feedhandler import log
from feedhandler.book.trades import TradeFilter
from feedhandler.feed import labels
from feedhandler.feed.carrier import Carrier, Fail
from feedhandler.feed.counters import Counters
from feedhandler.feed.directory import Directory
from feedhandler.feed.fetcher import Fetcher
from feedhandler.feed.labels import Ending, ending
from feedhandler.feed.orders import Orders
from feedhandler.feed.publisher import Publisher
from feedhandler.feed.retries import Retries
from feedhandler.feed.session import Session
from feedhandler.feed.settings import MS, Settings
from feedhandler.transport.budget import Budget
from feedhandler.transport.errors import TransportError
from feedhandler.venues._base import Venue
from shm_layout import (
    COMMAND_NAMES,
    COMMAND_RECONNECT,
    INSTRUMENT_ALL,
    LINK_CONNECTING,
    LINK_DOWN,
    LINK_UP,
    RESULT_BUSY,
    RESULT_DONE,
    RESULT_LATE,
    RESULT_UNKNOWN,
    Command,
    Writer,
)
from shm_layout.codes import REASON_NAMES, TIME_NONE
from shm_layout.schema import QUOTE

FORBIDDEN: Final = (401, 403)
# A successor is opened before a session reaches its limit: a tenth, at most this.
SUCCESSOR_LEAD_NS: Final = 120_000_000_000
SUCCESSOR_LEAD_NS_MIN: Final = 1_000_000_000
SUCCESSOR_TRIES: Final = 4
SUCCESSOR_LOOK_NS: Final = 20_000_000

_EVENT_NS: Final = [field.name for field in QUOTE.fields].index("event_ns")


class Link:
    """One venue's connections, for the life of the process."""

    def __init__(
        self,
        venue: Venue,
        settings: Settings,
        directory: Directory,
        writer: Writer,
        publisher: Publisher,
        counters: Counters,
        retries: Retries,
        fetcher: Fetcher,
        orders: Orders,
        connects: Budget,
        messages: Budget | None,
        fail: Fail,
    ) -> None:
        self._venue = venue
        self._settings = settings
        self._directory = directory
        self._writer = writer
        self._publisher = publisher
        self._counters = counters
        self._retries = retries
        self._fetcher = fetcher
        self._orders = orders
        self._connects = connects
        self._messages = messages
        self._fail = fail
        self._trades: dict[str, TradeFilter] = {}
        self._has_markets = asyncio.Event()

        # The carrier that is shown, and its successor while it is in the shade.
        self._number = writer.session
        self._shown: Carrier | None = None
        self._successor: Carrier | None = None

        # What is said once of each carrier that is shown.
        self._is_subscribed_said = False

        # Over all connections.
        self._frames_before = 0
        self._frames_counted = 0

    @property
    def frames(self) -> int:
        """The frames received so far."""
        return self._frames_before + sum(each.frames for each in self._carriers())

    async def run(self) -> None:
        """Keep a session open until cancelled, which is how a process ends it."""
        if not self._directory.indexes:
            log.event("waiting", reason="discovery")
            await self._has_markets.wait()
        await self._wait(self._retries.remaining_ms(), "restart")
        while True:
            await self._wait_for_budget()
            carrier, why = await self._run_session()
            # The end itself was said with its delay; a long one is worth two lines.
            wait_ms = self._retries.ended(carrier, why)
            await self._wait(wait_ms, why.label, said_ms=10_000)

    def tick(self, now_ns: int, wall_ns: int) -> None:
        """Let the sessions look at their deadlines; called with each heartbeat."""
        if (order := self._orders.take(now_ns)) is not None:
            result = self._obey(order, now_ns)
            self._orders.acknowledge(order, result, now_ns)
        for carrier in self._carriers():
            carrier.tick(now_ns, wall_ns)
            self._say(carrier, now_ns)
            for symbol in carrier.session.take_wanted_images(now_ns):
                if (market := self._directory.markets.get(symbol)) is not None:
                    self._fetcher.fetch_image(carrier, market)
        shown = self._shown
        if shown is None or not shown.session.has_quote:
            self._retries.say_down(now_ns, self._number)
        else:
            self._retries.note_up(now_ns)
        self._flush()

    def follow(self) -> None:
        """Subscribe what the directory has newly learnt."""
        self._publisher.set_indexes(self._directory.indexes)
        if self._directory.indexes:
            self._has_markets.set()
        self._note_trades()
        for carrier in self._carriers():
            carrier.session.follow(self._directory.markets)

    def _obey(self, order: Command, now_ns: int) -> int:
        """Carry out an order of the runner; return RESULT_*."""
        log.event("order", verb=COMMAND_NAMES[order.verb], instrument=order.instrument)
        shown = self._shown
        if shown is None or shown.opened_ns is None:
            return RESULT_BUSY  # between two sessions, as the back-off wants it
        if order.issued_ns < shown.opened_ns:
            return RESULT_LATE
        if order.verb == COMMAND_RECONNECT:
            shown.end(ending("enforcer", REASON_NAMES.get(order.reason, "")))
            return RESULT_DONE
        symbols = [
            symbol
            for symbol, index in self._directory.indexes.items()
            if order.instrument in (index, INSTRUMENT_ALL)
        ]
        for symbol in symbols:
            shown.apply(shown.session.resubscribe(symbol, now_ns), now_ns)
        return RESULT_DONE if symbols else RESULT_UNKNOWN

    # --- One session, and the next one in its shade ---------------------------------

    async def _run_session(self) -> tuple[Carrier, Ending]:
        """Open a connection and stay until it ends; return the last one, and why.

        A session that reaches its limit hands over to another one without a gap.
        """
        carrier = self._make_carrier()
        self._publisher.begin(carrier.number)
        self._writer.set_link(LINK_CONNECTING, carrier.number)
        self._is_subscribed_said = False
        self._shown = carrier
        try:
            await self._open(carrier)
            self._writer.set_link(LINK_UP, carrier.number)
            self._writer.stamp_stage("connected", time.monotonic_ns())
            while True:
                successor = await self._watch(self._shown)
                if successor is None:
                    return self._shown, self._shown.ended.result()
                await self._hand_over(self._shown, successor)
        except TransportError as error:
            self._penalize(error)
            return carrier, _ending_of_error(error)
        except asyncio.CancelledError:
            log.event("session_end", label="shutdown", session=self._number)
            self._retries.count("shutdown", self._shown.number)
            raise
        finally:
            await self._leave()

    async def _watch(self, carrier: Carrier) -> Carrier | None:
        """Wait for the end of a carrier; return its successor if that comes first."""
        assert carrier.opened_ns is not None
        limit_ns = self._settings.timing.session_limit_ns
        lead_ns = max(limit_ns // 10, min(SUCCESSOR_LEAD_NS_MIN, limit_ns // 2))
        lead_ns = min(lead_ns, SUCCESSOR_LEAD_NS)
        due_ns = carrier.opened_ns + limit_ns - lead_ns
        for _ in range(SUCCESSOR_TRIES):
            wait_s = max(0, due_ns - time.monotonic_ns()) / 1e9
            await asyncio.wait([carrier.ended], timeout=wait_s)
            if carrier.ended.done():
                return None
            due_ns = time.monotonic_ns() + lead_ns // SUCCESSOR_TRIES
            successor = await self._try_successor(carrier, due_ns)
            if successor is not None:
                return successor
        await carrier.ended
        return None

    async def _try_successor(self, carrier: Carrier, due_ns: int) -> Carrier | None:
        """Open a successor in the shade; return it once it could be shown."""
        if self._connects.take(1, time.monotonic_ns()):
            return None
        successor = self._successor = self._make_carrier(is_shade=True)
        try:
            await self._open_beside(successor, carrier)
            while not (successor.ended.done() or carrier.ended.done()):
                left_ns = due_ns - time.monotonic_ns()
                if successor.is_ready and not self._is_behind(successor):
                    return successor
                if left_ns <= 0:
                    break
                ends = [successor.ended, carrier.ended]
                await asyncio.wait(
                    ends,
                    timeout=min(left_ns, SUCCESSOR_LOOK_NS) / 1e9,
                    return_when=asyncio.FIRST_COMPLETED,
                )
            log.event("successor_failed", session=successor.number, reason="not ready")
        except TransportError as error:
            self._penalize(error)
            log.event("successor_failed", session=successor.number, error=error)
        await self._drop_successor()
        return None

    def _is_behind(self, successor: Carrier) -> bool:
        """Tell whether what is shown of any market is newer than what was held back."""
        for symbol, event_ns in successor.held_times():
            index = self._directory.indexes.get(symbol)
            record = None if index is None else self._writer.read_slot(index)
            if record is not None and event_ns != TIME_NONE:
                if QUOTE.struct.unpack(record)[_EVENT_NS] > event_ns:
                    return True
        return False

    async def _hand_over(self, carrier: Carrier, successor: Carrier) -> None:
        """Show the successor: its quotes first, then its number, in one turn."""
        self._publisher.begin(successor.number)
        for event, recv_ns in successor.show():
            self._publisher.publish((event,), recv_ns)
        self._writer.set_link(LINK_UP, successor.number)
        self._shown, self._successor = successor, None
        self._frames_before += carrier.frames
        log.event("handed_over", session=carrier.number, successor=successor.number)
        self._retries.count("session_timeout", carrier.number)
        await carrier.close()

    async def _drop_successor(self) -> None:
        carrier, self._successor = self._successor, None
        if carrier is not None:
            self._frames_before += carrier.frames
            await carrier.close()

    def _make_carrier(self, *, is_shade: bool = False) -> Carrier:
        self._number += 1
        self._note_trades()
        return Carrier(
            self._number,
            self._venue,
            self._settings,
            self._directory.markets,
            self._trades,
            self._messages,
            self._counters,
            self._publisher.publish,
            self._said_quote,
            self._fail,
            is_shade=is_shade,
        )

    async def _open(self, carrier: Carrier) -> None:
        began_ns = time.monotonic_ns()
        self._counters.add("connects")
        await carrier.open()
        took_ms = (time.monotonic_ns() - began_ns) // MS
        log.event("connected", session=carrier.number, ms=took_ms)

    async def _open_beside(self, successor: Carrier, carrier: Carrier) -> None:
        """Open a successor, and give it up when the one that is shown ends first."""
        opening = asyncio.create_task(self._open(successor))
        ends: list[asyncio.Future[Any]] = [opening, carrier.ended]
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            if not opening.done():
                opening.cancel()
                await asyncio.wait([opening])
        if not opening.cancelled():
            opening.result()

    async def _leave(self) -> None:
        """Turn every quote untradable, then let go of the connections."""
        carrier, self._shown = self._shown, None
        assert carrier is not None
        self._writer.set_link(LINK_DOWN, carrier.number)
        self._say_notes(carrier.session)
        self._frames_before += carrier.frames
        self._flush()
        await self._drop_successor()
        await carrier.close()

    def _carriers(self) -> list[Carrier]:
        return [each for each in (self._shown, self._successor) if each is not None]

    def _said_quote(self, carrier: Carrier) -> None:
        if not carrier.is_shade:
            self._writer.stamp_stage("first_quote", time.monotonic_ns())
        log.event("first_quote", session=carrier.number, ms=carrier.open_ms)

    def _note_trades(self) -> None:
        for symbol in self._directory.indexes:
            self._trades.setdefault(symbol, TradeFilter())

    # --- Between sessions -----------------------------------------------------------

    def _penalize(self, error: TransportError) -> None:
        """Tell every process of this host what the venue's host asked one of us."""
        if error.penalty_s:
            now_ns = time.monotonic_ns()
            self._connects.penalize(now_ns + error.penalty_s * 1_000_000_000, now_ns)

    async def _wait_for_budget(self) -> None:
        """Wait until one more connect is within what the host grants an address."""
        while wait_ns := self._connects.take(1, time.monotonic_ns()):
            await self._wait(-(-wait_ns // MS), "connects_per_minute")

    async def _wait(self, wait_ms: int, reason: str, said_ms: int = 1_000) -> None:
        if wait_ms > said_ms:
            log.event("waiting", ms=wait_ms, reason=reason)
        if wait_ms > 0:
            await asyncio.sleep(wait_ms / 1_000)

    # --- Words and counts -----------------------------------------------------------

    def _say(self, carrier: Carrier, now_ns: int) -> None:
        self._say_notes(carrier.session)
        if carrier is not self._shown:
            return
        if carrier.session.is_subscribed and not self._is_subscribed_said:
            self._is_subscribed_said = True
            self._writer.stamp_stage("subscribed", now_ns)
            log.event("subscribed", session=carrier.number, ms=carrier.open_ms)
        self._retries.note_health(carrier)

    def _say_notes(self, session: Session) -> None:
        for name, facts in session.take_notes():
            log.event(name, **facts)

    def _flush(self) -> None:
        self._publisher.flush()
        if fresh := self.frames - self._frames_counted:
            self._counters.add("frames", fresh)
            self._frames_counted = self.frames


def _ending_of_error(error: TransportError) -> Ending:
    why = ending(error.label, str(error), error.retry_after_s * 1_000_000_000)
    if error.status in FORBIDDEN:
        return Ending(why.label, why.detail, labels.WEIGHT_FORBIDDEN)
    return why
