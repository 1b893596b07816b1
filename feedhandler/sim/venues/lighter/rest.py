"""The answers of REST: discovery, orders, trades and funding, each in its envelope.

The single orders are made up from a level's size and count of orders, always the same
ones for the same level. They have no nonce: nothing joins them to the stream.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from random import Random

from feedhandler.sim.ladder import Level
from feedhandler.sim.venues._base import Response, dump
from feedhandler.sim.venues.lighter.fills import ORDERS_OF_MARKET, height_at
from feedhandler.sim.venues.lighter.listings import Instrument, Json, fixed
from feedhandler.sim.venues.lighter.markets import asset_rows, details_row, market_row
from feedhandler.sim.venues.lighter.stats import (
    HOUR_MS,
    RATE_DECIMALS,
    current_units,
    day,
    funding_units,
    number,
)

ORDERS_MAX, TRADES_MAX, FUNDINGS_MAX = 250, 100, 100
EVERY_MARKET = 255
PREFIX = "/api/v1"
# The funding of one coin is printed with more decimals than dollars have.
VALUE_DECIMALS = 8
MILLISECONDS_FROM = 10**11  # no client means a second so late
DAY_HOURS = 24
ORDER_LIFE_MS = 28 * 86_400_000

NOT_FOUND = 29404
INVALID_PARAMETER, INVALID_MARKET = 20001, 21602
INVALID_TIMES, INVALID_RESOLUTION = 22400, 22403
TOO_MANY = 23000


class RequestError(Exception):
    """A request that is answered with an error of the venue."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


def failure(code: int, text: str) -> Response:
    """The error envelope; the status is documented as 400, 429 is an assumption."""
    status = 429 if code == TOO_MANY else 400
    return Response(status, dump({"code": code, "message": text}))


