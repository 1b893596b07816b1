"""The broadcast ring: every record once and in order, or counted as lost."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shm_layout.core import TO_RING
from shm_layout.limits import RECORD_BYTES, Capacities
from tests.shm_layout.memory import (
    MASK,
    PAIRS,
    SMALL,
    Pair,
    linked,
    number_of,
    records,
)

SLOTS = SMALL.ring_slots


def drain(pair: Pair, cursor: int, budget: int = 64) -> tuple[list[int], int, int]:
    """Return the numbers of the drained records, what was lost, the new cursor."""
    out = records(budget)
    count, lost, cursor = pair.reader.drain(cursor, out)
    return [number_of(bytes(record)) for record in out[:count]], lost, cursor


def test_records_arrive_once_and_in_order(pair: Pair) -> None:
    for number in range(1, SLOTS + 1):
        assert pair.publish(number) == number
    numbers, lost, cursor = drain(pair, 0)
    assert numbers == list(range(1, SLOTS + 1))
    assert (lost, cursor) == (0, SLOTS)
    assert drain(pair, cursor) == ([], 0, SLOTS)


def test_head_counts_what_was_published(pair: Pair) -> None:
    assert pair.reader.head() == 0
    for number in range(1, 3 * SLOTS):
        pair.publish(number)
        assert pair.reader.head() == number == pair.writer.head()


@pytest.mark.parametrize("budget", [1, 2, 3, 5, SLOTS])
def test_budget_bounds_one_drain_and_the_next_goes_on(pair: Pair, budget: int) -> None:
    for number in range(1, SLOTS + 1):
        pair.publish(number)
    cursor, received = 0, []
    while cursor < SLOTS:
        numbers, lost, cursor = drain(pair, cursor, budget)
        assert 0 < len(numbers) <= budget
        assert lost == 0
        received += numbers
    assert received == list(range(1, SLOTS + 1))


def test_budget_of_nothing_moves_nothing(pair: Pair) -> None:
    pair.publish(1)
    assert drain(pair, 0, budget=0) == ([], 0, 0)


@pytest.mark.parametrize("more", [1, 2, SLOTS - 1, SLOTS, 5 * SLOTS + 3])
def test_lapped_reader_counts_what_it_lost_and_resumes_safely(
    pair: Pair, more: int
) -> None:
    sent = SLOTS + more
    for number in range(1, sent + 1):
        pair.publish(number)
    numbers, lost, cursor = drain(pair, 0)
    # It resumes half a ring behind the head: the oldest is overwritten next.
    assert lost == sent - SLOTS // 2
    assert numbers == list(range(lost + 1, sent + 1))
    assert cursor == sent


@pytest.mark.parametrize("ahead", [1, SLOTS, 1 << 40, (1 << 63) - 1])
def test_cursor_ahead_of_the_head_moves_back_to_it(pair: Pair, ahead: int) -> None:
    pair.publish(1)
    assert drain(pair, 1 + ahead) == ([], 0, 1)


@pytest.mark.parametrize("start", [(1 << 63) - 5, MASK - 4])
def test_wrap_of_the_record_number_is_harmless(pair: Pair, start: int) -> None:
    pair.memory.start_ring_at(start)
    cursor = start
    for number in range(1, 16):
        assert pair.publish(number) == (start + number) & MASK
        numbers, lost, cursor = drain(pair, cursor)
        assert (numbers, lost) == ([number], 0)
        assert cursor == (start + number) & MASK


@pytest.mark.parametrize("start", [(1 << 63) - 12, MASK - 11])
def test_lap_over_the_wrap_is_counted_exactly(pair: Pair, start: int) -> None:
    pair.memory.start_ring_at(start)
    for number in range(1, 21):
        pair.publish(number)
    numbers, lost, cursor = drain(pair, start)
    assert numbers == [17, 18, 19, 20]
    assert lost == 16
    assert cursor == (start + 20) & MASK


@settings(max_examples=60, deadline=None)
@given(
    slots=st.sampled_from([8, 16, 32]),
    steps=st.lists(
        st.tuples(st.integers(0, 80), st.integers(0, 40)), min_size=1, max_size=12
    ),
)
@pytest.mark.parametrize("names", PAIRS, ids="-to-".join)
def test_received_and_lost_is_what_was_sent(
    names: tuple[str, str], slots: int, steps: list[tuple[int, int]]
) -> None:
    pair = Pair(*names, Capacities(2, slots, 1, 1))
    sent = cursor = 0
    for publishes, budget in steps:
        for _ in range(publishes):
            sent += 1
            pair.publish(sent)
        before = cursor
        numbers, lost, cursor = drain(pair, cursor, budget)
        assert len(numbers) + lost == cursor - before
        assert numbers == list(range(cursor - len(numbers) + 1, cursor + 1))
        # A lap loses no more than it must: at least half a ring is still there.
        assert lost == 0 or sent - before > slots
    numbers, lost, cursor = drain(pair, cursor, 2 * slots)
    assert cursor == sent


def test_trade_in_the_ring_alone_keeps_its_place(pair: Pair) -> None:
    pair.publish(1)
    pair.writer.publish(2, TO_RING, 0, *linked(2)[:5], bytes(64), 0)
    pair.publish(3)
    out = records(8)
    assert pair.reader.drain(0, out)[0] == 3
    assert out["kind"][:3].tolist() == [1, 2, 1]
    assert out["sequence"][:3].tolist() == out["stamp"][:3].tolist() == [1, 2, 3]


# --- damage and what a dead writer leaves ---------------------------------------------


def test_announced_record_makes_the_oldest_unsafe(pair: Pair) -> None:
    for number in range(1, SLOTS + 1):
        pair.publish(number)
    # A writer died after it announced record SLOTS + 1, which goes where 1 was.
    pair.memory[pair.memory.ring("intent")] = SLOTS + 1
    numbers, lost, cursor = drain(pair, 0)
    assert lost == SLOTS // 2
    assert numbers == list(range(SLOTS // 2 + 1, SLOTS + 1))
    assert cursor == SLOTS

    pair.publish(SLOTS + 1)
    assert drain(pair, cursor) == ([SLOTS + 1], 0, SLOTS + 1)


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("intent", 0),
        ("intent", 1 << 40),
        ("intent", MASK),
        ("tail", 1 << 40),
        ("tail", (1 << 63) + 3),
        ("tail", MASK),
    ],
)
def test_nonsense_in_the_ring_gives_no_unwritten_record(
    pair: Pair, word: str, value: int
) -> None:
    for number in range(1, 4):
        pair.publish(number)
    pair.memory[pair.memory.ring(word)] = value
    out = records(64)
    out["kind"] = 99

    count, _, _ = pair.reader.drain(2, out)
    assert out["kind"][:count].tolist() == [1] * count, "bytes nobody wrote"


@pytest.mark.parametrize("value", [1 << 40, MASK])
def test_nonsense_intent_loses_nothing_once_it_is_healed(
    pair: Pair, value: int
) -> None:
    for number in range(1, 4):
        pair.publish(number)
    pair.memory[pair.memory.ring("intent")] = value
    assert drain(pair, 1) == ([], 0, 1), "it looks again later"

    pair.publish(4)
    assert drain(pair, 1) == ([2, 3, 4], 0, 4)


# --- what it may be drained into ------------------------------------------------------


def test_bytes_and_arrays_are_drained_into_alike(pair: Pair) -> None:
    for number in (1, 2):
        pair.publish(number)
    rooms: list[Any] = [
        bytearray(4 * RECORD_BYTES),
        memoryview(bytearray(4 * RECORD_BYTES + 3))[3:],
        records(4),
        records(4).reshape(2, 2),
    ]
    for room in rooms:
        assert pair.reader.drain(0, room) == (2, 0, 2)
        data = bytes(room)
        assert number_of(data[:RECORD_BYTES]) == 1
        assert number_of(data[RECORD_BYTES : 2 * RECORD_BYTES]) == 2


def test_neighbours_of_the_room_are_not_written(pair: Pair) -> None:
    for number in range(1, SLOTS + 1):
        pair.publish(number)
    out = records(5)
    out["kind"] = 99
    assert pair.reader.drain(0, out[1:4]) == (3, 0, 3)
    assert out["kind"].tolist() == [99, 1, 1, 1, 99]


def test_ring_is_shared_by_native_and_twin_readers_alike() -> None:
    pair = Pair("native", "twin")
    other = pair.memory.reader("native")
    for number in range(1, 4 * SLOTS):
        pair.publish(number)
        for budget in (1, 3, 64):
            left, right = records(budget), records(budget)
            assert pair.reader.drain(0, left) == other.drain(0, right)
            assert bytes(left) == bytes(right)
