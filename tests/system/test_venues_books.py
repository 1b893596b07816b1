"""Every venue's books: what breaks one is told as SYNCING, and never published.

A venue whose frames are numbered over the whole connection gives the connection up
instead. What no number, checksum or rule can tell is left to both kinds at once, which
contradict each other then.
"""

from __future__ import annotations

from typing import Final

import pytest

from feedhandler.venues._base import venue_names
from shm_layout import FLAG_SYNCING
from tests.support import Programs
from tests.system.stage import (
    BTC,
    DOWN,
    SUSPECT,
    SYNCING,
    Stage,
    stage,
)

pytestmark = [pytest.mark.system, pytest.mark.slow]

RETRY_S: Final = 2
AGREED_MIN: Final = 40

# Fault -> the counter that tells of it, and the states a reader sees meanwhile. Where a
# venue sends whole books there is nothing to cut, and an empty book is an empty market.
CROSSED: Final = ("crossed", "resyncs.crossed", (SYNCING,))
BREAKS: Final[dict[str, tuple[tuple[str, str, tuple[str, ...]], ...]]] = {
    "aster": (
        ("gap+1h", "resyncs.seq_gap", (SYNCING,)),
        ("emptied", "resyncs.seq_gap", (SYNCING,)),
        ("corrupt", "rejected.range", (SYNCING, "QUIET", "STALE", DOWN)),
        CROSSED,
    ),
    "extended": (
        ("corrupt", "resyncs.checksum", (SYNCING,)),
        ("emptied", "resyncs.seq_gap", (SYNCING,)),
        CROSSED,
        ("gap+1h", "reconnects.seq_gap", (SYNCING, DOWN)),
    ),
    "hyperliquid": (("emptied", "published", (SUSPECT,)), CROSSED),
    "lighter": (
        ("gap+1h", "resyncs.nonce_gap", (SYNCING,)),
        ("emptied", "resyncs.nonce_gap", (SYNCING,)),
        CROSSED,
    ),
    "paradex": (
        ("gap+1h", "resyncs.seq_gap", (SYNCING,)),
        ("emptied", "resyncs.seq_gap", (SYNCING,)),
        CROSSED,
    ),
}
# Books that are wrong and well made: only the other channel can tell.
DISPUTED: Final = ("hyperliquid", "lighter", "paradex")


def test_every_venue_has_its_list_of_breaks() -> None:
    assert sorted(BREAKS) == venue_names()


@pytest.mark.parametrize("name", venue_names())
def test_broken_book_is_told_and_made_anew(
    name: str, instance: str, programs: Programs
) -> None:
    with stage(name, instance, programs, feed_kind="depth") as on:
        check_one_gap(on)
        for fault, counter, states in BREAKS[name]:
            before = on.count(counter)
            on.venue.inject(fault)
            on.wait_more(counter, before, f"{counter} under {fault}")
            on.wait_state(*states)
            on.heal()
            assert on.check_truth() > 0, fault
            on.renew()  # what the venue was asked for lately slows no other step
        if on.count("images.attempt"):
            check_rationed_image(on)
        rows = on.feed.quotes()
        assert not any(row["bid"] > row["ask"] for row in rows)
        status = on.status()
        assert status["feed_kind"] == "depth"
        for kind in ("resyncs", "reconnects"):
            counted = {
                counter.removeprefix(f"{kind}.")
                for _, counter, _ in BREAKS[name]
                if counter.startswith(f"{kind}.")
            }
            assert counted <= {word for word, count in status[kind].items() if count}
        check_log(on)


def check_one_gap(on: Stage) -> None:
    """One change is lost: the feed doubts what it has told, and mends it by itself."""
    for counter in (row[1] for row in BREAKS[on.name] if row[0].startswith("gap")):
        before = on.count(counter)
        on.venue.inject("gap")
        on.wait_more(counter, before, f"{counter} by one gap")
        on.wait(lambda: is_doubt_told(on), "a record in doubt")
        on.wait_live()
        assert on.check_truth() > 0
        on.renew()


def is_doubt_told(on: Stage) -> bool:
    return any(row["flags"] & FLAG_SYNCING for row in on.feed.quotes())


def check_log(on: Stage) -> None:
    """Each resync has its line, each end its audit line."""
    on.feed.program.stop()
    lines = on.feed.program.stderr().splitlines()
    for _, counter, _ in BREAKS[on.name]:
        kind, _, word = counter.partition(".")
        if kind == "resyncs":
            assert any(" resync " in line and f"reason={word}" in line
                       for line in lines)  # fmt: skip
        elif kind == "reconnects":
            assert len(on.audits(word)) == on.count(counter)


def check_rationed_image(on: Stage) -> None:
    """The REST host answers 429 when an image is needed: SYNCING until it serves."""
    before = on.count("images.fail")
    on.venue.inject(f"http(status=429,retry_after={RETRY_S},on=rest)", "gap")
    on.wait_more("images.fail", before)
    on.wait_state(SYNCING)
    tries = on.count("images.attempt")
    failed_ns = on.feed.reader.owner().heartbeat_ns
    on.venue.clear()
    on.wait_more("images.attempt", tries)
    waited_ns = on.feed.reader.owner().heartbeat_ns - failed_ns
    assert waited_ns > (RETRY_S - 0.3) * 1e9, "earlier than the host asked"
    on.wait_live()
    on.check_truth()


@pytest.mark.parametrize("name", venue_names())
def test_both_kinds_agree_and_tell_of_a_book_that_is_false(
    name: str, instance: str, programs: Programs
) -> None:
    with stage(name, instance, programs, feed_kind="both") as on:
        begun = on.count("published")
        on.wait_more("published", begun + AGREED_MIN)
        assert on.count("disputes") == 0
        on.venue.inject("corrupt")
        if name in DISPUTED:
            on.wait_more("disputes", 0)
            on.wait_state(SUSPECT)
            quote = on.quote(BTC)
            assert quote is not None
        else:
            counter = next(row[1] for row in BREAKS[name] if row[0] == "corrupt")
            on.wait_more(counter, 0)
        on.heal()
        assert on.check_truth() > 0
