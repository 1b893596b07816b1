"""A quote is read together with what its verdict follows from, by both alike."""

from __future__ import annotations

import time
from typing import Any

import pytest

from shm_layout import codes, schema
from shm_layout.core import CoreReader
from shm_layout.errors import SlotUnreadable
from tests.shm_layout.memory import EPOCH, SMALL, Memory, linked, load

PLACE = 3  # of instrument 1 in the runner's segment
SESSION = 9
FRESH_NS, HEARTBEAT_NS, CONFIRM_NS = 3_600_000_000_000, 60_000_000_000, 1_000_000_000
LIMITS = (FRESH_NS, HEARTBEAT_NS, CONFIRM_NS)
STAMP = schema.QUOTE.offsets["stamp"]


class Desk:
    """A feed and a runner in bare memory, both alive, and readers of them."""

    def __init__(self, writer: str, reader: str) -> None:
        self.feed, self.runner = Memory(), Memory()
        self.writer = self.feed.writer(writer)
        self.judge = self.runner.writer(writer, source=codes.SOURCE_RUNNER)
        self.reader = self.feed.reader(reader)
        self.runner_reader = self.runner.reader(reader)
        self.now_ns = time.monotonic_ns()
        self.writer.beat(self.now_ns, 1)
        self.judge.beat(self.now_ns, 1)
        self.writer.store(self.feed.owner("link"), SESSION << 32 | codes.LINK_UP)

    def quote(self, flags: int = 0, session: int = SESSION) -> None:
        head = (flags, session, 2, self.now_ns, 4)
        self.writer.publish_quote(1, *head, 1.5, 2.5, 3.5, 4.5)

    def say(self, state: int, session: int = SESSION, epoch: int = EPOCH) -> None:
        sequence = self.writer.head()
        fields = (self.now_ns - 7, 0, 0, sequence, 1, epoch, state, 0, 0, 0)
        record = schema.STATUS.struct.pack(*(0,) * 11, *fields)
        payload = record[schema.STATUS.offsets["apply_ns"] : STAMP]
        self.judge.publish(4, 1, PLACE, 0, session, 0, 0, 0, payload, 0)

    def read(self, **changed: Any) -> Any:
        """Return the fields and the verdict; None before the first quote."""
        runner = changed.get("runner", self.runner_reader)
        return self.reader.read_judged(1, runner, changed.get("place", PLACE), *LIMITS)

    def verdict(self, **changed: Any) -> tuple[str, str, bool]:
        *_, state, reason, is_tradable = self.read(**changed)
        return codes.STATE_NAMES[state], codes.REASON_NAMES[reason], is_tradable


@pytest.fixture
def desk(names: tuple[str, str]) -> Desk:
    """Each writer with each reader."""
    return Desk(*names)


def test_fields_are_the_records_with_time_and_verdict(desk: Desk) -> None:
    assert desk.read() is None
    desk.quote(flags=codes.FLAG_SNAPSHOT)
    desk.say(codes.STATE_LIVE)
    before_ns = time.monotonic_ns()
    fields = desk.read()
    record = desk.reader.read_slot(1)
    assert record is not None
    quote = schema.QUOTE.struct.unpack(record)
    publish_ns = quote[9]
    head = (1, codes.SOURCE_STREAM, codes.FLAG_SNAPSHOT, EPOCH, SESSION)
    stamps = (2, desk.now_ns, publish_ns, 4)
    assert fields[:13] == (*head, *stamps, 1.5, 2.5, 3.5, 4.5)
    assert before_ns <= fields[13] <= time.monotonic_ns()
    assert fields[14:] == (desk.now_ns - 7, codes.STATE_LIVE, codes.REASON_NONE, True)


def test_every_word_keeps_its_size_and_sign(desk: Desk) -> None:
    largest = (0xFFFF, (1 << 32) - 1, -(1 << 63), (1 << 63) - 1, (1 << 64) - 1)
    desk.writer.publish_quote(1, *largest, -0.0, 5e-324, 1e308, 0.0)
    fields = desk.read()
    assert (fields[2], *fields[4:7], fields[8]) == largest
    assert [str(side) for side in fields[9:13]] == ["-0.0", "5e-324", "1e+308", "0.0"]
    assert fields[14] == codes.TIME_NONE


