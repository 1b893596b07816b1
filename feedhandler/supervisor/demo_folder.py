"""Where a demo keeps what outlives a process: a directory named after its instance.

By its name it is found again: what a killed demo left is removed by the next start of
its instance, by `stop` and by `doctor --clean`. It stands in the temporary directory,
which is everybody's, so what is there and not a directory of this user is neither used
nor removed.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from feedhandler.errors import ResourcesMissing
from feedhandler.folders import PRIVATE, is_own_directory
from feedhandler.supervisor.leftovers import find_holders


def path_of(instance: str) -> Path:
    """Return where the demo of an instance keeps its things."""
    return Path(tempfile.gettempdir(), _prefix() + instance)


def make(instance: str) -> Path:
    """Make it, for this user alone. Raises `ResourcesMissing`, also if it exists."""
    path = path_of(instance)
    try:
        # Made anew or not at all: nobody can have put anything into it before.
        path.mkdir(PRIVATE)
    except OSError as error:
        raise ResourcesMissing(
            f"{path}: {error.strerror}; remove it, or set TMPDIR"
        ) from error
    return path


def remove(instance: str) -> bool:
    """Remove it with all that is in it; say whether it was removed."""
    path = path_of(instance)
    if not is_own_directory(path):
        return False
    shutil.rmtree(path, ignore_errors=True)
    return not path.exists()


def dead_instances() -> list[str]:
    """Return the instances that have one and do not run."""
    prefix = _prefix()
    found = Path(tempfile.gettempdir()).glob(prefix + "*")
    names = (path.name.removeprefix(prefix) for path in found if is_own_directory(path))
    return sorted(name for name in names if not find_holders(name))


def _prefix() -> str:
    # Users have no shared memory in common, so the same instance may run for each.
    return f"feedhandler-{os.geteuid()}."
