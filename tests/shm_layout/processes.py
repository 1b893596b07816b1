"""Processes that fork, die and race for a segment; run by `test_processes.py`.

    python -m tests.shm_layout.processes COMMAND INSTANCE

Each command prints one JSON object and ends; it forks from a process without threads,
which the test's own is not.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from shm_layout import (
    COMMAND_RECONNECT,
    Capacities,
    OwnershipLost,
    Reader,
    SegmentBusy,
    SegmentError,
    Writer,
    identity,
    segment,
)
from tests.support import MS, SHM, wait_until

ROLE = "feed:venue"
SMALL = Capacities(instruments=4, ring_slots=16, counters=8, histograms=2)
OTHER = Capacities(instruments=8, ring_slots=16, counters=8, histograms=2)
QUOTE = (0, 0, 1, 2, 3, 4, 1.0, 2.0, 3.0, 4.0)

Facts = dict[str, Any]


def opened(instance: str, capacities: Capacities = SMALL) -> Writer:
    return Writer.open(instance, ROLE, capacities)


def forked(body: Callable[[], object]) -> int:
    """Run `body` in a child and return its pid; the child exits with 0 or 1."""
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        body()
        status = 0
    except BaseException as error:  # noqa: BLE001 - a child must never return from here
        print(f"child failed: {error!r}", file=sys.stderr, flush=True)
    finally:
        os._exit(status)


@contextlib.contextmanager
def held(instance: str) -> Iterator[int]:
    """A child that owns the segment and waits; it is killed at the end if it lives."""
    reading, writing = os.pipe()

    def own() -> None:
        writer = opened(instance)
        writer.publish_quote(*QUOTE)
        os.write(writing, b"x")
        signal.pause()

    pid = forked(own)
    os.close(writing)
    assert os.read(reading, 1) == b"x", "the owner did not start"
    os.close(reading)
    try:
        yield pid
    finally:
        os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, 0)


def state_of(pid: int) -> str:
    text = Path(f"/proc/{pid}/stat").read_text()
    return text[text.rindex(")") + 2]


# --- commands -------------------------------------------------------------------------


def busy(instance: str) -> Facts:
    """A second process is told who the first is."""
    with held(instance) as pid:
        try:
            opened(instance)
        except SegmentBusy as error:
            return {"told": error.pid == pid, "in_text": f"pid={pid}" in str(error)}
    return {}


def killed(instance: str) -> Facts:
    """A killed writer's lock is free at once: while it is a zombie, and after."""
    facts: Facts = {}
    with held(instance) as pid:
        ticks = identity.start_ticks(pid) or 0
        facts["alive"] = identity.is_alive(pid, ticks)
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: state_of(pid) == "Z", 10_000 * MS, "a zombie")
        facts["zombie_alive"] = identity.is_alive(pid, ticks)
        with opened(instance) as writer:
            facts["as_zombie"] = [writer.adopted, writer.epoch(), writer.head()]
    with opened(instance) as writer:
        facts["after"] = [writer.adopted, writer.epoch(), writer.head()]
    return facts


def fork(instance: str) -> Facts:
    """A forked child may write nothing, and its end changes nothing."""
    writer = opened(instance)
    counter, histogram = writer.counter("frames"), writer.histogram("delay")
    writer.set_link(2, 5)
    writer.publish_quote(*QUOTE)
    before = bytes(writer._mapping)
    refused: list[Callable[[], object]] = [
        lambda: writer.publish_quote(*QUOTE),
        lambda: writer.publish_trade(0, 0, 1, 2, 3, 4, 1.0, 2.0, 1, 9),
        lambda: writer.publish_funding(0, 0, 1, 2, 3, 0.0, 1, 2, 0.0, 0.0, 0.0, 0.0),
        lambda: writer.stamp_liveness(0, 1),
        lambda: writer.issue_command("venue", COMMAND_RECONNECT),
        lambda: writer.acknowledge(1, 1, 1),
        lambda: writer.beat(1, 1),
        lambda: writer.count(counter),
        lambda: writer.record(histogram, 1),
        lambda: writer.set_counter(counter, 7),
        lambda: writer.set_link(0, 0),
        lambda: writer.stamp_stage("connected", 1),
        lambda: writer.counter("new"),
        lambda: writer.mark(0, 8),
    ]

    def child() -> None:
        for number, call in enumerate(refused):
            try:
                call()
            except OwnershipLost:
                continue
            raise AssertionError(f"call {number} was not refused")
        assert writer.read_slot(0) is not None, "reading is allowed"
        writer.close(unlink=True)

    _, status = os.waitpid(forked(child), 0)
    facts: Facts = {
        "child": status,
        "same": bytes(writer._mapping) == before,
        "linked": writer.is_linked,
        "published": writer.publish_quote(*QUOTE),
    }
    try:
        opened(instance)
    except SegmentBusy:
        facts["locked"] = True
    writer.close(unlink=True)
    return facts


