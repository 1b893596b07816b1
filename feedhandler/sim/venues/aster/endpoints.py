"""The answers of REST, under /fapi/v1 and /fapi/v3 alike, with their weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random
from typing import Any

from feedhandler.sim.faults import FaultBoard
from feedhandler.sim.truth import Top
from feedhandler.sim.venues._base import Request, Response, dump
from feedhandler.sim.venues.aster import render
from feedhandler.sim.venues.aster.listings import (
    Json,
    exchange_info,
    number_text,
    spot_exchange_info,
)
from feedhandler.sim.venues.aster.meter import Meter, Refusal
from feedhandler.sim.venues.aster.perp import Perp
from feedhandler.sim.venues.aster.render import HOUR_MS
from feedhandler.sim.venues.aster.tamper import other_symbol

PREFIXES = ("/fapi/v3/", "/fapi/v1/")
SPOT_INFO = "/api/v3/exchangeInfo"
DEPTH_WEIGHTS = {5: 2, 10: 2, 20: 2, 50: 2, 100: 5, 500: 10, 1000: 20}
ROWS_MAX = 1000
OLD_S = 5.0  # age of a snapshot under that fault
INTEREST_RATE = "0.00010000"

_Query = Mapping[str, str]


class _Wrong(Exception):
    """A request that the venue refuses with one of its codes."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.body = {"code": code, "msg": message}


_BAD_SYMBOL = -1121, "Invalid symbol."
_WEIGHTY = {"ticker/24hr": (1, 40), "ticker/bookTicker": (1, 2), "aggTrades": (20, 20)}


