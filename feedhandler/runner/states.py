"""Which state may follow which.

    UNKNOWN ─▶ SYNCING ─▶ LIVE ⇄ STALE, SUSPECT;  every one ⇄ DOWN

A state is left only for a listed one; an unlisted move is our own bug. Nothing returns
to UNKNOWN: what was known once is DOWN when it is gone.
"""

from __future__ import annotations

from shm_layout.codes import (
    STATE_DOWN,
    STATE_LIVE,
    STATE_NAMES,
    STATE_STALE,
    STATE_SUSPECT,
    STATE_SYNCING,
    STATE_UNKNOWN,
)

MOVES: dict[int, frozenset[int]] = {
    STATE_UNKNOWN: frozenset(
        {STATE_SYNCING, STATE_LIVE, STATE_STALE, STATE_SUSPECT, STATE_DOWN}
    ),
    STATE_SYNCING: frozenset({STATE_LIVE, STATE_STALE, STATE_SUSPECT, STATE_DOWN}),
    STATE_LIVE: frozenset({STATE_SYNCING, STATE_STALE, STATE_SUSPECT, STATE_DOWN}),
    STATE_STALE: frozenset({STATE_SYNCING, STATE_LIVE, STATE_SUSPECT, STATE_DOWN}),
    STATE_SUSPECT: frozenset({STATE_SYNCING, STATE_LIVE, STATE_STALE, STATE_DOWN}),
    STATE_DOWN: frozenset({STATE_SYNCING, STATE_LIVE, STATE_STALE, STATE_SUSPECT}),
}


def next_state(current: int, target: int) -> int:
    """Return the state to enter when the evidence says `target`."""
    if target == STATE_UNKNOWN and current != STATE_UNKNOWN:
        target = STATE_DOWN
    assert target == current or target in MOVES[current], (
        f"unlisted move: from={STATE_NAMES[current]} to={STATE_NAMES[target]}"
    )
    return target
