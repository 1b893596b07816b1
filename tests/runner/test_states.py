"""Moves between states: only the listed ones, each entered, each left again."""

from __future__ import annotations

import itertools

import pytest

from feedhandler.runner.states import FAULTY, GOOD, MOVES, Health, Recovery
from shm_layout import codes

TICK_NS = 50_000_000
RECOVERY = Recovery(ticks=3, lasting_ns=100_000_000)
KNOWN = [state for state in MOVES if state != codes.STATE_UNKNOWN]


class Driven:
    """A health whose ticks the test counts."""

    def __init__(self) -> None:
        self.now_ns = 0
        self.health = Health(0)

    def show(self, state: int, reason: int = codes.REASON_NONE, ticks: int = 1) -> int:
        for _ in range(ticks):
            self.now_ns += TICK_NS
            self.health.judge(state, reason, self.now_ns, RECOVERY)
        return self.health.state


@pytest.mark.parametrize("state", list(MOVES))
def test_every_state_has_an_exit_and_may_stay(state: int) -> None:
    assert MOVES[state]
    assert state not in MOVES[state]


def test_nothing_returns_to_unknown() -> None:
    assert not any(codes.STATE_UNKNOWN in following for following in MOVES.values())


@pytest.mark.parametrize(
    ("state", "following"),
    [(state, each) for state in MOVES for each in sorted(MOVES[state])],
)
def test_every_listed_move_is_made_once_its_evidence_lasts(
    state: int, following: int
) -> None:
    driven = Driven()
    if state != codes.STATE_UNKNOWN:
        assert driven.show(state, ticks=3) == state
    moves = driven.health.moves
    assert driven.show(following, ticks=3) == following
    assert driven.health.moves == moves + 1
    assert driven.health.previous == state


def test_a_new_reason_alone_is_no_move_from_the_state_before() -> None:
    driven = Driven()
    driven.show(codes.STATE_LIVE, ticks=3)
    driven.show(codes.STATE_DOWN)
    moves = driven.health.moves
    assert driven.health.previous == codes.STATE_LIVE
    driven.show(codes.STATE_LIVE, ticks=1)
    assert driven.health.reason == codes.REASON_HYSTERESIS
    assert driven.health.previous == driven.health.state == codes.STATE_DOWN
    assert driven.health.moves == moves


@pytest.mark.parametrize("state", KNOWN)
def test_what_was_known_is_down_and_never_unknown_again(state: int) -> None:
    driven = Driven()
    driven.show(state)
    assert driven.show(codes.STATE_UNKNOWN) == codes.STATE_DOWN
    assert driven.health.reason == codes.REASON_LINK_DOWN


def test_an_unlisted_move_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    driven = Driven()
    monkeypatch.setitem(MOVES, codes.STATE_UNKNOWN, frozenset())
    with pytest.raises(AssertionError, match="unlisted move"):
        driven.show(codes.STATE_LIVE)


# --- the start-up phase --------------------------------------------------------------


@pytest.mark.parametrize("good", sorted(GOOD))
def test_at_start_a_good_quote_is_good_at_once(good: int) -> None:
    driven = Driven()
    assert driven.show(codes.STATE_SYNCING) == codes.STATE_SYNCING
    assert driven.show(good) == good


def test_a_resync_alone_is_no_fault() -> None:
    driven = Driven()
    driven.show(codes.STATE_LIVE)
    driven.show(codes.STATE_SYNCING, codes.REASON_RESYNC)
    assert driven.show(codes.STATE_LIVE) == codes.STATE_LIVE


# --- hysteresis on entry -------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (codes.STATE_STALE, codes.REASON_LIVENESS),
        (codes.STATE_STALE, codes.REASON_AGE),
        (codes.STATE_QUIET, codes.REASON_QUIET_UNCONFIRMED),
        (codes.STATE_QUIET, codes.REASON_QUIET_CONFIRMED),
    ],
)
def test_an_age_seen_once_moves_nothing(state: int, reason: int) -> None:
    driven = Driven()
    driven.show(codes.STATE_LIVE)
    assert driven.show(state, reason) == codes.STATE_LIVE
    assert driven.health.is_pending
    driven.show(codes.STATE_LIVE)
    assert driven.show(state, reason) == codes.STATE_LIVE
    assert driven.show(state, reason) == state
    assert driven.health.moves == 2


