"""The runner's own segment: where its verdicts stand for every reader.

One slot an instrument of every venue, filled with STATUS records; the ring carries only
the moves. Counters tell what was drained, overwritten and left for later, by venue.
"""

from __future__ import annotations

from feedhandler.runner.venue import Drained, VenueView
from shm_layout import LINK_UP, SOURCE_RUNNER, Capacities, Writer

_COUNTERS = ("drained", "lost", "laps", "budget_hits", "lag", "moves")
_RING_SLOTS = 4_096  # state moves only: hours of a flapping venue


class Board:
    """Writes what the runner knows. One for each runner process."""

    def __init__(self, instance: str, instruments_max: int) -> None:
        self.writer = Writer.open(
            instance,
            "runner",
            Capacities(instruments=instruments_max, ring_slots=_RING_SLOTS),
            source=SOURCE_RUNNER,
        )
        self.writer.set_link(LINK_UP, self.writer.session + 1)
        self._indexes: dict[tuple[str, int], int] = {}  # (venue, its index) -> ours
        self._counters: dict[tuple[str, str], int] = {}
        self._hops: dict[str, int] = {}
        self._passes = self.writer.counter("passes")
        self._pauses = self.writer.counter("pauses")

    def enter_venue(self, venue: str, view: VenueView) -> None:
        """Enter a venue's instruments and counters, or those that are new."""
        for index, entry in enumerate(view.instruments):
            if (venue, index) not in self._indexes:
                self._indexes[venue, index] = self.writer.add_instrument(entry)
        for name in _COUNTERS:
            if (venue, name) not in self._counters:
                self._counters[venue, name] = self.writer.counter(f"{name}.{venue}")
        if venue not in self._hops:
            self._hops[venue] = self.writer.histogram(f"publish_to_apply.{venue}")

    def forget_venue(self, venue: str) -> None:
        """Forget which index meant what: the venue's segment was replaced."""
        for key in [key for key in self._indexes if key[0] == venue]:
            del self._indexes[key]

    def count_drained(self, venue: str, drained: Drained, lag: int) -> None:
        """Count one pass over a venue's ring; all but the lag is cumulative."""
        writer = self.writer
        if drained.count:
            writer.count(self._counters[venue, "drained"], drained.count)
        if drained.lost:
            writer.count(self._counters[venue, "lost"], drained.lost)
            writer.count(self._counters[venue, "laps"])
        if drained.hit_budget:
            writer.count(self._counters[venue, "budget_hits"])
        writer.set_counter(self._counters[venue, "lag"], lag)
        hop = self._hops[venue]
        for value_ns in drained.hops_ns.tolist():
            writer.record(hop, value_ns)

    def count_pass(self) -> None:
        """Count one pass over all rings."""
        self.writer.count(self._passes)

    def count_pause(self) -> None:
        """Count that this process found itself stopped."""
        self.writer.count(self._pauses)

    def post(self, venue: str, view: VenueView, index: int, moved: bool) -> None:
        """Publish one instrument's verdict."""
        if moved:
            self.writer.count(self._counters[venue, "moves"])
        self.writer.publish_status(
            self._indexes[venue, index], **view.status_of(index), moved=moved
        )
