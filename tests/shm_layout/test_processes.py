"""One writer, whatever processes do: fork, exec, die, race for the segment."""

from __future__ import annotations

import json
from typing import Any

import pytest

from shm_layout import segment
from tests.shm_layout.memory import ONE_THREAD, load
from tests.support import Programs


def run(
    programs: Programs, command: str, instance: str, implementation: str = "native"
) -> Any:
    """Run one command of `processes.py` to its end and return its facts."""
    load(implementation)
    program = programs.python(
        "-m",
        "tests.shm_layout.processes",
        command,
        instance,
        environment={"FEEDHANDLER_SHM": implementation, **ONE_THREAD},
    )
    assert program.wait(80) == 0, program.stderr()
    assert "child failed" not in program.stderr(), program.stderr()
    segment.remove_leftover(f"/fh.{instance}.venue")
    return json.loads(program.stdout())


def test_second_writer_is_told_the_pid_of_the_first(
    instance: str, programs: Programs
) -> None:
    assert run(programs, "busy", instance) == {"told": True, "in_text": True}


def test_killed_writer_is_replaced_at_once_even_as_a_zombie(
    instance: str, name: str, programs: Programs
) -> None:
    assert run(programs, "killed", instance, name) == {
        "alive": True,
        "zombie_alive": False,
        "as_zombie": [True, 2, 1],
        "after": [True, 3, 1],
    }


def test_forked_child_may_not_write_and_takes_nothing_with_it(
    instance: str, name: str, programs: Programs
) -> None:
    assert run(programs, "fork", instance, name) == {
        "child": 0,
        "same": True,
        "linked": True,
        "published": 2,
        "locked": True,
    }


def test_lock_dies_with_the_parent_of_a_forked_child(
    instance: str, programs: Programs
) -> None:
    assert run(programs, "orphan", instance) == {"child": True, "adopted": True}


def test_executed_child_inherits_no_descriptor(
    instance: str, programs: Programs
) -> None:
    assert run(programs, "execute", instance) == {"inherited": 0, "own": True}


def test_creator_killed_at_any_step_is_succeeded(
    instance: str, programs: Programs
) -> None:
    facts = run(programs, "crash", instance)
    blank, filled = ["fchmod", "lock", "judge", "fallocate"], ["map", "header"]
    for count in (4, 8):
        for step in blank:
            assert facts.pop(f"{step} {count}") == [False, False, False, 1, 1], step
        for step in filled:
            assert facts.pop(f"{step} {count}") == [True, False, False, 1, 1], step
    # Ready: it is adopted from here on, unless its capacities are others.
    assert facts == {
        "epoch 4": [True, True, True, 1, 1],
        "epoch 8": [True, True, False, 1, 1],
        "stamp 4": [True, True, True, 2, 1],
        "stamp 8": [True, True, False, 2, 1],  # epochs go on
    }


@pytest.mark.stress
def test_of_twenty_that_open_at_once_one_wins(
    instance: str, programs: Programs
) -> None:
    facts = run(programs, "race", instance)
    assert facts["wins"] == [1] * 20
    assert facts["answers"] == ["SegmentBusy", "won"]


@pytest.mark.stress
def test_two_that_create_at_once_never_both_own(
    instance: str, programs: Programs
) -> None:
    assert run(programs, "duel", instance) == {"wins": [1], "rounds": 150}
