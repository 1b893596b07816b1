"""`manifest.json`: what ran, where, with which settings, from when to when.

Written when a soak begins, brought up to date while it runs and completed when it
ends, each time whole: a killed run still says how far it had come.

    {"ended": {"reason": "", …}, "end": last time it was seen running, …}

`load_max` is the greatest one-minute load of the host that was seen on the way.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from feedhandler.config import Config
from feedhandler.config.describe import effective_rows
from feedhandler.errors import ResourcesMissing
from feedhandler.identity import VERSION
from feedhandler.supervisor.checks import check_clock, check_native
from feedhandler.supervisor.resources import descriptor_limit, memory
from feedhandler.supervisor.versions import library_versions

NAME: Final = "manifest.json"
SCHEMA: Final = 1

_GIT_TIMEOUT_S: Final = 5.0
_PACKAGE_PARENT: Final = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Plan:
    """What a soak was asked to do."""

    command: Sequence[str]
    venues: Sequence[str]
    minutes: float
    is_demo: bool = False
    seed: int | None = None
    faults: Sequence[str] = ()
    scenarios: Sequence[str] = ()
    scale: float = 1.0


class Manifest:
    """The manifest of the run in a directory."""

    def __init__(self, directory: Path, config: Config, plan: Plan) -> None:
        self.path = directory / NAME
        self._started_ns = time.monotonic_ns()
        self.values: dict[str, Any] = {
            "schema": SCHEMA,
            "version": VERSION,
            "commit": commit(_PACKAGE_PARENT),
            "command": list(plan.command),
            "demo": plan.is_demo,
            "seed": plan.seed,
            "faults": list(plan.faults),
            "scenarios": list(plan.scenarios),
            "scale": plan.scale,
            "minutes": plan.minutes,
            "instance": config.instance,
            "venues": list(plan.venues),
            "instruments": {
                venue: list(config.venue[venue].instruments) for venue in plan.venues
            },
            "start": _now(),
            "start_mono_ns": self._started_ns,
            "machine": machine(),
            "clock": check_clock(config).as_dict(),
            "config": _sections(config),
            "load_max": 0.0,
        }
        self._note_end("", None)

    def beat(self) -> None:
        """Note that the run still goes on."""
        self._note_end("", None)
        self.write()

    def complete(self, reason: str, exit_code: int, **facts: object) -> None:
        """Note how the run ended, and write it."""
        self._note_end(reason, exit_code)
        self.values.update(facts)
        self.write()

    def write(self) -> None:
        """Replace the file by what is known. Raises `ResourcesMissing`."""
        new = self.path.with_name(f".{NAME}.new")
        text = json.dumps(self.values, indent=1, default=str) + "\n"
        try:
            new.write_text(text, encoding="utf-8")
            new.replace(self.path)
        except OSError as error:
            raise ResourcesMissing(f"{self.path}: {error.strerror}") from error

    def _note_end(self, reason: str, exit_code: int | None) -> None:
        now_ns = time.monotonic_ns()
        self.values["end"] = _now()
        self.values["end_mono_ns"] = now_ns
        self.values["lasted_s"] = round((now_ns - self._started_ns) / 1e9, 3)
        self.values["ended"] = {"reason": reason, "exit_code": exit_code}
        load = round(os.getloadavg()[0], 2)
        self.values["load_max"] = max(self.values["load_max"], load)


def commit(directory: Path) -> str | None:
    """Return the commit of a checkout, `+` behind it if changed; else None."""
    if not (directory / ".git").exists():
        return None
    git = ("git", "-C", str(directory))
    head = _output(*git, "rev-parse", "HEAD")
    if head is None:
        return None
    changed = _output(*git, "status", "--porcelain", "--untracked-files=no")
    return head + ("+" if changed else "")


def machine() -> dict[str, Any]:
    """Return what the run had to work with; no names of host or user."""
    state = memory()
    return {
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_available_bytes": state.available_bytes,
        "memory_limit_bytes": state.limit_bytes,
        "descriptor_limit": descriptor_limit(),
        "load": [round(value, 2) for value in os.getloadavg()],
        "libraries": dict(library_versions()),
        "native_module": check_native().text,
    }


def _sections(config: Config) -> dict[str, Any]:
    """Return the effective configuration by section, credentials hidden."""
    sections: dict[str, Any] = {}
    for section, key, value in effective_rows(config):
        place = sections
        for part in filter(None, section.split(".")):
            place = place.setdefault(part, {})
        place[key] = value
    return sections


def _processor(path: Path = Path("/proc/cpuinfo")) -> str:
    try:
        lines = path.read_text(errors="replace").splitlines()
    except OSError:
        return "unknown"
    names: Mapping[str, str] = {
        name.strip(): value.strip()
        for name, _, value in (line.partition(":") for line in lines)
    }
    return names.get("model name", "unknown")


def _output(*command: str) -> str | None:
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_GIT_TIMEOUT_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None  # no git here, or no repository after all
    return done.stdout.strip()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
