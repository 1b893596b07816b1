"""The judging of one quote, as the Python twin does it: `fh_judge` of the C header.

The rules are told in `feedhandler.verdict`; a test holds all three equal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

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
    TIME_NONE,
)
from shm_layout.limits import OUTLIER_HOLD_NS
from shm_layout.schema import QUOTE, STATUS

if TYPE_CHECKING:
    from shm_layout.core import JudgedQuote

_LINK_MASK = 0xFFFF_FFFF
_QUOTE = QUOTE.struct_of(
    *("sequence", "source", "flags", "epoch", "session"),
    *("event_ns", "recv_ns", "publish_ns", "venue_sequence"),
    *("bid", "bid_size", "ask", "ask_size"),
)
_STATUS = STATUS.struct_of(
    *("kind", "session", "apply_ns", "confirmed_ns", "applied_sequence"),
    *("applied_epoch", "state", "reason"),
)


def judge(
    record: bytes,
    heartbeat_ns: int,
    link: int,
    said: bytes | None,
    runner_heartbeat_ns: int,
    now_ns: int,
    fresh_ns: int,
    heartbeat_limit_ns: int,
    confirm_limit_ns: int,
) -> JudgedQuote:
    """Return the fields of a quote and its verdict.

    `link` is the owner's word; `said` is the runner's record of it, None for nothing,
    and `runner_heartbeat_ns` 0 for no runner.
    """
    fields = _QUOTE.unpack(record)
    sequence, source, flags, epoch, session, _, recv_ns, _, _, bid, _, ask, _ = fields
    state, reason = assess(
        flags,
        session,
        recv_ns,
        bid == bid and ask == ask,  # NaN is never equal
        fresh_ns,
        now_ns,
        0 <= now_ns - heartbeat_ns <= heartbeat_limit_ns,
        link & _LINK_MASK,
        link >> 32,
    )
    apply_ns = TIME_NONE
    runner_beats = 0 <= now_ns - runner_heartbeat_ns <= heartbeat_limit_ns
    verdict = _verdict_for(said, session, epoch) if runner_beats else None
    if verdict is not None:
        apply_ns, confirmed_ns, applied_sequence, said_state, said_reason = verdict
        state, reason = overlay(
            state,
            reason,
            said_state,
            said_reason,
            confirmed_ns,
            applied_sequence == sequence,
            recv_ns,
            now_ns,
            confirm_limit_ns,
        )
    elif state == STATE_LIVE:
        state = STATE_UNKNOWN
        reason = REASON_NO_VERDICT if runner_beats else REASON_RUNNER_DEAD
    is_tradable = source == SOURCE_STREAM and _is_trusted(state, reason)
    return (*fields, now_ns, apply_ns, state, reason, is_tradable)


def assess(
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
    """Return state and reason of a quote, as far as its feed alone shows them."""
    if not writer_beats:
        return STATE_DOWN, REASON_WRITER_DEAD
    if link != LINK_UP:
        return STATE_DOWN, REASON_LINK_DOWN
    if record_session != session or flags & FLAG_RESTARTED:
        return STATE_SYNCING, REASON_AWAITING_QUOTE
    if flags & FLAG_SYNCING:
        return STATE_SYNCING, REASON_RESYNC
    if flags & FLAG_DISPUTED:
        return STATE_SUSPECT, REASON_DISPUTED
    if flags & FLAG_ONE_SIDED or not is_two_sided:
        return STATE_SUSPECT, REASON_ONE_SIDED
    if flags & FLAG_OUTLIER and recv_ns > now_ns - OUTLIER_HOLD_NS:
        return STATE_SUSPECT, REASON_OUTLIER
    if not (0 <= now_ns - recv_ns <= fresh_ns):
        return STATE_STALE, REASON_AGE
    return STATE_LIVE, REASON_NONE


def overlay(
    state: int,
    reason: int,
    said_state: int,
    said_reason: int,
    confirmed_ns: int,
    is_same_record: bool,
    recv_ns: int,
    now_ns: int,
    confirm_limit_ns: int,
) -> tuple[int, int]:
    """Return what the feed's evidence and a verdict that counts come to."""
    if said_state != STATE_QUIET:
        return (said_state, said_reason) if state == STATE_LIVE else (state, reason)
    if state == STATE_STALE:
        if not (is_same_record and 0 < recv_ns <= now_ns):
            return state, reason
    elif state != STATE_LIVE:
        return state, reason
    if (
        said_reason == REASON_QUIET_CONFIRMED
        and confirmed_ns >= recv_ns
        and 0 <= now_ns - confirmed_ns <= confirm_limit_ns
    ):
        return STATE_QUIET, REASON_QUIET_CONFIRMED
    return STATE_QUIET, REASON_QUIET_UNCONFIRMED


def _is_trusted(state: int, reason: int) -> bool:
    return state == STATE_LIVE or (
        state == STATE_QUIET and reason == REASON_QUIET_CONFIRMED
    )


def _verdict_for(
    said: bytes | None, session: int, epoch: int
) -> tuple[int, int, int, int, int] | None:
    """Return what the runner said of that session and epoch, None for nothing.

    In order: apply_ns, confirmed_ns, applied_sequence, state, reason.
    """
    if said is None:
        return None
    kind, said_session, *verdict, said_epoch, state, reason = _STATUS.unpack(said)
    if kind == 0 or said_session != session or said_epoch != epoch:
        return None
    apply_ns, confirmed_ns, sequence = verdict
    return apply_ns, confirmed_ns, sequence, state, reason
