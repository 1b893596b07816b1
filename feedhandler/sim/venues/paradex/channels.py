"""A client's channel name: what it asks for, or why it is refused.

A market is not looked up: a name in the right form is acknowledged, also one of a
market that does not exist, and nothing ever comes of it (seen on the venue in 2026).
"""

from __future__ import annotations

import re
from typing import NamedTuple

INVALID = "invalid channel"

# What a channel is called in the truth log, in faults and in the table of cadences.
BBO = "bbo"
BBO_INTERACTIVE = "bbo.interactive"
DELTAS = "order_book.deltas"
DELTAS_INTERACTIVE = "order_book.interactive_deltas"
SNAPSHOT = "order_book.snapshot"
SNAPSHOT_INTERACTIVE = "order_book.interactive"
TRADES = "trades"
FUNDING = "funding_data"
SUMMARY = "markets_summary"
LISTED = "markets"  # events of listing, of which there are none here

RATES_MS = {SNAPSHOT: (50, 100), SNAPSHOT_INTERACTIVE: (100, 200, 400)}

_BARE = (FUNDING, SUMMARY, LISTED)  # without a market they mean all
_NAMED = (BBO, TRADES, *_BARE)
_DELTAS = {"deltas": DELTAS, "interactive_deltas": DELTAS_INTERACTIVE}
_IMAGES = {"snapshot": SNAPSHOT, "interactive": SNAPSHOT_INTERACTIVE}
_TICK = re.compile(r"(\d{1,12})(?:_(\d{1,8}))?")


class Channel(NamedTuple):
    """A subscription: its kind, its market (empty for all), and options of images."""

    kind: str
    market: str
    rate_ms: int = 0
    tick: str = ""  # decimal text; empty for the market's own

    @property
    def cadence(self) -> str:
        """The kind's name in the table of cadences, by rate for images."""
        return f"{self.kind}@{self.rate_ms}ms" if self.rate_ms else self.kind

    @property
    def is_interactive(self) -> bool:
        return self.kind in (BBO_INTERACTIVE, DELTAS_INTERACTIVE, SNAPSHOT_INTERACTIVE)


class Topic(NamedTuple):
    """What a session holds: a channel in the version of the schema it asked for."""

    channel: Channel
    version: int


def parse(name: str) -> Channel | str:
    """The channel of a name, or the `data` of the error that refuses it."""
    family, _, rest = name.partition(".")
    if family == "order_book":
        return _order_book(rest)
    if family in _BARE and not rest and name == family:
        return Channel(family, "")
    if family not in _NAMED or not rest:
        return INVALID
    if family == BBO and rest.endswith(".interactive"):
        return Channel(BBO_INTERACTIVE, rest.removesuffix(".interactive"))
    is_all = rest == "ALL" and family in (BBO, TRADES)
    return Channel(family, "" if is_all else rest)


def conflict(channel: Channel, name: str, held: dict[Channel, str]) -> str:
    """Why a session cannot take one more channel, or nothing.

    A frame of a book names the market alone, so a session has one for each market.
    """
    if not channel.kind.startswith("order_book"):
        return ""
    for other, other_name in held.items():
        if other.kind.startswith("order_book") and other.market == channel.market:
            return f"channel {name} cannot share an SBE session with {other_name}"
    return ""


def _order_book(rest: str) -> Channel | str:
    market, _, feed = rest.rpartition(".")
    kind, *parameters = feed.split("@")
    if not market:
        return INVALID
    if kind in _DELTAS:
        if parameters:
            return f"no parameters expected for {kind} topic."
        return Channel(_DELTAS[kind], market)
    if kind not in _IMAGES or not 2 <= len(parameters) <= 3:
        return INVALID
    depth, rate, *ticks = parameters
    if depth != "15":
        return "Expecting depth=15"
    rates = {f"{ms}ms": ms for ms in RATES_MS[_IMAGES[kind]]}
    if rate not in rates:
        return INVALID
    if not ticks:
        return Channel(_IMAGES[kind], market, rates[rate])
    tick = _TICK.fullmatch(ticks[0])
    if tick is None:
        return INVALID
    text = f"{tick[1]}.{tick[2] or '0'}"
    return Channel(_IMAGES[kind], market, rates[rate], text)