def orphan(instance: str) -> Facts:
    """A forked child that outlives its parent does not keep the parent's lock."""
    reading, writing = os.pipe()

    def child() -> None:
        os.write(writing, os.getpid().to_bytes(8, "little"))  # after the fork's hooks
        signal.pause()

    def parent() -> None:
        opened(instance).publish_quote(*QUOTE)
        forked(child)
        signal.pause()

    pid = forked(parent)
    child_pid = int.from_bytes(os.read(reading, 8), "little")
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    try:
        with opened(instance) as writer:
            return {"child": state_of(child_pid) in "RS", "adopted": writer.adopted}
    finally:
        os.kill(child_pid, signal.SIGKILL)


def execute(instance: str) -> Facts:
    """A program started by the writer inherits no descriptor of the segment."""
    writer = opened(instance)
    reader = Reader.attach(instance, ROLE)
    listing = subprocess.run(
        ["/bin/sh", "-c", "ls -l /proc/self/fd"],
        close_fds=False,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    own = [os.readlink(entry.path) for entry in os.scandir("/proc/self/fd")]
    facts = {
        "inherited": listing.count(f"fh.{instance}"),
        "own": sum(f"fh.{instance}" in target for target in own) > 0,
    }
    reader.close()
    writer.close(unlink=True)
    return facts


def crash(instance: str) -> Facts:
    """A creator killed at any step leaves something that the next one replaces."""
    path = SHM / f"fh.{instance}.venue"
    steps = ["fchmod", "lock", "judge", "fallocate", "map", "header", "epoch", "stamp"]
    facts: Facts = {}
    for step in steps:
        for capacities in (SMALL, OTHER):
            pid = forked(lambda step=step: _die_at(step, instance))  # type: ignore[misc]
            _, status = os.waitpid(pid, 0)
            assert os.WTERMSIG(status) == signal.SIGKILL, step
            left = path.stat().st_size
            try:
                Reader.attach(instance, ROLE, 0.0).close()
                readable = True
            except SegmentError:
                readable = False
            with opened(instance, capacities) as writer:
                published = writer.publish_quote(*QUOTE)
                facts[f"{step} {capacities.instruments}"] = [
                    left > 0,
                    readable,
                    writer.adopted,
                    writer.epoch(),
                    published,
                ]
                writer.close(unlink=True)
    return facts


def _die_at(step: str, instance: str) -> None:
    """Create a segment, and die in front of that step."""

    def die(*_: object, **__: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    places: dict[str, tuple[Any, str]] = {
        "fchmod": (os, "fchmod"),
        "lock": (segment, "_lock"),
        "judge": (segment, "_judge_existing"),
        "fallocate": (os, "posix_fallocate"),
        "map": (segment, "_map"),
        "header": (segment, "make_writer"),
        "epoch": (segment, "_store_word"),
        "stamp": (Writer, "_stamp_owner"),
    }
    owner, name = places[step]
    setattr(owner, name, die)
    opened(instance)


def race(instance: str) -> Facts:
    """Twenty processes open at once, round after round: one wins each."""
    wins: list[int] = []
    others: set[str] = set()
    for number in range(20):
        # A segment that is not there, one to adopt, one to retire: each in turn.
        if number % 3 == 0:
            segment.remove_leftover(f"/fh.{instance}.venue")
        capacities = OTHER if number % 3 == 2 else SMALL
        answers = _race_once(instance, capacities, 20)
        wins.append(answers.count("won"))
        others.update(answers)
        if number % 3 == 2:
            segment.remove_leftover(f"/fh.{instance}.venue")
    return {"wins": wins, "answers": sorted(others)}


def duel(instance: str) -> Facts:
    """Two processes create at once, many times: never both own it."""
    wins = []
    for _ in range(150):
        wins.append(_race_once(instance, SMALL, 2).count("won"))
        assert segment.remove_leftover(f"/fh.{instance}.venue")
    return {"wins": sorted(set(wins)), "rounds": len(wins)}


def _race_once(instance: str, capacities: Capacities, count: int) -> list[str]:
    gate_reading, gate_writing = os.pipe()
    answer_reading, answer_writing = os.pipe()
    end_reading, end_writing = os.pipe()

    def run() -> None:
        for unused in (gate_writing, end_writing):
            os.close(unused)
        os.read(gate_reading, 1)  # returns for everybody when the gate is closed
        try:
            writer = opened(instance, capacities)
            answer = "won" if writer.publish_quote(*QUOTE) else "?"
        except SegmentError as error:
            answer = type(error).__name__
        os.write(answer_writing, answer.encode() + b"\n")
        os.read(end_reading, 1)

    pids = [forked(run) for _ in range(count)]
    for descriptor in (gate_reading, gate_writing, answer_writing, end_reading):
        os.close(descriptor)
    with os.fdopen(answer_reading) as answers:
        lines = [answers.readline().strip() for _ in range(count)]
    os.close(end_writing)
    for pid in pids:
        assert os.waitpid(pid, 0)[1] == 0
    return lines


COMMANDS = {
    command.__name__: command
    for command in (busy, killed, fork, orphan, execute, crash, race, duel)
}

if __name__ == "__main__":
    print(json.dumps(COMMANDS[sys.argv[1]](sys.argv[2])))
