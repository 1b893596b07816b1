"""The supervisor over real children: restart, budget, stop, and one at a time."""

from __future__ import annotations

import os
import signal
import time

import pytest

from tests.supervisor.fakes import (
    DEAF,
    FLOOD,
    WAITER,
    counters,
    fake_feed,
    heartbeat_ns,
    owner_pid,
    python,
    supervise,
)
from tests.support import MS, Program, Programs, segment_paths, wait_until

ROLE = "feed:hyperliquid"


def wait_for_feed(instance: str, program: Program, not_pid: int = 0) -> int:
    """Return the pid of a feed that is not `not_pid`, once it beats."""

    def find() -> int:
        assert program.is_running(), program.stderr()
        pid = owner_pid(instance, ROLE)
        return pid if pid != not_pid and heartbeat_ns(instance, ROLE) else 0

    return wait_until(find, 10_000 * MS, "a feed")


def test_killed_child_is_restarted_and_counted(
    instance: str, programs: Programs
) -> None:
    program = supervise(programs, instance, fake_feed(instance))
    first = wait_for_feed(instance, program)
    os.kill(first, signal.SIGKILL)
    second = wait_for_feed(instance, program, not_pid=first)
    assert second != first
    assert counters(instance)[f"restarts.{ROLE}"] == 1
    assert program.stop() == 0
    assert "cause=SIGKILL" in program.stderr()


def test_stages_are_printed_as_they_are_reached(
    instance: str, programs: Programs
) -> None:
    program = supervise(programs, instance, fake_feed(instance))
    wait_until(lambda: "first quote" in program.stdout(), 10_000 * MS, "a first quote")
    words = [line.split()[1] for line in program.stdout().splitlines()]
    assert words == ["config", "segment", "connect", "subscribed", "first"]
    assert program.stop() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signal_stops_everything_and_leaves_nothing(
    instance: str, programs: Programs, number: signal.Signals
) -> None:
    children = {**fake_feed(instance), "runner": python(WAITER)}
    program = supervise(programs, instance, children)
    feed = wait_for_feed(instance, program)
    assert program.stop(number) == 0
    assert not segment_paths(instance)
    with pytest.raises(ProcessLookupError, match="No such process"):
        os.kill(feed, 0)


def test_storm_of_sigterm_is_one_graceful_stop(
    instance: str, programs: Programs
) -> None:
    program = supervise(programs, instance, fake_feed(instance))
    wait_for_feed(instance, program)
    for _ in range(100):
        program.process.send_signal(signal.SIGTERM)
    assert program.wait() == 0
    assert program.stdout().count("stopping:") == 1


def test_crash_loop_uses_up_the_budget_and_is_disabled(
    instance: str, programs: Programs
) -> None:
    crashing = python("import sys; print('boom'); sys.exit(70)")
    program = supervise(
        programs, instance, {**fake_feed(instance), "runner": crashing}, restarts_max=3
    )
    wait_until(
        lambda: counters(instance).get("disabled.runner"), 10_000 * MS, "disabled"
    )
    assert counters(instance)["restarts.runner"] == 4  # the first run and 3 restarts
    wait_for_feed(instance, program)
    assert program.stop() == 0
    assert program.stderr().count("runner| boom") == 4
    assert "process_disabled process=runner" in program.stderr()


def test_disabled_child_is_tried_again_after_its_time(
    instance: str, programs: Programs
) -> None:
    crashing = python("import sys; sys.exit(70)")
    program = supervise(
        programs,
        instance,
        {**fake_feed(instance), "runner": crashing},
        restarts_max=1,
        disabled_retry_ms=100,
    )
    wait_until(
        lambda: counters(instance).get("restarts.runner", 0) >= 4,
        10_000 * MS,
        "tries after it was disabled",
    )
    assert program.stop() == 0
    assert program.stderr().count("process_disabled") >= 2


@pytest.mark.parametrize("code", [2, 5])
def test_start_that_cannot_succeed_ends_with_the_childs_code(
    instance: str, programs: Programs, code: int
) -> None:
    children = {ROLE: python(f"raise SystemExit({code})"), "runner": python(WAITER)}
    program = supervise(programs, instance, children)
    assert program.wait() == code
    assert f"cause=exit_{code}" in program.stderr()
    assert not segment_paths(instance)


def test_stopped_child_is_killed_at_the_stop(instance: str, programs: Programs) -> None:
    program = supervise(programs, instance, fake_feed(instance), stop_timeout_ms=200)
    feed = wait_for_feed(instance, program)
    os.kill(feed, signal.SIGSTOP)
    assert program.stop() == 0
    assert f"process_killed process={ROLE} pid={feed}" in program.stderr()
    assert not segment_paths(instance)


def test_second_interrupt_kills_at_once(instance: str, programs: Programs) -> None:
    program = supervise(
        programs, instance, {"runner": python(DEAF)}, stop_timeout_ms=60_000
    )
    wait_until(lambda: "runner| deaf" in program.stderr(), 10_000 * MS, "the child")
    program.process.send_signal(signal.SIGINT)
    wait_until(lambda: "stopping" in program.stdout(), 5_000 * MS, "the first stop")
    program.process.send_signal(signal.SIGINT)
    assert program.wait() == 0


def test_of_two_starts_at_once_one_wins_and_the_other_exits_4(
    instance: str, programs: Programs
) -> None:
    both = [supervise(programs, instance, fake_feed(instance)) for _ in range(2)]
    wait_until(lambda: not all(p.is_running() for p in both), 10_000 * MS, "a loser")
    loser, winner = sorted(both, key=Program.is_running)
    assert loser.wait() == 4
    assert f"pid={winner.pid}" in loser.stderr()
    wait_for_feed(instance, winner)
    assert winner.stop() == 0


def test_flood_of_a_child_blocks_neither_it_nor_the_supervisor(
    instance: str, programs: Programs
) -> None:
    program = supervise(
        programs, instance, {**fake_feed(instance), "runner": python(FLOOD)}
    )
    wait_until(
        lambda: "lines_suppressed process=runner" in program.stderr(),
        10_000 * MS,
        "the flood to be cut",
    )
    before = heartbeat_ns(instance, "supervisor")
    wait_until(
        lambda: heartbeat_ns(instance, "supervisor") > before, 5_000 * MS, "a heartbeat"
    )
    assert program.stop() == 0


def test_killed_supervisor_takes_its_children_with_it(
    instance: str, programs: Programs
) -> None:
    # The tie is made by the command line's entry, so a real command is the child.
    source = (
        "import os, signal\n"
        "from feedhandler.supervisor.parent import bind_to_parent\n"
        "assert bind_to_parent(os.environ)\n"
        "print('bound', flush=True)\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "while True: signal.pause()\n"
    )
    program = supervise(programs, instance, {"runner": python(source)})
    wait_until(lambda: "runner| bound" in program.stderr(), 10_000 * MS, "the child")
    line = next(
        line for line in program.stderr().splitlines() if "process_started" in line
    )
    child = int(line.rpartition("pid=")[2])
    program.kill()
    wait_until(lambda: not is_alive(child), 5_000 * MS, "the end of the child")
    clear = supervise(programs, instance, {}, {"for_seconds": 0.1})
    assert clear.wait() == 0, "the dead supervisor's segment is taken over"


def is_alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_for_seconds_ends_by_itself(instance: str, programs: Programs) -> None:
    begun_s = time.monotonic()
    program = supervise(programs, instance, fake_feed(instance), {"for_seconds": 0.5})
    assert program.wait() == 0
    assert time.monotonic() - begun_s >= 0.5
    assert "time is up" in program.stdout()
    assert not segment_paths(instance)
