"""One venue on a stage: its simulation, its feed, the runner, and a client.

Feed and runner are started by the command line; states are what a client of theirs
reads. A step on the stage is a fault, what it leads to, and the way back to LIVE.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import feedhandler
from feedhandler import Quote
from feedhandler.venues._base import load_venue
from shm_layout.segment import remove_leftover, segment_name
from tests.feed.simulated import Feed, Venue, check_truth, feeding
from tests.support import MS, Program, Programs, wait_until

BTC, ETH = "BTC-PERP", "ETH-PERP"
SYNCING, STALE, SUSPECT, DOWN = "SYNCING", "STALE", "SUSPECT", "DOWN"
WAIT_S = 15_000 * MS

# Deadlines at a fraction of what an operator uses; the order between them is kept.
QUICK: dict[str, Any] = {
    "fresh_ms": 700,
    "stale_ms": 2_500,
    "first_data_ms": 2_500,
    "ack_ms": 1_000,
    "connect_timeout_ms": 2_000,
    "backoff_max_ms": 400,
    "funding_poll_ms": 500,
}
PING_MS = 1_000
RUNNER = {
    "FEEDHANDLER_RUNNER_LIVENESS_MS": "1500",
    # What the ladder does is shown elsewhere: here a feed has to help itself.
    "FEEDHANDLER_LADDER_ENABLED": "false",
}
RATE = 6.0  # of the market, so that no quote ages without a fault


@dataclass
class Stage:
    """Everything of one venue, as it runs."""

    instance: str
    programs: Programs
    venue: Venue
    feed: Feed
    runner: Program
    client: feedhandler.Feed

    @property
    def name(self) -> str:
        return self.venue.name

    def quote(self, instrument: str = BTC) -> Quote | None:
        return self.client.quote(self.name, instrument)

    def state(self, instrument: str = BTC) -> str:
        quote = self.quote(instrument)
        return "" if quote is None else quote.state

    def count(self, name: str) -> int:
        return self.feed.count(name)

    def wait(self, condition: Callable[[], Any], what: str) -> None:
        """Wait for what has to come; the feed's log tells why it did not."""
        try:
            wait_until(condition, WAIT_S, what)
        except AssertionError as error:
            raise AssertionError(f"{self.facts()}: {error}\n{self.log()}") from None

    def wait_state(self, *states: str, instrument: str = BTC) -> None:
        self.wait(
            lambda: self.state(instrument) in states,
            f"{instrument} {' or '.join(states)}",
        )

    def wait_live(self, *instruments: str) -> None:
        """Wait until all may be traded on at one look."""

        def is_live() -> bool:
            quotes = [self.quote(name) for name in instruments or (BTC, ETH)]
            return all(quote is not None and quote.tradable for quote in quotes)

        self.wait(is_live, "LIVE and tradable")

    def wait_more(self, counter: str, before: int, what: str = "") -> None:
        self.wait(lambda: self.count(counter) > before, what or f"more {counter}")

    def status(self) -> dict[str, Any]:
        """Return the venue's row of `status --json`."""
        arguments = ("status", "--json", "--instance", self.instance)
        program = self.programs.feedhandler(*arguments)
        program.wait()
        rows = json.loads(program.stdout())["venues"]
        return next(row for row in rows if row["venue"] == self.name)

    def audits(self, label: str) -> list[str]:
        """Return the audit lines of session ends with that label."""
        wanted = f"WS_AUDIT venue={self.name} reconnect_reason={label} count="
        return [line for line in self.feed.program.stderr().splitlines()
                if wanted in line]  # fmt: skip

    def facts(self) -> str:
        quotes = [self.quote(name) for name in (BTC, ETH)]
        states = [quote and f"{quote.state}/{quote.reason}" for quote in quotes]
        return f"{self.name} {states}"

    def log(self) -> str:
        counters = {k: v for k, v in self.feed.reader.counters().items() if v}
        return f"{counters}\n{self.feed.program.stderr()[-6_000:]}"

    def check_truth(self) -> int:
        return check_truth(self.feed, self.venue)

    # --- Steps ----------------------------------------------------------------------

    def cut(self, how: str = "rst", *, away: str = "") -> None:
        """Cut the connection, with what is `away` then to keep the next one out."""
        self.venue.inject(*filter(None, (away, f"drop(how={how})")))

    def renew(self) -> None:
        """Cut the connection, and go on in the next session."""
        session = self.feed.reader.owner().session
        self.cut()
        self.wait(
            lambda: self.feed.reader.owner().session > session, "the next session"
        )
        self.wait_live()

    def heal(self, *instruments: str) -> None:
        """End all faults, and see the venue come back to life."""
        self.venue.clear()
        self.wait_live(*instruments)


@contextmanager
def stage(
    name: str,
    instance: str,
    programs: Programs,
    *,
    live: bool = True,
    rate: float = RATE,
    faults: tuple[str, ...] = (),
    **settings: Any,
) -> Iterator[Stage]:
    """Set the stage for a venue; leave no process and no segment."""
    has_pings = load_venue(name).limits.ping_interval_ms > 0
    settings = {**QUICK, "ping_interval_ms": PING_MS if has_pings else -1, **settings}
    run = feeding(instance, programs, settings, name, rate=rate, faults=faults)
    with run as (venue, feed):
        environment = {**feed.environment, **RUNNER}
        runner = programs.feedhandler(
            "runner", "--instance", instance, environment=environment
        )
        client = feedhandler.attach(instance, timeout_s=WAIT_S)
        try:
            on = Stage(instance, programs, venue, feed, runner, client)
            if live:
                on.wait_live()
            yield on
        finally:
            client.close()
            runner.close()
            remove_leftover(segment_name(instance, "runner"))


def logged_ms(line: str, field: str) -> int:
    """Return the number that a line of the log gives a field."""
    found = re.search(rf"\b{field}=(\d+)", line)
    assert found, f"no {field} in: {line}"
    return int(found[1])
