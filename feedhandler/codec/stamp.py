"""A venue's event time to nanoseconds, absent when absurd, refused when impossible.

    zero, negative, before 2000     absent: a price without a time may still be used
    up to 60 s ahead of our clock   accepted: skew is the venue's, and is only shown
    up to one day ahead             refused as `time_future`
    beyond                          refused as `time`: another unit than documented

There is no limit to the past: an old time is the normal time of a quiet market, and a
unit too small (seconds for milliseconds) lands before 2000.
"""

from __future__ import annotations

from typing import Final

from feedhandler.codec.frame import FrameError

MICROSECOND_NS: Final = 1_000
MILLISECOND_NS: Final = 1_000_000
EARLIEST_NS: Final = 946_684_800 * 1_000_000_000  # 2000-01-01
AHEAD_NS_MAX: Final = 60 * 1_000_000_000
HOUR_NS: Final = 3_600 * 1_000_000_000
DAY_NS: Final = 24 * HOUR_NS
TIME_NONE: Final = -(1 << 63)


def event_ns(value: int, unit_ns: int, wall_ns: int) -> int:
    """Return the event time in nanoseconds or `TIME_NONE`; raise `FrameError`.

    `wall_ns` is our wall clock when the frame arrived, passed in by the session.
    """
    stamp_ns = value * unit_ns
    if EARLIEST_NS <= stamp_ns <= wall_ns + AHEAD_NS_MAX:
        return stamp_ns
    if stamp_ns < EARLIEST_NS:
        return TIME_NONE
    ahead_ns = stamp_ns - wall_ns
    reason = "time_future" if ahead_ns <= DAY_NS else "time"
    raise FrameError(reason, f"ahead_ms={ahead_ns // MILLISECOND_NS}")
