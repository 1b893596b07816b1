"""The supervisor stopped, killed, or without its segment; children that hang."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

from feedhandler.supervisor.leftovers import find_orphans
from feedhandler.supervisor.parent import VARIABLE
from shm_layout import Reader
from tests.supervisor.fakes import (
    FEED,
    counters,
    fake_feed,
    heartbeat_ns,
    owner_pid,
    python,
    supervise,
)
from tests.support import MS, Program, Programs, segment_paths, wait_until

ROLE = "feed:hyperliquid"

# Beats as a feed does, and logs as fast as it can.
CHATTY = """
import signal, sys, time
from feedhandler import log
from shm_layout import Capacities, Writer
signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))
log.configure("runner")
writer = Writer.open(sys.argv[1], "runner", Capacities(instruments=1, ring_slots=8))
dropped = writer.counter("dropped")
while True:
    for _ in range(100):
        log.audit(venue="x" * 900, reconnect_reason="", count=0, session=0, ts_ms=0)
    writer.set_counter(dropped, log.dropped())
    writer.beat(time.monotonic_ns(), 1)
    time.sleep(0.001)
"""


def state_of(pid: int) -> str:
    """Return the letter of a process, `T` when it is stopped; empty when gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    return text.rpartition(")")[2].split()[0]


def wait_for(instance: str, role: str, program: Program, not_pid: int = 0) -> int:
    """Return the pid of a process of that role that is not `not_pid`, once it beats."""

    def find() -> int:
        assert program.is_running(), program.stderr()
        pid = owner_pid(instance, role)
        return pid if pid != not_pid and heartbeat_ns(instance, role) else 0

    return wait_until(find, 15_000 * MS, f"a {role}")


def test_stopped_supervisor_blocks_no_child_that_logs(
    instance: str, programs: Programs
) -> None:
    program = supervise(programs, instance, {"runner": python(CHATTY, instance)})
    wait_for(instance, "runner", program)
    os.kill(program.pid, signal.SIGSTOP)
    wait_until(lambda: state_of(program.pid) == "T", 5_000 * MS, "a stopped supervisor")
    with Reader.attach(instance, "runner") as reader:
        before = reader.counters()["dropped"]
        # Many times what a pipe holds is dropped, and counted, and nothing waits.
        wait_until(
            lambda: reader.counters()["dropped"] > before + 2_000,
            10_000 * MS,
            "lines that are dropped",
        )
        beat_ns = reader.heartbeat_ns()
        wait_until(lambda: reader.heartbeat_ns() > beat_ns, 1_000 * MS, "a heartbeat")
    os.kill(program.pid, signal.SIGCONT)
    assert program.stop() == 0


def test_supervisor_that_goes_on_ends_nobody_who_beats(
    instance: str, programs: Programs
) -> None:
    program = supervise(
        programs, instance, {"runner": python(FEED, instance, "runner")}, hung_ms=500
    )
    pid = wait_for(instance, "runner", program)
    for stopped in (program.pid, pid):
        os.kill(stopped, signal.SIGSTOP)
    stopped_ns = time.monotonic_ns()
    # Longer than a child may be silent, and than the supervisor takes for a pause.
    wait_until(
        lambda: time.monotonic_ns() - stopped_ns > 4_000_000_000, 10.0, "a long stop"
    )
    os.kill(program.pid, signal.SIGCONT)
    before = heartbeat_ns(instance, "supervisor")
    wait_until(
        lambda: heartbeat_ns(instance, "supervisor") > before,
        5_000 * MS,
        "a supervisor that goes on first",
    )
    os.kill(pid, signal.SIGCONT)
    wait_until(
        lambda: heartbeat_ns(instance, "supervisor") > before + 3_000_000_000,
        20_000 * MS,
        "a supervisor that looked",
    )
    assert owner_pid(instance, "runner") == pid
    assert program.stop() == 0


def test_hung_runner_is_ended_and_started_again(
    instance: str, programs: Programs
) -> None:
    program = supervise(
        programs, instance, {"runner": python(FEED, instance, "runner")}, hung_ms=500
    )
    first = wait_for(instance, "runner", program)
    os.kill(first, signal.SIGSTOP)
    wait_for(instance, "runner", program, not_pid=first)
    assert counters(instance)["restarts.runner"] == 1
    assert program.stop() == 0
    assert f"process_hung process=runner pid={first}" in program.stderr()
    assert "cause=SIGKILL" in program.stderr()


