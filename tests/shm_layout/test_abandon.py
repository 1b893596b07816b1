"""A writer that stops after store k, for every k: readers see old or new, never a mix.

A publish is 35 stores: 16 words of the unpublished cell, the index, the ring's intent,
16 words of the ring's record, the tail. Dying between two of them leaves exactly the
memory that an abandoned publish leaves.
"""

from __future__ import annotations

import pytest

from shm_layout.core import CoreWriter
from shm_layout.errors import SlotUnreadable
from shm_layout.limits import RECORD_BYTES
from tests.shm_layout.memory import (
    EPOCH,
    MASK,
    SMALL,
    Memory,
    Pair,
    linked,
    number_of,
    records,
)

WORDS = RECORD_BYTES // 8
STORES = (WORDS + 1) + (1 + WORDS + 1)
SLOTS = SMALL.ring_slots
STARTS = [0, 1, SLOTS - 1, SLOTS, 3 * SLOTS + 2]


def published(pair: Pair, count: int) -> None:
    for number in range(1, count + 1):
        pair.publish(number)


def successor(pair: Pair, name: str) -> CoreWriter:
    """Return the writer that adopts the memory of the dead one."""
    pair.memory[pair.memory.owner("epoch")] = EPOCH + 1
    return pair.memory.writer(name, EPOCH + 1)


def latest_number(pair: Pair) -> int:
    record = pair.reader.read_slot(0)
    return 0 if record is None else number_of(record)


def drained(pair: Pair, cursor: int) -> tuple[list[int], int, int]:
    out = records(4 * SLOTS)
    count, lost, cursor = pair.reader.drain(cursor, out)
    return [number_of(bytes(record)) for record in out[:count]], lost, cursor


@pytest.mark.parametrize("before", STARTS)
def test_every_k_leaves_the_last_whole_record(pair: Pair, before: int) -> None:
    for stores in range(STORES):
        pair = Pair(pair.writer_name, pair.reader_name)
        published(pair, before)
        pair.writer.abandon_after(stores)
        assert pair.publish(before + 1) is None, stores

        # The index store comes after the 16 words of the cell.
        assert latest_number(pair) == before + (stores > WORDS)
        # The tail is the very last store, so the ring never shows the new record.
        assert pair.reader.head() == before
        first = max(0, before - SLOTS // 2)
        numbers, lost, cursor = drained(pair, first)
        assert numbers == list(range(first + 1, before + 1)), stores
        assert (lost, cursor) == (0, before)


def test_publish_takes_that_many_stores(pair: Pair) -> None:
    pair.writer.abandon_after(STORES)
    assert pair.publish(1) == 1
    assert pair.publish(2) is None, "the hook stays until it is taken away"
    pair.writer.abandon_after(-1)
    assert pair.publish(2) == 2


@pytest.mark.parametrize("before", STARTS)
def test_successor_continues_after_every_k(pair: Pair, before: int) -> None:
    for stores in range(STORES):
        pair = Pair(pair.writer_name, pair.reader_name)
        published(pair, before)
        pair.writer.abandon_after(stores)
        pair.publish(1_000_000)

        heir = successor(pair, pair.reader_name)
        cursor = pair.reader.head()
        for number in range(before + 1, before + SLOTS // 2 + 1):
            assert heir.publish_quote(0, *linked(number)) == number
            assert latest_number(pair) == number
        numbers, lost, cursor = drained(pair, cursor)
        assert numbers == list(range(before + 1, before + SLOTS // 2 + 1)), stores
        assert (lost, cursor) == (0, before + SLOTS // 2)


def test_reader_lapped_around_an_abandoned_append_loses_exactly_that(
    pair: Pair,
) -> None:
    for stores in range(STORES):
        pair = Pair(pair.writer_name, pair.reader_name)
        published(pair, SLOTS)
        pair.writer.abandon_after(stores)
        pair.publish(1_000_000)
        numbers, lost, cursor = drained(pair, 0)
        # Once the intent is stored, the oldest record may be half overwritten.
        expected_lost = SLOTS // 2 if stores > WORDS + 1 else 0
        assert lost == expected_lost, stores
        assert numbers == list(range(expected_lost + 1, SLOTS + 1)), stores

        heir = successor(pair, pair.reader_name)
        for number in range(SLOTS + 1, 3 * SLOTS + 1):
            heir.publish_quote(0, *linked(number))
        numbers, lost, cursor = drained(pair, cursor)
        assert len(numbers) + lost == 2 * SLOTS, stores
        assert numbers == list(range(SLOTS + 1 + lost, 3 * SLOTS + 1)), stores


@pytest.mark.parametrize("start", [(1 << 63) - 2, MASK - 1, MASK])
def test_every_k_at_the_wrap(pair: Pair, start: int) -> None:
    for stores in range(STORES):
        pair = Pair(pair.writer_name, pair.reader_name)
        pair.memory.start_ring_at(start)
        pair.memory[pair.memory.slot(0)] = start - 1
        pair.publish(1)
        pair.writer.abandon_after(stores)
        pair.publish(2)
        assert latest_number(pair) == 1 + (stores > WORDS), stores
        assert drained(pair, start) == ([1], 0, (start + 1) & MASK), stores

        heir = successor(pair, pair.writer_name)
        for number in (3, 4, 5):
            heir.publish_quote(0, *linked(number))
            assert latest_number(pair) == number
        assert drained(pair, start) == ([1, 3, 4, 5], 0, (start + 4) & MASK), stores


def test_two_deaths_in_a_row_lose_nothing_more(pair: Pair) -> None:
    for first in range(0, STORES, 3):
        for second in range(0, STORES, 3):
            pair = Pair(pair.writer_name, pair.reader_name)
            published(pair, SLOTS)
            for stores in (first, second):
                pair.writer.abandon_after(stores)
                pair.publish(SLOTS + 1)
            pair.writer.abandon_after(-1)
            assert latest_number(pair) in (SLOTS, SLOTS + 1)
            assert pair.publish(SLOTS + 1) == SLOTS + 1
            assert drained(pair, SLOTS) == ([SLOTS + 1], 0, SLOTS + 1)


@pytest.mark.parametrize("stores", range(WORDS + 1))
def test_first_record_of_all_abandoned_is_as_if_never_begun(
    pair: Pair, stores: int
) -> None:
    pair.writer.abandon_after(stores)
    pair.publish(1)
    assert pair.reader.read_slot(0) is None
    table = records(SMALL.instruments)
    assert pair.reader.read_slots(table) == 0
    assert not table["kind"].any()


def test_damage_by_a_second_writer_is_seen(memory: Memory, name: str) -> None:
    # What the checks are for: without the stamp this mix would be read as a record.
    one, other = memory.writer(name), memory.writer(name)
    one.publish_quote(0, *linked(1))
    one.abandon_after(WORDS // 2)
    one.publish_quote(0, *linked(2))
    other.abandon_after(0)
    other.publish_quote(0, *linked(3))
    memory[memory.slot(0)] = 2
    with pytest.raises(SlotUnreadable):
        memory.reader(name).read_slot(0)
