"""How Lighter's server speaks, for the kit of `tests/conformance`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from tests.conformance.facts import Facts, ask_at, bid_at, time_ms

MARKETS = {"BTC": 1, "SOL": 2, "1000PEPE": 4}


def _frame(kind: str, channel: str, **facts: Any) -> bytes:
    return json.dumps({"type": kind, "channel": channel, **facts}).encode()


def _level(price: str) -> dict[str, str]:
    return {"price": price, "size": "1.50"}


def _quote(symbol: str, step: int) -> bytes:
    ticker = {"a": _level(ask_at(step)), "b": _level(bid_at(step))}
    return _frame(
        "update/ticker",
        f"ticker:{symbol}",
        nonce=step,
        ticker={**ticker, "last_updated_at": time_ms(step) * 1_000},
    )


def _book(symbol: str, step: int, verb: str, asks: list[Any]) -> bytes:
    book = {
        "bids": [_level(bid_at(step))],
        "asks": asks,
        "nonce": step,
        "begin_nonce": step - 1,
        "last_updated_at": time_ms(step) * 1_000,
    }
    return _frame(f"{verb}/order_book", f"order_book:{symbol}", order_book=book)


def _stats(symbol: str, step: int) -> bytes:
    stats = {"mark_price": bid_at(step), "current_funding_rate": "0.0012"}
    channel = f"market_stats:{symbol}"
    return _frame("update/market_stats", channel, market_stats=stats)


def _trade(symbol: str, step: int) -> bytes:
    row = {**_level(bid_at(step)), "trade_id": step, "is_maker_ask": True}
    row["transaction_time"] = time_ms(step) * 1_000
    return _frame("update/trade", f"trade:{symbol}", trades=[row])


def _accept(request: str) -> Sequence[bytes]:
    """Return the acknowledgement, which is a first image too: an empty one."""
    channel = json.loads(request).get("channel", "").replace("/", ":")
    if not channel:
        return ()  # a ping, or the answer to one
    if json.loads(request)["type"] == "unsubscribe":
        return (_frame("unsubscribed", channel),)
    kind = channel.partition(":")[0]
    empty: dict[str, Any] = {
        "ticker": {"nonce": 0, "ticker": {}},
        "order_book": {"order_book": {"bids": [], "asks": [], "nonce": 0}},
        "market_stats": {"market_stats": {}},
        "trade": {"trades": []},
    }
    return (_frame(f"subscribed/{kind}", channel, **empty[kind]),)


def _snapshot(symbol: str, step: int) -> bytes:
    def order(price: str) -> dict[str, Any]:
        index = (int(symbol) + 1 << 48) + step
        return {"order_index": index, "price": price, "remaining_base_amount": "1.5"}

    sides = {"bids": [order(bid_at(step))], "asks": [order(ask_at(step))]}
    return json.dumps({"code": 200, **sides}).encode()


def _discover(base: str) -> list[bytes]:
    row = {"symbol": base, "market_id": MARKETS[base], "status": "active"}
    row |= {"price_decimals": 2, "size_decimals": 4}
    return [json.dumps({"code": 200, "order_book_details": [row]}).encode()]


FACTS = Facts(
    multiple="1000PEPE",
    carried={
        "bbo": "ws_ticker_subscribed_then_update_btc.jsonl",
        "depth": "ws_order_book_snapshot_then_update_btc.jsonl",
        "trades": "ws_trade_update_btc.json",
        "liveness": "ws_market_stats_single_subscribed_btc.json",
    },
    strange=("ws_candle", "ws_height", "ws_spot_market_stats"),
    mixed=("ws_ticker_partial", "ws_trade_update_no_liquidation"),
    sizes_of={"price": ("size",)},
    quote=_quote,
    image=lambda symbol, step: _book(
        symbol, step, "subscribed", [_level(ask_at(step))]
    ),
    change=lambda symbol, step: _book(symbol, step, "update", []),
    liveness=_stats,
    trade=_trade,
    accept=_accept,
    refuse=lambda request: b'{"error":{"code":30005,"message":"Invalid Channel"}}',
    idle=(
        b'{"type":"connected","session_id":"0"}',
        b'{"type":"ping"}',
        b'{"type":"pong"}',
        b'{"error":{"code":30009,"message":"Too Many Websocket Messages!"}}',
        b'{"type":"update/height","channel":"height","height":1}',
    ),
    discover=_discover,
    snapshot=_snapshot,
    snapshot_error=b'{"code":21602,"message":"invalid market index"}',
)
