"""`market_rx_stats`: one line a venue and interval, of one stable form.

    market_rx_stats venue=lighter feed_kind=bbo state=LIVE interval_ms=10000 frames=412
    frames_hz=41.2 … ts_ms=1763700000000

Counts are those of the interval, ages those at its end; `-` is unknown.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from feedhandler import log
from feedhandler.telemetry.records import AGE_UNKNOWN, Sample

_COUNTS = ("frames", "published", "unchanged", "rejected", "budget_hits")


class RxStats:
    """Turns samples into lines; remembers what each venue's interval began with."""

    def __init__(self) -> None:
        self._begins: dict[str, tuple[Sample, int]] = {}  # venue -> sample, its index
        self._gap_max_ns: dict[str, int] = {}  # by venue
        self._skew_ms: dict[str, float] = {}

    def take(self, sample: Sample) -> None:
        """Note what only every single sample shows."""
        for index, venue in enumerate(sample.venues):
            begin, at = self._begins.setdefault(venue, (sample, index))
            if begin.frames[at] is None:
                self._begins[venue] = (sample, index)  # its feed is only coming up
        for name, gap_ns in zip(sample.instruments, sample.gap_max_ns, strict=True):
            venue = name.partition(":")[0]
            self._gap_max_ns[venue] = max(self._gap_max_ns.get(venue, 0), gap_ns)
        for venue, skew_ms in zip(sample.venues, sample.exchange_skew_ms, strict=True):
            if skew_ms is not None:
                self._skew_ms[venue] = min(self._skew_ms.get(venue, skew_ms), skew_ms)

    def lines(self, sample: Sample) -> Iterator[str]:
        """Yield the line of each venue for the interval that ends with `sample`."""
        for index, venue in enumerate(sample.venues):
            begin, at = self._begins.get(venue, (sample, index))
            facts = self._facts(begin, at, sample, index)
            words = (f"{key}={log.escape(value)}" for key, value in facts.items())
            yield "market_rx_stats " + " ".join(words)
            self._begins[venue] = (sample, index)
        self._gap_max_ns.clear()
        self._skew_ms.clear()

    def _facts(
        self, begin: Sample, at: int, sample: Sample, index: int
    ) -> Mapping[str, object]:
        venue = sample.venues[index]
        interval_ms = (sample.ts_mono_ns - begin.ts_mono_ns) // 1_000_000

        def grown(column: str) -> int | None:
            now = getattr(sample, column)[index]
            before = getattr(begin, column)[at]
            if now is None or before is None:
                return None
            return int(now - before if now >= before else now)  # a new segment

        def ended(column: str) -> int:
            now = sum(getattr(sample, column)[index].values())
            before = sum(getattr(begin, column)[at].values())
            return int(now - before if now >= before else now)

        counts = {name: grown(name) for name in _COUNTS}
        frames = counts["frames"]
        age_ms = sample.venue_age_ms[index]
        return {
            "venue": venue,
            "feed_kind": sample.feed_kind[index] or None,
            "state": sample.venue_state[index],
            "link": sample.link[index],
            "session": sample.session[index],
            "interval_ms": interval_ms,
            "frames_hz": (
                None
                if frames is None or interval_ms <= 0
                else round(frames * 1_000 / interval_ms, 1)
            ),
            **counts,
            "reconnects": ended("reconnects"),
            "resyncs": ended("resyncs"),
            "lag": sample.ring_lag[index],
            "lost": grown("ring_lost"),
            "age_ms": None if age_ms == AGE_UNKNOWN else age_ms,
            "gap_max_ms": round(self._gap_max_ns.get(venue, 0) / 1e6, 3),
            "skew_ms": self._skew_ms.get(venue),
            "ts_ms": sample.ts_ms,
        }
