"""The newest sample and totals, handed from the sampling loop to the HTTP thread.

A snapshot is never changed once it is made; taking the newest is one assignment.
`/health` speaks of this process, `/ready` of the quotes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from feedhandler.telemetry.records import Sample, Totals
from feedhandler.telemetry.sample import MS

STALLED_NS = 5_000_000_000  # without a sample for this long, and four more: a hang

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What one look at all segments gave."""

    sample: Sample
    totals: Totals
    counters: Mapping[str, Mapping[str, int]]  # by role, zeros included
    is_writing: bool


class Board:
    """Where the newest snapshot stands."""

    def __init__(self, instance: str, expected: Sequence[str], sample_ms: int) -> None:
        self.instance = instance
        self.newest: Snapshot | None = None
        self._expected = frozenset(expected)
        self._limit_ns = max(STALLED_NS, 4 * sample_ms * MS)

    def health(self, now_ns: int) -> tuple[bool, Document]:
        """Say whether this process does its work; a full disk is told, no illness."""
        newest = self.newest
        is_healthy = self._is_young(now_ns)
        return is_healthy, {
            "healthy": is_healthy,
            "instance": self.instance,
            "sample_age_ms": self._age_ms(now_ns),
            "samples": 0 if newest is None else newest.sample.number + 1,
            "writing": newest is not None and newest.is_writing,
        }

    def ready(self, now_ns: int) -> tuple[bool, Document]:
        """Say whether every quote of every expected venue may be traded on."""
        newest = self.newest
        missing: list[Document] = []
        problem = ""
        if newest is None:
            problem = "no sample yet"
        elif not self._is_young(now_ns):
            problem = "telemetry is stalled"
        if newest is not None:
            missing = list(self._missing(newest.sample))
        is_ready = not missing and not problem
        return is_ready, {
            "ready": is_ready,
            "instance": self.instance,
            "sample_age_ms": self._age_ms(now_ns),
            "problem": problem,
            "missing": missing,
        }

    def _missing(self, sample: Sample) -> list[Document]:
        columns = zip(
            sample.instruments,
            sample.states,
            sample.reasons,
            sample.tradable,
            strict=True,
        )
        rows = []
        for name, state, reason, tradable in columns:
            venue, _, instrument = name.partition(":")
            if tradable or venue not in self._expected:
                continue
            rows.append(
                {
                    "venue": venue,
                    "instrument": instrument,
                    "state": state,
                    "reason": reason,
                }
            )
        return rows

    def _is_young(self, now_ns: int) -> bool:
        newest = self.newest
        if newest is None:
            return False
        return now_ns - newest.sample.ts_mono_ns <= self._limit_ns

    def _age_ms(self, now_ns: int) -> float | None:
        newest = self.newest
        if newest is None:
            return None
        return round(max(0, now_ns - newest.sample.ts_mono_ns) / MS, 1)
