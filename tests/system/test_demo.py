"""`feedhandler start --demo` from outside: it moves, heals, and leaves nothing."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from tests.support import (
    MS,
    Programs,
    demo_folder,
    process_ids,
    segment_paths,
    wait_until,
)
from tests.system.conftest import INSTRUMENT, ROLE, VENUE, Demo, StartDemo

pytestmark = [pytest.mark.system, pytest.mark.slow]

# What is promised to a trader, in nanoseconds from the last sign of life.
NOT_TRADABLE_NS = 600_000_000
STOPPED_S = 2.0


def of_venue(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows of the venue that the tests disturb."""
    return [row for row in rows if row["venue"] == VENUE]


def watch_until_not_tradable(demo: Demo) -> None:
    """Read until the quote is refused; no read may be tradable after the promise."""
    heartbeat_ns = demo.heartbeat_ns()

    def is_refused() -> bool:
        quote = demo.quote()
        if quote.tradable:
            # Both stamps are of one clock, so a loaded machine changes nothing here.
            assert quote.read_ns - heartbeat_ns <= NOT_TRADABLE_NS
        return not quote.tradable

    wait_until(is_refused, 5_000 * MS, "a quote that is not tradable")


def test_quotes_move_and_status_says_that_they_are_tradable(
    start_demo: StartDemo,
) -> None:
    demo = start_demo("--seed", "7")
    first = demo.quote()
    wait_until(
        lambda: demo.quote().recv_ns > first.recv_ns and demo.quote().bid != first.bid,
        20_000 * MS,
        "a bid that moves",
    )
    wait_until(
        lambda: demo.feed.quotes()["tradable"].all(), 15_000 * MS, "every venue live"
    )

    def live_status() -> dict[str, Any] | None:
        document, _ = demo.status()
        rows = document["instruments"]
        return document if all(row["tradable"] for row in rows) else None

    document = wait_until(live_status, 15_000 * MS, "a status that all may be traded")
    assert document["schema"] == 1
    assert document["instance"] == demo.instance
    states = {row["role"]: row["state"] for row in document["processes"]}
    assert {"supervisor", "runner", ROLE} <= states.keys()
    assert set(states.values()) == {"running"}
    venue = next(row for row in document["venues"] if row["venue"] == VENUE)
    assert venue["feed_kind"] == "bbo"
    assert venue["state"] == "LIVE"
    assert venue["frames"] > 0
    rows = {row["instrument"]: row for row in of_venue(document["instruments"])}
    assert rows[INSTRUMENT]["tradable"] is True
    assert 0 < rows[INSTRUMENT]["bid"] < rows[INSTRUMENT]["ask"]
    assert 0 <= rows[INSTRUMENT]["apply_age_ms"] < 3_000
    assert all(ring["lost"] == 0 for ring in document["rings"])


def test_killed_feed_is_not_tradable_at_once_and_tradable_again_soon(
    start_demo: StartDemo,
) -> None:
    demo = start_demo()
    victim = demo.pid()
    os.kill(victim, signal.SIGKILL)
    killed_ns = time.monotonic_ns()
    before = demo.quote()
    assert before.bid > 0, "the last quote stays readable"
    watch_until_not_tradable(demo)
    after = demo.wait_tradable()
    assert demo.pid() != victim
    assert after.epoch == before.epoch + 1
    print(f"tradable again after {(after.read_ns - killed_ns) / 1e6:.0f} ms")
    document, _ = demo.status()
    restarts = {row["role"]: row["restarts"] for row in document["processes"]}
    assert restarts[ROLE] == 1
    assert restarts["runner"] == 0


def test_stopped_feed_is_not_tradable_until_it_goes_on(start_demo: StartDemo) -> None:
    demo = start_demo()
    os.kill(demo.pid(), signal.SIGSTOP)
    watch_until_not_tradable(demo)
    assert demo.quote().reason == "writer_dead"
    document, code = demo.status()
    assert code == 1
    states = {row["role"]: row["state"] for row in document["processes"]}
    assert states[ROLE] == "hung"
    assert not any(row["tradable"] for row in of_venue(document["instruments"]))
    os.kill(demo.pid(), signal.SIGCONT)
    demo.wait_tradable()


def test_killed_runner_makes_nothing_tradable_and_comes_back(
    start_demo: StartDemo,
) -> None:
    demo = start_demo()
    victim = demo.pid("runner")
    heartbeat_ns = demo.heartbeat_ns("runner")
    os.kill(victim, signal.SIGKILL)

    def is_back() -> bool:
        quote = demo.quote()
        if quote.tradable and demo.pid("runner") == victim:
            assert quote.read_ns - heartbeat_ns <= NOT_TRADABLE_NS
        return quote.tradable and demo.pid("runner") != victim

    wait_until(is_back, 10_000 * MS, "a verdict of the new runner")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_ends_everything_in_time_and_leaves_nothing(
    start_demo: StartDemo, number: signal.Signals
) -> None:
    demo = start_demo()
    begun_s = time.monotonic()
    assert demo.program.stop(number) == 0
    assert time.monotonic() - begun_s < STOPPED_S * max(1.0, 1_000 * MS)
    assert not segment_paths(demo.instance)
    assert not process_ids(demo.instance)


