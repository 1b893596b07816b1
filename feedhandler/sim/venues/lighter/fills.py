"""The trades of a market, as rows that name both orders and both accounts."""

from __future__ import annotations

from random import Random

from feedhandler.sim.ladder import Level
from feedhandler.sim.market import Trade
from feedhandler.sim.venues._base import fills
from feedhandler.sim.venues.lighter.listings import (
    QUOTE_DECIMALS,
    Instrument,
    Json,
    fixed,
)

LIQUIDATION_SHARE = 0.02
ORDERS_OF_MARKET = 1 << 48  # order ids of a market begin here, bids count down
HASH_DIGITS = 80
# A block's time in the April 2026 recording: 26 451 of them in 3 143 s. Blocks count
# from 2020 here, so that their number is positive and fits 31 bits.
BLOCK_MS = 119
FIRST_BLOCK_MS = 1_577_836_800_000


def height_at(now_ms: int) -> int:
    """The number of the block of this time."""
    return (now_ms - FIRST_BLOCK_MS) // BLOCK_MS


class Fills:
    """Makes the rows of trades; ids and hashes are unique in the venue."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._trade_id = 18_240_999_000
        self._transaction = 0x11BD663000

    def add(self, instrument: Instrument, trade: Trade, time_us: int) -> list[Json]:
        """The rows of a trade against the book as it was before it, kept by it too."""
        found = fills(trade, instrument.book)
        if not found:
            return []
        is_liquidation = self._random.random() < LIQUIDATION_SHARE
        taker = self._random.randrange(1_000, 800_000)
        rows = []
        for fill in found:
            row = self._row(instrument, trade.buy, fill, time_us)
            row["bid_account_id" if trade.buy else "ask_account_id"] = taker
            if is_liquidation:
                row["type"] = "liquidation"
                row["taker_fee"] = 10_000
                row["taker_position_sign_changed"] = True
                row["taker_allocated_margin_usdc_before"] = 25_585_360
            rows.append(row)
        kept = instrument.liquidations if is_liquidation else instrument.trades
        kept.extend(rows)
        return rows

    def _row(
        self, instrument: Instrument, buy: bool, fill: Level, time_us: int
    ) -> Json:
        random, size = self._random, fill.size
        self._trade_id += 1
        self._transaction += 1
        block_ms = time_us // 1000 - random.randrange(6, 55)
        market_id = instrument.market_id
        # Spot markets, which begin at 2048, fold into the range of the perps.
        first = ORDERS_OF_MARKET * (market_id % 255 + 1)
        names: Json = {
            "ask_id": first + random.randrange(1 << 31),
            "bid_id": first + ORDERS_OF_MARKET - 1 - random.randrange(1 << 31),
            "ask_client_id": random.randrange(1 << 47),
            "bid_client_id": random.randrange(1 << 47),
        }
        texts = {f"{key}_str": str(value) for key, value in names.items()}
        quote = fixed(fill.price * size, QUOTE_DECIMALS)
        row: Json = {
            "trade_id": self._trade_id,
            "trade_id_str": str(self._trade_id),
            "tx_hash": f"{self._transaction:016x}{block_ms:016x}".ljust(
                HASH_DIGITS, "0"
            ),
            "type": "trade",
            "market_id": market_id,
            "size": instrument.size_text(size),
            "price": instrument.price_text(fill.price),
            "usd_amount": quote,
            **names,
            **texts,
            "ask_account_id": random.randrange(1_000, 800_000),
            "bid_account_id": random.randrange(1_000, 800_000),
            "is_maker_ask": buy,
            "block_height": height_at(block_ms),
            "timestamp": block_ms,
            "taker_position_size_before": instrument.size_text(2 * size),
            "taker_entry_quote_before": fixed(2 * fill.price * size, QUOTE_DECIMALS),
            "taker_initial_margin_fraction_before": 200,
            "maker_fee": 38,
            "maker_position_size_before": instrument.size_text(-50 * size),
            "maker_entry_quote_before": fixed(50 * fill.price * size, QUOTE_DECIMALS),
            "maker_initial_margin_fraction_before": 500,
            "transaction_time": time_us,
        }
        if random.random() < 0.2:
            row["taker_position_sign_changed"] = True
        return row
