"""Many restarts in a row leave no segment, descriptor, thread or memory behind.

`python -m tests.supervisor.test_restarts 1000` runs any number and prints the figures.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from shm_layout import Reader
from tests import support
from tests.supervisor.fakes import fake_feed, heartbeat_ns, owner_pid, supervise
from tests.support import MS, Program, Programs, segment_paths, wait_until

ROLE = "feed:hyperliquid"
COUNT = 25
# What the interpreter's own lists and the log may still grow by after a warm-up.
GROWTH_KIB_MAX = 2_048


@dataclass(frozen=True, slots=True)
class Held:
    """What a process and its instance hold."""

    descriptors: int
    threads: int
    segments: int
    processes: int
    resident_kib: int


def held(pid: int, instance: str) -> Held:
    """Count what the supervisor and its instance hold now."""
    status = Path(f"/proc/{pid}/status").read_text()
    fields = dict(line.split(":", 1) for line in status.splitlines())
    return Held(
        descriptors=len(list(Path(f"/proc/{pid}/fd").iterdir())),
        threads=int(fields["Threads"]),
        segments=len(segment_paths(instance)),
        processes=len(support.process_ids(instance)),
        resident_kib=int(fields["VmRSS"].split()[0]),
    )


def wait_for_feed(instance: str, program: Program, not_pid: int = 0) -> int:
    """Return the pid of a feed that is not `not_pid`, once it beats."""

    def find() -> int:
        assert program.is_running(), program.stderr()
        pid = owner_pid(instance, ROLE)
        return pid if pid != not_pid and heartbeat_ns(instance, ROLE) else 0

    return wait_until(find, 15_000 * MS, "a feed")


def restart_often(program: Program, instance: str, count: int) -> tuple[Held, Held]:
    """Kill the feed so many times; return what is held before and after."""
    pid = wait_for_feed(instance, program)
    first = held(program.pid, instance)
    with Reader.attach(instance, ROLE) as reader:
        epoch = reader.owner().epoch
        for _ in range(count):
            os.kill(pid, signal.SIGKILL)
            pid = wait_for_feed(instance, program, not_pid=pid)
        assert reader.is_current(), "every writer adopted the same segment"
        assert reader.owner().epoch == epoch + count
    return first, held(program.pid, instance)


def start(programs: Programs, instance: str, limit_s: float) -> Program:
    """Start a supervisor whose budget and back-off are in nobody's way."""
    return supervise(
        programs,
        instance,
        fake_feed(instance),
        limit_s=limit_s,
        restarts_max=1_000,
        restarts_window_ms=100,
        backoff_first_ms=1,
        backoff_max_ms=1,
    )


def test_restarts_leave_nothing_behind(instance: str, programs: Programs) -> None:
    program = start(programs, instance, support.WATCHDOG_S)
    first, last = restart_often(program, instance, COUNT)
    assert last.descriptors == first.descriptors
    assert last.threads == first.threads
    assert last.segments == first.segments
    assert last.processes == first.processes
    assert last.resident_kib - first.resident_kib < GROWTH_KIB_MAX
    assert program.stop() == 0
    assert not segment_paths(instance)


def main(count: int) -> None:
    """Restart so many times and print what is held before and after."""
    with tempfile.TemporaryDirectory() as folder:
        programs = Programs(Path(folder))
        instance = support.new_instance()
        try:
            program = start(programs, instance, limit_s=3_600.0)
            begun_s = time.monotonic()
            first, last = restart_often(program, instance, count)
            print(f"{count} restarts in {time.monotonic() - begun_s:.0f} s")
            print(f"before {first}\nafter  {last}")
            program.stop()
            print(f"left   {segment_paths(instance)}")
        finally:
            programs.close()


if __name__ == "__main__":
    main(int(sys.argv[1]))
