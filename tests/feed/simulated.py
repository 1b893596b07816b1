"""A simulated venue in a thread, and a real feed process beside it.

The simulation has an event loop of its own, so that a test can wait, kill and stop
without an event loop. What was published is read as any reader does: attached.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from feedhandler.sim import Entry, Simulation
from shm_layout import KIND_QUOTE, LINK_UP, RECORD_DTYPES, Reader
from shm_layout.segment import remove_leftover, segment_name
from tests.support import MS, Program, Programs, wait_until

ROLE = "feed:hyperliquid"
WAIT_S = 10_000 * MS


class Venue:
    """The simulation, seen from another thread."""

    def __init__(self, **options: Any) -> None:
        self._options = options
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self.simulation = self._call(self._make())

    async def _make(self) -> Simulation:
        simulation = Simulation(**self._options)
        await simulation.start()
        return simulation

    def _call(self, work: Any) -> Any:
        if not self._thread.is_alive():
            self._thread.start()
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(WAIT_S)

    @property
    def ws_url(self) -> str:
        return self.simulation.addresses[0].ws_url

    @property
    def rest_url(self) -> str:
        return self.simulation.addresses[0].rest_url

    def inject(self, fault: str) -> None:
        async def work() -> None:
            self.simulation.inject(fault)

        self._call(work())

    def clear(self) -> None:
        async def work() -> None:
            self.simulation.clear()

        self._call(work())

    def entries(self) -> list[Entry]:
        async def work() -> list[Entry]:
            return list(self.simulation.truth.entries())

        found: list[Entry] = self._call(work())
        return found

    def close(self) -> None:
        self._call(self.simulation.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(WAIT_S)
        self._loop.close()


class Feed:
    """A feed process, and a reader of its segment."""

    def __init__(
        self, instance: str, programs: Programs, venue: Venue, settings: dict[str, Any]
    ) -> None:
        self._instance = instance
        self._programs = programs
        self._environment = {
            f"FEEDHANDLER_HYPERLIQUID_{key.upper()}": str(value)
            for key, value in {
                "ws_url": venue.ws_url,
                "rest_url": venue.rest_url,
                "backoff_first_ms": 20,
                "subscribe_gap_ms": 5,
                **settings,
            }.items()
        }
        self.program = self.start()
        self.reader = Reader.attach(instance, ROLE, WAIT_S)

    def start(self) -> Program:
        self.program = self._programs.feedhandler(
            "feed",
            "hyperliquid",
            "--instance",
            self._instance,
            environment=self._environment,
        )
        return self.program

    # --- What a reader sees ---------------------------------------------------------

    def latest(self, index: int = 0) -> Any:
        record = self.reader.read_slot(index)
        return None if record is None else np.frombuffer(record, QUOTE)[0]

    def is_live(self, index: int = 0) -> bool:
        """Whether the latest quote is of the session that is up now.

        A killed feed leaves its link up; the next one has no stages at first.
        """
        owner = self.reader.owner()
        row = self.latest(index)
        return (
            row is not None
            and owner.link == LINK_UP
            and owner.stages["first_quote"] > 0
            and int(row["session"]) == owner.session
            and not row["flags"] & DOUBTFUL
        )

    def count(self, name: str) -> int:
        return self.reader.counters().get(name, 0)

    def wait_live(self) -> None:
        self.wait(self.is_live, "a live quote")

    def wait(self, condition: Any, what: str) -> None:
        try:
            wait_until(condition, WAIT_S, what)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.program.stderr()}") from None

    def quotes(self) -> list[Any]:
        """Return every quote in the ring, in order."""
        out = np.zeros(65_536, QUOTE)
        count, lost, _ = self.reader.drain(0, out)
        assert lost == 0
        return [row for row in out[:count] if row["kind"] == KIND_QUOTE]


QUOTE = RECORD_DTYPES[KIND_QUOTE]
DOUBTFUL = 1 << 3 | 1 << 4  # RESTARTED, SYNCING


@contextmanager
def feeding(
    instance: str, programs: Programs, settings: dict[str, Any], **options: Any
) -> Iterator[tuple[Venue, Feed]]:
    """Run a simulated venue and a feed of it; leave no process and no segment."""
    venue = Venue(**options)
    try:
        feed = Feed(instance, programs, venue, settings)
        try:
            yield venue, feed
        finally:
            feed.reader.close()
            feed.program.close()
            remove_leftover(segment_name(instance, ROLE))
    finally:
        venue.close()


def check_truth(feed: Feed, venue: Venue) -> int:
    """Compare every published quote with what the venue sent; return how many.

    Each was sent with these very numbers, none that a fault had falsified, and in the
    order in which it was sent.
    """
    rows = feed.quotes()  # before the truth, which goes on growing
    sent: dict[tuple[Any, ...], list[int]] = {}
    for number, entry in enumerate(venue.entries()):
        if not entry.top.fault:
            key = (entry.symbol, entry.top.event_ms, *_plain(entry.prices))
            sent.setdefault(key, []).append(number)
    symbols = [row.symbol for row in feed.reader.instruments()]
    last: dict[str, int] = {}
    count = 0
    for row in rows:
        if row["flags"] & DOUBTFUL:
            continue  # published before, and published again with a doubt
        symbol = symbols[row["instrument"]]
        prices = (row["bid"], row["bid_size"], row["ask"], row["ask_size"])
        key = (symbol, int(row["event_ns"]) // 1_000_000, *_plain(prices))
        assert key in sent, f"never sent: {key}"
        assert sent[key][-1] >= last.get(symbol, -1), f"out of order: {key}"
        last[symbol] = max(sent[key][0], last.get(symbol, -1))
        count += 1
    return count


def _plain(prices: Any) -> list[float | None]:
    return [
        None if value is None or value != value else float(value) for value in prices
    ]


__all__ = ["Feed", "Venue", "check_truth", "feeding"]
