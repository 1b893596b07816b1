"""A child that the kernel kills for lack of memory is told from any other kill."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from feedhandler.supervisor.resources import CGROUP_ROOT
from tests.supervisor.fakes import python, supervise
from tests.support import MS, Programs, wait_until

LIMIT_BYTES = 256 << 20

# Eats in the group alone, never the memory of the host.
GREEDY = """
import sys
blocks = []
while sys.argv[1] in open("/proc/self/cgroup").read():
    blocks.append(b"x" * (8 << 20))
"""


@pytest.fixture
def group(instance: str) -> Iterator[Path]:
    """A memory control group of our own, below the root."""
    is_version_2 = (CGROUP_ROOT / "cgroup.controllers").exists()
    folder = (CGROUP_ROOT if is_version_2 else CGROUP_ROOT / "memory") / instance
    limit = folder / ("memory.max" if is_version_2 else "memory.limit_in_bytes")
    try:
        folder.mkdir()
        limit.write_text(str(LIMIT_BYTES))
    except OSError as error:
        if folder.is_dir():
            folder.rmdir()
        pytest.skip(f"no right to limit memory: {error}")
    yield folder
    wait_until(
        lambda: not (folder / "cgroup.procs").read_text(), 10.0, "an empty group"
    )
    folder.rmdir()


def test_kill_for_lack_of_memory_is_named(
    group: Path, instance: str, programs: Programs
) -> None:
    greedy = python(GREEDY, instance)
    program = supervise(programs, instance, {"runner": greedy}, restarts_max=100)
    # Whoever is started from now on is in the group, too.
    (group / "cgroup.procs").write_text(str(program.pid))
    wait_until(lambda: "cause=oom" in program.stderr(), 30_000 * MS, "an end by oom")
    assert program.is_running()
    assert program.stop() == 0
    assert "killed by the kernel for lack of memory" in program.stderr()


def test_kill_by_anybody_else_is_not(
    group: Path, instance: str, programs: Programs
) -> None:
    source = "import signal\nprint('here', flush=True)\nsignal.pause()"
    program = supervise(programs, instance, {"runner": python(source)})
    wait_until(lambda: "runner| here" in program.stderr(), 10_000 * MS, "the child")
    (group / "cgroup.procs").write_text(str(program.pid))
    line = next(
        line for line in program.stderr().splitlines() if "process_started" in line
    )
    os.kill(int(line.rpartition("pid=")[2]), signal.SIGKILL)
    wait_until(lambda: "cause=SIGKILL" in program.stderr(), 10_000 * MS, "an end")
    assert program.stop() == 0
