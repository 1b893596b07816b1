"""What the simulated Paradex lists, and the state of one listed perp."""

from __future__ import annotations

from collections import deque
from typing import Any, NamedTuple

from feedhandler.sim.ladder import EMPTY, Book, Grid, decimal_text
from feedhandler.sim.market import Asset, Context
from feedhandler.sim.venues._base import Listed

Json = dict[str, Any]

RECENT_FILLS = 1000  # rows of the largest page of REST /trades
PAST_IMAGES = 40  # how many changes the old snapshot of the fault is behind
FUNDING_PAST_MS = 2 * 86_400_000  # how far back the history of funding goes
OPENED_MS = 1_693_526_400_000
PERIOD_S = 8 * 3600.0  # over which the premium accrues into the index once


class Listing(NamedTuple):
    """One perp; the rate that is quoted is that of `period_hours`."""

    symbol: str
    asset: str
    price_decimals: int
    size_decimals: int
    period_hours: int = 8
    multiplier: float = 1.0


# The first three have the ticks seen in 2026, the last the name such coins have there.
LISTINGS = (
    Listing("BTC-USD-PERP", "BTC", 1, 5),
    Listing("ETH-USD-PERP", "ETH", 2, 4),
    Listing("SOL-USD-PERP", "SOL", 3, 2),
    Listing("HYPE-USD-PERP", "HYPE", 3, 2, period_hours=1),
    Listing("XRP-USD-PERP", "XRP", 4, 1),
    Listing("DOGE-USD-PERP", "DOGE", 5, 0),
    Listing("kPEPE-USD-PERP", "PEPE", 6, 0, multiplier=1000.0),
)


class Fill(NamedTuple):
    """One row of the public trades; prices and sizes are units of the grid."""

    trade_id: str
    seq: int
    buy: bool
    price: int
    size: int
    time_ms: int
    is_liquidation: bool


class Image(NamedTuple):
    """A book as streams showed it at a sequence number."""

    seq: int
    book: Book
    changed_ms: int
    fault: str


class Perp(Listed):
    """One listed perp: its grid, its books, and the counter all its streams share.

    `shown` and `fault` are those of the touch's streams; those of the book have `told`.
    """

    asset: Asset  # everything that is listed here trades

    def __init__(self, listing: Listing, asset: Asset, seq: int, now_ms: int) -> None:
        grid = Grid(
            price_decimals=listing.price_decimals,
            size_decimals=listing.size_decimals,
            multiplier=listing.multiplier,
        )
        super().__init__(listing.symbol, asset, grid)
        self.opened_ms = now_ms - FUNDING_PAST_MS
        self.listing = listing
        self.told = Image(seq, EMPTY, 0, "")
        self.images: deque[Image] = deque(maxlen=PAST_IMAGES)
        self.gaps = 0  # deltas that are still to be lost
        self.is_losing = False  # while every second one is
        # What REST tells of the book, which is an old image under a fault.
        self.rest_image = self.told
        self.rest_symbol = self.symbol
        # Trades, newest last, and what accrues.
        self.fills: deque[Fill] = deque(maxlen=RECENT_FILLS)
        self.last_price = 0
        self.funding_index = asset.profile.price * 0.2

    @property
    def seq(self) -> int:
        return self.told.seq

    def context(self) -> Context:
        return self.asset.context()

    def dollars(self, price: float) -> float:
        """A price of one coin as the price of what is counted as one here."""
        return price * self.listing.multiplier

    def premium(self) -> float:
        """What a long position of one pays in eight hours, in dollars."""
        now = self.context()
        return 8 * now.funding_per_hour * self.dollars(now.mark)

    def accrue(self, passed_s: float) -> None:
        self.funding_index += self.premium() * passed_s / PERIOD_S


def plain(units: int, decimals: int) -> str:
    """Units as the venue's decimal text, which shows no needless zero."""
    return decimal_text(units, decimals).removesuffix(".0")


def market_rows() -> list[Json]:
    """The rows of GET /markets: a spot market, the perps and an option."""
    # ccxt 4.5.90 takes spot for a perp and keeps the last row of a name: perps follow.
    return [_spot_row(), *(_perp_row(listing) for listing in LISTINGS), _option_row()]


def _perp_row(listing: Listing) -> Json:
    base = listing.symbol.split("-")[0]
    return {
        "symbol": listing.symbol,
        "base_currency": base,
        "quote_currency": "USD",
        "settlement_currency": "USDC",
        "order_size_increment": plain(1, listing.size_decimals),
        "price_tick_size": plain(1, listing.price_decimals),
        "min_notional": "10",
        "open_at": OPENED_MS,
        "expiry_at": 0,
        "asset_kind": "PERP",
        "market_kind": "cross",
        "trading_mode": "STANDARD",
        "position_limit": "2000000",
        "price_bands_width": "0.05",
        "max_open_orders": 150,
        "max_funding_rate": "0.05",
        "delta1_cross_margin_params": {
            "imf_base": "0.02",
            "imf_shift": "0",
            "imf_factor": "0",
            "mmf_factor": "0.5",
        },
        "price_feed_id": "GVXRSBjFk6e6J3NbVPXohDJetcTjaeeuykUpbQF8UoMU",
        "oracle_ewma_factor": "0.20000046249626113",
        "max_order_size": "520000",
        "max_funding_rate_change": "0.0005",
        "max_tob_spread": "0.2",
        "interest_rate": "0.0001",
        "clamp_rate": "0.02",
        "funding_period_hours": listing.period_hours,
        "tags": [],
    }


def _spot_row() -> Json:
    return {
        "symbol": "ETH-USD",
        "base_currency": "ETH",
        "quote_currency": "USD",
        "settlement_currency": "USDC",
        "order_size_increment": "0.001",
        "price_tick_size": "0.01",
        "min_notional": "10",
        "open_at": OPENED_MS,
        "expiry_at": 0,
        "asset_kind": "SPOT",
        "market_kind": "cross",
        "trading_mode": "STANDARD",
        "tags": [],
    }


def _option_row() -> Json:
    # As recorded in 2025: an option's numbers arrive as text.
    return {
        "symbol": "BTC-USD-96000-C",
        "base_currency": "BTC",
        "quote_currency": "USD",
        "settlement_currency": "USDC",
        "order_size_increment": "0.001",
        "price_tick_size": "0.01",
        "min_notional": "100",
        "open_at": "1736764200000",
        "expiry_at": "0",
        "asset_kind": "PERP_OPTION",
        "market_kind": "cross",
        "trading_mode": "RFQ_ONLY",
        "position_limit": "10",
        "max_open_orders": "100",
        "max_funding_rate": "0.02",
        "price_feed_id": "GVXRSBjFk6e6J3NbVPXohDJetcTjaeeuykUpbQF8UoMU",
        "max_order_size": "2",
        "max_tob_spread": "0.2",
        "option_type": "CALL",
        "strike_price": "96000",
        "funding_period_hours": "24",
        "tags": [],
    }
