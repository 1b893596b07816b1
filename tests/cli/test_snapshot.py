"""The document of `status` tells no lie of processes that died at a bad moment."""

from __future__ import annotations

import fcntl
import time
from pathlib import Path
from typing import Any

import pytest

from feedhandler.cli import locks
from feedhandler.cli.snapshot import is_healthy, read_status
from shm_layout import Capacities, Writer
from tests.support import (
    MS,
    SHM,
    Programs,
    free_port,
    segment_paths,
    wait_until,
)

ROLE = "feed:hyperliquid"

# A writer that stands still while it fills its segment.
FILLING = """
import os, sys, time
os.posix_fallocate = lambda *arguments: time.sleep(60)
from shm_layout import Writer
Writer.open(sys.argv[1], "feed:hyperliquid")
"""

# A supervisor that knows of a feed, and has given one up.
SUPERVISOR = """
import sys, time
from shm_layout import Capacities, Writer
writer = Writer.open(sys.argv[1], "supervisor", Capacities(1, 8))
for role in ("feed:aster", "feed:hyperliquid"):
    writer.counter(f"restarts.{role}")
writer.set_counter(writer.counter("disabled.feed:hyperliquid"), 1)
while True:
    writer.beat(time.monotonic_ns(), 0)
    time.sleep(0.05)
"""


def states(instance: str) -> dict[str, str]:
    return {row["role"]: row["state"] for row in read_status(instance)["processes"]}


def clean(programs: Programs, instance: str) -> None:
    programs.close()
    for path in segment_paths(instance):
        path.unlink()


def test_writer_killed_while_it_filled_its_segment_is_dead(
    instance: str, programs: Programs
) -> None:
    program = programs.python("-c", FILLING, instance)
    wait_until(lambda: states(instance) == {ROLE: "starting"}, 10_000 * MS, "a segment")
    program.kill()
    wait_until(lambda: states(instance) == {ROLE: "dead"}, 5_000 * MS, "its end")
    assert not is_healthy(read_status(instance))
    clean(programs, instance)


def test_status_never_tries_a_lock_that_a_writer_may_want(
    instance: str, programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object) -> None:
        pytest.fail("a writer that starts now would take us for another one")

    (SHM / f"fh.{instance}.hyperliquid").touch(0o600)
    with monkeypatch.context() as patch:
        patch.setattr(fcntl, "flock", refuse)
        assert states(instance) == {ROLE: "dead"}
    clean(programs, instance)


def test_hidden_locks_leave_a_segment_that_is_not_ready_starting(
    instance: str, programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    (SHM / f"fh.{instance}.hyperliquid").touch(0o600)
    monkeypatch.setattr(locks, "_LOCKS", SHM / "none")
    assert states(instance) == {ROLE: "starting"}
    clean(programs, instance)


def test_feed_without_a_segment_is_dead_once_its_supervisor_is(
    instance: str, programs: Programs
) -> None:
    program = programs.python("-c", SUPERVISOR, instance)
    expected = {"supervisor": "running", "feed:aster": "starting"}
    expected[ROLE] = "disabled"
    wait_until(lambda: states(instance) == expected, 10_000 * MS, "a supervisor")
    writer = Writer.open(instance, ROLE, Capacities(4, 64))
    writer.beat(time.monotonic_ns(), 1)
    assert states(instance)[ROLE] == "running", "somebody runs it by hand"
    writer.close(unlink=True)
    program.kill()
    assert states(instance) == expected | {"supervisor": "dead", "feed:aster": "dead"}
    clean(programs, instance)


def test_restarts_are_unknown_where_our_supervisor_does_not_count_them(
    instance: str, programs: Programs
) -> None:
    def restarts() -> dict[str, int | None]:
        rows = read_status(instance)["processes"]
        return {row["role"]: row["restarts"] for row in rows}

    with Writer.open(instance, ROLE, Capacities(4, 64)):
        assert restarts() == {ROLE: None}
        program = programs.python("-c", SUPERVISOR, instance)
        expected = {"supervisor": None, "feed:aster": 0, ROLE: 0}
        wait_until(lambda: restarts() == expected, 10_000 * MS, "a supervisor")
        program.kill()
    clean(programs, instance)


@pytest.mark.parametrize("kind", ["bbo", "depth", "both"])
def test_feed_kind_is_the_configured_one(
    instance: str, programs: Programs, tmp_path: Path, kind: str
) -> None:
    nobody = f"127.0.0.1:{free_port()}"
    path = tmp_path / "feedhandler.toml"
    path.write_text(
        f'state_dir = "{tmp_path}"\n[venue.hyperliquid]\nfeed_kind = "{kind}"\n'
        f'insecure = true\nws_url = "ws://{nobody}"\nrest_url = "http://{nobody}"\n'
    )
    programs.feedhandler(
        *("feed", "hyperliquid", "--instance", instance, "--config", path)
    )

    def instruments() -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = read_status(instance)["instruments"]
        return rows

    wait_until(lambda: len(instruments()) == 2, 20_000 * MS, "its instruments")
    assert {row["feed_kind"] for row in instruments()} == {kind}
    (venue,) = read_status(instance)["venues"]
    assert venue["feed_kind"] == kind
    clean(programs, instance)
