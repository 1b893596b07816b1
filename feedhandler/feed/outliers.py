"""Prices that jump: in doubt until they have stood.

                 near                             near the new price
               ┌──────┐      far: counted         ┌──────┐
               ▼      │   ──────────────────▶     ▼      │
             STEADY ──┘                         JUMPED ──┘ flagged
               ▲  ▲      near the old price       │   │
               │  └───────────────────────────────┘   │ far from both: it begins anew
               └────────── has stood for 1 s ─────────┘

A price is the middle of bid and ask; without both sides there is none, and nothing is
said. Each is compared with the one before it, so a market may go anywhere step by step.
So is the first one after a resync or of another session: with the last one that was
steady, unless the venue was silent for minutes, since then the market may be anywhere.
Owns what is remembered of each instrument for that. Reads no clock: time is that of the
receipt.
"""

from __future__ import annotations

from math import inf, nan
from typing import Final, NamedTuple

from feedhandler.events import FLAG_OUTLIER, FLAG_UNCHANGED
from feedhandler.feed.remarks import Count
from shm_layout.limits import OUTLIER_HOLD_NS

BPS: Final = 10_000

# A venue that was silent for longer has no steady prices any more.
STEADY_KEPT_NS: Final = 300_000_000_000


class _Jump(NamedTuple):
    """A price that is far from the one before it; both are twice the middle."""

    before: float
    now: float
    since_ns: int


class Outliers:
    """The prices of one venue by index; a limit of 0 basis points is off."""

    def __init__(self, limit_bps: int, instruments: int, count: Count) -> None:
        share = limit_bps / BPS if limit_bps else inf
        self._low, self._high = 1.0 - share, 1.0 + share
        self._count = count

        # Twice the last middle, NaN for none; or the jump, while it has not stood.
        self._steady = [nan] * instruments
        self._jumps: dict[int, _Jump] = {}

    def judge(
        self, index: int, bid: float, ask: float, flags: int, recv_ns: int
    ) -> int:
        """Return a quote's flags with what its price adds to them."""
        price = bid + ask
        steady = self._steady
        before = steady[index]
        # For almost every quote this is all. No price is near NaN.
        if before * self._low <= price <= before * self._high:
            steady[index] = price
            return flags
        return self._judge_far(index, price, flags, recv_ns)

    def resume(self, index: int) -> None:
        """Compare the next price with the last steady one: nothing stood meanwhile."""
        jump = self._jumps.pop(index, None)
        if jump is not None:
            self._steady[index] = jump.before

    def resume_all(self, silent_ns: int) -> None:
        """Resume all in another session, after so long without a word of the venue."""
        for index in list(self._jumps):
            self.resume(index)
        if silent_ns > STEADY_KEPT_NS:
            self._steady = [nan] * len(self._steady)

    def _judge_far(self, index: int, price: float, flags: int, recv_ns: int) -> int:
        """Judge a price that is not simply near the one before it."""
        if price != price:
            return flags  # one side is absent
        before = self._steady[index]
        jump = self._jumps.pop(index, None)
        if jump is not None:
            before = jump.before
            if recv_ns - jump.since_ns >= OUTLIER_HOLD_NS:
                before, jump = jump.now, None
        if before != before or self._is_near(price, before):
            self._steady[index] = price
            return flags & ~FLAG_UNCHANGED  # the end of a doubt is news
        since_ns = recv_ns
        if jump is not None and self._is_near(price, jump.now):
            since_ns = jump.since_ns
        else:
            self._count("outliers", 1)
        self._steady[index] = nan
        self._jumps[index] = _Jump(before, price, since_ns)
        return flags | FLAG_OUTLIER

    def _is_near(self, price: float, before: float) -> bool:
        return before * self._low <= price <= before * self._high
