"""One listed perp: its book, the update ids of its changes, and its recent past."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from random import Random
from typing import NamedTuple

from feedhandler.sim.ladder import Book, Level
from feedhandler.sim.market import Asset, Trade
from feedhandler.sim.venues._base import Listed, fills
from feedhandler.sim.venues.aster.listings import Listing
from feedhandler.sim.venues.aster.tape import INSURANCE_FUND, Print, Tape

LIQUIDATION_SHARE = 0.02  # of the trades
PAST_MAX = 256  # books that an old snapshot may show, some 30 s in a normal market


class Change(NamedTuple):
    """One step of the book; sizes by price are absolute, 0 where the level went."""

    previous_id: int
    first_id: int
    last_id: int
    bids: dict[int, int]
    asks: dict[int, int]


class Snapshot(NamedTuple):
    """A book with the update that made it."""

    book: Book
    update_id: int
    time_ms: int
    seen_s: float  # monotonic


class Perp(Listed):
    """One listed perp."""

    def __init__(self, listing: Listing, asset: Asset | None, first_trade: int) -> None:
        super().__init__(listing.symbol, asset, listing.grid)
        self.listing = listing
        self.tape = Tape(first_trade)
        # The last update of `shown`.
        self.update_id = 0
        self.changed_ms = 0  # the matching engine's time of it
        self.past: deque[Snapshot] = deque(maxlen=PAST_MAX)
        self.liquidated_ms = 0  # when the last liquidation was told

    @property
    def is_funded(self) -> bool:
        return self.asset is not None

    def compare(self, shown: Book) -> tuple[dict[int, int], dict[int, int]]:
        """What changes, by side, when the streams show this book next."""
        return (
            changed(self.shown.bids, shown.bids),
            changed(self.shown.asks, shown.asks),
        )

    def fill(self, trade: Trade, time_ms: int, random: Random) -> list[Print]:
        """Enter a trade against the book as it was before it."""
        found = fills(trade, self.book)
        if not found:
            return []
        price, sizes = found[0].price, [fill.size for fill in found]
        prints = self.tape.add(price, sizes, time_ms, not trade.buy)
        if random.random() < LIQUIDATION_SHARE:
            # The insurance fund takes over a position: told, but no market trade.
            taken = price, sizes[0], time_ms, not trade.buy
            prints.append(self.tape.single(*taken, INSURANCE_FUND))
        return prints

    def snapshot(self, now_s: float, age_s: float = 0.0) -> Snapshot:
        """The book of now, or the newest known that is so old, or else the oldest."""
        now = Snapshot(self.book, self.update_id, self.changed_ms, now_s)
        if not age_s:
            return now
        old = [past for past in self.past if past.seen_s <= now_s - age_s]
        return (old or [*self.past, now][:1])[-1]


def changed(old: Iterable[Level], new: Iterable[Level]) -> dict[int, int]:
    """Sizes of the levels that differ, and 0 for those that are gone."""
    before = {level.price: level.size for level in old}
    after = {level.price: level.size for level in new}
    gone = {price: 0 for price in before if price not in after}
    different = {
        price: size for price, size in after.items() if before.get(price) != size
    }
    return {**gone, **different}
