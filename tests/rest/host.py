"""A real REST process beside simulated venues and a runner's segment that a test fills.

The test is the runner: it says of each stream what a runner would. What the process
published is read as any reader does: attached.
"""

from __future__ import annotations

import math
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from feedhandler.discovery import cache_path, save_answers
from feedhandler.rest.report import rest_rows
from feedhandler.venues._base import Venue as Declared
from feedhandler.venues._base import load_venue
from shm_layout import (
    LINK_UP,
    RECORD_DTYPES,
    SOURCE_RUNNER,
    TIME_NONE,
    Capacities,
    Instrument,
    Reader,
    Writer,
)
from shm_layout.codes import KIND_QUOTE, REASON_NONE, STATE_LIVE
from shm_layout.segment import remove_leftover, segment_name
from tests.feed.simulated import Venue
from tests.support import MS, Program, Programs, wait_until

QUOTE = RECORD_DTYPES[KIND_QUOTE]
WAIT_S = 15_000 * MS
NAME = "BTC-PERP"
ALL_VENUES = ("aster", "extended", "hyperliquid", "lighter", "paradex")


class Runner:
    """The runner's segment, with one instrument a venue."""

    def __init__(self, instance: str, venues: Sequence[str]) -> None:
        self._instance = instance
        capacities = Capacities(instruments=16, ring_slots=64)
        self.writer = Writer.open(instance, "runner", capacities, SOURCE_RUNNER)
        self.writer.set_link(LINK_UP, 1)
        self._indexes = {
            venue: self.writer.add_instrument(Instrument(venue, NAME, NAME))
            for venue in venues
        }

    def say(
        self,
        venue: str,
        *,
        apply_ns: int = TIME_NONE,
        state: int = STATE_LIVE,
        reason: int = REASON_NONE,
        confirmed_ns: int = TIME_NONE,
        event_ns: int = TIME_NONE,
    ) -> None:
        """Post a verdict, and beat."""
        now_ns = time.monotonic_ns()
        self.writer.beat(now_ns, 0)
        self.writer.publish_status(
            self._indexes[venue],
            session=1,
            event_ns=event_ns,
            recv_ns=now_ns,
            apply_ns=apply_ns,
            since_ns=now_ns,
            confirmed_ns=confirmed_ns,
            applied_sequence=1,
            moves=0,
            applied_epoch=1,
            state=state,
            reason=reason,
            previous=state,
            moved=False,
        )

    def live(self, venue: str) -> None:
        """Say that the stream has just shown something."""
        self.say(venue, apply_ns=time.monotonic_ns())

    def close(self) -> None:
        self.writer.close(unlink=True)


class Rest:
    """The process, its simulated venues and a reader of its segment."""

    def __init__(
        self,
        instance: str,
        programs: Programs,
        folder: Path,
        venues: Sequence[str],
        settings: Mapping[str, Any],
    ) -> None:
        self._instance = instance
        self._programs = programs
        self.venues = {name: Venue(name) for name in venues}
        self.declared: dict[str, Declared] = {name: load_venue(name) for name in venues}
        state = folder / "rest-state"
        self._environment = {"FEEDHANDLER_STATE_DIR": str(state)}
        for name, venue in self.venues.items():
            section = f"FEEDHANDLER_{name.upper()}"
            self._environment[f"{section}_REST_URL"] = venue.rest_url
            self._environment[f"{section}_INSTRUMENTS"] = NAME
            bodies = [
                fetch(venue.rest_url, request.method, request.path, request.body)
                for request in self.declared[name].discovery
            ]
            save_answers(cache_path(state / instance, name), bodies)
        given = {"poll_ms": 50, "leave_ms": 300, "audit_ms": 0, "backoff_first_ms": 20}
        for key, value in {**given, **settings}.items():
            self._environment[f"FEEDHANDLER_REST_{key.upper()}"] = str(value)
        self.runner = Runner(instance, venues)
        self.program = self.start()
        self.reader = Reader.attach(instance, "rest", WAIT_S)
        wait_until(lambda: len(self.rows()) == len(venues), WAIT_S, "its counters")

    def start(self) -> Program:
        """Start the process, again after it was killed."""
        chosen = [word for name in self.venues for word in ("--venue", name)]
        self.program = self._programs.feedhandler(
            "rest",
            "--instance",
            self._instance,
            *chosen,
            environment=self._environment,
        )
        return self.program

    def rows(self) -> list[dict[str, Any]]:
        """Return what `status` shows of every venue."""
        return rest_rows(self.reader, time.monotonic_ns())

    def row(self, venue: str) -> dict[str, Any]:
        """Return what `status` shows of one."""
        return next(row for row in self.rows() if row["venue"] == venue)

    def latest(self, venue: str) -> Any:
        """Return the venue's newest REST quote, None before the first."""
        for index, entry in enumerate(self.reader.instruments()):
            if (entry.venue, entry.instrument) == (venue, NAME):
                record = self.reader.read_slot(index)
                return None if record is None else np.frombuffer(record, QUOTE)[0]
        return None

    def wait(self, condition: Any, what: str) -> Any:
        try:
            return wait_until(condition, WAIT_S, what)
        except AssertionError as error:
            rows = [self.row(venue) for venue in self.venues]
            text = f"{error}\n{rows}\n{self.program.stderr()}"
            raise AssertionError(text) from None

    def wait_checked(self, venue: str, word: str = "ok") -> None:
        """Wait for the result of the start-up check."""
        self.wait(
            lambda: self.row(venue)["self_check"] == word, f"{venue} checked: {word}"
        )

    def close(self) -> None:
        self.reader.close()
        self.program.close()
        self.runner.close()
        for venue in self.venues.values():
            venue.close()
        remove_leftover(segment_name(self._instance, "rest"))


@contextmanager
def asking(
    instance: str,
    programs: Programs,
    folder: Path,
    venues: Sequence[str] = ("hyperliquid",),
    **settings: Any,
) -> Iterator[Rest]:
    """Run the process; leave no process and no segment."""
    rest = Rest(instance, programs, folder, venues, settings)
    try:
        yield rest
    finally:
        rest.close()


def fetch(rest_url: str, method: str, path: str, body: bytes) -> bytes:
    """Ask a simulated venue as anybody would."""
    request = urllib.request.Request(
        rest_url + path,
        data=body or None,
        method=method,
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        content: bytes = answer.read()
    return content


def is_truth(rest: Rest, venue: str, row: Any) -> bool:
    """Say whether the venue told exactly these numbers by REST, without a fault."""
    told = [
        [math.nan if value is None else value for value in entry.prices]
        for entry in rest.venues[venue].entries()
        if entry.channel == "rest" and not entry.top.fault
    ]
    numbers = [float(row[name]) for name in ("bid", "bid_size", "ask", "ask_size")]
    return numbers in told
