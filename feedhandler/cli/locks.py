"""Whether somebody fills a segment that is not ready, told from the kernel's locks.

Owns the one question that the segment itself cannot answer: its writer enters its name
only once it is whole. The lock is looked for, never tried: whoever tries it could keep
the writer from it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from shm_layout.segment import current_inode

_LOCKS: Final = Path("/proc/locks")
_DIRECTORY: Final = "/dev/shm"


def is_being_filled(instance: str, role: str) -> bool:
    """Say whether a process holds the writer's lock; also where the kernel hides it."""
    try:
        lines = _LOCKS.read_text().splitlines()
    except OSError:
        return True
    device = os.stat(_DIRECTORY).st_dev
    place = f"{os.major(device):02x}:{os.minor(device):02x}"
    file = f"{place}:{current_inode(instance, role)}"
    return any(file in line.split() for line in lines)
