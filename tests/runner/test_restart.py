"""A restart ends exactly the process it means, however that resists."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import pytest

from feedhandler.runner.restart import (
    BEGUN,
    ENDED,
    GONE,
    KILLED,
    REFUSED,
    Identity,
    Restarter,
)
from shm_layout import identity
from tests.support import MS, wait_until, watchdog

TERM_NS = 50_000_000
SLEEPS = "import time; print('up', flush=True); time.sleep(60)"
DEAF = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {SLEEPS}"

Start = Callable[[str], "subprocess.Popen[bytes]"]


@pytest.fixture
def start() -> Iterator[Start]:
    started: list[subprocess.Popen[bytes]] = []

    def begin(code: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
        started.append(process)
        assert process.stdout is not None
        with watchdog(process):
            assert process.stdout.readline() == b"up\n"
        return process

    yield begin
    for process in started:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


@pytest.fixture
def restarter() -> Iterator[Restarter]:
    made = Restarter(TERM_NS)
    yield made
    made.close()


def identify(process: subprocess.Popen[bytes]) -> Identity:
    ticks = identity.start_ticks(process.pid)
    assert ticks is not None
    return Identity(process.pid, ticks, identity.boot_id())


def outcome(restarter: Restarter) -> list[tuple[str, str]]:
    return wait_until(
        lambda: restarter.poll(time.monotonic_ns()), 5_000 * MS, "the process's end"
    )


def test_a_process_that_listens_ends_by_sigterm(
    start: Start, restarter: Restarter
) -> None:
    process = start(SLEEPS)
    assert restarter.begin("a", identify(process), time.monotonic_ns()) == BEGUN
    assert outcome(restarter) == [("a", ENDED)]
    assert process.wait() == -signal.SIGTERM


def test_a_process_that_does_not_listen_is_killed(
    start: Start, restarter: Restarter
) -> None:
    process = start(DEAF)
    restarter.begin("a", identify(process), time.monotonic_ns())
    assert outcome(restarter) == [("a", KILLED)]
    assert process.wait() == -signal.SIGKILL


def test_a_stopped_process_is_killed(start: Start, restarter: Restarter) -> None:
    process = start(SLEEPS)
    process.send_signal(signal.SIGSTOP)
    restarter.begin("a", identify(process), time.monotonic_ns())
    # Not every kernel lets SIGTERM wait until the process goes on.
    assert outcome(restarter) in ([("a", KILLED)], [("a", ENDED)])
    assert process.wait() in (-signal.SIGKILL, -signal.SIGTERM)


def test_nobody_is_killed_before_his_time(start: Start, restarter: Restarter) -> None:
    process = start(DEAF)
    begun_ns = time.monotonic_ns()
    restarter.begin("a", identify(process), begun_ns)
    assert restarter.poll(begun_ns + TERM_NS - 1) == []
    assert process.poll() is None


def test_a_second_restart_of_the_same_is_the_first_one(
    start: Start, restarter: Restarter
) -> None:
    process = start(DEAF)
    now_ns = time.monotonic_ns()
    assert restarter.begin("a", identify(process), now_ns) == BEGUN
    assert restarter.begin("a", identify(process), now_ns + 10 * TERM_NS) == BEGUN
    assert outcome(restarter) == [("a", KILLED)]


@pytest.mark.parametrize("change", [{"start_ticks": 1}, {"boot_id": "another"}])
def test_a_pid_that_is_somebody_elses_by_now_is_left_alone(
    start: Start, restarter: Restarter, change: dict[str, object]
) -> None:
    process = start(SLEEPS)
    known = identify(process)
    facts = {"start_ticks": known.start_ticks, "boot_id": known.boot_id} | change
    other = Identity(known.pid, **facts)  # type: ignore[arg-type]
    assert restarter.begin("a", other, time.monotonic_ns()) == GONE
    assert restarter.poll(time.monotonic_ns() + 10 * TERM_NS) == []
    assert process.poll() is None


def test_a_process_that_is_gone_is_told_so(start: Start, restarter: Restarter) -> None:
    process = start(SLEEPS)
    known = identify(process)
    process.kill()
    process.wait()
    assert restarter.begin("a", known, time.monotonic_ns()) == GONE


@pytest.mark.parametrize(
    "pid", [0, 1, os.getpid()], ids=["all", "the first", "ourselves"]
)
def test_the_first_process_and_ourselves_are_never_signalled(
    restarter: Restarter, pid: int
) -> None:
    ticks = identity.start_ticks(pid) or 0
    known = Identity(pid, ticks, identity.boot_id())
    assert restarter.begin("a", known, time.monotonic_ns()) == REFUSED


def test_no_descriptor_is_left_behind(start: Start) -> None:
    before = len(os.listdir("/proc/self/fd"))
    process = start(SLEEPS)
    opened = len(os.listdir("/proc/self/fd"))
    restarter = Restarter(TERM_NS)
    known = identify(process)
    wrong = Identity(known.pid, 1, known.boot_id)
    assert restarter.begin("a", wrong, 0) == GONE
    assert restarter.begin("a", known, time.monotonic_ns()) == BEGUN
    outcome(restarter)
    assert len(os.listdir("/proc/self/fd")) == opened >= before
