"""Every counter of a feed process by its name, all registered before the first frame.

A counter that is missing until its event happens cannot be told from one that nobody
counts; so the whole list stands here and starts at zero.
"""

from __future__ import annotations

from typing import Final

from feedhandler.codec.frame import REASONS
from feedhandler.feed.labels import RESYNCS, SESSION_ENDS
from feedhandler.transport.budget import CONNECTS, FALLBACK, MESSAGES, RESET, WEIGHT
from shm_layout import Writer

NAMES: Final = (
    # Frames and what became of them.
    "frames",
    "published",
    "unchanged",
    "regressed",
    "crossed",
    "duplicates",
    "before_image",
    # Tolerated.
    "bad_level",
    "unsorted",
    "hello",
    # The conversation with the venue.
    "acks",
    "acks.unknown",
    "pongs",
    "rate_limited",
    "disputes",
    "outliers",
    "venue_error",
    "subscriptions.rejected",
    # The process.
    "connects",
    "discovery.success",
    "discovery.fail",
    "images.attempt",
    "images.success",
    "images.fail",
    "funding.success",
    "funding.fail",
    "self_stalls",
    *(f"rejected.{reason}" for reason in REASONS),
    *(f"reconnects.{label}" for label in SESSION_ENDS),
    *(f"resyncs.{reason}" for reason in RESYNCS),
    *(f"{FALLBACK}.{kind}" for kind in (CONNECTS, MESSAGES, WEIGHT)),
    *(f"{RESET}.{kind}" for kind in (CONNECTS, MESSAGES, WEIGHT)),
)


class Counters:
    """The counters of one segment."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._indexes = {name: writer.counter(name) for name in NAMES}

    def add(self, name: str, amount: int = 1) -> None:
        """Add to a counter of the list."""
        self._writer.count(self._indexes[name], amount)

    def value(self, name: str) -> int:
        """Return what a counter stands at, over all writers of the segment."""
        return self._writer.counters()[name]
