"""Commands: the runner writes a register, the feed reads it and acknowledges."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from shm_layout import (
    COMMAND_NONE,
    COMMAND_RECONNECT,
    COMMAND_RESUBSCRIBE,
    INSTRUMENT_ALL,
    RESULT_BUSY,
    RESULT_DONE,
    Capacities,
    CapacityExceeded,
    Command,
    OwnershipLost,
    Reader,
    SlotUnreadable,
    Writer,
    codes,
    commands,
    segment,
)
from shm_layout.core import CoreReader, CoreWriter
from shm_layout.limits import COMMANDS_MAX
from shm_layout.schema import COMMAND, COMMANDS, REGISTER
from tests.shm_layout.memory import EPOCH, MASK, Memory, Pair
from tests.support import SHM

SMALL = Capacities(instruments=1, ring_slots=8, counters=1, histograms=1)
CELL_WORDS = COMMAND.size_bytes // 8


@pytest.fixture
def runner(instance: str) -> Iterator[Writer]:
    """The runner's segment."""
    with Writer.open(instance, "runner", SMALL) as opened:
        yield opened
        opened.close(unlink=True)
    segment.remove_leftover(segment.segment_name(instance, "runner"))


@pytest.fixture
def feed(instance: str) -> Iterator[Writer]:
    """A feed's segment."""
    with Writer.open(instance, "feed:venue", SMALL) as opened:
        yield opened
        opened.close(unlink=True)
    segment.remove_leftover(segment.segment_name(instance, "feed:venue"))


def test_command_arrives_whole_and_its_result_comes_back(
    instance: str, runner: Writer, feed: Writer
) -> None:
    with (
        Reader.attach(instance, "runner") as orders,
        Reader.attach(instance, "feed:venue") as results,
    ):
        assert orders.command("venue") is None
        number = runner.issue_command(
            "venue", COMMAND_RESUBSCRIBE, 7, codes.REASON_AUDIT, now_ns=1_000
        )
        command = orders.command("venue")
        assert command == Command(
            number, COMMAND_RESUBSCRIBE, 7, codes.REASON_AUDIT, 1_000
        )
        assert results.result_of(number) is None
        feed.acknowledge(number, RESULT_BUSY, 1_500)
        assert results.result_of(number) == RESULT_BUSY
        owner = results.owner()
        assert (owner.command_number, owner.command_result) == (number, RESULT_BUSY)
        assert owner.command_ns == 1_500
        assert orders.command("venue") == command, "it stays until the next"


def test_command_to_a_whole_venue_is_the_default(runner: Writer) -> None:
    before_ns = time.monotonic_ns()
    number = runner.issue_command("venue", COMMAND_RECONNECT)
    command = runner.command("venue")
    assert command is not None
    assert command.instrument == INSTRUMENT_ALL
    assert before_ns <= command.issued_ns <= time.monotonic_ns()
    assert (command.number, command.reason) == (number, codes.REASON_NONE)


def test_newer_command_takes_the_place_of_the_older(
    instance: str, runner: Writer
) -> None:
    with Reader.attach(instance, "runner") as orders:
        numbers = []
        for now_ns in (10, 10, 10, 11, 5, 400, 401, 403, 405):
            number = runner.issue_command(
                "venue", COMMAND_RESUBSCRIBE, now_ns, now_ns=now_ns
            )
            numbers.append(number)
            command = orders.command("venue")
            assert command is not None
            assert (command.number, command.instrument) == (number, now_ns)
        assert numbers == sorted(set(numbers)), "numbers grow, whatever the clock says"


def test_venues_do_not_share_a_register(instance: str, runner: Writer) -> None:
    with Reader.attach(instance, "runner") as orders:
        venues = [f"venue_{index}" for index in range(COMMANDS_MAX)]
        for index, venue in enumerate(venues):
            runner.issue_command(venue, COMMAND_RESUBSCRIBE, index)
        for index, venue in enumerate(venues):
            command = orders.command(venue)
            assert command is not None
            assert command.instrument == index
        assert orders.command("other") is None
        before = bytes(runner._mapping)
        with pytest.raises(CapacityExceeded, match="commands are full"):
            runner.issue_command("one_more", COMMAND_RECONNECT)
        assert bytes(runner._mapping) == before


def test_next_runner_goes_on_with_the_same_registers(
    instance: str, runner: Writer
) -> None:
    runner.issue_command("one", COMMAND_RECONNECT, now_ns=1)
    first = runner.issue_command("two", COMMAND_RECONNECT, now_ns=50)
    orders = Reader.attach(instance, "runner")
    runner.close()
    heir = Writer.open(instance, "runner", SMALL)
    assert heir.adopted
    command = orders.command("two")
    assert command is not None
    assert command.number == first
    second = heir.issue_command("two", COMMAND_RESUBSCRIBE, 3, now_ns=50)
    assert second > first
    command = orders.command("two")
    assert command is not None
    assert (command.number, command.verb) == (second, COMMAND_RESUBSCRIBE)
    orders.close()
    heir.close(unlink=True)


def test_numbers_of_a_new_segment_are_above_those_of_the_old(
    instance: str, runner: Writer
) -> None:
    first = runner.issue_command("venue", COMMAND_RECONNECT)
    runner.close(unlink=True)
    with Writer.open(instance, "runner", SMALL) as heir:
        assert not heir.adopted
        assert heir.issue_command("venue", COMMAND_RECONNECT) > first
        heir.close(unlink=True)


