"""Newest funding and commands under fire: no reader sees a mix or an older one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from shm_layout import Reader
from tests.shm_layout.memory import IMPLEMENTATIONS
from tests.stress.conftest import Race, ended, facts_of, wait_for_segment
from tests.stress.linked import ROLE
from tests.support import MS, Program, wait_until

pytestmark = pytest.mark.stress

RACE_MS = 2_000


def check(writer: Program, readers: list[Program], published_min: int) -> None:
    """Hold the facts of all readers, and that there was a race at all."""
    for program in readers:
        facts: Any = facts_of(program)
        assert facts["torn"] == facts["reversed"] == facts["busy"] == 0, facts
        assert facts["read"] > 1_000
        assert facts["distinct"] > 10
    assert ended(writer)["published"] > published_min


@pytest.mark.parametrize("instruments", [1, 4])
@pytest.mark.parametrize("writer_name", IMPLEMENTATIONS)
def test_no_funding_is_torn_or_older_than_the_last(
    race: Race, checker: Path, writer_name: str, instruments: int
) -> None:
    name = {"module": "latches"}
    writer = race.start(
        "fund", race.instance, instruments, implementation=writer_name, **name
    )
    arguments = ("watch", race.instance, RACE_MS, instruments)
    readers = [
        race.start(*arguments, implementation=reader_name, **name)
        for reader_name in IMPLEMENTATIONS
    ]
    wait_for_segment(race, writer)
    with Reader.attach(race.instance, ROLE, 30_000 * MS) as reader:
        wait_until(lambda: reader.head() > 10, 30_000 * MS, "the first fundings")
    readers.append(
        race.start_program(checker, "funding", race.path, RACE_MS, instruments)
    )
    check(writer, readers, published_min=5_000)


@pytest.mark.parametrize("writer_name", IMPLEMENTATIONS)
def test_no_command_is_torn_or_older_than_the_last(
    race: Race, writer_name: str
) -> None:
    writer = race.start(
        "issue", race.instance, implementation=writer_name, module="latches"
    )
    readers = [
        race.start(
            "obey", race.instance, RACE_MS, implementation=name, module="latches"
        )
        for name in IMPLEMENTATIONS
    ]
    check(writer, readers, published_min=5_000)
