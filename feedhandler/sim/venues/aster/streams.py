"""Streams: what a name stands for, and the chain of one stream's book events.

A name is `<symbol in lower case>@<channel>` or one for all symbols, `!<channel>`.
"""

from __future__ import annotations

import re
from collections.abc import Container
from typing import NamedTuple

from feedhandler.sim.venues.aster.perp import Change
from feedhandler.sim.venues.aster.tape import INTERVALS_MS

# Kinds of streams.
QUOTE, DIFF, PARTIAL, TRADE, AGGREGATE, MARK, MINI, TICKER, KLINE, FORCE = range(10)

IMMEDIATE = ""  # the cadence of what leaves with the event itself

# Channel (for all symbols with its mark) → kind and the name of its cadence.
_CHANNELS: dict[str, tuple[int, str]] = {
    "bookTicker": (QUOTE, IMMEDIATE),
    "!bookTicker": (QUOTE, IMMEDIATE),
    "trade": (TRADE, IMMEDIATE),
    "aggTrade": (AGGREGATE, "aggTrade"),
    "markPrice": (MARK, "markPrice"),
    "markPrice@1s": (MARK, "markPrice@1s"),
    "!markPrice@arr": (MARK, "markPrice"),
    "!markPrice@arr@1s": (MARK, "markPrice@1s"),
    "miniTicker": (MINI, "ticker"),
    "!miniTicker@arr": (MINI, "!ticker@arr"),
    "ticker": (TICKER, "ticker"),
    "!ticker@arr": (TICKER, "!ticker@arr"),
    "forceOrder": (FORCE, IMMEDIATE),
    "!forceOrder@arr": (FORCE, IMMEDIATE),
}
_DEPTH = re.compile(r"depth(?P<levels>5|10|20)?(?:@(?P<ms>0|100|500)ms)?")


class Stream(NamedTuple):
    """What a stream's name stands for; no symbol means all of them."""

    name: str
    channel: str  # the name in the truth log and in faults
    symbol: str
    kind: int
    cadence: str
    levels: int = 0  # of a partial book
    interval: str = ""  # of candles

    @property
    def is_array(self) -> bool:
        """True if one message tells of many symbols."""
        return self.channel.startswith("!") and self.cadence != IMMEDIATE


class Topic(NamedTuple):
    """What a session holds: a stream, bare or in the combined wrapper."""

    name: str
    combined: bool


def parse(name: str, symbols: Container[str]) -> Stream | None:
    """Read a stream's name; None if the venue would never send anything for it."""
    if name.startswith("!"):
        found = _CHANNELS.get(name)
        return Stream(name, name, "", *found) if found else None
    lower, _, channel = name.partition("@")
    symbol = lower.upper()
    if lower != lower.lower() or symbol not in symbols or channel.startswith("!"):
        return None
    if channel in _CHANNELS:
        return Stream(name, channel, symbol, *_CHANNELS[channel])
    if channel.startswith("kline_"):
        interval = channel.removeprefix("kline_")
        if interval not in INTERVALS_MS:
            return None
        return Stream(name, channel, symbol, KLINE, "kline", 0, interval)
    match = _DEPTH.fullmatch(channel)
    if match is None:
        return None
    cadence = f"depth@{match['ms']}ms" if match["ms"] else "depth"
    if cadence == "depth@0ms":
        cadence = IMMEDIATE
    kind = PARTIAL if match["levels"] else DIFF
    return Stream(name, channel, symbol, kind, cadence, int(match["levels"] or 0))


class Event(NamedTuple):
    """What a chain has gathered: ids and absolute sizes by price."""

    first_id: int
    last_id: int
    previous_id: int
    bids: dict[int, int]
    asks: dict[int, int]


class Chain:
    """The book events of one stream: each names the last id of the one before it."""

    def __init__(self, update_id: int) -> None:
        self._sent_id = update_id
        self._first_id = 0
        self._last_id = update_id
        self._bids: dict[int, int] = {}
        self._asks: dict[int, int] = {}

    def add(self, change: Change) -> None:
        self._first_id = self._first_id or change.first_id
        self._last_id = change.last_id
        self._bids.update(change.bids)
        self._asks.update(change.asks)

    def take(self) -> Event | None:
        """What was gathered since the last call, or None if nothing changed."""
        if not self._first_id:
            return None
        event = Event(
            self._first_id, self._last_id, self._sent_id, self._bids, self._asks
        )
        self._sent_id, self._first_id = self._last_id, 0
        self._bids, self._asks = {}, {}
        return event
