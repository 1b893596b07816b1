"""The segments of one instance, attached read-only, found again when they are replaced.

Owns the mappings and nothing else: what is in them is read by others of this package.
"""

from __future__ import annotations

from typing import Final

from feedhandler import log
from shm_layout import Reader, SegmentError, SegmentRefused, segment

FEED: Final = "feed:"
RUNNER: Final = "runner"
REST: Final = "rest"
READER: Final = "reader:"
SUPERVISOR: Final = "supervisor"
LOOK_NS: Final = 250_000_000  # how often segments are looked for

_SEGMENTS_MAX: Final = 256  # attached at once; readers beyond them are not shown


class Sources:
    """Attached segments by role."""

    def __init__(self, instance: str) -> None:
        self.readers: dict[str, Reader] = {}
        self._instance = instance
        self._next_look_ns = 0
        self._refusals: dict[str, str] = {}  # role -> reason last logged

    def look(self, now_ns: int) -> None:
        """Attach what has appeared and let go of what is gone, if that is due."""
        if now_ns < self._next_look_ns:
            return
        self._next_look_ns = now_ns + LOOK_NS
        names = segment.list_segments(self._instance)
        roles = sorted((segment.role_of(name) for name in names), key=_is_readers)
        del roles[_SEGMENTS_MAX:]
        for role in [role for role in self.readers if role not in roles]:
            self._drop(role)
        for role in roles:
            self._attach(role)

    def feed(self, venue: str) -> Reader | None:
        """Return a venue's feed, None while there is none."""
        return self.readers.get(FEED + venue)

    def feeds(self) -> dict[str, Reader]:
        """Return the feeds by venue."""
        return {
            role.removeprefix(FEED): reader
            for role, reader in self.readers.items()
            if role.startswith(FEED)
        }

    def close(self) -> None:
        """Let go of every segment."""
        for role in list(self.readers):
            self._drop(role)

    def _attach(self, role: str) -> None:
        known = self.readers.get(role)
        if known is not None and known.is_current():
            return
        if known is not None:
            self._drop(role)
        try:
            self.readers[role] = Reader.attach(self._instance, role)
        except SegmentRefused as error:
            if self._refusals.get(role) != error.reason:
                self._refusals[role] = error.reason
                log.event("segment_refused", process=role, error=error)
        except SegmentError:
            return  # not ready, or removed since it was listed: looked for again
        else:
            self._refusals.pop(role, None)

    def _drop(self, role: str) -> None:
        self.readers.pop(role).close()


def _is_readers(role: str) -> bool:
    return role.startswith(READER)
