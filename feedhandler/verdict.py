"""May this quote be traded on? The one place that answers, for runner and readers.

The answer is computed when it is read, from words that dead processes cannot renew:
heartbeats, link, session and stamps. A check that cannot be made counts against the
quote, and every comparison is written `not (age <= limit)`, so that NaN fails closed.

    writer dead ─▶ DOWN         one side absent ─▶ SUSPECT      runner dead ─▶ UNKNOWN
    link not up ─▶ DOWN         flagged or an older session ─▶ SYNCING
    older than its limit ─▶ STALE        else what the runner says, LIVE at best

`assess` works on whole arrays, `assess_one` on plain numbers; a test holds them equal.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from shm_layout.codes import (
    FLAG_ONE_SIDED,
    FLAG_RESTARTED,
    FLAG_SYNCING,
    LINK_UP,
    REASON_AGE,
    REASON_AWAITING_QUOTE,
    REASON_LINK_DOWN,
    REASON_NEVER_SPOKEN,
    REASON_NO_VERDICT,
    REASON_NONE,
    REASON_ONE_SIDED,
    REASON_RESYNC,
    REASON_RUNNER_DEAD,
    REASON_WRITER_DEAD,
    SOURCE_STREAM,
    STATE_DOWN,
    STATE_LIVE,
    STATE_STALE,
    STATE_SUSPECT,
    STATE_SYNCING,
    STATE_UNKNOWN,
)

# Five beats of 100 ms missed: a kill is seen within 600 ms, and a machine that starves
# a process for less than half a second raises no alarm.
HEARTBEAT_LIMIT_NS = 500_000_000

Codes = npt.NDArray[np.uint8]


def is_beating(heartbeat_ns: int, now_ns: int, limit_ns: int) -> bool:
    """Say whether a heartbeat, monotonic, is young enough to prove life."""
    return 0 <= now_ns - heartbeat_ns <= limit_ns


def assess(
    records: npt.NDArray[np.void],
    fresh_ns: npt.NDArray[np.int64],
    now_ns: int,
    *,
    writer_beats: bool,
    link: int,
    session: int,
) -> tuple[Codes, Codes]:
    """Return state and reason of each quote, as far as its feed alone shows them.

    `records` are latest records of kind QUOTE (kind 0: never spoken), `fresh_ns` their
    limits; `session` is the link's. LIVE here means: nothing speaks against it.
    """
    flags = records["flags"]
    age_ns = now_ns - records["recv_ns"]
    conditions = [
        (np.full(len(records), not writer_beats), STATE_DOWN, REASON_WRITER_DEAD),
        (np.full(len(records), link != LINK_UP), STATE_DOWN, REASON_LINK_DOWN),
        (records["kind"] == 0, STATE_SYNCING, REASON_AWAITING_QUOTE),
        (records["session"] != session, STATE_SYNCING, REASON_AWAITING_QUOTE),
        ((flags & FLAG_RESTARTED) != 0, STATE_SYNCING, REASON_AWAITING_QUOTE),
        ((flags & FLAG_SYNCING) != 0, STATE_SYNCING, REASON_RESYNC),
        (_is_one_sided(records), STATE_SUSPECT, REASON_ONE_SIDED),
        (~((age_ns >= 0) & (age_ns <= fresh_ns)), STATE_STALE, REASON_AGE),
    ]
    chosen = [condition for condition, _, _ in conditions]
    states = np.select(chosen, [state for _, state, _ in conditions], STATE_LIVE)
    reasons = np.select(chosen, [reason for _, _, reason in conditions], REASON_NONE)
    has_never_spoken = (states == STATE_DOWN) & (records["kind"] == 0)
    states[has_never_spoken] = STATE_UNKNOWN
    reasons[has_never_spoken] = REASON_NEVER_SPOKEN
    return states.astype(np.uint8), reasons.astype(np.uint8)


def overlay(
    states: Codes,
    reasons: Codes,
    verdicts: npt.NDArray[np.void],
    records: npt.NDArray[np.void],
    *,
    runner_beats: bool,
) -> tuple[Codes, Codes]:
    """Return what a reader may believe: the feed's evidence, then the runner's verdict.

    A verdict counts only when it was made for the epoch and session of the quote.
    """
    is_clear = states == STATE_LIVE
    matches = (
        (verdicts["kind"] != 0)
        & (verdicts["session"] == records["session"])
        & (verdicts["applied_epoch"] == records["epoch"])
    )
    state = np.where(matches, verdicts["state"], STATE_UNKNOWN)
    reason = np.where(matches, verdicts["reason"], REASON_NO_VERDICT)
    if not runner_beats:
        state = np.full_like(states, STATE_UNKNOWN)
        reason = np.full_like(reasons, REASON_RUNNER_DEAD)
    return (
        np.where(is_clear, state, states).astype(np.uint8),
        np.where(is_clear, reason, reasons).astype(np.uint8),
    )


def is_tradable(states: Any, sources: Any) -> Any:
    """Say, of one or many, whether state and source allow trading."""
    return (states == STATE_LIVE) & (sources == SOURCE_STREAM)


def assess_one(
    flags: int,
    record_session: int,
    recv_ns: int,
    is_two_sided: bool,
    fresh_ns: int,
    now_ns: int,
    writer_beats: bool,
    link: int,
    session: int,
) -> tuple[int, int]:
    """Return state and reason of one quote that has spoken; see `assess`."""
    if not writer_beats:
        return STATE_DOWN, REASON_WRITER_DEAD
    if link != LINK_UP:
        return STATE_DOWN, REASON_LINK_DOWN
    if record_session != session or flags & FLAG_RESTARTED:
        return STATE_SYNCING, REASON_AWAITING_QUOTE
    if flags & FLAG_SYNCING:
        return STATE_SYNCING, REASON_RESYNC
    if flags & FLAG_ONE_SIDED or not is_two_sided:
        return STATE_SUSPECT, REASON_ONE_SIDED
    if not (0 <= now_ns - recv_ns <= fresh_ns):
        return STATE_STALE, REASON_AGE
    return STATE_LIVE, REASON_NONE


def _is_one_sided(records: npt.NDArray[np.void]) -> npt.NDArray[np.bool_]:
    missing = np.isnan(records["bid"]) | np.isnan(records["ask"])
    result: npt.NDArray[np.bool_] = missing | ((records["flags"] & FLAG_ONE_SIDED) != 0)
    return result
