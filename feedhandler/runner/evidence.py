"""What speaks for or against each quote of a venue at one tick.

    what every reader sees (`verdict.assess`) ─▶ what only the runner knows ─▶ evidence

      STALE by age, liveness channel ticks      ─▶ QUIET, confirmed by REST or not
      STALE by age, liveness channel silent too ─▶ STALE liveness: broken, not quiet
      SYNCING for longer than connect and first data may take ─▶ STALE, same reason
      LIVE or QUIET, jumped, not yet by REST    ─▶ SUSPECT outlier
      LIVE, the last REST check disagreed       ─▶ LIVE audit: REST is asked at once
      LIVE, QUIET, SUSPECT: several disagreed   ─▶ SUSPECT audit
      LIVE or QUIET, from before a suspend      ─▶ STALE runner_paused
      LIVE or QUIET, we ourselves were stopped  ─▶ SYNCING runner_paused

Reads words of the segment, and the clock that is passed in.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from feedhandler import verdict
from feedhandler.runner.audit import Audit
from feedhandler.runner.states import Recovery
from shm_layout import Reader
from shm_layout.codes import (
    REASON_AUDIT,
    REASON_LIVENESS,
    REASON_OUTLIER,
    REASON_QUIET_CONFIRMED,
    REASON_QUIET_UNCONFIRMED,
    REASON_RUNNER_PAUSED,
    STATE_LIVE,
    STATE_QUIET,
    STATE_STALE,
    STATE_SUSPECT,
    STATE_SYNCING,
)

_NEVER = -1


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one venue; of an instrument's age, its directory knows."""

    liveness_ns: int
    confirm_ns: int
    startup_ns: int  # connect and first data: what a session's start may take
    recovery: Recovery
    tolerance_bps: int
    audit_misses: int
    outlier_wait_ns: int


class Evidence:
    """The evidence on one venue's instruments, from tick to tick."""

    def __init__(self, instruments: int, limits: Limits) -> None:
        self.session = 0
        self.not_before_ns = 0  # stamps from before are not to be believed
        self._limits = limits
        self._syncing_ns = np.full(instruments, _NEVER, np.int64)  # since when

    def judge(
        self,
        applied: npt.NDArray[np.void],
        fresh_ns: npt.NDArray[np.int64],
        reader: Reader,
        audit: Audit,
        clock: Callable[[], int],
        heartbeat_limit_ns: int,
        is_suspended: bool,
    ) -> tuple[verdict.Codes, verdict.Codes]:
        """Return the state that each quote's evidence shows, and its reason."""
        count = len(applied)
        link, self.session = reader.link()
        beat_ns = reader.heartbeat_ns()
        ticks_ns = _liveness(reader, count)
        # Read after the words: none of them is younger than it, unless it lies.
        now_ns = clock()
        states, reasons = verdict.assess(
            applied,
            fresh_ns,
            now_ns,
            writer_beats=verdict.is_beating(beat_ns, now_ns, heartbeat_limit_ns),
            link=link,
            session=self.session,
        )
        recv_ns = applied["recv_ns"]
        # The link has to have shown life since: a stream that fell silent altogether is
        # not confirmed by a market that happens to stand where it stopped.
        audit.cover(ticks_ns)
        confirmed_ns = audit.confirmed_ns(applied)
        self._tell_quiet(states, reasons, recv_ns, ticks_ns, confirmed_ns, now_ns)
        jumped = audit.doubt(applied, now_ns)
        self._put(states, reasons, jumped, STATE_SUSPECT, REASON_OUTLIER)
        reasons[(states == STATE_LIVE) & audit.is_missed[:count]] = REASON_AUDIT
        wrong = audit.is_suspect[:count]
        # Whatever else makes it suspect, REST is what the ladder acts on.
        reasons[(states == STATE_SUSPECT) & wrong] = REASON_AUDIT
        self._put(states, reasons, wrong, STATE_SUSPECT, REASON_AUDIT)
        before = recv_ns < self.not_before_ns
        self._put(states, reasons, before, STATE_STALE, REASON_RUNNER_PAUSED)
        if is_suspended:
            everyone = np.ones(count, np.bool_)
            self._put(states, reasons, everyone, STATE_SYNCING, REASON_RUNNER_PAUSED)
        self._end_syncing(states, reasons, now_ns)
        return states, reasons

    def _tell_quiet(
        self,
        states: verdict.Codes,
        reasons: verdict.Codes,
        recv_ns: npt.NDArray[np.int64],
        ticks_ns: npt.NDArray[np.int64],
        confirmed_ns: npt.NDArray[np.int64],
        now_ns: int,
    ) -> None:
        """Tell what is quiet from what is broken, of all that is old."""
        is_aged = (states == STATE_STALE) & (now_ns - recv_ns >= 0)
        is_alive = (ticks_ns > 0) & self._is_young(
            ticks_ns, now_ns, self._limits.liveness_ns
        )
        is_confirmed = (confirmed_ns >= recv_ns) & self._is_young(
            confirmed_ns, now_ns, self._limits.confirm_ns
        )
        reasons[is_aged] = REASON_LIVENESS
        is_quiet = is_aged & is_alive
        states[is_quiet] = STATE_QUIET
        reasons[is_quiet] = REASON_QUIET_UNCONFIRMED
        reasons[is_quiet & is_confirmed] = REASON_QUIET_CONFIRMED

    @staticmethod
    def _put(
        states: verdict.Codes,
        reasons: verdict.Codes,
        where: npt.NDArray[np.bool_],
        state: int,
        reason: int,
    ) -> None:
        """Take a good state away from those that something speaks against.

        What is old too was perhaps good a tick ago: our own pauses are told of it now,
        lest it be believed for one tick more.
        """
        is_aged = (states == STATE_STALE) & (reasons != REASON_RUNNER_PAUSED)
        good = (states == STATE_LIVE) | (states == STATE_QUIET)
        where = where & (good | (is_aged & (reason == REASON_RUNNER_PAUSED)))
        states[where] = state
        reasons[where] = reason

    def _is_young(
        self, stamps: npt.NDArray[np.int64], now_ns: int, limit_ns: int
    ) -> npt.NDArray[np.bool_]:
        age_ns = now_ns - stamps
        result: npt.NDArray[np.bool_] = (
            (age_ns >= 0) & (age_ns <= limit_ns) & (stamps >= self.not_before_ns)
        )
        return result

    def _end_syncing(
        self, states: verdict.Codes, reasons: verdict.Codes, now_ns: int
    ) -> None:
        """Let SYNCING last no longer than a start may: unknown has its deadline."""
        since_ns = self._syncing_ns[: len(states)]
        is_syncing = (states == STATE_SYNCING) & (reasons != REASON_RUNNER_PAUSED)
        since_ns[~is_syncing] = _NEVER
        since_ns[is_syncing & (since_ns == _NEVER)] = now_ns
        is_overdue = is_syncing & (now_ns - since_ns > self._limits.startup_ns)
        states[is_overdue] = STATE_STALE


def _liveness(reader: Reader, count: int) -> npt.NDArray[np.int64]:
    """Return when each instrument's liveness channel ticked last; 0 never.

    An instrument whose own channel ever ticked is judged by that one: so one mute
    symbol among many is found. Another one goes by its venue's.
    """
    own_ns = reader.liveness()[:count]
    return np.where(own_ns > 0, own_ns, reader.liveness_ns())
