"""The latch slot: what was published is what is read, or nothing is."""

from __future__ import annotations

import math

import pytest

from shm_layout import codes
from shm_layout.core import TO_LATEST, TO_RING
from shm_layout.errors import SlotUnreadable
from shm_layout.limits import RECORD_BYTES
from tests.shm_layout.memory import (
    EPOCH,
    PAYLOAD,
    QUOTE_NAMES,
    SMALL,
    Pair,
    fields_of,
    is_same,
    linked,
    number_of,
    records,
)

NAN = math.nan
SIGNED_MAX = (1 << 63) - 1
WORD_MAX = (1 << 64) - 1
DENORMAL = 5e-324


@pytest.mark.parametrize(
    "values",
    [
        (0, 0, 0, 0, 0, 0.0, 0.0, 0.0, 0.0),
        (
            0xFFFF,
            0xFFFF_FFFF,
            SIGNED_MAX,
            SIGNED_MAX,
            WORD_MAX,
            1e308,
            1e-308,
            1.0,
            2.0,
        ),
        (1, 2, -(1 << 63), -(1 << 63), 1 << 63, -0.0, DENORMAL, -1e308, math.inf),
        (2, 1, codes.TIME_NONE, -1, 3, NAN, NAN, 100.5, 0.25),
        (2, 1, -1, 1, 3, 100.5, 0.25, NAN, -math.inf),
    ],
    ids=["zeros", "largest", "smallest", "no bid", "no ask"],
)
def test_every_field_of_a_quote_arrives(pair: Pair, values: tuple[float, ...]) -> None:
    sequence = pair.writer.publish_quote(2, *values)  # type: ignore[arg-type]

    fields = pair.read(2)
    names = ["flags", "session", "event_ns", "recv_ns", "venue_sequence"]
    assert [fields[name] for name in names] == list(values[:5])
    for name, value in zip(QUOTE_NAMES[-5:-1], values[5:], strict=True):
        assert is_same(fields[name], value), name
    assert sequence == fields["sequence"] == 1
    assert (fields["kind"], fields["source"]) == (codes.KIND_QUOTE, 1)
    assert (fields["instrument"], fields["epoch"]) == (2, EPOCH)
    assert fields["stamp"] == 1


@pytest.mark.parametrize("kind", [0, *codes.KIND_NAMES, 255])
def test_any_kind_arrives_with_its_payload(pair: Pair, kind: int) -> None:
    payload = bytes(range(64))
    pair.writer.publish(kind, TO_LATEST, 1, 5, 6, -7, 8, 9, payload, 0)

    record = pair.reader.read_slot(1)
    assert record is not None
    assert record[PAYLOAD] == payload
    fields = fields_of(record)
    assert (fields["kind"], fields["flags"], fields["session"]) == (kind, 5, 6)
    assert (fields["event_ns"], fields["recv_ns"]) == (-7, 8)
    assert fields["venue_sequence"] == 9
    assert fields["sequence"] == 0, "it is in no ring"


def test_publish_stamp_does_not_go_back(pair: Pair) -> None:
    stamps = []
    for number in range(20):
        pair.publish(number)
        stamps.append(pair.read()["publish_ns"])
    assert stamps == sorted(stamps)
    assert stamps[0] > 0


def test_slot_never_written_is_none(pair: Pair) -> None:
    pair.publish(1, instrument=0)
    assert pair.reader.read_slot(1) is None


def test_newest_record_is_read(pair: Pair) -> None:
    for number in range(1, 50):
        pair.publish(number)
        record = pair.reader.read_slot(0)
        assert record is not None
        assert number_of(record) == number


def test_instruments_do_not_mix(pair: Pair) -> None:
    for number in range(1, 40):
        pair.publish(number, instrument=number % SMALL.instruments)
    for instrument in range(SMALL.instruments):
        newest = max(n for n in range(1, 40) if n % SMALL.instruments == instrument)
        assert pair.read(instrument)["venue_sequence"] == newest
        assert pair.read(instrument)["instrument"] == instrument


@pytest.mark.parametrize("where", [0, TO_LATEST, TO_RING, TO_LATEST | TO_RING])
def test_record_goes_only_where_it_is_sent(pair: Pair, where: int) -> None:
    pair.writer.publish(1, where, 0, *linked(1)[:5], bytes(64), 0)
    assert (pair.reader.read_slot(0) is not None) == bool(where & TO_LATEST)
    assert pair.reader.head() == (1 if where & TO_RING else 0)


