"""What the runner orders: read with each heartbeat, carried out once, acknowledged.

    runner's segment ─ register of this venue ─▶ order ─▶ done by the link ─▶ result
                                                            stored in our own segment

Owns the attachment to the runner's segment, which may come late, die or be replaced at
any time; without it a feed goes on alone.
"""

from __future__ import annotations

from typing import Final

from feedhandler import log
from shm_layout import (
    RESULT_LATE,
    Command,
    Reader,
    SegmentMissing,
    SegmentNotReady,
    SegmentRefused,
    SlotUnreadable,
    Writer,
)

LOOK_NS: Final = 1_000_000_000  # how often a missing or replaced segment is looked for
COMPLAIN_NS: Final = 60_000_000_000
RUNNER: Final = "runner"


class Orders:
    """The orders of one feed process."""

    def __init__(self, instance: str, venue: str, writer: Writer, now_ns: int) -> None:
        self._instance = instance
        self._venue = venue
        self._writer = writer
        self._started_ns = now_ns
        self._reader: Reader | None = None
        self._look_ns = now_ns
        self._complain_ns = now_ns
        self._last_number = 0

    def take(self, now_ns: int) -> Command | None:
        """Return an order that is new, at most once; a late one is answered here."""
        if now_ns >= self._look_ns:
            self._look_ns = now_ns + LOOK_NS
            self._attach()
        if self._reader is None:
            return None
        try:
            order = self._reader.command(self._venue)
        except SlotUnreadable as error:
            if now_ns >= self._complain_ns:
                self._complain_ns = now_ns + COMPLAIN_NS
                log.event("order_unreadable", error=error)
            return None
        if order is None or order.number == self._last_number:
            return None
        self._last_number = order.number
        if order.issued_ns < self._started_ns:
            self.acknowledge(order, RESULT_LATE, now_ns)
            return None
        return order

    def acknowledge(self, order: Command, result: int, now_ns: int) -> None:
        """Say what became of an order."""
        self._writer.acknowledge(order.number, result, now_ns)

    def close(self) -> None:
        """Let go of the runner's segment."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def _attach(self) -> None:
        if self._reader is not None:
            if self._reader.is_current():
                return
            self.close()
        try:
            self._reader = Reader.attach(self._instance, RUNNER)
        except (SegmentMissing, SegmentNotReady):
            return  # not started yet: looked for again
        except SegmentRefused as error:
            log.event("segment_refused", role=RUNNER, error=error)
