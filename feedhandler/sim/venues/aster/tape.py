"""The trades of one perp: single prints, aggregates, candles, and the day's figures."""

from __future__ import annotations

from collections import deque
from datetime import UTC, datetime
from typing import NamedTuple

RECENT_MAX = 1000  # the largest `limit` of REST
MARKET, INSURANCE_FUND = "MARKET", "INSURANCE_FUND"

_MINUTE_MS = 60_000
_HOUR_MS = 60 * _MINUTE_MS
_DAY_MS = 24 * _HOUR_MS
_WEEK_START_MS = 4 * _DAY_MS  # the first Monday: the epoch was a Thursday

INTERVALS_MS = {
    "1m": _MINUTE_MS,
    "3m": 3 * _MINUTE_MS,
    "5m": 5 * _MINUTE_MS,
    "15m": 15 * _MINUTE_MS,
    "30m": 30 * _MINUTE_MS,
    "1h": _HOUR_MS,
    "2h": 2 * _HOUR_MS,
    "4h": 4 * _HOUR_MS,
    "6h": 6 * _HOUR_MS,
    "8h": 8 * _HOUR_MS,
    "12h": 12 * _HOUR_MS,
    "1d": _DAY_MS,
    "3d": 3 * _DAY_MS,
    "1w": 7 * _DAY_MS,
    "1M": 0,  # a calendar month has no length of its own
}


class Print(NamedTuple):
    """One fill, in units of the grid."""

    trade_id: int
    price: int
    size: int
    time_ms: int
    buyer_is_maker: bool
    kind: str


class Aggregate(NamedTuple):
    """The fills of one taker order at one price."""

    aggregate_id: int
    price: int
    size: int
    first_id: int
    last_id: int
    time_ms: int
    buyer_is_maker: bool


class Candle:
    """One running candle; prices and volumes in units of the grid."""

    def __init__(self, start_ms: int, end_ms: int, first: Print) -> None:
        self.start_ms = start_ms
        self.end_ms = end_ms  # of the next one
        self.first_id = first.trade_id
        self.last_id = first.trade_id
        self.open = self.high = self.low = self.close = first.price
        self.volume = self.taker_volume = 0
        self.quote = self.taker_quote = 0
        self.count = 0

    def add(self, row: Print) -> None:
        self.last_id = row.trade_id
        self.close = row.price
        self.high, self.low = max(self.high, row.price), min(self.low, row.price)
        self.volume += row.size
        self.quote += row.size * row.price
        self.count += 1
        if not row.buyer_is_maker:
            self.taker_volume += row.size
            self.taker_quote += row.size * row.price


class Tape:
    """What was traded, newest last; only market trades count for the figures."""

    def __init__(self, first_id: int) -> None:
        self.first_id = first_id  # of the day
        self.next_id = first_id
        self.next_aggregate_id = first_id * 4 // 5
        self.prints: deque[Print] = deque(maxlen=RECENT_MAX)
        self.aggregates: deque[Aggregate] = deque(maxlen=RECENT_MAX)
        self.high = self.low = 0

    def add(
        self, price: int, sizes: list[int], time_ms: int, buyer_is_maker: bool
    ) -> list[Print]:
        """Enter the fills of one taker order."""
        rows = [
            self.single(price, size, time_ms, buyer_is_maker, MARKET) for size in sizes
        ]
        self.prints.extend(rows)
        aggregate = Aggregate(
            self.next_aggregate_id,
            price,
            sum(sizes),
            rows[0].trade_id,
            rows[-1].trade_id,
            time_ms,
            buyer_is_maker,
        )
        self.next_aggregate_id += 1
        self.aggregates.append(aggregate)
        self.high = max(self.high, price)
        self.low = min(self.low or price, price)
        return rows

    def single(
        self, price: int, size: int, time_ms: int, buyer_is_maker: bool, kind: str
    ) -> Print:
        """Give a fill its id; the caller decides where it is entered."""
        row = Print(self.next_id, price, size, time_ms, buyer_is_maker, kind)
        self.next_id += 1
        return row

    def candle(self, interval: str, now_ms: int) -> Candle | None:
        """The candle that runs now, of the trades still known; None without any."""
        start_ms, end_ms = candle_times(interval, now_ms)
        candle = None
        for row in self.prints:
            if start_ms <= row.time_ms < end_ms:
                candle = candle or Candle(start_ms, end_ms, row)
                candle.add(row)
        return candle


def candle_times(interval: str, now_ms: int) -> tuple[int, int]:
    """Begin of the candle that holds this time, and of the one after it."""
    length_ms = INTERVALS_MS[interval]
    if not length_ms:
        now = datetime.fromtimestamp(now_ms / 1000, UTC)
        first = datetime(now.year, now.month, 1, tzinfo=UTC)
        year, month = now.year + now.month // 12, now.month % 12 + 1
        after = datetime(year, month, 1, tzinfo=UTC)
        return round(first.timestamp() * 1000), round(after.timestamp() * 1000)
    shift_ms = _WEEK_START_MS if interval == "1w" else 0
    start_ms = now_ms - (now_ms - shift_ms) % length_ms
    return start_ms, start_ms + length_ms
