"""Fixtures of the races: the processes of one segment, started by name."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from shm_layout import segment
from tests.shm_layout.compiler import STRICT, compiled
from tests.shm_layout.memory import ONE_THREAD, load
from tests.support import MS, SHM, Program, Programs, wait_until

CHECKER = Path(__file__).parent / "checker.c"


class Race:
    """Starts writers and readers of one segment and takes their facts."""

    def __init__(self, instance: str, programs: Programs) -> None:
        self.instance = instance
        self.path = SHM / f"fh.{instance}.venue"
        self._programs = programs

    def start(
        self,
        command: str,
        *arguments: object,
        implementation: str = "native",
        module: str = "processes",
    ) -> Program:
        """Start a command of `processes.py` or of another module here."""
        load(implementation)
        return self._programs.python(
            "-m",
            f"tests.stress.{module}",
            command,
            *map(str, arguments),
            environment={"FEEDHANDLER_SHM": implementation, **ONE_THREAD},
        )

    def start_program(self, *arguments: object) -> Program:
        """Start a compiled program."""
        return self._programs.start(*map(str, arguments))

    def remove(self) -> None:
        """Remove what a killed or ended writer left."""
        segment.remove_leftover(f"/fh.{self.instance}.venue")


def facts_of(program: Program) -> Any:
    """Wait for a process to end well and return what it printed last."""
    assert program.wait(85) == 0, program.stderr()
    return json.loads(program.stdout().splitlines()[-1])


def ended(writer: Program) -> Any:
    """End a writer and return its facts."""
    writer.process.send_signal(signal.SIGTERM)
    return facts_of(writer)


def wait_for_segment(race: Race, writer: Program) -> None:
    """Wait until the writer has made the segment."""
    wait_until(race.path.exists, 30_000 * MS, f"a segment: {writer.stderr()}")


@pytest.fixture
def race(instance: str, programs: Programs) -> Iterator[Race]:
    """The processes of one segment; what they leave is removed."""
    started = Race(instance, programs)
    yield started
    programs.close()
    started.remove()


@pytest.fixture(scope="session")
def checker(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The reader in C, for which no record is too fast."""
    folder = tmp_path_factory.mktemp("checker")
    return compiled(folder, CHECKER.read_text(), "-O2", *STRICT, name="checker")
