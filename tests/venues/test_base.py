"""How venues are found, and what each of them must declare."""

from __future__ import annotations

import pytest

from feedhandler.codec.frame import FrameError
from feedhandler.errors import UsageError
from feedhandler.venues._base import Options, find_market, load_venue, venue_names


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
    assert venue.name == name
    assert venue.ws_url.startswith("wss://")
    assert venue.rest_url.startswith("https://")
    assert set(venue.fresh_ms) == {"bbo", "depth"}
    assert venue.limits.frame_bytes_max <= 1 << 24
    assert venue.limits.connects_per_minute > 0
    assert venue.liveness_channel


@pytest.mark.parametrize("name", venue_names())
@pytest.mark.parametrize("kind", ["bbo", "depth"])
def test_each_feed_kind_has_one_quote_channel_and_keys_of_its_own(
    name: str, kind: str
) -> None:
    venue = load_venue(name)
    symbol = find_market(venue, "BTC-PERP", []).symbol
    wanted = venue.subscriptions(symbol, Options(kind))
    assert sum(row.is_book for row in wanted) == 1
    assert len({row.key for row in wanted}) == len(wanted)
    assert {row.symbol for row in wanted} == {symbol}


@pytest.mark.parametrize("name", venue_names())
@pytest.mark.parametrize("body", [b"", b"null", b"[]", b"<html>", b'{"universe":5}'])
def test_discovery_of_another_shape_is_refused(name: str, body: bytes) -> None:
    with pytest.raises(FrameError):
        load_venue(name).parse_markets(body)
