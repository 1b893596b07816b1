"""What the host grants us: memory, descriptors, and what it took away.

Owns the reading of psutil and of control groups, both versions. It judges nothing.
"""

from __future__ import annotations

import resource
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil  # type: ignore[import-untyped]

CGROUP_ROOT: Final = Path("/sys/fs/cgroup")
HOST_EVENTS: Final = Path("/proc/vmstat")
OOM_SAMPLE_NS: Final = 1_000_000_000

# Version 1 writes "no limit" as the largest page-aligned 63-bit number.
_NO_LIMIT_BYTES: Final = 1 << 60


@dataclass(frozen=True, slots=True)
class Memory:
    """Memory of the host and of our control group, in bytes; None means no limit."""

    available_bytes: int
    limit_bytes: int | None
    used_bytes: int


def memory(root: Path = CGROUP_ROOT) -> Memory:
    """Return what this process may still use."""
    limit = _read_limit(root)
    used = _read_number(_memory_file(root, "memory.current", "memory.usage_in_bytes"))
    # File pages nobody touched lately count as used and are given up under pressure.
    used_bytes = max(0, (used or 0) - _read_inactive(root))
    return Memory(psutil.virtual_memory().available, limit, used_bytes)


def oom_kills(root: Path = CGROUP_ROOT, host: Path = HOST_EVENTS) -> int:
    """Return a number that rises with each process that is killed for lack of memory.

    It is our control group's count, or the host's where no group counts.
    """
    path = _memory_file(root, "memory.events", "memory.oom_control")
    count = _read_table(path).get("oom_kill")
    return _read_table(host).get("oom_kill", 0) if count is None else count


class OomWatch:
    """Says whether the kernel killed somebody for lack of memory a moment ago.

    Two samples are kept: the kernel counts a kill before the process is gone, and the
    younger sample may be taken between the two.
    """

    def __init__(self, read: Callable[[], int] = oom_kills) -> None:
        self._read = read
        self._samples = deque([read()], maxlen=2)
        self._next_ns = 0

    def sample(self, now_ns: int) -> None:
        """Note where the count stands, once a second."""
        if now_ns >= self._next_ns:
            self._next_ns = now_ns + OOM_SAMPLE_NS
            self._samples.append(self._read())

    def has_killed(self) -> bool:
        """Say whether the count has risen in the last seconds."""
        return self._read() > self._samples[0]


def descriptor_limit() -> int:
    """Return how many descriptors one process may open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return (1 << 30) if soft == resource.RLIM_INFINITY else soft


def resident_bytes(pid: int) -> int:
    """Return the memory a process holds, 0 when it is gone or not ours to see."""
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return 0


def _read_limit(root: Path) -> int | None:
    """Return the tightest limit of our group and the groups above it."""
    limits: list[int] = []
    leaf = _memory_file(root, "memory.max", "memory.limit_in_bytes")
    directory = leaf.parent
    while directory.is_relative_to(root):
        value = _read_number(directory / leaf.name)
        if value is not None and value < _NO_LIMIT_BYTES:
            limits.append(value)
        if directory == root:
            break
        directory = directory.parent
    return min(limits, default=None)


def _memory_file(root: Path, name: str, name_version_1: str) -> Path:
    """Return where our group keeps a figure, by the version that is mounted."""
    groups = _groups()
    if (root / "cgroup.controllers").exists():
        path = root / groups.get("", "").lstrip("/") / name
        # In a container the path is the host's, and the root is already our group.
        return path if path.exists() else root / name
    path = root / "memory" / groups.get("memory", "").lstrip("/") / name_version_1
    return path if path.exists() else root / "memory" / name_version_1


def _groups() -> dict[str, str]:
    """Return our group's path for each controller; version 2 has one, named ""."""
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return {}
    groups: dict[str, str] = {}
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        for controller in controllers.split(","):
            groups[controller] = path
    return groups


def _read_inactive(root: Path) -> int:
    table = _read_table(_memory_file(root, "memory.stat", "memory.stat"))
    return table.get("total_inactive_file", table.get("inactive_file", 0))


def _read_table(path: Path) -> dict[str, int]:
    """Return a file of lines `name number`; what cannot be read is empty."""
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return {}
    pairs = (line.partition(" ") for line in lines)
    return {name: int(text) for name, _, text in pairs if text.isdecimal()}


def _read_number(path: Path) -> int | None:
    try:
        text = path.read_text().strip()
    except OSError:
        return None
    return int(text) if text.isdecimal() else None
