"""`feedhandler start` over real processes: who hangs is ended, whoever watches it."""

from __future__ import annotations

import json
import os
import signal
import time
from typing import Any

import pytest

from tests.support import MS, Program, Programs, process_ids, wait_until

pytestmark = [pytest.mark.system, pytest.mark.slow]

VENUE = "hyperliquid"
FEED = f"feed:{VENUE}"
RECOVERED_S = 10.0

# Deadlines of the defaults, made shorter; what is waited for stays the same.
SETTINGS = {
    "FEEDHANDLER_SUPERVISOR_HUNG_MS": "1000",
    "FEEDHANDLER_LADDER_HUNG_MS": "1000",
    "FEEDHANDLER_LADDER_POLL_MS": "100",
    "FEEDHANDLER_LADDER_TERM_MS": "200",
    "FEEDHANDLER_HYPERLIQUID_CONNECT_TIMEOUT_MS": "1500",
    "FEEDHANDLER_HYPERLIQUID_FIRST_DATA_MS": "1500",
}


class Started:
    """One instance of one simulated venue, and what `status` says of it."""

    def __init__(self, programs: Programs, instance: str) -> None:
        self.instance = instance
        self.programs = programs
        self.program = self.start()

    def start(self) -> Program:
        arguments = ("start", "--demo", "--no-table", "--venue", VENUE)
        return self.programs.feedhandler(
            *arguments, "--instance", self.instance, environment=SETTINGS
        )

    def status(self) -> dict[str, Any]:
        arguments = ("status", "--json", "--instance", self.instance)
        program = self.programs.feedhandler(*arguments)
        program.wait()
        document: dict[str, Any] = json.loads(program.stdout())
        return document

    def wait_whole(self) -> dict[str, dict[str, Any]]:
        """Wait until everything runs and is tradable; return the processes by role."""

        def look() -> dict[str, dict[str, Any]]:
            assert self.program.is_running(), self.program.stderr()
            document = self.status()
            rows = {row["role"]: row for row in document["processes"]}
            quotes = document["instruments"]
            is_whole = (
                {FEED, "runner", "supervisor"} <= rows.keys()
                and all(row["state"] == "running" for row in rows.values())
                and bool(quotes)
                and all(quote["tradable"] for quote in quotes)
            )
            return rows if is_whole else {}

        try:
            return wait_until(look, 30_000 * MS, "everything to be tradable")
        except AssertionError as error:
            text = self.program.stderr()[-3_000:]
            raise AssertionError(f"{error}\n{self.status()}\n{text}") from None


@pytest.fixture
def started(instance: str, programs: Programs) -> Started:
    started = Started(programs, instance)
    started.wait_whole()
    return started


@pytest.mark.parametrize("role", [FEED, "runner"])
def test_hung_process_is_ended_and_tradable_again_without_hands(
    role: str, started: Started
) -> None:
    before = started.wait_whole()[role]
    os.kill(before["pid"], signal.SIGSTOP)
    wait_until(
        lambda: "cause=SIGKILL" in started.program.stderr(), 30_000 * MS, "its end"
    )
    after = started.wait_whole()[role]
    assert after["pid"] != before["pid"]
    assert after["epoch"] == before["epoch"] + 1
    assert after["restarts"] == 1
    assert started.program.stop() == 0


def test_stopped_supervisor_disturbs_no_quote(started: Started) -> None:
    os.kill(started.program.pid, signal.SIGSTOP)
    until_s = time.monotonic() + 3.0

    def is_over() -> bool:
        document = started.status()
        assert all(quote["tradable"] for quote in document["instruments"]), document
        return time.monotonic() > until_s

    wait_until(is_over, 10.0, "three seconds without a supervisor")
    os.kill(started.program.pid, signal.SIGCONT)
    restarts = {role: row["restarts"] for role, row in started.wait_whole().items()}
    assert not any(restarts.values()), "who goes on ends nobody"
    assert started.program.stop() == 0


def test_one_start_recovers_from_the_kill_of_everything(started: Started) -> None:
    killed_s = time.monotonic()
    for pid in process_ids(started.instance):
        os.kill(pid, signal.SIGKILL)
    started.program.wait()
    started.program = started.start()
    started.wait_whole()
    took_s = time.monotonic() - killed_s
    print(f"tradable again after {took_s:.1f} s")
    assert took_s < RECOVERED_S * 1_000 * MS
    assert started.program.stop() == 0
