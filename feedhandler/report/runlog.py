"""What a soak's `run.log` tells: how processes ended, when faults began and ended."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

NAME: Final = "run.log"

_LINE_BYTES_MAX: Final = 1 << 16
_ENDED: Final = re.compile(
    rb" process_(?:ended|disabled) .*?process=(\S+).* cause=(\S+)"
)
# As the simulation words it: `<time> sim| lighter fault started lighter:mute@30s+40s`.
_FAULT: Final = re.compile(rb"(\S+) sim\| (\S+) fault (started|ended) (.+)")
_COUNTED_MAX: Final = 1_024  # causes, and faults
_TOGETHER_MS: Final = 1_000  # a fault for all venues comes to each of them within


@dataclass(slots=True)
class Fault:
    """One fault of the simulated venues; wall clock, ms since 1970."""

    text: str
    venues: list[str]
    begin_ms: int
    end_ms: int | None = None  # it went on until the run ended


@dataclass(slots=True)
class RunLog:
    """What was found in it."""

    ends: dict[str, dict[str, int]] = field(default_factory=dict)  # by role and cause
    faults: list[Fault] = field(default_factory=list)
    _counted: int = 0

    def take(self, line: bytes) -> None:
        """Take one line; most say nothing of either."""
        if (found := _ENDED.search(line)) is not None:
            if self._counted < _COUNTED_MAX:
                self._count_end(*(_text(word) for word in found.groups()))
        elif (found := _FAULT.match(line)) is not None:
            stamp, venue, verb, text = (_text(word) for word in found.groups())
            at_ms = _milliseconds(stamp)
            if at_ms is not None and verb == "started":
                self._begin(venue, text, at_ms)
            elif at_ms is not None:
                self._end(venue, text, at_ms)

    def placed(self, first_ms: int) -> list[dict[str, Any]]:
        """Return the faults as plain values, in seconds since the first sample."""
        return [
            {
                "fault": fault.text,
                "venues": sorted(fault.venues),
                "begin_s": (fault.begin_ms - first_ms) / 1e3,
                "end_s": (
                    None if fault.end_ms is None else (fault.end_ms - first_ms) / 1e3
                ),
            }
            for fault in self.faults
        ]

    def _count_end(self, role: str, cause: str) -> None:
        causes = self.ends.setdefault(role, {})
        self._counted += cause not in causes
        causes[cause] = causes.get(cause, 0) + 1

    def _begin(self, venue: str, text: str, at_ms: int) -> None:
        for fault in reversed(self.faults):
            if fault.text == text and abs(at_ms - fault.begin_ms) <= _TOGETHER_MS:
                if venue not in fault.venues:
                    fault.venues.append(venue)
                    return
        if len(self.faults) < _COUNTED_MAX:
            self.faults.append(Fault(text, [venue], at_ms))

    def _end(self, venue: str, text: str, at_ms: int) -> None:
        for fault in reversed(self.faults):
            if fault.text == text and venue in fault.venues:
                fault.end_ms = max(at_ms, fault.end_ms or at_ms)
                return


def read_log(directory: Path) -> RunLog | None:
    """Return what a directory's log tells; None without a log."""
    log = RunLog()
    try:
        with (directory / NAME).open("rb") as file:
            while line := file.readline(_LINE_BYTES_MAX):
                log.take(line)
    except OSError:
        return None
    return log


def _milliseconds(stamp: str) -> int | None:
    try:
        return round(datetime.fromisoformat(stamp).timestamp() * 1e3)
    except (ValueError, OverflowError):
        return None


def _text(word: bytes) -> str:
    return word.decode("utf-8", "replace").strip()
