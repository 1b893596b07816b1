"""How Aster's server speaks, for the kit of `tests/conformance`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from tests.conformance.facts import Facts, ask_at, bid_at, time_ms


def _frame(kind: str, symbol: str, step: int, **facts: Any) -> bytes:
    stamps = {"E": time_ms(step), "T": time_ms(step)}
    return json.dumps({"e": kind, "s": symbol, **stamps, **facts}).encode()


def _quote(symbol: str, step: int) -> bytes:
    sides = {"b": bid_at(step), "B": "1.5", "a": ask_at(step), "A": "1.5"}
    return _frame("bookTicker", symbol, step, u=step, **sides)


def _change(symbol: str, step: int) -> bytes:
    numbers = {"U": step, "u": step, "pu": step - 1}
    sides: dict[str, Any] = {"b": [[bid_at(step), "1.5"]], "a": []}
    return _frame("depthUpdate", symbol, step, **numbers, **sides)


def _trade(symbol: str, step: int) -> bytes:
    return _frame("aggTrade", symbol, step, a=step, p=bid_at(step), q="1.5", m=False)


def _accept(request: str) -> Sequence[bytes]:
    return (json.dumps({"result": None, "id": json.loads(request)["id"]}).encode(),)


def _refuse(request: str) -> bytes:
    refusal = {"code": 2, "msg": "Invalid request", "id": json.loads(request)["id"]}
    return json.dumps(refusal).encode()


def _discover(base: str) -> list[bytes]:
    row = {
        "symbol": f"{base}USDT",
        "contractType": "PERPETUAL",
        "status": "TRADING",
        "quoteAsset": "USDT",
        "marginAsset": "USDT",
        "filters": [],
    }
    intervals = [{"symbol": f"{base}USDT", "fundingIntervalHours": 8}]
    return [json.dumps(body).encode() for body in ({"symbols": [row]}, intervals)]


def _snapshot(symbol: str, step: int) -> bytes:
    stamps = {"E": time_ms(step), "T": time_ms(step)}
    bids, asks = [[bid_at(step), "1.5"]], [[ask_at(step), "1.5"]]
    image = {"lastUpdateId": step, **stamps, "bids": bids, "asks": asks}
    return json.dumps(image).encode()


FACTS = Facts(
    multiple="1000PEPE",
    carried={
        "bbo": "ws_bookTicker_btcusdt_2025_recorded.json",
        "depth": "ws_depthUpdate_diff_btcusdt_2025_recorded.json",
        "trades": "ws_aggTrade_btcusdt_2025_recorded.json",
        "liveness": "ws_markPriceUpdate_btcusdt_2025_recorded.json",
    },
    strange=(
        "ws_24hrTicker",
        "ws_combined_trade",
        "ws_forceOrder",
        "ws_kline",
        "ws_miniTicker",
    ),
    mixed=("ws_markPriceUpdate_arr",),
    sizes_of={"b": ("B",), "a": ("A",), "p": ("q",), 0: (1,)},
    quote=_quote,
    image=None,
    change=_change,
    liveness=lambda symbol, step: _frame(
        "markPriceUpdate", symbol, step, p=bid_at(step), i=bid_at(step), r="0.0001"
    ),
    trade=_trade,
    accept=_accept,
    refuse=_refuse,
    idle=(
        b'{"result":null,"id":1}',
        b'{"code":0,"msg":"Unknown property"}',
        b'{"e":"kline","E":1794999940000,"s":"BTCUSDT","k":{}}',
    ),
    discover=_discover,
    snapshot=_snapshot,
    snapshot_error=b'{"code":-1121,"msg":"Invalid symbol."}',
    is_snapshot_named=False,
)
