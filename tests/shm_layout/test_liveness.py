"""The words of the liveness channel: one for each instrument and one for the venue."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from shm_layout import Capacities, OwnershipLost, Reader, Writer, segment
from tests.shm_layout.memory import SMALL, Memory, Pair, linked

ROLE = "feed:venue"


@pytest.fixture
def writer(instance: str) -> Iterator[Writer]:
    """An open writer with room for four instruments."""
    capacities = Capacities(instruments=4, ring_slots=8, counters=2, histograms=1)
    with Writer.open(instance, ROLE, capacities) as opened:
        yield opened
        opened.close(unlink=True)
    segment.remove_leftover(segment.segment_name(instance, ROLE))


@pytest.fixture
def reader(instance: str, writer: Writer) -> Iterator[Reader]:
    """A reader of that writer's segment."""
    with Reader.attach(instance, ROLE) as attached:
        yield attached


def test_nothing_ticked_before_the_first_tick(reader: Reader) -> None:
    assert reader.liveness_ns() == 0
    assert reader.liveness().tolist() == [0, 0, 0, 0]
    assert reader.liveness().dtype == np.int64
    assert reader.owner().liveness_ns == 0


def test_tick_is_stamped_for_its_instrument_and_its_venue(
    writer: Writer, reader: Reader
) -> None:
    writer.stamp_liveness(2, 70)
    writer.stamp_liveness(0, 71)
    writer.stamp_liveness(2, 90)
    assert reader.liveness().tolist() == [71, 0, 90, 0]
    assert reader.liveness_ns() == reader.owner().liveness_ns == 90


def test_what_was_read_does_not_change_afterwards(
    writer: Writer, reader: Reader
) -> None:
    before = reader.liveness()
    writer.stamp_liveness(1, 5)
    assert before.tolist() == [0, 0, 0, 0]
    before[3] = 9  # it is the reader's own
    assert reader.liveness().tolist() == [0, 5, 0, 0]


def test_tick_touches_no_quote_and_no_quote_touches_a_tick(
    writer: Writer, reader: Reader
) -> None:
    writer.publish_quote(1, *linked(3))
    record = reader.read_slot(1)
    writer.stamp_liveness(1, 8)
    assert reader.read_slot(1) == record
    writer.publish_quote(1, *linked(4))
    assert reader.liveness().tolist() == [0, 8, 0, 0]


@pytest.mark.parametrize("index", [-1, 4, 1 << 40])
def test_tick_of_no_instrument_is_refused(
    writer: Writer, reader: Reader, index: int
) -> None:
    before = bytes(writer._mapping)
    with pytest.raises(ValueError, match="no such instrument"):
        writer.stamp_liveness(index, 5)
    assert bytes(writer._mapping) == before


def test_ticks_outlive_their_writer(instance: str, writer: Writer) -> None:
    writer.stamp_liveness(3, 44)
    capacities = writer.capacities
    writer.close()
    with pytest.raises(AttributeError):
        writer.stamp_liveness(3, 45)
    heir = Writer.open(instance, ROLE, capacities)
    assert heir.adopted
    assert heir.liveness().tolist() == [0, 0, 0, 44]
    heir.close(unlink=True)


def test_disowned_writer_stamps_nothing(writer: Writer, reader: Reader) -> None:
    writer.disown()
    with pytest.raises(OwnershipLost):
        writer.stamp_liveness(0, 5)
    assert reader.liveness_ns() == 0


# --- words, by both implementations ---------------------------------------------------


def test_words_arrive_as_they_were_stored(pair: Pair) -> None:
    start = pair.memory.plan.liveness_offset
    for index in range(SMALL.instruments):
        pair.writer.store(start + 8 * index, (1 << 63) + index)
    out = np.zeros(SMALL.instruments, np.uint64)
    pair.reader.load_words(start, out)
    assert out.tolist() == [(1 << 63) + index for index in range(SMALL.instruments)]


def test_room_at_an_odd_address_is_filled_and_nothing_beside_it(
    name: str, memory: Memory
) -> None:
    memory[8] = 0x0102_0304_0506_0708
    memory[16] = 9
    room = bytearray(4 + 16 + 4)
    memory.reader(name).load_words(8, memoryview(room)[4:20])
    assert room[4:12] == (0x0102_0304_0506_0708).to_bytes(8, "little")
    assert room[12:20] == (9).to_bytes(8, "little")
    assert room[:4] == room[20:] == bytes(4)