def test_stopped_feed_does_not_delay_the_end(start_demo: StartDemo) -> None:
    demo = start_demo()
    os.kill(demo.pid(), signal.SIGSTOP)
    begun_s = time.monotonic()
    assert demo.program.stop() == 0
    assert time.monotonic() - begun_s < STOPPED_S * max(1.0, 1_000 * MS)
    assert not segment_paths(demo.instance)


def test_stop_command_ends_everything(start_demo: StartDemo) -> None:
    demo = start_demo()
    stop = demo.programs.feedhandler("stop", "--instance", demo.instance)
    assert stop.wait() == 0
    assert "stopping the supervisor" in stop.stdout()
    assert demo.program.wait() == 0
    assert not segment_paths(demo.instance)
    assert not process_ids(demo.instance)
    again = demo.programs.feedhandler("stop", "--instance", demo.instance)
    assert again.wait() == 0
    assert "nothing runs" in again.stdout()


def states(document: dict[str, Any]) -> set[str]:
    """Return the states of all processes of a status."""
    return {row["state"] for row in document["processes"]}


def test_killed_supervisor_leaves_no_process_and_a_new_start_takes_over(
    start_demo: StartDemo,
) -> None:
    demo = start_demo()
    wait_until(
        lambda: states(demo.status()[0]) == {"running"}, 15_000 * MS, "every process"
    )
    epoch = demo.quote().epoch
    demo.program.kill()
    wait_until(
        lambda: not process_ids(demo.instance), 5_000 * MS, "the end of the children"
    )
    wait_until(lambda: not demo.quote().tradable, 5_000 * MS, "a refused quote")
    document, code = demo.status()
    assert code == 1
    assert states(document) == {"dead"}
    assert document["instruments"], "the last quotes are still shown"
    assert not any(row["tradable"] for row in document["instruments"])
    again = start_demo()
    assert again.quote().epoch == epoch + 1
    assert again.program.stop() == 0
    assert not demo_folder(demo.instance).exists()


def test_stop_command_clears_what_a_killed_supervisor_left(
    start_demo: StartDemo,
) -> None:
    demo = start_demo()
    assert demo_folder(demo.instance).is_dir()
    demo.program.kill()
    stop = demo.programs.feedhandler("stop", "--instance", demo.instance)
    assert stop.wait() == 0
    assert not segment_paths(demo.instance)
    assert not demo_folder(demo.instance).exists()


def test_second_start_exits_4_and_disturbs_nothing(start_demo: StartDemo) -> None:
    demo = start_demo()
    second = demo.programs.feedhandler("start", "--demo", "--instance", demo.instance)
    assert second.wait() == 4
    assert f"pid={demo.program.pid}" in second.stderr()
    demo.wait_tradable()


def test_removed_segments_are_made_anew_and_found_by_readers(
    start_demo: StartDemo,
) -> None:
    demo = start_demo()
    for place in (VENUE, "runner"):
        Path(f"/dev/shm/fh.{demo.instance}.{place}").unlink()
    feed, runner = demo.pid(), demo.pid("runner")
    assert (feed, runner) == (0, 0)
    wait_until(lambda: demo.pid() and demo.pid("runner"), 10_000 * MS, "new segments")
    demo.wait_tradable()


def test_killed_simulation_comes_back_at_its_address(start_demo: StartDemo) -> None:
    demo = start_demo()
    session = demo.quote().session
    lines = demo.program.stderr().splitlines()
    line = next(line for line in lines if "process_started process=sim" in line)
    os.kill(int(line.rpartition("pid=")[2]), signal.SIGKILL)
    wait_until(lambda: demo.quote().session > session, 20_000 * MS, "a new session")
    demo.wait_tradable()


def test_fault_of_the_simulation_reaches_the_reader(start_demo: StartDemo) -> None:
    demo = start_demo("--fault", "lighter:mute")
    told = [
        "feed:lighter session_end label=stale_watchdog",
        f"runner state venue=lighter instrument={INSTRUMENT} state=DOWN",
    ]
    wait_until(
        lambda: all(words in demo.program.stderr() for words in told),
        30_000 * MS,
        "the end of the mute session",
    )
    demo.wait_tradable()


def test_what_a_demo_writes_ends_with_it(
    instance: str, programs: Programs, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    program = programs.feedhandler(
        *("start", "--demo", "--no-table", "--venue", VENUE, "--instance", instance),
        environment={
            "XDG_STATE_HOME": str(home),
            "FEEDHANDLER_TELEMETRY_ENABLED": "true",
        },
    )
    folder = demo_folder(instance)
    telemetry = folder / instance / "telemetry" / "telemetry.jsonl"
    wait_until(telemetry.exists, 20_000 * MS, "telemetry")
    assert folder.stat().st_mode & 0o777 == 0o700
    assert program.stop() == 0
    assert not folder.exists()
    assert not home.exists(), "nothing of it is taken for a real venue's"


def test_for_ends_by_itself(instance: str, programs: Programs) -> None:
    arguments = ("start", "--demo", "--no-table", "--instance", instance)
    program = programs.feedhandler(*arguments, "--for", "2")
    assert program.wait() == 0, program.stderr()
    assert "time is up" in program.stdout()
    assert not segment_paths(instance)
