"""The latch slot under fire: no reader ever sees a mix, an older or a lost record."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from shm_layout import Reader, _twin
from tests.shm_layout.memory import IMPLEMENTATIONS, load
from tests.stress.conftest import Race, ended, facts_of, wait_for_segment
from tests.stress.linked import ROLE, Checker
from tests.support import MS, wait_until

pytestmark = pytest.mark.stress

RACE_MS = 2_000
CONTROL_MS = 60_000  # it ends at the first torn record, which is soon


@pytest.mark.parametrize("instruments", [1, 4])
@pytest.mark.parametrize("writer_name", IMPLEMENTATIONS)
def test_no_record_is_torn_or_older_than_the_last(
    race: Race, checker: Path, writer_name: str, instruments: int
) -> None:
    writer = race.start(
        "publish", race.instance, instruments, implementation=writer_name
    )
    arguments = ("watch", race.instance, RACE_MS, instruments)
    readers = [race.start(*arguments, implementation=name) for name in IMPLEMENTATIONS]
    wait_for_segment(race, writer)
    with Reader.attach(race.instance, ROLE, 30_000 * MS) as reader:
        wait_until(lambda: reader.head() > 10, 30_000 * MS, "the first records")
    readers.append(
        race.start_program(checker, "latest", race.path, RACE_MS, instruments)
    )
    for reader_facts in map(facts_of, readers):
        assert reader_facts["torn"] == 0
        assert reader_facts["reversed"] == 0
        assert reader_facts["busy"] == 0, "a slot was unreadable"
        # A race that nobody ran would prove nothing.
        assert reader_facts["read"] > 1_000
        assert reader_facts["distinct"] > 10
    assert ended(writer)["published"] > 10_000


@pytest.mark.parametrize("reader_name", IMPLEMENTATIONS)
@pytest.mark.parametrize("wrong", ["publish_in_place", "publish_early"])
def test_wrong_writer_is_caught(race: Race, wrong: str, reader_name: str) -> None:
    # The control: these writers stay half way for 0.2 ms, half of all time, so that a
    # checker which could not fail would fail here.
    writer = race.start(wrong, race.instance)
    reader = race.start(
        "watch_for_torn", race.instance, CONTROL_MS, implementation=reader_name
    )
    assert facts_of(reader)["torn"] == 1, "no torn record was seen"
    ended(writer)


def test_stopped_writer_blocks_no_reader(race: Race) -> None:
    writer = race.start("publish", race.instance)
    reader = Reader.attach(race.instance, ROLE, 30_000 * MS)
    geometry = reader.plan.geometry()
    readers = [load("native").Reader(reader._mapping, geometry)]
    readers.append(_twin.Reader(reader._mapping, geometry))
    checkers = [Checker() for _ in readers]
    middles = 0
    for _ in range(40):
        head = reader.head()
        wait_until(lambda head=head: reader.head() > head + 100, 30_000 * MS)  # type: ignore[misc]
        writer.process.send_signal(signal.SIGSTOP)
        wait_until(lambda: _state(writer.pid) == "T", 30_000 * MS, "a stopped writer")
        records = []
        for one, checker in zip(readers, checkers, strict=True):
            for instrument in range(4):
                # Nobody moves, so every read succeeds and gives the same.
                records.append({one.read_slot(instrument) for _ in range(20)})
                assert len(records[-1]) == 1
                checker.latest(instrument, records[-1].pop())
            out = bytearray(128 * 64)
            count, _, cursor = one.drain(one.head() - 8, out)
            assert count == 8
            assert cursor == one.head()
            for start in range(0, count * 128, 128):
                checker.in_ring(bytes(out[start : start + 128]))
        ring = reader.plan.ring_offset
        middles += reader._core.load(ring) != reader.head()
        writer.process.send_signal(signal.SIGCONT)
    assert all(checker.torn == checker.reversed == 0 for checker in checkers)
    print(f"stopped inside an append: {middles} of 40")
    ended(writer)
    reader.close()


def _state(pid: int) -> str:
    text = Path(f"/proc/{pid}/stat").read_text()
    return text[text.rindex(")") + 2]
