"""The segment of role `supervisor`: one process of an instance watches the others.

Owns its lock, which makes that process the only one, its heartbeat, and its making anew
when somebody removes it. Counters keep their values in the new one.
"""

from __future__ import annotations

import time
from typing import Final

from feedhandler import log
from feedhandler.errors import AlreadyRunning
from feedhandler.supervisor.manager import manager_hint
from shm_layout import Capacities, SegmentBusy, SegmentError, Writer

ROLE: Final = "supervisor"
LOOK_NS: Final = 1_000_000_000
_CAPACITIES: Final = Capacities(instruments=1, ring_slots=8)


class OwnSegment:
    """The writer's side of it. Raises `AlreadyRunning` when somebody else has it."""

    def __init__(self, instance: str) -> None:
        self._instance = instance
        self._next_look_ns = 0
        try:
            self._writer = Writer.open(instance, ROLE, _CAPACITIES)
        except SegmentBusy as error:
            pid = error.pid
            stop = f"end it with `feedhandler stop --instance {instance}`"
            raise AlreadyRunning(
                f"already running: instance={instance} pid={pid or 'unknown'}; "
                f"{manager_hint(pid) or stop}",
                pid,
            ) from error
        self._stamp()

    def beat(self, now_ns: int, handled_count: int) -> None:
        """Say that we live."""
        self._writer.beat(now_ns, handled_count)

    def enter(self, name: str) -> None:
        """Enter a counter, which keeps the value of the supervisor before us."""
        self._writer.counter(name)

    def count(self, name: str) -> None:
        """Add one to a counter."""
        self._writer.count(self._writer.counter(name))

    def gauge(self, name: str, value: int) -> None:
        """Set a counter."""
        self._writer.set_counter(self._writer.counter(name), value)

    def renew(self, now_ns: int) -> bool:
        """Make the segment anew if it was removed; look for that once a second.

        Returns False when another process has the name by now.
        """
        if now_ns < self._next_look_ns:
            return True
        self._next_look_ns = now_ns + LOOK_NS
        if self._writer.is_linked:
            return True
        try:
            fresh = Writer.open(self._instance, ROLE, _CAPACITIES)
        except SegmentBusy:
            return False
        except SegmentError as error:
            log.event("segment_not_renewed", error=error)
            return True  # tried again at the next look
        for name, value in self._writer.counters().items():
            fresh.set_counter(fresh.counter(name), value)
        self._writer.close()
        self._writer = fresh
        self._stamp()
        log.event("segment_renewed", text="somebody removed it")
        return True

    def close(self) -> None:
        """Remove the segment: nobody watches any more."""
        self._writer.close(unlink=True)

    def _stamp(self) -> None:
        now_ns = time.monotonic_ns()
        self._writer.stamp_stage("configured", now_ns)
        self._writer.stamp_stage("segment", now_ns)
        self._writer.beat(now_ns, 0)