@pytest.mark.parametrize(
    ("verb", "instrument", "reason"),
    [
        (COMMAND_NONE, 0, 0),
        (200, 0, 0),
        (-1, 0, 0),
        (COMMAND_RECONNECT, -1, 0),
        (COMMAND_RECONNECT, INSTRUMENT_ALL + 1, 0),
        (COMMAND_RECONNECT, 0, 256),
        (COMMAND_RECONNECT, 0, -1),
    ],
)
def test_command_that_is_none_is_refused(
    runner: Writer, verb: int, instrument: int, reason: int
) -> None:
    runner.issue_command("venue", COMMAND_RECONNECT, 1, 1, now_ns=3)
    before = bytes(runner._mapping)
    with pytest.raises(ValueError, match=r"not a command|out of range"):
        runner.issue_command("venue", verb, instrument, reason)
    assert bytes(runner._mapping) == before


def test_disowned_runner_issues_and_feed_acknowledges_nothing(
    runner: Writer, feed: Writer
) -> None:
    runner.issue_command("venue", COMMAND_RECONNECT, now_ns=3)
    before = bytes(runner._mapping), bytes(feed._mapping)
    runner.disown()
    feed.disown()
    with pytest.raises(OwnershipLost):
        runner.issue_command("venue", COMMAND_RECONNECT)
    with pytest.raises(OwnershipLost):
        feed.acknowledge(3, RESULT_DONE, 4)
    assert (bytes(runner._mapping), bytes(feed._mapping)) == before


def test_nonsense_count_and_number_stay_inside(instance: str, runner: Writer) -> None:
    runner.issue_command("venue", COMMAND_RECONNECT, now_ns=3)
    start = runner.plan.commands_offset
    with (SHM / f"fh.{instance}.runner").open("r+b") as file:
        file.seek(start)
        file.write(b"\xff" * 8)
        file.seek(start + COMMANDS.size_bytes)
        file.write((1 << 63).to_bytes(8, "little"))
    with Reader.attach(instance, "runner") as orders:
        assert orders.command("other") is None
        with pytest.raises(SlotUnreadable, match="register"):
            orders.command("venue")
        assert runner.issue_command("venue", COMMAND_RECONNECT, 4, now_ns=5) == 5
        command = orders.command("venue")
        assert command is not None
        assert command.instrument == 4


# --- every interleaving, by both implementations and across both ----------------------


class Counting:
    """Stands in for a core: before each of its words is touched, something happens."""

    def __init__(self, core: CoreReader, step: object) -> None:
        self._core = core
        self._step = step

    def load(self, offset: int) -> int:
        self._step()  # type: ignore[operator]
        return self._core.load(offset)


class Dying(Exception):
    """The writer ends here."""


class Mortal:
    """Stands in for a writer's core: it dies before its store number `left`."""

    def __init__(self, core: CoreWriter, left: int) -> None:
        self._core = core
        self._left = left

    def load(self, offset: int) -> int:
        return self._core.load(offset)

    def store(self, offset: int, value: int) -> None:
        if self._left == 0:
            raise Dying
        self._left -= 1
        self._core.store(offset, value)


def register_of(memory: Memory) -> int:
    return memory.plan.commands_offset + COMMANDS.size_bytes


def issue(core: object, memory: Memory, value: int) -> int:
    """Issue the command whose every field follows from one number."""
    return commands.issue(
        core,  # type: ignore[arg-type]
        register_of(memory),
        COMMAND_RESUBSCRIBE,
        value,
        value,
        value,
    )


def is_whole(command: Command | None, values: list[int]) -> bool:
    return (
        command is not None
        and command.instrument == command.reason == command.issued_ns
        and command.instrument in values
    )


@pytest.mark.parametrize("last", [0, 1, (1 << 63) - 1, MASK - 1, MASK])
def test_runner_that_dies_at_any_store_leaves_a_whole_command(
    pair: Pair, last: int
) -> None:
    for stores in range(CELL_WORDS + 1):
        pair = Pair(pair.writer_name, pair.reader_name)
        pair.memory[register_of(pair.memory)] = last
        issue(pair.writer, pair.memory, 1)
        with pytest.raises(Dying):
            issue(Mortal(pair.writer, stores), pair.memory, 2)
        command = commands.read(pair.reader, register_of(pair.memory))
        assert is_whole(command, [1]), stores

        pair.memory[pair.memory.owner("epoch")] = EPOCH + 1
        heir = pair.memory.writer(pair.reader_name, EPOCH + 1)
        number = issue(heir, pair.memory, 3)
        command = commands.read(pair.reader, register_of(pair.memory))
        assert is_whole(command, [3])
        assert command is not None
        assert command.number == number


def test_feed_reads_a_whole_command_wherever_the_runner_is(pair: Pair) -> None:
    for at in range(1, 3 * (CELL_WORDS + 2)):
        for whole in range(3):
            for stores in range(CELL_WORDS + 1):
                memory = Memory()
                writer = memory.writer(pair.writer_name)
                issue(writer, memory, 1)
                loads = 0

                def step(
                    memory: Memory = memory,
                    writer: CoreWriter = writer,
                    at: int = at,
                    whole: int = whole,
                    stores: int = stores,
                ) -> None:
                    nonlocal loads
                    loads += 1
                    if loads != at:
                        return
                    for value in range(2, 2 + whole):
                        issue(writer, memory, value)
                    with pytest.raises(Dying):
                        issue(Mortal(writer, stores), memory, 200)

                reader = Counting(memory.reader(pair.reader_name), step)
                command = commands.read(reader, register_of(memory))  # type: ignore[arg-type]
                assert is_whole(command, list(range(1, 2 + whole)))


def test_register_is_a_line_of_its_own() -> None:
    assert REGISTER.size_bytes == 128
    assert REGISTER.offsets["cell"] % COMMAND.size_bytes == 0
