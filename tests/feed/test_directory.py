"""Names, the cached discovery and the segment's instruments."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from math import isnan
from pathlib import Path

import pytest

from feedhandler.codec.frame import FrameError
from feedhandler.errors import UsageError
from feedhandler.feed.directory import CACHE_AGE_S_MAX, Directory
from feedhandler.venues.hyperliquid import VENUE
from shm_layout import Capacities, CapacityExceeded, Instrument, Writer

META = (
    Path(__file__).parents[1] / "venues/hyperliquid/frames/rest_meta_testnet_201.json"
).read_bytes()
# The main dex, every dex, and the spot pairs.
BODIES = [META, b"[]", b'{"universe":[],"tokens":[]}']


@pytest.fixture
def writer(instance: str) -> Iterator[Writer]:
    made = Writer.open(
        instance, "feed:hyperliquid", Capacities(instruments=4, ring_slots=64)
    )
    yield made
    made.close(unlink=True)


def directory(writer: Writer, names: Sequence[str], folder: Path) -> Directory:
    path = folder / "state" / "hyperliquid.markets.json"
    return Directory(VENUE, names, "bbo", 3_000, writer, path)


def active(writer: Writer) -> dict[str, Instrument]:
    return {row.symbol: row for row in writer.instruments() if row.is_active}


def test_without_a_cache_the_naming_rule_serves(writer: Writer, tmp_path: Path) -> None:
    found = directory(writer, ["BTC-PERP", "ETH-PERP"], tmp_path)
    assert found.indexes == {"BTC": 0, "ETH": 1}
    assert found.is_due
    entry = active(writer)["BTC"]
    assert (entry.instrument, entry.fresh_ms) == ("BTC-PERP", 3_000)
    assert isnan(entry.lot)


def test_discovery_fills_in_what_the_rule_cannot_know(
    writer: Writer, tmp_path: Path
) -> None:
    found = directory(writer, ["BTC-PERP", "PEPE-PERP"], tmp_path)
    assert set(found.indexes) == {"BTC", "PEPE"}
    found.update(BODIES)
    assert found.indexes == {"BTC": 0, "kPEPE": 1}
    entry = active(writer)["kPEPE"]
    assert (entry.instrument, entry.multiplier, entry.lot) == ("PEPE-PERP", 1000.0, 1.0)


def test_next_process_knows_the_markets_at_once(writer: Writer, tmp_path: Path) -> None:
    directory(writer, ["PEPE-PERP"], tmp_path).update(BODIES)
    again = directory(writer, ["PEPE-PERP"], tmp_path)
    assert set(again.indexes) == {"kPEPE"}
    assert not again.is_due


def test_old_cache_is_due_and_still_used(writer: Writer, tmp_path: Path) -> None:
    directory(writer, ["PEPE-PERP"], tmp_path).update(BODIES)
    (path,) = (tmp_path / "state").iterdir()
    old_s = time.time() - CACHE_AGE_S_MAX - 60
    os.utime(path, (old_s, old_s))
    again = directory(writer, ["PEPE-PERP"], tmp_path)
    assert set(again.indexes) == {"kPEPE"}
    assert again.is_due


@pytest.mark.parametrize("body", [b"", b"null", b"{", b'{"universe":[]}', b"<html>"])
def test_bad_answer_changes_nothing(
    writer: Writer, tmp_path: Path, body: bytes
) -> None:
    found = directory(writer, ["PEPE-PERP"], tmp_path)
    found.update(BODIES)
    with pytest.raises(FrameError):
        found.update([body, *BODIES[1:]])
    assert set(found.indexes) == {"kPEPE"}
    assert set(directory(writer, ["PEPE-PERP"], tmp_path).indexes) == {"kPEPE"}


@pytest.mark.parametrize("body", [b"", b"\xff", b"[" * 5_000])
def test_damaged_cache_is_ignored(writer: Writer, tmp_path: Path, body: bytes) -> None:
    path = tmp_path / "state" / "hyperliquid.markets.json"
    path.parent.mkdir()
    path.write_bytes(body)
    assert set(directory(writer, ["BTC-PERP"], tmp_path).indexes) == {"BTC"}


def test_instrument_no_longer_configured_is_retired(
    writer: Writer, tmp_path: Path
) -> None:
    directory(writer, ["BTC-PERP", "ETH-PERP"], tmp_path)
    found = directory(writer, ["ETH-PERP"], tmp_path)
    assert found.indexes == {"ETH": 1}
    assert set(active(writer)) == {"ETH"}


def test_symbol_listed_under_two_names_is_entered_once(
    writer: Writer, tmp_path: Path
) -> None:
    found = directory(writer, ["PEPE-PERP", "kPEPE"], tmp_path)
    found.update(BODIES)
    assert found.indexes.keys() == {"kPEPE"}


def test_tick_follows_the_price(writer: Writer, tmp_path: Path) -> None:
    found = directory(writer, ["BTC-PERP"], tmp_path)
    found.update(BODIES)
    assert isnan(active(writer)["BTC"].tick)
    writer.publish_quote(0, 0, 1, 1, 1, 0, 105055.0, 1.0, 105056.0, 1.0)
    found.renew_ticks()
    assert active(writer)["BTC"].tick == 1.0


def test_more_instruments_than_the_segment_holds_is_an_error(
    writer: Writer, tmp_path: Path
) -> None:
    names = [f"A{number}-PERP" for number in range(5)]
    with pytest.raises(CapacityExceeded):
        directory(writer, names, tmp_path)


def test_name_too_long_for_the_directory_is_an_error(
    writer: Writer, tmp_path: Path
) -> None:
    with pytest.raises(UsageError):
        directory(writer, ["X" * 31], tmp_path)
