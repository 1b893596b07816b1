"""The client: one read answers; what died, lapped or was replaced is known."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest

import feedhandler
from shm_layout import (
    FLAG_ONE_SIDED,
    FLAG_SYNCING,
    LINK_UP,
    SIDE_BID,
    TIME_NONE,
    SegmentMissing,
    core,
    segment,
)
from tests import support
from tests.client.host import MS, VENUE, attached
from tests.shm_layout.memory import IMPLEMENTATIONS, load

WAIT_S = 10_000 * support.MS


def quote_of(feed: feedhandler.Feed) -> feedhandler.Quote:
    quote = feed.quote(VENUE, "BTC-PERP")
    assert quote is not None
    return quote


def test_one_read_gives_prices_stamps_state_and_verdict(instance: str) -> None:
    with attached(instance) as (host, feed):
        host.quote(41.0)
        quote = quote_of(feed)
        assert (quote.bid, quote.bid_size, quote.ask, quote.ask_size) == (41, 2, 42, 3)
        assert (quote.state, quote.reason, quote.source) == ("LIVE", "", "STREAM")
        assert quote.tradable
        assert quote.symbol == "BTC"
        assert quote.venue_sequence == 5
        assert 0 <= quote.recv_age_ns < 10_000 * MS
        assert quote.apply_age_ns is not None
        assert 0 <= quote.apply_age_ns <= quote.recv_age_ns
        assert quote.event_age_ns is not None
        assert abs(quote.event_age_ns) < 10_000 * MS


def test_an_unknown_instrument_or_venue_is_none(instance: str) -> None:
    with attached(instance) as (_, feed):
        assert feed.quote(VENUE, "DOGE-PERP") is None
        assert feed.quote("nowhere", "BTC-PERP") is None


def test_a_listed_instrument_without_a_quote_is_none(instance: str) -> None:
    with attached(instance) as (_, feed):
        assert feed.quote(VENUE, "ETH-PERP") is None


def test_attaching_to_nothing_says_how_to_start(instance: str) -> None:
    with pytest.raises(SegmentMissing, match="feedhandler start"):
        feedhandler.attach(instance)


def test_a_dead_feed_leaves_the_quote_readable_and_not_tradable(
    instance: str,
) -> None:
    with attached(instance) as (host, feed):
        host.quote(41.0)
        host.feed.beat(time.monotonic_ns() - 501 * MS, 0)
        quote = quote_of(feed)
        assert (quote.bid, quote.state, quote.tradable) == (41.0, "DOWN", False)
        assert quote.reason == "writer_dead"


def test_a_dead_runner_makes_nothing_tradable(instance: str) -> None:
    with attached(instance) as (host, feed):
        assert host.runner is not None
        board = host.runner._board.writer
        board.beat(time.monotonic_ns() - 501 * MS, 0)
        quote = quote_of(feed)
        assert (quote.state, quote.reason) == ("UNKNOWN", "runner_dead")
        assert not quote.tradable
        assert not feed.quotes()["tradable"].any()


def test_a_doubt_of_the_feed_counts_before_the_runner_has_seen_it(
    instance: str,
) -> None:
    with attached(instance) as (host, feed):
        host.quote()
        host.feed.mark(0, FLAG_SYNCING)
        quote = quote_of(feed)
        assert (quote.state, quote.reason, quote.tradable) == (
            "SYNCING",
            "resync",
            False,
        )


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize(
    "sides", [{"bid": math.nan}, {"ask": math.nan}, {"bid": math.nan, "ask": -math.nan}]
)
def test_a_side_that_is_absent_counts_without_its_flag(
    instance: str,
    monkeypatch: pytest.MonkeyPatch,
    implementation: str,
    sides: dict[str, float],
) -> None:
    monkeypatch.setattr(core, "_module", load(implementation))
    with attached(instance) as (host, feed):
        host.quote(41.0)
        quote = quote_of(feed)
        assert (quote.tradable, quote.is_two_sided) == (True, True)
        host.forge(**sides)
        quote = quote_of(feed)
        assert not quote.flags & FLAG_ONE_SIDED
        assert (quote.state, quote.reason) == ("SUSPECT", "one_sided")
        assert (quote.tradable, quote.is_two_sided) == (False, False)
        assert not feed.quotes()["tradable"].any()


@pytest.mark.parametrize(
    ("bid", "ask", "is_two_sided"),
    [
        (10.0, 11.0, True),
        (0.0, math.inf, True),
        (math.nan, 11.0, False),
        (10.0, math.nan, False),
        (math.nan, math.nan, False),
    ],
)
def test_a_quote_is_two_sided_when_neither_price_is_absent(
    instance: str, bid: float, ask: float, is_two_sided: bool
) -> None:
    with attached(instance) as (host, feed):
        host.forge(bid=bid, ask=ask, bid_size=math.nan)
        quote = quote_of(feed)
        assert quote.is_two_sided is is_two_sided


def test_a_new_session_is_not_tradable_before_its_verdict(instance: str) -> None:
    with attached(instance) as (host, feed):
        session = host.feed.session + 1
        host.feed.set_link(LINK_UP, session)
        quote = quote_of(feed)
        assert (quote.state, quote.tradable) == ("SYNCING", False)
        host.feed.publish_quote(
            0, 0, session, TIME_NONE, time.monotonic_ns(), 0, 1.0, 1.0, 2.0, 1.0
        )
        quote = quote_of(feed)
        assert (quote.reason, quote.tradable) == ("no_verdict", False)
        host.step()
        quote = quote_of(feed)
        assert quote.tradable
        assert quote.event_age_ns is None


def test_quotes_tells_the_same_as_each_quote(instance: str) -> None:
    with attached(instance) as (host, feed):
        host.quote(41.0)
        host.quote(51.0, index=1, flags=FLAG_SYNCING)
        table = feed.quotes()
        assert table["instrument"].tolist() == ["BTC-PERP", "ETH-PERP"]
        for row in table:
            quote = feed.quote(row["venue"], row["instrument"])
            assert quote is not None
            assert (row["bid"], row["ask"]) == (quote.bid, quote.ask)
            assert (row["state"], row["reason"], row["tradable"], row["source"]) == (
                quote.state,
                quote.reason,
                quote.tradable,
                quote.source,
            )
            assert row["apply_ns"] == quote.apply_ns
            assert row["sequence"] == quote.sequence


def test_quotes_shows_the_unknown_as_unknown_and_never_as_zero(instance: str) -> None:
    with attached(instance) as (_, feed):
        row = feed.quotes()[1]
        assert row["instrument"] == "ETH-PERP"
        assert math.isnan(row["bid"])
        assert math.isnan(row["ask_size"])
        assert (row["apply_age_ns"], row["recv_age_ns"]) == (-1, -1)
        assert row["event_age_ns"] == TIME_NONE
        assert not row["tradable"]
        assert row["state"] == "SYNCING"


def test_a_replaced_segment_is_attached_again(instance: str) -> None:
    with attached(instance) as (host, feed):
        host.feed.close(unlink=True)
        host.feed = host.open_feed(ring_slots=128)
        feed.refresh()
        host.quote(77.0)
        host.step(300 * MS)
        host.quote(77.0)
        quote = quote_of(feed)
        assert quote.bid == 77.0


def test_reading_alone_finds_a_segment_in_the_place_of_a_dead_one(
    instance: str,
) -> None:
    limit_ms = 60_000  # the runner, which is not stepped, lives and has not noticed
    with attached(instance) as (host, _):
        host.quote(41.0)
        with feedhandler.attach(instance, heartbeat_limit_ms=limit_ms) as feed:
            host.feed.beat(time.monotonic_ns() - (limit_ms + 1) * MS, 0)
            host.feed.close()
            host.feed = host.open_feed(ring_slots=128)
            host.feed.publish_quote(
                0, 0, 1, TIME_NONE, time.monotonic_ns(), 0, 77.0, 1.0, 78.0, 1.0
            )
            support.wait_until(lambda: quote_of(feed).bid == 77.0, WAIT_S)
            # It is of the first session again, of which the runner said LIVE.
            host.feed.beat(time.monotonic_ns(), 0)
            quote = quote_of(feed)
            assert (quote.session, quote.reason) == (1, "no_verdict")


def test_reading_alone_finds_the_first_quote_in_a_new_segment(instance: str) -> None:
    with attached(instance) as (host, feed):
        assert feed.quote(VENUE, "ETH-PERP") is None
        host.feed.close(unlink=True)
        host.feed = host.open_feed(ring_slots=128)
        host.quote(77.0, index=1)
        support.wait_until(lambda: feed.quote(VENUE, "ETH-PERP"), WAIT_S, "a quote")


def test_reading_alone_finds_a_runner_that_comes_later(instance: str) -> None:
    with attached(instance) as (host, _):
        assert host.runner is not None
        host.runner.close()
        host.runner = None
        assert segment.remove_leftover(segment.segment_name(instance, "runner"))
        with feedhandler.attach(instance) as feed:
            host.quote(41.0)
            quote = quote_of(feed)
            assert (quote.state, quote.reason) == ("UNKNOWN", "runner_dead")
            host.runner = host.open_runner()

            def is_tradable() -> bool:
                host.quote(41.0)
                return quote_of(feed).tradable

            support.wait_until(is_tradable, WAIT_S, "the verdict of the new runner")


def test_follow_yields_every_kind_in_order_with_names(instance: str) -> None:
    with attached(instance) as (host, feed):
        records = feed.follow(timeout_s=0.0)
        for bid in (1.0, 2.0, 3.0):
            host.quote(bid)
        now_ns = time.monotonic_ns()
        host.feed.publish_trade(
            0, 0, host.feed.session, TIME_NONE, now_ns, 0, 3.5, 0.1, SIDE_BID, 99
        )
        host.feed.publish_funding(
            0,
            0,
            host.feed.session,
            TIME_NONE,
            now_ns,
            1.25e-5,
            3_600_000_000_000,
            TIME_NONE,
            3.0,
            3.1,
            math.nan,
            7.0,
        )
        seen = list(records)
        assert [record.kind for record in seen] == [*["quote"] * 3, "trade", "funding"]
        assert [record.bid for record in seen[:3]] == [1.0, 2.0, 3.0]
        assert (seen[3].price, seen[3].aggressor, seen[3].trade_id) == (3.5, 1, 99)
        assert seen[4].rate_per_hour == 1.25e-5
        assert {record.instrument for record in seen} == {"BTC-PERP"}
        assert feed.lost == 0


def test_follow_keeps_to_the_kinds_and_instruments_asked_for(instance: str) -> None:
    with attached(instance) as (host, feed):
        records = feed.follow(kinds=["quote"], instruments=["ETH"], timeout_s=0.0)
        host.quote(1.0)
        host.quote(2.0, index=1)
        assert [record.instrument for record in records] == ["ETH-PERP"]


def test_follow_refuses_an_unknown_kind_by_naming_the_known(instance: str) -> None:
    refusal = pytest.raises(ValueError, match="quote, trade, funding, status")
    with attached(instance) as (_, feed), refusal:
        feed.follow(kinds=["qoute"])


def test_following_from_the_start_yields_what_the_rings_still_hold(
    instance: str,
) -> None:
    with attached(instance) as (host, feed):
        for number in range(100):
            host.quote(float(number))
        seen = list(feed.follow(kinds=["quote"], timeout_s=0.0, from_start=True))
        assert [record.bid for record in seen] == [float(n) for n in range(68, 100)]
        assert feed.lost == 0


def test_a_lapped_follower_counts_what_it_lost(instance: str) -> None:
    with attached(instance) as (host, feed):
        records = feed.follow(kinds=["quote"], timeout_s=0.0)
        for number in range(500):
            host.quote(float(number))
        seen = list(records)
        assert feed.lost > 0
        assert feed.lost + len(seen) == 500
        assert seen[-1].bid == 499.0


def test_status_moves_can_be_followed(instance: str) -> None:
    with attached(instance) as (host, feed):
        host.quote()
        records = feed.follow(kinds=["status"], timeout_s=0.0)
        host.feed.set_link(LINK_UP, host.feed.session + 1)
        host.feed.beat(time.monotonic_ns(), 0)
        host.step()
        (record,) = records
        assert record.instrument == "BTC-PERP"
        assert record.kind == "status"


def test_the_array_is_plain_numpy(instance: str) -> None:
    with attached(instance) as (_, feed):
        table = feed.quotes()
        assert isinstance(table, np.ndarray)
        assert (table["ask"] - table["bid"])[0] == 1.0
