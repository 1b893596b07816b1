"""Programs that registered as readers: how each keeps up with the rings it follows.

Reads what `feedhandler.client.registration` writes. The lag is that of now and not of
the reader's last poll, so it also grows of a reader that hangs.
"""

from __future__ import annotations

from collections.abc import Mapping

from feedhandler.telemetry.records import AGE_UNKNOWN, ReaderRing, RegisteredReader
from feedhandler.telemetry.sample import to_ms
from feedhandler.telemetry.sources import READER
from shm_layout import Reader, identity

_FOLLOWED = "next."


def living_readers(
    readers: Mapping[str, Reader], now_ns: int
) -> list[RegisteredReader]:
    """Return the registered readers whose process lives; `readers` are by role.

    What a dead one left is not shown: names would add up.
    """
    found = []
    for role in sorted(readers):
        if not role.startswith(READER):
            continue
        owner = readers[role].owner()
        if not identity.is_alive(owner.pid, owner.start_ticks):
            continue
        # The stamp may be younger than `now_ns`, which was taken before it was read.
        beat_ns = owner.heartbeat_ns
        age_ns = max(0, now_ns - beat_ns) if beat_ns else AGE_UNKNOWN
        found.append(
            RegisteredReader(
                name=role.removeprefix(READER),
                pid=owner.pid,
                poll_age_ms=to_ms(age_ns),
                rings=rings_of(readers[role], readers),
            )
        )
    return found


def rings_of(reader: Reader, rings: Mapping[str, Reader]) -> list[ReaderRing]:
    """Return how a registered reader keeps up with each ring that it follows.

    Where `rings`, by role, lacks a ring, its lag is that of the reader's last poll.
    """
    counters = reader.counters()
    # The heads are loaded after the counters: no cursor of the same ring is beyond.
    return [
        _ring(name.removeprefix(_FOLLOWED), counters, rings)
        for name in sorted(counters)
        if name.startswith(_FOLLOWED) and counters[name]
    ]


def _ring(
    ring: str, counters: Mapping[str, int], rings: Mapping[str, Reader]
) -> ReaderRing:
    read, lost, laps, lag, lag_max = (
        counters.get(f"{word}.{ring}", 0)
        for word in ("read", "lost", "laps", "lag", "lag_max")
    )
    if ring in rings:
        waiting = rings[ring].head() + 1 - counters[_FOLLOWED + ring]
        if waiting >= 0:  # else the ring was replaced, and the reader has yet to see
            lag = waiting
    return ReaderRing(
        ring=ring,
        read=read,
        lost=lost,
        laps=laps,
        lag=lag,
        lag_max=max(lag, lag_max),
    )
