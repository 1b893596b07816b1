"""Changes of a configuration: shown as a difference, or merged into a file.

A file keeps its comments, its order and everything else; what was written is read back
and must differ in the wanted keys alone, else nothing is written.
"""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from feedhandler.config import load
from feedhandler.errors import UsageError
from feedhandler.report.tune import Change

_HEADER: Final = re.compile(r"^\s*\[\s*([^\[\]]+?)\s*\]\s*(#.*)?$")


def difference(changes: Iterable[Change]) -> Iterator[str]:
    """Yield the changes as lines of a difference, section by section."""
    current = ""
    for change in changes:
        if change.section != current:
            current = change.section
            yield f" [{current}]"
        yield f"-{change.key} = {change.current}"
        yield f"+{change.key} = {change.proposed}"


def merge(text: str, changes: Sequence[Change], venues: Sequence[str]) -> str:
    """Return a file's text with the changes in it. Raises `UsageError`.

    `venues` are those that ran. A file that names no venue runs all of them, and would
    no longer once it names one: then every one of them gets a section.
    """
    old = _parse(text)
    named = old.get("venue", {})
    wanted = [
        change
        for change in changes
        if not named
        or not change.section.startswith("venue.")
        or change.section.partition(".")[2] in named
    ]
    lines = text.splitlines()
    if not named and any(change.section.startswith("venue.") for change in wanted):
        for venue in venues:
            lines += ["", f"[venue.{venue}]"]
    for change in wanted:
        _set(lines, change)
    result = "\n".join(lines).lstrip("\n") + "\n"
    _check(old, _parse(result), wanted, () if named else venues)
    return result


def apply(path: Path, changes: Sequence[Change], venues: Sequence[str]) -> None:
    """Merge changes into a file, or make it; other than complete it is never seen."""
    try:
        text = path.read_text(encoding="utf-8") if path.exists() else ""
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is no text: {error}") from error
    merged = merge(text, changes, venues)
    mode = path.stat().st_mode & 0o777 if path.exists() else 0o644
    try:
        file, name = tempfile.mkstemp(dir=path.parent, prefix=".tune-")
    except OSError as error:
        raise UsageError(f"{path.parent}: {error.strerror}") from error
    try:
        with os.fdopen(file, "w", encoding="utf-8") as stream:
            stream.write(merged)
            stream.flush()
            os.fsync(stream.fileno())
        load(name, {})  # the whole of it must be a configuration
        os.chmod(name, mode)
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)
        raise


def _set(lines: list[str], change: Change) -> None:
    begin, end = _section(lines, change.section)
    if begin < 0:
        lines += ["", f"[{change.section}]", f"{change.key} = {change.proposed}"]
        return
    pattern = re.compile(rf"^(\s*{re.escape(change.key)}\s*=\s*)[^#]*?(\s*#.*)?$")
    for number in range(begin, end):
        if found := pattern.match(lines[number]):
            lines[number] = f"{found[1]}{change.proposed}{found[2] or ''}"
            return
    while end > begin and not lines[end - 1].strip():
        end -= 1
    lines.insert(end, f"{change.key} = {change.proposed}")


def _section(lines: list[str], section: str) -> tuple[int, int]:
    """Return the lines of a section behind its header; -1 when there is none."""
    begin = -1
    for number, line in enumerate(lines):
        if not (header := _HEADER.match(line)):
            continue
        if begin >= 0:
            return begin, number
        name = ".".join(part.strip(" \"'") for part in header[1].split("."))
        if name == section:
            begin = number + 1
    return begin, len(lines)


def _check(
    old: dict[str, Any],
    new: dict[str, Any],
    changes: Sequence[Change],
    venues: Sequence[str],
) -> None:
    wanted = _flat(old)
    for change in changes:
        wanted[f"{change.section}.{change.key}"] = change.proposed
    if _flat(new) != wanted or any(
        venue not in new.get("venue", {}) for venue in venues
    ):
        raise UsageError(
            "the file is written in a way that cannot be merged into; set by hand: "
            + ", ".join(f"{c.section}.{c.key}={c.proposed}" for c in changes)
        )


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            found |= _flat(value, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = value
    return found


def _parse(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"the file is no TOML: {error}") from error
