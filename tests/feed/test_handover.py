"""A session that comes to its limit hands over to the next one without a gap."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from shm_layout import LINK_UP
from tests.feed.simulated import check_truth, feeding
from tests.support import Programs

SETTINGS: dict[str, Any] = {
    "session_limit_ms": 1_500,
    "backoff_first_ms": 20,
    "subscribe_gap_ms": 5,
    "instruments": "BTC-PERP,ETH-PERP",
}


def test_quotes_go_on_through_the_handover(instance: str, programs: Programs) -> None:
    with feeding(instance, programs, SETTINGS) as (venue, feed):
        feed.wait_live()
        first = feed.reader.owner().session
        seen: set[int] = set()

        def has_handed_over_twice() -> bool:
            seen.add(feed.reader.owner().link)
            return feed.count("reconnects.session_timeout") >= 2

        feed.wait(has_handed_over_twice, "two handovers")
        assert seen == {LINK_UP}, "the link was never down"
        feed.wait_live()
        assert feed.reader.owner().session >= first + 2
        assert check_truth(feed, venue) > 10
        sessions = [int(row["session"]) for row in feed.quotes()]
        assert sessions == sorted(sessions), "no quote of a session after its successor"
        gaps_ns = [
            int(later["publish_ns"]) - int(before["publish_ns"])
            for before, later in pairwise(feed.quotes())
        ]
        assert max(gaps_ns) < 1_500_000_000
        feed.program.stop()
        log = feed.program.stderr()
        assert "handed_over" in log
        assert "retry_in_ms" not in log, "nothing was waited for"


def test_venue_that_takes_no_second_connection_ends_the_session_at_its_limit(
    instance: str, programs: Programs
) -> None:
    with feeding(instance, programs, SETTINGS) as (venue, feed):
        feed.wait_live()
        venue.inject("refuse")
        feed.wait(lambda: feed.count("reconnects.session_timeout") > 0, "the limit")
        assert feed.reader.owner().link != LINK_UP
        assert feed.count("reconnects.http_status") + feed.count("connects") > 1
        venue.clear()
        feed.wait_live()
        feed.program.stop()
        assert "successor_failed" in feed.program.stderr()


def test_session_that_ends_while_its_successor_hangs_is_replaced_at_once(
    instance: str, programs: Programs
) -> None:
    settings = {**SETTINGS, "connect_timeout_ms": 60_000}
    with feeding(instance, programs, settings) as (venue, feed):
        feed.wait_live()
        venue.inject("refuse(how=hang)")
        feed.wait(lambda: feed.count("connects") > 1, "a successor that is opened")
        venue.inject("drop")
        feed.wait(lambda: feed.reader.owner().link != LINK_UP, "a link that is down")
        venue.clear()
        feed.wait_live()


def test_trades_are_published_once_while_two_sessions_run(
    instance: str, programs: Programs
) -> None:
    with feeding(instance, programs, {**SETTINGS, "trades": True}, rate=4.0) as pair:
        _, feed = pair
        feed.wait_live()
        feed.wait(
            lambda: feed.count("reconnects.session_timeout") >= 2, "two handovers"
        )
        feed.wait(feed.trade_ids, "a trade")
        ids = feed.trade_ids()
        assert len(ids) == len(set(ids))
