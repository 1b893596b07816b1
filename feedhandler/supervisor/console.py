"""Where the words of `feedhandler start` go, without ever waiting for a terminal.

Owns the choice between the terminal and the table's list of recent events. A frozen
terminal (Ctrl-S) costs lines, never a heartbeat.
"""

from __future__ import annotations

import re
import time
from collections import deque
from dataclasses import dataclass
from typing import Final

from feedhandler import log

RECENT_MAX: Final = 100

# The head of a line written by `feedhandler.log`: it names its role itself.
_OWN_FORM: Final = re.compile(
    r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z \S|^WS_AUDIT |^\{\""
)
_STAMP: Final = re.compile(r"^\d{4}-\d\d-\d\dT(\d\d:\d\d:\d\d)\.\d{3}Z ")


@dataclass(frozen=True, slots=True)
class RecentEvent:
    """One line for the footer of the table."""

    clock: str
    text: str


class Console:
    """Takes stage lines, log lines and the output of children."""

    def __init__(self, *, with_table: bool, stderr_is_terminal: bool) -> None:
        self.has_table = with_table
        self.recent: deque[RecentEvent] = deque(maxlen=RECENT_MAX)
        self._stdout = None if with_table else log.open_sink(1)
        # The table owns the terminal; a redirected standard error is still written.
        hides_log = with_table and stderr_is_terminal
        self._stderr = None if hides_log else log.open_sink(2)

    def leave_table(self) -> None:
        """Print again: the table has given the terminal back."""
        if self.has_table:
            self.has_table = False
            self._stdout = log.open_sink(1)
            self._stderr = log.open_sink(2)

    @property
    def dropped(self) -> int:
        """Lines that the terminal or pipe did not take."""
        sinks = (self._stdout, self._stderr)
        return sum(sink.dropped for sink in sinks if sink is not None)

    def say(self, text: str) -> None:
        """Write a line for a person to standard output."""
        self._remember(text)
        if self._stdout is not None:
            self._stdout.write(text.encode("utf-8", "backslashreplace") + b"\n")

    def write(self, line: bytes) -> bool:
        """Take a line of our own log."""
        self._remember(line.decode("ascii", "backslashreplace").rstrip("\n"))
        return self._stderr is None or self._stderr.write(line)

    def write_child(self, role: str, line: bytes) -> None:
        """Take a line of a child's output, which may hold anything."""
        text = form_child(role, line)
        self._remember(text)
        if self._stderr is not None:
            self._stderr.write(text.encode("utf-8", "backslashreplace") + b"\n")

    def _remember(self, text: str) -> None:
        stamp = _STAMP.match(text)
        clock = stamp[1] if stamp else time.strftime("%H:%M:%S", time.gmtime())
        self.recent.append(RecentEvent(clock, text[stamp.end() :] if stamp else text))


def form_child(role: str, line: bytes) -> str:
    """Return a child's line as text that names its role."""
    text = log.escape_line(line)
    return text if _OWN_FORM.match(text) else f"{role}| {text}"