class Rest:
    """One request's view of the venue."""

    def __init__(
        self,
        instruments: Mapping[int, Instrument],
        seed: int,
        now_ms: int,
        is_wrong_market: bool = False,
    ) -> None:
        self._instruments = instruments
        self._seed = seed
        self._now_ms = now_ms
        self._is_wrong_market = is_wrong_market
        self._query: Mapping[str, str] = {}

    def answer(self, path: str, query: Mapping[str, str]) -> Response:
        """The answer to GET; paths are known with and without the version in front."""
        self._query = query
        route = path.removeprefix(PREFIX).strip("/")
        if not route:
            seconds = self._now_ms // 1000
            status = {"status": 200, "network_id": 1, "timestamp": seconds}
            return Response(200, dump(status))
        work = self._routes().get(route)
        if work is None:
            return failure(NOT_FOUND, "not found")
        try:
            body = work()
        except RequestError as error:
            return failure(error.code, str(error))
        return Response(200, dump({"code": 200, **body}))

    def _routes(self) -> Mapping[str, Callable[[], Json]]:
        return {
            "orderBookDetails": self._order_book_details,
            "orderBooks": self._order_books,
            "orderBookOrders": self._order_book_orders,
            "recentTrades": self._recent_trades,
            "fundings": self._fundings,
            "funding-rates": self._funding_rates,
            "assetDetails": lambda: {"asset_details": asset_rows()},
            "exchangeStats": self._exchange_stats,
            "currentHeight": lambda: {"height": height_at(self._now_ms)},
        }

    # What was asked for.

    def _number(self, name: str, low: int, high: int, default: int | None) -> int:
        text = self._query.get(name)
        if text is None and default is not None:
            return default
        try:
            value = int(text or "")
        except ValueError:
            raise RequestError(INVALID_PARAMETER, f"invalid param : {name}") from None
        if not low <= value <= high:
            raise RequestError(INVALID_PARAMETER, f"invalid param : {name}")
        return value

    def _market(self) -> Instrument:
        instrument = None
        text = self._query.get("market_id", "")
        if text.isascii() and text.isdigit() and len(text) < 6:
            instrument = self._instruments.get(int(text))
        if instrument is None:
            raise RequestError(INVALID_MARKET, "invalid market index")
        return self._other(instrument) if self._is_wrong_market else instrument

    def _other(self, wanted: Instrument) -> Instrument:
        others = (one for one in self._instruments.values() if one is not wanted)
        return next(others)

    def _chosen(self) -> list[Instrument]:
        """The markets that a list is asked for."""
        wanted = self._query.get("filter", "all")
        if wanted not in ("all", "perp", "spot"):
            raise RequestError(INVALID_PARAMETER, "invalid param : filter")
        chosen = list(self._instruments.values())
        if self._query.get("market_id", str(EVERY_MARKET)) != str(EVERY_MARKET):
            chosen = [self._market()]
        return [one for one in chosen if wanted in ("all", one.listing.kind)]

    # Lists of markets.

    def _order_book_details(self) -> Json:
        chosen = self._chosen()
        rows = [details_row(one) for one in chosen if one.is_perp]
        spots = [details_row(one) for one in chosen if not one.is_perp]
        return {"order_book_details": rows, "spot_order_book_details": spots}

    def _order_books(self) -> Json:
        return {"order_books": [market_row(one) for one in self._chosen()]}

    def _exchange_stats(self) -> Json:
        rows: list[Json] = []
        for one in self._instruments.values():
            figures = day(one)
            del figures["daily_price_low"], figures["daily_price_high"]
            scale = 10**one.grid.price_decimals
            row = {
                "symbol": one.symbol,
                "last_trade_price": number(one.last_price / scale),
                "daily_trades_count": len(one.trades),
                **figures,
            }
            rows.append(row)
        return {
            "total": len(rows),
            "order_book_stats": rows,
            "daily_usd_volume": sum(row["daily_quote_token_volume"] for row in rows),
            "daily_trades_count": sum(row["daily_trades_count"] for row in rows),
        }

    # One market.

    def _order_book_orders(self) -> Json:
        instrument = self._market()
        limit = self._number("limit", 1, ORDERS_MAX, None)
        asks = self._orders(instrument, instrument.book.asks, limit, is_ask=True)
        bids = self._orders(instrument, instrument.book.bids, limit, is_ask=False)
        return {
            "total_asks": len(asks),
            "asks": asks,
            "total_bids": len(bids),
            "bids": bids,
        }

    def _orders(
        self,
        instrument: Instrument,
        levels: tuple[Level, ...],
        limit: int,
        is_ask: bool,
    ) -> list[Json]:
        first = ORDERS_OF_MARKET * (instrument.market_id % 255 + 1)
        rows: list[Json] = []
        for level in levels:
            random = Random(f"{self._seed}:{instrument.symbol}:{level}:{is_ask}")
            count = min(level.orders, level.size)
            cuts = sorted(random.sample(range(1, level.size), count - 1))
            edges = [0, *cuts, level.size]
            for begin, end in pairwise(edges):
                if len(rows) == limit:
                    return rows
                offset = random.randrange(1 << 31)
                index = first + (offset if is_ask else ORDERS_OF_MARKET - 1 - offset)
                size = instrument.size_text(end - begin)
                row = {
                    "order_index": index,
                    "order_id": str(index),
                    "owner_account_index": random.randrange(1_000, 800_000),
                    "initial_base_amount": size,
                    "remaining_base_amount": size,
                    "price": instrument.price_text(level.price),
                    "order_expiry": self._now_ms + ORDER_LIFE_MS,
                    "transaction_time": 0,
                }
                rows.append(row)
        return rows

    def _recent_trades(self) -> Json:
        instrument = self._market()
        limit = self._number("limit", 1, TRADES_MAX, None)
        return {"trades": list(reversed(instrument.trades))[:limit]}

    # Funding.

    def _fundings(self) -> Json:
        instrument = self._market()
        resolution = self._query.get("resolution", "")
        if resolution not in ("1h", "1d"):
            raise RequestError(INVALID_RESOLUTION, "invalid resolution")
        start_s, end_s = self._second("start_timestamp"), self._second("end_timestamp")
        if end_s <= start_s:
            raise RequestError(
                INVALID_TIMES,
                "invalid timestamps: end_timestamp must be greater than "
                "start_timestamp",
            )
        count = self._number("count_back", 0, 10**6, FUNDINGS_MAX)
        step = 1 if resolution == "1h" else DAY_HOURS
        step_s = step * HOUR_MS // 1000
        last = min(end_s, self._now_ms // 1000) // step_s
        first = max(-(-start_s // step_s), last - min(count, FUNDINGS_MAX) + 1)
        hours = [range(at * step, (at + 1) * step) for at in range(first, last + 1)]
        rows = [self._funding(instrument, of) for of in hours]
        return {"resolution": resolution, "fundings": rows}

    def _funding(self, instrument: Instrument, hours: range) -> Json:
        """The funding of some hours: what one coin paid, and the percent it was."""
        rate = sum(funding_units(self._seed, instrument, hour) for hour in hours)
        asset = instrument.asset
        price = instrument.units(asset.profile.price) if asset is not None else 0
        decimals = RATE_DECIMALS + 2 + instrument.grid.price_decimals
        value = round(abs(rate) * price * 10**VALUE_DECIMALS / 10**decimals)
        return {
            "timestamp": hours.start * HOUR_MS // 1000,
            "value": fixed(value, VALUE_DECIMALS),
            "rate": fixed(abs(rate), RATE_DECIMALS),
            "direction": "long" if rate >= 0 else "short",
        }

    def _second(self, name: str) -> int:
        """A time in seconds; clients give milliseconds too."""
        text = self._query.get(name, "")
        if not (text.isascii() and text.isdigit() and len(text) < 15):
            raise RequestError(INVALID_TIMES, f"invalid timestamps: {name}")
        value = int(text)
        return value // 1000 if value >= MILLISECONDS_FROM else value

    def _funding_rates(self) -> Json:
        """Rates of eight hours as fractions: of four venues, ours the last."""
        rows: list[Json] = []
        for one in self._instruments.values():
            if not one.is_perp or one.asset is None:
                continue
            # Ten-thousandths of a percent an hour are millionths.
            rate = number(current_units(one.asset.context()) * 8 / 1e6, 8)
            for exchange in ("binance", "bybit", "hyperliquid", "lighter"):
                row = {
                    "market_id": one.market_id,
                    "exchange": exchange,
                    "symbol": one.symbol,
                    "rate": rate if exchange == "lighter" else 0.0001,
                }
                rows.append(row)
        return {"funding_rates": rows}
