"""A follower polled by a loop of one's own: what came, and what was lost on the way."""

from __future__ import annotations

import pytest

from shm_layout import Capacities, Writer
from tests.client.host import attached


def test_each_poll_returns_what_was_published_since_the_last(instance: str) -> None:
    with attached(instance) as (host, feed), feed.follower() as follower:
        assert follower.poll() == []
        host.quote(1.0)
        host.quote(2.0)
        quotes = [record for record in follower.poll() if record.kind == "quote"]
        assert [record.bid for record in quotes] == [1.0, 2.0]
        assert follower.poll() == []


def test_follower_keeps_to_what_was_asked_for(instance: str) -> None:
    with attached(instance) as (host, feed):
        with feed.follower(kinds=["quote"], instruments=["ETH"]) as follower:
            host.quote(1.0)
            host.quote(2.0, index=1)
            assert [record.instrument for record in follower.poll()] == ["ETH-PERP"]
        with pytest.raises(ValueError, match="unknown kind"):
            feed.follower(kinds=["qoute"])


def test_each_follower_counts_its_losses_and_the_feed_all_of_them(
    instance: str,
) -> None:
    with (
        attached(instance) as (host, feed),
        feed.follower(kinds=["quote"]) as slow,
        feed.follower() as fast,
    ):
        seen = 0
        for number in range(200):
            host.quote(float(number))
            seen += sum(record.kind == "quote" for record in fast.poll())
        assert (seen, fast.lost) == (200, 0)
        assert len(slow.poll()) + slow.lost == 200
        assert feed.lost == slow.lost > 0


def test_closed_follower_holds_nothing_and_finds_nothing(instance: str) -> None:
    with attached(instance) as (host, feed):
        follower = feed.follower()
        host.quote()
        follower.close()
        follower.close()
        assert follower.poll() == []


def test_segments_without_a_market_are_not_followed(instance: str) -> None:
    small = Capacities(instruments=2, ring_slots=8, counters=1, histograms=1)
    roles = ("rest", "telemetry", "supervisor", "reader:bot")
    with attached(instance) as (host, feed):
        others = [Writer.open(instance, role, small) for role in roles]
        with feed.follower(kinds=["quote"], from_start=True) as follower:
            for other in others:
                other.publish_quote(0, 0, 1, 2, 3, 4, 1.0, 1.0, 2.0, 1.0)
            host.quote(7.0)
            records = follower.poll()
            assert {record.venue for record in records} == {"hyperliquid"}
        feed.refresh()
        assert feed.venues == ["hyperliquid"]
        for other in others:
            other.close(unlink=True)
