"""Every venue's connection: silent, cut, refused, rationed, and whole again."""

from __future__ import annotations

import re

import pytest

from feedhandler.venues._base import venue_names
from tests.support import Programs
from tests.system.stage import (
    BTC,
    DOWN,
    ETH,
    STALE,
    SYNCING,
    Stage,
    logged_ms,
    stage,
)

pytestmark = [pytest.mark.system, pytest.mark.slow]

AWAY = "refuse(how=http,status=503)"
RETRY_S = 1


@pytest.mark.parametrize("name", venue_names())
def test_connection_is_given_up_for_a_reason_and_made_anew(
    name: str, instance: str, programs: Programs
) -> None:
    with stage(name, instance, programs) as on:
        check_muted(on)
        check_refused_subscription(on)
        for how in ("rst", "fin", "mid"):
            check_cut(on, how)
        check_rationed_upgrade(on)
        assert on.check_truth() > 20
        on.feed.program.stop()
        for label in ("stale_watchdog", "stream_end", "http_status", "shutdown"):
            lines = on.audits(label)
            assert len(lines) == on.count(f"reconnects.{label}") > 0
            assert f"count={len(lines)} " in lines[-1]


def check_muted(on: Stage) -> None:
    """Neither books nor liveness come; pongs and heartbeats do."""
    session = on.feed.reader.owner().session
    on.venue.inject("mute")
    on.wait_state(STALE)
    pongs = on.count("pongs")
    on.wait_more("reconnects.stale_watchdog", 0)
    if pongs:
        assert on.count("pongs") > pongs, "the link itself lived"
    on.heal()
    assert on.feed.reader.owner().session > session


def check_cut(on: Stage, how: str) -> None:
    """The socket is cut, and the venue cannot be reached for a while."""
    before = on.count("reconnects.stream_end")
    on.cut(how, away=AWAY)
    on.wait_more("reconnects.stream_end", before, f"the end by {how}")
    on.wait_state(DOWN)
    on.heal()


def check_rationed_upgrade(on: Stage) -> None:
    """The venue answers new streams with 429, and says when to come back."""
    before = len(on.audits("http_status"))
    on.cut(away=f"http(status=429,retry_after={RETRY_S},on=upgrade)")
    on.wait(lambda: len(on.audits("http_status")) > before, "a refused upgrade")
    status = on.status()
    assert status["state"] == on.state() == DOWN
    assert status["reconnects"]["http_status"] > 0
    lines = on.feed.program.stderr().splitlines()
    ends = [line for line in lines if "label=http_status" in line and "429" in line]
    assert logged_ms(ends[0], "retry_in_ms") >= RETRY_S * 1_000
    on.heal()


def check_refused_subscription(on: Stage) -> None:
    """One market is refused: it stays out for a counted reason, the other one lives."""
    _, symbol = on.feed.symbols()
    on.cut(away=f"reject(symbol={symbol})")
    on.wait_more("subscriptions.rejected", 0)
    on.wait_live(BTC)
    on.wait_state(SYNCING, STALE, instrument=ETH)
    counted = on.count("subscriptions.rejected")
    on.wait(lambda: reasons(on) >= counted, "a reason for each in the log")
    on.venue.clear()
    on.cut()
    on.wait_live()


def reasons(on: Stage) -> int:
    """Return how many refusals the log gives a reason for."""
    log = on.feed.program.stderr()
    return len(re.findall(r" subscription_refused .*\breason=\w+", log))
