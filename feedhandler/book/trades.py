"""Each trade once, and none of the past as live.

Venues repeat recent trades after a subscribe. Ids already seen are dropped, over all
sessions of the process and within a bounded memory; what is left and older than the
subscription is flagged as replayed. Ids need not be in order.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from feedhandler.events import FLAG_REPLAYED, TradeEvent

# Two replays of the venue with the longest (30 rows) leave room for a burst.
TRADE_IDS_MAX: Final = 2_048


class TradeFilter:
    """The memory of one symbol's trades; it outlives a session."""

    __slots__ = ("_ids", "_order", "_subscribed_wall_ns")

    def __init__(self) -> None:
        self._ids: set[int] = set()
        self._order: deque[int] = deque()
        self._subscribed_wall_ns = 0

    def subscribed(self, wall_ns: int) -> None:
        """Note that a new subscription was sent: what is older is history."""
        self._subscribed_wall_ns = wall_ns

    def admit(self, trade: TradeEvent) -> bool:
        """Flag a trade if it is history; return False when it was seen before.

        A trade without an id is always admitted.
        """
        if trade.event_ns < self._subscribed_wall_ns:
            trade.flags |= FLAG_REPLAYED
        trade_id = trade.trade_id
        if trade_id == 0:
            return True
        if trade_id in self._ids:
            return False
        if len(self._order) >= TRADE_IDS_MAX:
            self._ids.discard(self._order.popleft())
        self._ids.add(trade_id)
        self._order.append(trade_id)
        return True
