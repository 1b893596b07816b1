"""The answers of GET /api/v1/info."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import NamedTuple

from feedhandler.sim.venues._base import Request, Response, dump, following
from feedhandler.sim.venues.extended.listings import LISTINGS, Json, Listing, Perp
from feedhandler.sim.venues.extended.render import (
    fixed,
    mark_text,
    price_text,
    rate_text,
    size_text,
)

ROOT = "/api/v1"
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
FUNDING_LATE_MS = 1028  # a recorded charge was stamped so long after its hour
FUNDING_ROWS_MAX = 10_000
FUNDING_ROWS = 100
INTEREST_ROWS_MAX = 300
# The documentation says P1H, clients send PT1H.
INTERVALS_MS: Mapping[str, int] = {"P1H": HOUR_MS, "PT1H": HOUR_MS, "P1D": DAY_MS}
CREATED_MS = 1_752_829_532_673
CURSOR_SHIFT = 20  # cursors are opaque numbers beyond 2^53
NO_CURSOR = 1 << 62


class Asked(NamedTuple):
    """One request for one market."""

    perp: Perp
    query: Mapping[str, str]
    seed: int
    now_ms: int


class BadQuery(Exception):
    """A query that the venue answers with its code and message."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


def error(status: int, code: int, message: str) -> Response:
    body = {"status": "ERROR", "error": {"code": code, "message": message}}
    return Response(status, dump(body))


NOT_FOUND = error(404, 1001, "Market not found.")
TOO_MANY = error(429, 429, "Rate limited")
NO_SUCH_PATH = Response(404, "", "text/plain")


def answer(
    request: Request, perps: Mapping[str, Perp], seed: int, now_ms: int
) -> Response:
    """Answer one request; paths that the venue does not know have an empty 404."""
    match request.path.removeprefix(f"{ROOT}/info/").split("/"):
        case _ if request.method != "GET" or not request.path.startswith(ROOT):
            return NO_SUCH_PATH
        case ["markets"]:
            return _markets(request.query, perps, now_ms)
        case ["assets"]:
            return _good(_assets(request.query))
        case ["markets", symbol, what] if what in _OF_MARKETS:
            answers = _OF_MARKETS[what]
        case [symbol, what] if what in _HISTORIES:
            answers = _HISTORIES[what]
        case _:
            return NO_SUCH_PATH
    if symbol not in perps:
        return NOT_FOUND
    try:
        return answers(Asked(perps[symbol], request.query, seed, now_ms))
    except BadQuery as bad:
        return error(400, bad.code, str(bad))


def about_next_market(request: Request, symbols: Sequence[str]) -> Request:
    """The request as if it had named the next market of the list."""
    parts = request.path.split("/")
    path = "/".join(
        following(part, symbols) if part in symbols else part for part in parts
    )
    return request._replace(path=path)


def _good(data: object, **more: object) -> Response:
    return Response(200, dump({"status": "OK", "data": data, **more}))


# Markets.


def _markets(
    query: Mapping[str, str], perps: Mapping[str, Perp], now_ms: int
) -> Response:
    wanted = list(perps)
    if "market" in query:
        # The server's queries may hold a name several times, a plain mapping not.
        every = getattr(query, "getall", lambda name: [query[name]])
        wanted = list(every("market"))
    if not all(symbol in perps for symbol in wanted):
        return NOT_FOUND
    return _good([_market(perps[symbol], now_ms) for symbol in wanted])


def _market(perp: Perp, now_ms: int) -> Json:
    listing = perp.listing
    levels: Json = {"shortPositions": [], "longPositions": []}
    return {
        "name": listing.symbol,
        "type": "PERPETUAL",
        "uiName": listing.symbol,
        "category": "Crypto",
        "subCategory": listing.kind,
        "assetName": listing.coin,
        "assetPrecision": listing.size_decimals,
        "collateralAssetName": "USD",
        "collateralAssetPrecision": 6,
        "description": listing.coin,
        "active": bool(listing.asset),
        "isRfq": False,
        "isOffHours": False,
        "status": "ACTIVE" if listing.asset else "DELISTED",
        "tradingHours": "CONTINUOUS",
        "marketStats": {**_stats(perp, now_ms), "deleverageLevels": levels},
        "tradingConfig": _trading(listing),
        "l2Config": {
            "type": "STARKX",
            "collateralId": "0x1",
            "syntheticId": _on_chain(listing),
            "syntheticResolution": 10**listing.scale,
            "collateralResolution": 1_000_000,
        },
        "visibleOnUi": bool(listing.asset),
        "referenceMarket": "null",
        "createdAt": CREATED_MS,
    }