def test_verdict_of_another_epoch_or_session_does_not_count(desk: Desk) -> None:
    desk.quote()
    desk.say(codes.STATE_LIVE, session=SESSION - 1)
    assert desk.verdict() == ("UNKNOWN", "no_verdict", False)
    desk.say(codes.STATE_LIVE, epoch=EPOCH + 1)
    assert desk.verdict() == ("UNKNOWN", "no_verdict", False)
    assert desk.read()[14] == codes.TIME_NONE
    desk.say(codes.STATE_LIVE)
    assert desk.verdict() == ("LIVE", "", True)
    desk.quote(session=SESSION - 1)
    assert desk.verdict() == ("SYNCING", "awaiting_quote", False)


def test_dead_writer_and_dead_runner_are_seen(desk: Desk) -> None:
    desk.quote()
    desk.say(codes.STATE_LIVE)
    desk.judge.beat(desk.now_ns - HEARTBEAT_NS, 1)
    assert desk.verdict() == ("UNKNOWN", "runner_dead", False)
    desk.writer.beat(desk.now_ns - HEARTBEAT_NS, 1)
    desk.judge.beat(desk.now_ns, 1)
    assert desk.verdict() == ("DOWN", "writer_dead", False)
    desk.writer.beat(time.monotonic_ns() + HEARTBEAT_NS, 1)  # proves nothing
    assert desk.verdict() == ("DOWN", "writer_dead", False)


def test_without_a_runner_or_a_place_nothing_is_tradable(desk: Desk) -> None:
    desk.quote()
    desk.say(codes.STATE_LIVE)
    assert desk.verdict(runner=None) == ("UNKNOWN", "runner_dead", False)
    assert desk.verdict(place=None) == ("UNKNOWN", "no_verdict", False)
    assert desk.verdict(place=0) == ("UNKNOWN", "no_verdict", False)


def test_damaged_slot_of_either_segment_raises(desk: Desk) -> None:
    desk.quote()
    desk.say(codes.STATE_LIVE)
    for memory, instrument in ((desk.runner, PLACE), (desk.feed, 1)):
        index = memory[memory.slot(instrument)]
        stamp = memory.cell(instrument, index) + STAMP
        memory[stamp] += 2
        with pytest.raises(SlotUnreadable, match=f"instrument={instrument}"):
            desk.read()
        memory[stamp] -= 2
    assert desk.verdict() == ("LIVE", "", True)


def readers_of(name: str) -> tuple[CoreReader, list[Any]]:
    """Return a reader, and what it does not take as the runner's."""
    memory = Memory()
    memory.writer(name).publish_quote(0, *linked(1))
    other = "twin" if name == "native" else "native"
    wrong = [memory.writer(name), Memory().reader(other), load(name), 1, b"x"]
    return memory.reader(name), wrong


def test_wrong_arguments_are_refused(name: str) -> None:
    reader, wrong = readers_of(name)
    runner: Any = Memory().reader(name)
    good = (0, runner, 0, *LIMITS)
    assert reader.read_judged(*good) is not None
    for instance in wrong:
        with pytest.raises(TypeError):
            reader.read_judged(0, instance, 0, *LIMITS)
    for position in (0, 2):
        for value, error in (
            (SMALL.instruments, ValueError),
            (-1, OverflowError),
            (1 << 64, OverflowError),
            (1.0, TypeError),
        ):
            arguments: list[Any] = list(good)
            arguments[position] = value
            with pytest.raises(error):
                reader.read_judged(*arguments)
    for position in (3, 4, 5):
        for value, error in ((1 << 63, OverflowError), (1.0, TypeError)):
            arguments = list(good)
            arguments[position] = value
            with pytest.raises(error):
                reader.read_judged(*arguments)
    with pytest.raises(TypeError):
        reader.read_judged(*good[:-1])  # type: ignore[call-arg]
