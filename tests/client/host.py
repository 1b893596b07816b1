"""A feed and a runner in one process, for tests of the client."""

from __future__ import annotations

import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager

import feedhandler
from feedhandler.config import Config, RunnerConfig, VenueConfig
from feedhandler.runner.process import Runner
from shm_layout import LINK_UP, Capacities, Instrument, Writer, segment
from shm_layout.schema import QUOTE, SLOT

VENUE = "hyperliquid"
MS = 1_000_000


class Host:
    """A feed and a runner, stepped by the test."""

    def __init__(self, instance: str, ring_slots: int = 64) -> None:
        self.instance = instance
        self._stepped_ns = 0
        self.feed = self.open_feed(ring_slots)
        self.runner: Runner | None = self.open_runner()

    def open_feed(self, ring_slots: int = 64) -> Writer:
        feed = Writer.open(
            self.instance,
            f"feed:{VENUE}",
            Capacities(instruments=8, ring_slots=ring_slots),
        )
        feed.add_instrument(Instrument(VENUE, "BTC-PERP", "BTC", fresh_ms=1_000))
        feed.add_instrument(Instrument(VENUE, "ETH-PERP", "ETH", fresh_ms=1_000))
        feed.set_link(LINK_UP, feed.session + 1)
        return feed

    def open_runner(self) -> Runner:
        return Runner(
            Config(
                instance=self.instance,
                venue={VENUE: VenueConfig()},
                runner=RunnerConfig(tick_ms=1, pass_ms=1),
            )
        )

    def quote(self, bid: float = 10.0, *, index: int = 0, flags: int = 0) -> None:
        now_ns = time.monotonic_ns()
        self.feed.beat(now_ns, 0)
        self.feed.publish_quote(
            index,
            flags,
            self.feed.session,
            time.time_ns(),
            now_ns,
            5,
            bid,
            2.0,
            bid + 1,
            3.0,
        )
        self.step()

    def forge(self, index: int = 0, **sides: float) -> None:
        """Change sides of the newest quote in memory, beneath its writer."""
        slot = self.feed.plan.latest_offset + index * SLOT.size_bytes
        (newest,) = struct.unpack_from("<Q", self.feed._mapping, slot)
        cell = slot + SLOT.offsets["cell"] + (newest & 1) * QUOTE.size_bytes
        for name, value in sides.items():
            offset = cell + QUOTE.offsets[name]
            struct.pack_into("<d", self.feed._mapping, offset, value)

    def step(self, ahead_ns: int = 0) -> None:
        # Two ticks on at least, so that every step judges.
        now_ns = max(time.monotonic_ns() + ahead_ns, self._stepped_ns + 2 * MS)
        self._stepped_ns = now_ns
        if self.runner is not None:
            self.runner.step(now_ns)

    def close(self) -> None:
        if self.runner is not None:
            self.runner.close()
        self.feed.close(unlink=True)
        for name in segment.list_segments(self.instance):
            segment.remove_leftover(name)


@contextmanager
def attached(
    instance: str, ring_slots: int = 64
) -> Iterator[tuple[Host, feedhandler.Feed]]:
    host = Host(instance, ring_slots)
    try:
        host.quote()
        with feedhandler.attach(instance) as feed:
            yield host, feed
    finally:
        host.close()
