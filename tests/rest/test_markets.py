"""Which markets are asked for, with the kept discovery and without."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from feedhandler.discovery import cache_path, load_markets, save_answers
from feedhandler.rest.markets import Markets
from feedhandler.venues._base import load_venue

HYPERLIQUID = load_venue("hyperliquid")
LIGHTER = load_venue("lighter")
FRAMES = Path(__file__).parents[1] / "venues/hyperliquid/frames"
BODIES = [
    (FRAMES / "rest_meta_testnet_201.json").read_bytes(),
    b"[]",
    b'{"universe":[],"tokens":[]}',
]


def test_without_discovery_the_naming_rule_serves(tmp_path: Path) -> None:
    markets = Markets(HYPERLIQUID, ["BTC-PERP"], "bbo", tmp_path / "none.json")
    assert markets.refresh()
    entries, askable = markets.entries(1_000)
    assert [entry.instrument for entry in entries] == ["BTC-PERP"]
    assert askable["BTC-PERP"].key == "BTC"
    assert entries[0].fresh_ms == 3_000
    assert not markets.refresh()


def test_market_known_by_its_id_alone_waits_for_it(tmp_path: Path) -> None:
    markets = Markets(LIGHTER, ["BTC-PERP"], "bbo", tmp_path / "none.json")
    markets.refresh()
    entries, askable = markets.entries(1_000)
    assert [entry.instrument for entry in entries] == ["BTC-PERP"]
    assert askable == {}


def test_discovery_that_comes_later_is_read_once(tmp_path: Path) -> None:
    path = cache_path(tmp_path, "hyperliquid")
    markets = Markets(HYPERLIQUID, ["BTC-PERP", "BTC"], "bbo", path)
    markets.refresh()
    save_answers(path, BODIES)
    assert markets.refresh()
    entries, _ = markets.entries(1_000)
    assert len(entries) == 1, "two names of one market"
    assert entries[0].lot > 0
    assert not markets.refresh()
    os.utime(path, ns=(1, 1))
    assert markets.refresh()


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"null", b"\xff"])
def test_kept_answers_that_are_damaged_count_as_none(
    content: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "damaged.json"
    path.write_bytes(content)
    assert load_markets(HYPERLIQUID, path) == []
