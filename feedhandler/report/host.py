"""The machine and the clock of a run, as its manifest describes them, for people.

What the manifest does not hold is left out: it may be of another version, or damaged.
"""

from __future__ import annotations

from typing import Any, Final

_GIB: Final = 1 << 30
_VERDICTS: Final = {"warn": "warning: ", "fail": "failed: "}


def machine(values: object) -> str | None:
    """Return a sentence on what the run had to work with, None without a word."""
    if not isinstance(values, dict):
        return None
    libraries = values.get("libraries")
    python = libraries.get("Python") if isinstance(libraries, dict) else None
    facts = (
        _fact(values, "processor"),
        _fact(values, "cores", " core" if values.get("cores") == 1 else " cores"),
        _gib(values, "memory_available_bytes", " of memory free at the start"),
        _gib(values, "memory_limit_bytes", " allowed"),
        _load(values.get("load")),
        _fact(values, "system"),
        f"Python {python}" if python else "",
        _fact(values, "native_module", " for shared memory"),
    )
    return ", ".join(filter(None, facts)) or None


def clock(values: object) -> str | None:
    """Return what the check of the clocks found, None without a word."""
    if not isinstance(values, dict) or not values.get("text"):
        return None
    advice = values.get("advice")
    verdict = _VERDICTS.get(str(values.get("verdict")), "")
    return f"{verdict}{values['text']}" + (f"; {advice}" if advice else "")


def load(manifest: dict[str, Any]) -> str | None:
    """Return how busy the host was during a run, None where the manifest is silent."""
    machine = manifest.get("machine")
    known = machine if isinstance(machine, dict) else {}
    words = []
    first = known.get("load")
    if isinstance(first, list) and first:
        words.append(f"{first[0]} at the start")
    if isinstance(manifest.get("load_max"), int | float):
        words.append(f"{manifest['load_max']} at most")
    if not words:
        return None
    cores = known.get("cores")
    return f"load {', '.join(words)}" + (f", of {cores} cores" if cores else "")


def _fact(values: dict[str, Any], key: str, unit: str = "") -> str:
    value = values.get(key)
    return f"{value}{unit}" if isinstance(value, str | int) and value else ""


def _gib(values: dict[str, Any], key: str, words: str) -> str:
    value = values.get(key)
    return f"{value / _GIB:.1f} GiB{words}" if isinstance(value, int) else ""


def _load(values: object) -> str:
    if not isinstance(values, list) or not values:
        return ""
    return f"load {' '.join(map(str, values))}"
