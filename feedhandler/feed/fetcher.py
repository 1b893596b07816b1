"""What a feed asks the venue's REST host for: its markets, images, and funding.

    discovery ─▶ markets         each request takes its weight from the budget of the
    image     ─▶ a session       host first, ends by a deadline, and is counted
    funding   ─▶ the publisher

Owns the requests of one feed process. Nothing else in the process ever waits for one: a
feed that knows its markets lives without REST.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from typing import Final

from feedhandler import log
from feedhandler.codec.frame import FrameError
from feedhandler.events import Event
from feedhandler.feed.carrier import Carrier
from feedhandler.feed.counters import Counters
from feedhandler.feed.directory import Directory
from feedhandler.feed.settings import Settings
from feedhandler.transport.budget import Budget
from feedhandler.transport.errors import TransportError
from feedhandler.venue_host import VenueHost
from feedhandler.venues._base import Market, RestRequest, Venue

DISCOVERY_TIMEOUT_S: Final = 10.0
IMAGE_TIMEOUT_S: Final = 5.0
FUNDING_TIMEOUT_S: Final = 5.0
RETRY_S: Final = 5.0
RETRY_S_MAX: Final = 60.0
IMAGES_AT_ONCE: Final = 4
SECOND_NS: Final = 1_000_000_000

FAILURES: Final = (TransportError, FrameError)

Publish = Callable[[Sequence[Event], int], None]
Fail = Callable[[BaseException], None]


class _Poll:
    """When the funding of one market is asked for next."""

    def __init__(self) -> None:
        self.due_s = 0.0
        self.attempt = 0

    def failed(self, asked_s: int) -> float:
        """Return how long to wait: 5 s doubling to 60 s, or what the host asked."""
        longest_s = min(RETRY_S * 2.0**self.attempt, RETRY_S_MAX)
        wait_s = max(longest_s, asked_s) * random.uniform(0.5, 1.0)
        self.attempt += 1
        self.due_s = time.monotonic() + wait_s
        return wait_s

    def succeeded(self, poll_s: float) -> None:
        """Start again with the regular interval."""
        self.attempt = 0
        self.due_s = time.monotonic() + poll_s


class Fetcher:
    """The REST requests of one feed process."""

    def __init__(
        self,
        venue: Venue,
        settings: Settings,
        budget: Budget,
        counters: Counters,
        fail: Fail,
    ) -> None:
        self._venue = venue
        self._counters = counters
        self._fail = fail
        self._per_minute = budget.pace.per_minute
        self._host = VenueHost(
            settings.rest_url,
            dict(settings.headers),
            budget,
            is_insecure_allowed=settings.is_insecure_allowed,
        )
        self._turn = asyncio.Semaphore(IMAGES_AT_ONCE)
        self._tasks: set[asyncio.Task[None]] = set()

    async def close(self) -> None:
        """Give up what is under way and let go of the connections."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._host.close()

    async def fetch_markets(self) -> tuple[list[bytes], bool]:
        """Return the answers to the venue's discovery, and whether none is missing."""
        bodies = []
        is_whole = True
        for request in self._venue.discovery:
            try:
                bodies.append(await self._fetch(request, DISCOVERY_TIMEOUT_S))
            except TransportError as error:
                if not request.is_optional:
                    raise
                log.event("discovery_part_failed", path=request.path, error=error)
                bodies.append(b"null")
                is_whole = False
        return bodies, is_whole

    def fetch_image(self, carrier: Carrier, market: Market) -> None:
        """Bring a session the image of a market; how it went is told to the session."""
        task = asyncio.create_task(self._bring_image(carrier, market))
        self._tasks.add(task)
        task.add_done_callback(self._on_image_done)

    async def poll_funding(
        self, directory: Directory, publish: Publish, poll_s: float
    ) -> None:
        """Ask for the funding of every market again and again, until cancelled.

        A market that fails is tried later each time, and keeps no other one waiting.
        All together they take at most half of what the host grants.
        """
        polls: dict[str, _Poll] = {}
        while True:
            markets = list(directory.markets.values())
            for market in markets:
                poll = polls.setdefault(market.symbol, _Poll())
                if time.monotonic() >= poll.due_s:
                    await self._bring_funding(market, poll, publish, poll_s)
            least_s = 2 * 60.0 * len(markets) / self._per_minute
            await asyncio.sleep(max(least_s, min(poll_s, 1.0)))

    async def _bring_image(self, carrier: Carrier, market: Market) -> None:
        async with self._turn:
            self._counters.add("images.attempt")
            request = self._venue.snapshot_request(market)
            try:
                body = await self._fetch(request, IMAGE_TIMEOUT_S)
                image = self._venue.parse_snapshot(market, body, time.time_ns())
            except FAILURES as error:
                self._counters.add("images.fail")
                log.event("image_failed", symbol=market.symbol, error=error)
                wait_ns = getattr(error, "retry_after_s", 0) * SECOND_NS
                carrier.session.miss_image(market.key, time.monotonic_ns(), wait_ns)
                return
            self._counters.add("images.success")
            now_ns = time.monotonic_ns()
            carrier.apply(carrier.session.take_image(image, now_ns), now_ns)

    async def _bring_funding(
        self, market: Market, poll: _Poll, publish: Publish, poll_s: float
    ) -> None:
        request = self._venue.funding_request(market)
        assert request is not None
        try:
            body = await self._fetch(request, FUNDING_TIMEOUT_S)
            funding = self._venue.parse_funding(market, body, time.time_ns())
        except FAILURES as error:
            self._counters.add("funding.fail")
            wait_s = poll.failed(getattr(error, "retry_after_s", 0))
            log.event(
                "funding_failed",
                symbol=market.symbol,
                error=error,
                attempt=poll.attempt,
                retry_in_s=round(wait_s, 1),
            )
        else:
            self._counters.add("funding.success")
            poll.succeeded(poll_s)
            publish((funding,), time.monotonic_ns())

    async def _fetch(self, request: RestRequest, timeout_s: float) -> bytes:
        answer = await self._host.fetch(request, timeout_s)
        return answer.body

    def _on_image_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._fail(error)
