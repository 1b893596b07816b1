"""The manifest: whole at every moment, and without secrets."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from feedhandler.config import Config, VenueConfig
from feedhandler.errors import ResourcesMissing
from feedhandler.identity import VERSION
from feedhandler.report.manifest import read_manifest
from feedhandler.soak.manifest import NAME, Manifest, Plan, commit

SECRET = "swordfish"


def config() -> Config:
    venue = VenueConfig(
        instruments=("BTC-PERP",),
        ws_url=f"wss://user:{SECRET}@host/ws?key={SECRET}",
        headers=(f"X-Key: {SECRET}",),
    )
    return Config(instance="soak", venue={"lighter": venue})


def made(folder: Path) -> Manifest:
    plan = Plan(["feedhandler", "soak"], ["lighter"], 90, is_demo=True, seed=7)
    return Manifest(folder, config(), plan)


def read(folder: Path) -> dict[str, Any]:
    values: dict[str, Any] = json.loads((folder / NAME).read_text())
    return values


def test_manifest_tells_what_runs_before_anything_does(tmp_path: Path) -> None:
    made(tmp_path).write()
    values = read(tmp_path)
    assert values["version"] == VERSION
    assert values["instruments"] == {"lighter": ["BTC-PERP"]}
    assert values["seed"] == 7
    assert values["machine"]["cores"] >= 1
    assert values["clock"]["verdict"] in ("ok", "warn", "fail")
    assert values["ended"] == {"reason": "", "exit_code": None}
    assert values["config"]["venue"]["lighter"]["stale_ms"] == 10_000


def test_manifest_holds_no_secret(tmp_path: Path) -> None:
    made(tmp_path).write()
    assert SECRET not in (tmp_path / NAME).read_text()


def test_manifest_that_is_never_completed_says_how_far_it_came(tmp_path: Path) -> None:
    manifest = made(tmp_path)
    manifest.write()
    first = read(tmp_path)
    manifest.beat()
    second = read(tmp_path)
    assert second["end_mono_ns"] > first["end_mono_ns"]
    assert second["ended"]["exit_code"] is None
    assert list(tmp_path.iterdir()) == [tmp_path / NAME], "nothing half written is left"


def test_greatest_load_of_the_host_on_the_way_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loads = iter([1.5, 1.5, 9.25, 2.0])  # of the machine, at the start, a beat, the end
    monkeypatch.setattr(os, "getloadavg", lambda: (next(loads), 0.0, 0.0))
    manifest = made(tmp_path)
    manifest.beat()
    manifest.complete("time is up", 0)
    assert read(tmp_path)["load_max"] == 9.25


def test_end_is_noted_with_its_reason(tmp_path: Path) -> None:
    manifest = made(tmp_path)
    manifest.complete("Ctrl-C", 0, flaps_seen=3)
    values = read(tmp_path)
    assert values["ended"] == {"reason": "Ctrl-C", "exit_code": 0}
    assert values["flaps_seen"] == 3


def test_report_understands_the_manifest(tmp_path: Path) -> None:
    made(tmp_path).complete("time is up", 0)
    manifest = read_manifest(tmp_path)
    assert not manifest.problem
    assert manifest.venues == ("lighter",)
    assert manifest.is_simulated
    assert manifest.lasted_s is not None
    assert 0 <= manifest.lasted_s < 60


def test_directory_that_is_gone_is_a_missing_resource(tmp_path: Path) -> None:
    manifest = made(tmp_path / "gone")
    with pytest.raises(ResourcesMissing, match=NAME):
        manifest.write()


def test_commit_is_of_a_checkout_and_says_when_it_is_changed(tmp_path: Path) -> None:
    assert commit(tmp_path) is None
    (tmp_path / ".git").mkdir()
    assert commit(tmp_path) is None, "no repository after all"
    (tmp_path / ".git").rmdir()
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b"]
    file = tmp_path / "file"
    file.write_text("one")
    for arguments in (["init", "-q"], ["add", "."], ["commit", "-qm", "one"]):
        subprocess.run([*git, *arguments], check=True)
    head = commit(tmp_path)
    assert head is not None
    assert len(head) == 40
    file.write_text("two")
    assert commit(tmp_path) == f"{head}+"
