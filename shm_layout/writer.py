"""Write side of one segment, for the one process that owns it.

Owns the segment's life and every word in it. Call it from one thread: the lock keeps
other processes out, nothing keeps a second thread out.
"""

from __future__ import annotations

import contextlib
import os
import time

from shm_layout import codes, commands, identity, schema, segment
from shm_layout.codes import SOURCE_STREAM, TIME_NONE
from shm_layout.core import make_writer
from shm_layout.directory import Instrument, encode_name
from shm_layout.errors import CapacityExceeded, OwnershipLost
from shm_layout.layout import Layout
from shm_layout.limits import COMMANDS_MAX, Capacities
from shm_layout.publishing import Publishing
from shm_layout.schema import OWNER, STAGES

_MASK = (1 << 64) - 1
_LIVE: set[Writer] = set()  # until closed: somebody may hold a bound method only


class Writer(Publishing):
    """The owned segment: everything a `Reader` offers, and the writes.

    Use `Writer.open`. Every publish raises `OwnershipLost` once another epoch is in
    place, and in a forked child.
    """

    def __init__(
        self, instance: str, role: str, owned: segment.OwnedSegment, source: int
    ) -> None:
        super().__init__(instance, role, owned.mapping)
        self._segment = owned
        self.adopted = owned.adopted
        self._full_epoch = self._owner_word("epoch")
        self._writer = make_writer(
            owned.mapping, self.plan.geometry(), self._full_epoch, source
        )
        self._find_registers()
        self._register_indexes = {
            name: index for index, name in enumerate(self._registers)
        }
        self._counter_indexes = {
            name: index for index, name in enumerate(self.counters())
        }
        self._histogram_indexes = {
            histogram.name: index for index, histogram in enumerate(self.histograms())
        }
        self._instrument_indexes = {
            (entry.venue, entry.instrument): index
            for index, entry in enumerate(self.instruments())
        }
        self._stamp_owner()
        # Bound once: what the hot path calls.
        self.publish_quote = self._writer.publish_quote
        self.beat = self._writer.beat
        self.record = self._writer.record
        _LIVE.add(self)

    @classmethod
    def open(
        cls,
        instance: str = "default",
        role: str = "runner",
        capacities: Capacities | None = None,
        source: int = SOURCE_STREAM,
    ) -> Writer:
        """Create or adopt the role's segment and become its writer, with a new epoch.

        Every record carries `source` (SOURCE_*), unless its publish names another.
        Raises `SegmentBusy`, `SegmentSpace` or `SegmentRefused`.
        """
        owned = segment.create_or_adopt(instance, role, capacities or Capacities())
        try:
            return cls(instance, role, owned, source)
        except BaseException:
            owned.close()  # else the lock would be held by nobody we can name
            raise

    @property
    def session(self) -> int:
        """The last session number in use; it survives restarts."""
        return self.link()[1]

    # --- Directory ------------------------------------------------------------------

    def add_instrument(self, entry: Instrument) -> int:
        """Enter an instrument, or renew its entry; return its index, kept for ever.

        Raises `CapacityExceeded` when the directory is full.
        """
        self._check_owner()
        key = (entry.venue, entry.instrument)
        index = self._instrument_indexes.get(key)
        if index is not None:
            self._renew_instrument(index, entry)
            return index
        index = len(self._instrument_indexes)
        if index >= self.capacities.instruments:
            raise CapacityExceeded(
                f"directory is full: instruments={index}; raise [shm] instruments"
            )
        start = self._entry(schema.DIRECTORY, schema.INSTRUMENT, index)
        self._mapping[start : start + schema.INSTRUMENT.size_bytes] = entry.pack()
        # ORDER: pairs with the load of count in Reader.instruments: entry, then count.
        self._writer.store(self.plan.directory_offset, index + 1)
        self._instrument_indexes[key] = index
        return index

    def retire_instruments(self, keep: set[int]) -> None:
        """Mark every entry inactive whose index is not in `keep`."""
        for index in self._instrument_indexes.values():
            start = self._entry(schema.DIRECTORY, schema.INSTRUMENT, index)
            offset = start + schema.INSTRUMENT.offsets["active"]
            self._writer.store(offset, int(index in keep))

    # --- Owner ----------------------------------------------------------------------

    def set_link(self, link: int, session: int) -> None:
        """Store link state and session in one word: readers see both or neither."""
        offset = self.plan.owner_offset + OWNER.offsets["link"]
        self._writer.store(offset, session << 32 | link)

    def stamp_stage(self, stage: str, now_ns: int) -> None:
        """Stamp a start-up stage with a monotonic time."""
        self._store_owner(f"{stage}_ns", now_ns)

    def stamp_liveness(self, index: int, now_ns: int) -> None:
        """Note that the liveness channel of an instrument, so its venue's, ticked."""
        if not 0 <= index < self.capacities.instruments:
            raise ValueError(f"no such instrument: index={index}")
        offset = self.plan.liveness_offset + index * schema.LIVENESS.size_bytes
        self._writer.store(offset, now_ns & _MASK)
        self._store_owner("liveness_ns", now_ns)

    # --- Commands -------------------------------------------------------------------

    def issue_command(
        self,
        venue: str,
        verb: int,
        instrument: int = codes.INSTRUMENT_ALL,
        reason: int = codes.REASON_NONE,
        *,
        now_ns: int | None = None,
    ) -> int:
        """Ask a venue's feed for COMMAND_*; return the number it will acknowledge.

        For the runner. `instrument` is an index in the feed's directory. It takes the
        place of the venue's last command, acknowledged or not. Raises
        `CapacityExceeded` for one venue too many.
        """
        index = self._named(
            venue,
            self._register_indexes,
            schema.COMMANDS,
            schema.REGISTER,
            COMMANDS_MAX,
        )
        register = self._entry(schema.COMMANDS, schema.REGISTER, index)
        issued_ns = time.monotonic_ns() if now_ns is None else now_ns
        return commands.issue(
            self._writer, register, verb, instrument, reason, issued_ns
        )

    def acknowledge(self, number: int, result: int, now_ns: int) -> None:
        """Say what became of a command, RESULT_*. For feeds; the runner reads it."""
        self._store_owner("command_result", result)
        self._store_owner("command_ns", now_ns)
        # ORDER: pairs with Reader.result_of: the result, then its command's number.
        self._store_owner("command_number", number)

    # --- Counters and histograms ----------------------------------------------------

    def counter(self, name: str) -> int:
        """Return the index of the counter of that name, entering it if it is new."""
        return self._named(
            name,
            self._counter_indexes,
            schema.COUNTERS,
            schema.COUNTER,
            self.capacities.counters,
        )

    def count(self, index: int, amount: int = 1) -> None:
        """Add to a counter."""
        self._writer.count(index, amount)

    def set_counter(self, index: int, value: int) -> None:
        """Set a counter that mirrors a number kept elsewhere."""
        start = self._entry(schema.COUNTERS, schema.COUNTER, index)
        self._writer.store(start + schema.COUNTER.offsets["value"], value)

    def histogram(self, name: str) -> int:
        """Return the index of the histogram of that name, entering it if it is new."""
        return self._named(
            name,
            self._histogram_indexes,
            schema.HISTOGRAMS,
            schema.HISTOGRAM,
            self.capacities.histograms,
        )

    # --- Life -----------------------------------------------------------------------

    @property
    def is_linked(self) -> bool:
        """Say whether the name still leads to this segment. Costs a system call."""
        return self._segment.is_linked

    def check_linked(self) -> None:
        """Raise `OwnershipLost` when nobody can find this segment by its name any more.

        A new writer has to make a new one. Costs a system call.
        """
        if not self.is_linked:
            text = (
                "the segment was removed, the next start of this process makes it anew"
            )
            raise OwnershipLost(f"{text}: name={self._segment.name}")

    def close(self, unlink: bool = False) -> None:
        """Stop writing; with `unlink`, tell readers and remove the segment."""
        _LIVE.discard(self)
        if "_writer" in self.__dict__:
            with contextlib.suppress(OwnershipLost):  # then it is not ours to change
                self.set_link(codes.LINK_DOWN, self.session)
                if unlink:
                    self._segment.retire()
            self._writer.disown()  # whoever kept a bound method may not write either
            for name in ("_writer", "publish_quote", "beat", "record"):
                self.__dict__.pop(name, None)
        super().close()
        self._segment.close()

    def __enter__(self) -> Writer:
        return self

    def disown(self) -> None:
        """Make every publish of this process raise: it is a forked child."""
        self._writer.disown()

    def _check_owner(self) -> None:
        if self._segment.is_foreign or self._owner_word("epoch") != self._full_epoch:
            raise OwnershipLost(f"not the writer any more: epoch={self._full_epoch}")

    def _stamp_owner(self) -> None:
        self._store_owner("heartbeat_ns", 0)
        self.set_link(codes.LINK_DOWN, self.session)
        self._store_owner("pid", os.getpid())
        self._store_owner("start_ticks", identity.start_ticks(os.getpid()) or 0)
        for stage in STAGES:
            self._store_owner(f"{stage}_ns", TIME_NONE)
        self._store_owner("started_ns", time.monotonic_ns())

    def _store_owner(self, name: str, value: int) -> None:
        self._writer.store(self.plan.owner_offset + OWNER.offsets[name], value & _MASK)

    def _renew_instrument(self, index: int, entry: Instrument) -> None:
        # Word by word: each number is a word of its own, so a reader sees old or new.
        start = self._entry(schema.DIRECTORY, schema.INSTRUMENT, index)
        new = entry.pack()
        for offset in range(0, len(new), 8):
            word = int.from_bytes(new[offset : offset + 8], "little")
            if word != self._core.load(start + offset):
                self._writer.store(start + offset, word)

    def _named(
        self,
        name: str,
        indexes: dict[str, int],
        table: Layout,
        layout: Layout,
        capacity: int,
    ) -> int:
        index = indexes.get(name)
        if index is not None:
            return index
        self._check_owner()
        index = len(indexes)
        if index >= capacity:
            raise CapacityExceeded(f"{table.name} are full: count={index} name={name}")
        data = encode_name(layout, name)
        start = self._entry(table, layout, index) + layout.offsets["name"]
        padded = data.ljust(layout.field("name").size_bytes, b"\0")
        self._mapping[start : start + len(padded)] = padded
        # ORDER: pairs with the load of count in Reader.counters: name, then count.
        self._writer.store(self._table(table), index + 1)
        indexes[name] = index
        return index

    def _table(self, table: Layout) -> int:
        offset: int = getattr(self.plan, f"{table.name}_offset")
        return offset

    def _entry(self, table: Layout, layout: Layout, index: int) -> int:
        return self._table(table) + table.size_bytes + index * layout.size_bytes


def _disown_after_fork() -> None:
    for writer in list(_LIVE):
        writer.disown()


os.register_at_fork(after_in_child=_disown_after_fork)
