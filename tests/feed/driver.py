"""Drives a session without a socket and without a clock, and makes its frames."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

from feedhandler.book.trades import TradeFilter
from feedhandler.events import (
    Event,
)
from feedhandler.feed.session import Session
from feedhandler.feed.settings import Timing
from feedhandler.feed.subscriptions import Pace
from feedhandler.venues._base import Market, Options, Venue
from feedhandler.venues.hyperliquid import VENUE

MS = 1_000_000
SECOND = 1_000 * MS
WALL_MS = 1_785_000_009_000
TICK = 100 * MS
PING = '{"method":"ping"}'
TIMING = Timing(
    stale_ns=10 * SECOND,
    first_data_ns=10 * SECOND,
    ack_ns=5 * SECOND,
    read_timeout_ns=30 * SECOND,
    ping_interval_ns=25 * SECOND,
    session_limit_ns=86_400 * SECOND,
    subscribe_gap_ns=30 * MS,
)


class Driven:
    """A session whose clock the test turns; it ticks every 100 ms like a feed."""

    def __init__(
        self,
        symbols: Sequence[str] = ("BTC",),
        timing: Timing = TIMING,
        options: Options | None = None,
        *,
        is_open: bool = True,
        venue: Venue = VENUE,
        pace: Pace | None = None,
    ) -> None:
        self.now = 0
        self.counted: Counter[str] = Counter()
        self.trades = {symbol: TradeFilter() for symbol in symbols}
        self.sent: list[tuple[int, str]] = []
        self.events: list[Event] = []
        self.session = Session(
            venue,
            {symbol: Market(symbol, f"{symbol}-PERP") for symbol in symbols},
            options or Options(),
            timing,
            self.trades,
            self._count,
            self.now,
            self.wall_ns,
            pace=pace,
        )
        if is_open:
            self._take(self.session.opened(self.now, self.wall_ns))

    @property
    def wall_ns(self) -> int:
        return WALL_MS * MS + self.now

    @property
    def label(self) -> str:
        return "" if self.session.ending is None else self.session.ending.label

    @property
    def goes_on(self) -> bool:
        """Whether the session has not ended; fails after far too long a time."""
        assert self.now < 200 * SECOND, "the session does not end"
        return not self.label

    def _count(self, name: str, amount: int) -> None:
        self.counted[name] += amount

    def _take(self, events: Sequence[Event]) -> list[Event]:
        self.events += events
        self.sent += [(self.now, text) for text in self.session.take_outgoing()]
        return list(events)

    def receive(self, message: object) -> list[Event]:
        frame = message if isinstance(message, bytes) else json.dumps(message).encode()
        return self._take(self.session.receive(frame, self.now))

    def tick(self) -> list[Event]:
        return self._take(self.session.tick(self.now, self.wall_ns))

    def turn(self, span_ns: int, step_ns: int = TICK) -> None:
        """Let time pass, tick by tick, until the span is over or the session is."""
        end = self.now + span_ns
        while self.now < end and not self.label:
            self.now = min(self.now + step_ns, end)
            self.tick()

    def acknowledge(self) -> None:
        """Answer every request that was sent."""
        for _, text in self.sent:
            request = json.loads(text)
            if request["method"] == "subscribe":
                self.receive(ack(request["subscription"]))

    def quote(self, coin: str = "BTC", bid: str = "100") -> list[Event]:
        return self.receive(bbo(coin, bid, WALL_MS + self.now // MS))

    def requests(self, method: str = "subscribe") -> list[dict[str, Any]]:
        found = (json.loads(text) for _, text in self.sent)
        return [row["subscription"] for row in found if row["method"] == method]


def ack(subscription: dict[str, Any]) -> dict[str, Any]:
    data = {"method": "subscribe", "subscription": {**subscription, "nSigFigs": None}}
    return {"channel": "subscriptionResponse", "data": data}


def bbo(coin: str, bid: str, time_ms: int) -> dict[str, Any]:
    pair = [{"px": bid, "sz": "1", "n": 1}, {"px": "101", "sz": "1", "n": 1}]
    return {"channel": "bbo", "data": {"coin": coin, "time": time_ms, "bbo": pair}}


def context(coin: str = "BTC") -> dict[str, Any]:
    data = {"coin": coin, "ctx": {"funding": "0.0001", "markPx": "100"}}
    return {"channel": "activeAssetCtx", "data": data}


def error(text: str) -> dict[str, str]:
    return {"channel": "error", "data": text}


def running(**options: Any) -> Driven:
    """Return a session that is subscribed and has data."""
    driven = Driven(**options)
    driven.turn(500 * MS, 10 * MS)
    driven.acknowledge()
    for symbol in driven.trades:
        driven.quote(symbol)
    assert driven.session.has_quote
    assert not driven.label
    return driven
