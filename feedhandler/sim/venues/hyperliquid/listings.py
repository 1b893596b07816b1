"""What the simulated Hyperliquid lists, and the state of one listed perp."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable
from typing import Any, NamedTuple

from feedhandler.sim.ladder import Book, Grid
from feedhandler.sim.limits import RECENT_TRADES
from feedhandler.sim.market import Asset
from feedhandler.sim.venues._base import Frame, Listed

Json = dict[str, Any]

PRICE_DECIMALS = 6  # less the size decimals of the market
PRICE_FIGURES = 5
PAST_BOOKS = 40  # how many changes the old snapshot of the fault is behind


class Listing(NamedTuple):
    """One perp; `asset` is empty for one that is delisted."""

    symbol: str
    asset: str
    size_decimals: int
    leverage: int
    multiplier: float = 1.0


# The order is the asset id; a delisted one keeps its place.
LISTINGS = (
    Listing("BTC", "BTC", 5, 40),
    Listing("ETH", "ETH", 4, 25),
    Listing("MATIC", "", 1, 20),
    Listing("SOL", "SOL", 2, 20),
    Listing("DOGE", "DOGE", 0, 10),
    Listing("kPEPE", "PEPE", 0, 10, 1000.0),
    Listing("XRP", "XRP", 0, 20),
    Listing("HYPE", "HYPE", 2, 10),
)


class Perp(Listed):
    """One listed perp: its grid, its books and what subscribers have of it."""

    def __init__(self, listing: Listing, asset: Asset | None) -> None:
        grid = Grid(
            price_decimals=PRICE_DECIMALS - listing.size_decimals,
            size_decimals=listing.size_decimals,
            multiplier=listing.multiplier,
            significant=PRICE_FIGURES,
        )
        super().__init__(listing.symbol, asset, grid)
        self.listing = listing
        # The venue's times of the last change of the touch, and of the last frame.
        self.changed_ms = 0
        self.told_ms = 0
        # Books that were, with their time, and whether REST tells the oldest now.
        self.past: deque[tuple[Book, int]] = deque(maxlen=PAST_BOOKS)
        self.is_rest_old = False
        self.trades: deque[Json] = deque(maxlen=RECENT_TRADES)
        # What was sent to all subscribers, to tell what is news to them.
        self.sent_touch: object = None
        self.sent_images: dict[Hashable, Book] = {}
        # Under replay the book comes from the recording.
        self.is_replayed = False
        self.recorded_image: Frame | None = None

    def follow_market(self) -> None:
        """Take the book of the market, unless the recording has the word."""
        if not self.is_replayed:
            super().follow_market()

    def told_by_rest(self, now_ms: int) -> tuple[Book, int]:
        """The book that REST tells, and the time it has."""
        if self.is_rest_old and self.past:
            return self.past[0]
        return self.book, self.changed_ms if self.is_replayed else now_ms


def meta() -> Json:
    """The answer to `meta`."""
    universe: list[Json] = []
    for listing in LISTINGS:
        row: Json = {
            "szDecimals": listing.size_decimals,
            "name": listing.symbol,
            "maxLeverage": listing.leverage,
            "marginTableId": listing.leverage,
        }
        if not listing.asset:
            row["isDelisted"] = True
        universe.append(row)
    tables = [
        [leverage, {"description": "", "marginTiers": _tiers(leverage)}]
        for leverage in sorted({listing.leverage for listing in LISTINGS})
    ]
    return {"universe": universe, "marginTables": tables, "collateralToken": 0}


def spot_meta() -> Json:
    """The answer to `spotMeta`: one pair that clients want to find; it never moves."""
    pair = {"tokens": [1, 0], "name": "PURR/USDC", "index": 0, "isCanonical": True}
    tokens = [
        _token(0, "USDC", 8, 8, "0x6d1e7cde53ba9467b783cb7c530ce054"),
        _token(1, "PURR", 0, 5, "0xc1fb593aeffbeb02f85e0308e9956a90"),
    ]
    return {"universe": [pair], "tokens": tokens}


def spot_contexts() -> list[Json]:
    context = {
        "prevDayPx": "0.20432",
        "dayNtlVlm": "8906.0",
        "markPx": "0.20925",
        "midPx": "0.209265",
        "circulatingSupply": "598274922.0",
        "coin": "PURR/USDC",
    }
    return [context]


def _tiers(leverage: int) -> list[Json]:
    return [{"lowerBound": "0.0", "maxLeverage": leverage}]


def _token(
    index: int, name: str, size_decimals: int, wei_decimals: int, token_id: str
) -> Json:
    return {
        "name": name,
        "szDecimals": size_decimals,
        "weiDecimals": wei_decimals,
        "index": index,
        "tokenId": token_id,
        "isCanonical": True,
        "evmContract": None,
        "fullName": None,
    }
