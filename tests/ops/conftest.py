"""The shipped supervisord.conf as it is, run by supervisord over simulated venues."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from feedhandler.config.environment import variable_for
from feedhandler.supervisor.stop import stop_instance
from tests.support import MS, ROOT, Program, Programs, wait_until

CONF = ROOT / "ops" / "supervisord.conf"

# Deadlines of the defaults, made shorter; what is waited for stays the same.
SETTINGS = {
    "FEEDHANDLER_SUPERVISOR_HUNG_MS": "1500",
    "FEEDHANDLER_LADDER_HUNG_MS": "1500",
    "FEEDHANDLER_LADDER_POLL_MS": "200",
    "FEEDHANDLER_LADDER_TERM_MS": "200",
    "FEEDHANDLER_LADDER_COOLDOWN_MS": "1000",
}
VENUE_SETTINGS = {"connect_timeout_ms": "3000", "first_data_ms": "3000"}


@dataclass(slots=True)
class Group:
    """One instance under supervisord, and what `status` says of it."""

    instance: str
    programs: Programs
    environment: dict[str, str]
    folder: Path
    supervisord: Program

    def start(self) -> None:
        """Start supervisord again, as an init system would."""
        self.supervisord = start_supervisord(self.programs, self.environment)

    def status(self) -> dict[str, Any]:
        """Return what `status --json` says."""
        arguments = ("status", "--json", "--instance", self.instance)
        program = self.programs.feedhandler(*arguments)
        program.wait()
        document: dict[str, Any] = json.loads(program.stdout())
        return document

    def process(self, role: str) -> dict[str, Any]:
        """Return the row of one process, an empty one while there is none."""
        rows = self.status()["processes"]
        found: dict[str, Any] = next((r for r in rows if r["role"] == role), {})
        return found

    def wait_whole(self, timeout_ms: int = 45_000) -> dict[str, int]:
        """Wait until every process runs and every quote may be traded on."""

        def look() -> dict[str, int]:
            assert self.supervisord.is_running(), self.logs()
            document = self.status()
            rows = document["processes"]
            is_whole = (
                len(rows) == len(document["venues"]) + 4
                and len(document["venues"]) == len(self.venues)
                and all(row["state"] == "running" for row in rows)
                and all(row["tradable"] for row in document["instruments"])
            )
            return {row["role"]: row["pid"] for row in rows} if is_whole else {}

        try:
            return wait_until(look, timeout_ms * MS, "a whole group")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.status()}\n{self.logs()}") from None

    @property
    def venues(self) -> list[str]:
        """The venues that are simulated."""
        return [name for name in self.environment if name.endswith("_WS_URL")]

    def logs(self) -> str:
        """Return the end of every log."""
        paths = sorted(self.folder.glob("*.log"))
        return "\n".join(f"{path.name}\n{path.read_text()[-1500:]}" for path in paths)


@pytest.fixture
def group(instance: str, programs: Programs, tmp_path: Path) -> Iterator[Group]:
    """Simulated venues, and supervisord with the shipped file over them."""
    pytest.importorskip("supervisor", reason="the package supervisor is not installed")
    folder = tmp_path / "run"
    folder.mkdir(mode=0o700)
    environment = {
        **SETTINGS,
        **addresses(programs.feedhandler("sim", "--json")),
        "FEEDHANDLER_INSTANCE": instance,
        "RUNTIME_DIRECTORY": str(folder),
        "LOGS_DIRECTORY": str(folder),
        "PATH": f"{command_folder(tmp_path)}:/usr/bin:/bin",
    }
    started = start_supervisord(programs, environment)
    group = Group(instance, programs, environment, folder, started)
    yield group
    group.supervisord.close()
    stop_instance(instance, print, timeout_s=1.0)


def start_supervisord(programs: Programs, environment: dict[str, str]) -> Program:
    """Start supervisord in the foreground with the shipped file."""
    arguments = ("-m", "supervisor.supervisord", "-n", "-c", CONF)
    return programs.python(*arguments, environment=environment)


def command_folder(tmp_path: Path) -> Path:
    """Return a folder with a command `feedhandler` that runs this checkout."""
    folder = tmp_path / "bin"
    folder.mkdir()
    command = folder / "feedhandler"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -P -m feedhandler "$@"\n')
    command.chmod(0o755)
    return folder


def addresses(simulation: Program) -> dict[str, str]:
    """Wait for the simulated venues; return the variables that lead there."""
    wait_until(lambda: simulation.stdout().count("ws_url") >= 5, 20_000 * MS, "venues")
    variables = {}
    for line in simulation.stdout().splitlines():
        fields = json.loads(line)
        if "ws_url" in fields:
            venue = fields["venue"]
            settings = {**VENUE_SETTINGS, **fields}
            for key in (*VENUE_SETTINGS, "ws_url", "rest_url"):
                variables[variable_for(venue, key)] = settings[key]
    return variables
