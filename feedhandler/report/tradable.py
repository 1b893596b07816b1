"""How long one instrument could be traded on, and what it was while it could not.

A span between two samples is what the sample at its beginning showed. Where samples are
missing in between nothing is known, and the span counts neither way.

    share               of all that time: who waits for the first quote cannot trade
    share_after_start   without the start, which is one event a run and tells nothing of
                        the others; it ends when one can trade, or at its deadline
"""

from __future__ import annotations

from typing import Any

from feedhandler.report.ages import START_MAX_S
from feedhandler.report.blocks import Blocks


class TradableTrack:
    """Takes the spans between samples, in order of time."""

    def __init__(self) -> None:
        self.known_s = 0.0
        self.running_s = 0.0  # of it, after the start
        self.tradable_s = 0.0
        self.first_s: float | None = None  # when it was tradable for the first time
        self.lost_count = 0  # tradable, and then no longer
        self.lost_to: dict[str, int] = {}  # state and reason that followed -> times
        self.longest_s = 0.0  # without a moment in which it was tradable
        self.instead_s: dict[str, float] = {}  # state and reason -> seconds

        # Seconds of each block after the start, both in blocks of one width.
        self.tradable_over_time = Blocks()
        self.running_over_time = Blocks()

        self._was_tradable: bool | None = None
        self._lost_s = 0.0  # when it was tradable for the last time
        self._begun_s: float | None = None

    def add(self, at_s: float, span_s: float, is_tradable: bool, word: str) -> None:
        """Take a span that ends at `at_s`; `word` says what it was instead."""
        begin_s = at_s - span_s
        if self._begun_s is None:
            self._begun_s = begin_s
        self.known_s += span_s
        if is_tradable:
            self.tradable_s += span_s
            if self.first_s is None:
                self.first_s = begin_s
        else:
            self.instead_s[word] = self.instead_s.get(word, 0.0) + span_s
            if self._was_tradable is not False:
                if self._was_tradable:
                    self.lost_count += 1
                    self.lost_to[word] = self.lost_to.get(word, 0) + 1
                self._lost_s = begin_s
            self.longest_s = max(self.longest_s, at_s - self._lost_s)
        self._was_tradable = is_tradable
        if self.first_s is not None or at_s - self._begun_s > START_MAX_S:
            self.running_s += span_s
            self.tradable_over_time.add(at_s, span_s * is_tradable)
            self.running_over_time.add(at_s, span_s)

    @property
    def share(self) -> float | None:
        """The share of the time that is known, 0 to 1; None where nothing is."""
        return self.tradable_s / self.known_s if self.known_s else None

    @property
    def share_after_start(self) -> float | None:
        """The same without the start; None for a run that has no more than that."""
        return self.tradable_s / self.running_s if self.running_s else None

    def facts(self) -> dict[str, Any]:
        """Return the time in which it was not tradable, as plain values.

        `first_s` is the time of the run until it was, None if it never was.
        """
        hours = self.known_s / 3_600
        most_first = sorted(self.instead_s.items(), key=lambda item: -item[1])
        return {
            "first_s": None if self.first_s is None else round(self.first_s, 3),
            "total_s": round(self.known_s - self.tradable_s, 2),
            "longest_s": round(self.longest_s, 2),
            "count": self.lost_count,
            "per_hour": round(self.lost_count / hours, 3) if hours else None,
            "instead_s": {word: round(seconds, 2) for word, seconds in most_first},
        }
