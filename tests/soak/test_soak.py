"""`feedhandler soak` from outside: its directory is usable however it ends."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from feedhandler.telemetry.read import Telemetry
from feedhandler.telemetry.records import Sample, Stop
from tests.support import MS, Program, Programs, process_ids, segment_paths, wait_until

VENUE = "hyperliquid"
START_S = 60_000 * MS


def soak(programs: Programs, instance: str, out: Path, *more: str) -> Program:
    return programs.feedhandler(
        *("soak", "--demo", "--minutes", "5", "--instance", instance),
        *("--out", str(out), "--venue", VENUE, *more),
    )


def manifest(out: Path) -> dict[str, Any]:
    values: dict[str, Any] = json.loads((out / "manifest.json").read_text())
    return values


def states(out: Path) -> list[set[str]]:
    try:
        return [set(sample.states) for sample in Telemetry.of(out).samples()]
    except FileNotFoundError:
        return []


def wait_live(out: Path) -> None:
    wait_until(lambda: {"LIVE"} in states(out), START_S, "a LIVE sample")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.system
@pytest.mark.slow
def test_soak_that_is_stopped_early_leaves_everything(
    programs: Programs, instance: str, tmp_path: Path, number: signal.Signals
) -> None:
    out = tmp_path / "out"
    program = soak(programs, instance, out)
    wait_live(out)
    assert program.stop(number) == 0
    values = manifest(out)
    word = "Ctrl-C" if number == signal.SIGINT else "SIGTERM"
    assert values["ended"] == {"reason": word, "exit_code": 0}
    assert values["venues"] == [VENUE]
    assert values["seed"] == 7
    assert values["config"]["telemetry"]["enabled"] is True
    assert values["config"]["telemetry"]["totals_ms"] == 12_500  # 24 in 5 minutes
    telemetry = Telemetry.of(out)
    records = list(telemetry)
    assert isinstance(records[-1], Stop)
    assert telemetry.damaged == 0
    assert not telemetry.is_cut
    last = [record for record in records if isinstance(record, Sample)][-1]
    assert set(last.states) <= {"LIVE", "QUIET"}, "an end in order is no outage"
    log = (out / "run.log").read_text()
    assert "WS_AUDIT venue=hyperliquid reconnect_reason=shutdown" in log
    assert f"process_started process=feed:{VENUE}" in log
    assert "soak| stopped in" in log
    assert (out / "market_rx_stats.log").exists()
    assert "venues good" in program.stdout()
    assert not segment_paths(instance)
    assert not process_ids(instance)


@pytest.mark.system
@pytest.mark.slow
def test_killed_soak_leaves_what_was_written(
    programs: Programs, instance: str, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    program = soak(programs, instance, out)
    wait_live(out)
    program.kill()
    wait_until(lambda: not process_ids(instance), START_S, "the end of the children")
    values = manifest(out)
    assert values["ended"] == {"reason": "", "exit_code": None}
    assert values["lasted_s"] >= 0
    assert {"LIVE"} in states(out)
    stop = programs.feedhandler("stop", "--instance", instance)
    assert stop.wait() == 0


@pytest.mark.system
@pytest.mark.slow
def test_second_soak_of_an_instance_exits_4_and_says_so(
    programs: Programs, instance: str, tmp_path: Path
) -> None:
    first = soak(programs, instance, tmp_path / "one")
    wait_live(tmp_path / "one")
    second = soak(programs, instance, tmp_path / "two")
    assert second.wait() == 4
    ended = manifest(tmp_path / "two")["ended"]
    assert ended["exit_code"] == 4
    assert ended["reason"].startswith("AlreadyRunning: ")
    assert first.stop() == 0


def test_directory_of_another_run_is_refused(
    programs: Programs, instance: str, tmp_path: Path
) -> None:
    (tmp_path / "run.log").write_text("precious\n")
    program = soak(programs, instance, tmp_path)
    assert program.wait() == 2
    assert "holds another run already: run.log" in program.stderr()
    assert (tmp_path / "run.log").read_text() == "precious\n"


def test_directory_that_cannot_be_made_is_a_missing_resource(
    programs: Programs, instance: str, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    program = soak(programs, instance, tmp_path / "file" / "out")
    assert program.wait() == 5


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--fault", "mute@3s"], "need --demo"),
        (["--scenario", "burst"], "need --demo"),
        (["--demo", "--scenario", "bursts"], "no scenario 'bursts'"),
        (["--demo", "--fault", "mutee@3s"], "unknown fault kind 'mutee'"),
        (["--demo", "--venue", "lightr"], "did you mean 'lighter'"),
    ],
)
def test_wrong_call_exits_2_and_leaves_nothing(
    programs: Programs, tmp_path: Path, arguments: list[str], said: str
) -> None:
    out = tmp_path / "out"
    program = programs.feedhandler("soak", "--out", str(out), *arguments)
    assert program.wait() == 2
    assert said in program.stderr()
    assert not out.exists()
