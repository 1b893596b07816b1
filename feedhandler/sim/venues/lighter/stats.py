"""Funding, marks and the day's figures of one market.

Rates are percent of one hour; the funding of an hour is drawn from that hour alone, so
that the stream and REST tell the same past.
"""

from __future__ import annotations

from random import Random

from feedhandler.sim.market import Context
from feedhandler.sim.venues.lighter.listings import (
    QUOTE_DECIMALS,
    Instrument,
    Json,
    fixed,
)

HOUR_MS = 3_600_000
RATE_DECIMALS = 4
RATE_UNITS = 10_000  # of one percent
INTEREST_PERCENT = "0.0100"
NO_LIMIT = "72057594037927936.000000"


def number(value: float, decimals: int = 6) -> float | int:
    """A number as the venue prints it: whole ones without a point."""
    value = round(value, decimals)
    return int(value) if value.is_integer() else value


def funding_units(seed: int, instrument: Instrument, hour: int) -> int:
    """The rate of a past hour, in ten-thousandths of a percent."""
    if instrument.asset is None:
        return 0
    random = Random(f"{seed}:{instrument.symbol}:{hour}")
    return round((1.25e-3 + random.gauss(0.0, 1.5e-3)) * RATE_UNITS)


def current_units(context: Context) -> int:
    """The estimate of the running hour, in ten-thousandths of a percent."""
    return round(context.funding_per_hour * 100 * RATE_UNITS)


def middle(instrument: Instrument) -> int:
    """The middle of the book in units, or zero where it has no touch."""
    bids, asks = instrument.book
    return (bids[0].price + asks[0].price) // 2 if bids and asks else 0


def day(instrument: Instrument) -> Json:
    """What every list of markets tells of the last 24 hours."""
    scale = 10**instrument.grid.price_decimals
    if instrument.asset is None:
        volumes = ("daily_base_token_volume", "daily_quote_token_volume")
        prices = ("daily_price_low", "daily_price_high", "daily_price_change")
        return dict.fromkeys((*volumes, *prices), 0)
    context = instrument.asset.context()
    before = instrument.units(context.previous_day_price)
    price = middle(instrument) or instrument.units(context.mark)
    base = context.day_volume / context.mark / instrument.grid.multiplier
    return {
        "daily_base_token_volume": number(base, instrument.grid.size_decimals),
        "daily_quote_token_volume": number(context.day_volume),
        "daily_price_low": number(min(instrument.low, before, price) / scale),
        "daily_price_high": number(max(instrument.high, before, price) / scale),
        "daily_price_change": number((price / before - 1) * 100, 13),
    }


def market_row(instrument: Instrument, seed: int, now_ms: int) -> Json:
    """The `market_stats` of a perp."""
    if instrument.asset is None:
        mark = index = current = 0
        interest = 0.0
    else:
        context = instrument.asset.context()
        mark = instrument.units(context.mark)
        index = instrument.units(context.oracle)
        current = current_units(context)
        interest = context.open_interest * context.mark
    hour = now_ms // HOUR_MS
    price = instrument.price_text
    return {
        "symbol": instrument.symbol,
        "market_id": instrument.market_id,
        "index_price": price(index),
        "mark_price": price(mark),
        "mid_price": price(middle(instrument) or mark),
        # In dollars here and in coins by REST, as was seen in April 2026.
        "open_interest": fixed(round(interest * 10**QUOTE_DECIMALS), QUOTE_DECIMALS),
        "open_interest_limit": NO_LIMIT,
        "funding_clamp_small": "0.0500",
        "funding_clamp_big": "4.0000",
        "base_interest_rate": INTEREST_PERCENT,
        "last_trade_price": price(instrument.last_price),
        "current_funding_rate": fixed(current, RATE_DECIMALS),
        "funding_rate": fixed(funding_units(seed, instrument, hour), RATE_DECIMALS),
        # It was 0, 1 or 4 ms past the hour.
        "funding_timestamp": hour * HOUR_MS + hour % 5,
        **day(instrument),
    }


def spot_row(instrument: Instrument) -> Json:
    """The `spot_market_stats` of a spot market."""
    price = instrument.price_text
    return {
        "symbol": instrument.symbol,
        "market_id": instrument.market_id,
        "index_price": price(middle(instrument)),
        "mid_price": price(middle(instrument)),
        "last_trade_price": price(instrument.last_price),
        **day(instrument),
    }
