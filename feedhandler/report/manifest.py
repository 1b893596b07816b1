"""What a soak says of itself in `manifest.json`.

version, commit, command, seed, machine, clock     shown as they are
start, end          ISO 8601 with a zone, or milliseconds since 1970
config              the effective configuration: sections of keys, or the rows of
                    `feedhandler config --effective --json`
venues              that were meant to run; else the enabled ones of `config`
demo                true when the venues were simulated
minutes, lasted_s   how long the run was to take, and how long it took so far
ended               reason and exit code: empty and null until the run ends in order
load_max            greatest one-minute load of the host while it ran
"""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

NAME: Final = "manifest.json"
FULL_TIME: Final = "time is up"  # the reason of a run that took what it was asked to

_BYTES_MAX: Final = 16 << 20


@dataclass(slots=True)
class Manifest:
    """A manifest as far as it could be read; `problem` says why it could not."""

    values: dict[str, Any] = field(default_factory=dict)
    problem: str = ""

    @property
    def venues(self) -> tuple[str, ...]:
        """The venues that were meant to run."""
        named = self.values.get("venues")
        if isinstance(named, list):
            return tuple(map(str, named))
        sections = self.config.get("venue", {})
        return tuple(
            name for name, keys in sections.items() if keys.get("enabled", True)
        )

    @property
    def config(self) -> dict[str, Any]:
        """The effective configuration by section; venues stand below `venue`."""
        config = self.values.get("config") or {}
        rows = config.get("values") if isinstance(config, dict) else config
        if not isinstance(rows, list):
            return config if isinstance(config, dict) else {}
        sections: dict[str, Any] = {}
        for row in rows:
            place = sections
            for part in filter(None, str(row.get("section", "")).split(".")):
                place = place.setdefault(part, {})
            place[str(row.get("key"))] = row.get("value")
        return sections

    @property
    def without_funding(self) -> list[str]:
        """The venues that were told not to follow funding."""
        sections = self.config.get("venue", {})
        return sorted(
            name for name, keys in sections.items() if keys.get("funding") is False
        )

    def shown(self, key: str) -> str | None:
        """Return one value as words, None when it is not there or empty."""
        value = self.values.get(key)
        if isinstance(value, list):
            words = [str(word) for word in value]
            return shlex.join(words) if key == "command" else ", ".join(words) or None
        if isinstance(value, dict):
            facts = (
                f"{name} {fact}"
                for name, fact in value.items()
                if isinstance(fact, str | int | float) and fact != ""
            )
            return ", ".join(facts) or None
        return None if value in (None, "") else str(value)

    @property
    def is_simulated(self) -> bool:
        """Say whether the venues were simulated ones."""
        return bool(self.values.get("demo")) or "--demo" in str(
            self.values.get("command", "")
        )

    @property
    def lasted_s(self) -> float | None:
        """How long the run was by its own account, None when it does not say."""
        lasted_s = self.values.get("lasted_s")
        if isinstance(lasted_s, int | float):
            return float(lasted_s)
        start_s = _seconds(self.values.get("start", self.values.get("start_ms")))
        end_s = _seconds(self.values.get("end", self.values.get("end_ms")))
        return None if start_s is None or end_s is None else end_s - start_s

    @property
    def asked_s(self) -> float | None:
        """How long the run was to go on once it had started, None when unknown."""
        minutes = self.values.get("minutes")
        return 60.0 * minutes if isinstance(minutes, int | float) else None

    @property
    def ended(self) -> dict[str, Any]:
        """Why the run ended, and its exit code; nothing when it did not in order."""
        ended = self.values.get("ended")
        if not isinstance(ended, dict):
            return {"reason": None, "exit_code": None}
        return {
            "reason": ended.get("reason") or None,
            "exit_code": ended.get("exit_code"),
        }

    @property
    def end_in_words(self) -> str:
        """How the run ended and after which time, as far as it says so."""
        times = [
            "unknown" if seconds is None else f"{seconds:g} s"
            for seconds in (self.lasted_s, self.asked_s)
        ]
        ended = self.ended
        words = "no end told: killed, or still running"
        if ended["reason"] is not None:
            words = f"{ended['reason']}, exit code {ended['exit_code']}"
        return f"{words}; lasted {times[0]}, asked for {times[1]}"


def read_manifest(directory: Path) -> Manifest:
    """Return a directory's manifest; one that is missing or damaged says so."""
    path = directory / NAME
    try:
        with path.open("rb") as file:
            values = json.loads(file.read(_BYTES_MAX))
    except OSError as error:
        return Manifest(problem=f"{NAME}: {error.strerror}")
    except ValueError as error:
        return Manifest(problem=f"{NAME} is damaged: {error}")
    if not isinstance(values, dict):
        return Manifest(problem=f"{NAME} holds no object")
    return Manifest(values)


def _seconds(stamp: object) -> float | None:
    if isinstance(stamp, int | float):
        return stamp / 1e3
    if isinstance(stamp, str):
        try:
            return datetime.fromisoformat(stamp).timestamp()
        except ValueError:
            return None
    return None
