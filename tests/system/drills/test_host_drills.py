"""Runner, readers and supervisor hurt, each alone and all at once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import feedhandler
from tests.support import MS, ROOT, process_ids, wait_until
from tests.system.drills.drill import Drill
from tests.system.drills.test_feed_drills import wait_ns
from tests.system.drills.world import BTC, HYPERLIQUID, LIGHTER, now_ns

pytestmark = [pytest.mark.system, pytest.mark.slow]

READERS = 10
ATTACHES = 50

READ_FOR_EVER = """
import sys
import feedhandler
with feedhandler.attach(sys.argv[1], timeout_s=20) as feed:
    print("reading", flush=True)
    while True:
        feed.quotes()
"""


def test_killed_runner_makes_nothing_tradable_and_touches_no_feed(
    drill: Drill,
) -> None:
    world = drill.world
    before = world.pids()
    drill.strike(
        "F33",
        "SIGKILL of the runner",
        lambda: os.kill(before["runner"], signal.SIGKILL),
    )
    after = world.pids()
    assert after.pop("runner") != before.pop("runner")
    assert after == before


def test_resumed_runner_restarts_nobody_by_mistake(drill: Drill) -> None:
    world = drill.world
    before = world.pids()
    pauses = world.count("runner", "pauses")
    drill.strike(
        "F34",
        "the runner stopped for 1.5 s",
        lambda: os.kill(before["runner"], signal.SIGSTOP),
        meanwhile=lambda: wait_ns(world, 900_000_000),
        heal=lambda: os.kill(before["runner"], signal.SIGCONT),
    )
    assert world.count("runner", "pauses") > pauses
    wait_ns(world, 1_000_000_000)
    assert world.pids() == before


def test_resumed_machine_restarts_nobody_by_mistake(drill: Drill) -> None:
    world = drill.world
    before = world.pids()
    everyone = [*before.values(), world.program.pid]

    def all_of(number: int) -> None:
        for pid in everyone:
            os.kill(pid, number)

    drill.strike(
        "F35",
        "all processes stopped for 2 s",
        lambda: all_of(signal.SIGSTOP),
        meanwhile=lambda: wait_ns(world, 1_500_000_000),
        heal=lambda: all_of(signal.SIGCONT),
        recover_ms=5_000,
    )
    wait_ns(world, 1_000_000_000)
    assert world.pids() == before


def test_stopped_supervisor_disturbs_nobody(drill: Drill) -> None:
    world = drill.world
    before = world.pids()
    frames = world.count(f"feed:{HYPERLIQUID}", "frames")

    def stop() -> None:
        os.kill(world.program.pid, signal.SIGSTOP)
        wait_ns(world, 2_000_000_000)
        assert world.is_calm()
        os.kill(world.program.pid, signal.SIGCONT)

    drill.endure("F44", "the supervisor stopped for 2 s", stop, "feeds go on")
    assert world.count(f"feed:{HYPERLIQUID}", "frames") > frames
    wait_ns(world, 500_000_000)
    assert world.pids() == before


def test_readers_die_and_nobody_notices(drill: Drill) -> None:
    world = drill.world
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}

    def read_and_die() -> None:
        for _ in range(READERS):
            command = [sys.executable, "-c", READ_FOR_EVER, world.instance]
            reader = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE)
            assert reader.stdout is not None
            with reader.stdout:
                assert reader.stdout.readline() == b"reading\n"
                reader.kill()
                reader.wait()

    drill.endure("F37", f"{READERS} readers killed", read_and_die, "feeds go on")


def test_attaching_again_and_again_leaves_nothing(drill: Drill) -> None:
    world = drill.world
    descriptors = Path("/proc/self/fd")
    before = len(list(descriptors.iterdir()))

    def attach() -> None:
        for _ in range(ATTACHES):
            with feedhandler.attach(world.instance, timeout_s=5) as feed:
                assert feed.quote(HYPERLIQUID, BTC) is not None

    drill.endure("F38", f"{ATTACHES} attaches", attach, "no descriptor is left")
    assert len(list(descriptors.iterdir())) <= before + 1


def test_status_with_a_closed_pipe_ends_quietly(drill: Drill) -> None:
    world = drill.world

    def look() -> None:
        source = "from feedhandler.cli import main; main()"
        words = [sys.executable, "-c", source, "status", "--instance", world.instance]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        status = subprocess.Popen(
            words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        assert status.stdout is not None
        assert status.stderr is not None
        status.stdout.close()
        with status.stderr as told:
            assert b"Traceback" not in told.read()
        status.wait()

    drill.endure("F47", "status into a closed pipe", look, "no traceback")


def test_everything_killed_at_once_is_one_start_away(drill: Drill) -> None:
    """Last of its module: the supervisor is another one afterwards."""
    world = drill.world
    victims = [*world.pids().values(), world.program.pid]

    def kill_all() -> None:
        for pid in victims:
            os.kill(pid, signal.SIGKILL)

    def is_dead() -> None:
        world.program.wait()
        wait_until(
            lambda: not (set(process_ids(world.instance)) & set(victims)),
            5_000 * MS,
            "the end of all",
        )
        begun_ns = now_ns()
        status = world.command("status", "--json")
        assert status.wait() == 1, "F48: nothing lives, and it says so"
        took_ms = (now_ns() - begun_ns) / 1e6
        drill.note("F48", "status while all is dead", f"exit 1 after {took_ms:.0f} ms")

    drill.strike(
        "F124",
        "everything killed at once",
        kill_all,
        meanwhile=is_dead,
        heal=world.start,
        recover_ms=10_000,
    )
    world.wait(world.is_calm, f"{LIGHTER} too")
