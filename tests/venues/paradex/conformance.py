"""How Paradex's server speaks, for the kit of `tests/conformance`.

Channels are binary: little-endian integers, prices in units of 1e-8.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from typing import Any

from tests.conformance.facts import Facts, Numbers, ask_at, bid_at, time_ms

NULL = -(1 << 63)
UNIT = 10**8


def _text(value: str) -> bytes:
    return bytes([len(value)]) + value.encode()


def _units(price: str) -> int:
    return round(float(price) * UNIT)


def _frame(template: int, block: bytes, tail: bytes) -> bytes:
    return struct.pack("<4H", len(block), template, 1, 1) + block + tail


def _quote(market: str, step: int) -> bytes:
    sides = (_units(bid_at(step)), UNIT, _units(ask_at(step)), UNIT)
    block = struct.pack("<6q", time_ms(step) * 1_000, step, *sides)
    return _frame(2, block, _text(market))


def _book(market: str, step: int, package: int, asks: Sequence[str]) -> bytes:
    block = struct.pack("<qqB9q", time_ms(step) * 1_000, step, package, *[NULL] * 9)
    tail = b""
    for prices in ((bid_at(step),), asks):
        tail += struct.pack("<2H", 16, len(prices))
        tail += b"".join(struct.pack("<2q", _units(row), UNIT) for row in prices)
    return _frame(3, block, tail + _text(market))


def _trade(market: str, step: int) -> bytes:
    now = time_ms(step) * 1_000
    facts = (now, step, step, 1, _units(bid_at(step)), UNIT, now, 1)
    return _frame(1, struct.pack("<qqqBqqqB", *facts), _text(market))


def _summary(market: str, step: int) -> bytes:
    now = time_ms(step) * 1_000
    values = [now, 0, _units(bid_at(step)), *[NULL] * 27]
    return _frame(4, struct.pack("<30q", *values), _text(market))


def _numbers(frame: bytes) -> Numbers:
    """Read the parts that hold prices, sizes and times, by their places."""
    block_bytes, template, _, _ = struct.unpack_from("<4H", frame)
    end = 8 + block_bytes
    pairs: list[tuple[int, int]] = []
    references: set[float] = set()
    (stamp,) = struct.unpack_from("<q", frame, 8)
    stamps = {stamp}
    if template == 1:
        pairs = [struct.unpack_from("<2q", frame, 8 + 25)]
        stamps |= set(struct.unpack_from("<q", frame, 8 + 41))
    elif template == 2:
        pairs = list(struct.iter_unpack("<2q", frame[8 + 16 : 8 + 48]))
    elif template == 3:
        for _ in range(2):
            entry_bytes, count = struct.unpack_from("<2H", frame, end)
            for index in range(count):
                at = end + 4 + index * entry_bytes
                pairs.append(struct.unpack_from("<2q", frame, at))
            end += 4 + entry_bytes * count
    elif template == 4:
        references |= {row / UNIT for row in struct.unpack_from("<2q", frame, 8 + 16)}
    else:
        stamps |= set(struct.unpack_from("<q", frame, 8 + 32))
    real = [(price, size) for price, size in pairs if price != NULL]
    return Numbers(
        frozenset(price / UNIT for price, _ in real),
        frozenset((price / UNIT, size / UNIT) for price, size in real),
        frozenset(references),
        frozenset(1_000 * each for each in stamps),
        len(real),
    )


def _answer(request: str, **facts: Any) -> bytes:
    return json.dumps(
        {"jsonrpc": "2.0", "id": json.loads(request)["id"], **facts}
    ).encode()


def _accept(request: str) -> Sequence[bytes]:
    channel = json.loads(request)["params"]["channel"]
    return (_answer(request, result={"channel": channel}),)


def _refuse(request: str) -> bytes:
    error = {"code": -32600, "message": "invalid subscribe request"}
    return _answer(request, error={**error, "data": "invalid channel"})


def _snapshot(market: str, step: int) -> bytes:
    bids, asks = [[bid_at(step), "1.5"]], [[ask_at(step), "1.5"]]
    facts = {"market": market, "seq_no": step, "last_updated_at": time_ms(step)}
    return json.dumps({**facts, "bids": bids, "asks": asks}).encode()


def _discover(base: str) -> list[bytes]:
    row = {"symbol": f"{base}-USD-PERP", "asset_kind": "PERP"}
    row |= {"price_tick_size": "0.1", "order_size_increment": "0.001"}
    return [json.dumps({"results": [row]}).encode()]


FACTS = Facts(
    multiple="kPEPE",
    carried={
        "bbo": "sbe_bbo_btc_recorded.jsonl",
        "depth": "sbe_order_book_deltas_eth_recorded.jsonl",
        "trades": "sbe_frames_constructed.jsonl",
        "liveness": "sbe_frames_constructed.jsonl",
    },
    mixed=("sbe_frames_constructed",),
    sizes_of={"bid": ("bid_size",), "ask": ("ask_size",), "price": ("size",)},
    numbers=_numbers,
    quote=_quote,
    image=lambda market, step: _book(market, step, 0, [ask_at(step)]),
    change=lambda market, step: _book(market, step, 1, []),
    liveness=_summary,
    trade=_trade,
    accept=_accept,
    refuse=_refuse,
    idle=(
        _frame(40, struct.pack("<2q", time_ms(1) * 1_000, 0), b""),
        b'{"jsonrpc":"2.0","id":1,"result":{"channel":"bbo.BTC-USD-PERP"}}',
        b'{"jsonrpc":"2.0","id":0,"error":{"code":-32603,"message":"internal"}}',
    ),
    discover=_discover,
    snapshot=_snapshot,
    snapshot_error=b'{"data":null,"error":"NOT_FOUND","message":"no such market"}',
)
