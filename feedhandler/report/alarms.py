"""What has to be silent, and for how long, before a limit raises an alarm.

    limit            silent for longer than
    fresh limit      quotes: the limit, and then it was untradable
    liveness limit   ticks: the limit
    watchdog         signs of life of the venue: the limit
    layer B          quotes: the limit, and ticks: `runner.liveness_ms`
    layer A          quotes: `fresh_ms` + the limit, and ticks: `liveness_ms` + it

A quote that is old while its liveness channel ticks is QUIET, which is good to the
ladder and back to REST: neither helps out. Where both have to be silent the rarer one
bounds how often both are at once, so the false alarms are that many at most, one that
lasts counted once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from feedhandler.report.tails import Tail

_MARGIN: Final = 1.5  # above p99, whatever the tail promises


@dataclass(frozen=True, slots=True)
class Silence:
    """Silences of one kind: an alarm takes `since_ms`, and the limit if it counts."""

    tail: Tail
    since_ms: int = 0
    counts_limit: bool = True

    def length_ms(self, limit_ms: int) -> int:
        """Return how long the silence has to be."""
        return self.since_ms + limit_ms * self.counts_limit


@dataclass(frozen=True, slots=True)
class Alarm:
    """All of these silences at once; `share` of them is an alarm."""

    silences: tuple[Silence, ...]
    share: float = 1.0

    def per_day(self, limit_ms: int) -> float | None:
        """Return how many false alarms a day brings at most; None where not known."""
        rates = [
            silence.tail.per_day(silence.length_ms(limit_ms))
            for silence in self.silences
        ]
        known = [rate for rate in rates if rate is not None]
        return self.share * min(known) if len(known) == len(rates) else None

    def is_beyond(self, limit_ms: int) -> bool:
        """Say whether one of the silences would be far longer than usual."""
        return any(
            silence.length_ms(limit_ms)
            >= _MARGIN * (silence.tail.percentile_ms(99) or 0.0)
            for silence in self.silences
        )

    def seen_after_ms(self, limit_ms: int) -> int:
        """Return how long after the last sign a failure is seen."""
        return max(silence.length_ms(limit_ms) for silence in self.silences)
