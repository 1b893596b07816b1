"""From a file and the environment to one checked `Config`.

Owns the order of precedence (default, file, environment), the origin of each value and
the text of every refusal. All problems are collected, so that one try shows them all.
"""

from __future__ import annotations

import difflib
import pkgutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

import msgspec

from feedhandler import log
from feedhandler.config import environment as env
from feedhandler.config.describe import describe_range
from feedhandler.config.schema import (
    SECTIONS,
    TOP_KEYS,
    Config,
    LadderConfig,
    RestConfig,
    ShmConfig,
    SupervisorConfig,
    TelemetryConfig,
    VenueConfig,
    check_ladder,
    check_rest,
    check_shm,
    check_supervisor,
    check_telemetry,
    check_venue,
    redact_url,
)
from feedhandler.config.source import Source, read_source
from feedhandler.errors import ConfigError

Origin: TypeAlias = Literal["default", "file", "environment"]
Check: TypeAlias = Callable[[Any], Iterator[tuple[str, str]]]

_VALUE_CHARS_MAX: Final = 60
# Listed, not imported: checking a configuration loads no venue.
_VENUES_PATH: Final = Path(__file__).parent.parent / "venues"
_CHECKS: Final[dict[type[msgspec.Struct], Check]] = {
    VenueConfig: check_venue,
    LadderConfig: check_ladder,
    RestConfig: check_rest,
    ShmConfig: check_shm,
    SupervisorConfig: check_supervisor,
    TelemetryConfig: check_telemetry,
}


@dataclass(frozen=True, slots=True)
class Effective:
    """A configuration with the origin of each value; keys are `section.key`."""

    config: Config
    origins: Mapping[str, Origin]
    path: str
    warnings: tuple[str, ...]


def load(
    path: str | None,
    environment: Mapping[str, str],
    *,
    venues: Sequence[str] | None = None,
) -> Config:
    """Return the checked configuration, or raise `ConfigError` with every reason.

    Without a file every known venue runs with its defaults.
    """
    effective = load_effective(path, environment, venues=venues)
    for warning in effective.warnings:
        log.event("config_warning", text=warning)
    return effective.config


def load_effective(
    path: str | None,
    environment: Mapping[str, str],
    *,
    venues: Sequence[str] | None = None,
) -> Effective:
    """Return what `load` returns, with the origin of each value and the warnings."""
    source = Source() if path is None else read_source(path)
    loader = _Loader(source, environment, known_venues() if venues is None else venues)
    config = loader.build()
    if loader.problems:
        raise ConfigError(loader.problems)
    warnings: list[str] = []
    if source.is_world_writable:
        warnings.append(f"{path}: anybody may write to it: chmod o-w")
    return Effective(config, loader.origins, path or "", tuple(warnings))


def known_venues() -> tuple[str, ...]:
    """Return the venues of this build: each module there without an underscore."""
    modules = pkgutil.iter_modules([str(_VENUES_PATH)])
    return tuple(sorted(m.name for m in modules if not m.name.startswith("_")))


class _Loader:
    def __init__(
        self, source: Source, environment: Mapping[str, str], known: Sequence[str]
    ) -> None:
        self._source = source
        self._known = known
        self._venues = self._list_venues()
        self._overrides, self.problems = env.collect(environment, self._venues)
        self.origins: dict[str, Origin] = {}

    def build(self) -> Config:
        values = self._source.values
        self._refuse_unknown("", values, (*TOP_KEYS, "venue", *SECTIONS))
        self._check_venue_table()
        top = {key: self._value("", key, Config, values) for key in TOP_KEYS}
        return Config(
            instance=top["instance"],
            state_dir=top["state_dir"],
            venue={
                name: self._section(f"venue.{name}", VenueConfig)
                for name in self._venues
            },
            **{name: self._section(name, kind) for name, kind in SECTIONS.items()},
        )

    def _list_venues(self) -> tuple[str, ...]:
        table = self._source.values.get("venue")
        if isinstance(table, dict) and table:
            return tuple(name for name in table if name in self._known)
        return tuple(self._known)

    def _check_venue_table(self) -> None:
        table = self._source.values.get("venue", {})
        if not isinstance(table, dict):
            self._refuse("", "venue", "must be sections such as [venue.hyperliquid]")
            return
        for name in table:
            if name not in self._known:
                self._refuse_name(f"venue.{name}", "", f"unknown venue {name!r}", name)

    def _refuse_name(self, section: str, key: str, text: str, name: str) -> None:
        place = self._source.place(section, key)
        self.problems.append(f"{place}: {text}{suggest(name, self._known)}")

    def _section(self, section: str, kind: type[Any]) -> Any:
        table: Any = self._source.values
        for part in section.split("."):
            table = table.get(part, {}) if isinstance(table, dict) else {}
        if not isinstance(table, dict):
            self._refuse("", section, f"must be a section [{section}]")
            table = {}
        keys = kind.__struct_fields__
        self._refuse_unknown(section, table, keys)
        count = len(self.problems)
        built = kind(**{key: self._value(section, key, kind, table) for key in keys})
        if len(self.problems) == count and kind in _CHECKS:
            for key, text in _CHECKS[kind](built):
                value = getattr(built, key)
                self._refuse(section, key, f"{_show(key, value)} {text}")
        return built

    def _value(self, section: str, key: str, kind: type[Any], table: Any) -> Any:
        name = f"{section}.{key}" if section else key
        info = next(f for f in msgspec.structs.fields(kind) if f.name == key)
        override = self._overrides.get(name)
        if override is None and key not in table:
            self.origins[name] = "default"
            return info.default
        self.origins[name] = "file" if override is None else "environment"
        raw = table[key] if override is None else override.text
        try:
            if override is not None:
                raw = env.parse(override.text, info.type)
            return msgspec.convert(raw, info.type, strict=True)
        except ValueError:  # msgspec's ValidationError is one
            allowed = describe_range(info.type)
            shown = _show(key, raw)
            self._refuse(section, key, f"{shown} is refused, allowed: {allowed}")
            return info.default

    def _refuse_unknown(
        self, section: str, table: Mapping[str, Any], keys: Iterable[str]
    ) -> None:
        for key in table:
            if key not in keys:
                # An unknown table has a header of its own, a key has a line.
                place = self._source.place(section, key)
                if isinstance(table[key], dict):
                    place = self._source.place(f"{section}.{key}".lstrip("."))
                where = f" in [{section}]" if section else ""
                self.problems.append(
                    f"{place}: unknown key {key!r}{where}{suggest(key, keys)}"
                )

    def _refuse(self, section: str, key: str, text: str) -> None:
        name = f"{section}.{key}" if section else key
        if name in self._overrides:
            place = f"environment variable {self._overrides[name].variable}"
        else:
            place = self._source.place(section, key) or "default"
        self.problems.append(f"{place}: {name} = {text}")


def suggest(name: str, known: Iterable[str]) -> str:
    """Return the end of a sentence that names what was probably meant."""
    candidates = list(known)
    near = difflib.get_close_matches(name, candidates, n=1, cutoff=0.5)
    if near:
        return f"; did you mean {near[0]!r}?"
    return f"; known: {', '.join(candidates)}" if len(candidates) <= 30 else ""


def _show(key: str, value: object) -> str:
    is_address = key.endswith("_url") and isinstance(value, str)
    text = repr(redact_url(str(value)) if is_address else value)
    if len(text) > _VALUE_CHARS_MAX:
        return text[:_VALUE_CHARS_MAX] + "…"
    return text
