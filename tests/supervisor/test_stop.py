"""`stop` finds processes through their segments, and signals nobody else."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

from feedhandler.supervisor.leftovers import (
    Holder,
    end_holders,
    find_holders,
    instance_of,
    open_holder,
)
from feedhandler.supervisor.stop import stop_instance
from shm_layout import identity
from tests.supervisor.fakes import FEED, heartbeat_ns, owner_pid
from tests.support import MS, Programs, segment_paths, wait_until

ROLE = "feed:hyperliquid"


def start_feed(programs: Programs, instance: str, role: str = ROLE) -> int:
    program = programs.python("-c", FEED, instance, role)
    wait_until(lambda: heartbeat_ns(instance, role), 10_000 * MS, "a heartbeat")
    assert owner_pid(instance, role) == program.pid
    return program.pid


def test_name_of_a_segment_tells_its_instance() -> None:
    assert instance_of("/fh.a-b.runner") == "a-b"


def test_processes_started_by_hand_are_ended_and_their_segments_removed(
    instance: str, programs: Programs
) -> None:
    start_feed(programs, instance)
    start_feed(programs, instance, "runner")
    assert {holder.role for holder in find_holders(instance)} == {ROLE, "runner"}
    said: list[str] = []
    assert stop_instance(instance, said.append)
    assert not segment_paths(instance)
    assert not find_holders(instance)
    assert "stopping feed:hyperliquid" in said[0]


def test_stopped_process_is_killed(instance: str, programs: Programs) -> None:
    pid = start_feed(programs, instance)
    os.kill(pid, signal.SIGSTOP)
    said: list[str] = []
    assert stop_instance(instance, said.append, timeout_s=0.1)
    assert f"killing pid {pid}" in said[-1]
    assert not segment_paths(instance)


def test_nothing_there_is_said(instance: str) -> None:
    assert not stop_instance(instance, print)


def test_another_instance_is_left_alone(instance: str, programs: Programs) -> None:
    other = instance[:25] + "x"
    pid = start_feed(programs, instance)
    assert not stop_instance(other, print)
    assert owner_pid(instance, ROLE) == pid
    stop_instance(instance, lambda text: None)


def test_pid_of_another_start_time_is_never_signalled() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=-1) as stranger:
        ticks = identity.start_ticks(stranger.pid)
        assert ticks is not None
        reused = Holder(ROLE, stranger.pid, ticks - 1)
        assert open_holder(reused) is None
        assert end_holders([reused], signal.SIGKILL, 0.1) == []
        assert stranger.poll() is None
        stranger.kill()


def test_segment_of_a_killed_writer_is_removed_without_a_signal(
    instance: str, programs: Programs
) -> None:
    pid = start_feed(programs, instance)
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not find_holders(instance), 5_000 * MS, "its end")
    said: list[str] = []
    assert stop_instance(instance, said.append)
    assert not said, "there was nobody to stop"
    assert not segment_paths(instance)


def test_program_that_reads_is_neither_ended_nor_its_segment_removed(
    instance: str, programs: Programs
) -> None:
    strategy = start_feed(programs, instance, "reader:strategy")
    assert not stop_instance(instance, print), "nothing of ours was there"
    start_feed(programs, instance)
    assert stop_instance(instance, lambda text: None)
    assert owner_pid(instance, "reader:strategy") == strategy
    assert [path.name for path in segment_paths(instance)] == [
        f"fh.{instance}.reader-strategy"
    ]
    programs.started[0].kill()
    start_feed(programs, instance)
    assert stop_instance(instance, lambda text: None)
    assert not segment_paths(instance), "a dead reader's segment is removed"


def test_what_a_dead_reader_left_is_removed_when_nothing_else_is_there(
    instance: str, programs: Programs
) -> None:
    start_feed(programs, instance, "reader:strategy")
    programs.started[0].kill()
    assert not stop_instance(instance, print), "nothing of ours was there"
    assert not segment_paths(instance)
