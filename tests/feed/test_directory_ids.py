"""The directory of a venue that knows its markets by id alone."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from feedhandler.feed.directory import Directory
from feedhandler.venues.lighter import VENUE
from shm_layout import Capacities, Writer

ROWS = [
    {"symbol": "ETH", "market_id": 0, "price_decimals": 2, "size_decimals": 4},
    {"symbol": "BTC", "market_id": 1, "price_decimals": 1, "size_decimals": 5},
]
DETAILS = json.dumps({"code": 200, "order_book_details": ROWS}).encode()


@pytest.fixture
def writer(instance: str) -> Iterator[Writer]:
    capacities = Capacities(instruments=4, ring_slots=64)
    made = Writer.open(instance, "feed:lighter", capacities)
    yield made
    made.close(unlink=True)


def directory(writer: Writer, names: Sequence[str], folder: Path) -> Directory:
    return Directory(VENUE, names, "bbo", 3_000, writer, folder / "lighter.json")


def test_name_is_entered_at_once_and_followed_when_its_id_is_known(
    writer: Writer, tmp_path: Path
) -> None:
    found = directory(writer, ["BTC-PERP", "ETH-PERP"], tmp_path)
    assert found.indexes == {}
    assert [row.symbol for row in writer.instruments()] == ["BTC", "ETH"]
    found.renew_ticks()
    found.update([DETAILS])
    assert found.indexes == {"1": 0, "0": 1}
    assert [row.symbol for row in writer.instruments()] == ["BTC", "ETH"]
    assert writer.instruments()[0].tick == 0.1


def test_cached_ids_need_no_discovery(writer: Writer, tmp_path: Path) -> None:
    directory(writer, ["BTC-PERP"], tmp_path).update([DETAILS])
    again = directory(writer, ["BTC-PERP"], tmp_path)
    assert again.indexes == {"1": 0}
    assert not again.is_due


def test_market_that_is_not_listed_is_never_followed(
    writer: Writer, tmp_path: Path
) -> None:
    found = directory(writer, ["BTC-PERP", "NOSUCH-PERP"], tmp_path)
    found.update([DETAILS])
    assert found.indexes == {"1": 0}


def test_configured_id_is_followed_at_once_and_named_later(
    writer: Writer, tmp_path: Path
) -> None:
    found = directory(writer, ["1"], tmp_path)
    assert set(found.indexes) == {"1"}
    found.update([DETAILS])
    (index,) = found.indexes.values()
    assert writer.instruments()[index].instrument == "BTC-PERP"
