"""What a client said, as a topic in the venue's own words or the code of an error."""

from __future__ import annotations

from collections.abc import Container
from typing import NamedTuple

INVALID_JSON, INVALID_TYPE = 30000, 30001
NOT_SUBSCRIBED, ALREADY_SUBSCRIBED = 30002, 30003
INVALID_CHANNEL, NOT_SUPPORTED, INVALID_DATA = 30005, 30006, 30007
TOO_MANY_MESSAGES, TOO_MANY_SUBSCRIPTIONS = 30009, 23001

TEXTS = {
    INVALID_JSON: "Invalid Json",
    INVALID_TYPE: "Invalid Type",
    NOT_SUBSCRIBED: "Not Subscribed to : {}",
    ALREADY_SUBSCRIBED: "Already Subscribed to : {}",
    INVALID_CHANNEL: "Invalid Channel",
    NOT_SUPPORTED: "not supported",
    INVALID_DATA: "Invalid Data",
    TOO_MANY_MESSAGES: "Too Many Websocket Messages!",
    TOO_MANY_SUBSCRIPTIONS: "Too Many Subscriptions!",
}

BOOK, TICKER, TRADE, HEIGHT = "order_book", "ticker", "trade", "height"
STATS, SPOT_STATS = "market_stats", "spot_market_stats"
ALL = "all"
# What the venue has and the simulator does not: candles, quotes on request, accounts.
_UNSERVED = ("candle", "mark_price_candle", "rfq", "account", "user_stats")


class Topic(NamedTuple):
    """The key of a subscription; `place` is a market's id, `all` or nothing."""

    channel: str
    place: str = ""

    @property
    def colon_name(self) -> str:
        """The channel as frames name it; clients write a slash instead."""
        return f"{self.channel}:{self.place}" if self.place else self.channel


def topic_of(
    channel: object, perps: Container[str], spots: Container[str]
) -> Topic | int:
    """The topic a client named, or the code of what is wrong with it."""
    if not isinstance(channel, str):
        return INVALID_DATA
    kind, _, place = channel.partition("/")
    if kind == HEIGHT and channel == HEIGHT:
        return Topic(HEIGHT)
    if kind in (BOOK, TICKER, TRADE):
        is_known = place in perps or place in spots
    elif kind == STATS:
        is_known = place == ALL or place in perps
    elif kind == SPOT_STATS:
        is_known = place == ALL or place in spots
    else:
        return NOT_SUPPORTED if kind.startswith(_UNSERVED) else INVALID_CHANNEL
    return Topic(kind, place) if is_known else INVALID_CHANNEL
