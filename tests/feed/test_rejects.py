"""The share of refused frames over ten seconds."""

from __future__ import annotations

from feedhandler.feed.rejects import REJECTS_MIN, RejectShare

SECOND = 1_000_000_000


def test_refusals_below_the_minimum_are_never_too_many() -> None:
    share = RejectShare()
    share.rejects = REJECTS_MIN - 1
    assert not share.is_exceeded(SECOND, REJECTS_MIN - 1)


def test_one_in_a_hundred_is_allowed_and_more_is_not() -> None:
    share = RejectShare()
    share.rejects = REJECTS_MIN
    assert not share.is_exceeded(SECOND, 100 * REJECTS_MIN)
    assert share.is_exceeded(SECOND, 100 * REJECTS_MIN - 1)


def test_old_refusals_leave_the_window() -> None:
    share = RejectShare()
    share.is_exceeded(SECOND, 0)
    share.rejects = 1_000
    assert share.is_exceeded(2 * SECOND, 1_000)
    frames = 1_000
    for second in range(3, 14):
        frames += 1
        exceeded = share.is_exceeded(second * SECOND, frames)
    assert not exceeded


def test_refusals_spread_over_the_window_add_up() -> None:
    share = RejectShare()
    exceeded = []
    for second in range(1, 9):
        share.rejects += 4
        exceeded.append(share.is_exceeded(second * SECOND, 10 * second))
    assert exceeded[-1]
    assert not exceeded[0]
