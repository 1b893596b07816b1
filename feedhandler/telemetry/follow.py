"""What only the rings tell: cadence, exchange skew, and each change of a state.

Owns a cursor in every ring. A sample sees one instant; the longest silence between two
samples, and a state that came and went, are seen here. Reads no clock: time is passed.

A tick of a liveness channel is a word in the segment, not a record: the newest is seen
at each sample. So a silence that is longer than a sample's interval is never taken for
a shorter one, and for one that is longer by that interval at most.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

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


@dataclass(slots=True)
class Cadence:
    """How long venues are silent while a session lasts; outlives their segments.

    What lies between two sessions is the link's silence, and is in none of these.
    """

    quotes: dict[str, Spread] = field(default_factory=dict)  # by venue:instrument
    ticks: dict[str, Spread] = field(default_factory=dict)  # by venue:instrument
    signs: dict[str, Spread] = field(default_factory=dict)  # by venue: either, of any


class FeedFollower:
    """Follows one feed's ring from now on; made anew when the segment is replaced."""

    def __init__(self, venue: str, reader: Reader, cadence: Cadence) -> None:
        self.reader = reader
        self.lost = 0  # records overwritten before we read them, cumulative
        self._venue = venue
        self._cursor = reader.head()
        self._records = np.zeros(_BATCH, QUOTE.dtype)
        self._cadence = cadence

        # By index of the directory: the last quote and its session; the last tick, and
        # whether it is one of the session that is now.
        instruments = reader.capacities.instruments
        self._last_recv_ns = np.full(instruments, TIME_NONE, np.int64)
        self._last_session = np.zeros(instruments, np.int64)
        self._last_tick_ns = np.zeros(instruments, np.int64)
        self._has_ticked = np.zeros(instruments, np.bool_)

        # Of the venue: the session that is now, the last sign of life, as above.
        self._session = 0
        self._sign_ns = 0
        self._has_signed = False

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
        self._note_session()
        for _ in range(_BATCHES_MAX):
            count, lost, self._cursor = self.reader.drain(self._cursor, self._records)
            if lost:
                self.lost += lost
                self._last_recv_ns[:] = TIME_NONE  # what was between is not known
                self._has_signed = False
            rows = self._records[:count]
            self._take(rows[_is_live(rows, len(names))], names, wall_minus_mono_ns)
            if count < len(self._records):
                break
        self._take_ticks(names)

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
        sessions = _session_of(rows["epoch"], rows["session"])
        for index in np.unique(rows["instrument"]).tolist():
            mine = rows["instrument"] == index
            self._take_quotes(index, names, rows["recv_ns"][mine], sessions[mine])
        self._take_signs(rows["recv_ns"][sessions == self._session])

    def _take_quotes(
        self,
        index: int,
        names: list[str],
        stamps: npt.NDArray[np.int64],
        sessions: npt.NDArray[np.int64],
    ) -> None:
        self.quotes[index] += len(stamps)
        last_ns, last_session = self._last_recv_ns[index], self._last_session[index]
        self._last_recv_ns[index], self._last_session[index] = stamps[-1], sessions[-1]
        if last_ns != TIME_NONE:
            stamps = np.concatenate(([last_ns], stamps))
            sessions = np.concatenate(([last_session], sessions))
        gaps = np.maximum(np.diff(stamps), 0)
        if len(gaps):
            self.gap_max_ns[index] = max(self.gap_max_ns[index], gaps.max())
            _add(self._cadence.quotes, names[index], gaps[np.diff(sessions) == 0])

    def _note_session(self) -> bool:
        """Begin anew if a session did; say so. No word tells whose its last tick is."""
        session = int(_session_of(self.reader.epoch(), self.reader.link()[1]))
        if session == self._session:
            return False
        self._session = session
        self._last_tick_ns = self.reader.liveness()
        self._has_ticked[:] = False
        self._sign_ns = max(self.reader.liveness_ns(), int(self._last_tick_ns.max()))
        self._has_signed = False
        return True

    def _take_ticks(self, names: list[str]) -> None:
        ticks_ns, newest_ns = self.reader.liveness(), self.reader.liveness_ns()
        if self._note_session():
            return
        for index, name in enumerate(names):
            gap_ns = ticks_ns[index] - self._last_tick_ns[index]
            if gap_ns > 0:
                if self._has_ticked[index]:
                    _add(self._cadence.ticks, name, np.array([gap_ns]))
                self._has_ticked[index] = True
        self._last_tick_ns = ticks_ns
        self._take_signs(np.append(ticks_ns, newest_ns))

    def _take_signs(self, stamps: npt.NDArray[np.int64]) -> None:
        stamps = np.unique(stamps[stamps > self._sign_ns])
        if not len(stamps):
            return
        gaps = np.diff(stamps, prepend=self._sign_ns)
        _add(self._cadence.signs, self._venue, gaps if self._has_signed else gaps[1:])
        self._sign_ns, self._has_signed = int(stamps[-1]), True


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


def _session_of(epoch: Any, session: Any) -> npt.NDArray[np.int64]:
    """Return a number for a session that no other has, also over restarts."""
    return np.asarray(epoch, np.int64) << 32 | np.asarray(session, np.int64)


def _add(spreads: dict[str, Spread], name: str, gaps_ns: npt.NDArray[np.int64]) -> None:
    if len(gaps_ns):
        spreads.setdefault(name, Spread()).add(gaps_ns)


def _is_live(rows: npt.NDArray[np.void], instruments: int) -> npt.NDArray[np.bool_]:
    result: npt.NDArray[np.bool_] = (
        (rows["kind"] == KIND_QUOTE)
        & (rows["source"] == SOURCE_STREAM)
        & ((rows["flags"] & _NOT_LIVE) == 0)
        & (rows["instrument"] < instruments)
    )
    return result
