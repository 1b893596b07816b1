"""Who lives and does not beat is ended; who beats, or is not ours, is not."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from feedhandler.config import Config
from feedhandler.config.schema import LadderConfig
from feedhandler.supervisor.hung import LOOK_NS, START_NS, HungWatch
from tests.supervisor.fakes import DEAF, FEED, heartbeat_ns, owner_pid
from tests.support import MS, Program, Programs, segment_paths, wait_until

HUNG_NS = 5_000_000_000
IDLE = "import signal; print('here', flush=True); signal.pause()"


def watch(instance: str, now_ns: int) -> HungWatch:
    return HungWatch(
        Config(instance=instance, ladder=LadderConfig(term_ms=100)), now_ns
    )


def look(hung: HungWatch, from_ns: int, to_ns: int) -> None:
    """Look once a second of the time that is passed in."""
    for now_ns in range(from_ns + LOOK_NS, to_ns + 1, LOOK_NS):
        hung.look(now_ns)


def start_beating(programs: Programs, instance: str, role: str) -> tuple[Program, int]:
    """Return a process of that role, and its last heartbeat: it is stopped now."""
    program = programs.python("-c", FEED, instance, role)
    wait_until(lambda: heartbeat_ns(instance, role), 10_000 * MS, "a heartbeat")
    assert owner_pid(instance, role) == program.pid
    os.kill(program.pid, signal.SIGSTOP)
    stat = Path(f"/proc/{program.pid}/stat")
    wait_until(lambda: ") T " in stat.read_text(), 5_000 * MS, "a stop")
    return program, heartbeat_ns(instance, role)


@pytest.mark.parametrize("role", ["runner", "rest", "telemetry"])
def test_stopped_process_is_killed_after_its_limit(
    role: str, instance: str, programs: Programs
) -> None:
    program, beat_ns = start_beating(programs, instance, role)
    hung = watch(instance, beat_ns)
    look(hung, beat_ns, beat_ns + HUNG_NS - LOOK_NS)
    assert program.is_running()
    look(hung, beat_ns + HUNG_NS - LOOK_NS, beat_ns + HUNG_NS + 2 * LOOK_NS)
    assert program.wait() == -signal.SIGKILL
    hung.close()
    remove_segments(instance)


@pytest.mark.parametrize("role", ["feed:hyperliquid", "reader:strategy"])
def test_feed_and_reader_are_left_alone(
    role: str, instance: str, programs: Programs
) -> None:
    program, beat_ns = start_beating(programs, instance, role)
    hung = watch(instance, beat_ns)
    look(hung, beat_ns, beat_ns + 100 * LOOK_NS)
    os.kill(program.pid, signal.SIGCONT)
    assert program.stop() == 0
    hung.close()
    remove_segments(instance)


def test_pause_of_our_own_lets_everybody_beat_first(
    instance: str, programs: Programs
) -> None:
    program, beat_ns = start_beating(programs, instance, "runner")
    hung = watch(instance, beat_ns)
    back_ns = beat_ns + 60 * LOOK_NS
    hung.look(back_ns)
    look(hung, back_ns, back_ns + HUNG_NS - LOOK_NS)
    os.kill(program.pid, signal.SIGCONT)
    assert program.stop() == 0
    hung.close()
    remove_segments(instance)


@pytest.mark.parametrize(
    ("source", "code"),
    [(IDLE, -signal.SIGTERM), (DEAF, -signal.SIGKILL)],
    ids=["idle", "deaf"],
)
def test_process_that_never_made_its_segment_is_ended(
    source: str, code: int, instance: str, programs: Programs
) -> None:
    program = programs.python("-c", source)
    wait_until(lambda: program.stdout(), 10_000 * MS, "its start")
    hung = watch(instance, 0)
    hung.expect("feed:hyperliquid", program.pid, 0)
    look(hung, 0, START_NS - LOOK_NS)
    assert program.is_running()
    hung.look(START_NS)
    if source == IDLE:
        wait_until(lambda: not program.is_running(), 5_000 * MS, "its end")
    look(hung, START_NS, START_NS + 2 * LOOK_NS)
    assert program.wait() == code
    hung.close()


def test_process_that_beat_once_is_expected_no_more(
    instance: str, programs: Programs
) -> None:
    program, beat_ns = start_beating(programs, instance, "feed:hyperliquid")
    hung = watch(instance, beat_ns)
    hung.expect("feed:hyperliquid", program.pid, beat_ns)
    look(hung, beat_ns, beat_ns + 2 * START_NS)
    os.kill(program.pid, signal.SIGCONT)
    assert program.stop() == 0
    hung.close()
    remove_segments(instance)


def test_one_manager_at_a_time(instance: str, programs: Programs) -> None:
    arguments = ("--instance", instance)
    first = programs.feedhandler("watch", *arguments)
    wait_until(lambda: heartbeat_ns(instance, "supervisor"), 10_000 * MS, "a watch")
    for words in (["watch"], ["start", "--demo", "--no-table"]):
        second = programs.feedhandler(*words, *arguments)
        assert second.wait() == 4
        assert f"pid={first.pid}" in second.stderr()
    assert first.stop() == 0
    assert not segment_paths(instance)


def remove_segments(instance: str) -> None:
    for path in segment_paths(instance):
        path.unlink()
