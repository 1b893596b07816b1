"""How venues are found, and what each of them must declare."""

from __future__ import annotations

import pytest

from feedhandler.codec.frame import FrameError
from feedhandler.errors import UsageError
from feedhandler.venues._base import (
    Options,
    Subscription,
    find_market,
    load_venue,
    venue_names,
)


def wanted(name: str, kind: str) -> list[Subscription]:
    """Return what a feed of one market subscribes."""
    venue = load_venue(name)
    market = find_market(venue, "BTC-PERP", [])
    return venue.subscriptions(market.key, Options(kind))


def test_venues_are_the_modules_without_an_underscore() -> None:
    names = venue_names()
    assert "hyperliquid" in names
    assert not any(name.startswith("_") for name in names)


@pytest.mark.parametrize("name", ["nosuch", "_base", "", "../hyperliquid", "os"])
def test_unknown_venue_is_refused_with_the_known_ones(name: str) -> None:
    with pytest.raises(UsageError, match="hyperliquid"):
        load_venue(name)


@pytest.mark.parametrize("name", venue_names())
def test_venue_declares_what_a_feed_needs(name: str) -> None:
    venue = load_venue(name)
    limits = venue.limits
    assert venue.name == name
    assert venue.ws_url.startswith("wss://")
    assert venue.rest_url.startswith("https://")
    assert set(venue.fresh_ms) == {"bbo", "depth"}
    assert set(venue.continuity) <= {"bbo", "depth"}
    assert venue.cross_check in ("sequence", "time", "long")
    assert limits.frame_bytes_max <= 1 << 24
    assert limits.connects_per_minute > 0
    assert limits.chunk > 0
    assert limits.read_timeout_ms > 0
    assert venue.liveness_channel


@pytest.mark.parametrize("name", venue_names())
def test_discovery_leaves_most_of_the_budget(name: str) -> None:
    venue = load_venue(name)
    assert venue.discovery
    weight = sum(request.weight for request in venue.discovery)
    assert 0 < weight <= venue.limits.rest_weight_per_minute // 10


@pytest.mark.parametrize("name", venue_names())
@pytest.mark.parametrize(
    ("kind", "books"),
    [("bbo", ["bbo"]), ("depth", ["depth"]), ("both", ["bbo", "depth"])],
)
def test_books_come_first_then_liveness_then_trades(
    name: str, kind: str, books: list[str]
) -> None:
    rows = wanted(name, kind)
    assert [row.carries for row in rows] == [*books, "liveness", "trades"]


@pytest.mark.parametrize("name", venue_names())
@pytest.mark.parametrize("kind", ["bbo", "depth", "both"])
def test_each_stream_has_a_key_and_a_topic_of_its_own(name: str, kind: str) -> None:
    rows = wanted(name, kind)
    assert len({row.key for row in rows}) == len(rows)
    assert len({row.topic for row in rows}) == len(rows)
    assert len({row.symbol for row in rows}) == 1


@pytest.mark.parametrize("name", venue_names())
def test_request_carries_as_many_topics_as_are_allowed(name: str) -> None:
    venue = load_venue(name)
    topics = [row.topic for row in wanted(name, "both")][: venue.limits.chunk]
    begin = venue.request(topics, 1)
    end = venue.request(topics, 2, is_end=True)
    assert begin != end
    assert len(begin) <= venue.limits.frame_bytes_max


@pytest.mark.parametrize("name", venue_names())
@pytest.mark.parametrize("body", [b"", b"null", b"[]", b"<html>", b'{"universe":5}'])
def test_discovery_of_another_shape_is_refused(name: str, body: bytes) -> None:
    venue = load_venue(name)
    with pytest.raises(FrameError):
        venue.parse_markets([body] * len(venue.discovery))


@pytest.mark.parametrize("name", venue_names())
@pytest.mark.parametrize("body", [b"", b"<html>", b"5", b"null", b'{"code":1}'])
def test_snapshot_of_another_shape_is_refused(name: str, body: bytes) -> None:
    venue = load_venue(name)
    market = find_market(venue, "0", [])
    assert 0 < venue.snapshot_request(market).weight <= 60
    with pytest.raises(FrameError):
        venue.parse_snapshot(market, body, 0)


@pytest.mark.parametrize("name", venue_names())
def test_funding_has_one_way_in(name: str) -> None:
    venue = load_venue(name)
    market = find_market(venue, "0", [])
    if venue.funding_request(market) is None:
        with pytest.raises(FrameError):
            venue.parse_funding(market, b"{}", 0)
