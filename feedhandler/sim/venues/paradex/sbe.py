"""Values as Paradex's binary frames: schema 1, versions 0 to 3.

Owns the layouts on the sending side. Written apart from every reader of SBE, so that
one mistake cannot hide in both ends. Numbers arrive as integers, already scaled.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence

SCHEMA_ID = 1
VERSIONS = range(4)  # beyond them a stream is refused
DECIMALS = 8  # of prices, sizes and rates
PRECISE_DECIMALS = 12  # of rates called precise
NULL = -(2**63)
LARGEST = 2**63 - 1  # where the lifetime volume saturates

TRADE, BBO, BOOK, SUMMARY, FUNDING, HEARTBEAT = 1, 2, 3, 4, 5, 40
SNAPSHOT, DELTA = 0, 1
BUY, SELL = 1, 2
FILL, LIQUIDATION = 1, 2

Pair = tuple[int, int]  # price, size
Touch = tuple[int, int, int, int]  # bid, bid size, ask, ask size; each may be NULL

NO_TOUCH: Touch = (NULL, NULL, NULL, NULL)


def trade(
    version: int,
    times_us: Pair,  # published, matched
    seq: int,
    trade_id: str,
    side: int,
    price: int,
    size: int,
    kind: int,
    market: str,
) -> bytes:
    published_us, matched_us = times_us
    block = struct.pack("<qqqBqqqB", published_us, seq, _low_64(trade_id), side,
                        price, size, matched_us, kind)  # fmt: skip
    # The text came with version 2, since the number cannot hold an id.
    tail = _text(market) + (_text(trade_id) if version >= 2 else b"")
    return _frame(TRADE, version, block, tail)


def bbo(version: int, ts_us: int, seq: int, touch: Touch, market: str) -> bytes:
    return _frame(BBO, version, struct.pack("<6q", ts_us, seq, *touch), _text(market))


def book(
    version: int,
    ts_us: int,
    seq: int,
    package: int,
    sides: tuple[Sequence[Pair], Sequence[Pair]],
    market: str,
    touch: Touch = NO_TOUCH,
    relative_spread: int = NULL,
    api_touch: Touch = NO_TOUCH,
) -> bytes:
    """A snapshot or a delta; the touches are told by interactive snapshots alone."""
    block = struct.pack("<qqB", ts_us, seq, package)
    block += struct.pack("<9q", *touch, relative_spread, *api_touch)
    bids, asks = sides
    return _frame(BOOK, version, block, _group(bids) + _group(asks) + _text(market))


def summary(
    version: int,
    ts_us: int,
    figures: Sequence[int],
    sizes: Pair,
    precise_rate: int,
    market: str,
) -> bytes:
    """A market's figures; what only options have is null.

    The ten are mark, index and last price, volume, open interest, funding rate, bid,
    ask, lifetime volume and the change of the price.
    """
    mark_to_change = struct.pack("<10q", *figures)
    greeks = struct.pack("<11q", *[NULL] * 11)  # four volatilities, seven greeks
    future_rate, external_price = NULL, NULL
    block = struct.pack("<qq", ts_us, 0) + mark_to_change + greeks
    block += struct.pack("<4q", future_rate, external_price, *sizes)
    if version >= 1:
        forward_rate, risk_free_rate = NULL, NULL
        block += struct.pack("<3q", forward_rate, risk_free_rate, precise_rate)
    if version >= 3:
        block += struct.pack("<q", NULL)  # the settlement's average, of dated markets
    return _frame(SUMMARY, version, block, _text(market))


def funding(
    version: int,
    times_us: Pair,  # published, computed
    rate: int,
    index: int,
    premium: int,
    rate_8h: int,
    period_hours: int,
    market: str,
) -> bytes:
    published_us, computed_us = times_us
    block = struct.pack("<qqqqqqqh", published_us, 0, rate, index, computed_us,
                        premium, rate_8h, period_hours)  # fmt: skip
    if version >= 1:
        block += struct.pack("<q", NULL)  # the impact premium
    return _frame(FUNDING, version, block, _text(market))


def heartbeat(version: int, ts_us: int) -> bytes:
    return _frame(HEARTBEAT, version, struct.pack("<qq", ts_us, 0), b"")


def _frame(template: int, version: int, block: bytes, tail: bytes) -> bytes:
    head = struct.pack("<4H", len(block), template, SCHEMA_ID, version)
    return head + block + tail


def _group(pairs: Sequence[Pair]) -> bytes:
    flat: Iterable[int] = (number for pair in pairs for number in pair)
    return struct.pack(f"<HH{2 * len(pairs)}q", 16, len(pairs), *flat)


def _text(text: str) -> bytes:
    raw = text.encode()
    return len(raw).to_bytes(1, "little") + raw


def _low_64(trade_id: str) -> int:
    """The number an id becomes when cut to 64 bits with a sign."""
    low = int(trade_id) % 2**64
    return low - 2**64 if low >= 2**63 else low
