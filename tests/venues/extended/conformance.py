"""How Extended's server speaks, for the kit of `tests/conformance`.

Every frame of data has the next number of its connection: the step.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from tests.conformance.facts import Facts, ask_at, bid_at, time_ms


def _frame(kind: str, topic: str, step: int, data: Any) -> bytes:
    message = {"type": kind, "data": data, "ts": time_ms(step), "seq": step}
    return json.dumps({**message, "subscription": topic}).encode()


def _image(market: str, step: int, topic: str, depth: str) -> bytes:
    sides = {
        "b": [{"q": "1.5", "p": bid_at(step)}],
        "a": [{"q": "1.5", "p": ask_at(step)}],
    }
    data = {"t": "SNAPSHOT", "m": market, **sides, "d": depth}
    return _frame("ORDERBOOKS.SNAPSHOT", topic + market, step, data)


def _change(market: str, step: int) -> bytes:
    level = {"q": "1.5", "p": bid_at(step), "c": "1.5"}
    data = {"t": "DELTA", "m": market, "b": [level], "a": [], "d": "f"}
    return _frame("ORDERBOOKS.DELTA", f"orderbooks.{market}", step, data)


def _trade(market: str, step: int) -> bytes:
    row = {"i": step, "m": market, "S": "BUY", "tT": "TRADE", "T": time_ms(step)}
    row |= {"p": bid_at(step), "q": "1.5"}
    return _frame("TRADES", f"trades.{market}", step, [row])


def _accept(request: str) -> Sequence[bytes]:
    call = json.loads(request)
    result = {"method": call["method"], "status": "OK"}
    return (json.dumps({"id": call["id"], "result": result}).encode(),)


def _refuse(request: str) -> bytes:
    error = {"code": 1001, "message": "Market not found"}
    return json.dumps({"id": json.loads(request)["id"], "error": error}).encode()


def _rest(data: Any) -> bytes:
    return json.dumps({"status": "OK", "data": data}).encode()


def _snapshot(market: str, step: int) -> bytes:
    bids = [{"qty": "1.5", "price": bid_at(step)}]
    return _rest(
        {
            "market": market,
            "bid": bids,
            "ask": [{"qty": "1.5", "price": ask_at(step)}],
        }
    )


FACTS = Facts(
    multiple="1000PEPE",
    carried={
        "bbo": "ws_v2_orderbook_depth1.json",
        "depth": "ws_v2_orderbook_snapshot_then_delta.jsonl",
        "trades": "ws_v2_trades_replay.json",
        "liveness": "ws_v2_mark_price.json",
    },
    strange=("ws_v1_candles", "ws_v1_frames_docs", "ws_v2_rpc_responses"),
    mixed=("ws_v1_orderbook_snapshot_2026",),  # its number was cut from the quote
    sizes_of={"p": ("q", "c")},
    quote=lambda market, step: _image(market, step, "orderbooks.1.", "1"),
    image=lambda market, step: _image(market, step, "orderbooks.", "f"),
    change=_change,
    liveness=lambda market, step: _frame(
        "PRICES.MP",
        f"prices.mark.{market}",
        step,
        {"m": market, "p": bid_at(step), "ts": 0},
    ),
    trade=_trade,
    accept=_accept,
    refuse=_refuse,
    idle=(
        b'{"id":"0","result":{"method":"ping"},"jsonrpc":"2.0"}',
        b'{"id":"1","result":{"method":"subscribe","status":"OK"},"jsonrpc":"2.0"}',
        b'{"id":"0","error":{"code":-32601,"message":"Method not found"}}',
    ),
    discover=lambda base: [_rest([{"name": f"{base}-USD", "status": "ACTIVE"}])],
    snapshot=_snapshot,
    funding=_rest(
        {
            "fundingRate": "0.000013",
            "nextFundingRate": time_ms(1) + 600_000,
            "markPrice": "100.5",
            "indexPrice": "100.5",
            "openInterestBase": "7.5",
        }
    ),
    snapshot_error=b'{"status":"ERROR","error":{"code":1001,"message":"not found"}}',
)
