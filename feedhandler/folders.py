"""Directories for what outlives a process: for their user alone."""

from __future__ import annotations

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
