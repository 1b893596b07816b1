"""`feedhandler start --demo` runs every venue, and they agree on the price."""

from __future__ import annotations

from functools import partial
from itertools import combinations
from typing import Any

import pytest

from feedhandler.venues._base import venue_names
from tests.support import MS, process_ids, segment_paths, wait_until
from tests.system.conftest import Demo, StartDemo

pytestmark = [pytest.mark.system, pytest.mark.slow]

INSTRUMENTS = ("BTC-PERP", "ETH-PERP")
APART_MAX = 0.005  # of the price, at any look: venues tell of a move at their own pace


def test_every_venue_is_live_and_they_agree(start_demo: StartDemo) -> None:
    demo = start_demo("--seed", "7")
    wait_until(lambda: is_whole(demo), 15_000 * MS, "every instrument tradable")
    check_processes(demo)
    for instrument in INSTRUMENTS:
        wait_until(
            partial(is_agreed, demo, instrument),
            10_000 * MS,
            f"all venues within a spread on {instrument}",
        )
    assert demo.program.stop() == 0
    assert not segment_paths(demo.instance)
    assert not process_ids(demo.instance)


def is_whole(demo: Demo) -> bool:
    rows = demo.feed.quotes()
    count = len(INSTRUMENTS) * len(venue_names())
    return len(rows) == count and bool(rows["tradable"].all())


def check_processes(demo: Demo) -> None:
    """One process a venue, and none was made twice to get there."""
    document, _ = demo.status()
    rows = {row["role"]: row for row in document["processes"]}
    feeds = [rows[f"feed:{venue}"] for venue in venue_names()]
    assert len({row["pid"] for row in feeds}) == len(venue_names())
    assert {row["state"] for row in rows.values()} == {"running"}
    assert not any(row["restarts"] for row in feeds), demo.program.stderr()
    assert sorted(row["venue"] for row in document["venues"]) == venue_names()


def is_agreed(demo: Demo, instrument: str) -> bool:
    """Say whether the middle of every two venues is within the wider of their spreads.

    Two that have not told of the same move yet are apart for a moment, but never far.
    """
    rows: list[Any] = [
        row for row in demo.feed.quotes() if row["instrument"] == instrument
    ]
    assert len(rows) == len(venue_names())
    is_near = True
    for one, other in combinations(rows, 2):
        apart = abs(middle(one) - middle(other))
        assert apart <= APART_MAX * one["bid"], (one, other)
        is_near &= bool(apart <= max(spread(one), spread(other)))
    return is_near


def middle(row: Any) -> float:
    return float(row["bid"] + row["ask"]) / 2


def spread(row: Any) -> float:
    return float(row["ask"] - row["bid"])
