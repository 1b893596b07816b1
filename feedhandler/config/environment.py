"""Overrides from the environment: `FEEDHANDLER_<SECTION>_<KEY>`.

Owns the names and the grammar of the values. SECTION is a venue's name or a section's
name; `instance` and `state_dir` have no section. An unknown variable is refused, so
that a misspelt override cannot be silently without effect.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from feedhandler.config.schema import SECTIONS, TOP_KEYS, VenueConfig

PREFIX: Final = "FEEDHANDLER_"

# Read elsewhere, once, at the edge: they are not keys of the configuration.
OTHER_VARIABLES: Final = ("FEEDHANDLER_LOG", "FEEDHANDLER_PARENT")

_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,18}")
_WORDS: Final = {
    "true": True,
    "yes": True,
    "on": True,
    "1": True,
    "false": False,
    "no": False,
    "off": False,
    "0": False,
}


@dataclass(frozen=True, slots=True)
class Override:
    """One variable and its text."""

    variable: str
    text: str


def collect(
    environment: Mapping[str, str], venues: Sequence[str]
) -> tuple[dict[str, Override], list[str]]:
    """Return the overrides by `section.key`, and a sentence for each unknown one."""
    known = _names(venues)
    overrides: dict[str, Override] = {}
    problems: list[str] = []
    for variable in sorted(environment):
        if not variable.startswith(PREFIX) or variable in OTHER_VARIABLES:
            continue
        if variable in known:
            overrides[known[variable]] = Override(variable, environment[variable])
            continue
        near = difflib.get_close_matches(variable, [*known, *OTHER_VARIABLES], n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        problems.append(f"environment: unknown variable {variable}{hint}")
    return overrides, problems


def variable_for(section: str, key: str) -> str:
    """Return the variable that overrides a key, `venue.x` and `x` being the same."""
    section = section.removeprefix("venue.")
    return PREFIX + "_".join(part for part in (section, key) if part).upper()


def parse(text: str, kind: Any) -> Any:
    """Turn a variable's text into what the file would hold; raise `ValueError`."""
    described = msgspec.inspect.type_info(kind)
    if isinstance(described, msgspec.inspect.BoolType):
        word = _WORDS.get(text.strip().lower())
        if word is None:
            raise ValueError(f"not a yes or no: {text!r}")
        return word
    if isinstance(described, msgspec.inspect.IntType):
        if not _INTEGER.fullmatch(text):
            raise ValueError(f"not a whole number: {text!r}")
        return int(text)
    if isinstance(described, msgspec.inspect.VarTupleType):
        return [item.strip() for item in text.split(",") if item.strip()]
    return text


def _names(venues: Sequence[str]) -> dict[str, str]:
    names = {variable_for("", key): key for key in TOP_KEYS}
    for section, kind in SECTIONS.items():
        for key in kind.__struct_fields__:
            names[variable_for(section, key)] = f"{section}.{key}"
    for venue in venues:
        for key in VenueConfig.__struct_fields__:
            names[variable_for(venue, key)] = f"venue.{venue}.{key}"
    return names
