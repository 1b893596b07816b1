"""The helpers that other tests trust notice what they must notice."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests import support
from tests.support import MS, Programs, wait_until

WAITS_FOR_EVER = "import signal; signal.pause()"


def test_wait_until_returns_the_true_value() -> None:
    answers = iter([0, None, "ready"])
    assert wait_until(lambda: next(answers), 1000 * MS) == "ready"


def test_wait_until_names_what_did_not_happen() -> None:
    with pytest.raises(AssertionError, match="the impossible"):
        wait_until(lambda: False, 1 * MS, "the impossible")


def test_two_instances_never_share_a_name() -> None:
    names = {support.new_instance() for _ in range(100)}
    assert len(names) == 100
    assert all(len(name) <= 32 for name in names)


def test_left_segment_is_found_and_removed() -> None:
    name = support.new_instance()
    path = support.SHM / f"fh.{name}.hyperliquid"
    path.write_bytes(b"")
    assert support.remove_leftovers(name, support.child_ids()) == [f"segment {path}"]
    assert not path.exists()


def test_left_child_is_found_and_ended() -> None:
    before = support.child_ids()
    with subprocess.Popen([sys.executable, "-c", WAITS_FOR_EVER]) as child:
        left = support.remove_leftovers(support.new_instance(), before)
        assert [line.split(":")[0] for line in left] == [f"process {child.pid}"]
        assert child.wait(5000 * MS) == -9


def test_orphan_is_found_by_the_instance_in_its_command_line() -> None:
    name = support.new_instance()
    parent = (
        "import subprocess, sys;"
        f"subprocess.Popen([sys.executable, '-c', {WAITS_FOR_EVER!r}, {name!r}])"
    )
    subprocess.run([sys.executable, "-c", parent], check=True)
    wait_until(lambda: support.process_ids(name), 2000 * MS, "the orphan")
    assert len(support.remove_leftovers(name, support.child_ids())) == 1
    wait_until(lambda: not support.process_ids(name), 2000 * MS, "its end")


def test_watchdog_ends_a_program_that_hangs(programs: Programs) -> None:
    program = programs.python("-c", WAITS_FOR_EVER, limit_s=50 * MS)
    assert program.wait(5000 * MS) == -9


def test_program_keeps_its_output_and_exit_code(programs: Programs) -> None:
    source = "import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)"
    program = programs.python("-c", source)
    assert program.wait(5000 * MS) == 3
    assert (program.stdout(), program.stderr()) == ("out\n", "err\n")
