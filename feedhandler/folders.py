"""Directories for what outlives a process: for their user alone."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

PRIVATE: Final = 0o700


def make_private(path: Path) -> None:
    """Make a directory, and what is missing above it, for this user alone.

    `Path.mkdir` would let everyone into the parents that it makes. A directory that is
    there already keeps its mode. Raises `OSError`.
    """
    try:
        path.mkdir(PRIVATE, exist_ok=True)
    except FileNotFoundError:
        if path == path.parent:
            raise
        make_private(path.parent)
        path.mkdir(PRIVATE, exist_ok=True)


def is_own_directory(path: Path) -> bool:
    """Say whether a directory of this user is there; a link to one is none."""
    try:
        status = path.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid()
