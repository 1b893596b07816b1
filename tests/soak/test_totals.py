"""How often a soak takes totals: a short one has enough of them, too."""

from __future__ import annotations

from pathlib import Path

import pytest

from feedhandler.cli import soak
from feedhandler.cli.group import main
from feedhandler.config import Config


def configured(
    directory: Path, monkeypatch: pytest.MonkeyPatch, *arguments: str
) -> Config:
    """Return the configuration that a soak would run, and show in its manifest."""
    seen: list[Config] = []

    def run(config: Config, *others: object) -> int:
        seen.append(config)
        return 0

    monkeypatch.setattr(soak, "_run", run)
    assert main(["soak", "--out", str(directory / "out"), "--demo", *arguments]) == 0
    (config,) = seen
    return config


@pytest.mark.parametrize(
    ("minutes", "totals_ms"),
    [("90", 20_000), ("8", 20_000), ("2", 5_000), ("1", 2_500), ("0.1", 1_000)],
)
def test_a_short_run_takes_totals_more_often(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, minutes: str, totals_ms: int
) -> None:
    config = configured(tmp_path, monkeypatch, "--minutes", minutes)
    assert config.telemetry.totals_ms == totals_ms


def test_without_a_length_the_usual_one_decides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert configured(tmp_path, monkeypatch).telemetry.totals_ms == 20_000
    scenario = configured(tmp_path, monkeypatch, "--scenario", "burst")  # 5 minutes
    assert scenario.telemetry.totals_ms == 12_500
    shortened = configured(tmp_path, monkeypatch, "--scale", "0.5")
    assert shortened.telemetry.totals_ms == 10_000


@pytest.mark.parametrize("value", [20_000, 30_000])
def test_what_is_configured_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: int
) -> None:
    path = tmp_path / "feedhandler.toml"
    path.write_text(f"[telemetry]\ntotals_ms = {value}\n")
    config = configured(tmp_path, monkeypatch, "--minutes", "2", "--config", str(path))
    assert config.telemetry.totals_ms == value
    monkeypatch.setenv("FEEDHANDLER_TELEMETRY_TOTALS_MS", "700")
    config = configured(tmp_path, monkeypatch, "--minutes", "2")
    assert config.telemetry.totals_ms == 700
