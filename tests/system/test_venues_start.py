"""Every venue from its start: rationed discovery, funding, and sessions in turn."""

from __future__ import annotations

import json
import math
import re
import urllib.request
from datetime import datetime
from functools import partial
from itertools import pairwise

import pytest

from feedhandler.sim.truth import Funding
from feedhandler.venues._base import venue_names
from shm_layout import LINK_UP
from tests.feed.simulated import check_truth
from tests.support import Programs
from tests.system.stage import BTC, ETH, Stage, stage

pytestmark = [pytest.mark.system, pytest.mark.slow]

RETRY_S = 3
LIMIT_MS = 3_000
REFUSING = ("extended", "hyperliquid")  # what is not listed; others stay silent
FUNDING_S = 60
WRITTEN = 1e-9  # a rate for 8 hours has 8 decimals where it has the fewest


@pytest.mark.parametrize("name", venue_names())
def test_rationed_discovery_is_waited_for_as_asked(
    name: str, instance: str, programs: Programs
) -> None:
    faults = (f"http(status=429,retry_after={RETRY_S},on=rest)",)
    listed = f"{BTC},{ETH},NOSUCH-PERP"  # the last is nobody's, and disturbs nobody
    run = stage(name, instance, programs, live=False, faults=faults, instruments=listed)
    with run as on:
        on.wait_more("discovery.fail", 0)
        assert on.count("discovery.success") == 0
        if name in REFUSING:
            on.wait_more("subscriptions.rejected", 0)
        on.venue.clear()
        on.wait_more("discovery.success", 0)
        on.wait_live()
        failed_s, found_s = (
            stamp_s(on, word) for word in ("discovery_failed", "discovered")
        )
        assert found_s - failed_s >= RETRY_S - 0.01, "earlier than the host asked"
        check_funding(on)
        if on.count("funding.success"):
            check_rationed_funding(on)
        assert on.check_truth() > 0


@pytest.mark.parametrize("name", venue_names())
def test_sessions_follow_each_other_without_a_gap(
    name: str, instance: str, programs: Programs
) -> None:
    with stage(name, instance, programs, session_limit_ms=LIMIT_MS) as on:
        owner = on.feed.reader.owner()
        before = on.feed.program.stderr().count("handed_over")

        def has_handed_over_twice() -> bool:
            nonlocal before
            log = on.feed.program.stderr()
            if on.feed.reader.owner().link != LINK_UP:
                # Only where a busy machine had no successor ready in time: once more.
                assert "successor_failed" in log, f"the link was down: {on.log()}"
                before = log.count("handed_over")
            return log.count("handed_over") >= before + 2

        on.wait(has_handed_over_twice, "two handovers in a row")
        on.wait_live()
        check_funding(on)
        assert check_truth(on.feed, on.venue, by_session=True) > 0
        rows = on.feed.quotes()
        sessions = [int(row["session"]) for row in rows]
        assert sessions == sorted(sessions), "no quote of a session after its successor"
        assert sessions[-1] >= owner.session + 2
        gaps_ns = [
            int(later["publish_ns"]) - int(before["publish_ns"])
            for before, later in pairwise(rows)
        ]
        assert max(gaps_ns) < LIMIT_MS * 1_000_000
        on.feed.program.stop()
        assert len(on.audits("session_timeout")) >= 2
        log = on.feed.program.stderr()
        assert "retry_in_ms" not in log or "successor_failed" in log


def check_funding(on: Stage) -> None:
    """It is there, and is the fraction for an hour that the venue meant."""

    def is_known(instrument: str) -> bool:
        funding = on.client.funding(on.name, instrument)
        return funding is not None and not math.isnan(funding.rate_per_hour)

    on.wait(lambda: is_known(BTC) and is_known(ETH), "funding of both")
    started_ns = on.feed.reader.owner().stages["configured"]
    for instrument in (BTC, ETH):
        funding = on.client.funding(on.name, instrument)
        assert funding is not None
        assert not funding.is_stale
        assert funding.recv_ns - started_ns < FUNDING_S * 1_000_000_000
        assert math.isclose(funding.rate_per_8h, 8 * funding.rate_per_hour)
        on.wait(partial(is_told, on, instrument), "the rate as it was told")


def is_told(on: Stage, instrument: str) -> bool:
    """Say whether the rate is one that the venue told, per stream or by REST."""
    funding = on.client.funding(on.name, instrument)
    assert funding is not None
    if funding.source == "REST":
        url = f"{on.venue.rest_url}/info/markets/{funding.symbol}/stats"
        request = urllib.request.Request(url, headers={"User-Agent": "test"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            told = [float(json.load(answer)["data"]["fundingRate"])]  # for an hour
    else:
        facts = [note.fact for note in on.venue.notes()]
        told = [
            fact.rate / fact.hours
            for fact in facts
            if isinstance(fact, Funding)
            and fact.symbol == funding.symbol
            and fact.rate is not None
        ]
    return any(
        math.isclose(rate, funding.rate_per_hour, abs_tol=WRITTEN) for rate in told
    )


def check_rationed_funding(on: Stage) -> None:
    """Funding that comes by REST fails, is tried again as asked, and comes again."""
    on.venue.inject(f"http(status=429,retry_after={RETRY_S},on=rest)")
    on.wait_more("funding.fail", 0)
    before = on.count("funding.success")
    on.wait_live()
    on.venue.clear()
    on.wait_more("funding.success", before)
    assert "funding_failed" in on.feed.program.stderr()


def stamp_s(on: Stage, word: str) -> float:
    """Return the wall time of the first line of the log with this event."""
    log = on.feed.program.stderr()
    found = re.search(rf"^(\S+) \S+ {word}\b", log, re.MULTILINE)
    assert found, f"no {word} in:\n{log}"
    return datetime.fromisoformat(found[1]).timestamp()
