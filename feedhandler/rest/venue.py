"""One venue as the REST process asks it: what is due, and what comes of each request.

    due ─▶ paced ─▶ request ─▶ image ─▶ valid ─▶ published
                       │          └── failure or discard: counted
                       └── a host that fails is left alone, with full jitter

Owns the venue's requests. They wait neither for another venue's nor, up to a number at
once, for each other.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from feedhandler import log
from feedhandler.codec.frame import FrameError
from feedhandler.config import RestConfig
from feedhandler.rest import board as board_words
from feedhandler.rest.board import Board, kind_of, problem_code
from feedhandler.rest.due import (
    AUDIT,
    FALLBACK,
    SELF_CHECK,
    Timing,
    Watch,
    first_audit_ns,
)
from feedhandler.rest.markets import Markets
from feedhandler.rest.streams import Streams
from feedhandler.rest.validate import Discard, History, top_of
from feedhandler.transport.backoff import Backoff
from feedhandler.transport.errors import TransportError
from feedhandler.transport.gcra import Account, Pace
from feedhandler.venue_host import VenueHost
from feedhandler.venues._base import Market

TICK_S: Final = 0.05
REQUESTS_MAX: Final = 4  # at once; a client keeps as many connections to a host
MARKETS_NS: Final = 1_000_000_000  # how often the kept discovery is looked at
MS: Final = 1_000_000

Fail = Callable[[BaseException], None]


@dataclass(slots=True)
class Asked:
    """One instrument of the venue."""

    market: Market
    index: int  # in our segment
    watch: Watch
    history: History
    backoff: Backoff


class VenueAsker:
    """Asks one venue, for as long as its task runs."""

    def __init__(
        self,
        markets: Markets,
        host: VenueHost,
        config: RestConfig,
        timing: Timing,
        board: Board,
        streams: Streams,
        fail: Fail,
    ) -> None:
        self.name = markets.venue.name
        self._venue = markets.venue
        self._markets = markets
        self._host = host
        self._config = config
        self._timing = timing
        self._board = board
        self._streams = streams
        self._fail = fail
        self._start_ns = time.monotonic_ns()

        # What is followed, by the name of the instrument.
        self._asked: dict[str, Asked] = {}
        self._markets_ns: int | None = None

        # How fast: half of what the venue allows, the rest is for feeds and people.
        half = max(2, self._venue.limits.rest_weight_per_minute // 2)
        self._pace = Pace(half, max(1, half // 4))
        self._account = Account()
        self._backoff = self._new_backoff()
        self._wait_until_ns = 0
        self._failed_ns = 0
        self._failed_kind = ""  # what was logged last

        self._is_checked = False
        self._requests: set[asyncio.Task[None]] = set()
        self.ended_count = 0  # requests that ended: the process's progress

    async def run(self) -> None:
        """Ask until cancelled."""
        try:
            while True:
                self.step(time.monotonic_ns())
                await asyncio.sleep(TICK_S)
        finally:
            for request in self._requests:
                request.cancel()
            await asyncio.gather(*self._requests, return_exceptions=True)
            await self._host.close()

    def step(self, now_ns: int) -> None:
        """Begin the requests that are due at `now_ns`."""
        if self._markets_ns is None or now_ns - self._markets_ns >= MARKETS_NS:
            self._markets_ns = now_ns
            if self._markets.refresh():
                self._follow(now_ns)
        for asked, purpose in self._due(now_ns):
            if len(self._requests) >= REQUESTS_MAX or now_ns < self._wait_until_ns:
                return
            request = self._venue.snapshot_request(asked.market)
            if self._account.take(self._pace, request.weight, now_ns) > 0:
                return
            self._board.count(self.name, "rest_check")
            asked.watch.begin(now_ns)
            task = asyncio.create_task(self._ask(asked, purpose))
            self._requests.add(task)
            task.add_done_callback(self._on_done)

    # --- What is due ----------------------------------------------------------------

    def _due(self, now_ns: int) -> list[tuple[Asked, str]]:
        """Return what is due, an audit last, else who waited longest first."""
        due = []
        fallback = 0
        for asked in self._asked.values():
            watch = asked.watch
            was_fallback = watch.is_fallback
            stream = self._streams.read(self.name, asked.market.instrument, now_ns)
            purpose = watch.look(now_ns, stream)
            if watch.is_fallback != was_fallback:
                self._note_move(asked, watch.age_ns(now_ns, stream))
            fallback += watch.is_fallback
            if purpose:
                due.append((asked, purpose))
        self._board.set(self.name, "fallback", fallback)
        if not self._is_checked and not due and not self._requests:
            due = self._self_check(now_ns)
        due.sort(key=lambda one: (one[1] == AUDIT, one[0].watch.asked_ns or 0))
        return due

    def _self_check(self, now_ns: int) -> list[tuple[Asked, str]]:
        """Return the first market, to see that its endpoint answers as it should."""
        for asked in self._asked.values():
            if asked.watch.is_free(now_ns):
                return [(asked, SELF_CHECK)]
        return []

    def _note_move(self, asked: Asked, age_ns: int) -> None:
        is_in = asked.watch.is_fallback
        self._board.count(self.name, "entered" if is_in else "left")
        log.event(
            "fallback" if is_in else "fallback_left",
            venue=self.name,
            instrument=asked.market.instrument,
            stream_age_ms=age_ns // MS,
        )

    def _follow(self, now_ns: int) -> None:
        """Follow the markets as they are known now; what stays keeps its history."""
        entries, askable = self._markets.entries(self._config.poll_ms)
        indexes = self._board.enter(self.name, entries)
        known, self._asked = self._asked, {}
        for number, (entry, index) in enumerate(zip(entries, indexes, strict=True)):
            market = askable.get(entry.instrument)
            if market is None:
                continue
            asked = known.get(entry.instrument)
            if asked is None:
                audit_ns = first_audit_ns(self._timing, now_ns, number, len(entries))
                asked = Asked(
                    market,
                    index,
                    Watch(self._timing, self._start_ns, audit_ns),
                    History(*self._board.last(index)),
                    self._new_backoff(),
                )
            asked.market = market
            self._asked[entry.instrument] = asked

    def _new_backoff(self) -> Backoff:
        config = self._config
        return Backoff(config.backoff_first_ms, config.backoff_max_ms, random.random)

    # --- A request ------------------------------------------------------------------

    async def _ask(self, asked: Asked, purpose: str) -> None:
        start_ns = time.monotonic_ns()
        before = self._streams.read(self.name, asked.market.instrument, start_ns)
        self._board.count(self.name, "attempt")
        problem, wait_ms, is_answered = "", 0, True
        try:
            request = self._venue.snapshot_request(asked.market)
            answer = await self._host.fetch(request, self._config.timeout_ms / 1_000)
            self._backoff.succeeded()
            image = self._venue.parse_snapshot(
                asked.market, answer.body, time.time_ns()
            )
            top = top_of(image)
            self._board.count(self.name, "success")
            asked.history.check(
                image, purpose, start_ns, answer.date_s, before.event_ns
            )
            self._refuse_late(asked, purpose, start_ns)
            self._board.publish(
                asked.index, top, image.event_ns, image.sequence, start_ns
            )
            self._board.count(self.name, "inject")
            asked.history.note(image, start_ns, answer.date_s)
            asked.backoff.succeeded()
            self._failed_kind = ""
        except TransportError as error:
            problem, is_answered = kind_of(error), False
            self._board.count(self.name, f"fail.{problem}")
            self._host_failed(problem, error, start_ns)
        except FrameError as error:
            problem, is_answered = kind_of(error), False
            place = "discarded" if problem == "symbol" else "fail"
            self._board.count(self.name, f"{place}.{problem}")
            wait_ms = asked.backoff.failed(0)
            self._log_once(problem, error, wait_ms)
        except Discard as error:
            problem = error.reason
            self._board.count(self.name, f"discarded.{problem}")
        end_ns = time.monotonic_ns()
        self._board.time_answer(self.name, end_ns - start_ns)
        asked.watch.end(end_ns, is_answered=is_answered, wait_ns=wait_ms * MS)
        self._note_check(problem)

    def _refuse_late(self, asked: Asked, purpose: str, start_ns: int) -> None:
        if purpose != FALLBACK:
            return  # it is wanted beside the stream
        now_ns = time.monotonic_ns()
        stream = self._streams.read(self.name, asked.market.instrument, now_ns)
        if stream.apply_ns >= start_ns:
            raise Discard("late", "the stream is back")

    def _host_failed(self, kind: str, error: TransportError, start_ns: int) -> None:
        """Leave the whole host alone for a while."""
        now_ns = time.monotonic_ns()
        asked_ms = error.retry_after_s * 1_000
        if kind == "rate_limited" or start_ns < self._failed_ns:
            # Nothing was sent, and our account says when; or it was under way when
            # another failed, so it is no failure in a row.
            wait_ms = asked_ms
        else:
            self._failed_ns = now_ns
            wait_ms = self._backoff.failed(0, retry_after_ms=asked_ms)
        self._wait_until_ns = max(self._wait_until_ns, now_ns + wait_ms * MS)
        self._log_once(kind, error, wait_ms)

    def _log_once(self, kind: str, error: Exception, wait_ms: int) -> None:
        """Log a failure of another kind than the last one; the counters tell all."""
        if kind != self._failed_kind:
            self._failed_kind = kind
            log.event(
                "rest_failed",
                venue=self.name,
                kind=kind,
                error=error,
                retry_in_ms=wait_ms,
            )

    def _note_check(self, problem: str) -> None:
        """Keep what the first answers say of the endpoint."""
        if self._is_checked or problem == "rate_limited":
            return
        # An answer that is only no news came from an endpoint that works.
        is_sound = problem in ("", "older", "frozen", "late")
        self._is_checked = is_sound
        code = board_words.SOUND if is_sound else problem_code(problem)
        self._board.set(self.name, "self_check", code)
        if is_sound:
            log.event("self_check", venue=self.name, result="ok")

    def _on_done(self, task: asyncio.Task[None]) -> None:
        self._requests.discard(task)
        self.ended_count += 1
        if not task.cancelled() and (error := task.exception()) is not None:
            self._fail(error)
