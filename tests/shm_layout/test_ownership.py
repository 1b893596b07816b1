"""A writer whose epoch is not in place writes nothing; nothing is held or leaked."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest

from shm_layout import OwnershipLost
from shm_layout.core import TO_FUNDING, TO_LATEST, TO_RING
from shm_layout.limits import RECORD_BYTES
from tests.shm_layout.memory import EPOCH, MASK, Memory, linked, load

Call = Callable[[Any], object]
WRITES: dict[str, Call] = {
    "quote": lambda w: w.publish_quote(0, *linked(1)),
    "latest": lambda w: w.publish(1, TO_LATEST, 0, *linked(1)[:5], bytes(64), 0),
    "ring": lambda w: w.publish(2, TO_RING, 0, *linked(1)[:5], bytes(64), 0),
    "funding": lambda w: w.publish(3, TO_FUNDING, 0, *linked(1)[:5], bytes(64), 2),
    "count": lambda w: w.count(0, 1),
    "record": lambda w: w.record(0, 1),
    "beat": lambda w: w.beat(1, 1),
    "store": lambda w: w.store(8, 1),
}

every_write = pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)


@every_write
@pytest.mark.parametrize("found", [0, EPOCH - 1, EPOCH + 1, EPOCH + (1 << 32), MASK])
def test_foreign_epoch_ends_every_write(
    name: str, memory: Memory, write: Call, found: int
) -> None:
    writer = memory.writer(name)
    memory[memory.owner("epoch")] = found
    before = bytes(memory.bytes)
    for _ in range(2):
        with pytest.raises(OwnershipLost, match=f"epoch={EPOCH} found={found}"):
            write(writer)
    assert bytes(memory.bytes) == before
    assert writer.read_slot(0) is None, "reading is still allowed"


@every_write
def test_disowned_writer_writes_nothing(name: str, memory: Memory, write: Call) -> None:
    writer = memory.writer(name)
    writer.disown()
    before = bytes(memory.bytes)
    with pytest.raises(OwnershipLost):
        write(writer)
    assert bytes(memory.bytes) == before


@every_write
def test_owner_may_write(name: str, memory: Memory, write: Call) -> None:
    before = bytes(memory.bytes)
    write(memory.writer(name))
    assert bytes(memory.bytes) != before


def test_records_carry_the_low_half_of_the_epoch(name: str) -> None:
    memory = Memory()
    epoch = (5 << 32) + 3
    memory[memory.owner("epoch")] = epoch
    memory.writer(name, epoch).publish_quote(0, *linked(1))
    record = memory.reader(name).read_slot(0)
    assert record is not None
    assert int.from_bytes(record[16:20], "little") == 3


def test_source_is_the_writers(name: str, memory: Memory) -> None:
    memory.writer(name, source=2).publish_quote(0, *linked(1))
    record = memory.reader(name).read_slot(0)
    assert record is not None
    assert record[9] == 2


# --- references -----------------------------------------------------------------------


def test_room_is_let_go_after_every_call(name: str, memory: Memory) -> None:
    writer = memory.writer(name)
    writer.publish_quote(0, *linked(1))
    room = bytearray(2 * RECORD_BYTES)
    wrong = bytearray(RECORD_BYTES + 1)
    for _ in range(3):
        writer.drain(0, room)
        writer.read_slots(room)
        writer.read_fundings(room)
        writer.load_words(8, room)
        refused: list[Callable[[], object]] = [
            lambda: writer.drain(0, wrong),
            lambda: writer.read_slots(wrong),
            lambda: writer.read_fundings(wrong),
            lambda: writer.load_words(8, wrong),
        ]
        for call in refused:
            with pytest.raises(ValueError, match="not an array of"):
                call()
        with pytest.raises(ValueError, match="not inside"):
            writer.load_words(memory.plan.segment_bytes - 8, room)
    # A buffer that somebody still holds cannot grow.
    room.extend(b"x")
    wrong.extend(b"x")


def test_no_call_keeps_or_drops_a_reference(name: str, memory: Memory) -> None:
    writer, reader = memory.writer(name), memory.reader(name)
    values: list[Any] = [1 << 70, 2.5, 1 << 40, -(1 << 40), b"p" * 64, bytearray(256)]
    large, real, amount, below, payload, room = values
    calls: list[Callable[[], object]] = [
        lambda: writer.publish_quote(0, 0, 0, amount, below, amount, *[real] * 4),
        lambda: writer.publish_quote(0, 0, 0, amount, below, large, *[real] * 4),
        lambda: writer.publish_quote(large, *linked(1)),
        lambda: writer.publish(1, 3, 0, 0, 0, below, amount, amount, payload, 0),
        lambda: writer.publish(1, 3, 0, 0, 0, below, large, amount, payload, 0),
        lambda: writer.count(0, amount),
        lambda: writer.record(0, below),
        lambda: writer.record(0, large),
        lambda: writer.drain(amount, room),
        lambda: writer.drain(large, room),
        lambda: writer.read_slots(room),
        lambda: writer.read_judged(0, reader, 0, amount, amount, below),
        lambda: writer.read_judged(0, writer, 0, amount, amount, below),
        lambda: writer.read_judged(0, reader, large, amount, amount, below),
        lambda: writer.read_slot(large),
        lambda: writer.publish(1, 7, 0, 0, 0, below, amount, amount, payload, large),
        lambda: writer.read_funding(0),
        lambda: writer.read_funding(large),
        lambda: writer.read_fundings(room),
        lambda: writer.load_words(8, room),
        lambda: writer.load_words(amount, room),
        lambda: writer.load_words(8, payload),
        lambda: load(name).Reader(memory.bytes, memory.plan.geometry()),
        lambda: load(name).Writer(memory.bytes, memory.plan.geometry(), amount, 1),
        lambda: load(name).Writer(memory.bytes, memory.plan.geometry(), large, 1),
        lambda: load(name).Reader(payload, memory.plan.geometry()),
    ]
    kinds = [load(name).Reader, load(name).Writer]
    watched = [*values, memory.bytes, reader, None, True, *kinds]

    def run() -> None:
        for call in calls:
            try:
                call()
            except (OverflowError, TypeError, ValueError, BufferError):
                continue

    run()  # whatever is made once is made now
    before = [sys.getrefcount(value) for value in watched]
    for _ in range(200):
        run()
    after = [sys.getrefcount(value) for value in watched]
    drift = [new - old for new, old in zip(after, before, strict=True)]
    assert all(abs(change) < 100 for change in drift), drift
