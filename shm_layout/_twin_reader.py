"""The read side of the Python twin: what `feedhandler_shm.h` does, in Python.

See `_twin.py` for why this is safe on x86-64, and only there.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from shm_layout import _twin_checks as checks
from shm_layout import schema
from shm_layout._twin_judge import judge
from shm_layout.errors import SlotUnreadable
from shm_layout.limits import RECORD_BYTES, SLOT_RETRIES_MAX

if TYPE_CHECKING:
    from shm_layout.core import JudgedQuote

MASK = (1 << 64) - 1
SLOT_BYTES = schema.SLOT.size_bytes
CELL = schema.SLOT.offsets["cell"]
STAMP = schema.QUOTE.offsets["stamp"]
INTENT = schema.RING.offsets["intent"] // 8
TAIL = schema.RING.offsets["tail"] // 8


class Reader:
    """Reads one mapped segment; never waits for its writer."""

    _is_writer = False

    def __init__(self, buffer: Any, geometry: tuple[int, ...]) -> None:
        geometry = checks.as_geometry(geometry)
        (
            self._owner,
            self._counters,
            self._counters_max,
            self._latest,
            self._instruments_max,
            ring,
            self._ring_slots,
            self._histograms,
            self._histograms_max,
            self._funding,
        ) = geometry
        self._bytes = memoryview(buffer).cast("B")
        if self._is_writer and self._bytes.readonly:
            raise BufferError("Object is not writable.")
        checks.check_geometry(geometry, len(self._bytes))
        self._words = self._bytes.cast("Q")
        self._heartbeat = (self._owner + schema.OWNER.offsets["heartbeat_ns"]) // 8
        self._link = (self._owner + schema.OWNER.offsets["link"]) // 8
        self._ring = ring // 8
        self._records = ring + schema.RING.size_bytes

    def load(self, offset: int) -> int:
        """Return the word at that byte offset."""
        return self._words[self._word_of(offset)]

    def load_words(self, offset: int, out: Any) -> None:
        """Copy words from that byte offset on, each whole, until `out` is full."""
        offset = checks.check_limit(offset, len(self._bytes) - 8, "offset")
        target = checks.items_of(out, 8, "words")
        if offset % 8 or offset + len(target) > len(self._bytes):
            raise ValueError(f"not aligned or not inside: offset={offset}")
        # One by one: a copy of the whole may be made of bytes.
        words = self._words[offset // 8 : (offset + len(target)) // 8].tolist()
        target[:] = b"".join(word.to_bytes(8, "little") for word in words)

    def head(self) -> int:
        """Return how many records were ever published in the ring."""
        return self._words[self._ring + TAIL]

    def read_slot(self, instrument: int) -> bytes | None:
        """Return the newest whole record, None before the first; see the C header."""
        instrument = checks.check_index(instrument, self._instruments_max, "instrument")
        return self._read_slot(self._latest, instrument)

    def read_funding(self, instrument: int) -> bytes | None:
        """Return the newest whole funding, None before the first."""
        instrument = checks.check_index(instrument, self._instruments_max, "instrument")
        return self._read_slot(self._funding, instrument)

    def _read_slot(self, section: int, instrument: int) -> bytes | None:
        base = section + instrument * SLOT_BYTES
        words, word = self._words, base // 8
        middle = base + CELL + RECORD_BYTES
        cells = (
            self._bytes[middle - RECORD_BYTES : middle],
            self._bytes[middle : middle + RECORD_BYTES],
        )
        for _ in range(SLOT_RETRIES_MAX):
            # Little stands between the loads, or each try would be overtaken again.
            index = words[word]
            record = cells[index & 1].tobytes()
            # ORDER: pairs with slot_write: loads stay in order on x86-64.
            if words[word] != index:
                continue
            if index == 0:
                return None
            if int.from_bytes(record[STAMP:], "little") == index:
                return record
        raise SlotUnreadable(f"slot failed its checks: instrument={instrument}")

    def read_judged(
        self,
        instrument: int,
        runner: Any,
        place: int | None,
        fresh_ns: int,
        heartbeat_limit_ns: int,
        confirm_limit_ns: int,
    ) -> JudgedQuote | None:
        """Return a quote's fields and its verdict; see `fh_gather` and `fh_judge`."""
        instrument = checks.check_index(instrument, self._instruments_max, "instrument")
        if runner is not None:
            if not isinstance(runner, Reader) or runner._is_writer:
                raise TypeError("runner is a Reader or None")
            if place is not None:
                place = checks.check_index(place, runner._instruments_max, "place")
        limits = (
            checks.as_signed(fresh_ns, "fresh_ns"),
            checks.as_signed(heartbeat_limit_ns, "heartbeat_limit_ns"),
            checks.as_signed(confirm_limit_ns, "confirm_limit_ns"),
        )
        record = self._read_slot(self._latest, instrument)
        if record is None:
            return None
        # Only after the quote: whoever died since it was copied is seen dead.
        heartbeat_ns, link = self._heartbeat_ns(), self._words[self._link]
        said, runner_heartbeat_ns = None, 0
        if runner is not None:
            if place is not None:
                said = runner._read_slot(runner._latest, place)
            runner_heartbeat_ns = runner._heartbeat_ns()
        now_ns = time.monotonic_ns()
        return judge(
            record, heartbeat_ns, link, said, runner_heartbeat_ns, now_ns, *limits
        )

    def _heartbeat_ns(self) -> int:
        word = self._words[self._heartbeat]
        return word - ((word >> 63) << 64)

    def read_slots(self, out: Any) -> int:
        """Fill `out` with every slot's record; return how many were unreadable."""
        return self._read_slots(self._latest, out)

    def read_fundings(self, out: Any) -> int:
        """Fill `out` with every newest funding; return how many were unreadable."""
        return self._read_slots(self._funding, out)

    def _read_slots(self, section: int, out: Any) -> int:
        records = checks.records_of(out)
        unreadable = 0
        for instrument in range(
            min(len(records) // RECORD_BYTES, self._instruments_max)
        ):
            start = instrument * RECORD_BYTES
            try:
                record = self._read_slot(section, instrument)
            except SlotUnreadable:
                record = None
                unreadable += 1
            records[start : start + RECORD_BYTES] = record or bytes(RECORD_BYTES)
        return unreadable

    def drain(self, cursor: int, out: Any) -> tuple[int, int, int]:
        """Copy records from `cursor` on; return how many, how many lost, new cursor."""
        cursor = checks.as_unsigned(cursor, "cursor")
        records = checks.records_of(out)
        room = len(records) // RECORD_BYTES
        drained = lost = 0
        while drained < room:
            count, lost_now, cursor = self._ring_read(
                cursor, records[drained * RECORD_BYTES :], room - drained
            )
            drained += count
            lost += lost_now
            if count == 0:
                break
        return drained, lost, cursor

    def _ring_read(
        self, cursor: int, out: memoryview, room: int
    ) -> tuple[int, int, int]:
        slots = self._ring_slots
        words = self._words
        room = min(room, slots // 4)  # a longer copy would be lapped while it runs
        lost = 0
        for _ in range(SLOT_RETRIES_MAX):
            tail = words[self._ring + TAIL]
            available = (tail - cursor) & MASK
            if available == 0 or available >> 63:
                return 0, lost, tail  # nothing new, or a cursor from elsewhere
            if available <= slots:
                count = min(available, room)
                self._copy_records(cursor, count, out)
                # ORDER: pairs with ring_write: the intent is loaded after the records.
                if (words[self._ring + INTENT] - cursor) & MASK <= slots:
                    return count, lost, (cursor + count) & MASK
            skipped = (words[self._ring + TAIL] - slots // 2 - cursor) & MASK
            if skipped == 0 or skipped >> 63:
                continue  # intent and tail contradict each other: look again
            lost += skipped
            cursor = (cursor + skipped) & MASK
        return 0, lost, cursor

    def _word_of(self, offset: int) -> int:
        offset = checks.check_limit(offset, len(self._bytes) - 8, "offset")
        if offset % 8:
            raise ValueError(f"not aligned: offset={offset}")
        return offset // 8

    def _copy_records(self, cursor: int, count: int, out: memoryview) -> None:
        first = cursor & (self._ring_slots - 1)
        before_wrap = min(count, self._ring_slots - first)
        split = before_wrap * RECORD_BYTES
        start = self._records + first * RECORD_BYTES
        out[:split] = self._bytes[start : start + split]
        rest = (count - before_wrap) * RECORD_BYTES
        out[split : split + rest] = self._bytes[self._records : self._records + rest]
