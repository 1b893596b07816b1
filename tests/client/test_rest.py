"""What a reader that asked for REST sees, and one that did not."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

import feedhandler
from shm_layout import SOURCE_REST, Capacities, Instrument, Writer
from shm_layout.codes import FLAG_SNAPSHOT, LINK_DOWN
from tests.client.host import VENUE, Host, attached

NAME = "BTC-PERP"


@contextmanager
def answered(instance: str) -> Iterator[tuple[Host, feedhandler.Feed, Writer]]:
    """Run a feed, a runner and the REST process's segment."""
    with attached(instance) as (host, _):
        rest = Writer.open(instance, "rest", Capacities(8, 64), SOURCE_REST)
        try:
            rest.add_instrument(Instrument("lighter", NAME, "BTC"))
            rest.add_instrument(Instrument(VENUE, NAME, "BTC"))
            with feedhandler.attach(instance, rest=True) as feed:
                yield host, feed, rest
        finally:
            rest.close(unlink=True)


def answer(rest: Writer, recv_ns: int, bid: float = 20.0, index: int = 1) -> None:
    rest.publish_quote(
        index, FLAG_SNAPSHOT, 1, time.time_ns(), recv_ns, 9, bid, 2.0, bid + 1, 3.0
    )


def row_of(feed: feedhandler.Feed) -> Any:
    table = feed.quotes()
    return table[(table["venue"] == VENUE) & (table["instrument"] == NAME)][0]


def quote_of(feed: feedhandler.Feed) -> feedhandler.Quote:
    quote = feed.quote(VENUE, NAME)
    assert quote is not None
    return quote


def tire(host: Host) -> None:
    """Let the stream's quote get stale, while its feed beats."""
    host.feed.set_link(LINK_DOWN, host.feed.session)
    host.feed.beat(time.monotonic_ns(), 0)
    host.step()


def test_live_quote_is_the_streams_whatever_rest_says(instance: str) -> None:
    with answered(instance) as (host, feed, rest):
        host.quote(bid=10.0)
        answer(rest, time.monotonic_ns())
        host.quote(bid=11.0)
        quote = quote_of(feed)
        assert (quote.source, quote.bid) == ("STREAM", 11.0)
        assert row_of(feed)["source"] == "STREAM"


def test_dead_stream_gives_way_and_keeps_its_own_age(instance: str) -> None:
    with answered(instance) as (host, feed, rest):
        host.quote(bid=10.0)
        applied_ns = quote_of(feed).apply_ns
        tire(host)
        recv_ns = time.monotonic_ns()
        answer(rest, recv_ns)
        quote = quote_of(feed)
        assert (quote.source, quote.bid, quote.ask) == ("REST", 20.0, 21.0)
        assert (quote.state, quote.reason) == ("DOWN", "link_down")
        assert not quote.tradable
        assert quote.recv_ns == recv_ns
        assert quote.apply_ns == applied_ns, "the stream's, as it was"
        row = row_of(feed)
        assert (row["source"], row["bid"], row["state"]) == ("REST", 20.0, "DOWN")
        assert not row["tradable"]
        assert (row["recv_ns"], row["apply_ns"]) == (recv_ns, applied_ns)
        assert row["recv_age_ns"] >= 0
        assert row["apply_age_ns"] >= 0
        assert row["recv_ns"] >= row["apply_ns"], "the answer came later"


def test_older_answer_than_the_stream_is_not_shown(instance: str) -> None:
    with answered(instance) as (host, feed, rest):
        answer(rest, time.monotonic_ns())
        host.quote(bid=10.0)
        tire(host)
        assert (quote_of(feed).source, row_of(feed)["source"]) == ("STREAM", "STREAM")


@pytest.mark.parametrize("has_asked", [False, True])
def test_only_who_asked_for_rest_gets_it(instance: str, has_asked: bool) -> None:
    with answered(instance) as (host, _, rest):
        host.quote()
        tire(host)
        answer(rest, time.monotonic_ns())
        with feedhandler.attach(instance, rest=has_asked) as feed:
            source = "REST" if has_asked else "STREAM"
            assert quote_of(feed).source == row_of(feed)["source"] == source


def test_answer_for_a_stream_that_never_spoke_is_shown_as_what_it_is(
    instance: str,
) -> None:
    with answered(instance) as (_, feed, rest):
        answer(rest, time.monotonic_ns(), index=0)
        quote = feed.quote("lighter", NAME)
        assert quote is not None
        assert (quote.source, quote.state, quote.reason) == (
            "REST",
            "UNKNOWN",
            "never_spoken",
        )
        assert quote.apply_age_ns is None
        assert not quote.tradable


def test_rest_that_starts_late_is_found(instance: str) -> None:
    with attached(instance) as (host, _):
        host.quote()
        tire(host)
        with feedhandler.attach(instance, rest=True) as feed:
            assert quote_of(feed).source == "STREAM"
            rest = Writer.open(instance, "rest", Capacities(8, 64), SOURCE_REST)
            try:
                rest.add_instrument(Instrument(VENUE, NAME, "BTC"))
                answer(rest, time.monotonic_ns(), index=0)
                feed.refresh()
                assert quote_of(feed).source == "REST"
            finally:
                rest.close(unlink=True)
            feed.refresh()
            assert quote_of(feed).source == "STREAM"
