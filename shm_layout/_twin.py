"""The native module's API in Python: for x86-64 machines without a compiler.

Python gives no memory fence. On x86-64 none is needed by these protocols, because the
processor keeps stores in order and loads in order, and each `memoryview` item is one
move that neither interpreter nor compiler can merge or reorder. Elsewhere this module
refuses to import.

Words that publish are stored through `memoryview.cast("Q")`, never by
`struct.pack_into`, which stores zeros first.
"""

from __future__ import annotations

import platform
import struct
import time
from typing import Any

from shm_layout import _twin_checks as checks
from shm_layout import codes, schema
from shm_layout._twin_reader import CELL, INTENT, MASK, SLOT_BYTES, STAMP, TAIL, Reader
from shm_layout.errors import OwnershipLost, SegmentRefused
from shm_layout.layout import Field, Layout
from shm_layout.limits import RECORD_BYTES

if platform.machine() not in ("x86_64", "AMD64"):
    raise SegmentRefused(
        "platform",
        "the Python twin is safe on x86-64 only: install a C compiler and reinstall to "
        f"build the native module; machine={platform.machine()}",
    )

__all__ = ["LAYOUT_DIGEST", "TO_FUNDING", "TO_LATEST", "TO_RING", "Reader", "Writer"]

LAYOUT_DIGEST = schema.LAYOUT_DIGEST
TO_LATEST = 1
TO_RING = 2
TO_FUNDING = 4

_HEAD = schema.QUOTE.offsets["bid"]
_PAYLOAD_BYTES = STAMP - _HEAD
_BUCKETS = schema.HISTOGRAM.offsets["buckets"] // 8
_SUM = schema.HISTOGRAM.offsets["sum_ns"] // 8
_MAX = schema.HISTOGRAM.offsets["max_ns"] // 8
_NEGATIVE = schema.HISTOGRAM.offsets["negative"] // 8
_COUNT = schema.HISTOGRAM.offsets["count"] // 8

_ANY = Layout(
    "any",
    schema.RECORD_HEADER,
    Field("payload", f"text:{_PAYLOAD_BYTES}"),
    Field("stamp", "u64"),
)


class _Abandoned(Exception):
    """A test stopped the writer between two stores."""


