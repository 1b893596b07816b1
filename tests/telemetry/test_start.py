"""`feedhandler start` runs telemetry when the configuration says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from feedhandler.cli.start import children_of
from feedhandler.cli.telemetry import directory_of
from feedhandler.config import Config, load
from feedhandler.config.schema import TelemetryConfig
from feedhandler.errors import ConfigError


def commands(config: Config) -> dict[str, str]:
    children = children_of(config, None, ["lighter", "aster"])
    return {child.role: " ".join(child.command) for child in children}


def test_telemetry_is_off_until_it_is_asked_for() -> None:
    assert "telemetry" not in commands(Config())


def test_telemetry_expects_the_venues_that_are_started() -> None:
    config = Config(telemetry=TelemetryConfig(enabled=True))
    command = commands(config)["telemetry"]
    assert command.endswith(
        "telemetry --instance default --venue lighter --venue aster"
    )


def test_files_go_where_the_configuration_says(tmp_path: Path) -> None:
    here = TelemetryConfig(directory=str(tmp_path))
    assert directory_of(Config(telemetry=here)) == tmp_path
    state = tmp_path / "state"
    found = directory_of(Config(state_dir=str(state)))
    assert found == state / "default" / "telemetry"
    nowhere = TelemetryConfig(jsonl=False, http_port=9_464)
    assert directory_of(Config(telemetry=nowhere)) is None


def test_enabled_with_nothing_to_do_is_refused() -> None:
    environment = {
        "FEEDHANDLER_TELEMETRY_ENABLED": "true",
        "FEEDHANDLER_TELEMETRY_JSONL": "false",
    }
    with pytest.raises(ConfigError, match="nothing to do"):
        load(None, environment)
    environment["FEEDHANDLER_TELEMETRY_HTTP_PORT"] = "9464"
    assert load(None, environment).telemetry.http_port == 9_464
