"""A quote that is read to be judged, under fire: no mix of two, none older."""

from __future__ import annotations

import time
from typing import Any

import pytest

from shm_layout import KIND_QUOTE, Reader, schema
from shm_layout.core import JudgedQuote
from tests.shm_layout.memory import IMPLEMENTATIONS, load
from tests.stress.conftest import Race, ended, wait_for_segment
from tests.stress.linked import ROLE, Checker
from tests.support import MS, wait_until

pytestmark = pytest.mark.stress

RACE_MS = 2_000
INSTRUMENTS = 2


@pytest.mark.parametrize("reader_name", IMPLEMENTATIONS)
@pytest.mark.parametrize("writer_name", IMPLEMENTATIONS)
def test_no_judged_quote_is_torn_or_older_than_the_last(
    race: Race, writer_name: str, reader_name: str
) -> None:
    writer = race.start(
        "publish", race.instance, INSTRUMENTS, implementation=writer_name
    )
    wait_for_segment(race, writer)
    checker = Checker()
    with Reader.attach(race.instance, ROLE, 30_000 * MS) as reader:
        wait_until(lambda: reader.head() > 10, 30_000 * MS, "the first records")
        core: Any = load(reader_name).Reader(reader._mapping, reader.plan.geometry())
        deadline_ns = time.monotonic_ns() + RACE_MS * 1_000_000
        while time.monotonic_ns() < deadline_ns:
            for index in range(INSTRUMENTS):
                # In the runner's place the same slot, so that both copies are raced.
                quote = core.read_judged(index, core, index, 0, 0, 0)
                checker.latest(index, as_record(index, quote))
    assert (checker.torn, checker.reversed) == (0, 0)
    assert checker.distinct > 10, "a race that nobody ran would prove nothing"
    assert ended(writer)["published"] > 1_000


def as_record(index: int, quote: JudgedQuote) -> bytes:
    """Return the record that these fields were read from."""
    sequence, source, flags, epoch, session, *rest = quote[:13]
    head = (sequence, KIND_QUOTE, source, flags, index, epoch, session)
    return schema.QUOTE.struct.pack(*head, *rest, 0)
