"""A price that jumps is shown at once, and may be traded on once it has stood."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import pytest

from feedhandler.venues._base import venue_names
from shm_layout import FLAG_OUTLIER
from shm_layout.limits import OUTLIER_HOLD_NS
from shm_layout.segment import remove_leftover, segment_name
from tests.support import Programs
from tests.system.stage import ETH, SUSPECT, Stage, stage

pytestmark = [pytest.mark.system, pytest.mark.slow]

KINDS: Final = {"aster": "depth", "extended": "both", "hyperliquid": "bbo"}


def bid(on: Stage) -> float:
    quote = on.quote()
    assert quote is not None
    return quote.bid


def jump(on: Stage, kind: str, *others: str) -> float:
    """Move BTC by a fifth; return what it was."""
    before, symbol = bid(on), on.feed.symbols()[0]
    on.venue.inject(f"{kind}(bps=2000,symbol={symbol})", *others)
    on.wait(lambda: bid(on) > 1.1 * before, "the far price")
    return before


@pytest.mark.parametrize("name", venue_names())
def test_price_that_jumps_is_suspect_and_believed_once_it_has_stood(
    name: str, instance: str, programs: Programs
) -> None:
    kind = KINDS.get(name, "bbo")
    with stage(name, instance, programs, feed_kind=kind) as on:
        assert on.count("outliers") == 0, "the first price of all is none"
        sees_spike(on)
        sees_new_level(on)
        starts_at_another_level(on)


def sees_spike(on: Stage) -> None:
    before = jump(on, "spike")
    quote = on.quote()
    assert quote is not None
    assert (quote.state, quote.reason) == (SUSPECT, "outlier")
    assert not quote.tradable
    assert quote.flags & FLAG_OUTLIER
    on.wait_live(ETH)
    on.venue.clear()
    on.wait(lambda: bid(on) < 1.1 * before, "the true price again")
    on.wait_live()
    assert on.count("outliers") == 1
    assert on.check_truth() > 0, "what was falsified was never shown without its flag"


def sees_new_level(on: Stage) -> None:
    began_ns = time.monotonic_ns()
    before = jump(on, "jump")
    on.wait_live()  # without hands
    assert bid(on) > 1.1 * before
    rows = [
        row
        for row in on.feed.quotes()
        if row["instrument"] == 0 and row["recv_ns"] > began_ns
        if row["bid"] > 1.1 * before
    ]
    stood_ns = rows[0]["recv_ns"] + OUTLIER_HOLD_NS
    for row in rows:
        assert bool(row["flags"] & FLAG_OUTLIER) == (row["recv_ns"] < stood_ns)
    assert time.monotonic_ns() >= stood_ns
    assert on.count("outliers") == 2


def starts_at_another_level(on: Stage) -> None:
    before, session = bid(on), on.feed.reader.owner().session
    on.venue.clear()
    on.wait(lambda: bid(on) < 0.9 * before, "the first price again")
    on.wait_live()
    counted = on.count("outliers")
    on.venue.inject("drop(how=rst)", "jump(bps=3000)")
    on.wait(lambda: on.feed.reader.owner().session > session, "the next session")
    on.wait(lambda: on.count("outliers") > counted, "a first price that is an outlier")
    on.wait_live()  # without hands
    assert bid(on) > before


@pytest.mark.parametrize("name", ["hyperliquid", "paradex"])
def test_price_that_rest_refutes_is_never_tradable_in_whichever_session(
    name: str, instance: str, programs: Programs
) -> None:
    with stage(name, instance, programs) as on, asked_by_rest(on):
        before = jump(on, "spike")

        def refuted_in() -> int:
            """Return in which session a reader finds it refuted; 0 if it does not."""
            quote = on.quote()
            assert quote is not None
            assert quote.bid > 1.1 * before
            assert not quote.tradable
            is_refuted = (quote.state, quote.reason) == (SUSPECT, "audit")
            return quote.session if is_refuted else 0

        on.wait(refuted_in, "REST's own word")
        session = on.feed.reader.owner().session
        on.cut()
        on.wait(lambda: refuted_in() > session, "the same doubt in another session")
        on.venue.clear()
        on.wait_live()
        assert bid(on) < 1.1 * before


@contextmanager
def asked_by_rest(on: Stage) -> Iterator[None]:
    """Run the process that asks the venue by REST beside what is on the stage."""
    rest = on.programs.feedhandler(
        "rest", "--instance", on.instance, environment=on.feed.environment
    )
    try:
        yield
    finally:
        rest.close()
        remove_leftover(segment_name(on.instance, "rest"))
