"""The clocks of this host, and whether one of them jumped.

    REALTIME − BOOTTIME changed    the wall clock was set         counted, ages unmoved
    BOOTTIME − MONOTONIC grew      the machine was suspended      stamps from before are
                                                                  older than they look

Health uses CLOCK_MONOTONIC alone; it stands still while the machine sleeps, which is
the one thing that it cannot tell us.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

STEP_NS: Final = 50_000_000  # slewing moves a clock by 25 µs between two looks
READ_NS: Final = 10_000_000  # three clocks that took longer to read are compared later


@dataclass(frozen=True, slots=True)
class Clocks:
    """Where time comes from; a test gives its own."""

    monotonic_ns: Callable[[], int] = time.monotonic_ns
    wall_ns: Callable[[], int] = time.time_ns
    boot_ns: Callable[[], int] = lambda: time.clock_gettime_ns(time.CLOCK_BOOTTIME)


@dataclass(frozen=True, slots=True)
class Jump:
    """What one look found; zero is nothing."""

    step_ns: int  # of the wall clock, signed
    suspend_ns: int


NO_JUMP: Final = Jump(0, 0)


class ClockWatch:
    """Compares the clocks from look to look."""

    def __init__(self, clocks: Clocks, asleep_ns: int | None = None) -> None:
        """`asleep_ns` is what an earlier watch of this boot last knew."""
        self._clocks = clocks
        monotonic_ns = clocks.monotonic_ns()
        wall_ns, boot_ns = clocks.wall_ns(), clocks.boot_ns()
        self.wall_offset_ns = wall_ns - monotonic_ns  # wall = monotonic + this
        self.asleep_ns = boot_ns - monotonic_ns if asleep_ns is None else asleep_ns
        self._wall_boot_ns = wall_ns - boot_ns

    def look(self) -> Jump:
        """Return how far the wall clock was set, and how long the machine slept."""
        clocks = self._clocks
        monotonic_ns = clocks.monotonic_ns()
        wall_ns, boot_ns = clocks.wall_ns(), clocks.boot_ns()
        if clocks.monotonic_ns() - monotonic_ns > READ_NS:
            return NO_JUMP  # we were interrupted: the three are not of one moment
        self.wall_offset_ns = wall_ns - monotonic_ns
        step_ns = wall_ns - boot_ns - self._wall_boot_ns
        suspend_ns = boot_ns - monotonic_ns - self.asleep_ns
        # A slow drift is taken along, so that it never adds up to a step.
        self._wall_boot_ns += step_ns
        self.asleep_ns += suspend_ns
        return Jump(
            step_ns if abs(step_ns) > STEP_NS else 0,
            suspend_ns if suspend_ns > STEP_NS else 0,
        )
