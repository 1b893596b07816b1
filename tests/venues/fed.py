"""A session that has published one quote, for tests that feed it what is bad."""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

from feedhandler.feed.session import Session
from feedhandler.feed.settings import Timing
from feedhandler.venues._base import Options, Venue, find_market
from tests.venues.frames import WALL_NS

SECOND: Final = 1_000_000_000
TIMING: Final = Timing(
    stale_ns=10 * SECOND,
    first_data_ns=10 * SECOND,
    ack_ns=5 * SECOND,
    read_timeout_ns=30 * SECOND,
    ping_interval_ns=25 * SECOND,
    session_limit_ns=86_400 * SECOND,
    subscribe_gap_ns=0,
)


class Fed:
    """A session of one market, and what it counted since its first frame."""

    def __init__(
        self, venue: Venue, name: str, first: bytes, options: Options | None = None
    ) -> None:
        self.counted: Counter[str] = Counter()
        market = find_market(venue, name, [])
        self.session = Session(
            venue,
            {market.key: market},
            options or Options(),
            TIMING,
            {},
            self._count,
            1,
            WALL_NS,
        )
        self.session.opened(1, WALL_NS)
        while self.session.next_due_ns is not None:  # every request
            self.session.tick(1, WALL_NS)
        assert self.receive(first)
        self.counted.clear()

    def _count(self, name: str, amount: int) -> None:
        self.counted[name] += amount

    def receive(self, frame: bytes) -> list[Any]:
        return list(self.session.receive(frame, 1))
