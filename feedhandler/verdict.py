"""May this quote be traded on? The rules, for runner and readers.

The answer is computed when it is read, from words that dead processes cannot renew:
heartbeats, link, session and stamps. A check that cannot be made counts against the
quote, and every comparison is written `not (age <= limit)`, so that NaN fails closed.

    writer dead ─▶ DOWN         an older session, or being resynced ─▶ SYNCING
    link not up ─▶ DOWN         disputed, one side absent, or an outlier that came
                                less than a second ago ─▶ SUSPECT
    runner dead ─▶ UNKNOWN      older than its limit ─▶ QUIET, if the runner says so of
                                this very record, else STALE
                                else what the runner says, LIVE at best

Tradable is LIVE from the stream, and QUIET from the stream while a REST check that was
begun after the quote came, and agreed with it, is young.

This works on whole arrays. One quote is judged where it is read, by the same rules, in
`shm_layout`: `fh_judge` of its C header, and the twin; a test holds all three equal.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from shm_layout.codes import (
    FLAG_DISPUTED,
    FLAG_ONE_SIDED,
    FLAG_OUTLIER,
    FLAG_RESTARTED,
    FLAG_SYNCING,
    LINK_UP,
    REASON_AGE,
    REASON_AWAITING_QUOTE,
    REASON_DISPUTED,
    REASON_LINK_DOWN,
    REASON_NEVER_SPOKEN,
    REASON_NO_VERDICT,
    REASON_NONE,
    REASON_ONE_SIDED,
    REASON_OUTLIER,
    REASON_QUIET_CONFIRMED,
    REASON_QUIET_UNCONFIRMED,
    REASON_RESYNC,
    REASON_RUNNER_DEAD,
    REASON_WRITER_DEAD,
    SOURCE_STREAM,
    STATE_DOWN,
    STATE_LIVE,
    STATE_QUIET,
    STATE_STALE,
    STATE_SUSPECT,
    STATE_SYNCING,
    STATE_UNKNOWN,
)
from shm_layout.limits import OUTLIER_HOLD_NS

# Five beats of 100 ms missed: a kill is seen within 600 ms, and a machine that starves
# a process for less than half a second raises no alarm.
HEARTBEAT_LIMIT_NS = 500_000_000

# How long a REST check keeps a silent quote tradable.
QUIET_CONFIRM_LIMIT_NS = 15_000_000_000

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
    # If the venue says no more, its age alone shows that the price has stood. Compared
    # as stamps: the age of an absent one would not fit into 64 bits.
    is_outlier = ((flags & FLAG_OUTLIER) != 0) & (
        records["recv_ns"] > now_ns - OUTLIER_HOLD_NS
    )
    conditions = [
        (np.full(len(records), not writer_beats), STATE_DOWN, REASON_WRITER_DEAD),
        (np.full(len(records), link != LINK_UP), STATE_DOWN, REASON_LINK_DOWN),
        (records["kind"] == 0, STATE_SYNCING, REASON_AWAITING_QUOTE),
        (records["session"] != session, STATE_SYNCING, REASON_AWAITING_QUOTE),
        ((flags & FLAG_RESTARTED) != 0, STATE_SYNCING, REASON_AWAITING_QUOTE),
        ((flags & FLAG_SYNCING) != 0, STATE_SYNCING, REASON_RESYNC),
        ((flags & FLAG_DISPUTED) != 0, STATE_SUSPECT, REASON_DISPUTED),
        (_is_one_sided(records), STATE_SUSPECT, REASON_ONE_SIDED),
        (is_outlier, STATE_SUSPECT, REASON_OUTLIER),
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
    now_ns: int,
    *,
    runner_beats: bool,
    confirm_limit_ns: int = QUIET_CONFIRM_LIMIT_NS,
) -> tuple[Codes, Codes]:
    """Return what a reader may believe: the feed's evidence, then the runner's verdict.

    A verdict counts only when it was made for the epoch and session of the quote, and
    QUIET excuses the age of no other record than the one it was made for.
    """
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
    is_quiet = state == STATE_QUIET
    confirmed_ns = verdicts["confirmed_ns"]
    check_age_ns = now_ns - confirmed_ns
    is_confirmed = (
        (reason == REASON_QUIET_CONFIRMED)
        & (confirmed_ns >= records["recv_ns"])
        & (check_age_ns >= 0)
        & (check_age_ns <= confirm_limit_ns)
    )
    reason = np.where(is_quiet & ~is_confirmed, REASON_QUIET_UNCONFIRMED, reason)
    is_excused = (
        is_quiet
        & (states == STATE_STALE)
        & (records["recv_ns"] > 0)
        & (records["recv_ns"] <= now_ns)
        & (verdicts["applied_sequence"] == records["sequence"])
    )
    is_runners = (states == STATE_LIVE) | is_excused
    return (
        np.where(is_runners, state, states).astype(np.uint8),
        np.where(is_runners, reason, reasons).astype(np.uint8),
    )


def is_tradable(states: Any, reasons: Any, sources: Any) -> Any:
    """Say, of one or many, whether state, its reason and source allow trading."""
    is_quiet = (states == STATE_QUIET) & (reasons == REASON_QUIET_CONFIRMED)
    return ((states == STATE_LIVE) | is_quiet) & (sources == SOURCE_STREAM)


def _is_one_sided(records: npt.NDArray[np.void]) -> npt.NDArray[np.bool_]:
    missing = np.isnan(records["bid"]) | np.isnan(records["ask"])
    result: npt.NDArray[np.bool_] = missing | ((records["flags"] & FLAG_ONE_SIDED) != 0)
    return result
