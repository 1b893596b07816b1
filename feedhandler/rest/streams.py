"""What the runner says of every stream, read from its segment.

Owns the attachment and the way from a name to a slot. Without a runner everything is
unknown; what a dead one left keeps its stamps, and its verdicts count no more.
"""

from __future__ import annotations

from typing import Final

from feedhandler.rest.due import UNKNOWN, Stream
from shm_layout import Reader, SegmentError, SlotUnreadable
from shm_layout.schema import STATUS

LOOK_NS: Final = 250_000_000  # how often the segment is looked for, and its directory
_FIELDS: Final = {field.name: n for n, field in enumerate(STATUS.fields)}
_APPLY, _CONFIRMED, _EVENT, _STATE, _REASON = (
    _FIELDS[name]
    for name in ("apply_ns", "confirmed_ns", "event_ns", "state", "reason")
)


class Streams:
    """The runner's verdicts, for the one process that asks by REST."""

    def __init__(self, instance: str, heartbeat_limit_ns: int) -> None:
        self._instance = instance
        self._heartbeat_limit_ns = heartbeat_limit_ns
        self._reader: Reader | None = None
        self._indexes: dict[tuple[str, str], int] = {}
        self._looked_ns: int | None = None

    def read(self, venue: str, instrument: str, now_ns: int) -> Stream:
        """Return what is known of one stream now."""
        self._look(now_ns)
        index = self._indexes.get((venue, instrument))
        if self._reader is None or index is None:
            return UNKNOWN
        try:
            record = self._reader.read_slot(index)
        except SlotUnreadable:
            return UNKNOWN
        if record is None:
            return UNKNOWN
        fields = STATUS.struct.unpack(record)
        # The heartbeat may be younger than `now_ns`, which was taken before.
        beat_age_ns = now_ns - self._reader.heartbeat_ns()
        return Stream(
            apply_ns=fields[_APPLY],
            confirmed_ns=fields[_CONFIRMED],
            event_ns=fields[_EVENT],
            state=fields[_STATE],
            reason=fields[_REASON],
            is_judged=beat_age_ns <= self._heartbeat_limit_ns,
        )

    def close(self) -> None:
        """Let go of the segment."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def _look(self, now_ns: int) -> None:
        if self._looked_ns is not None and now_ns - self._looked_ns < LOOK_NS:
            return
        self._looked_ns = now_ns
        if self._reader is not None and not self._reader.is_current():
            self.close()
        if self._reader is None:
            try:
                self._reader = Reader.attach(self._instance, "runner")
            except SegmentError:
                self._indexes = {}
                return  # not started yet, or not ours: `doctor` tells
        self._indexes = {
            (entry.venue, entry.instrument): index
            for index, entry in enumerate(self._reader.instruments())
        }
