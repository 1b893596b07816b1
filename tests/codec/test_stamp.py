"""A venue's time: kept, absent, or refused as another unit or as the future."""

from __future__ import annotations

import pytest

from feedhandler.codec.frame import FrameError
from feedhandler.codec.stamp import (
    DAY_NS,
    EARLIEST_NS,
    MILLISECOND_NS,
    TIME_NONE,
    event_ns,
)

WALL_NS = 1_765_887_848_009 * MILLISECOND_NS
WALL_MS = 1_765_887_848_009


@pytest.mark.parametrize("ahead_ms", [-31_536_000_000, -1, 0, 1, 60_000])
def test_plausible_time_is_kept(ahead_ms: int) -> None:
    expected_ns = WALL_NS + ahead_ms * MILLISECOND_NS
    assert event_ns(WALL_MS + ahead_ms, MILLISECOND_NS, WALL_NS) == expected_ns


@pytest.mark.parametrize("value", [0, -1, -(1 << 70), 1, WALL_MS // 1000])
def test_absurd_time_is_absent_and_never_zero(value: int) -> None:
    assert event_ns(value, MILLISECOND_NS, WALL_NS) == TIME_NONE


@pytest.mark.parametrize("ahead_ms", [60_001, 3_600_000, 86_400_000])
def test_time_more_than_a_minute_ahead_is_refused(ahead_ms: int) -> None:
    with pytest.raises(FrameError) as caught:
        event_ns(WALL_MS + ahead_ms, MILLISECOND_NS, WALL_NS)
    assert caught.value.reason == "time_future"


@pytest.mark.parametrize(
    "value", [WALL_MS * 1_000, WALL_MS * 1_000_000, 1 << 62, 1 << 80]
)
def test_time_in_a_smaller_unit_is_refused(value: int) -> None:
    with pytest.raises(FrameError) as caught:
        event_ns(value, MILLISECOND_NS, WALL_NS)
    assert caught.value.reason == "time"


def test_limits_are_in_order() -> None:
    assert TIME_NONE < 0 < EARLIEST_NS < WALL_NS
    assert DAY_NS > 60_000 * MILLISECOND_NS
