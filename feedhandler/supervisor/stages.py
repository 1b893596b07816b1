"""How far each feed has come since it was started, read from its segment.

Owns the comparison of stamps with the start of the process; it asks no live object.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from shm_layout import TIME_NONE, Reader, SegmentError

# In the order a feed reaches them; the words are for people.
STAGE_WORDS: Final = {
    "configured": "config",
    "segment": "segment",
    "connected": "connect",
    "subscribed": "subscribed",
    "first_quote": "first quote",
}


@dataclass(frozen=True, slots=True)
class Reached:
    """One stage of one feed, and how long after its start it came."""

    venue: str
    stage: str
    elapsed_ns: int


class StageWatch:
    """Follows one process of one feed until its first quote."""

    def __init__(self, instance: str, venue: str, pid: int, started_ns: int) -> None:
        self._instance = instance
        self._venue = venue
        self._pid = pid
        self._started_ns = started_ns
        self._missing = list(STAGE_WORDS)

    @property
    def is_complete(self) -> bool:
        """Say whether the last stage was reached."""
        return not self._missing

    def poll(self) -> Iterator[Reached]:
        """Yield the stages reached since the last call."""
        stages = self._read_stages()
        for stage in tuple(self._missing):
            stamp_ns = stages.get(stage, TIME_NONE)
            # An older stamp is from the process before, whose segment was adopted.
            if stamp_ns < self._started_ns:
                continue
            self._missing.remove(stage)
            yield Reached(self._venue, stage, stamp_ns - self._started_ns)

    def _read_stages(self) -> dict[str, int]:
        try:
            reader = Reader.attach(instance=self._instance, role=f"feed:{self._venue}")
        except SegmentError:
            return {}  # not there yet: the child's own exit tells what is wrong
        try:
            owner = reader.owner()
        finally:
            reader.close()
        return dict(owner.stages) if owner.pid == self._pid else {}
