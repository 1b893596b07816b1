"""A simulated venue in a thread, and a real feed process beside it.

The simulation has an event loop of its own, so that a test can wait, kill and stop
without an event loop. What was published is read as any reader does: attached.
"""

from __future__ import annotations

import asyncio
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from feedhandler.sim import Entry, Simulation
from feedhandler.sim.truth import Note
from shm_layout import (
    FLAG_OUTLIER,
    FLAG_RESTARTED,
    FLAG_SYNCING,
    KIND_QUOTE,
    KIND_TRADE,
    LINK_UP,
    RECORD_DTYPES,
    Reader,
)
from shm_layout.segment import remove_leftover, segment_name
from tests.support import MS, Program, Programs, wait_until
from tests.truth import check

HYPERLIQUID = "hyperliquid"
ROLE = f"feed:{HYPERLIQUID}"
WAIT_S = 10_000 * MS
RING = 65_536
DOUBTFUL = FLAG_RESTARTED | FLAG_SYNCING
QUOTE = RECORD_DTYPES[KIND_QUOTE]

# What a venue's own rules leave of speed: Aster counts ten messages a second.
GAPS_MS = {"aster": 110}


class Venue:
    """The simulation of one venue, seen from another thread."""

    def __init__(self, name: str = HYPERLIQUID, **options: Any) -> None:
        self.name = name
        self._folder = tempfile.TemporaryDirectory(prefix="truth-")
        self._truth_path = Path(self._folder.name, "truth.jsonl")
        self._options = {"truth_path": self._truth_path, **options}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self.simulation = self._call(self._make())

    async def _make(self) -> Simulation:
        simulation = Simulation([self.name], **self._options)
        await simulation.start()
        return simulation

    def _call(self, work: Any) -> Any:
        if not self._thread.is_alive():
            self._thread.start()
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(WAIT_S)

    @property
    def ws_url(self) -> str:
        return str(self.simulation.addresses[0].ws_url)

    @property
    def rest_url(self) -> str:
        return str(self.simulation.addresses[0].rest_url)

    def inject(self, *faults: str) -> None:
        """Start faults in one turn of the simulation."""

        async def work() -> None:
            for fault in faults:
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

    def notes(self) -> list[Note]:
        """Trades and funding as they were sent."""

        async def work() -> list[Note]:
            return list(self.simulation.truth.notes())

        found: list[Note] = self._call(work())
        return found

    def truth_path(self) -> Path:
        """Return the truth log, which has all that was sent by now."""

        async def work() -> None:
            self.simulation.truth.flush()

        self._call(work())
        return self._truth_path

    def close(self) -> None:
        self._call(self.simulation.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(WAIT_S)
        self._loop.close()
        self._folder.cleanup()


class Feed:
    """A feed process, and a reader of its segment."""

    def __init__(
        self, instance: str, programs: Programs, venue: Venue, settings: dict[str, Any]
    ) -> None:
        self._instance = instance
        self._programs = programs
        self._name = venue.name
        self.environment = {
            f"FEEDHANDLER_{venue.name.upper()}_{key.upper()}": str(value)
            for key, value in {
                "ws_url": venue.ws_url,
                "rest_url": venue.rest_url,
                "backoff_first_ms": 20,
                "subscribe_gap_ms": GAPS_MS.get(venue.name, 5),
                **settings,
            }.items()
        }
        self.program = self.start()
        self.reader = Reader.attach(instance, f"feed:{venue.name}", WAIT_S)

    def start(self) -> Program:
        self.program = self._programs.feedhandler(
            "feed",
            self._name,
            "--instance",
            self._instance,
            environment=self.environment,
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
        out = np.zeros(RING, QUOTE)
        count, lost, _ = self.reader.drain(0, out)
        assert lost == 0
        return [row for row in out[:count] if row["kind"] == KIND_QUOTE]

    def trade_ids(self) -> list[tuple[int, int]]:
        """Return instrument and id of every trade in the ring."""
        out = np.zeros(RING, QUOTE)
        count, _, _ = self.reader.drain(0, out)
        rows = out[:count].view(RECORD_DTYPES[KIND_TRADE])
        return [
            (int(row["instrument"]), int(row["trade_id"]))
            for row in rows
            if row["kind"] == KIND_TRADE
        ]

    def symbols(self) -> list[str]:
        """Return the venue's own symbols by index."""
        return [row.symbol for row in self.reader.instruments()]


@contextmanager
def feeding(
    instance: str,
    programs: Programs,
    settings: dict[str, Any],
    venue_name: str = HYPERLIQUID,
    **options: Any,
) -> Iterator[tuple[Venue, Feed]]:
    """Run a simulated venue and a feed of it; leave no process and no segment."""
    venue = Venue(venue_name, **options)
    try:
        feed = Feed(instance, programs, venue, settings)
        try:
            yield venue, feed
        finally:
            feed.reader.close()
            feed.program.close()
            remove_leftover(segment_name(instance, f"feed:{venue_name}"))
    finally:
        venue.close()


def check_truth(feed: Feed, venue: Venue, *, by_session: bool = False) -> int:
    """Compare every published quote with what the venue sent; return how many.

    Each was sent with these very numbers before it was received, by no frame that a
    fault had falsified, and in the order in which it was sent. What is published again
    with a doubt was published before, and what is far off is marked as such. Where two
    connections overlapped, which of them a quote came by is not known: the order is
    that of each session then.
    """
    in_doubt = DOUBTFUL | FLAG_OUTLIER
    rows = [row for row in feed.quotes() if not row["flags"] & in_doubt]
    path = venue.truth_path()  # after the quotes, since it goes on growing
    for index, symbol in enumerate(feed.symbols()):
        of_symbol = [row for row in rows if row["instrument"] == index]
        sessions = sorted({int(row["session"]) for row in of_symbol})
        parts = [
            [row for row in of_symbol if row["session"] == session]
            for session in sessions
        ]
        for part in parts if by_session else [of_symbol]:
            report = check(path, part, venue.name, symbol)
            assert report.is_true, f"{venue.name} {symbol}: {report}"
    return len(rows)


__all__ = ["Feed", "Venue", "check_truth", "feeding"]
