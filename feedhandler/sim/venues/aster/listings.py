"""What the simulated Aster lists, and the text of its prices and sizes."""

from __future__ import annotations

from typing import Any, NamedTuple

from feedhandler.sim.ladder import Grid

Json = dict[str, Any]

TRADING = "TRADING"


class Listing(NamedTuple):
    """One perp; `asset` is empty for one that does not trade.

    The decimals are those of tick and lot. Prices are written with `price_places`
    decimals, which may be more: recorded prices end in zeros below the tick.
    """

    symbol: str
    asset: str
    price_decimals: int
    size_decimals: int
    price_places: int
    funding_hours: int = 8
    multiplier: float = 1.0
    status: str = TRADING

    @property
    def grid(self) -> Grid:
        return Grid(self.price_decimals, self.size_decimals, self.multiplier)

    def price_text(self, units: int) -> str:
        return fixed_text(units, self.price_decimals, self.price_places)

    def size_text(self, units: int) -> str:
        return fixed_text(units, self.size_decimals, self.size_decimals)


LISTINGS = (
    Listing("BTCUSDT", "BTC", 1, 3, 1),
    Listing("ETHUSDT", "ETH", 2, 3, 2),
    Listing("SOLUSDT", "SOL", 2, 2, 4),
    Listing("HYPEUSDT", "HYPE", 3, 2, 5, funding_hours=4),
    Listing("XRPUSDT", "XRP", 4, 1, 4),
    Listing("DOGEUSDT", "DOGE", 5, 0, 6, funding_hours=4),
    Listing("1000PEPEUSDT", "PEPE", 7, 0, 7, funding_hours=1, multiplier=1000.0),
    Listing("MATICUSDT", "", 4, 0, 4, status="SETTLING"),
    Listing("NEWUSDT", "", 4, 0, 4, status="PENDING_TRADING"),
)


def fixed_text(units: int, decimals: int, places: int) -> str:
    """Units as decimal text with exactly this many places, zeros included."""
    whole, part = divmod(abs(units), 10**decimals)
    fraction = f"{part:0{decimals}d}" if decimals else ""
    sign = "-" if units < 0 else ""
    return (
        f"{sign}{whole}.{fraction.ljust(places, '0')}" if places else f"{sign}{whole}"
    )


def number_text(value: float, places: int) -> str:
    """A number with this many places, and no negative zero."""
    return fixed_text(round(value * 10**places), places, places)


def exchange_info(now_ms: int, weight_max: int) -> Json:
    """The answer to `exchangeInfo`, in the documented shape."""
    return {
        "exchangeFilters": [],
        "rateLimits": [
            _rate_limit("REQUEST_WEIGHT", weight_max),
            _rate_limit("ORDERS", 1200),
        ],
        "serverTime": now_ms,
        "assets": [
            {"asset": "USDT", "marginAvailable": True, "autoAssetExchange": 0},
        ],
        "symbols": [_symbol(listing) for listing in LISTINGS],
        "timezone": "UTC",
    }


def spot_exchange_info(now_ms: int, weight_max: int) -> Json:
    """A spot market without pairs: clients that load both markets find the perps."""
    return {**exchange_info(now_ms, weight_max), "symbols": []}


def _rate_limit(kind: str, limit: int) -> Json:
    return {
        "interval": "MINUTE",
        "intervalNum": 1,
        "limit": limit,
        "rateLimitType": kind,
    }


def _symbol(listing: Listing) -> Json:
    return {
        "symbol": listing.symbol,
        "pair": listing.symbol,
        "contractType": "PERPETUAL",
        "deliveryDate": 4133404800000,
        "onboardDate": 1598252400000,
        "status": listing.status,
        "maintMarginPercent": "2.5000",
        "requiredMarginPercent": "5.0000",
        "baseAsset": listing.symbol.removesuffix("USDT"),
        "quoteAsset": "USDT",
        "marginAsset": "USDT",
        # Wider than tick and lot, as the documentation warns.
        "pricePrecision": listing.price_places,
        "quantityPrecision": listing.size_decimals,
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "underlyingType": "COIN",
        "underlyingSubType": ["Top"],
        "settlePlan": 0,
        "triggerProtect": "0.1500",
        "filters": _filters(listing),
        "OrderType": ["LIMIT", "MARKET"],
        "timeInForce": ["GTC", "IOC", "FOK", "GTX", "HIDDEN"],
        "liquidationFee": "0.010000",
        "marketTakeBound": "0.05",
    }


def _filters(listing: Listing) -> list[Json]:
    tick = fixed_text(1, listing.price_decimals, listing.price_decimals)
    lot = fixed_text(1, listing.size_decimals, listing.size_decimals)
    return [
        {
            "filterType": "PRICE_FILTER",
            "maxPrice": "10000000",
            "minPrice": tick,
            "tickSize": tick,
        },
        {
            "filterType": "LOT_SIZE",
            "maxQty": "10000000",
            "minQty": lot,
            "stepSize": lot,
        },
        {
            "filterType": "MARKET_LOT_SIZE",
            "maxQty": "590119",
            "minQty": lot,
            "stepSize": lot,
        },
        {"filterType": "MAX_NUM_ORDERS", "limit": 200},
        {"filterType": "MIN_NOTIONAL", "notional": "5"},
        {
            "filterType": "PERCENT_PRICE",
            "multiplierUp": "1.1500",
            "multiplierDown": "0.8500",
            "multiplierDecimal": 4,
        },
    ]
