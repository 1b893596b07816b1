"""Whether a new top of book may replace the last one of its symbol, in one session.

                      good quote                       3 in a row, or for 500 ms
        ┌────────────────────────────────┐        ┌───────────────┐
        ▼                                │        │               ▼
      STEADY ──crossed: dropped──▶ CROSSED ───────┘            SYNCING
        ▲                                                         │
        └────────────────────── good quote ───────────────────────┘

Owns one symbol's last top and that state. Time is passed in. Tops are ordered by the
venue's sequence where it has one, else by its time. While SYNCING a new resync is asked
for at most once in a growing gap, so that a venue which sends only crossed books is not
stormed.
"""

from __future__ import annotations

from math import nan
from typing import Final

from feedhandler.book.continuity import APPLY, Rule
from feedhandler.book.continuity import DUPLICATE as SEEN
from feedhandler.events import (
    FLAG_LOCKED,
    FLAG_ONE_SIDED,
    FLAG_UNCHANGED,
    TIME_NONE,
    QuoteEvent,
)

CROSSED_COUNT_MAX: Final = 3
CROSSED_NS_MAX: Final = 500_000_000
RESYNC_GAP_NS: Final = 5_000_000_000
RESYNC_GAP_NS_MAX: Final = 60_000_000_000

# What became of a quote.
ACCEPTED: Final = 0
REGRESSED: Final = 1  # older than the last: dropped
CROSSED: Final = 2  # bid above ask: dropped
RESYNC: Final = 3  # crossed once too often: dropped, and the symbol must be resynced
DUPLICATE: Final = 4  # the last one again, by the venue's sequence: dropped
DOUBT: Final = 5  # as RESYNC, too soon after the last one: only told


class ResyncGap:
    """At most one resync in a gap that grows from 5 s to 60 s until a good one."""

    __slots__ = ("_allowed_ns", "_gap_ns")

    def __init__(self) -> None:
        self._allowed_ns = 0
        self._gap_ns = RESYNC_GAP_NS

    def take(self, now_ns: int) -> bool:
        """Tell whether a resync may begin now; if so, it has, and the gap grows."""
        if now_ns < self._allowed_ns:
            return False
        self._allowed_ns = now_ns + self._gap_ns
        self._gap_ns = min(2 * self._gap_ns, RESYNC_GAP_NS_MAX)
        return True

    def reset(self) -> None:
        """The resync was good: the next gap is a short one again."""
        self._gap_ns = RESYNC_GAP_NS


class TopOfBook:
    """The guard of one symbol in one session."""

    __slots__ = (
        "_ask",
        "_ask_size",
        "_bid",
        "_bid_size",
        "_crossed_count",
        "_crossed_since_ns",
        "_event_ns",
        "_order",
        "_gap",
        "is_seen",
        "is_syncing",
        "symbol",
    )

    def __init__(self, symbol: str, order: Rule | None = None) -> None:
        self.symbol = symbol
        self._order = order  # by the venue's sequence; None by the venue's time

        # State.
        self.is_seen = False  # a quote was accepted in this session
        self.is_syncing = False

        # The last accepted quote.
        self._event_ns = TIME_NONE
        self._bid = nan
        self._bid_size = nan
        self._ask = nan
        self._ask_size = nan

        # Crossed quotes since the last good one.
        self._crossed_count = 0
        self._crossed_since_ns = 0
        self._gap = ResyncGap()

    @property
    def is_crossed(self) -> bool:
        """Whether the newest quote of the symbol was dropped as crossed."""
        return self._crossed_count > 0

    def judge(self, quote: QuoteEvent, recv_ns: int) -> int:
        """Accept a quote and complete its flags, or say why it is dropped."""
        event_ns = quote.event_ns
        if self._order is not None:
            order = self._order.judge_snapshot(quote.venue_sequence)
            if order != APPLY:
                return DUPLICATE if order == SEEN else REGRESSED
        # A quote without a time cannot be older than one that has a time.
        elif event_ns < self._event_ns and event_ns != TIME_NONE:
            return REGRESSED
        bid = quote.bid
        ask = quote.ask
        if not bid < ask:
            if bid > ask:
                return self._judge_crossed(recv_ns)
            quote.flags |= FLAG_LOCKED if bid == ask else FLAG_ONE_SIDED
        if (
            bid == self._bid
            and ask == self._ask
            and quote.bid_size == self._bid_size
            and quote.ask_size == self._ask_size
        ) or (quote.flags & FLAG_ONE_SIDED and self._is_same(quote)):
            quote.flags |= FLAG_UNCHANGED
        else:
            self._bid = bid
            self._ask = ask
            self._bid_size = quote.bid_size
            self._ask_size = quote.ask_size
        if event_ns != TIME_NONE:
            self._event_ns = event_ns
        if self._crossed_count or self.is_syncing or not self.is_seen:
            self._settle(quote)
        return ACCEPTED

    def crossed_too_long(self, now_ns: int) -> bool:
        """Tell whether a crossed book must be resynced now although nothing arrived."""
        return (
            self._crossed_count > 0
            and now_ns - self._crossed_since_ns >= CROSSED_NS_MAX
            and self.may_resync(now_ns)
        )

    def restart(self) -> None:
        """Forget the order in time: the next image comes from a new subscription."""
        self._event_ns = TIME_NONE
        if self._order is not None:
            self._order.reset()

    def may_resync(self, now_ns: int) -> bool:
        """Tell whether a resync may begin now; if so, it has, and the gap grows."""
        if not self._gap.take(now_ns):
            return False
        self.is_syncing = True
        self._crossed_count = 0
        return True

    def _judge_crossed(self, recv_ns: int) -> int:
        if self._crossed_count == 0:
            self._crossed_since_ns = recv_ns
        self._crossed_count += 1
        is_over = (
            self._crossed_count >= CROSSED_COUNT_MAX
            or recv_ns - self._crossed_since_ns >= CROSSED_NS_MAX
        )
        if not is_over:
            return CROSSED
        was_syncing = self.is_syncing
        if self.may_resync(recv_ns):
            return RESYNC
        # Too soon for another resync, but no reason to believe what was shown.
        self.is_syncing = True
        return CROSSED if was_syncing else DOUBT

    def _settle(self, quote: QuoteEvent) -> None:
        # A quote that ends a doubt is news even if it shows the old prices.
        quote.flags &= ~FLAG_UNCHANGED
        self.is_seen = True
        self.is_syncing = False
        self._crossed_count = 0
        self._gap.reset()

    def _is_same(self, quote: QuoteEvent) -> bool:
        """Compare with the last quote, an absent value being equal to itself."""
        return all(
            new == old or (new != new and old != old)
            for new, old in (
                (quote.bid, self._bid),
                (quote.bid_size, self._bid_size),
                (quote.ask, self._ask),
                (quote.ask_size, self._ask_size),
            )
        )
