"""The newest funding of an instrument: a latch of its own, read at any moment.

A funding goes to its latest slot first and to the ring then: 17 stores, then 18.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pytest

from shm_layout import (
    SOURCE_REST,
    SOURCE_STREAM,
    TIME_NONE,
    Capacities,
    Reader,
    SlotUnreadable,
    Writer,
    codes,
    schema,
)
from shm_layout.core import TO_FUNDING, TO_LATEST, TO_RING
from shm_layout.limits import RECORD_BYTES
from tests.shm_layout.memory import (
    EPOCH,
    MASK,
    PAYLOAD,
    SMALL,
    Memory,
    Pair,
    is_same,
    linked,
    number_of,
    records,
)

ROLE = "feed:venue"
HOUR_NS = 3_600_000_000_000
VALUES = (1.25e-5, HOUR_NS, 77, 3.0, 3.1, math.nan, 7.0)
NAMES = [field.name for field in schema.FUNDING.fields]
WORDS = RECORD_BYTES // 8
SLOT_STORES = WORDS + 1


def publish(pair: Pair, number: int, instrument: int = 0, source: int = 0) -> Any:
    """Publish, as funding, the record whose every field follows from `number`."""
    payload = schema.QUOTE.struct.pack(*[0] * 11, *linked(number)[5:], 0)[PAYLOAD]
    return pair.writer.publish(
        codes.KIND_FUNDING,
        TO_FUNDING | TO_RING,
        instrument,
        *linked(number)[:5],
        payload,
        source,
    )


def newest(pair: Pair, instrument: int = 0) -> int:
    """Return the number of the newest funding, 0 before the first."""
    record = pair.reader.read_funding(instrument)
    return 0 if record is None else number_of(record)


def fields_of(record: bytes | None) -> dict[str, Any]:
    assert record is not None
    return dict(zip(NAMES, schema.FUNDING.struct.unpack(record), strict=True))


# --- both implementations, and across both --------------------------------------------


def test_newest_funding_is_read_and_counts_in_the_ring(pair: Pair) -> None:
    assert pair.reader.read_funding(0) is None
    for number in range(1, 30):
        assert publish(pair, number) == number
        assert newest(pair) == number
    assert pair.reader.head() == 29


def test_funding_and_quote_do_not_touch_each_other(pair: Pair) -> None:
    for number in range(1, 20):
        publish(pair, number, number % 2)
        pair.publish(100 + number, number % 2)
    assert [newest(pair, index) for index in (0, 1)] == [18, 19]
    assert [pair.read(index)["venue_sequence"] for index in (0, 1)] == [118, 119]
    assert pair.reader.read_funding(2) is None
    assert pair.reader.read_slot(2) is None


@pytest.mark.parametrize("where", range(8))
def test_record_goes_only_where_it_is_sent(pair: Pair, where: int) -> None:
    pair.writer.publish(3, where, 1, *linked(1)[:5], bytes(64), 0)
    assert (pair.reader.read_slot(1) is not None) == bool(where & TO_LATEST)
    assert (pair.reader.read_funding(1) is not None) == bool(where & TO_FUNDING)
    assert pair.reader.head() == int(bool(where & TO_RING))


@pytest.mark.parametrize("source", [0, SOURCE_STREAM, SOURCE_REST, 255])
def test_source_of_a_record_is_the_one_given_else_the_writers(
    names: tuple[str, str], source: int
) -> None:
    memory = Memory()
    writer = memory.writer(names[0], source=9)
    writer.publish(3, TO_FUNDING, 0, *linked(1)[:5], bytes(64), source)
    writer.publish_quote(0, *linked(1))
    reader = memory.reader(names[1])
    assert fields_of(reader.read_funding(0))["source"] == (source or 9)
    quote = reader.read_slot(0)
    assert quote is not None
    assert quote[schema.QUOTE.offsets["source"]] == 9, "a quote's is the writer's"


def test_array_of_fundings_holds_every_record_and_counts_the_damaged(
    pair: Pair,
) -> None:
    for instrument in (0, 1, 3):
        publish(pair, 10 + instrument, instrument)
    pair.memory[pair.memory.cell(1, 1, "funding") + RECORD_BYTES - 8] ^= 1
    table = records(SMALL.instruments)
    table["kind"] = 99
    assert pair.reader.read_fundings(table) == 1
    assert table["kind"].tolist() == [3, 0, 0, 3]
    assert table["venue_sequence"].tolist() == [10, 0, 0, 13]


def test_damaged_slot_is_unreadable_and_heals_at_the_next_publish(pair: Pair) -> None:
    publish(pair, 1)
    for index in (2, 1 << 63, MASK):
        pair.memory[pair.memory.slot(0, "funding")] = index
        with pytest.raises(SlotUnreadable, match="instrument=0"):
            pair.reader.read_funding(0)
    publish(pair, 2)
    assert newest(pair) == 2


@pytest.mark.parametrize("start", [0, 3, (1 << 63) - 2, MASK - 1, MASK])
def test_every_k_leaves_the_last_whole_funding(pair: Pair, start: int) -> None:
    for stores in range(SLOT_STORES + WORDS + 2):
        pair = Pair(pair.writer_name, pair.reader_name)
        pair.memory[pair.memory.slot(0, "funding")] = start
        publish(pair, 1)
        pair.writer.abandon_after(stores)
        assert publish(pair, 2) is None, stores
        assert newest(pair) == 1 + (stores >= SLOT_STORES), stores
        assert pair.reader.head() == 1
        assert pair.reader.read_slot(0) is None

        pair.memory[pair.memory.owner("epoch")] = EPOCH + 1
        heir = pair.memory.writer(pair.reader_name, EPOCH + 1)
        pair.writer = heir
        for number in (3, 4, 5):
            assert publish(pair, number) == number - 1
            assert newest(pair) == number


# --- the writer's method --------------------------------------------------------------


@pytest.fixture
def writer(instance: str) -> Iterator[Writer]:
    """An open writer of a small segment."""
    capacities = Capacities(instruments=2, ring_slots=16, counters=2, histograms=1)
    with Writer.open(instance, ROLE, capacities) as opened:
        yield opened
        opened.close(unlink=True)


def test_every_field_of_a_funding_arrives_in_one_read(
    instance: str, writer: Writer
) -> None:
    assert writer.publish_funding(1, 4, 5, TIME_NONE, 6, *VALUES) == 1
    with Reader.attach(instance, ROLE) as reader:
        fields = fields_of(reader.read_funding(1))
        out = records(1)
        assert reader.drain(0, out) == (1, 0, 1)
    assert (fields["kind"], fields["source"]) == (codes.KIND_FUNDING, SOURCE_STREAM)
    assert (fields["sequence"], fields["instrument"], fields["epoch"]) == (1, 1, 1)
    assert (fields["flags"], fields["session"]) == (4, 5)
    assert (fields["event_ns"], fields["recv_ns"]) == (TIME_NONE, 6)
    for name, value in zip(NAMES[-8:-1], VALUES, strict=True):
        assert is_same(fields[name], value), name
    assert bytes(out[0])[PAYLOAD] == writer.read_funding(1)[PAYLOAD]  # type: ignore[index]


def test_funding_by_rest_says_so(writer: Writer) -> None:
    writer.publish_funding(0, 0, 1, 2, 3, *VALUES, source=SOURCE_REST)
    assert fields_of(writer.read_funding(0))["source"] == SOURCE_REST
    writer.publish_funding(0, 0, 1, 2, 3, *VALUES, source=SOURCE_STREAM)
    assert fields_of(writer.read_funding(0))["source"] == SOURCE_STREAM


def test_writer_of_the_rest_role_publishes_everything_as_rest(instance: str) -> None:
    capacities = Capacities(instruments=2, ring_slots=16, counters=2, histograms=1)
    with Writer.open(instance, "rest", capacities, source=SOURCE_REST) as rest:
        rest.publish_quote(0, *linked(1))
        rest.publish_funding(0, 0, 1, 2, 3, *VALUES)
        rest.publish_trade(0, 0, 1, 2, 3, 4, 5.0, 6.0, 1, 7)
        rest.mark(0, codes.FLAG_SYNCING)
        out = records(8)
        assert rest.drain(0, out)[0] == 4
        assert out["source"][:4].tolist() == [SOURCE_REST] * 4
        assert fields_of(rest.read_funding(0))["source"] == SOURCE_REST
        rest.close(unlink=True)


def test_funding_outlives_its_writer(instance: str, writer: Writer) -> None:
    writer.publish_funding(0, 0, 1, 2, 3, *VALUES)
    before = writer.read_funding(0)
    reader = Reader.attach(instance, ROLE)
    capacities = writer.capacities
    writer.close()
    assert reader.read_funding(0) == before
    heir = Writer.open(instance, ROLE, capacities)
    heir.publish_funding(0, 0, 1, 2, 4, *VALUES)
    assert fields_of(reader.read_funding(0))["epoch"] == 2
    reader.close()
    heir.close(unlink=True)
