"""Moves between states: only the listed ones, and a way out of every state."""

from __future__ import annotations

import pytest

from feedhandler.runner.states import MOVES, next_state
from shm_layout import codes


@pytest.mark.parametrize("state", list(MOVES))
def test_every_state_has_an_exit_and_may_stay(state: int) -> None:
    assert MOVES[state]
    assert state not in MOVES[state]
    assert next_state(state, state) == state


@pytest.mark.parametrize("state", [s for s in MOVES if s != codes.STATE_UNKNOWN])
def test_what_was_known_is_down_and_never_unknown_again(state: int) -> None:
    assert next_state(state, codes.STATE_UNKNOWN) == codes.STATE_DOWN


def test_live_is_reached_from_every_other_state() -> None:
    for state, following in MOVES.items():
        assert state == codes.STATE_LIVE or codes.STATE_LIVE in following


def test_an_unlisted_move_is_an_error() -> None:
    with pytest.raises(AssertionError, match="unlisted move"):
        next_state(codes.STATE_LIVE, codes.STATE_QUARANTINED)
