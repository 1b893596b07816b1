"""What a session has to say beside its events: facts for the log, and refusals.

Owns their limits. Each is counted when it happens; the text waits for the next tick, so
that nothing is written to a log between a frame and its record.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from feedhandler.events import NoticeEvent
from feedhandler.feed.rejects import RejectShare

NOTES_MAX: Final = 64
KINDS_MAX: Final = 64

Count = Callable[[str, int], None]
Note = tuple[str, dict[str, object]]


class Remarks:
    """The remarks of one session."""

    def __init__(self, count: Count) -> None:
        self._count = count
        self._notes: list[Note] = []
        self._seen_kinds: set[str] = set()
        self.rejects = RejectShare()

    def note(self, name: str, **facts: object) -> None:
        """Keep a fact for the log."""
        if len(self._notes) < NOTES_MAX:
            self._notes.append((name, facts))

    def take(self) -> list[Note]:
        """Return the facts since the last call."""
        notes, self._notes = self._notes, []
        return notes

    def reject(self, reason: str, detail: str) -> None:
        """Count and note that a frame, or a part of one, was refused."""
        self.rejects.rejects += 1
        self._count(f"rejected.{reason}", 1)
        self.note("rejected", reason=reason, detail=detail)

    def notice(self, event: NoticeEvent) -> None:
        """Count what was tolerated; an unknown type once for each of its names."""
        if event.name != "unknown_type":
            self._count(event.name, event.count)
            if event.detail:
                self.note(event.name, detail=event.detail)
        elif event.detail not in self._seen_kinds and len(self._seen_kinds) < KINDS_MAX:
            self._seen_kinds.add(event.detail)
            self._count("rejected.unknown_type", 1)
            self.note("unknown_type", channel=event.detail)
