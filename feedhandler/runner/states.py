"""Which state may follow which, and what a move takes.

    UNKNOWN ─▶ SYNCING ─▶ LIVE ⇄ QUIET, STALE, SUSPECT;  every one ⇄ DOWN, QUARANTINED

| into        | evidence                          | entry     | exit                   |
|-------------|-----------------------------------|-----------|------------------------|
| SYNCING     | session up, no quote of it yet    | at once   | a quote; late: STALE   |
| LIVE        | young, two-sided, undisputed      | see below | any other evidence     |
| QUIET       | old, but its liveness ticks       | 2 ticks   | a quote at once; STALE |
| STALE       | old, and its liveness is silent   | 2 ticks   | as into LIVE           |
| SUSPECT     | one side, or two sources disagree | at once   | as into LIVE           |
| DOWN        | writer dead, or link not up       | at once   | as into LIVE           |
| QUARANTINED | the ladder took it out            | at once   | the ladder lets it go  |

Into LIVE or QUIET: at once in the start-up phase and after SYNCING alone; after a fault
when the evidence was good in `recover_ticks` ticks in a row and for `recover_ms`. Until
then the state stays, with reason HYSTERESIS. What makes a quote worse is believed at
once, save the age of a LIVE one, which readers see for themselves. Nothing returns to
UNKNOWN: what was known once is DOWN when it is gone. An unlisted move is our own bug.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from shm_layout.codes import (
    REASON_AGE,
    REASON_HYSTERESIS,
    REASON_LINK_DOWN,
    REASON_LIVENESS,
    REASON_NEVER_SPOKEN,
    REASON_QUIET_CONFIRMED,
    REASON_QUIET_UNCONFIRMED,
    STATE_DOWN,
    STATE_LIVE,
    STATE_NAMES,
    STATE_QUARANTINED,
    STATE_QUIET,
    STATE_STALE,
    STATE_SUSPECT,
    STATE_SYNCING,
    STATE_UNKNOWN,
)

_KNOWN: Final = frozenset(
    {
        *(STATE_SYNCING, STATE_LIVE, STATE_QUIET, STATE_STALE),
        *(STATE_SUSPECT, STATE_DOWN, STATE_QUARANTINED),
    }
)
MOVES: Final[dict[int, frozenset[int]]] = {
    STATE_UNKNOWN: _KNOWN,
    **{state: _KNOWN - {state} for state in _KNOWN},
}
GOOD: Final = frozenset({STATE_LIVE, STATE_QUIET})
FAULTY: Final = frozenset({STATE_STALE, STATE_SUSPECT, STATE_DOWN, STATE_QUARANTINED})

# Readers see age for themselves: here it may be looked at twice, against flapping.
_AGE_REASONS: Final = frozenset(
    {REASON_AGE, REASON_LIVENESS, REASON_QUIET_UNCONFIRMED, REASON_QUIET_CONFIRMED}
)
_AGE_TICKS: Final = 2


@dataclass(frozen=True, slots=True)
class Recovery:
    """What a return to LIVE or QUIET takes after a fault."""

    ticks: int
    lasting_ns: int


class Health:
    """The state of one instrument, and what it is about to become."""

    __slots__ = (
        "_count",
        "_is_faulty",
        "_pending",
        "_since_ns",
        "moves",
        "previous",
        "reason",
        "since_ns",
        "state",
    )

    def __init__(self, now_ns: int) -> None:
        self.state = STATE_UNKNOWN
        self.reason = REASON_NEVER_SPOKEN
        self.previous = STATE_UNKNOWN
        self.since_ns = now_ns
        self.moves = 0
        self._is_faulty = False  # had a fault since it was good
        self._pending = STATE_UNKNOWN
        self._count = 0  # ticks in a row that show what is pending
        self._since_ns = now_ns

    @property
    def is_pending(self) -> bool:
        """Say whether the same evidence, seen again, may still change the state."""
        return self._count > 0

    def judge(self, state: int, reason: int, now_ns: int, recovery: Recovery) -> bool:
        """Take one tick's evidence; say whether state or reason changed."""
        if state == STATE_UNKNOWN and self.state != STATE_UNKNOWN:
            state, reason = STATE_DOWN, REASON_LINK_DOWN
        if state == self.state:
            self._count = 0
            return self._enter(state, reason, now_ns)
        # Only LIVE and QUIET are one goal: both are good.
        goal = STATE_LIVE if state in GOOD else state
        if goal != self._pending or self._count == 0:
            self._pending, self._count, self._since_ns = goal, 0, now_ns
        self._count += 1
        if goal == STATE_LIVE and self._is_faulty:
            is_due = (
                self._count >= recovery.ticks
                and now_ns - self._since_ns >= recovery.lasting_ns
            )
            reason = reason if is_due else REASON_HYSTERESIS
        elif self.state == STATE_LIVE and reason in _AGE_REASONS:
            is_due = self._count >= _AGE_TICKS
            reason = reason if is_due else self.reason
        else:
            is_due = True
        if is_due:
            self._count = 0
        return self._enter(state if is_due else self.state, reason, now_ns)

    def _enter(self, state: int, reason: int, now_ns: int) -> bool:
        if state == self.state and reason == self.reason:
            return False
        self.previous = self.state  # itself where the reason alone is new
        if state != self.state:
            assert state in MOVES[self.state], (
                f"unlisted move: from={STATE_NAMES[self.state]} to={STATE_NAMES[state]}"
            )
            self.state = state
            self.since_ns = now_ns
            self.moves += 1
            if state in GOOD:
                self._is_faulty = False
            elif state in FAULTY:
                self._is_faulty = True
        self.reason = reason
        return True
