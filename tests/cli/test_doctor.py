"""`doctor` finds what is missing, says what to do, and removes only what is ours."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from feedhandler.config import Config, ShmConfig, VenueConfig
from feedhandler.supervisor import checks, resources
from tests.supervisor.fakes import FEED, heartbeat_ns
from tests.support import (
    MS,
    SHM,
    Programs,
    demo_folder,
    segment_paths,
    wait_until,
)

CONFIG = Config(instance="none-such", venue={"hyperliquid": VenueConfig()})


def doctor(programs: Programs, *arguments: str) -> tuple[dict[str, Any], int]:
    program = programs.feedhandler("doctor", "--json", *arguments)
    code = program.wait()
    return json.loads(program.stdout()), code


def test_every_check_has_a_verdict_and_what_fails_has_advice(
    programs: Programs,
) -> None:
    document, code = doctor(programs)
    names = {check["name"] for check in document["checks"]}
    assert names >= {
        "configuration",
        "shared_memory",
        "memory",
        "leftovers",
        "clock",
        "descriptors",
        "native_module",
        "versions",
        "state_directory",
        "user",
    }
    for check in document["checks"]:
        assert check["verdict"] in ("ok", "warn", "fail")
        assert bool(check["advice"]) == (check["verdict"] != "ok"), check
    assert document["ok"] == (code == 0)


def test_refused_configuration_fails_and_the_other_checks_still_run(
    programs: Programs, tmp_path: Path
) -> None:
    path = tmp_path / "feedhandler.toml"
    path.write_text("[runner]\npass_ms = 0\n")
    document, code = doctor(programs, "--config", str(path))
    assert code == 1
    first = document["checks"][0]
    assert (first["name"], first["verdict"]) == ("configuration", "fail")
    assert "pass_ms" in first["text"]
    assert len(document["checks"]) > 8


def test_segments_of_a_dead_instance_are_cleaned_and_those_of_a_running_one_kept(
    instance: str, programs: Programs
) -> None:
    roles = ("feed:hyperliquid", "runner")
    dead, alive = (programs.python("-c", FEED, instance, role) for role in roles)
    wait_until(
        lambda: all(heartbeat_ns(instance, role) for role in roles),
        10_000 * MS,
        "both heartbeats",
    )
    os.kill(dead.pid, signal.SIGKILL)
    dead.wait()
    name = f"/fh.{instance}.hyperliquid"
    demo = demo_folder(instance)
    demo.mkdir()
    paths = [SHM / f"fh.{instance}.{place}" for place in ("hyperliquid", "runner")]
    document, _ = doctor(programs, "--clean")
    assert name not in document["removed"], "its next start takes it over"
    assert segment_paths(instance) == paths
    assert demo.is_dir(), "its demo runs"

    assert alive.stop() == 0
    wait_until(lambda: name in checks.find_leftovers(), 5_000 * MS, "a leftover")
    foreign = SHM / f"fh.{instance}.foreign"
    foreign.write_bytes(b"somebody else's" * 100)
    try:
        document, _ = doctor(programs, "--clean")
        assert name in document["removed"]
        assert segment_paths(instance) == [foreign]
        assert str(demo) in document["removed"]
    finally:
        foreign.unlink()
    assert programs.feedhandler("stop", "--instance", instance).wait() == 0


def test_too_little_shared_memory_fails_with_both_figures(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(checks, "free_bytes", lambda: 1 << 20)
    check = checks.check_shared_memory(CONFIG)
    assert check.verdict == "fail"
    assert "free 1 MiB" in check.text
    assert "--shm-size" in check.advice


def test_need_grows_with_the_configured_ring() -> None:
    large = Config(
        venue={"hyperliquid": VenueConfig()}, shm=ShmConfig(ring_slots=1 << 20)
    )
    role = "feed:hyperliquid"
    more = checks.needed_segments(large)[role] - checks.needed_segments(CONFIG)[role]
    assert more == ((1 << 20) - 65_536) * 128


@pytest.mark.parametrize(
    ("limit_mib", "verdict"), [(None, "ok"), (4_096, "ok"), (150, "warn"), (50, "fail")]
)
def test_limit_of_the_control_group_is_compared_with_the_need(
    limit_mib: int | None, verdict: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit_bytes = None if limit_mib is None else limit_mib << 20
    memory = resources.Memory(8 << 30, limit_bytes, 0)
    monkeypatch.setattr(resources, "memory", lambda: memory)
    assert checks.check_memory(CONFIG).verdict == verdict


@pytest.mark.parametrize(
    ("limit", "verdict"), [(32, "fail"), (128, "warn"), (1_024, "ok")]
)
def test_limit_of_descriptors_is_judged(
    limit: int, verdict: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resources, "descriptor_limit", lambda: limit)
    assert checks.check_descriptors(CONFIG).verdict == verdict


def test_state_directory_that_cannot_be_made_fails(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    config = Config(state_dir=str(file / "below"))
    assert checks.check_state_directory(config).verdict == "fail"
    good = Config(state_dir=str(tmp_path / "new" / "deep"))
    assert checks.check_state_directory(good).verdict == "ok"
    assert not (tmp_path / "new").exists(), "a check changes nothing"


def test_twin_is_a_warning_that_says_what_it_means(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("shm_layout.IMPLEMENTATION", "twin")
    check = checks.check_native()
    assert check.verdict == "warn"
    assert "slower" in check.text
