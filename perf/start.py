"""How soon may every quote be traded on: after a start, and again after a kill?

    start --demo ─▶ processes ─▶ sessions ─▶ every quote is tradable
                                                   │ SIGKILL of one feed
                                                   ├─▶ last tradable read
                                                   └─▶ tradable again, all of the venue

The canonical workload starts all simulated venues five times, each time kills each feed
once, and stops. A reader looks every millisecond; times are from the command, or the
signal, to what it saw. Nothing but the machine makes one slower than the other.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt

import feedhandler
from perf import _harness
from shm_layout import Reader, SegmentMissing

LIMIT_S = 60.0
LOOK_S = 0.001
VENUES = ("aster", "extended", "hyperliquid", "lighter", "paradex")
INSTRUMENTS = 2  # that the demo follows at each venue


def main(run: _harness.Run) -> None:
    started: list[int] = []
    refused: list[int] = []
    again: list[int] = []
    for number in range(run.count(5, 1)):
        instance = f"perf-{os.getpid()}-{number}"
        begun_ns = time.monotonic_ns()
        with starting(instance) as feed:
            wait(lambda feed=feed: are_tradable(feed.quotes(), VENUES), "a start")
            started.append(time.monotonic_ns() - begun_ns)
            for venue in VENUES[: run.count(len(VENUES), 1)]:
                last_ns, back_ns = kill(run, feed, instance, venue)
                refused.append(last_ns)
                again.append(back_ns)
    for name, found in (
        ("start → every quote tradable", started),
        ("SIGKILL of a feed → last tradable read", refused),
        ("SIGKILL of a feed → its quotes tradable again", again),
    ):
        run.add(_harness.summarise(name, np.array(found), f"{len(found)} times"))


@contextmanager
def starting(instance: str) -> Iterator[feedhandler.Feed]:
    """Run `start --demo`; yield a reader of it as soon as there is anything to read."""
    command = (sys.executable, "-m", "feedhandler", "start", "--demo", "--no-table")
    program = subprocess.Popen(
        [*command, "--instance", instance],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        with attach(instance) as feed:
            yield feed
    finally:
        program.terminate()
        program.wait(LIMIT_S)


def attach(instance: str) -> feedhandler.Feed:
    deadline_s = time.monotonic() + LIMIT_S
    while True:
        try:
            return feedhandler.attach(instance)
        except SegmentMissing:
            if time.monotonic() > deadline_s:
                raise
            time.sleep(LOOK_S)


def kill(
    run: _harness.Run, feed: feedhandler.Feed, instance: str, venue: str
) -> tuple[int, int]:
    """Kill a venue's feed; return when it was last and when again tradable, in ns."""
    with Reader.attach(instance, f"feed:{venue}") as reader:
        owner = reader.owner()
        killed_ns = last_ns = time.monotonic_ns()
        os.kill(owner.pid, signal.SIGKILL)
        while True:
            now_ns = time.monotonic_ns()
            rows = feed.quotes()
            if not is_any_tradable(rows, venue):
                break
            last_ns = now_ns
            time.sleep(LOOK_S)
        wait(lambda: are_tradable(feed.quotes(), (venue,)), f"{venue} again")
        back_ns = time.monotonic_ns()
        found = reader.owner()
    run.check(
        found.pid != owner.pid and found.epoch == owner.epoch + 1,
        f"{venue}: epoch={found.epoch} expected={owner.epoch + 1}",
    )
    return last_ns - killed_ns, back_ns - killed_ns


def is_any_tradable(rows: npt.NDArray[np.void], venue: str) -> bool:
    return bool(rows[rows["venue"] == venue]["tradable"].any())


def are_tradable(rows: npt.NDArray[np.void], venues: tuple[str, ...]) -> bool:
    mine = rows[np.isin(rows["venue"], venues)]
    return len(mine) == INSTRUMENTS * len(venues) and bool(mine["tradable"].all())


def wait(condition: Callable[[], bool], what: str) -> None:
    deadline_s = time.monotonic() + LIMIT_S
    while not condition():
        if time.monotonic() > deadline_s:
            sys.exit(f"waited {LIMIT_S:.0f} s in vain for {what}")
        time.sleep(LOOK_S)


if __name__ == "__main__":
    _harness.run(main, __doc__)
