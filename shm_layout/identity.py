"""Who a process is, so that a reused pid is never taken for its former owner.

A pid alone means nothing after the process is gone: identity is pid, start time and
boot. Also answers which clock the monotonic stamps of this process belong to.
"""

from __future__ import annotations

import os
from pathlib import Path

_START_TICKS_FIELD = 22  # of /proc/PID/stat, counted from 1


def boot_id() -> str:
    """Return the id of this boot of the machine."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def time_namespace() -> int:
    """Return the inode of our time namespace, 0 where the kernel has none.

    Monotonic stamps of another time namespace may be off by days.
    """
    try:
        return os.stat("/proc/self/ns/time").st_ino
    except OSError:
        return 0


def start_ticks(pid: int) -> int | None:
    """Return when that process started, in clock ticks, or None when it is gone.

    A zombie counts as gone: it runs no more code.
    """
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    # The second field is the command in brackets and may hold blanks and brackets.
    fields = text[text.rindex(")") + 2 :].split()
    if fields[0] in ("Z", "X"):
        return None
    return int(fields[_START_TICKS_FIELD - 3])


def is_alive(pid: int, ticks: int) -> bool:
    """Say whether exactly that process still runs."""
    return pid > 0 and start_ticks(pid) == ticks
