"""The runner as a process: however a signal reaches it, it ends clean."""

from __future__ import annotations

import ctypes
import os
import signal
from pathlib import Path

import pytest

from shm_layout import Reader, SegmentError, segment
from tests.support import MS, Programs, wait_until

TGKILL = 234  # the system call's number on x86-64


def start(programs: Programs, instance: str) -> int:
    program = programs.feedhandler("runner", "--instance", instance)

    def is_beating() -> bool:
        try:
            with Reader.attach(instance, "runner") as reader:
                return reader.heartbeat_ns() > 0
        except SegmentError:
            return False

    wait_until(is_beating, 10_000 * MS, "the runner's heartbeat")
    return program.pid


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_clean(
    instance: str, programs: Programs, number: signal.Signals
) -> None:
    start(programs, instance)
    program = programs.started[0]
    assert program.stop(number, timeout_s=5_000 * MS) == 0
    segment.remove_leftover(segment.segment_name(instance, "runner"))


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="a number of this machine")
def test_a_signal_taken_by_a_librarys_thread_ends_it_clean(
    instance: str, programs: Programs
) -> None:
    pid = start(programs, instance)
    program = programs.started[0]
    threads = [int(task.name) for task in Path(f"/proc/{pid}/task").iterdir()]
    others = [thread for thread in threads if thread != pid]
    if not others:
        pytest.skip("numpy started no thread here")
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.syscall(TGKILL, pid, others[0], signal.SIGTERM) == 0
    assert program.wait(5_000 * MS) == 0
    segment.remove_leftover(segment.segment_name(instance, "runner"))