class Writer(Reader):
    """Writes one mapped segment; its process holds the segment's lock."""

    _is_writer = True

    def __init__(
        self, buffer: Any, geometry: tuple[int, ...], epoch: int, source: int
    ) -> None:
        super().__init__(buffer, geometry)
        self._epoch = checks.as_unsigned(epoch, "epoch")
        self._source = checks.check_limit(source, 0xFF, "source")
        self._stores_left = -1

    def publish_quote(
        self,
        instrument: int,
        flags: int,
        session: int,
        event_ns: int,
        recv_ns: int,
        venue_sequence: int,
        bid: float,
        bid_size: float,
        ask: float,
        ask_size: float,
    ) -> int | None:
        """Publish a quote in latest and ring; return its number in the ring."""
        return self._publish(
            schema.QUOTE.struct,
            codes.KIND_QUOTE,
            TO_LATEST | TO_RING,
            self._source,
            instrument,
            (flags, session, event_ns, recv_ns, venue_sequence),
            (bid, bid_size, ask, ask_size),
        )

    def publish(
        self,
        kind: int,
        where: int,
        instrument: int,
        flags: int,
        session: int,
        event_ns: int,
        recv_ns: int,
        venue_sequence: int,
        payload: bytes,
        source: int,
    ) -> int | None:
        """Publish any kind of record; `source` 0 is the writer's own."""
        kind = checks.check_limit(kind, 0xFF, "kind")
        where = checks.check_limit(where, TO_LATEST | TO_RING | TO_FUNDING, "where")
        if not isinstance(payload, bytes):
            raise TypeError(f"bytes expected: {type(payload).__name__}")
        if len(payload) != _PAYLOAD_BYTES:
            raise ValueError(f"wrong payload size: payload_bytes={len(payload)}")
        source = checks.check_limit(source, 0xFF, "source") or self._source
        return self._publish(
            _ANY.struct,
            kind,
            where,
            source,
            instrument,
            (flags, session, event_ns, recv_ns, venue_sequence),
            (payload,),
        )

    def count(self, index: int, amount: int) -> None:
        """Add to a counter."""
        index = checks.check_index(index, self._counters_max, "counter")
        amount = checks.as_unsigned(amount, "amount")
        self._check_epoch()
        first = self._counters + schema.COUNTERS.size_bytes
        self._add((first + index * schema.COUNTER.size_bytes) // 8, amount)

    def record(self, index: int, value_ns: int) -> None:
        """Add a value to a histogram."""
        index = checks.check_index(index, self._histograms_max, "histogram")
        value_ns = checks.as_signed(value_ns, "value_ns")
        self._check_epoch()
        first = self._histograms + schema.HISTOGRAMS.size_bytes
        base = (first + index * schema.HISTOGRAM.size_bytes) // 8
        if value_ns < 0:
            self._add(base + _NEGATIVE, 1)
        else:
            self._add(base + _BUCKETS + checks.bucket_of(value_ns), 1)
            self._add(base + _SUM, value_ns)
            if value_ns > self._words[base + _MAX]:
                self._words[base + _MAX] = value_ns
        self._add(base + _COUNT, 1)

    def beat(self, now_ns: int, progress: int) -> None:
        """Store progress, then the heartbeat."""
        now_ns = checks.as_signed(now_ns, "now_ns")
        progress = checks.as_unsigned(progress, "progress")
        self._check_epoch()
        owner = self._owner
        self._words[(owner + schema.OWNER.offsets["progress"]) // 8] = progress
        heartbeat = (owner + schema.OWNER.offsets["heartbeat_ns"]) // 8
        self._words[heartbeat] = now_ns & MASK

    def store(self, offset: int, value: int) -> None:
        """Store one word at that byte offset."""
        word = self._word_of(offset)
        value = checks.as_unsigned(value, "value")
        self._check_epoch()
        self._words[word] = value

    def disown(self) -> None:
        """Make every later publish raise `OwnershipLost`: this is a forked child."""
        self._epoch = MASK

    def abandon_after(self, stores: int) -> None:
        """Stop each publish after that many 8-byte stores; -1 never. For tests."""
        self._stores_left = checks.as_signed(stores, "stores")

    # --- the two protocols, write side ---------------------------------------------

    def _publish(
        self,
        layout: struct.Struct,
        kind: int,
        where: int,
        source: int,
        instrument: int,
        head: tuple[int, int, int, int, int],
        payload: tuple[float | bytes, ...],
    ) -> int | None:
        instrument = checks.check_index(instrument, self._instruments_max, "instrument")
        self._check_epoch()
        flags, session, event_ns, recv_ns, venue_sequence = head
        sequence = (self.head() + 1) & MASK if where & TO_RING else 0
        try:
            record = layout.pack(
                sequence,
                kind,
                source,
                flags,
                instrument,
                self._epoch & 0xFFFF_FFFF,
                session,
                event_ns,
                recv_ns,
                time.monotonic_ns(),
                venue_sequence,
                *payload,
                0,
            )[:STAMP]
        except struct.error:
            checks.check_values(head, payload)  # says what is wrong with which of them
            raise
        try:
            if where & TO_LATEST:
                self._slot_write(self._latest, instrument, record)
            if where & TO_FUNDING:
                self._slot_write(self._funding, instrument, record)
            if where & TO_RING:
                self._ring_write(record + sequence.to_bytes(8, "little"))
        except _Abandoned:
            return None
        return sequence

    def _slot_write(self, section: int, instrument: int, record: bytes) -> None:
        base = section + instrument * SLOT_BYTES
        index = (self._words[base // 8] + 1) & MASK or 2  # 0 means never written
        self._copy_in(
            base + CELL + (index & 1) * RECORD_BYTES,
            record + index.to_bytes(8, "little"),
        )
        # ORDER: pairs with read_slot: stores stay in order on x86-64.
        self._store_step(base // 8, index)

    def _ring_write(self, record: bytes) -> None:
        tail = self.head()
        following = (tail + 1) & MASK
        self._store_step(self._ring + INTENT, following)
        # ORDER: pairs with _ring_read: the record is stored after its intent.
        self._copy_in(
            self._records + (tail & (self._ring_slots - 1)) * RECORD_BYTES, record
        )
        # ORDER: pairs with _ring_read: the tail is stored after the record.
        self._store_step(self._ring + TAIL, following)

    def _copy_in(self, offset: int, record: bytes) -> None:
        if self._stores_left < 0:
            self._bytes[offset : offset + RECORD_BYTES] = record
            return
        for word, value in enumerate(memoryview(record).cast("Q")):
            self._store_step(offset // 8 + word, value)

    def _store_step(self, word: int, value: int) -> None:
        if self._stores_left == 0:
            raise _Abandoned
        if self._stores_left > 0:
            self._stores_left -= 1
        self._words[word] = value

    def _add(self, word: int, amount: int) -> None:
        self._words[word] = (self._words[word] + amount) & MASK

    def _check_epoch(self) -> None:
        found = self._words[(self._owner + schema.OWNER.offsets["epoch"]) // 8]
        if found != self._epoch:
            raise OwnershipLost(
                f"a foreign epoch is in place: epoch={self._epoch} found={found}"
            )
