"""The REST process as the runner sees it: its ring drained, each quote a check.

REST quotes are compared and never applied: they renew no stamp of a stream.
"""

from __future__ import annotations

import numpy as np

from feedhandler.runner.audit import Check
from shm_layout import Reader, SegmentError
from shm_layout.codes import KIND_QUOTE, SOURCE_REST
from shm_layout.schema import QUOTE

ROLE = "rest"
_BATCH = 1_024


class RestSide:
    """The `rest` segment of one instance, which may come and go."""

    def __init__(self, instance: str) -> None:
        self._instance = instance
        self._reader: Reader | None = None
        self._cursor = 0
        self._names: list[tuple[str, str]] = []
        self._records = np.zeros(_BATCH, QUOTE.dtype)

    def attach(self) -> None:
        """Find the segment, its successor, or its new instruments."""
        if self._reader is not None and not self._reader.is_current():
            self.close()
        if self._reader is None:
            try:
                self._reader = Reader.attach(self._instance, ROLE)
            except SegmentError:
                return  # not there, not ready or not ours: looked for again
            self._cursor = self._reader.head()
        self._names = [
            (entry.venue, entry.instrument) for entry in self._reader.instruments()
        ]

    def drain(self) -> list[tuple[str, str, Check]]:
        """Return venue, instrument and check of what was published; index unset."""
        if self._reader is None or self._reader.head() == self._cursor:
            return []
        count, _, self._cursor = self._reader.drain(self._cursor, self._records)
        checks = []
        for record in self._records[:count]:
            index = int(record["instrument"])
            if record["kind"] != KIND_QUOTE or record["source"] != SOURCE_REST:
                continue
            if index >= len(self._names):
                self.attach()  # a new instrument, and its first quote
                if index >= len(self._names):
                    continue
            check = Check(
                index=-1,
                start_ns=int(record["recv_ns"]),
                publish_ns=int(record["publish_ns"]),
                bid=float(record["bid"]),
                ask=float(record["ask"]),
            )
            checks.append((*self._names[index], check))
        return checks

    def is_beating(self, now_ns: int, limit_ns: int) -> bool:
        """Say whether there is a living process that asks."""
        # The heartbeat may be younger than `now_ns`, which was taken before.
        return (
            self._reader is not None
            and now_ns - self._reader.heartbeat_ns() <= limit_ns
        )

    def close(self) -> None:
        """Let go of the segment."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None
