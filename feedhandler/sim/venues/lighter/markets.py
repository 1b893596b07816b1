"""The rows that tell a client what is listed, in two lengths."""

from __future__ import annotations

from feedhandler.sim.venues.lighter.listings import (
    QUOTE_DECIMALS,
    Instrument,
    Json,
)
from feedhandler.sim.venues.lighter.stats import day, number

# Assets that can be held; ccxt asks for them before it asks for the markets.
_ASSETS = ((1, "ETH", 18, 8, "3400.000000"), (3, "USDC", 6, 6, "1.000000"))


def asset_rows() -> list[Json]:
    """The rows of `assetDetails`, in the shape that ccxt quotes."""
    return [
        {
            "asset_id": asset_id,
            "symbol": symbol,
            "l1_decimals": chain_decimals,
            "decimals": decimals,
            "min_transfer_amount": "1.000000",
            "min_withdrawal_amount": "1.000000",
            "margin_mode": "enabled" if symbol == "USDC" else "disabled",
            "index_price": price,
            "l1_address": f"0x{asset_id:040x}",
        }
        for asset_id, symbol, chain_decimals, decimals, price in _ASSETS
    ]


def market_row(instrument: Instrument) -> Json:
    """The row of `orderBooks`; details repeat it and add to it."""
    grid = instrument.grid
    smallest = 10.0 / instrument.asset.profile.price if instrument.asset else 10.0
    lots = max(1, round(smallest / grid.multiplier * 10**grid.size_decimals))
    assets = (0, 0) if instrument.is_perp else (1, 3)
    return {
        "symbol": instrument.symbol,
        "market_id": instrument.market_id,
        "market_type": instrument.listing.kind,
        "base_asset_id": assets[0],
        "quote_asset_id": assets[1],
        "status": "active" if instrument.asset else "inactive",
        "taker_fee": "0.0000",
        "is_taker_fee_enabled": True,
        "maker_fee": "0.0000",
        "is_maker_fee_enabled": True,
        "liquidation_fee": "1.0000",
        "min_base_amount": instrument.size_text(lots),
        "min_quote_amount": "10.000000",
        "order_quote_limit": "281474976.710655",
        "supported_size_decimals": grid.size_decimals,
        "supported_price_decimals": grid.price_decimals,
        "supported_quote_decimals": QUOTE_DECIMALS,
    }


def details_row(instrument: Instrument) -> Json:
    """The row of `orderBookDetails`; that of a spot market has no margins."""
    grid = instrument.grid
    basics = {
        **market_row(instrument),
        "size_decimals": grid.size_decimals,
        "price_decimals": grid.price_decimals,
    }
    figures = {
        "last_trade_price": number(instrument.last_price / 10**grid.price_decimals),
        "daily_trades_count": len(instrument.trades),
        **day(instrument),
    }
    if not instrument.is_perp:
        return {**basics, **figures, "daily_chart": {}}
    return {
        **basics,
        "quote_multiplier": 1,
        "default_initial_margin_fraction": 500,
        "min_initial_margin_fraction": 200,
        "maintenance_margin_fraction": 120,
        "closeout_margin_fraction": 80,
        **figures,
        "open_interest": number(_interest(instrument) / 10**grid.size_decimals),
        "daily_chart": {},
        "market_config": _market_config(),
        "strategy_index": 2,
    }


def _interest(instrument: Instrument) -> int:
    """Open interest in lots; by REST it is told in coins."""
    if instrument.asset is None:
        return 0
    coins = instrument.asset.context().open_interest / instrument.grid.multiplier
    lots: int = 10**instrument.grid.size_decimals
    return round(coins * lots)


def _market_config() -> Json:
    return {
        "market_margin_mode": 0,
        "insurance_fund_account_index": 281474976710655,
        "liquidation_mode": 0,
        "force_reduce_only": False,
        "trading_hours": "",
        "funding_fee_discounts_enabled": False,
        "hidden": False,
        "rfq_enabled": True,
    }
