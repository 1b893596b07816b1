"""A reader that shows how it keeps up: its lag and losses, for whoever watches.

    fh.<instance>.reader-<name>   heartbeat: its last poll
        next.<ring>               number of the record it reads next; 0: not followed
        read.<ring>               records read
        lost.<ring>, laps.<ring>  overwritten before it came: records, and how often
        lag.<ring>                records published and not read, after its last poll
        lag_max.<ring>            the most that ever waited when it polled

Owns that segment, which its own process writes. A ring is `feed:<venue>` or `runner`.
Feeds and runner know nothing of it.
"""

from __future__ import annotations

import time

from shm_layout import (
    Capacities,
    CapacityExceeded,
    SegmentRefused,
    Writer,
    segment,
)
from shm_layout.limits import RING_SLOTS_MIN

RINGS_MAX = 33  # as many venues as one runner commands, and the runner itself

_GAUGES = ("next", "lag", "lag_max")  # they tell of this process alone
_COUNTERS = ("read", "lost", "laps")  # they go on over restarts of a reader
_CAPACITIES = Capacities(
    instruments=1,
    ring_slots=RING_SLOTS_MIN,
    counters=RINGS_MAX * (len(_GAUGES) + len(_COUNTERS)),
    histograms=1,
)


class Registration:
    """One registered reader's segment. For the thread that reads, and no other.

    A ring beyond `RINGS_MAX`, over all readers of that name, is read and not shown.
    """

    def __init__(self, instance: str, name: str) -> None:
        """Take the name; counters of a dead reader of that name go on.

        Raises `ValueError` for a name that cannot be, and what `Writer.open` raises:
        `SegmentBusy` while a reader of that name lives.
        """
        role = f"reader:{name}"
        try:
            segment.segment_name(instance, role)
        except SegmentRefused:
            raise ValueError(
                f"a reader's name is 1 to 32 of a-z 0-9 _: name={name!r}"
            ) from None
        self._writer = Writer.open(instance, role, _CAPACITIES)
        self._rings: dict[str, _Ring] = {}
        self._polls_count = 0
        for counter in self._writer.counters():
            if counter.partition(".")[0] in _GAUGES:
                self._writer.set_counter(self._writer.counter(counter), 0)

    def follow(self, ring: str, cursor: int) -> None:
        """Show that a ring is read from behind record number `cursor` on."""
        shown = self._rings.get(ring)
        if shown is None:
            try:
                shown = self._rings[ring] = _Ring(self._writer, ring)
            except CapacityExceeded:
                return  # reading goes on
        shown.place(cursor)

    def note(self, ring: str, count: int, lost: int, cursor: int, head: int) -> None:
        """Show what one drain of a ring brought, and what it left."""
        shown = self._rings.get(ring)
        if shown is not None:
            shown.note(count, lost, cursor, head)

    def beat(self) -> None:
        """Show that the reader polls."""
        self._polls_count += 1
        self._writer.beat(time.monotonic_ns(), self._polls_count)

    def close(self) -> None:
        """Remove the segment: the name is free. A second call does nothing."""
        self._writer.close(unlink=True)


class _Ring:
    """The counters of one ring, stored when they change."""

    def __init__(self, writer: Writer, ring: str) -> None:
        self._set = writer.set_counter
        self._indexes = {
            word: writer.counter(f"{word}.{ring}") for word in (*_GAUGES, *_COUNTERS)
        }
        known = writer.counters()
        self._values = {word: known[f"{word}.{ring}"] for word in self._indexes}

    def place(self, cursor: int) -> None:
        self._store("next", cursor + 1)

    def note(self, count: int, lost: int, cursor: int, head: int) -> None:
        values = self._values
        lag = max(0, head - cursor)
        if not count and not lost and lag == values["lag"]:
            return  # as most polls find it
        self._store("next", cursor + 1)
        self._store("read", values["read"] + count)
        self._store("lost", values["lost"] + lost)
        self._store("laps", values["laps"] + (lost > 0))
        self._store("lag", lag)
        self._store("lag_max", max(values["lag_max"], count + lost + lag))

    def _store(self, word: str, value: int) -> None:
        if value != self._values[word]:
            self._values[word] = value
            self._set(self._indexes[word], value)