class Endpoints:
    """Answers requests from the perps, and charges their weight."""

    def __init__(
        self,
        perps: Mapping[str, Perp],
        seed: int,
        meter: Meter,
        board: FaultBoard,
    ) -> None:
        self._board = board
        self._perps = perps
        self._seed = seed
        self._meter = meter
        self._handlers: dict[str, Callable[[_Query, int, float], Any]] = {
            "ping": lambda query, now_ms, now_s: {},
            "time": lambda query, now_ms, now_s: {"serverTime": now_ms},
            "exchangeInfo": self._info,
            "depth": self._depth,
            "trades": self._trades,
            "aggTrades": self._aggregates,
            "ticker/bookTicker": self._quotes,
            "ticker/24hr": self._days,
            "premiumIndex": self._marks,
            "fundingRate": self._settled,
            "fundingInfo": self._intervals,
            "openInterest": self._open_interest,
        }

    def answer(self, request: Request, now_ms: int, now_s: float) -> Response:
        """The answer to one request."""
        name = _name(request.path)
        if request.path == SPOT_INFO:
            info = spot_exchange_info(now_ms, self._meter.weight_max)
            return Response(200, dump(info))
        handler = self._handlers.get(name)
        if handler is None:
            return Response(404, "<html>404 Not Found</html>", "text/html")
        if request.method != "GET":
            return Response(405, "", "text/plain")
        refusal = self._meter.charge(_weight(name, request.query), now_s)
        headers = {"X-MBX-USED-WEIGHT-1M": str(self._meter.used)}
        if refusal is not None:
            return self._refused(refusal, headers, now_ms)
        try:
            result = handler(request.query, now_ms, now_s)
        except _Wrong as wrong:
            return _told(400, wrong.body, headers)
        return _told(200, result, headers)

    def top(self, request: Request, now_s: float) -> tuple[str, Top] | None:
        """Symbol and top of the book that a request was answered with just now."""
        name = _name(request.path)
        if name not in ("depth", "ticker/bookTicker") or not request.query.get(
            "symbol"
        ):
            return None
        is_whole = name == "depth"
        perp = (self._named if is_whole else self._said)(request.query)
        age_s = self._age_s(perp) if is_whole else 0.0
        book, update_id, time_ms, _ = perp.snapshot(now_s, age_s)
        top = render.top_of(perp, time_ms, book)
        fault = "old_snapshot" if age_s else ""
        return perp.symbol, top._replace(fault=fault, sequence=update_id)

    def _age_s(self, perp: Perp) -> float:
        return OLD_S if self._board.find("old_snapshot", "depth", perp.symbol) else 0.0

    def _refused(
        self, refusal: Refusal, headers: dict[str, str], now_ms: int
    ) -> Response:
        if refusal.status == 429:
            text = (
                f"Too many requests; current limit is {self._meter.weight_max} requests"
                " per minute. Please use the websocket for live updates to avoid"
                " polling the API."
            )
        else:
            text = (
                f"Way too many requests; IP banned until"
                f" {now_ms + 1000 * refusal.retry_s}. Please use the websocket for live"
                " updates to avoid bans."
            )
        headers["Retry-After"] = str(refusal.retry_s)
        return _told(refusal.status, {"code": -1003, "msg": text}, headers)

    # Handlers.

    def _info(self, query: _Query, now_ms: int, now_s: float) -> Json:
        return exchange_info(now_ms, self._meter.weight_max)

    def _depth(self, query: _Query, now_ms: int, now_s: float) -> Json:
        perp = self._named(query)
        limit = _integer(query, "limit", 500)
        if limit not in DEPTH_WEIGHTS:
            raise _Wrong(-4021, f"{limit} is not valid depth limit.")
        book, update_id, time_ms, _ = perp.snapshot(now_s, self._age_s(perp))
        bids, asks = (
            [(level.price, level.size) for level in side[:limit]] for side in book
        )
        return {
            "lastUpdateId": update_id,
            "E": now_ms,
            "T": time_ms,
            "bids": render.rows(perp, bids),
            "asks": render.rows(perp, asks),
        }

    def _trades(self, query: _Query, now_ms: int, now_s: float) -> list[Json]:
        perp = self._named(query)
        listing = perp.listing
        decimals = listing.price_decimals + listing.size_decimals
        return [
            {
                "id": row.trade_id,
                "price": listing.price_text(row.price),
                "qty": listing.size_text(row.size),
                "quoteQty": number_text(row.price * row.size / 10**decimals, 2),
                "time": row.time_ms,
                "isBuyerMaker": row.buyer_is_maker,
            }
            for row in list(perp.tape.prints)[-_limit(query, 500) :]
        ]

    def _aggregates(self, query: _Query, now_ms: int, now_s: float) -> list[Json]:
        perp = self._named(query)
        rows = []
        for row in list(perp.tape.aggregates)[-_limit(query, 500) :]:
            told = render.aggregate(perp, row, now_ms)
            rows.append({key: told[key] for key in ("a", "p", "q", "f", "l", "T", "m")})
        return rows

    def _quotes(self, query: _Query, now_ms: int, now_s: float) -> Any:
        def row(perp: Perp) -> Json:
            sides = ((side[0] if side else None) for side in perp.book)
            bid, ask = (
                (level.price, level.size) if level else (0, 0) for level in sides
            )
            (bid_text, bid_size), (ask_text, ask_size) = render.rows(perp, (bid, ask))
            return {
                "symbol": perp.symbol,
                "bidPrice": bid_text,
                "bidQty": bid_size,
                "askPrice": ask_text,
                "askQty": ask_size,
                "time": perp.changed_ms,
                "lastUpdateId": perp.update_id,
            }

        return self._each(query, row)

    def _days(self, query: _Query, now_ms: int, now_s: float) -> Any:
        return self._each(query, lambda perp: render.day_figures(perp, now_ms))

    def _marks(self, query: _Query, now_ms: int, now_s: float) -> Any:
        def row(perp: Perp) -> Json:
            mark, index, settle = render.mark_prices(perp)
            rate, next_ms = render.funding(perp, now_ms)
            return {
                "symbol": perp.symbol,
                "markPrice": mark,
                "indexPrice": index,
                "estimatedSettlePrice": settle,
                "lastFundingRate": rate,
                "interestRate": INTEREST_RATE,
                "nextFundingTime": next_ms,
                "time": now_ms,
            }

        return self._each(query, row)

    def _settled(self, query: _Query, now_ms: int, now_s: float) -> list[Json]:
        """Past rates, oldest first: the first ones of the window, or the latest."""
        perps = [self._said(query)] if query.get("symbol") else self._perps.values()
        start_ms = _integer(query, "startTime", 0)
        end_ms = min(_integer(query, "endTime", now_ms), now_ms)
        limit = _limit(query, 100)
        rows: list[Json] = []
        for perp in perps:
            if not perp.is_funded:
                continue
            step_ms = perp.listing.funding_hours * HOUR_MS
            last = end_ms // step_ms
            first = -(-start_ms // step_ms) if start_ms > 0 else last - limit + 1
            for slot in range(first, last + 1)[:limit]:
                # Each has its own randomness, so that every request sees one past.
                random = Random(f"{self._seed}:{perp.symbol}:{slot}")
                rate = random.gauss(1.0e-4, 5.0e-5)
                row = {
                    "symbol": perp.symbol,
                    "fundingTime": slot * step_ms,
                    "fundingRate": number_text(rate, 8),
                }
                rows.append(row)
        rows.sort(key=lambda row: int(row["fundingTime"]))
        return rows[:limit] if start_ms > 0 else rows[-limit:]

    def _intervals(self, query: _Query, now_ms: int, now_s: float) -> list[Json]:
        perps = [self._said(query)] if query.get("symbol") else self._perps.values()
        return [
            {
                "symbol": perp.symbol,
                "interestRate": INTEREST_RATE,
                "time": now_ms,
                "fundingIntervalHours": perp.listing.funding_hours,
                "fundingFeeCap": 0.03,
                "fundingFeeFloor": -0.03,
            }
            for perp in perps
            if perp.is_funded
        ]

    def _open_interest(self, query: _Query, now_ms: int, now_s: float) -> Json:
        perp = self._said(query)
        coins = perp.asset.context().open_interest if perp.asset else 0.0
        contracts = coins / perp.listing.multiplier
        text = number_text(contracts, perp.listing.size_decimals)
        return {"symbol": perp.symbol, "openInterest": text, "time": now_ms}

    # Which perp is meant.

    def _each(self, query: _Query, row: Callable[[Perp], Json]) -> Any:
        """One row for the symbol that is named, or a list for all."""
        if query.get("symbol"):
            return row(self._said(query))
        return [row(perp) for perp in self._perps.values()]

    def _named(self, query: _Query) -> Perp:
        symbol = query.get("symbol", "")
        if not symbol:
            raise _Wrong(
                -1102,
                "Mandatory parameter 'symbol' was not sent, was empty/null, or"
                " malformed.",
            )
        perp = self._perps.get(symbol.upper())
        if perp is None:
            raise _Wrong(*_BAD_SYMBOL)
        return perp

    def _said(self, query: _Query) -> Perp:
        """The perp that is named, or another one under that fault."""
        perp = self._named(query)
        if self._board.find("wrong_symbol", "", perp.symbol):
            return self._perps[other_symbol(perp.symbol)]
        return perp


def _told(status: int, result: Any, headers: Mapping[str, str]) -> Response:
    return Response(status, dump(result), headers=headers)


def _name(path: str) -> str:
    for prefix in PREFIXES:
        if path.startswith(prefix):
            return path.removeprefix(prefix)
    return ""


def _weight(name: str, query: _Query) -> int:
    if name == "depth":
        known = {str(limit): weight for limit, weight in DEPTH_WEIGHTS.items()}
        return known.get(query.get("limit", ""), DEPTH_WEIGHTS[500])
    one, every = _WEIGHTY.get(name, (1, 1))
    return one if query.get("symbol") else every


def _limit(query: _Query, default: int) -> int:
    return max(1, min(_integer(query, "limit", default), ROWS_MAX))


def _integer(query: _Query, name: str, default: int) -> int:
    text = query.get(name, "")
    if not text:
        return default
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise _Wrong(-1130, f"Data sent for parameter '{name}' is not valid.")
    return int(text)
