"""What the REST process knows of streams when the runner lives, dies or never was."""

from __future__ import annotations

import time

from feedhandler.rest.due import UNKNOWN
from feedhandler.rest.streams import LOOK_NS, Streams
from shm_layout.codes import REASON_QUIET_UNCONFIRMED, STATE_QUIET, TIME_NONE
from tests.rest.host import NAME, Runner

VENUE = "hyperliquid"
LIMIT_NS = 500_000_000


def test_without_a_runner_everything_is_unknown(instance: str) -> None:
    streams = Streams(instance, LIMIT_NS)
    assert streams.read(VENUE, NAME, time.monotonic_ns()) == UNKNOWN


def test_stamps_of_a_dead_runner_stand_and_its_verdicts_do_not(instance: str) -> None:
    runner = Runner(instance, [VENUE])
    streams = Streams(instance, LIMIT_NS)
    try:
        runner.say(
            VENUE, apply_ns=77, state=STATE_QUIET, reason=REASON_QUIET_UNCONFIRMED
        )
        now_ns = time.monotonic_ns()
        known = streams.read(VENUE, NAME, now_ns)
        assert known.is_judged
        assert known.is_quiet
        assert (known.apply_ns, known.confirmed_ns) == (77, TIME_NONE)
        later = streams.read(VENUE, NAME, now_ns + LIMIT_NS + 1)
        assert not later.is_quiet
        assert later.apply_ns == 77
    finally:
        streams.close()
        runner.close()


def test_runner_that_starts_late_and_one_that_is_replaced_are_found(
    instance: str,
) -> None:
    streams = Streams(instance, LIMIT_NS)
    now_ns = time.monotonic_ns()
    assert streams.read(VENUE, NAME, now_ns) == UNKNOWN
    for apply_ns in (77, 78):
        runner = Runner(instance, [VENUE])
        runner.say(VENUE, apply_ns=apply_ns)
        now_ns += LOOK_NS
        assert streams.read(VENUE, NAME, now_ns).apply_ns == apply_ns
        assert streams.read("lighter", NAME, now_ns) == UNKNOWN
        runner.close()
    streams.close()
