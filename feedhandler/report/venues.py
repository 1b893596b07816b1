"""What one venue's feed showed over a run: link, session ends, counters, clocks."""

from __future__ import annotations

from typing import Any, Final

from feedhandler.report.blocks import Blocks
from feedhandler.report.instruments import GOOD
from feedhandler.report.tally import Tallies, Tally
from feedhandler.telemetry.records import Sample

COUNTS: Final = (
    "frames",
    "published",
    "unchanged",
    "rejected",
    "ring_laps",
    "ring_lost",
    "ring_drained",
    "budget_hits",
    "follow_lost",
)
WARM_UP_S: Final = 30.0  # a runner that starts finds rings that are full
HEALTHY_S: Final = 60.0  # a session this old starts the back-off anew
_WAITS_MAX: Final = 64

_LOOKED_AFTER: Final = ("ring_laps", "ring_lost", "budget_hits")


class VenueTrack:
    """Takes the samples of one venue, in order of time."""

    def __init__(self, venue: str) -> None:
        self.venue = venue
        self.feed_kind = ""
        self.seen_s = 0.0

        # Link and sessions.
        self.link_s: dict[str, float] = {}
        self.ends = Tallies()
        self.resyncs = Tallies()
        self.ends_over_time = Blocks()
        self.resyncs_over_time = Blocks()
        # Before the try that follows a healthy session; the longest, in order of time.
        self.waits_s: list[float] = []
        self._up_since_s: float | None = None
        self._ended_s: float | None = None
        self._link = ""

        # States: that of the worst instrument.
        self.bad_s = 0.0
        self.bad_longest_s = 0.0
        self.bad_spans: list[tuple[float, float]] = []
        self._bad_since_s: float | None = None

        # Counters: all along, and after the warm-up.
        self.counts = {name: Tally() for name in COUNTS}
        self.late = dict.fromkeys(_LOOKED_AFTER, 0)
        self.lag_max = 0
        self.liveness_max_ms: float | None = None
        self.skews_ms = Blocks(keep="max", blocks_max=512)  # of minus the skew
        self._last_s: float | None = None
        self._is_bad = False

    def add(self, at_s: float, sample: Sample, index: int) -> int:
        """Take one sample; return how many sessions ended since the one before."""
        span_s = 0.0 if self._last_s is None else at_s - self._last_s
        self._last_s = at_s
        self.seen_s += span_s
        self.feed_kind = sample.feed_kind[index] or self.feed_kind
        self._follow_link(at_s, sample.link[index], span_s)
        self._follow_state(at_s, sample.venue_state[index], span_s)
        ends = self.ends.add(sample.reconnects[index])
        ended = sum(count for label, count in ends.items() if label != "shutdown")
        self.ends_over_time.add(at_s, float(ended))
        resyncs = sum(self.resyncs.add(sample.resyncs[index]).values())
        self.resyncs_over_time.add(at_s, float(resyncs))
        for name in COUNTS:
            step = self.counts[name].add(getattr(sample, name)[index])
            if name in self.late and at_s >= WARM_UP_S:
                self.late[name] += step
        self.lag_max = max(self.lag_max, sample.ring_lag[index] or 0)
        liveness_ms = sample.liveness_age_ms[index]
        if liveness_ms >= 0:
            self.liveness_max_ms = max(self.liveness_max_ms or 0.0, liveness_ms)
        skew_ms = sample.exchange_skew_ms[index]
        if skew_ms is not None:
            self.skews_ms.add(at_s, -skew_ms)
        return ended

    def close(self) -> None:
        """Bring everything up to date."""
        if self._bad_since_s is not None and self._last_s is not None:
            self._end_bad(self._last_s)

    def resync_counts(self) -> dict[str, int]:
        """Return resyncs by reason."""
        return self.resyncs.grown()

    def skew(self) -> dict[str, Any]:
        """Return the least exchange skew of the run, and how it wandered."""
        rows = self.skews_ms.rows[:, 0]
        least = sorted(-value for value in rows.tolist() if value > -1e300)
        if not least:
            return {"min_ms": None, "median_ms": None, "max_ms": None}
        return {
            "min_ms": round(least[0], 3),
            "median_ms": round(least[len(least) // 2], 3),
            "max_ms": round(least[-1], 3),
        }

    def _follow_link(self, at_s: float, link: str, span_s: float) -> None:
        if self._link:
            self.link_s[self._link] = self.link_s.get(self._link, 0.0) + span_s
        was, self._link = self._link, link
        if link == was:
            return
        if link == "UP":
            self._up_since_s = at_s
        elif was == "UP" and self._up_since_s is not None:
            self._ended_s = at_s if at_s - self._up_since_s >= HEALTHY_S else None
        if link in ("CONNECTING", "UP") and was != "UP" and self._ended_s is not None:
            self._note_wait(at_s - self._ended_s)
        elif was == "UP" and link == "CONNECTING" and self._ended_s is not None:
            self._note_wait(0.0)

    def _note_wait(self, wait_s: float) -> None:
        self._ended_s = None
        self.waits_s.append(wait_s)
        if len(self.waits_s) > _WAITS_MAX:
            self.waits_s.remove(min(self.waits_s))

    def _follow_state(self, at_s: float, state: str, span_s: float) -> None:
        self.bad_s += span_s * self._is_bad
        self._is_bad = state not in GOOD
        if self._is_bad and self._bad_since_s is None:
            self._bad_since_s = at_s
        elif not self._is_bad and self._bad_since_s is not None:
            self._end_bad(at_s)

    def _end_bad(self, at_s: float) -> None:
        assert self._bad_since_s is not None
        lasted_s = at_s - self._bad_since_s
        self.bad_longest_s = max(self.bad_longest_s, lasted_s)
        if len(self.bad_spans) < 256:
            self.bad_spans.append((self._bad_since_s, at_s))
        self._bad_since_s = None
