"""Records as they are published, for readers that want every change.

Each feed's ring is read from its head on; records of one venue come in order, records
of several venues are merged by publish stamp within a poll. What a ring overwrote
before it was read is counted in `lost`, and shown to others by a reader with a name.
"""

from __future__ import annotations

import math
import time
import weakref
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from feedhandler.client.registration import Registration
from shm_layout import Reader, SegmentError, segment
from shm_layout.codes import KIND_NAMES
from shm_layout.directory import Instrument
from shm_layout.limits import RECORD_BYTES
from shm_layout.schema import RECORDS

_BATCH = 1_024
_LOOK_S = 0.25
_FEED = "feed:"
_RUNNER = "runner"


@dataclass(frozen=True, slots=True)
class Record:
    """One record with its names. `fields` holds the kind's own values by name."""

    kind: str
    venue: str
    instrument: str
    symbol: str
    fields: dict[str, int | float]

    def __getattr__(self, name: str) -> int | float:
        try:
            return self.fields[name]
        except KeyError:
            raise AttributeError(f"{self.kind} records have no {name}") from None


@dataclass(slots=True)
class Losses:
    """What was overwritten before it was read, over all that one reader follows."""

    count: int = 0


@dataclass(slots=True)
class _Source:
    reader: Reader
    cursor: int
    entries: tuple[Instrument, ...] = ()


class Follower:
    """Follows the rings of one instance. Use `Feed.follow`, or `Feed.follower`.

    Not for use by two threads at once. Close it, or use it as a context.
    """

    def __init__(
        self,
        instance: str,
        venues: Iterable[str] | None,
        kinds: Iterable[str] | None,
        instruments: Iterable[str] | None,
        losses: Losses,
        *,
        from_start: bool = False,
        name: str | None = None,
    ) -> None:
        self.instance = instance
        self.lost = 0  # records overwritten before this follower could read them
        self._losses = losses
        self._venues = None if venues is None else frozenset(venues)
        self._kinds = _kind_codes(kinds)
        self._instruments = None if instruments is None else frozenset(instruments)
        self._sources: dict[str, _Source] = {}
        self._batch = np.zeros(_BATCH * RECORD_BYTES, np.uint8)
        self._next_look_s = 0.0
        self._registration = None if name is None else Registration(instance, name)
        if self._registration is not None:
            # Also for a follower that nobody closes, at the latest when Python ends.
            weakref.finalize(self, self._registration.close)
        # Whoever follows from now on misses nothing published before the first poll.
        self._look(is_first=not from_start)

    def records(self, timeout_s: float | None, poll_s: float) -> Iterator[Record]:
        """Yield records until nothing came for `timeout_s`; None waits for ever."""
        last_s = time.monotonic()
        try:
            while True:
                batch = self.poll()
                if batch:
                    yield from batch
                    last_s = time.monotonic()
                elif timeout_s is not None and time.monotonic() - last_s >= timeout_s:
                    return
                else:
                    time.sleep(poll_s)
        finally:
            self.close()

    def poll(self) -> list[Record]:
        """Return what was published since the last poll, at most a batch a venue."""
        now_s = time.monotonic()
        if now_s >= self._next_look_s:
            self._look(is_first=False)
        found: list[tuple[int, Record]] = []
        for role, source in self._sources.items():
            found += self._drain(role, source)
        if self._registration is not None:
            self._registration.beat()
        found.sort(key=_publish_ns)  # stable: the order within a ring is kept
        return [record for _, record in found]

    def close(self) -> None:
        """Let go of every segment, and of the name."""
        for source in self._sources.values():
            source.reader.close()
        self._sources.clear()
        self._next_look_s = math.inf  # a later poll finds nothing and attaches nothing
        if self._registration is not None:
            self._registration.close()
            self._registration = None

    def __enter__(self) -> Follower:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _drain(self, role: str, source: _Source) -> list[tuple[int, Record]]:
        reader = source.reader
        count, lost, source.cursor = reader.drain(source.cursor, self._batch)
        if self._registration is not None:
            self._registration.note(role, count, lost, source.cursor, reader.head())
        self._losses.count += lost
        self.lost += lost
        found = []
        data = self._batch[: count * RECORD_BYTES].tobytes()
        for start in range(0, len(data), RECORD_BYTES):
            record = self._unpack(source, data[start : start + RECORD_BYTES])
            if record is not None:
                found.append((int(record.fields["publish_ns"]), record))
        return found

    def _unpack(self, source: _Source, data: bytes) -> Record | None:
        layout = RECORDS.get(data[8])
        if layout is None or data[8] not in self._kinds:
            return None
        values = layout.struct.unpack(data)
        fields = dict(zip(layout.dtype.names or (), values, strict=True))
        index = fields["instrument"]
        if index >= len(source.entries):
            source.entries = source.reader.instruments()
            if index >= len(source.entries):
                return None  # a directory entry always precedes its records
        entry = source.entries[index]
        if self._venues is not None and entry.venue not in self._venues:
            return None
        if self._instruments is not None and not self._instruments & {
            entry.instrument,
            entry.symbol,
        }:
            return None
        return Record(
            KIND_NAMES[data[8]], entry.venue, entry.instrument, entry.symbol, fields
        )

    def _look(self, *, is_first: bool) -> None:
        """Attach to what appeared: from its head at first, later from its start."""
        self._next_look_s = time.monotonic() + _LOOK_S
        for name in segment.list_segments(self.instance):
            role = segment.role_of(name)
            if role != _RUNNER and not self._is_wanted(role):
                continue
            source = self._sources.get(role)
            if source is not None and source.reader.is_current():
                continue
            try:
                reader = Reader.attach(self.instance, role)
            except SegmentError:
                continue  # not ready yet, or refused: looked at again
            if source is not None:
                source.reader.close()
            cursor = reader.head()
            if not is_first:
                # Records further back than half a ring may go while they are read.
                cursor = max(0, cursor - reader.capacities.ring_slots // 2)
            self._sources[role] = _Source(reader, cursor, reader.instruments())
            if self._registration is not None:
                self._registration.follow(role, cursor)

    def _is_wanted(self, role: str) -> bool:
        if not role.startswith(_FEED):
            return False
        return self._venues is None or role.removeprefix(_FEED) in self._venues


def _kind_codes(kinds: Iterable[str] | None) -> frozenset[int]:
    codes = {name: code for code, name in KIND_NAMES.items()}
    if kinds is None:
        return frozenset(codes.values())
    wanted = list(kinds)
    unknown = [kind for kind in wanted if kind not in codes]
    if unknown:
        raise ValueError(f"unknown kind: {unknown[0]!r} known={', '.join(codes)}")
    return frozenset(codes[kind] for kind in wanted)


def _publish_ns(found: tuple[int, Record]) -> int:
    return found[0]
