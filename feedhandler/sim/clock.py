"""The clocks the simulator reads; everything that needs time is handed one of these.

Owns the only calls to the machine's clocks. Owns no schedule: waiting is asyncio's.
"""

from __future__ import annotations

import time


class Clock:
    """The machine's clocks. A test passes its own class with the same methods."""

    def monotonic_ns(self) -> int:
        return time.monotonic_ns()

    def monotonic_s(self) -> float:
        return self.monotonic_ns() / 1e9

    def wall_ms(self) -> int:
        return time.time_ns() // 1_000_000


class ExchangeClock:
    """The wall clock of one venue: it may lag behind ours, it never steps back.

    A lag that begins lets the time stand still until the machine's clock is `lag_ms`
    ahead, because venues' own stamps do not decrease either.
    """

    def __init__(self, clock: Clock) -> None:
        self.lag_ms = 0
        self._clock = clock
        self._last_ms = 0

    def now_ms(self) -> int:
        self._last_ms = max(self._last_ms, self._clock.wall_ms() - self.lag_ms)
        return self._last_ms
