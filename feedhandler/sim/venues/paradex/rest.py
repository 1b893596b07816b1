"""The answers of Paradex's REST, and the bucket that limits how often one may ask."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from random import Random

from feedhandler.sim.ladder import Book, Level, aggregate, decimal_units
from feedhandler.sim.venues._base import Request, Response, dump
from feedhandler.sim.venues.paradex.books import with_retail
from feedhandler.sim.venues.paradex.listings import (
    Fill,
    Image,
    Json,
    Perp,
    market_rows,
    plain,
)
from feedhandler.sim.venues.paradex.render import top_of

ROOT = "/v1"
DEPTH, PAGE_SIZE = 20, 100
DEPTH_MAX, PAGE_SIZE_MAX = 1000, 1000
FUNDING_STEP_MS = 60_000
WINDOW_S = 60.0


class Bucket:
    """Tokens that come back at a steady rate, up to a full minute's."""

    def __init__(self, per_minute: int, now_s: float) -> None:
        self.limit = per_minute
        self._tokens = float(per_minute)
        self._filled_s = now_s

    def take(self, now_s: float) -> bool:
        """Spend one token, or return False."""
        gained = (now_s - self._filled_s) * self.limit / WINDOW_S
        self._tokens = min(float(self.limit), self._tokens + gained)
        self._filled_s = now_s
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    def headers(self, wall_ms: int) -> dict[str, str]:
        """What an answer tells of the limit; `Retry-After` only when nothing is left.

        Whether the reset is an instant or a span, and the window's unit, is unknown.
        """
        missing = self.limit - self._tokens
        full_s = missing * WINDOW_S / self.limit
        headers = {
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Remaining": str(int(self._tokens)),
            "X-RateLimit-Reset": str(math.ceil(wall_ms / 1000 + full_s)),
            "X-RateLimit-Window": str(int(WINDOW_S)),
        }
        if self._tokens < 1:
            wait_s = (1 - self._tokens) * WINDOW_S / self.limit
            headers["Retry-After"] = str(max(1, math.ceil(wait_s)))
        return headers


