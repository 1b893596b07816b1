"""What the REST process's segment says of each venue, for `status` and `doctor`.

Works the same when that process is dead: its counters stand, and its state tells.
"""

from __future__ import annotations

from typing import Any, Final

from feedhandler.rest.board import ROLE, counts_of, venues_of
from shm_layout import Reader, SegmentError

HEARTBEAT_LIMIT_NS: Final = 500_000_000


def rest_rows(reader: Reader | None, now_ns: int) -> list[dict[str, Any]]:
    """Return a row a venue; none where no such process ever ran.

    `state` is fallback while REST stands in for an instrument, idle while it does not,
    and down when the process does not beat.
    """
    if reader is None:
        return []
    counters = reader.counters()
    beats = now_ns - reader.heartbeat_ns() <= HEARTBEAT_LIMIT_NS
    rows = []
    for venue in sorted(venues_of(counters)):
        counts = counts_of(counters, venue)
        state = "fallback" if counts["fallback"] else "idle"
        rows.append({"venue": venue, "state": state if beats else "down", **counts})
    return rows


def read_rest(instance: str, now_ns: int) -> list[dict[str, Any]]:
    """Return the same, attaching to the instance's segment."""
    try:
        reader = Reader.attach(instance, ROLE)
    except SegmentError:
        return []
    with reader:
        return rest_rows(reader, now_ns)
