"""What the tests of one segment share: memory with its geometry, and values.

A `Memory` is anonymous and laid out like a segment, so the words that a test wants to
damage are at hand. Every protocol test runs with each writer against each reader.
"""

from __future__ import annotations

import math
import mmap
import shutil
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from shm_layout import schema
from shm_layout.core import CoreReader, CoreWriter, load_implementation
from shm_layout.limits import RECORD_BYTES, Capacities
from shm_layout.schema import Plan

IMPLEMENTATIONS = ("native", "twin")
PAIRS = [(writer, reader) for writer in IMPLEMENTATIONS for reader in IMPLEMENTATIONS]
SMALL = Capacities(instruments=4, ring_slots=8, counters=4, histograms=2)
EPOCH = 7
MASK = (1 << 64) - 1

# For processes that fork, or end by a signal: numpy's threads would be forked half, and
# CPython 3.11 sleeps through a signal that such a thread receives while the main one
# computes without ever letting go of its lock (seen 2026-11-21, after a SIGCONT).
ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1"}

QUOTE_NAMES = [field.name for field in schema.QUOTE.fields]
PAYLOAD = slice(schema.QUOTE.offsets["bid"], schema.QUOTE.offsets["stamp"])


def load(name: str) -> ModuleType:
    """Return an implementation; without a compiler the native one is skipped."""
    try:
        return load_implementation(name)
    except ImportError as error:
        if compiler_of("c"):
            pytest.fail(f"the native module is not built, bin/test builds it: {error}")
        pytest.skip("no native module, and no C compiler to build it")


def compiler_of(language: str) -> str | None:
    """Return the path of a compiler for `c` or `c++`, None when there is none."""
    names = ("cc", "gcc", "clang") if language == "c" else ("c++", "g++", "clang++")
    return next(filter(None, map(shutil.which, names)), None)


class Memory:
    """One segment's bytes without a segment: nobody else sees them."""

    def __init__(self, capacities: Capacities = SMALL) -> None:
        self.plan = Plan(capacities)
        self.bytes = mmap.mmap(-1, self.plan.segment_bytes)
        self.words = memoryview(self.bytes).cast("Q")
        self[self.owner("epoch")] = EPOCH

    def __getitem__(self, offset: int) -> int:
        return self.words[offset // 8]

    def __setitem__(self, offset: int, value: int) -> None:
        self.words[offset // 8] = value & MASK

    def writer(self, name: str, epoch: int = EPOCH, source: int = 1) -> CoreWriter:
        """Return a writer of that implementation."""
        writer: CoreWriter = load(name).Writer(
            self.bytes, self.plan.geometry(), epoch, source
        )
        return writer

    def reader(self, name: str) -> CoreReader:
        """Return a reader of that implementation, over a read-only view."""
        view = memoryview(self.bytes).toreadonly()
        reader: CoreReader = load(name).Reader(view, self.plan.geometry())
        return reader

    def owner(self, field: str) -> int:
        """Return the offset of a word of the owner."""
        return self.plan.owner_offset + schema.OWNER.offsets[field]

    def ring(self, field: str) -> int:
        """Return the offset of the ring's `intent` or `tail`."""
        return self.plan.ring_offset + schema.RING.offsets[field]

    def slot(self, instrument: int, section: str = "latest") -> int:
        """Return the offset of a slot, which is its index word."""
        start: int = getattr(self.plan, f"{section}_offset")
        return start + instrument * schema.SLOT.size_bytes

    def cell(self, instrument: int, index: int, section: str = "latest") -> int:
        """Return the offset of the cell that belongs to that index."""
        cell = schema.SLOT.offsets["cell"] + (index & 1) * RECORD_BYTES
        return self.slot(instrument, section) + cell

    def start_ring_at(self, position: int) -> None:
        """Make the ring look as if that many records had been published."""
        self[self.ring("intent")] = self[self.ring("tail")] = position


class Pair:
    """A writer and a reader of the same memory."""

    def __init__(
        self, writer_name: str, reader_name: str, capacities: Capacities = SMALL
    ) -> None:
        self.writer_name, self.reader_name = writer_name, reader_name
        self.memory = Memory(capacities)
        self.writer = self.memory.writer(writer_name)
        self.reader = self.memory.reader(reader_name)

    def publish(self, number: int, instrument: int = 0) -> int | None:
        """Publish the quote whose every field follows from `number`."""
        return self.writer.publish_quote(instrument, *linked(number))

    def read(self, instrument: int = 0) -> dict[str, Any]:
        """Return the latest quote's fields."""
        record = self.reader.read_slot(instrument)
        assert record is not None
        return fields_of(record)


def linked(number: int) -> tuple[int, int, int, int, int, float, float, float, float]:
    """Return flags … ask_size that all follow from one number, so a mix shows."""
    return (
        number & 0x7F,
        number & 0xFFFF_FFFF,
        3 * number,
        5 * number,
        number,
        float(number),
        number + 0.25,
        number + 0.5,
        number + 0.75,
    )


def fields_of(record: bytes) -> dict[str, Any]:
    """Return a quote's fields by name."""
    return dict(zip(QUOTE_NAMES, schema.QUOTE.struct.unpack(record), strict=True))


def number_of(record: bytes) -> int:
    """Return the number of a linked quote; fails when its fields do not agree."""
    fields = fields_of(record)
    number: int = fields["venue_sequence"]
    names = ("flags", "session", "event_ns", "recv_ns", "venue_sequence")
    found = tuple(fields[name] for name in names) + tuple(
        fields[name] for name in ("bid", "bid_size", "ask", "ask_size")
    )
    assert found == linked(number), f"a mix of two records: {fields}"
    return number


def records(count: int) -> Any:
    """Return an array for that many quotes."""
    return np.zeros(count, schema.QUOTE.dtype)


def is_same(left: float, right: float) -> bool:
    """Compare doubles, where NaN equals NaN and zero differs from minus zero."""
    if math.isnan(left) or math.isnan(right):
        return math.isnan(left) and math.isnan(right)
    return left == right and math.copysign(1, left) == math.copysign(1, right)
