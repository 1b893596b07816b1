"""The whole product, started by its command line over simulated venues."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

import feedhandler
from feedhandler import Feed, Quote
from shm_layout import Reader, SegmentError
from tests.support import MS, Program, Programs, segment_paths, wait_until

VENUE = "hyperliquid"
INSTRUMENT = "BTC-PERP"
ROLE = f"feed:{VENUE}"


@dataclass(frozen=True, slots=True)
class Demo:
    """One running `start --demo`, and what a client sees of it."""

    instance: str
    program: Program
    programs: Programs
    feed: Feed

    def quote(self) -> Quote:
        """Return the first instrument's quote."""
        quote = self.feed.quote(VENUE, INSTRUMENT)
        assert quote is not None
        return quote

    def wait_tradable(self, timeout_ms: int = 30_000) -> Quote:
        """Return the first quote that may be traded on."""

        def find() -> Quote | None:
            assert self.program.is_running(), self.program.stderr()
            quote = self.feed.quote(VENUE, INSTRUMENT)
            return quote if quote is not None and quote.tradable else None

        try:
            found = wait_until(find, timeout_ms * MS, "a tradable quote")
        except AssertionError as error:
            shown = self.feed.quote(VENUE, INSTRUMENT)
            log = self.program.stderr()[-8_000:]
            raise AssertionError(f"{error}; it is {shown}\n{log}") from None
        assert found is not None
        return found

    def pid(self, role: str = ROLE) -> int:
        """Return the pid in a role's segment, 0 while there is none."""
        try:
            with Reader.attach(self.instance, role) as reader:
                return reader.owner().pid
        except SegmentError:
            return 0

    def heartbeat_ns(self, role: str = ROLE) -> int:
        """Return a role's last heartbeat."""
        with Reader.attach(self.instance, role) as reader:
            return reader.heartbeat_ns()

    def status(self) -> tuple[dict[str, Any], int]:
        """Return what `status --json` says, and its exit code."""
        arguments = ("status", "--json", "--instance", self.instance)
        program = self.programs.feedhandler(*arguments)
        code = program.wait()
        return json.loads(program.stdout()), code


StartDemo = Callable[..., Demo]


@pytest.fixture
def start_demo(instance: str, programs: Programs) -> Iterator[StartDemo]:
    """Starts the demo and waits until its first quote may be traded on."""
    feeds: list[Feed] = []

    def start(*arguments: str) -> Demo:
        program = programs.feedhandler(
            "start", "--demo", "--no-table", "--instance", instance, *arguments
        )
        wait_until(
            lambda: segment_paths(instance) or not program.is_running(),
            15_000 * MS,
            "a segment",
        )
        feed = feedhandler.attach(instance, timeout_s=15_000 * MS)
        feeds.append(feed)
        demo = Demo(instance, program, programs, feed)
        demo.wait_tradable()
        return demo

    yield start
    for feed in feeds:
        feed.close()
