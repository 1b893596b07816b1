"""When is an instrument asked for by REST, and what for?

    self-check   once after the start, of each venue
    fallback     its stream applied nothing for `after`, or never did since the start
    confirm      the runner says QUIET: unconfirmed, or its confirmation is getting old
    doubt        the runner says that its price jumped, or that REST has just disagreed
    recheck      it is SUSPECT because REST disagreed, or quarantined: until REST agrees
    audit        every so often, spread out over the instruments

        stream ──after──▶ FALLBACK ──stream is back, for `leave`──▶ stream

Owns the decision for one instrument. Reads no clock and nothing shared: time, and what
is known of the stream, are passed in. It never changes what is known of the stream.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from shm_layout.codes import (
    REASON_AUDIT,
    REASON_NEVER_SPOKEN,
    REASON_OUTLIER,
    REASON_QUIET_CONFIRMED,
    STATE_LIVE,
    STATE_QUARANTINED,
    STATE_QUIET,
    STATE_SUSPECT,
    STATE_UNKNOWN,
    TIME_NONE,
)

SELF_CHECK: Final = "self_check"
FALLBACK: Final = "fallback"
CONFIRM: Final = "confirm"
DOUBT: Final = "doubt"
RECHECK: Final = "recheck"
AUDIT: Final = "audit"

# Of the confirmation's life: what is left is for a slow answer and another attempt.
CONFIRM_SHARE: Final = 0.6
RECHECK_POLLS: Final = 5  # pauses between two questions about what is known as wrong

_DOUBTS: Final = ((STATE_SUSPECT, REASON_OUTLIER), (STATE_LIVE, REASON_AUDIT))


@dataclass(frozen=True, slots=True)
class Timing:
    """The limits that decide, all in ns; an audit of 0 is off."""

    after_ns: int
    poll_ns: int
    leave_ns: int
    audit_ns: int
    confirm_ns: int  # how long a confirmation keeps a quiet quote tradable


@dataclass(frozen=True, slots=True)
class Stream:
    """What the runner says of an instrument's stream; times monotonic but `event_ns`.

    `is_judged` is False when no living runner stands behind state and reason.
    """

    apply_ns: int = TIME_NONE
    confirmed_ns: int = TIME_NONE
    event_ns: int = TIME_NONE
    state: int = STATE_UNKNOWN
    reason: int = REASON_NEVER_SPOKEN
    is_judged: bool = False

    @property
    def is_quiet(self) -> bool:
        """Whether its link is proven alive while its market is silent."""
        return self.is_judged and self.state == STATE_QUIET

    @property
    def is_doubted(self) -> bool:
        """Whether an answer is wanted at once: it jumped, or REST just disagreed."""
        verdict = (self.state, self.reason)
        return self.is_judged and verdict in _DOUBTS

    @property
    def is_wrong(self) -> bool:
        """Whether it is not good before an answer agrees with it, or for longer."""
        is_suspect = self.state == STATE_SUSPECT and self.reason == REASON_AUDIT
        return self.is_judged and (is_suspect or self.state == STATE_QUARANTINED)


UNKNOWN: Final = Stream()


class Watch:
    """One instrument: whether it is in fallback, and what is due next."""

    def __init__(self, timing: Timing, start_ns: int, first_audit_ns: int) -> None:
        self._timing = timing
        self._start_ns = start_ns

        # Whether REST stands in for the stream, and since when that is back.
        self.is_fallback = False
        self._back_since_ns: int | None = None

        # Requests.
        self.asked_ns: int | None = None  # when the last one began
        self.is_asking = False
        self._audit_due_ns = first_audit_ns
        self._wait_until_ns = start_ns

    def look(self, now_ns: int, stream: Stream) -> str:
        """Move between stream and fallback; return what is due now, or nothing."""
        self._move(now_ns, stream)
        purpose = self._purpose(now_ns, stream)
        pauses = RECHECK_POLLS if purpose == RECHECK else 1
        return purpose if self.is_free(now_ns, pauses) else ""

    def is_free(self, now_ns: int, pauses: int = 1) -> bool:
        """Say whether another request may begin, so many pauses after the last."""
        if self.is_asking or now_ns < self._wait_until_ns:
            return False
        pause_ns = pauses * self._timing.poll_ns
        return self.asked_ns is None or now_ns - self.asked_ns >= pause_ns

    def begin(self, now_ns: int) -> None:
        """Note that a request is under way."""
        self.is_asking = True
        self.asked_ns = now_ns

    def end(self, now_ns: int, *, is_answered: bool, wait_ns: int = 0) -> None:
        """Note its end; an answer serves as an audit, and nothing is due for a wait."""
        self.is_asking = False
        self._wait_until_ns = now_ns + wait_ns
        if is_answered:
            self._audit_due_ns = now_ns + self._timing.audit_ns

    def age_ns(self, now_ns: int, stream: Stream) -> int:
        """Return how long the stream has been silent, since our start if unknown."""
        known = stream.apply_ns != TIME_NONE
        return now_ns - (stream.apply_ns if known else self._start_ns)

    def _move(self, now_ns: int, stream: Stream) -> None:
        is_back = stream.is_quiet or (
            self.age_ns(now_ns, stream) < self._timing.after_ns
        )
        if not is_back:
            self.is_fallback = True
            self._back_since_ns = None
        elif self.is_fallback:
            if self._back_since_ns is None:
                self._back_since_ns = now_ns
            if now_ns - self._back_since_ns >= self._timing.leave_ns:
                self.is_fallback = False
                self._back_since_ns = None

    def _purpose(self, now_ns: int, stream: Stream) -> str:
        if stream.is_quiet:
            return CONFIRM if self._is_unconfirmed(now_ns, stream) else ""
        if self.is_fallback:
            return FALLBACK
        if stream.is_doubted:
            return DOUBT
        if stream.is_wrong:
            return RECHECK
        if self._timing.audit_ns and now_ns >= self._audit_due_ns:
            return AUDIT
        return ""

    def _is_unconfirmed(self, now_ns: int, stream: Stream) -> bool:
        if stream.reason != REASON_QUIET_CONFIRMED or stream.confirmed_ns == TIME_NONE:
            return True
        age_ns = now_ns - stream.confirmed_ns
        return not age_ns < self._timing.confirm_ns * CONFIRM_SHARE


def first_audit_ns(timing: Timing, start_ns: int, index: int, count: int) -> int:
    """Return when an instrument is audited first: all of them spread over one round."""
    return start_ns + timing.audit_ns * (index + 1) // max(1, count)
