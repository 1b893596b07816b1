"""The depth book of one symbol: levels in, the top of the book and a verdict out.

                 replace                   change, add
    UNSYNCED ────────────▶ good ◀────────────────────────┐
       ▲                    │ └──── SAME or MOVED ────────┘
     clear                  │
       │                    ▼
       └─────────────── CROSSED, EMPTIED, CHECKSUM, OVERFLOW: only `replace` heals

Owns what a book must be to be believed. Whether a step may be applied at all is the
business of `continuity`; what is published, of the caller. A book with a fault shows no
top (NaN) and takes no changes, so that nothing of it can be published by mistake.

A book locked at one price is good. A side that was never there is good too; one that a
change has emptied is not: the levels below it were lost somewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import nan
from typing import Final

from feedhandler.book.levels import Level, Levels, SignedLevel

# What became of the book; what is not below `UNSYNCED` is a fault.
SAME: Final = 0  # good, and its top is what it was
MOVED: Final = 1  # good, and a price or size at the top is another
UNSYNCED: Final = 2  # there was no image yet, or none since `clear`
CROSSED: Final = 3
EMPTIED: Final = 4  # a change removed the last level of a side
CHECKSUM: Final = 5  # a signed change contradicts the size it leads to
OVERFLOW: Final = 6  # a side is deeper than `LEVELS_MAX`

# For the counters of what made a resync necessary.
FAULT_NAMES: Final = {
    UNSYNCED: "unsynced",
    CROSSED: "crossed",
    EMPTIED: "emptied",
    CHECKSUM: "checksum",
    OVERFLOW: "overflow",
}


class Book:
    """One symbol's book. `bid`, `bid_size`, `ask` and `ask_size` are its top.

    An absent side is NaN. Levels may come in any order. The counts grow for ever.
    """

    __slots__ = (
        "_asks",
        "_bids",
        "_removed_before",
        "ask",
        "ask_size",
        "bid",
        "bid_size",
        "duplicates",
        "fault",
        "unsorted",
    )

    def __init__(self) -> None:
        # The levels and their state: 0, or the fault that only an image can heal.
        self._bids = Levels(is_bid=True)
        self._asks = Levels(is_bid=False)
        self.fault = UNSYNCED

        # The top of a good book.
        self.bid = nan
        self.bid_size = nan
        self.ask = nan
        self.ask_size = nan

        # What was odd and tolerated.
        self.duplicates = 0  # prices that an image named twice: its last word counts
        self.unsorted = 0  # sides of an image whose first level was not the best
        self._removed_before = 0  # absent levels removed from sides since replaced

    @property
    def is_locked(self) -> bool:
        """Whether the best bid and ask are one price."""
        return self.bid == self.ask

    @property
    def absent_removals(self) -> int:
        """How many levels were removed that were not held; normal on some venues."""
        return (
            self._removed_before
            + self._bids.absent_removals
            + self._asks.absent_removals
        )

    @property
    def depth(self) -> tuple[int, int]:
        """How many levels each side holds, bids first; counts them."""
        return len(self._bids), len(self._asks)

    def replace(self, bids: Sequence[Level], asks: Sequence[Level]) -> int:
        """Take over a whole image; nothing of the book before it remains."""
        new_bids = Levels(bids, is_bid=True)
        new_asks = Levels(asks, is_bid=False)
        self._removed_before = self.absent_removals
        self._bids = new_bids
        self._asks = new_asks
        self.duplicates += new_bids.duplicates + new_asks.duplicates
        self.unsorted += new_bids.is_unsorted + new_asks.is_unsorted
        return self._settle(is_change=False)

    def change(self, bids: Sequence[Level], asks: Sequence[Level]) -> int:
        """Set absolute sizes, 0 removing a level; a book with a fault ignores it."""
        if self.fault:
            return self.fault
        # Should anything raise half-way, the half is never taken for a book.
        self.fault = UNSYNCED
        if bids:
            self._bids.change(bids)
        if asks:
            self._asks.change(asks)
        return self._settle(is_change=True)

    def add(self, bids: Sequence[SignedLevel], asks: Sequence[SignedLevel]) -> int:
        """Apply signed changes and check the sizes they lead to, as `change` does."""
        if self.fault:
            return self.fault
        self.fault = UNSYNCED
        self._bids.add(bids)
        self._asks.add(asks)
        if self._bids.mismatches or self._asks.mismatches:
            return self._fail(CHECKSUM)
        return self._settle(is_change=True)

    def holds(self, bids: Sequence[Level], asks: Sequence[Level]) -> bool:
        """Tell whether every level is held as given, 0 meaning that it is not.

        The last change said again must be held; if it is not, the two contradict.
        """
        return self._bids.holds(bids) and self._asks.holds(asks)

    def clear(self) -> None:
        """Forget every level: what is held is in doubt until the next image."""
        self.replace((), ())
        self._fail(UNSYNCED)

    def bids(self) -> list[Level]:
        """Return every bid, the highest first, also of a book with a fault; sorts."""
        return self._bids.ranked()

    def asks(self) -> list[Level]:
        """Return every ask, the lowest first, also of a book with a fault; sorts."""
        return self._asks.ranked()

    def _settle(self, *, is_change: bool) -> int:
        """Take over the new top if it is good, and say what it is."""
        bids = self._bids
        asks = self._asks
        bid = bids.best
        ask = asks.best
        is_plain = bid < ask and not (bids.is_overfull or asks.is_overfull)
        fault = 0 if is_plain else self._find_fault(is_change)
        if fault:
            return self._fail(fault)
        self.fault = 0
        if _is_same(bids, self.bid, self.bid_size):
            if _is_same(asks, self.ask, self.ask_size):
                return SAME
        self.bid = bid
        self.bid_size = bids.best_size
        self.ask = ask
        self.ask_size = asks.best_size
        return MOVED

    def _find_fault(self, is_change: bool) -> int:
        """Compare the sides with each other and with the top before, still there."""
        bids = self._bids
        asks = self._asks
        if bids.best > asks.best:
            return CROSSED
        if bids.is_overfull or asks.is_overfull:
            return OVERFLOW
        had_bid = self.bid == self.bid
        had_ask = self.ask == self.ask
        if is_change and ((had_bid and not bids) or (had_ask and not asks)):
            return EMPTIED
        return 0

    def _fail(self, fault: int) -> int:
        """Show no top."""
        self.fault = fault
        self.bid = self.bid_size = self.ask = self.ask_size = nan
        return fault


def _is_same(side: Levels, price: float, size: float) -> bool:
    """Compare a side with the top it had, an absent one being equal to itself."""
    best = side.best
    if best == price:
        return side.best_size == size
    return best != best and price != price
