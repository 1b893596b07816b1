"""What a process uses of the host: memory, processor, threads, descriptors.

The door to psutil here. A process is known by pid and start, so that a reused pid is
never taken for it.
"""

from __future__ import annotations

from dataclasses import dataclass

import psutil  # type: ignore[import-untyped]

from shm_layout import identity


@dataclass(frozen=True, slots=True)
class Usage:
    """One look at one process; None is what we may not see."""

    rss_bytes: int | None = None
    cpu_s: float | None = None
    threads: int | None = None
    descriptors: int | None = None


def usage_of(pid: int, start_ticks: int) -> Usage:
    """Return what that process uses now; all unknown once it is gone."""
    if not identity.is_alive(pid, start_ticks):
        return Usage()
    try:
        process = psutil.Process(pid)
        with process.oneshot():
            times = process.cpu_times()
            # Pages of segments and libraries count once touched: a ring's first round
            # would look like a leak.
            memory = process.memory_info()
            usage = Usage(
                rss_bytes=int(memory.rss - memory.shared),
                cpu_s=round(times.user + times.system, 2),
                threads=int(process.num_threads()),
                descriptors=_descriptors(process),
            )
    except psutil.Error:
        return Usage()
    # It may have ended, and its pid been given away, while we looked.
    return usage if identity.is_alive(pid, start_ticks) else Usage()


def _descriptors(process: psutil.Process) -> int | None:
    try:
        return int(process.num_fds())
    except psutil.AccessDenied:
        return None
