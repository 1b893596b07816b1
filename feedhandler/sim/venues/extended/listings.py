"""What the simulated Extended lists, and the state of one listed market."""

from __future__ import annotations

from collections import deque
from random import Random
from typing import Any, NamedTuple

from feedhandler.sim.ladder import EMPTY, Book, Grid, Level
from feedhandler.sim.market import Asset
from feedhandler.sim.venues._base import Listed

Json = dict[str, Any]

RECENT_TRADES = 50  # rows of the first TRADES frame in the recording of 2026-09
PAST_BOOKS = 40  # how many changes the old snapshot of the fault is behind
TICK_UNITS = 10  # a unit is a tenth of a tick: old levels lie off the new grid
RESTING = 40  # a side; far orders that never move
RESTING_BID, RESTING_BID_STEP = 0.8, 0.9  # of the price, and of the level before
RESTING_ASK, RESTING_ASK_STEP = 1.25, 1.1
OFF_GRID_EVERY = 7


class Listing(NamedTuple):
    """One market; `asset` is empty for one that is delisted.

    Ticks and lots are powers of ten. `scale` is the power in the name of the on-chain
    asset ("BTC-6" in the recording), not the lot.
    """

    symbol: str
    asset: str
    coin: str
    tick_decimals: int
    size_decimals: int
    minimum: str
    leverage: int
    kind: str
    scale: int
    multiplier: float = 1.0


LISTINGS = (
    Listing("BTC-USD", "BTC", "BTC", 0, 5, "0.0001", 50, "L1", 6),
    Listing("ETH-USD", "ETH", "ETH", 1, 3, "0.01", 50, "L1", 5),
    Listing("MATIC-USD", "", "MATIC", 4, 0, "10", 10, "L2", 3),
    Listing("SOL-USD", "SOL", "SOL", 2, 2, "0.1", 25, "L1", 4),
    Listing("DOGE-USD", "DOGE", "DOGE", 5, 0, "100", 20, "Meme", 3),
    Listing("1000PEPE-USD", "PEPE", "1000PEPE", 6, 0, "1000", 20, "Meme", 3, 1000.0),
    Listing("XRP-USD", "XRP", "XRP", 4, 0, "10", 25, "L1", 3),
    Listing("HYPE-USD", "HYPE", "HYPE", 3, 1, "1", 10, "L1", 4),
)


class Perp(Listed):
    """One listed market: its grid, its books and its trades."""

    def __init__(self, listing: Listing, asset: Asset | None, seed: int) -> None:
        grid = Grid(
            price_decimals=listing.tick_decimals + 1,
            size_decimals=listing.size_decimals,
            multiplier=listing.multiplier,
            tick_units=TICK_UNITS,
        )
        super().__init__(listing.symbol, asset, grid)
        self.listing = listing
        self.resting = EMPTY if asset is None else _resting(asset, grid, seed)
        self.past: deque[tuple[Book, int]] = deque(maxlen=PAST_BOOKS)  # with times
        self.trades: deque[Json] = deque(maxlen=RECENT_TRADES)

    def follow_market(self) -> None:
        """Take the book of the market, in front of the orders that never move."""
        super().follow_market()
        near, far = self.market_book, self.resting
        if self.asset is not None:
            self.market_book = Book(near.bids + far.bids, near.asks + far.asks)


def _resting(asset: Asset, grid: Grid, seed: int) -> Book:
    """Levels far from the price, some of them off the grid of today's tick.

    The recorded book went from a bid of 1 to asks above 100000; ticks had changed.
    """
    random = Random(f"{seed}:{asset.profile.asset}:resting")
    price = asset.profile.price * grid.multiplier * 10**grid.price_decimals
    bids: dict[int, Level] = {}
    asks: dict[int, Level] = {}
    for number in range(RESTING):
        odd = TICK_UNITS // 2 if number % OFF_GRID_EVERY == 0 else 0
        bid = grid.floor(price * RESTING_BID * RESTING_BID_STEP**number) + odd
        ask = grid.ceil(price * RESTING_ASK * RESTING_ASK_STEP**number) + odd
        for side, units in ((bids, bid), (asks, ask)):
            coins = asset.profile.size * random.lognormvariate(-1.0, 1.5)
            size = round(coins / grid.multiplier * 10**grid.size_decimals)
            if units > 0:
                side[units] = Level(units, max(1, size), 1)
    return Book(
        tuple(bids[units] for units in sorted(bids, reverse=True)),
        tuple(asks[units] for units in sorted(asks)),
    )
