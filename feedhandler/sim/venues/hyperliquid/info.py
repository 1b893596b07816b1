"""The answers of POST /info, which the stream's `post` gives too."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Any

from feedhandler.sim.venues._base import Response, dump
from feedhandler.sim.venues.hyperliquid.listings import (
    Json,
    Perp,
    meta,
    spot_contexts,
    spot_meta,
)
from feedhandler.sim.venues.hyperliquid.render import context, image, mid, rate
from feedhandler.sim.venues.hyperliquid.requests import normalise, topic_of

HOUR_MS = 3_600_000
FUNDING_ROWS_MAX = 500
LIGHT_WEIGHT, HEAVY_WEIGHT = 2, 20
LIGHT_TYPES = ("l2Book", "allMids", "exchangeStatus")
ROW_TYPES = ("recentTrades", "fundingHistory")  # one more for each 20 rows

UNREADABLE = Response(
    422, "Failed to deserialize the JSON body into the target type", "text/plain"
)
TOO_MANY = Response(429, "null")


def weight(body: Json) -> int:
    return LIGHT_WEIGHT if body.get("type") in LIGHT_TYPES else HEAVY_WEIGHT


def row_weight(body: Json, answer: Response) -> int:
    """What a list answer costs beyond its base weight."""
    if body.get("type") not in ROW_TYPES or answer.status != 200:
        return 0
    return answer.body.count('"time"') // 20


def all_mids(perps: Mapping[str, Perp]) -> Json:
    mids = {symbol: mid(perp) for symbol, perp in perps.items()}
    return {symbol: text for symbol, text in mids.items() if text is not None}


def answer(body: Json, perps: Mapping[str, Perp], seed: int, now_ms: int) -> Response:
    """The answer to one info request; an unknown market is null, not an error."""
    kind = body.get("type")
    if kind in ("l2Book", "recentTrades", "fundingHistory"):
        return _market_answer(body, perps, seed, now_ms)
    result: Any
    if kind in ("meta", "metaAndAssetCtxs") and body.get("dex"):
        result = None  # there are no other dexes here
    elif kind == "meta":
        result = meta()
    elif kind == "metaAndAssetCtxs":
        result = [meta(), [context(perp) for perp in perps.values()]]
    elif kind == "allPerpMetas":
        result = [meta()]
    elif kind == "perpDexs":
        result = [None]
    elif kind == "spotMeta":
        result = spot_meta()
    elif kind == "spotMetaAndAssetCtxs":
        result = [spot_meta(), spot_contexts()]
    elif kind == "allMids":
        result = all_mids(perps)
    elif kind == "exchangeStatus":
        result = {"time": now_ms, "specialStatuses": None}
    else:
        return UNREADABLE
    return Response(200, dump(result))


def _market_answer(
    body: Json, perps: Mapping[str, Perp], seed: int, now_ms: int
) -> Response:
    symbol = body.get("coin")
    if not isinstance(symbol, str):
        return UNREADABLE
    perp = perps.get(symbol)
    if perp is None:
        return Response(200, "null")
    if body["type"] == "recentTrades":
        return Response(200, dump(list(reversed(perp.trades))))
    if body["type"] == "fundingHistory":
        return _funding_history(body, perp, seed, now_ms)
    subscription = normalise(body)
    topic = topic_of(subscription, perps) if subscription is not None else None
    if topic is None:
        return UNREADABLE
    book, time_ms = perp.told_by_rest(now_ms)
    return Response(200, dump(image(perp, book, topic, time_ms)))


def _funding_history(body: Json, perp: Perp, seed: int, now_ms: int) -> Response:
    start_ms, end_ms = body.get("startTime"), body.get("endTime")
    end_ms = now_ms if end_ms is None else end_ms
    if type(start_ms) is not int or type(end_ms) is not int:
        return UNREADABLE
    first_hour = max(0, -(-start_ms // HOUR_MS))
    last_hour = min(end_ms, now_ms) // HOUR_MS if perp.asset is not None else 0
    rows = []
    for hour in range(first_hour, last_hour + 1)[:FUNDING_ROWS_MAX]:
        # Each hour has its own randomness, so that every request sees the same past.
        random = Random(f"{seed}:{perp.symbol}:{hour}")
        premium = random.gauss(0.0, 1.5e-4)
        row = {
            "coin": perp.symbol,
            "fundingRate": rate(1.25e-5 + premium / 8),
            "premium": rate(premium),
            "time": hour * HOUR_MS + random.randrange(90),
        }
        rows.append(row)
    return Response(200, dump(rows))