def _trading(listing: Listing) -> Json:
    risk = {
        "upperBound": "4000000",
        "riskFactor": f"{1 / listing.leverage:g}",
        "isAvailableForUsers": True,
    }
    return {
        "minOrderSize": listing.minimum,
        "minOrderSizeChange": fixed(1, listing.size_decimals),
        "minPriceChange": fixed(1, listing.tick_decimals),
        "maxMarketOrderValue": "3000000",
        "maxLimitOrderValue": "15000000",
        "maxPositionValue": "60000000",
        "maxLeverage": f"{listing.leverage}.00",
        "hourlyFundingRateCap": "0.25",
        "openInterestLimit": "0",
        "maxNumOrders": "200",
        "limitPriceCap": "0.05",
        "limitPriceFloor": "0.05",
        "riskFactorConfig": [risk],
        "uPnlWithdrawable": True,
        "postWithdrawalMarginFactor": "0.1",
    }


def _on_chain(listing: Listing) -> str:
    return "0x" + f"{listing.coin}-{listing.scale}".encode().hex().ljust(30, "0")


def _stats(perp: Perp, now_ms: int) -> Json:
    """Statistics; `nextFundingRate` is a time, as the venue has it."""
    bids, asks = perp.book
    listing, multiplier = perp.listing, perp.listing.multiplier
    now = None if perp.asset is None else perp.asset.context()
    mark = now.mark * multiplier if now else 0.0
    before = now.previous_day_price * multiplier if now else 0.0
    interest = now.open_interest / multiplier if now else 0.0
    volume = now.day_volume if now else 0.0
    low, high = min(mark, before) * 0.995, max(mark, before) * 1.005
    change = (mark - before) / before if before else 0.0
    tick = listing.tick_decimals
    return {
        "dailyVolume": f"{volume:.6f}",
        "dailyVolumeBase": f"{volume / mark if mark else 0:.{listing.size_decimals}f}",
        "dailyPriceChange": f"{mark - before:.{tick}f}",
        "dailyPriceChangePercentage": f"{change:.4f}",
        "dailyLow": f"{low:.{tick}f}",
        "dailyHigh": f"{high:.{tick}f}",
        "lastPrice": perp.trades[-1]["p"] if perp.trades else "0",
        "askPrice": price_text(perp, asks[0].price) if asks else "0",
        "bidPrice": price_text(perp, bids[0].price) if bids else "0",
        "markPrice": mark_text(mark),
        "indexPrice": mark_text(now.oracle * multiplier if now else 0.0),
        "fundingRate": rate_text(now.funding_per_hour if now else 0.0),
        "nextFundingRate": (now_ms // HOUR_MS + 1) * HOUR_MS,
        "openInterest": f"{interest * mark:.6f}",
        "openInterestBase": f"{interest:.{listing.size_decimals}f}",
    }


def _statistics(asked: Asked) -> Response:
    return _good(_stats(asked.perp, asked.now_ms))


def _orderbook(asked: Asked) -> Response:
    perp = asked.perp
    bids, asks = (
        [
            {"qty": size_text(perp, one.size), "price": price_text(perp, one.price)}
            for one in side
        ]
        for side in perp.book
    )
    return _good({"market": perp.symbol, "bid": bids, "ask": asks})


def _trades(asked: Asked) -> Response:
    """Newest first: the order is not documented, but what other venues do."""
    return _good(list(reversed(asked.perp.trades)))


# Histories.


def _funding(asked: Asked) -> Response:
    """Hourly charges, newest first; the cursor is a number beyond 2^53."""
    start_ms, end_ms = _number(asked, "startTime"), _number(asked, "endTime")
    limit = min(_number(asked, "limit", FUNDING_ROWS), FUNDING_ROWS_MAX)
    cursor_ms = _number(asked, "cursor", NO_CURSOR) >> CURSOR_SHIFT
    last_ms = min(end_ms, asked.now_ms, cursor_ms - 1)
    hour_ms = (last_ms - FUNDING_LATE_MS) // HOUR_MS * HOUR_MS
    rows: list[Json] = []
    while len(rows) < limit and hour_ms >= max(0, start_ms - FUNDING_LATE_MS):
        random = Random(f"{asked.seed}:{asked.perp.symbol}:funding:{hour_ms}")
        rate = rate_text(random.gauss(1.3e-5, 4e-6))
        time_ms = hour_ms + FUNDING_LATE_MS
        rows.append({"m": asked.perp.symbol, "T": time_ms, "f": rate})
        hour_ms -= HOUR_MS
    cursor = rows[-1]["T"] << CURSOR_SHIFT if rows else None
    return _good(rows, pagination={"cursor": cursor, "count": len(rows)})


def _open_interests(asked: Asked) -> Response:
    """Newest first; `i` is in dollars and `I` in coins, by the sums clients quote."""
    interval_ms = INTERVALS_MS.get(asked.query.get("interval", ""))
    if interval_ms is None:
        raise BadQuery(1006, "Invalid interval")
    start_ms, end_ms = _number(asked, "startTime"), _number(asked, "endTime")
    last_ms = min(end_ms, asked.now_ms)
    limit = min(_number(asked, "limit", INTEREST_ROWS_MAX), INTEREST_ROWS_MAX)
    asset = asked.perp.asset
    rows: list[Json] = []
    time_ms = last_ms // interval_ms * interval_ms
    while asset and len(rows) < limit and time_ms >= max(0, start_ms):
        random = Random(f"{asked.seed}:{asked.perp.symbol}:interest:{time_ms}")
        profile = asset.profile
        coins = profile.open_interest * random.gauss(1.0, 0.02)
        base = coins / asked.perp.listing.multiplier
        rows.append(
            {"i": f"{coins * profile.price:.16f}", "I": f"{base:.16f}", "t": time_ms}
        )
        time_ms -= interval_ms
    return _good(rows)


def _number(asked: Asked, name: str, default: int | None = None) -> int:
    text = asked.query.get(name)
    if text is None and default is not None:
        return default
    if text is None or not (text.isascii() and text.isdigit() and len(text) < 20):
        raise BadQuery(400, f"Invalid query parameter: {name}")
    return int(text)


# Assets.


def _assets(query: Mapping[str, str]) -> list[Json]:
    """The collateral and the asset behind each market, of one type if asked."""
    rows = [_asset(1, "USD", "SPOT", 6, "0x1")]
    for number, listing in enumerate(LISTINGS, 2):
        on_chain = _on_chain(listing)
        row = _asset(number, listing.coin, "PERPETUAL", listing.scale, on_chain)
        rows.append({**row, "isActive": bool(listing.asset)})
    return [row for row in rows if query.get("type", row["type"]) == row["type"]]


def _asset(number: int, name: str, kind: str, scale: int, on_chain: str) -> Json:
    is_collateral = kind == "SPOT"
    return {
        "id": number,
        "name": name,
        "symbol": name,
        "description": f"{name} Collateral" if is_collateral else name,
        "precision": scale,
        "isActive": True,
        "isCollateral": is_collateral,
        "starkexId": on_chain,
        "starkexResolution": 10**scale,
        "l1Id": "0x0",
        "l1Resolution": 10**scale,
        "version": 1,
        "createdAt": CREATED_MS,
        "type": kind,
        "canBeUsedAsCollateral": is_collateral,
        "riskFactors": [],
        "availableForTradeFactors": [],
    }


Answer = Callable[[Asked], Response]
_OF_MARKETS: Mapping[str, Answer] = {
    "stats": _statistics,
    "orderbook": _orderbook,
    "trades": _trades,
}
_HISTORIES: Mapping[str, Answer] = {
    "funding": _funding,
    "open-interests": _open_interests,
}
