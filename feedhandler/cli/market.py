"""What the live table shows of the market: quotes, trades, rates and short histories.

Owns the collecting, from shared memory, as any client would; draws nothing. Used by one
thread.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from typing import Any, Final

from feedhandler.cli.format import decimals_of
from feedhandler.client import Feed, Record

HISTORY_MAX: Final = 60
HISTORY_STEP_S: Final = 0.4
RATE_WINDOW_S: Final = 2.0
MOVE_SHOWN_S: Final = 0.7  # how long a price keeps the colour of its last move
BATCHES_MAX: Final = 16  # of each ring in one update


@dataclass(slots=True)
class Line:
    """One instrument: its row of `Feed.quotes`, and what only time can tell."""

    row: dict[str, Any]
    decimals: int = 0
    bid_move: int = 0  # 1 up, -1 down
    ask_move: int = 0
    moved_s: float = 0.0
    trade: Record | None = None
    trade_move: int = 0
    updates: deque[tuple[float, int]] = field(default_factory=deque)
    mids: deque[float] = field(default_factory=lambda: deque(maxlen=HISTORY_MAX))

    @property
    def spread_bps(self) -> float:
        """The spread in hundredths of a percent of the mid, NaN when one-sided."""
        bid, ask = self.row["bid"], self.row["ask"]
        middle = (bid + ask) / 2
        return (ask - bid) / middle * 10_000 if middle > 0 else math.nan

    def rate(self, now_s: float) -> float:
        """Return quotes a second over the last window."""
        recent = [count for at_s, count in self.updates if now_s - at_s < RATE_WINDOW_S]
        return sum(recent) / RATE_WINDOW_S


class Market:
    """Everything shown, brought up to date by `update`."""

    def __init__(self, instance: str) -> None:
        self._feed = Feed(instance)
        self._follower = self._feed.follower(kinds=("quote", "trade"))
        self._next_history_s = 0.0
        self.lines: dict[tuple[str, str], Line] = {}

    @property
    def lost(self) -> int:
        """Records that this view was too slow for."""
        return self._follower.lost

    def update(self, now_s: float) -> None:
        """Read quotes and records published since the last call."""
        table = self._feed.quotes()
        names = table.dtype.names or ()
        for values in table.tolist():
            self._take_row(dict(zip(names, values, strict=True)), now_s)
        self._take_records(now_s)
        if now_s >= self._next_history_s:
            self._next_history_s = now_s + HISTORY_STEP_S
            for line in self.lines.values():
                line.mids.append((line.row["bid"] + line.row["ask"]) / 2)

    def close(self) -> None:
        """Let go of shared memory."""
        self._follower.close()
        self._feed.close()

    def _take_row(self, row: dict[str, Any], now_s: float) -> None:
        key = (row["venue"], row["instrument"])
        line = self.lines.get(key)
        if line is None:
            line = self.lines[key] = Line(row)
        bid_move = _sign(row["bid"] - line.row["bid"])
        ask_move = _sign(row["ask"] - line.row["ask"])
        if bid_move or ask_move:
            line.bid_move, line.ask_move, line.moved_s = bid_move, ask_move, now_s
        elif now_s - line.moved_s > MOVE_SHOWN_S:
            line.bid_move = line.ask_move = 0
        line.row = row
        # Grows only, so that a price does not jump from side to side.
        shown = max(decimals_of(row["bid"]), decimals_of(row["ask"]))
        line.decimals = max(line.decimals, shown)

    def _take_records(self, now_s: float) -> None:
        counts: dict[tuple[str, str], int] = {}
        for _ in range(BATCHES_MAX):
            records = self._follower.poll()
            for record in records:
                key = (record.venue, record.instrument)
                if record.kind == "quote":
                    counts[key] = counts.get(key, 0) + 1
                elif key in self.lines:
                    _take_trade(self.lines[key], record)
            if not records:
                break
        for key, count in counts.items():
            if key in self.lines:
                self.lines[key].updates.append((now_s, count))
        for line in self.lines.values():
            while line.updates and now_s - line.updates[0][0] >= RATE_WINDOW_S:
                line.updates.popleft()


def _take_trade(line: Line, record: Record) -> None:
    if line.trade is not None:
        move = _sign(record.price - line.trade.price)
        line.trade_move = move or line.trade_move
    line.trade = record


def _sign(difference: float) -> int:
    return int(difference > 0) - int(difference < 0)  # NaN is neither