@pytest.mark.parametrize("good", sorted(GOOD))
@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (codes.STATE_DOWN, codes.REASON_WRITER_DEAD),
        (codes.STATE_SUSPECT, codes.REASON_AUDIT),
        (codes.STATE_SYNCING, codes.REASON_RUNNER_PAUSED),
        (codes.STATE_STALE, codes.REASON_RUNNER_PAUSED),
        (codes.STATE_QUARANTINED, codes.REASON_LADDER),
    ],
)
def test_what_is_worse_is_believed_at_once(good: int, state: int, reason: int) -> None:
    driven = Driven()
    driven.show(good)
    assert driven.show(state, reason) == state


def test_a_quiet_quote_whose_liveness_falls_silent_is_stale_at_once() -> None:
    driven = Driven()
    driven.show(codes.STATE_QUIET, codes.REASON_QUIET_CONFIRMED)
    assert driven.show(codes.STATE_STALE, codes.REASON_LIVENESS) == codes.STATE_STALE


# --- hysteresis on exit --------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "good"), list(itertools.product(sorted(FAULTY), sorted(GOOD)))
)
def test_after_a_fault_good_evidence_has_to_last(fault: int, good: int) -> None:
    driven = Driven()
    driven.show(codes.STATE_LIVE)
    driven.show(fault, codes.REASON_LADDER)
    for _ in range(2):
        assert driven.show(good) == fault
        assert driven.health.reason == codes.REASON_HYSTERESIS
    assert driven.show(good) == good
    assert driven.health.reason == codes.REASON_NONE
    driven.show(codes.STATE_SYNCING)
    assert driven.show(good) == good  # the fault is forgotten


def test_ticks_that_come_fast_have_to_last_as_well() -> None:
    driven = Driven()
    driven.show(codes.STATE_DOWN)
    started_ns = driven.now_ns
    for step in range(20):
        now_ns = started_ns + step * 10_000_000
        driven.health.judge(codes.STATE_LIVE, 0, now_ns, RECOVERY)
        is_long = now_ns - started_ns >= RECOVERY.lasting_ns
        assert (driven.health.state == codes.STATE_LIVE) == is_long


def test_one_bad_tick_begins_the_count_anew() -> None:
    driven = Driven()
    driven.show(codes.STATE_STALE, codes.REASON_LIVENESS)
    driven.show(codes.STATE_LIVE, ticks=2)
    driven.show(codes.STATE_STALE, codes.REASON_LIVENESS)
    assert driven.show(codes.STATE_LIVE, ticks=2) == codes.STATE_STALE
    assert driven.show(codes.STATE_LIVE) == codes.STATE_LIVE


def test_live_and_quiet_by_turns_are_good_all_the_while() -> None:
    driven = Driven()
    driven.show(codes.STATE_DOWN)
    driven.show(codes.STATE_LIVE)
    driven.show(codes.STATE_QUIET, codes.REASON_QUIET_UNCONFIRMED)
    assert driven.show(codes.STATE_LIVE) == codes.STATE_LIVE


def test_a_syncing_after_a_fault_forgives_nothing() -> None:
    driven = Driven()
    driven.show(codes.STATE_DOWN, codes.REASON_LINK_DOWN)
    driven.show(codes.STATE_SYNCING, codes.REASON_AWAITING_QUOTE)
    assert driven.show(codes.STATE_LIVE) == codes.STATE_SYNCING
    assert driven.health.reason == codes.REASON_HYSTERESIS
    assert driven.show(codes.STATE_LIVE, ticks=2) == codes.STATE_LIVE
