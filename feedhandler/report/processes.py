"""What one process used over a run: memory, processor, descriptors; its counters."""

from __future__ import annotations

from typing import Any, Final

from feedhandler.report.blocks import Points, slope
from feedhandler.report.tally import Tallies
from feedhandler.telemetry.records import Process

_MIB: Final = 1 << 20
_SETTLE_S: Final = 60.0  # caches and arenas fill before memory says anything
_SHARE_MAX: Final = 0.25  # of a run that is left out for that
_START_S: Final = 5.0  # imports and connects take a core for a moment


class ProcessTrack:
    """Takes every look at one role, over its restarts."""

    def __init__(self, role: str) -> None:
        self.role = role
        self.restarts = 0
        self.counters = Tallies()
        self.last_counters: dict[str, int] = {}
        self.is_up = False
        self.down_looks = 0
        self.looks = 0
        self.heartbeat_max_ms = 0.0
        self.threads_max = 0

        # All along, for the picture.
        self.rss = Points()

        # Of the process that runs now: a slope over a restart says nothing.
        self._begin_process(0.0)
        self._owner: tuple[int, int] | None = None

    def add(self, at_s: float, process: Process) -> None:
        """Take one look."""
        owner = (process.pid, process.epoch)
        # A segment that is being made has no owner yet, which is no process that ended.
        if process.pid and owner != self._owner:
            if self._owner is not None:
                self.restarts += 1
            self._begin_process(at_s)
            self._owner = owner
        self.looks += 1
        self.is_up = bool(process.up)
        self.down_looks += not process.up
        self.heartbeat_max_ms = max(self.heartbeat_max_ms, process.heartbeat_age_ms)
        self.counters.add(process.counters)
        self.last_counters = process.counters
        self.threads_max = max(self.threads_max, process.threads or 0)
        if process.rss_bytes is not None:
            rss_mib = process.rss_bytes / _MIB
            self.rss.add(at_s, rss_mib)
            self._rss.add(at_s, rss_mib)
        if process.cpu_s is not None:
            self._cpu.add(at_s, process.cpu_s)
        if process.descriptors is not None:
            self._descriptors.add(at_s, float(process.descriptors))

    def facts(self) -> dict[str, Any]:
        """Return what it came to."""
        rss = [value for _, value in self.rss.values]
        per_s = slope(self._settled(self._rss))
        cpu = self._cpu_share()
        cpu_per_s = slope(cpu)
        descriptors = [value for _, value in self._settled(self._descriptors)]
        return {
            "role": self.role,
            "up_at_end": self.is_up,
            "restarts": self.restarts,
            "looks": self.looks,
            "looks_down": self.down_looks,
            "heartbeat_max_ms": round(self.heartbeat_max_ms, 1),
            "rss_mib": _ends(rss),
            "rss_slope_mib_h": None if per_s is None else round(per_s * 3_600, 3),
            "rss_span_s": _span_s(self._settled(self._rss)),
            "cpu_percent": _mean([value for _, value in cpu]),
            "cpu_slope_percent_h": (
                None if cpu_per_s is None else round(cpu_per_s * 3_600, 3)
            ),
            "descriptors": _ends(descriptors),
            "threads_max": self.threads_max,
        }

    def cpu_series(self) -> list[float]:
        """Return the share of a core, percent, between each two looks."""
        return [value for _, value in self._cpu_share()]

    def rss_series(self) -> list[float]:
        """Return the resident memory, MiB, at each look after the start-up."""
        return [value for _, value in self._settled(self._rss)]

    def _begin_process(self, at_s: float) -> None:
        self._since_s = at_s
        self._rss = Points()
        self._cpu = Points()
        self._descriptors = Points()

    def _settled(self, points: Points) -> list[tuple[float, float]]:
        values = points.values
        if not values:
            return []
        lived_s = values[-1][0] - self._since_s
        begin_s = self._since_s + min(_SETTLE_S, _SHARE_MAX * lived_s)
        return [point for point in values if point[0] >= begin_s]

    def _cpu_share(self) -> list[tuple[float, float]]:
        pairs = zip(self._cpu.values, self._cpu.values[1:], strict=False)
        return [
            (end_s, 100 * (after - before) / (end_s - begin_s))
            for (begin_s, before), (end_s, after) in pairs
            if end_s > begin_s and end_s >= self._since_s + _START_S
        ]


def _ends(values: list[float]) -> dict[str, float | None]:
    if not values:
        return {"first": None, "last": None, "max": None}
    return {
        "first": round(values[0], 2),
        "last": round(values[-1], 2),
        "max": round(max(values), 2),
    }


def _mean(values: list[float]) -> float | None:
    return round(sum(values) / len(values), 2) if values else None


def _span_s(points: list[tuple[float, float]]) -> float:
    return round(points[-1][0] - points[0][0], 1) if points else 0.0
