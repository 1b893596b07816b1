"""Segments that a test writes itself, and the sampler that reads them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from feedhandler.config import Config, VenueConfig
from feedhandler.telemetry.records import Sample
from feedhandler.telemetry.sample import Sampler
from feedhandler.telemetry.sources import Sources
from shm_layout import (
    LINK_UP,
    SOURCE_RUNNER,
    TIME_NONE,
    Capacities,
    Instrument,
    Writer,
    codes,
    segment,
)

VENUE = "lighter"
BTC = f"{VENUE}:BTC-PERP"
MS = 1_000_000
S = 1_000 * MS
WALL_NS = 1_763_700_000_000_000_000


class Segments:
    """A feed, a runner and what reads them; the test moves the clock."""

    def __init__(self, instance: str, ring_slots: int = 1_024) -> None:
        self.instance = instance
        self.config = Config(
            instance=instance, venue={VENUE: VenueConfig(instruments=("BTC-PERP",))}
        )
        self.now_ns = time.monotonic_ns() + S
        self.feed = Writer.open(
            instance, f"feed:{VENUE}", Capacities(8, ring_slots=ring_slots)
        )
        self.index = self.feed.add_instrument(
            Instrument(VENUE, "BTC-PERP", "1", tick=0.1, fresh_ms=1_000)
        )
        self.session = self.feed.session + 1
        self.feed.set_link(LINK_UP, self.session)
        self.runner = Writer.open(
            instance, "runner", Capacities(8, ring_slots=64), source=SOURCE_RUNNER
        )
        self.runner.add_instrument(Instrument(VENUE, "BTC-PERP", "1"))
        self.sources = Sources(instance)
        self.sampler = Sampler(self.config, [VENUE], self.sources)
        self.number = 0

    def beat(self) -> None:
        self.feed.beat(self.now_ns, 1)
        self.runner.beat(self.now_ns, 1)

    def quote(self, recv_ns: int, *, flags: int = 0, event_ns: int = TIME_NONE) -> None:
        values = (10.0, 1.0, 11.0, 2.0)
        self.feed.publish_quote(
            self.index, flags, self.session, event_ns, recv_ns, 0, *values
        )

    def verdict(self, apply_ns: int, moved: bool = False, **changed: Any) -> None:
        fields: dict[str, Any] = {
            "session": self.session,
            "event_ns": TIME_NONE,
            "recv_ns": apply_ns,
            "apply_ns": apply_ns,
            "since_ns": apply_ns,
            "confirmed_ns": TIME_NONE,
            "applied_sequence": self.feed.head(),
            "moves": 1,
            "applied_epoch": self.feed.epoch(),
            "state": codes.STATE_LIVE,
            "reason": codes.REASON_NONE,
            "previous": codes.STATE_SYNCING,
        }
        self.runner.publish_status(0, **(fields | changed), moved=moved)

    def live(self, age_ns: int = 5 * MS) -> None:
        """Make the quote live, with that age."""
        self.quote(self.now_ns - age_ns)
        self.verdict(self.now_ns - age_ns)
        self.beat()

    def sample(self) -> Sample:
        self.sources.look(self.now_ns)
        sample = self.sampler.sample(
            self.number, lambda: self.now_ns, WALL_NS - self.now_ns
        )
        self.number += 1
        return sample

    def pass_ns(self, span_ns: int) -> None:
        self.now_ns += span_ns

    def close(self) -> None:
        self.sources.close()
        self.feed.close()
        self.runner.close()
        for name in segment.list_segments(self.instance):
            segment.remove_leftover(name)


@contextmanager
def segments(instance: str, **options: Any) -> Iterator[Segments]:
    made = Segments(instance, **options)
    try:
        yield made
    finally:
        made.close()
