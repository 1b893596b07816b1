"""The systemd unit: what it must say, and that systemd itself understands it."""

from __future__ import annotations

import configparser
import shutil
import subprocess
from pathlib import Path

import pytest

from feedhandler.supervisor.service import ALIVE_NS
from tests.support import ROOT

UNIT = ROOT / "ops" / "feedhandler.service"


def section() -> configparser.SectionProxy:
    parser = configparser.RawConfigParser(strict=True)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read(UNIT)
    return parser["Service"]


def test_supervisor_ends_its_processes_and_comes_back() -> None:
    service = section()
    assert service["ExecStart"].split()[1:3] == ["start", "--no-table"]
    assert service["Type"] == "notify"
    assert service["NotifyAccess"] == "main", "no child speaks for the service"
    assert int(service["WatchdogSec"]) * 1_000_000_000 > 2 * ALIVE_NS
    assert service["KillMode"] == "mixed"
    assert service["Restart"] == "always"
    assert service["OOMPolicy"] == "continue", "one process is killed, not all"


@pytest.mark.parametrize(
    "key",
    [
        "DynamicUser",  # implies RemoveIPC
        "MemoryDenyWriteExecute",  # ctypes makes closures
        "PrivateNetwork",
        "PrivateUsers",  # would change the owner that readers compare
        "ProtectProc",  # identity is read from /proc
        "TemporaryFileSystem",
        "InaccessiblePaths",
    ],
)
def test_nothing_stands_between_processes_and_their_memory(key: str) -> None:
    assert key not in section()
    assert section()["RemoveIPC"] == "no"


def test_systemd_accepts_it(tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is not there")
    command = section()["ExecStart"].split()[0]
    copy = tmp_path / UNIT.name
    # The command need not be installed where the test runs.
    copy.write_text(UNIT.read_text().replace(command, "/bin/true"))
    done = subprocess.run(
        [analyze, "verify", "--man=no", copy],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr, "no warning of an unknown or doubtful line"
