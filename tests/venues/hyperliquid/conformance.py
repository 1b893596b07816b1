"""How Hyperliquid's server speaks, for the kit of `tests/conformance`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from tests.conformance.facts import Facts, ask_at, bid_at, time_ms


def _frame(channel: str, data: Any) -> bytes:
    return json.dumps({"channel": channel, "data": data}).encode()


def _level(price: str) -> dict[str, Any]:
    return {"px": price, "sz": "1.5", "n": 1}


def _book(coin: str, step: int) -> dict[str, Any]:
    levels = [[_level(bid_at(step))], [_level(ask_at(step))]]
    return {"coin": coin, "time": time_ms(step), "levels": levels}


def _quote(coin: str, step: int) -> bytes:
    pair = [_level(bid_at(step)), _level(ask_at(step))]
    return _frame("bbo", {"coin": coin, "time": time_ms(step), "bbo": pair})


def _trade(coin: str, step: int) -> bytes:
    row = {"coin": coin, "side": "B", "time": time_ms(step), "tid": step}
    return _frame("trades", [{**row, "px": bid_at(step), "sz": "1.5"}])


def _accept(request: str) -> Sequence[bytes]:
    wanted = json.loads(request)
    data = {"method": wanted["method"], "subscription": wanted["subscription"]}
    return (_frame("subscriptionResponse", data),)


def _refuse(request: str) -> bytes:
    wanted = json.dumps(json.loads(request)["subscription"])
    return _frame("error", f"Invalid subscription {wanted}")


def _discover(base: str) -> list[bytes]:
    meta = {"universe": [{"name": base, "szDecimals": 5}]}
    spot: dict[str, Any] = {"universe": [], "tokens": []}
    return [json.dumps(body).encode() for body in (meta, [meta], spot)]


FACTS = Facts(
    multiple="kPEPE",
    carried={
        "bbo": "ws_bbo_sol.json",
        "depth": "ws_l2book_btc_20levels.json",
        "trades": "ws_trades_sol.json",
        "liveness": "ws_active_asset_ctx_sol.json",
    },
    strange=("ws_allmids", "ws_candle", "ws_post"),
    sizes_of={"px": ("sz",)},
    quote=_quote,
    image=lambda coin, step: _frame("l2Book", _book(coin, step)),
    change=None,
    liveness=lambda coin, step: _frame(
        "activeAssetCtx", {"coin": coin, "ctx": {"markPx": bid_at(step)}}
    ),
    trade=_trade,
    accept=_accept,
    refuse=_refuse,
    idle=(
        b'{"channel":"pong"}',
        b"Websocket connection established.",
        *_accept('{"method":"subscribe","subscription":{"type":"bbo","coin":"BTC"}}'),
        _frame("candle", {"s": "BTC", "c": "100"}),
    ),
    discover=_discover,
    snapshot=lambda coin, step: json.dumps(_book(coin, step)).encode(),
    snapshot_error=b"null",
)
