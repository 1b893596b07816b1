"""Read side of one segment, for any process of the same user.

Never writes and never waits. It returns stamps and records as they are; who reads,
subtracts. Only `quote_reader` judges, by the rules of `feedhandler.verdict`.
"""

from __future__ import annotations

import mmap
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from shm_layout import commands, schema, segment
from shm_layout.commands import Command
from shm_layout.core import JudgedQuote, make_reader
from shm_layout.directory import Histogram, Instrument, decode_text
from shm_layout.layout import Layout
from shm_layout.limits import COMMANDS_MAX, Capacities
from shm_layout.schema import HEADER, OWNER, STAGES, Plan

_SIGN = 1 << 63


@dataclass(frozen=True, slots=True)
class Owner:
    """Who writes a segment and how it is doing; all times monotonic nanoseconds."""

    pid: int
    start_ticks: int
    epoch: int
    session: int
    link: int
    heartbeat_ns: int
    progress: int
    liveness_ns: int  # 0 before the first tick
    command_number: int  # of the last command acknowledged, 0 before the first
    command_result: int  # RESULT_*
    command_ns: int
    stages: dict[str, int]


class Reader:
    """One attached segment. Use `Reader.attach`; close it or use it as a context."""

    def __init__(self, instance: str, role: str, mapping: mmap.mmap) -> None:
        self.instance = instance
        self.role = role
        self._mapping = mapping
        header = dict(
            zip(
                (field.name for field in HEADER.fields),
                HEADER.struct.unpack_from(mapping),
                strict=True,
            )
        )
        self.capacities = Capacities(
            instruments=header["instruments_max"],
            ring_slots=header["ring_slots"],
            counters=header["counters_max"],
            histograms=header["histograms_max"],
        )
        self.plan = Plan(self.capacities)
        self._core = make_reader(mapping, self.plan.geometry())
        self._inode = segment.current_inode(instance, role)

        owner = self.plan.owner_offset
        self._heartbeat_offset = owner + OWNER.offsets["heartbeat_ns"]
        self._link_offset = owner + OWNER.offsets["link"]
        self._epoch_offset = owner + OWNER.offsets["epoch"]
        self._liveness_offset = owner + OWNER.offsets["liveness_ns"]
        self._registers: dict[str, int] = {}  # venue -> offset of its register
        self._directory = b""  # as it was unpacked last
        self._instruments: tuple[Instrument, ...] = ()
        # Bound once: what every read of a quote calls.
        self.read_slot = self._core.read_slot
        self.read_funding = self._core.read_funding
        self.drain = self._core.drain
        self.head = self._core.head

    @classmethod
    def attach(
        cls, instance: str = "default", role: str = "runner", timeout_s: float = 0.0
    ) -> Reader:
        """Attach after every check, waiting at most `timeout_s` for the segment.

        Raises `SegmentMissing`, `SegmentNotReady` or `SegmentRefused`.
        """
        return cls(instance, role, segment.attach(instance, role, timeout_s))

    def read_slots(self, out: Any) -> int:
        """Fill `out` (records of 128 bytes, one an instrument); return the unreadable.

        A slot never written, and an unreadable one, is all zeros: kind 0.
        """
        return self._core.read_slots(out)

    def read_fundings(self, out: Any) -> int:
        """Fill `out` with every instrument's newest funding, as `read_slots` does."""
        return self._core.read_fundings(out)

    def quote_reader(
        self,
        index: int,
        runner: Reader | None,
        place: int | None,
        *,
        fresh_ns: int,
        heartbeat_limit_ns: int,
        confirm_limit_ns: int,
    ) -> Callable[[], JudgedQuote | None]:
        """Return a call that reads one quote and judges it, for every next time.

        `place` is the instrument's in the runner's directory, None when it has none.
        The call returns None before the first quote, and raises `SlotUnreadable` when
        one of the two slots is damaged. A verdict counts only if it was made for the
        epoch and session of that very quote.
        """
        return partial(
            self._core.read_judged,
            index,
            None if runner is None else runner._core,
            place,
            fresh_ns,
            heartbeat_limit_ns,
            confirm_limit_ns,
        )

    def liveness_ns(self) -> int:
        """Return when the venue's liveness channel last ticked, monotonic; 0 never."""
        return _signed(self._core.load(self._liveness_offset))

    def liveness(self) -> npt.NDArray[np.int64]:
        """Return the same of every instrument by index, as long as the directory."""
        ticks = np.zeros(self.capacities.instruments, np.int64)
        self._core.load_words(self.plan.liveness_offset, ticks)
        return ticks

    def command(self, venue: str) -> Command | None:
        """Return the runner's newest command to that venue, None before the first.

        For feeds, which attach to the runner's segment. It stays after it was carried
        out: whoever reads it compares its number with the last one acknowledged, and
        carries out nothing that was issued before it started. Raises `SlotUnreadable`
        when the register is damaged; the next command heals it.
        """
        register = self._registers.get(venue)
        if register is None:
            self._find_registers()
            register = self._registers.get(venue)
            if register is None:
                return None
        return commands.read(self._core, register)

    def result_of(self, number: int) -> int | None:
        """Return RESULT_* if this feed's last acknowledgement is of that command."""
        if self._owner_word("command_number") != number:
            return None
        return self._owner_word("command_result")

    def heartbeat_ns(self) -> int:
        """Return the writer's last heartbeat, monotonic; 0 before the first."""
        return _signed(self._core.load(self._heartbeat_offset))

    def link(self) -> tuple[int, int]:
        """Return (LINK_*, session), both from one load."""
        word = self._core.load(self._link_offset)
        return word & 0xFFFF_FFFF, word >> 32

    def epoch(self) -> int:
        """Return the writer's epoch, as records carry it."""
        return self._core.load(self._epoch_offset) & 0xFFFF_FFFF

    def owner(self) -> Owner:
        """Return everything known about the writer."""
        link, session = self.link()
        return Owner(
            pid=self._owner_word("pid"),
            start_ticks=self._owner_word("start_ticks"),
            epoch=self._owner_word("epoch"),
            session=session,
            link=link,
            heartbeat_ns=self.heartbeat_ns(),
            progress=self._owner_word("progress"),
            liveness_ns=self.liveness_ns(),
            command_number=self._owner_word("command_number"),
            command_result=self._owner_word("command_result"),
            command_ns=_signed(self._owner_word("command_ns")),
            stages={
                stage: _signed(self._owner_word(f"{stage}_ns")) for stage in STAGES
            },
        )

    def instruments(self) -> tuple[Instrument, ...]:
        """Return the directory by index; entries in use only.

        The same tuple for as long as the directory does not change.
        """
        plan = self.plan
        count = self._count(plan.directory_offset, plan.capacities.instruments)
        size = schema.INSTRUMENT.size_bytes
        first = plan.directory_offset + schema.DIRECTORY.size_bytes
        data = self._mapping[first : first + count * size]
        if data != self._directory:
            self._directory = data
            self._instruments = tuple(
                Instrument.unpack(data[start : start + size])
                for start in range(0, len(data), size)
            )
        return self._instruments

    def counters(self) -> dict[str, int]:
        """Return every registered counter by name."""
        plan = self.plan
        count = self._count(plan.counters_offset, plan.capacities.counters)
        first = plan.counters_offset + schema.COUNTERS.size_bytes
        size = schema.COUNTER.size_bytes
        return {
            self._name(schema.COUNTER, first + index * size): self._core.load(
                first + index * size
            )
            for index in range(count)
        }

    def histograms(self) -> list[Histogram]:
        """Return every registered histogram."""
        plan = self.plan
        count = self._count(plan.histograms_offset, plan.capacities.histograms)
        first = plan.histograms_offset + schema.HISTOGRAMS.size_bytes
        size = schema.HISTOGRAM.size_bytes
        histograms = []
        for start in range(first, first + count * size, size):
            name, values, total, largest, negative, *buckets = (
                schema.HISTOGRAM.struct.unpack_from(self._mapping, start)
            )
            histograms.append(
                Histogram(
                    decode_text(name), values, total, largest, negative, tuple(buckets)
                )
            )
        return histograms

    def is_superseded(self) -> bool:
        """Say whether this segment was retired: attach again to find its successor."""
        return self._core.load(HEADER.offsets["superseded"]) != 0

    def is_current(self) -> bool:
        """Say whether the name still leads here. Costs a system call."""
        inode = segment.current_inode(self.instance, self.role)
        return not self.is_superseded() and inode == self._inode

    def close(self) -> None:
        """Let go of the mapping. Reading afterwards is an error."""
        self.__dict__.pop("_core", None)
        for name in ("read_slot", "read_funding", "drain", "head"):
            self.__dict__.pop(name, None)
        try:
            self._mapping.close()
        except BufferError:
            return  # somebody still holds a bound method: it goes with the last one

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _find_registers(self) -> None:
        first = self.plan.commands_offset + schema.COMMANDS.size_bytes
        size = schema.REGISTER.size_bytes
        for index in range(self._count(self.plan.commands_offset, COMMANDS_MAX)):
            register = first + index * size
            self._registers[self._name(schema.REGISTER, register)] = register

    def _owner_word(self, name: str) -> int:
        return self._core.load(self.plan.owner_offset + OWNER.offsets[name])

    def _count(self, offset: int, limit: int) -> int:
        return min(self._core.load(offset), limit)  # never trust it past the table

    def _name(self, layout: Layout, start: int) -> str:
        offset = start + layout.offsets["name"]
        size = layout.field("name").size_bytes
        return decode_text(self._mapping[offset : offset + size])


def _signed(word: int) -> int:
    return word - (1 << 64) if word & _SIGN else word
