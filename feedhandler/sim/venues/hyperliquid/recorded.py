"""Recorded Hyperliquid frames as the state of a perp."""

from __future__ import annotations

from feedhandler.sim.ladder import Book, Level, decimal_units
from feedhandler.sim.truth import Top
from feedhandler.sim.venues._base import DATA, Frame, dump
from feedhandler.sim.venues.hyperliquid.listings import Json, Perp


def symbol_of(message: Json) -> str:
    """The symbol of a recorded frame; raises ValueError for a frame we cannot play."""
    channel = message.get("channel")
    if channel not in ("l2Book", "trades"):
        raise ValueError(f"only l2Book and trades can be replayed: channel={channel!r}")
    data = message.get("data")
    row = data[0] if channel == "trades" and isinstance(data, list) and data else data
    symbol = row.get("coin") if isinstance(row, dict) else None
    if not isinstance(symbol, str):
        raise ValueError(f"recorded frame has no coin: channel={channel!r}")
    return symbol


def check(message: Json, perp: Perp) -> None:
    """Raise ValueError if the frame is not what the venue sends for this perp."""
    try:
        if message["channel"] == "trades":
            _ = [row["time"] + 0 for row in message["data"]]
        else:
            apply(message, Perp(perp.listing, None))
    except (KeyError, IndexError, TypeError) as error:
        raise ValueError(f"recorded frame is malformed: {error!r}") from error


def shifted(message: Json, shift_ms: int) -> Json:
    """The frame with its times moved, and nothing else."""
    if not shift_ms:
        return message
    data = message["data"]
    if isinstance(data, list):
        data = [{**row, "time": row["time"] + shift_ms} for row in data]
    else:
        data = {**data, "time": data["time"] + shift_ms}
    return {**message, "data": data}


def apply(message: Json, perp: Perp) -> Frame:
    """Give the perp the recorded book or trades and return the frame to send."""
    channel, data = message["channel"], message["data"]
    if channel == "trades":
        perp.trades.extend(data)
        return Frame(dump(message), DATA, channel, perp.symbol)
    bids, asks = data["levels"]
    book = Book(_side(perp, bids), _side(perp, asks))
    perp.market_book = book
    if perp.asset is not None and book.bids and book.asks:
        # Contexts shall speak of the price that the recording shows.
        price = (book.bids[0].price + book.asks[0].price) / 2
        unit = 10**perp.grid.price_decimals * perp.listing.multiplier
        perp.asset.mid = price / unit
    bid, ask = (side[0] if side else {} for side in (bids, asks))
    top = Top(bid.get("px"), bid.get("sz"), ask.get("px"), ask.get("sz"), data["time"])
    perp.recorded_image = Frame(dump(message), DATA, channel, perp.symbol, top)
    return perp.recorded_image


def _side(perp: Perp, rows: list[Json]) -> tuple[Level, ...]:
    grid = perp.grid
    return tuple(
        Level(
            decimal_units(row["px"], grid.price_decimals),
            decimal_units(row["sz"], grid.size_decimals),
            row["n"],
        )
        for row in rows
    )
