"""Where the words of a soak go: every line to `run.log`, progress to the terminal.

Owns both. The file is written by a thread of its own, so that a slow disk costs lines,
each one counted, and never a heartbeat.
"""

from __future__ import annotations

import shutil
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from feedhandler import log
from feedhandler.supervisor.console import Console, form_child
from feedhandler.supervisor.simulation import SIMULATION_ROLE
from feedhandler.telemetry.jsonl import LineWriter, RotatedFile

NAME: Final = "run.log"
CLOCK_STARTS: Final = "clock of the faults starts"  # as the simulation words it

_FILE_BYTES_MAX: Final = 1 << 30  # one is enough: lines are limited at their source
_FILES_MAX: Final = 2
_CLOSE_TIMEOUT_S: Final = 2.0


class SoakConsole(Console):
    """Takes what `start` would print, and the line that says how far the run is."""

    def __init__(self, directory: Path, *, is_terminal: bool) -> None:
        super().__init__(with_table=False, stderr_is_terminal=False)
        self._is_terminal = is_terminal
        self._out = log.open_sink(1)
        self._file = LineWriter(
            RotatedFile(directory / NAME, _FILE_BYTES_MAX, _FILES_MAX)
        )
        self._shown = ""  # the progress that stands in the terminal's last line
        self.begun_ns = 0  # when the simulation said that the faults' clock starts

    @property
    def lines_dropped(self) -> int:
        """Lines that `run.log` lacks."""
        return self._file.dropped

    def say(self, text: str) -> None:
        """Write a line for a person, to both."""
        self._keep(f"{_now()} soak| {text}".encode("utf-8", "backslashreplace"))
        self._print(text)

    def write(self, line: bytes) -> bool:
        """Take a line of the supervisor's own log."""
        return self._keep(line.rstrip(b"\n"))

    def write_child(self, role: str, line: bytes) -> None:
        """Take a line of a child's output, which may hold anything."""
        text = form_child(role, line)
        if not self.begun_ns and text == f"{SIMULATION_ROLE}| {CLOCK_STARTS}":
            self.begun_ns = time.monotonic_ns()
        if text.startswith(f"{role}| "):
            text = f"{_now()} {text}"  # not of our log: a notice, or a traceback
        self._keep(text.encode("utf-8", "backslashreplace"))

    def progress(self, text: str, *, is_due: bool) -> None:
        """Show how far it is: in place on a terminal, elsewhere when a line is due."""
        if self._is_terminal:
            # A line that wraps could not be drawn over.
            self._shown = text[: shutil.get_terminal_size().columns - 1]
            self._out.write(f"\r\x1b[K{self._shown}".encode())
        elif is_due:
            self._out.write(text.encode() + b"\n")

    def close(self) -> None:
        """Write what waits, and leave the terminal at the start of a line."""
        if self._shown:
            self._out.write(b"\n")
            self._shown = ""
        self._file.close(_CLOSE_TIMEOUT_S)

    def _print(self, text: str) -> None:
        line = text.encode("utf-8", "backslashreplace") + b"\n"
        if self._is_terminal:
            line = b"\r\x1b[K" + line + self._shown.encode()
        self._out.write(line)

    def _keep(self, line: bytes) -> bool:
        return self._file.put(line + b"\n")


def _now() -> str:
    stamp = datetime.now(UTC).isoformat(timespec="milliseconds")
    return stamp.replace("+00:00", "Z")
