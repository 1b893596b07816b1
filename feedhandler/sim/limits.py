"""Limits of a simulated venue: what the real one enforces and what protects us.

Each venue states its own figures; a test passes smaller ones.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

RECENT_TRADES = 30  # rows of the first `trades` frame in the 2025 recording
TRUTH_ENTRIES_MAX = 200_000  # about ten minutes of a burst; older entries leave
MARKET_STEP_MAX_S = 1.0  # a stopped process resumes here, not with a flood
STOP_TIMEOUT_S = 0.3  # what a peer has to answer our closing frame
HANG_LOOK_S = 0.02  # between looks whether a connection may be answered by now
FAREWELL_S = 5.0  # what a client has to take what is queued when its session ended


@dataclass(frozen=True, slots=True)
class Limits:
    """What one venue allows. All clients of the simulator count as one address."""

    connections_max: int = 10
    connects_per_minute: int = 30
    subscriptions_max: int = 1000
    requests_per_minute: int = 2000
    rest_weight_per_minute: int = 1200
    messages_per_second: int = 0  # of one connection, where a venue counts them
    silence_s: float = 60.0  # a socket to which nothing was sent for so long is closed
    ping_s: float = 0.0  # between protocol pings of the server; 0 if it sends none
    pong_s: float = 10.0  # what a client has to answer a ping, whatever its form
    life_s: float = math.inf  # the longest a connection may last
    inbound_bytes_max: int = 256 * 1024  # one frame or request body of a client
    queue_frames_max: int = 2048  # frames waiting for one client
    queue_bytes_max: int = 4 * 1024 * 1024
    socket_bytes: int = 256 * 1024  # kernel send buffer of one client


class Budget:
    """An amount that may be spent in any window of `period_s` seconds."""

    def __init__(self, limit: int, period_s: float = 60.0) -> None:
        self._limit = limit
        self._period_s = period_s
        self._spent: deque[tuple[float, int]] = deque()  # at most `limit` rows
        self._total = 0

    def take(self, amount: int, now_s: float) -> bool:
        """Spend, or return False and leave the budget as it is."""
        while self._spent and self._spent[0][0] <= now_s - self._period_s:
            self._total -= self._spent.popleft()[1]
        if self._total + amount > self._limit:
            return False
        self._spent.append((now_s, amount))
        self._total += amount
        return True
