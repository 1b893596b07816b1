"""The newest funding: one read, with its source and its age."""

from __future__ import annotations

import dataclasses
import math
import time

import pytest

from feedhandler import Feed
from feedhandler.client import Funding
from shm_layout import SOURCE_REST, SOURCE_STREAM, TIME_NONE
from tests.client.host import MS, VENUE, Host, attached

HOUR_NS = 3_600_000_000_000
S = 1_000 * MS


def publish(
    host: Host, rate: float = 1.25e-5, *, age_ns: int = 0, source: int = SOURCE_STREAM
) -> int:
    """Publish BTC's funding as received that long ago; return when that was."""
    recv_ns = time.monotonic_ns() - age_ns
    prices = (3.0, 3.1, math.nan, 7.0)
    host.feed.publish_funding(
        0,
        0,
        host.feed.session,
        1_700_000_000_000_000_000,
        recv_ns,
        rate,
        HOUR_NS,
        1_700_003_600_000_000_000,
        *prices,
        source=source,
    )
    return recv_ns


def funding_of(feed: Feed, **options: float) -> Funding:
    funding = feed.funding(VENUE, "BTC-PERP", **options)
    assert funding is not None
    return funding


def test_one_read_gives_rate_times_prices_source_and_age(instance: str) -> None:
    with attached(instance) as (host, feed):
        recv_ns = publish(host)
        funding = funding_of(feed)
        assert funding.rate_per_hour == 1.25e-5
        assert funding.rate_per_8h == 8 * 1.25e-5
        assert funding.interval_ns == HOUR_NS
        assert funding.next_funding_ns == 1_700_003_600_000_000_000
        assert (funding.mark_price, funding.oracle_price) == (3.0, 3.1)
        assert math.isnan(funding.mid_price)
        assert funding.open_interest == 7.0
        assert (funding.venue, funding.instrument) == (VENUE, "BTC-PERP")
        assert (funding.symbol, funding.source) == ("BTC", "STREAM")
        assert funding.event_ns == 1_700_000_000_000_000_000
        assert funding.recv_ns == recv_ns
        assert 0 <= funding.recv_age_ns < 10 * S
        assert (funding.session, funding.epoch) == (1, 1)
        assert not funding.is_stale


def test_nothing_is_made_up_where_there_is_no_funding(instance: str) -> None:
    with attached(instance) as (host, feed):
        publish(host)
        assert feed.funding(VENUE, "ETH-PERP") is None
        assert feed.funding(VENUE, "DOGE-PERP") is None
        assert feed.funding("nowhere", "BTC-PERP") is None


def test_newest_funding_is_the_one_read(instance: str) -> None:
    with attached(instance) as (host, feed):
        for number in range(1, 20):
            publish(host, number * 1e-6)
            host.quote(float(number))
            assert funding_of(feed).rate_per_hour == number * 1e-6


def test_source_tells_stream_from_rest(instance: str) -> None:
    with attached(instance) as (host, feed):
        publish(host, source=SOURCE_REST)
        assert funding_of(feed).source == "REST"
        publish(host)
        assert funding_of(feed).source == "STREAM"


@pytest.mark.parametrize(
    ("age_ns", "options", "is_stale"),
    [
        (590 * S, {}, False),
        (601 * S, {}, True),
        (30 * S, {"stale_after_s": 20.0}, True),
        (601 * S, {"stale_after_s": 3_600.0}, False),
        (-60 * S, {}, True),  # from the future: from another clock
    ],
)
def test_funding_is_stale_above_its_limit(
    instance: str, age_ns: int, options: dict[str, float], is_stale: bool
) -> None:
    with attached(instance) as (host, feed):
        publish(host, age_ns=age_ns)
        assert funding_of(feed, **options).is_stale is is_stale


def test_age_at_the_limit_is_not_stale_and_a_nanosecond_more_is(instance: str) -> None:
    with attached(instance) as (host, feed):
        publish(host)
        funding = funding_of(feed, stale_after_s=600.0)
        at = dataclasses.replace(funding, read_ns=funding.recv_ns + 600 * S)
        assert not at.is_stale
        assert dataclasses.replace(at, read_ns=at.read_ns + 1).is_stale
        assert dataclasses.replace(at, recv_ns=TIME_NONE).is_stale


def test_funding_of_a_dead_feed_stays_readable(instance: str) -> None:
    with attached(instance) as (host, feed):
        publish(host)
        host.feed.beat(time.monotonic_ns() - 501 * MS, 0)
        host.feed.close()
        assert funding_of(feed).rate_per_hour == 1.25e-5
        host.feed = host.open_feed()


def test_funding_of_a_replaced_segment_is_found(instance: str) -> None:
    with attached(instance) as (host, feed):
        publish(host, 1e-6)
        host.feed.close(unlink=True)
        host.feed = host.open_feed(ring_slots=128)
        feed.refresh()
        assert feed.funding(VENUE, "BTC-PERP") is None
        publish(host, 2e-6)
        assert funding_of(feed).rate_per_hour == 2e-6
