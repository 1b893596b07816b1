"""The process of one venue's feed: `feedhandler feed VENUE`.

Owns what lives as long as the process: the segment, the event loop, signals, the
heartbeat and the tasks. The loop itself writes the heartbeat, so that a hung loop is
seen at once; and a task that ends, or a callback that raises, ends the process: never a
living process with a dead feed.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import random
import time
from pathlib import Path
from typing import Final

from feedhandler import log
from feedhandler.codec.frame import FrameError
from feedhandler.config import Config, VenueConfig
from feedhandler.discovery import cache_path
from feedhandler.errors import EXIT_BUG, FeedhandlerError, exit_code
from feedhandler.feed.budgets import Budgets
from feedhandler.feed.counters import Counters
from feedhandler.feed.directory import Directory
from feedhandler.feed.fetcher import RETRY_S, RETRY_S_MAX, Fetcher
from feedhandler.feed.link import Link
from feedhandler.feed.orders import Orders
from feedhandler.feed.publisher import Publisher
from feedhandler.feed.retries import Retries
from feedhandler.feed.settings import MS, Settings, settle
from feedhandler.lifetime import Lifetime
from feedhandler.resolver import Resolver
from feedhandler.transport.errors import TransportError
from feedhandler.venues._base import Venue, load_venue
from shm_layout import FLAG_RESTARTED, Capacities, SegmentError, Writer

STALL_NS: Final = 250 * MS  # a heartbeat that late is worth counting
TICKS_RENEWED_NS: Final = 10_000 * MS
NAME_CHECKED_NS: Final = 1_000 * MS
DISCOVERY_AGE_CHECK_S: Final = 3_600.0
DISCOVERY_AGAIN_S: Final = 300.0


def run(venue_name: str, config: Config) -> int:
    """Feed one venue until SIGTERM or SIGINT; return the exit code.

    Call it from the main thread of a process that does nothing else.
    """
    configured_ns = time.monotonic_ns()
    try:
        venue_config = config.venue.get(venue_name) or VenueConfig()
        venue = load_venue(venue_name).at(venue_config.ws_url)
        settings = settle(venue, venue_config)
        writer = Writer.open(
            instance=config.instance,
            role=f"feed:{venue_name}",
            capacities=Capacities(config.shm.instruments, config.shm.ring_slots),
        )
    except (FeedhandlerError, SegmentError) as error:
        log.event("refused", error=error)
        return exit_code(error) or EXIT_BUG
    with contextlib.closing(writer):
        writer.stamp_stage("configured", configured_ns)
        writer.stamp_stage("segment", time.monotonic_ns())
        if writer.adopted:
            writer.mark_all(FLAG_RESTARTED)
        log.event("segment", epoch=writer.epoch(), adopted=writer.adopted)
        return _run_loop(venue, settings, venue_config.instruments, writer, config)


def _run_loop(
    venue: Venue,
    settings: Settings,
    names: tuple[str, ...],
    writer: Writer,
    config: Config,
) -> int:
    loop = _new_loop()
    resolver = Resolver(loop)
    try:
        process = FeedProcess(venue, settings, names, writer, config, loop)
        code = loop.run_until_complete(process.run())
    except (FeedhandlerError, SegmentError) as error:
        log.event("refused", error=error)
        code = exit_code(error) or EXIT_BUG
    finally:
        resolver.close()
    log.event("stopped", code=code)
    return resolver.end_process(code, writer.close)


class FeedProcess:
    """Everything that runs on the event loop."""

    def __init__(
        self,
        venue: Venue,
        settings: Settings,
        names: tuple[str, ...],
        writer: Writer,
        config: Config,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._venue = venue
        self._settings = settings
        self._writer = writer
        self._lifetime = Lifetime(loop)
        state_path = config.state_path()
        self._counters = Counters(writer)
        self._lag = writer.histogram("loop_lag")
        self._directory = Directory(
            venue,
            names,
            settings.options.feed_kind,
            settings.fresh_ms,
            writer,
            cache_path(state_path, venue.name),
        )
        self._publisher = Publisher(
            writer,
            self._counters,
            outlier_bps=settings.outlier_bps,
            publishes_funding=settings.publishes_funding,
        )
        self._publisher.set_indexes(self._directory.indexes)
        budgets = Budgets(venue.limits, settings, config.budget_path(), self._counters)
        self._fetcher = Fetcher(
            venue, settings, budgets.weight, self._counters, self._lifetime.fail
        )
        self._orders = Orders(config.instance, venue.name, writer, time.monotonic_ns())
        self._link = self._make_link(state_path, budgets)

        # When the heartbeat last did what it does more seldom.
        self._ticks_renewed_ns = 0
        self._name_checked_ns = 0

    def _make_link(self, state_path: Path, budgets: Budgets) -> Link:
        name = self._venue.name
        path = state_path / f"{name}.backoff.json"
        return Link(
            self._venue,
            self._settings,
            self._directory,
            self._writer,
            self._publisher,
            self._counters,
            Retries(name, self._settings, self._counters, path),
            self._fetcher,
            self._orders,
            budgets.connects,
            budgets.messages,
            self._lifetime.fail,
        )

    async def run(self) -> int:
        """Run until something ends it; return the exit code."""
        work = {"link": self._link.run(), "discovery": self._discover()}
        if self._settings.publishes_funding and self._venue.has_funding_requests:
            work["funding"] = self._poll_funding()
        # What start-up made stays: the collector need not look at it again.
        gc.collect()
        gc.freeze()
        code = await self._lifetime.run(self._beat, work)
        await self._fetcher.close()
        self._orders.close()
        return code

    def _beat(self, now_ns: int, late_ns: int) -> None:
        """Say that the loop lives, and let everything due by the clock happen."""
        self._writer.beat(now_ns, self._link.frames)
        self._writer.record(self._lag, late_ns)
        if late_ns > STALL_NS:
            self._counters.add("self_stalls")
        self._link.tick(now_ns, time.time_ns())
        if now_ns - self._name_checked_ns >= NAME_CHECKED_NS:
            self._name_checked_ns = now_ns
            self._writer.check_linked()
        if now_ns - self._ticks_renewed_ns >= TICKS_RENEWED_NS:
            self._ticks_renewed_ns = now_ns
            self._directory.renew_ticks()
            log.flush()

    # --- Discovery ------------------------------------------------------------------

    async def _discover(self) -> None:
        """Keep the venue's list of markets; nothing else ever waits for it."""
        retry_s = RETRY_S
        while True:
            if not self._directory.is_due:
                await asyncio.sleep(DISCOVERY_AGE_CHECK_S)
                continue
            try:
                bodies, is_whole = await self._fetcher.fetch_markets()
                self._directory.update(bodies, is_kept=is_whole)
            except (TransportError, FrameError) as error:
                self._counters.add("discovery.fail")
                asked_s = getattr(error, "retry_after_s", 0)
                wait_s = max(retry_s, asked_s) * random.uniform(0.5, 1.0)
                log.event("discovery_failed", error=error, retry_in_s=round(wait_s, 1))
                await asyncio.sleep(wait_s)
                retry_s = min(2 * retry_s, RETRY_S_MAX)
            else:
                retry_s = RETRY_S
                self._counters.add("discovery.success")
                log.event("discovered", instruments=len(self._directory.indexes))
                self._link.follow()
                if self._directory.is_due:  # not whole, or it could not be written
                    await asyncio.sleep(DISCOVERY_AGAIN_S)

    async def _poll_funding(self) -> None:
        """Keep the funding of a venue that has no stream of it."""
        await self._fetcher.poll_funding(
            self._directory, self._publisher.publish, self._settings.funding_poll_s
        )


def _new_loop() -> asyncio.AbstractEventLoop:
    """Return a uvloop if it is installed, else asyncio's own loop."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop
