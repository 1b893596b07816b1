"""Named entries: an index once given keeps its meaning, a reader sees no half name."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import pytest

from shm_layout import Capacities, CapacityExceeded, Instrument, Reader, Writer, schema
from tests.support import SHM

ROLE = "feed:venue"
SMALL = Capacities(instruments=3, ring_slots=8, counters=3, histograms=2)


@pytest.fixture
def writer(instance: str) -> Iterator[Writer]:
    """An open writer with room for three."""
    with Writer.open(instance, ROLE, SMALL) as opened:
        yield opened
        opened.close(unlink=True)


@pytest.fixture
def reader(instance: str, writer: Writer) -> Iterator[Reader]:
    """A reader of that writer's segment."""
    with Reader.attach(instance, ROLE) as attached:
        yield attached


def test_every_fact_of_an_instrument_arrives(writer: Writer, reader: Reader) -> None:
    entries = [
        Instrument("hyperliquid", "BTC-PERP", "BTC", "bbo", 1.0, 1e-5, 1.0, 3000),
        Instrument("v" * 32, "i" * 32, "s" * 32, "depth", 0.1, 5e-324, 1e3, 1, False),
    ]
    for index, entry in enumerate(entries):
        assert writer.add_instrument(entry) == index
    assert reader.instruments() == tuple(entries)


def test_unknown_steps_are_nan_and_names_may_be_of_any_script(
    writer: Writer, reader: Reader
) -> None:
    writer.add_instrument(Instrument("venue", "ÄÖÜ-PERP", "比特币"))
    (entry,) = reader.instruments()
    assert (entry.instrument, entry.symbol) == ("ÄÖÜ-PERP", "比特币")
    assert math.isnan(entry.tick)
    assert math.isnan(entry.lot)


def test_same_instrument_keeps_its_index_and_is_renewed(
    writer: Writer, reader: Reader
) -> None:
    old = Instrument("venue", "BTC-PERP", "BTC", tick=1.0, lot=1.0, fresh_ms=1)
    new = Instrument("venue", "BTC-PERP", "XBT", tick=2.0, lot=0.1, fresh_ms=2)
    assert writer.add_instrument(old) == writer.add_instrument(new) == 0
    assert reader.instruments() == (new,)


def test_directory_that_did_not_change_is_not_unpacked_again(
    writer: Writer, reader: Reader
) -> None:
    writer.add_instrument(Instrument("venue", "A", "A"))
    before = reader.instruments()
    assert reader.instruments() is before
    writer.add_instrument(Instrument("venue", "A", "A", fresh_ms=7))
    (after,) = reader.instruments()
    assert (before[0].fresh_ms, after.fresh_ms) == (3_000, 7)


def test_same_name_on_another_venue_is_another_instrument(writer: Writer) -> None:
    first = writer.add_instrument(Instrument("one", "BTC-PERP", "BTC"))
    other = writer.add_instrument(Instrument("two", "BTC-PERP", "BTC"))
    assert (first, other) == (0, 1)


def test_retired_instrument_keeps_its_entry(writer: Writer, reader: Reader) -> None:
    for name in ("A", "B", "C"):
        writer.add_instrument(Instrument("venue", name, name))
    writer.retire_instruments({0, 2})
    assert [entry.is_active for entry in reader.instruments()] == [True, False, True]
    writer.add_instrument(Instrument("venue", "B", "B"))
    assert [entry.is_active for entry in reader.instruments()] == [True, True, True]


def test_full_tables_say_so_and_keep_what_they_hold(
    writer: Writer, reader: Reader
) -> None:
    for number in range(3):
        writer.add_instrument(Instrument("venue", str(number), "s"))
        writer.counter(f"counter.{number}")
    for number in range(2):
        writer.histogram(f"histogram.{number}")
    before = bytes(writer._mapping)
    with pytest.raises(CapacityExceeded, match="instruments=3"):
        writer.add_instrument(Instrument("venue", "3", "s"))
    with pytest.raises(CapacityExceeded, match="counters are full"):
        writer.counter("counter.3")
    with pytest.raises(CapacityExceeded, match="histograms are full"):
        writer.histogram("histogram.2")
    assert bytes(writer._mapping) == before
    assert writer.counter("counter.1") == 1, "what is there is still found"


@pytest.mark.parametrize(
    "entry",
    [
        Instrument("", "BTC-PERP", "BTC"),
        Instrument("venue", "x" * 33, "BTC"),
        Instrument("venue", "BTC-PERP", "é" * 17),
        Instrument("venue", "BTC\0PERP", "BTC"),
    ],
)
def test_text_that_does_not_fit_is_refused_whole(
    writer: Writer, reader: Reader, entry: Instrument
) -> None:
    with pytest.raises(ValueError, match="bytes without NUL expected"):
        writer.add_instrument(entry)
    assert reader.instruments() == ()
    assert writer.add_instrument(Instrument("venue", "BTC-PERP", "BTC")) == 0


@pytest.mark.parametrize("name", ["", "x" * 57, "a\0b"])
def test_counter_name_that_does_not_fit_is_refused(writer: Writer, name: str) -> None:
    with pytest.raises(ValueError, match="bytes without NUL expected"):
        writer.counter(name)
    assert writer.counters() == {}


def test_counters_and_histograms_are_read_by_name(
    writer: Writer, reader: Reader
) -> None:
    frames, rejected = writer.counter("frames"), writer.counter("rejected.json")
    delay = writer.histogram("recv_to_publish")
    writer.count(frames)
    writer.count(frames, 4)
    writer.set_counter(rejected, 99)
    for value in (10, 20, -1):
        writer.record(delay, value)
    assert reader.counters() == {"frames": 5, "rejected.json": 99}
    (histogram,) = reader.histograms()
    assert histogram.name == "recv_to_publish"
    facts = (histogram.count, histogram.sum_ns, histogram.max_ns, histogram.negative)
    assert facts == (3, 30, 20, 1)
    assert histogram.percentile_ns(100) == 20


def test_stages_and_link_are_read_as_they_were_stored(
    writer: Writer, reader: Reader
) -> None:
    for number, stage in enumerate(schema.STAGES, 1):
        writer.stamp_stage(stage, -number)
    writer.set_link(2, 0xFFFF_FFFF)
    writer.beat(123, 456)
    owner = reader.owner()
    assert list(owner.stages.values()) == [-1, -2, -3, -4, -5, -6]
    assert (owner.link, owner.session) == (2, 0xFFFF_FFFF) == reader.link()
    assert (owner.heartbeat_ns, owner.progress) == (123, 456)


@pytest.mark.parametrize("table", ["directory", "counters", "histograms"])
def test_nonsense_count_reads_no_further_than_the_table(
    instance: str, writer: Writer, reader: Reader, table: str
) -> None:
    writer.add_instrument(Instrument("venue", "BTC-PERP", "BTC"))
    writer.counter("frames")
    writer.histogram("delay")
    path: Path = SHM / f"fh.{instance}.venue"
    with path.open("r+b") as file:
        file.seek(getattr(writer.plan, f"{table}_offset"))
        file.write(b"\xff" * 8)
    assert len(reader.instruments()) <= SMALL.instruments
    assert len(reader.counters()) <= SMALL.counters
    assert len(reader.histograms()) <= SMALL.histograms
