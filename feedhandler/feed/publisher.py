"""Events to records: the last step, and the only one that touches shared memory.

Owns the way from a symbol to its index and the numbers that are counted too often to be
counted one by one: they are added to their counters with each heartbeat. A price that
jumps gets its flag here, because every quote comes by, whatever it was made of.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from time import monotonic_ns

import shm_layout
from feedhandler import events
from feedhandler.codec import stamp
from feedhandler.events import (
    FLAG_OUTLIER,
    FLAG_UNCHANGED,
    DisputeEvent,
    Event,
    FundingEvent,
    QuoteEvent,
    SyncingEvent,
    TickEvent,
    TradeEvent,
)
from feedhandler.feed.counters import Counters
from feedhandler.feed.outliers import Outliers
from shm_layout import Writer
from shm_layout.schema import QUOTE

# An event's words are a record's words.
assert events.TIME_NONE == stamp.TIME_NONE == shm_layout.TIME_NONE
assert events.SIDE_NONE == shm_layout.SIDE_NONE
assert events.SIDE_BID == shm_layout.SIDE_BID
assert events.SIDE_ASK == shm_layout.SIDE_ASK
assert events.FLAG_UNCHANGED == shm_layout.FLAG_UNCHANGED
assert events.FLAG_ONE_SIDED == shm_layout.FLAG_ONE_SIDED
assert events.FLAG_SNAPSHOT == shm_layout.FLAG_SNAPSHOT
assert events.FLAG_SYNCING == shm_layout.FLAG_SYNCING
assert events.FLAG_LOCKED == shm_layout.FLAG_LOCKED
assert events.FLAG_REPLAYED == shm_layout.FLAG_REPLAYED
assert events.FLAG_DISPUTED == shm_layout.FLAG_DISPUTED
assert events.FLAG_OUTLIER == shm_layout.FLAG_OUTLIER


_QUOTE_FIELDS = [field.name for field in QUOTE.fields]
_PUBLISHED = TradeEvent | FundingEvent | TickEvent | SyncingEvent | DisputeEvent


class Publisher:
    """Publishes what a session lets through, under that session's number."""

    def __init__(
        self,
        writer: Writer,
        counters: Counters,
        *,
        outlier_bps: int = 0,
        publishes_funding: bool = True,
    ) -> None:
        self._writer = writer
        self._counters = counters
        instruments = writer.capacities.instruments
        self._outliers = Outliers(outlier_bps, instruments, counters.add)
        self._publishes_funding = publishes_funding
        self._judge = self._outliers.judge
        self._publish_quote = writer.publish_quote
        self._record = writer.record
        self._latency = writer.histogram("recv_to_publish")

        # Whom we publish for, and when the venue was last heard.
        self.indexes: dict[str, int] = {}
        self._session = 0
        self._heard_ns = 0
        self._take_over()

        # Not yet added to their counters.
        self._published = 0
        self._unchanged = 0

    def begin(self, session: int) -> None:
        """Publish under a session's number from now on."""
        self._session = session
        self._outliers.resume_all(monotonic_ns() - self._heard_ns)

    def set_indexes(self, indexes: Mapping[str, int]) -> None:
        """Replace the way from symbols to indexes."""
        self.indexes = dict(indexes)

    def publish(self, events: Sequence[Event], recv_ns: int) -> None:
        """Publish the events of one frame, which was received at `recv_ns`."""
        for event in events:
            if type(event) is QuoteEvent:
                index = self.indexes.get(event.symbol)
                if index is None:
                    self._counters.add("rejected.unsubscribed")
                    continue
                bid = event.bid
                ask = event.ask
                flags = self._judge(index, bid, ask, event.flags, recv_ns)
                self._publish_quote(
                    index,
                    flags,
                    self._session,
                    event.event_ns,
                    recv_ns,
                    event.venue_sequence,
                    bid,
                    event.bid_size,
                    ask,
                    event.ask_size,
                )
                self._published += 1
                if flags & FLAG_UNCHANGED:
                    self._unchanged += 1
            else:
                self._publish_other(event, recv_ns)
        self._heard_ns = recv_ns
        # Behind the ring, so no reader waits for it.
        self._record(self._latency, monotonic_ns() - recv_ns)

    def flush(self) -> None:
        """Add what was published since the last call to the counters."""
        if self._published:
            self._counters.add("published", self._published)
            self._published = 0
        if self._unchanged:
            self._counters.add("unchanged", self._unchanged)
            self._unchanged = 0

    def _take_over(self) -> None:
        """Know the steady prices that an earlier process published."""
        for index in range(len(self._writer.instruments())):
            record = self._writer.read_slot(index)
            if record is None:
                continue
            quote = dict(zip(_QUOTE_FIELDS, QUOTE.struct.unpack(record), strict=True))
            self._heard_ns = max(self._heard_ns, quote["recv_ns"])
            if not quote["flags"] & FLAG_OUTLIER:
                self._judge(index, quote["bid"], quote["ask"], 0, quote["recv_ns"])

    def _publish_other(self, event: Event, recv_ns: int) -> None:
        if not isinstance(event, _PUBLISHED):
            return
        index = self.indexes.get(event.symbol)
        if index is None:
            self._counters.add("rejected.unsubscribed")
        elif isinstance(event, TradeEvent):
            self._publish_trade(index, event, recv_ns)
        elif isinstance(event, FundingEvent):
            if not event.is_rest:
                self._writer.stamp_liveness(index, recv_ns)
            if self._publishes_funding:
                self._publish_funding(index, event, recv_ns)
        elif isinstance(event, TickEvent):
            self._writer.stamp_liveness(index, recv_ns)
        elif isinstance(event, DisputeEvent):
            self._writer.mark(index, events.FLAG_DISPUTED)
        else:
            self._outliers.resume(index)
            self._writer.mark(index, events.FLAG_SYNCING)

    def _publish_trade(self, index: int, trade: TradeEvent, recv_ns: int) -> None:
        self._writer.publish_trade(
            index,
            trade.flags,
            self._session,
            trade.event_ns,
            recv_ns,
            0,
            trade.price,
            trade.size,
            trade.aggressor,
            trade.trade_id,
        )
        self._published += 1

    def _publish_funding(self, index: int, funding: FundingEvent, recv_ns: int) -> None:
        self._writer.publish_funding(
            index,
            0,
            self._session,
            funding.event_ns,
            recv_ns,
            funding.rate_per_hour,
            funding.interval_ns,
            funding.next_funding_ns,
            funding.mark_price,
            funding.oracle_price,
            funding.mid_price,
            funding.open_interest,
            source=shm_layout.SOURCE_REST if funding.is_rest else 0,
        )
        self._published += 1
