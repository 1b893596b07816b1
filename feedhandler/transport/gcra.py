"""How much may be spent now: the arithmetic of one budget, without clock or file.

The generic cell rate algorithm. One word, the *theoretical arrival time*, says until
when everything granted so far is paid for:

    now ────────────────▶ arrival                 level = arrival − now
     │◀──── level ───────▶│                        each unit adds one step
     │◀──── depth = burst × step ──────▶│          time takes it away again

A unit is granted while the level stays within the depth. In any stretch of d seconds
at most burst + d / step units pass; the step is chosen so that this is no more than
`per_minute` in any minute, wherever the other side's minute begins.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from feedhandler.errors import UsageError

MINUTE_NS: Final = 60_000_000_000
HORIZON_NS: Final = 60 * MINUTE_NS  # no word is ever further in the future
UNITS_MAX: Final = 1_000_000  # a minute


@dataclass(frozen=True, slots=True)
class Pace:
    """What may be spent: `per_minute` in any minute, `burst` of it at once."""

    per_minute: int
    burst: int

    def __post_init__(self) -> None:
        if not 1 <= self.burst < self.per_minute <= UNITS_MAX:
            raise UsageError(
                f"a budget needs 1 <= burst < per_minute <= {UNITS_MAX}: "
                f"burst={self.burst} per_minute={self.per_minute}"
            )

    @property
    def step_ns(self) -> int:
        """The time that pays for one unit, rounded up."""
        return -(-MINUTE_NS // (self.per_minute - self.burst))

    @property
    def depth_ns(self) -> int:
        """The level at which nothing more is granted."""
        return self.burst * self.step_ns


@dataclass(slots=True)
class Account:
    """What was spent; times are monotonic."""

    arrival_ns: int = 0
    blocked_ns: int = 0  # until when the other side wants to hear nothing
    used: int = 0  # in its current window, as the other side last reported
    used_since_ns: int = 0  # when that window was first seen

    def is_sane(self, now_ns: int) -> bool:
        """Tell whether each word can be what an account has at that time."""
        limit_ns = now_ns + HORIZON_NS
        times = (self.arrival_ns, self.blocked_ns, self.used_since_ns)
        return all(0 <= time <= limit_ns for time in times) and self.used >= 0

    def level(self, pace: Pace, now_ns: int) -> int:
        """Return how many units are not paid for yet, rounded up."""
        return -(-max(0, self.arrival_ns - now_ns) // pace.step_ns)

    def take(self, pace: Pace, weight: int, now_ns: int) -> int:
        """Spend `weight` and return 0, or spend nothing and return the wait in ns.

        A weight above the burst is granted only at level zero.
        """
        if now_ns < self.blocked_ns:
            return self.blocked_ns - now_ns
        start_ns = max(self.arrival_ns, now_ns)
        due_ns = start_ns + min(weight, pace.burst) * pace.step_ns
        wait_ns = due_ns - now_ns - pace.depth_ns
        if wait_ns > 0:
            return wait_ns
        self.arrival_ns = start_ns + weight * pace.step_ns
        return 0

    def charge(self, pace: Pace, weight: int, now_ns: int) -> None:
        """Spend what is already gone, granted or not."""
        arrival_ns = max(self.arrival_ns, now_ns) + weight * pace.step_ns
        self.arrival_ns = min(arrival_ns, now_ns + HORIZON_NS)

    def block(self, until_ns: int, now_ns: int) -> None:
        """Grant nothing before that time, an hour from now at most."""
        self.blocked_ns = max(self.blocked_ns, min(until_ns, now_ns + HORIZON_NS))

    def report(self, pace: Pace, used: int, now_ns: int) -> None:
        """Take over what the other side says was spent in its current window.

        When that window began is not known, only since when it has been seen: a count
        that fell began anew. What of it is paid for since then is not charged again,
        so our own spending never counts twice; that of strangers on this address does.
        """
        used = min(used, pace.per_minute)
        age_ns = now_ns - self.used_since_ns
        is_known = self.used_since_ns > 0 and 0 <= age_ns < MINUTE_NS
        if used < self.used or not is_known:
            self.used_since_ns = now_ns
            age_ns = 0
        self.used = used
        arrival_ns = now_ns - age_ns + used * pace.step_ns
        self.arrival_ns = max(self.arrival_ns, arrival_ns)
