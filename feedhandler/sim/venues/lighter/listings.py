"""What the simulated Lighter lists, and the state of one listed market."""

from __future__ import annotations

from collections import deque
from typing import Any, NamedTuple

from feedhandler.sim.ladder import Grid
from feedhandler.sim.market import Asset
from feedhandler.sim.venues._base import Listed
from feedhandler.sim.venues.lighter.books import UNTOUCHED, Image

Json = dict[str, Any]

PERP, SPOT = "perp", "spot"
TRADES_KEPT = 100  # the most that REST gives at once
IMAGES_KEPT = 40  # two seconds of the busiest market, for snapshots that are too old
QUOTE_DECIMALS = 6  # those of price and size together, on every market


class Name(NamedTuple):
    """How frames call a market; the wrong-symbol fault gives another."""

    market_id: int
    symbol: str


class Listing(NamedTuple):
    """One market; `asset` is empty for one that is not traded any more."""

    market_id: int
    symbol: str
    asset: str
    price_decimals: int
    multiplier: float = 1.0
    kind: str = PERP

    @property
    def size_decimals(self) -> int:
        return QUOTE_DECIMALS - self.price_decimals


# Ids and decimals of 0, 1 and 39 were recorded in 2026.
LISTINGS = (
    Listing(0, "ETH", "ETH", 2),
    Listing(1, "BTC", "BTC", 1),
    Listing(2, "SOL", "SOL", 3),
    Listing(3, "DOGE", "DOGE", 6),
    Listing(4, "1000PEPE", "PEPE", 6, 1000.0),
    Listing(7, "XRP", "XRP", 6),
    Listing(24, "HYPE", "HYPE", 4),
    Listing(39, "ADA", "", 5),
    Listing(2048, "ETH/USDC", "ETH", 2, kind=SPOT),
)
# Named by frames of the wrong-symbol fault: nobody has it in mind, it never trades.
STRANGER = Name(39, "ADA")


class Instrument(Listed):
    """One listed market: its books and what subscribers have of it."""

    def __init__(self, listing: Listing, asset: Asset | None) -> None:
        grid = Grid(
            price_decimals=listing.price_decimals,
            size_decimals=listing.size_decimals,
            multiplier=listing.multiplier,
        )
        super().__init__(listing.symbol, asset, grid)
        self.listing = listing
        self.name = Name(listing.market_id, listing.symbol)
        self.live: Image = UNTOUCHED  # what the ticker says, which a fault may falsify
        # The touch of the live book when it last changed.
        self.touch_nonce = 0
        self.touch_us = 0
        # The order book's stream: what subscribers have, and had.
        self.sent: Image = UNTOUCHED
        self.past: deque[Image] = deque(maxlen=IMAGES_KEPT)
        # The gap fault: what it shall lose, what it lost, and which one it was last.
        self.loses_next = False
        self.lost_last = False
        self.gap: object = None
        # Trades, oldest first.
        self.trades: deque[Json] = deque(maxlen=TRADES_KEPT)
        self.liquidations: deque[Json] = deque(maxlen=TRADES_KEPT)
        # The day's prices in units.
        self.low = 0
        self.high = 0

    @property
    def market_id(self) -> int:
        return self.listing.market_id

    @property
    def is_perp(self) -> bool:
        return self.listing.kind == PERP

    @property
    def last_price(self) -> int:
        """Price of the last trade in units, or zero."""
        return int(self.trades[-1]["price"].replace(".", "")) if self.trades else 0

    def loses_delta(self, is_gap_active: bool) -> bool:
        """True if this delta is lost: the next one, or every second for a while."""
        is_lost = not self.lost_last if is_gap_active else self.loses_next
        self.loses_next, self.lost_last = False, is_lost
        return is_lost

    def units(self, dollars: float) -> int:
        """A price of one coin on this market's grid."""
        scale: int = 10**self.grid.price_decimals
        return round(dollars * self.grid.multiplier * scale)

    def price_text(self, units: int) -> str:
        return fixed(units, self.grid.price_decimals)

    def size_text(self, units: int) -> str:
        return fixed(units, self.grid.size_decimals)


def fixed(units: int, decimals: int) -> str:
    """Units as decimal text with all decimals, as this venue always prints them."""
    sign = "-" if units < 0 else ""
    whole, part = divmod(abs(units), 10**decimals)
    return f"{sign}{whole}.{part:0{decimals}d}" if decimals else f"{sign}{whole}"