# --- all slots at once ----------------------------------------------------------------


def test_array_of_slots_holds_every_record(pair: Pair) -> None:
    for instrument in (0, 1, 3):
        pair.publish(10 + instrument, instrument)
    table = records(SMALL.instruments)
    table["kind"] = 99

    assert pair.reader.read_slots(table) == 0
    assert table["kind"].tolist() == [1, 1, 0, 1]
    assert table["venue_sequence"].tolist() == [10, 11, 0, 13]
    assert table["ask_size"].tolist() == [10.75, 11.75, 0.0, 13.75]
    assert bytes(table[2]) == bytes(RECORD_BYTES), "never written is all zeros"


@pytest.mark.parametrize("count", [0, 1, SMALL.instruments + 3])
def test_array_of_any_length_is_filled_as_far_as_it_goes(
    pair: Pair, count: int
) -> None:
    for instrument in range(SMALL.instruments):
        pair.publish(1, instrument)
    table = records(count)
    assert pair.reader.read_slots(table) == 0
    assert int(table["kind"].sum()) == min(count, SMALL.instruments)


def test_bytes_at_an_odd_address_are_filled_too(pair: Pair) -> None:
    pair.publish(5)
    room = bytearray(4 + RECORD_BYTES)
    assert pair.reader.read_slots(memoryview(room)[4:]) == 0
    assert number_of(bytes(room[4:])) == 5
    assert room[:4] == bytes(4)


# --- damage ---------------------------------------------------------------------------


def test_damaged_stamp_is_unreadable_and_heals_at_the_next_publish(pair: Pair) -> None:
    pair.publish(1)
    pair.publish(2)
    pair.memory[pair.memory.cell(0, 2) + RECORD_BYTES - 8] = 4
    with pytest.raises(SlotUnreadable, match="instrument=0"):
        pair.reader.read_slot(0)

    pair.publish(3)
    assert pair.read()["venue_sequence"] == 3


def test_array_of_slots_counts_the_damaged_and_leaves_zeros(pair: Pair) -> None:
    for instrument in range(SMALL.instruments):
        pair.publish(1, instrument)
    for instrument in (1, 2):
        pair.memory[pair.memory.cell(instrument, 1) + RECORD_BYTES - 8] ^= 1
    table = records(SMALL.instruments)
    table["kind"] = 99

    assert pair.reader.read_slots(table) == 2
    assert table["kind"].tolist() == [1, 0, 0, 1]


@pytest.mark.parametrize("index", [2, 1 << 32, (1 << 63) - 1, 1 << 63, WORD_MAX])
def test_nonsense_index_stays_inside_and_heals(pair: Pair, index: int) -> None:
    pair.publish(1)
    pair.memory[pair.memory.slot(0)] = index
    with pytest.raises(SlotUnreadable):
        pair.reader.read_slot(0)

    before = bytes(pair.memory.bytes)
    pair.publish(2)
    assert pair.read()["venue_sequence"] == 2
    slot = pair.memory.slot(0)
    ring = pair.memory.plan.ring_offset
    changed = [i for i in range(len(before)) if before[i] != pair.memory.bytes[i]]
    slot_end = slot + 3 * RECORD_BYTES
    assert all(slot <= i < slot_end or i >= ring for i in changed)


@pytest.mark.parametrize("start", [(1 << 63) - 5, WORD_MAX - 4])
def test_index_wraps_without_a_lost_or_old_record(pair: Pair, start: int) -> None:
    pair.memory[pair.memory.slot(0)] = start
    for number in range(1, 16):
        pair.publish(number)
        assert pair.read()["venue_sequence"] == number
        assert pair.memory[pair.memory.slot(0)] != 0, "zero means never written"


def test_writer_never_touches_the_published_cell(pair: Pair) -> None:
    for number in range(1, 10):
        pair.publish(number)
        index = pair.memory[pair.memory.slot(0)]
        cell = pair.memory.cell(0, index)
        before = bytes(pair.memory.bytes[cell : cell + RECORD_BYTES])
        pair.writer.abandon_after(16)  # the whole other cell, but not the index
        pair.publish(1000)
        pair.writer.abandon_after(-1)
        assert bytes(pair.memory.bytes[cell : cell + RECORD_BYTES]) == before
