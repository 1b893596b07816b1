"""REST weight of one address: what is used this minute, 429, and the ban after it.

Who goes on asking after a 429 is banned, 2 minutes first and twice as long each time.
`Retry-After` is sent with both; that the venue does so is not documented.
"""

from __future__ import annotations

from typing import NamedTuple

WINDOW_S = 60
STRIKES_MAX = 10  # refusals before the ban; the venue's figure is unknown
BAN_FIRST_S = 120
BAN_MAX_S = 3 * 86_400


class Refusal(NamedTuple):
    """Why a request is not answered, and when the client may come back."""

    status: int
    retry_s: int


class Meter:
    """Counts weight in windows of one minute."""

    def __init__(self, weight_max: int) -> None:
        self.weight_max = weight_max
        self.used = 0
        self._window = -1
        self._strikes = 0
        self._ban_s = BAN_FIRST_S
        self._banned_until_s = 0.0

    def charge(self, weight: int, now_s: float) -> Refusal | None:
        """Count a request; it counts even when it is refused."""
        if now_s < self._banned_until_s:
            return Refusal(418, _ceil(self._banned_until_s - now_s))
        window = int(now_s // WINDOW_S)
        if window != self._window:
            self._window, self.used, self._strikes = window, 0, 0
        self.used += weight
        if self.used <= self.weight_max:
            return None
        self._strikes += 1
        if self._strikes <= STRIKES_MAX:
            return Refusal(429, _ceil((window + 1) * WINDOW_S - now_s))
        ban_s, self._ban_s = self._ban_s, min(2 * self._ban_s, BAN_MAX_S)
        self._banned_until_s = now_s + ban_s
        return Refusal(418, ban_s)


def _ceil(seconds: float) -> int:
    return max(1, -int(-seconds // 1))