class RestError(Exception):
    """A request that is refused; the message is for people, the code for programs."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


def refusal(status: int, code: str, message: str) -> Response:
    body = {"error": code, "message": message, "data": None}
    return Response(status, dump(body))


def answer(request: Request, perps: Mapping[str, Perp], now_ms: int) -> Response:
    """The answer to a request within the limit."""
    if not request.path.startswith(ROOT + "/"):
        return refusal(404, "NOT_FOUND", "path not found")
    if request.method not in ("GET", "HEAD"):
        return refusal(405, "METHOD_NOT_ALLOWED", "method not allowed")
    parts = request.path.removeprefix(ROOT).strip("/").split("/")
    try:
        return Response(200, dump(_answer(parts, request.query, perps, now_ms)))
    except RestError as error:
        return refusal(error.status, error.code, str(error))


def _answer(
    parts: Sequence[str],
    query: Mapping[str, str],
    perps: Mapping[str, Perp],
    now_ms: int,
) -> Json:
    match parts:
        case ["markets"]:
            return {"results": _markets(query)}
        case ["markets", "summary"]:
            return {"results": _summaries(query, perps, now_ms)}
        case ["orderbook", symbol]:
            return _order_book(_perp(perps, symbol), query, is_interactive=False)
        case ["orderbook", symbol, "interactive"]:
            return _order_book(_perp(perps, symbol), query, is_interactive=True)
        case ["bbo", symbol]:
            return _bbo(_perp(perps, symbol), is_interactive=False)
        case ["bbo", symbol, "interactive"]:
            return _bbo(_perp(perps, symbol), is_interactive=True)
        case ["trades"]:
            return _trades(_perp(perps, query.get("market", "")), query)
        case ["funding", "data"]:
            return _funding(_perp(perps, query.get("market", "")), query, now_ms)
        case ["system", "time"]:
            return {"server_time": str(now_ms)}
        case ["system", "state"]:
            return {"status": "ok"}
    raise RestError(404, "NOT_FOUND", "path not found")


def _markets(query: Mapping[str, str]) -> list[Json]:
    rows, symbol = market_rows(), query.get("market")
    if symbol is None:
        return rows
    found = [row for row in rows if row["symbol"] == symbol]
    if not found:
        raise _no_market(symbol)
    return found


def _summaries(
    query: Mapping[str, str], perps: Mapping[str, Perp], now_ms: int
) -> list[Json]:
    symbol = query.get("market", "")
    if not symbol:
        raise RestError(400, "VALIDATION_ERROR", "market is required")
    if symbol != "ALL":
        return [_summary(_perp(perps, symbol), now_ms)]
    return [_summary(perp, now_ms) for perp in perps.values()]


def _summary(perp: Perp, now_ms: int) -> Json:
    now = perp.context()
    top = top_of(perp, perp.book, now_ms)
    rate = now.funding_per_hour * perp.listing.period_hours
    return {
        "symbol": perp.symbol,
        "oracle_price": _text(perp.dollars(now.oracle), 8),
        "mark_price": _text(perp.dollars(now.mark), 8),
        "last_traded_price": plain(perp.last_price, perp.grid.price_decimals),
        "bid": top.bid or "",
        "ask": top.ask or "",
        "volume_24h": _text(now.day_volume, 9),
        "total_volume": _text(now.day_volume * 900, 9),
        "created_at": now_ms,
        "underlying_price": _text(perp.dollars(now.oracle), 8),
        "open_interest": _text(now.open_interest / perp.listing.multiplier, 3),
        "funding_rate": _text(rate, 14),
        "price_change_rate_24h": _text(now.mark / now.previous_day_price - 1, 6),
    }


def _order_book(perp: Perp, query: Mapping[str, str], is_interactive: bool) -> Json:
    image = perp.rest_image
    book = with_retail(image.book, perp.grid) if is_interactive else image.book
    tick = query.get("price_tick")
    if tick:
        step = _step(perp, tick)
        bids = aggregate(book.bids, step, up=False)
        book = Book(bids, aggregate(book.asks, step, up=True))
    depth = _integer(query, "depth", DEPTH, DEPTH_MAX)
    rows = [[_pair(perp, level) for level in side[:depth]] for side in book]
    return {
        "market": perp.rest_symbol,
        "seq_no": image.seq,
        "last_updated_at": image.changed_ms,
        "asks": rows[1],
        "bids": rows[0],
    }


def _bbo(perp: Perp, is_interactive: bool) -> Json:
    image: Image = perp.rest_image
    book = with_retail(image.book, perp.grid) if is_interactive else image.book
    top = top_of(perp, book, image.changed_ms)
    return {
        "market": perp.rest_symbol,
        "seq_no": image.seq,
        "bid": top.bid or "",
        "bid_size": top.bid_size or "",
        "ask": top.ask or "",
        "ask_size": top.ask_size or "",
        "last_updated_at": image.changed_ms,
    }


def _trades(perp: Perp, query: Mapping[str, str]) -> Json:
    size = _integer(query, "page_size", PAGE_SIZE, PAGE_SIZE_MAX)
    start_ms, end_ms = _span(query)
    before = _opened(query.get("cursor"))
    found = [
        fill
        for fill in reversed(perp.fills)
        if start_ms <= fill.time_ms <= end_ms
        and (not before or int(fill.trade_id) < before)
    ]
    page = found[:size]
    following = _cursor(page[-1].trade_id) if len(found) > size else None
    previous = _cursor(page[0].trade_id) if page and before else None
    rows = [_trade(perp, fill) for fill in page]
    return {"next": following, "prev": previous, "results": rows}


def _trade(perp: Perp, fill: Fill) -> Json:
    return {
        "id": fill.trade_id,
        "market": perp.symbol,
        "side": "BUY" if fill.buy else "SELL",
        "size": plain(fill.size, perp.grid.size_decimals),
        "price": plain(fill.price, perp.grid.price_decimals),
        "created_at": fill.time_ms,
        "trade_type": "LIQUIDATION" if fill.is_liquidation else "FILL",
    }


def _funding(perp: Perp, query: Mapping[str, str], now_ms: int) -> Json:
    """Observations of the quoted rate: the one of now, and one a minute before it."""
    size = _integer(query, "page_size", PAGE_SIZE, PAGE_SIZE_MAX)
    start_ms, end_ms = _span(query)
    before = _opened(query.get("cursor"))
    rows = []
    newest_ms = now_ms if not before else before - FUNDING_STEP_MS
    if end_ms < newest_ms:
        newest_ms -= -(-(newest_ms - end_ms) // FUNDING_STEP_MS) * FUNDING_STEP_MS
    oldest_ms = max(start_ms, perp.opened_ms)
    times_ms = range(newest_ms, oldest_ms - 1, -FUNDING_STEP_MS)
    for time_ms in times_ms[:size]:
        rows.append(_funding_row(perp, time_ms, now_ms))
    following = _cursor(str(times_ms[size - 1])) if len(times_ms) > size else None
    previous = _cursor(str(newest_ms)) if before else None
    return {"next": following, "prev": previous, "results": rows}


def _funding_row(perp: Perp, time_ms: int, now_ms: int) -> Json:
    hours = perp.listing.period_hours
    per_hour = perp.context().funding_per_hour
    index, premium = perp.funding_index, perp.premium()
    if time_ms != now_ms:
        # Each minute has its own randomness, so that every request sees the same past.
        random = Random(f"{perp.symbol}:{time_ms // FUNDING_STEP_MS}")
        per_hour = 1.25e-5 + random.gauss(0.0, 2.0e-6)
        premium = 8 * per_hour * perp.dollars(perp.asset.profile.price)
        index -= premium * (now_ms - time_ms) / (8 * 3_600_000)
    return {
        "market": perp.symbol,
        "funding_index": _text(index, 15),
        "funding_premium": _text(premium, 15),
        "funding_rate": _text(per_hour * hours, 14),
        "funding_rate_8h": _text(per_hour * 8, 8),
        "funding_period_hours": hours,
        "created_at": time_ms,
    }


def _perp(perps: Mapping[str, Perp], symbol: str) -> Perp:
    if not symbol:
        raise RestError(400, "VALIDATION_ERROR", "market is required")
    perp = perps.get(symbol)
    if perp is None:
        raise _no_market(symbol)
    return perp


def _no_market(symbol: str) -> RestError:
    return RestError(404, "MARKET_NOT_FOUND", f"market {symbol} not found")


def _pair(perp: Perp, level: Level) -> list[str]:
    price = plain(level.price, perp.grid.price_decimals)
    return [price, plain(level.size, perp.grid.size_decimals)]


def _step(perp: Perp, tick: str) -> int:
    try:
        step = decimal_units(tick, perp.grid.price_decimals)
    except ValueError:
        step = 0
    if not step:
        raise RestError(400, "VALIDATION_ERROR", "price_tick is not on the market's")
    return step


def _span(query: Mapping[str, str]) -> tuple[int, int]:
    end_ms = _integer(query, "end_at", 2**53, 2**53)
    return _integer(query, "start_at", 0, 2**53), end_ms


def _integer(query: Mapping[str, str], name: str, default: int, largest: int) -> int:
    text = query.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise RestError(400, "VALIDATION_ERROR", f"{name} is not a number")
    if int(text) > largest:
        raise RestError(400, "VALIDATION_ERROR", f"{name} is above {largest}")
    return int(text)


def _cursor(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode()


def _opened(cursor: str | None) -> int:
    if not cursor:
        return 0
    try:
        return int(base64.urlsafe_b64decode(cursor.encode()))
    except (ValueError, UnicodeError):
        raise RestError(400, "VALIDATION_ERROR", "cursor is malformed") from None


def _text(value: float, decimals: int) -> str:
    text = f"{value:.{decimals}f}".rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text
