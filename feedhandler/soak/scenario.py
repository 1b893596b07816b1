"""Scenario scripts: `ops/scenarios/<name>.toml`, faults at their times and the outcome.

    name, shows, minutes        what it is
    warm_up_s                   nothing happens before; 60 s if it is not given
    [config]                    keys of every venue's section that it needs
    [[fault]]                   spec = "lighter:drop", at_s = [60], lasts_s = 180
    [[expect]]                  what telemetry must show afterwards; see `outcome`
    [gates]                     fail = ["plateau lighter"], may_fail = ["rss_slope *"]

Owns the reading and the scale. Times are seconds from when every venue has a client;
what is at 0 is there before.
What comes before `warm_up_s` is start-up, which no scale makes much faster: it keeps at
least `WARM_UP_MIN_S`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from feedhandler.errors import UsageError

FOLDERS: Final = (
    Path("ops/scenarios"),
    Path(__file__).resolve().parents[2] / "ops" / "scenarios",
)
WARM_UP_S: Final = 60.0
WARM_UP_MIN_S: Final = 2.5  # from the first client to quotes, REST and telemetry
SETTING_MIN_MS: Final = 8_000  # a session's successor opens in the last tenth of it

_TOP: Final = {
    "name",
    "shows",
    "minutes",
    "warm_up_s",
    "config",
    "fault",
    "expect",
    "gates",
}
_FAULT: Final = {"spec", "at_s", "lasts_s"}
_EXPECT: Final = {
    "venue",
    "what",
    "seen",
    "never",
    "at_least",
    "at_most",
    "from_s",
    "to_s",
}
_GATES: Final = {"fail", "may_fail"}


@dataclass(frozen=True, slots=True)
class Expect:
    """What telemetry must show of a venue, of all (`*`), or of unharmed `others`."""

    what: str
    venue: str = "*"
    seen: tuple[str, ...] = ()
    never: tuple[str, ...] = ()
    at_least: float | None = None
    at_most: float | None = None
    from_s: float = 0.0
    to_s: float = float("inf")


@dataclass(frozen=True, slots=True)
class Scenario:
    """One script, its times already at the scale it is run at."""

    name: str
    shows: str
    minutes: float
    faults: tuple[str, ...]
    config: dict[str, Any] = field(default_factory=dict)
    expects: tuple[Expect, ...] = ()
    gates_fail: tuple[str, ...] = ()
    gates_may_fail: tuple[str, ...] = ()

    @property
    def harmed(self) -> set[str]:
        """The venues that faults name; `*` where one is for every venue."""
        return {_venue_of(fault) or "*" for fault in self.faults}

    def faults_of(self, venues: Sequence[str]) -> list[str]:
        """Return the faults, without those of venues that do not run."""
        return [fault for fault in self.faults if _venue_of(fault) in ("", *venues)]


def find(name: str, folders: Sequence[Path] = FOLDERS) -> Path:
    """Return the file of a scenario, by its path or its name."""
    if name.endswith(".toml"):
        return Path(name)
    for folder in folders:
        path = folder / f"{name}.toml"
        if path.is_file():
            return path
    known = sorted(
        path.stem for folder in folders[-1:] for path in folder.glob("*.toml")
    )
    raise UsageError(f"no scenario {name!r}; known: {', '.join(known) or 'none'}")


def read(path: Path, scale: float = 1.0) -> Scenario:
    """Return a scenario at a scale. Raises `UsageError` with what is wrong in it."""
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
        return _build(values, scale)
    except OSError as error:
        raise UsageError(f"scenario {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, KeyError, TypeError, ValueError) as error:
        raise UsageError(f"scenario {path}: {error}") from error


@dataclass(frozen=True, slots=True)
class _Times:
    """Where the times of a script go at a scale."""

    warm_up_s: float
    scale: float

    def at(self, at_s: float) -> float:
        kept_s = min(self.warm_up_s, WARM_UP_MIN_S)
        kept_s = max(kept_s, self.warm_up_s * self.scale)
        if at_s <= self.warm_up_s:
            return at_s * kept_s / self.warm_up_s if self.warm_up_s else at_s
        return kept_s + (at_s - self.warm_up_s) * self.scale


def _build(values: dict[str, Any], scale: float) -> Scenario:
    _refuse_unknown("", values, _TOP)
    warm_up_s = float(values.get("warm_up_s", WARM_UP_S))
    times = _Times(warm_up_s, scale)
    gates = values.get("gates", {})
    _refuse_unknown("gates", gates, _GATES)
    faults: list[str] = []
    for row in values.get("fault", []):
        _refuse_unknown("fault", row, _FAULT)
        faults += _faults(row, times)
    config = dict(values.get("config", {}))
    for key, value in config.items():
        if key.endswith("_ms") and value > 0:
            config[key] = max(SETTING_MIN_MS, round(value * scale))
    return Scenario(
        name=str(values["name"]),
        shows=str(values["shows"]),
        minutes=times.at(float(values["minutes"]) * 60) / 60,
        faults=tuple(faults),
        config=config,
        expects=tuple(_expect(row, times) for row in values.get("expect", [])),
        gates_fail=tuple(gates.get("fail", ())),
        gates_may_fail=tuple(gates.get("may_fail", ())),
    )


def _faults(row: dict[str, Any], times: _Times) -> list[str]:
    lasts_s = row.get("lasts_s")
    end = "" if lasts_s is None else f"+{float(lasts_s) * times.scale:g}s"
    return [f"{row['spec']}@{times.at(float(at_s)):g}s{end}" for at_s in row["at_s"]]


def _expect(row: dict[str, Any], times: _Times) -> Expect:
    _refuse_unknown("expect", row, _EXPECT)
    return Expect(
        what=str(row["what"]),
        venue=str(row.get("venue", "*")),
        seen=tuple(row.get("seen", ())),
        never=tuple(row.get("never", ())),
        at_least=row.get("at_least"),
        at_most=row.get("at_most"),
        from_s=times.at(float(row.get("from_s", 0))),
        to_s=times.at(float(row.get("to_s", "inf"))),
    )


def _refuse_unknown(section: str, row: dict[str, Any], known: set[str]) -> None:
    unknown = sorted(set(row) - known)
    if unknown:
        raise ValueError(f"unknown key {unknown[0]!r} in [{section}]")


def _venue_of(fault: str) -> str:
    """Return the venue of a fault such as `lighter:mute@3s`, nothing without one."""
    head, colon, _ = fault.partition("(")[0].partition(":")
    return head if colon else ""
