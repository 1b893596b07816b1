"""The configuration file as text: opened with care, parsed, and searched for lines.

Owns what may go wrong with a file before its keys mean anything.
"""

from __future__ import annotations

import os
import re
import stat
import tomllib
from dataclasses import dataclass, field
from typing import Any, Final

from feedhandler.errors import ConfigError

FILE_BYTES_MAX: Final = 1 << 20

_HEADER: Final = re.compile(r"^\s*\[\s*([^\[\]]+?)\s*\]")


@dataclass(frozen=True, slots=True)
class Source:
    """One parsed file; an empty path means that there is none."""

    path: str = ""
    values: dict[str, Any] = field(default_factory=dict)
    lines: tuple[str, ...] = ()
    is_world_writable: bool = False

    def place(self, section: str, key: str = "") -> str:
        """Return `file:line` of a key or of a section's header, as far as found."""
        line = self._find_line(section, key)
        return f"{self.path}:{line}" if line else self.path

    def _find_line(self, section: str, key: str) -> int:
        current = ""
        wanted = re.compile(rf"""^\s*["']?{re.escape(key)}["']?\s*=""")
        for number, line in enumerate(self.lines, start=1):
            header = _HEADER.match(line)
            if header:
                current = header[1].replace('"', "").replace("'", "").replace(" ", "")
                if current == section and not key:
                    return number
            elif key and current == section and wanted.match(line):
                return number
        return 0


def read_source(path: str) -> Source:
    """Read and parse the file; raise `ConfigError` whatever is wrong with it."""
    raw, mode = _read(path)
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError([f"{path}: not UTF-8 text at byte {error.start}"]) from error
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError([f"{path}: not valid TOML: {error}"]) from error
    except RecursionError as error:
        raise ConfigError([f"{path}: not valid TOML: nested too deeply"]) from error
    return Source(path, values, tuple(text.splitlines()), bool(mode & stat.S_IWOTH))


def _read(path: str) -> tuple[bytes, int]:
    if not path:
        raise ConfigError(["the configuration's path is empty"])
    if "\0" in path:
        raise ConfigError(["the configuration's path holds a NUL character"])
    try:
        # Without O_NONBLOCK the open of a FIFO would wait for a writer for ever.
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    except OSError as error:
        raise ConfigError([f"{path}: cannot be read: {error.strerror}"]) from error
    try:
        status = os.fstat(fd)
        _check_file(path, status)
        with os.fdopen(os.dup(fd), "rb") as file:
            raw = file.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise ConfigError([f"{path}: cannot be read: {error.strerror}"]) from error
    finally:
        os.close(fd)
    if len(raw) > FILE_BYTES_MAX:
        raise ConfigError([f"{path}: larger than {FILE_BYTES_MAX} bytes"])
    return raw, status.st_mode


def _check_file(path: str, status: os.stat_result) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise ConfigError([f"{path}: is a directory, not a file"])
    if not stat.S_ISREG(status.st_mode):
        raise ConfigError([f"{path}: is not a regular file"])
    if status.st_size == 0:
        raise ConfigError([f"{path}: is empty"])
    if status.st_size > FILE_BYTES_MAX:
        raise ConfigError(
            [f"{path}: larger than {FILE_BYTES_MAX} bytes: size={status.st_size}"]
        )
