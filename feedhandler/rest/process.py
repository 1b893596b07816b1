"""The REST process: `feedhandler rest`.

Owns what lives as long as the process: the segment, the event loop, signals and the
heartbeat, and one task a venue. The loop itself writes the heartbeat; a task that ends,
or a callback that raises, ends the process, which whoever watches it starts again.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import time
from collections.abc import Sequence
from typing import Final

from feedhandler import log
from feedhandler.config import Config, VenueConfig, split_headers
from feedhandler.discovery import cache_path
from feedhandler.errors import EXIT_BUG, FeedhandlerError, exit_code
from feedhandler.lifetime import Lifetime
from feedhandler.resolver import Resolver
from feedhandler.rest.board import Board
from feedhandler.rest.due import Timing
from feedhandler.rest.markets import Markets
from feedhandler.rest.streams import Streams
from feedhandler.rest.venue import VenueAsker
from feedhandler.venue_host import VenueHost, weight_budget
from feedhandler.venues._base import load_venue
from shm_layout import SegmentError

MS: Final = 1_000_000
NAME_CHECKED_NS: Final = 1_000 * MS


def run(config: Config, venues: Sequence[str]) -> int:
    """Ask those venues until SIGTERM or SIGINT; return the exit code.

    Call it from the main thread of a process that does nothing else.
    """
    try:
        slots = config.shm.instruments * max(1, len(venues))
        board = Board(config.instance, venues, slots)
    except (FeedhandlerError, SegmentError) as error:
        log.event("refused", error=error)
        return exit_code(error) or EXIT_BUG
    with contextlib.closing(board.writer):
        board.writer.stamp_stage("segment", time.monotonic_ns())
        log.event("rest_started", venues=",".join(venues), epoch=board.writer.epoch())
        return _run_loop(config, venues, board)


def _run_loop(config: Config, venues: Sequence[str], board: Board) -> int:
    loop = asyncio.new_event_loop()
    resolver = Resolver(loop)
    try:
        code = loop.run_until_complete(RestProcess(config, venues, board, loop).run())
    except (FeedhandlerError, SegmentError) as error:
        log.event("refused", error=error)
        code = exit_code(error) or EXIT_BUG
    finally:
        resolver.close()
    log.event("stopped", code=code)
    return resolver.end_process(code, board.writer.close)


class RestProcess:
    """Everything that runs on the event loop."""

    def __init__(
        self,
        config: Config,
        venues: Sequence[str],
        board: Board,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._config = config
        self._board = board
        self._lifetime = Lifetime(loop)
        limit_ns = config.runner.heartbeat_limit_ms * MS
        self._streams = Streams(config.instance, limit_ns)
        self._askers = [self._make_asker(name) for name in venues]
        self._name_checked_ns = 0

    def _make_asker(self, name: str) -> VenueAsker:
        config = self._config
        venue = load_venue(name)
        section = config.venue.get(name) or VenueConfig()
        rest_url = section.rest_url or venue.rest_url
        rest = config.rest
        return VenueAsker(
            Markets(
                venue,
                section.instruments,
                "depth" if section.feed_kind == "depth" else "bbo",
                cache_path(config.state_path(), name),
            ),
            VenueHost(
                rest_url,
                dict(split_headers(section.headers)),
                weight_budget(
                    venue.limits,
                    rest_url,
                    config.budget_path(),
                    functools.partial(self._board.count, name),
                ),
                is_insecure_allowed=section.insecure,
            ),
            rest,
            Timing(
                after_ns=rest.after_ms * MS,
                poll_ns=rest.poll_ms * MS,
                leave_ns=rest.leave_ms * MS,
                audit_ns=rest.audit_ms * MS,
                confirm_ns=config.runner.quiet_confirm_ms * MS,
            ),
            self._board,
            self._streams,
            self._lifetime.fail,
        )

    async def run(self) -> int:
        """Run until something ends it; return the exit code."""
        work = {asker.name: asker.run() for asker in self._askers}
        code = await self._lifetime.run(self._beat, work)
        self._streams.close()
        return code

    def _beat(self, now_ns: int, late_ns: int) -> None:
        """Say that the loop lives, and how many requests have ended."""
        ended_count = sum(asker.ended_count for asker in self._askers)
        self._board.writer.beat(now_ns, ended_count)
        if now_ns - self._name_checked_ns >= NAME_CHECKED_NS:
            self._name_checked_ns = now_ns
            self._board.writer.check_linked()
            log.flush()
