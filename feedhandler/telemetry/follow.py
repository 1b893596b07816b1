"""What only the rings tell: cadence, exchange skew, and each change of a state.

Owns a cursor in every ring. A sample sees one instant; the longest silence between two
samples, and a state that came and went, are seen here. Reads no clock: time is passed.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from feedhandler.telemetry.buckets import Spread
from shm_layout import Reader
from shm_layout.codes import (
    FLAG_REPLAYED,
    FLAG_RESTARTED,
    FLAG_SYNCING,
    KIND_QUOTE,
    KIND_STATUS,
    SOURCE_STREAM,
    TIME_NONE,
)
from shm_layout.directory import Instrument
from shm_layout.schema import QUOTE, STATUS

_BATCH = 8_192  # records: 1 MiB
_BATCHES_MAX = 64  # of one ring in one sample; what is left waits for the next
_NOT_LIVE = FLAG_RESTARTED | FLAG_SYNCING | FLAG_REPLAYED


class FeedFollower:
    """Follows one feed's ring from now on; made anew when the segment is replaced."""

    def __init__(self, reader: Reader, cadence: dict[str, Spread]) -> None:
        self.reader = reader
        self.lost = 0  # records overwritten before we read them, cumulative
        self._cursor = reader.head()
        self._records = np.zeros(_BATCH, QUOTE.dtype)
        self._cadence = cadence  # by venue:instrument; outlives the segment

        # By index of the directory.
        instruments = reader.capacities.instruments
        self._last_recv_ns = np.full(instruments, TIME_NONE, np.int64)

        # Since the last `reset`.
        self.quotes = np.zeros(instruments, np.int64)
        self.gap_max_ns = np.zeros(instruments, np.int64)
        self.skew_ns: int | None = None

    def reset(self) -> None:
        """Begin the next sample's span."""
        self.quotes[:] = 0
        self.gap_max_ns[:] = 0
        self.skew_ns = None

    def drain(self, names: list[str], wall_minus_mono_ns: int) -> None:
        """Read what was published since the last call, for those instruments."""
        for _ in range(_BATCHES_MAX):
            count, lost, self._cursor = self.reader.drain(self._cursor, self._records)
            if lost:
                self.lost += lost
                self._last_recv_ns[:] = TIME_NONE  # what was between is not known
            rows = self._records[:count]
            self._take(rows[_is_live(rows, len(names))], names, wall_minus_mono_ns)
            if count < len(self._records):
                return

    def _take(
        self, rows: npt.NDArray[np.void], names: list[str], wall_minus_mono_ns: int
    ) -> None:
        if not len(rows):
            return
        has_event = rows["event_ns"] != TIME_NONE
        if has_event.any():
            received = rows["recv_ns"][has_event] + wall_minus_mono_ns
            least = int((received - rows["event_ns"][has_event]).min())
            self.skew_ns = least if self.skew_ns is None else min(self.skew_ns, least)
        for index in np.unique(rows["instrument"]).tolist():
            stamps = rows["recv_ns"][rows["instrument"] == index]
            self.quotes[index] += len(stamps)
            last_ns = self._last_recv_ns[index]
            if last_ns != TIME_NONE:
                stamps = np.concatenate(([last_ns], stamps))
            self._last_recv_ns[index] = stamps[-1]
            gaps = np.maximum(np.diff(stamps), 0)
            if len(gaps):
                self.gap_max_ns[index] = max(self.gap_max_ns[index], gaps.max())
                self._cadence.setdefault(names[index], Spread()).add(gaps)


class MoveFollower:
    """Follows the runner's ring, which carries nothing but changes of state."""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self.lost = 0
        self._cursor = reader.head()
        self._records = np.zeros(_BATCH, STATUS.dtype)

    def drain(self) -> Iterator[tuple[Instrument, np.void]]:
        """Yield the instrument and the STATUS record of each change, in order."""
        instruments = self.reader.instruments()
        for _ in range(_BATCHES_MAX):
            count, lost, self._cursor = self.reader.drain(self._cursor, self._records)
            self.lost += lost
            for row in self._records[:count]:
                if row["kind"] == KIND_STATUS and row["instrument"] < len(instruments):
                    yield instruments[row["instrument"]], row
            if count < len(self._records):
                return


def _is_live(rows: npt.NDArray[np.void], instruments: int) -> npt.NDArray[np.bool_]:
    result: npt.NDArray[np.bool_] = (
        (rows["kind"] == KIND_QUOTE)
        & (rows["source"] == SOURCE_STREAM)
        & ((rows["flags"] & _NOT_LIVE) == 0)
        & (rows["instrument"] < instruments)
    )
    return result
