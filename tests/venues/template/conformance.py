"""How the template's server would speak, for the kit of `tests/conformance`.

Copy it with the template, and let each function say what your venue's server says. What
every entry is for, `tests/conformance/facts.py` tells.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from tests.conformance.facts import Facts, ask_at, bid_at, time_ms


def _frame(channel: str, market: str, step: int, **facts: Any) -> bytes:
    message = {"channel": channel, "market": market, "time": time_ms(step), **facts}
    return json.dumps(message).encode()


def _quote(market: str, step: int) -> bytes:
    bid, ask = [bid_at(step), "1.5"], [ask_at(step), "1.5"]
    return _frame("quote", market, step, number=step, bid=bid, ask=ask)


def _book(market: str, step: int, *, is_image: bool) -> bytes:
    asks = [[ask_at(step), "1.5"]] if is_image else []
    sides = {"bids": [[bid_at(step), "1.5"]], "asks": asks}
    return _frame("book", market, step, number=step, is_image=is_image, **sides)


def _trade(market: str, step: int) -> bytes:
    row = {"id": step, "side": "buy", "price": bid_at(step), "size": "1.5"}
    return _frame("trade", market, step, **row)


def _accept(request: str) -> Sequence[bytes]:
    asked = json.loads(request)
    if asked["do"] == "ping":
        return (b'{"result":"pong"}',)
    result = "ended" if asked["do"] == "end" else "subscribed"
    return (json.dumps({"id": asked["id"], "result": result}).encode(),)


def _refuse(request: str) -> bytes:
    refusal = {"id": json.loads(request)["id"], "error": "no such market"}
    return json.dumps(refusal).encode()


def _discover(base: str) -> list[bytes]:
    row = {"name": base, "tick": "0.1", "lot": "0.001"}
    return [json.dumps({"markets": [row]}).encode()]


def _snapshot(market: str, step: int) -> bytes:
    bids, asks = [[bid_at(step), "1.5"]], [[ask_at(step), "1.5"]]
    answer = {"market": market, "number": step, "bids": bids, "asks": asks}
    return json.dumps(answer).encode()


FACTS = Facts(
    multiple="1000PEPE",
    carried={
        "bbo": "ws_quote_btc.json",
        "depth": "ws_book_btc.jsonl",
        "trades": "ws_trade_btc.json",
        "liveness": "ws_mark_btc.json",
    },
    strange=("ws_unknown",),
    sizes_of={0: (1,), "price": ("size",)},
    quote=_quote,
    image=lambda market, step: _book(market, step, is_image=True),
    change=lambda market, step: _book(market, step, is_image=False),
    liveness=lambda market, step: _frame(
        "mark", market, step, price=bid_at(step), rate="0.0000125"
    ),
    trade=_trade,
    accept=_accept,
    refuse=_refuse,
    idle=(
        b'{"result":"pong"}',
        b'{"id":1,"result":"subscribed"}',
        b'{"error":"slow down"}',
    ),
    discover=_discover,
    snapshot=_snapshot,
    snapshot_error=b'{"error":"no such market"}',
)