def test_hung_feed_is_left_to_the_ladder(instance: str, programs: Programs) -> None:
    children = {**fake_feed(instance), "runner": python(FEED, instance, "runner")}
    program = supervise(programs, instance, children, hung_ms=500)
    feed = wait_for(instance, ROLE, program)
    runner = wait_for(instance, "runner", program)
    os.kill(feed, signal.SIGSTOP)
    os.kill(runner, signal.SIGSTOP)
    wait_for(instance, "runner", program, not_pid=runner)
    assert state_of(feed) == "T"
    assert program.stop() == 0


def test_removed_segment_of_the_supervisor_is_made_anew(
    instance: str, programs: Programs
) -> None:
    program = supervise(programs, instance, fake_feed(instance))
    first = wait_for(instance, ROLE, program)
    os.kill(first, signal.SIGKILL)
    wait_for(instance, ROLE, program, not_pid=first)
    Path(f"/dev/shm/fh.{instance}.supervisor").unlink()
    wait_until(lambda: counters(instance), 10_000 * MS, "a new segment")
    assert owner_pid(instance, "supervisor") == program.pid
    assert counters(instance)[f"restarts.{ROLE}"] == 1, "counters go on"
    # Its feed is refused for as long as the first one's lives.
    second = supervise(programs, instance, fake_feed(instance), restarts_max=1_000)
    assert second.wait() == 4, "it is the only one all the same"
    assert program.stop() == 0
    assert not segment_paths(instance)


def test_supervisor_whose_name_another_one_took_ends_with_3(
    instance: str, programs: Programs
) -> None:
    program = supervise(programs, instance, fake_feed(instance))
    wait_for(instance, ROLE, program)
    os.kill(program.pid, signal.SIGSTOP)
    Path(f"/dev/shm/fh.{instance}.supervisor").unlink()
    # Its feed is refused for as long as the first one's lives.
    second = supervise(programs, instance, fake_feed(instance), restarts_max=1_000)
    wait_for(instance, "supervisor", second)
    os.kill(program.pid, signal.SIGCONT)
    assert program.wait() == 3
    wait_for(instance, ROLE, second)
    assert second.stop() == 0
    assert not segment_paths(instance)


def test_orphan_of_a_killed_supervisor_is_ended_by_the_next_start(
    instance: str, programs: Programs
) -> None:
    # Its tie to the supervisor is missing, as where the kernel lost it.
    with subprocess.Popen(["true"]) as gone:
        gone.wait()
    for variable, value in ((VARIABLE, str(gone.pid)), ("SUPERVISOR_ENABLED", "1")):
        orphan = programs.python(
            "-c", FEED, instance, ROLE, environment={variable: value}
        )
        wait_for(instance, ROLE, orphan)
        assert [holder.pid for holder in find_orphans(instance)] == [orphan.pid]
        program = supervise(programs, instance, fake_feed(instance))
        wait_for(instance, ROLE, program, not_pid=orphan.pid)
        assert orphan.wait() == 0
        assert program.stop() == 0
        assert f"orphan process={ROLE} pid={orphan.pid}" in program.stderr()


def test_process_started_by_hand_is_no_orphan(
    instance: str, programs: Programs
) -> None:
    by_hand = programs.python("-c", FEED, instance, ROLE)
    wait_for(instance, ROLE, by_hand)
    assert find_orphans(instance) == []
    mine = programs.python(
        "-c", FEED, instance, "runner", environment={VARIABLE: str(os.getpid())}
    )
    wait_for(instance, "runner", mine)
    assert find_orphans(instance) == [], "its supervisor lives"
    wrapped = programs.start(
        "sh",
        "-c",
        '"$@" & wait',
        "wrapper",
        *python(FEED, instance, "rest"),
        environment={"SUPERVISOR_ENABLED": "1"},
    )
    wait_for(instance, "rest", wrapped)
    assert find_orphans(instance) == [], "a wrapper stands between the two"
    for program in (by_hand, mine):
        program.stop()
    os.kill(owner_pid(instance, "rest"), signal.SIGTERM)
    wrapped.wait()
    for path in segment_paths(instance):
        path.unlink()
