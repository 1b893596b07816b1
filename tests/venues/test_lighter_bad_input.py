"""Lighter fed with what must not reach a reader: each frame has its one reason."""

from __future__ import annotations

import json
from typing import Any

import pytest

from feedhandler.codec.frame import FrameError
from feedhandler.venues.lighter import decode
from tests.venues.test_lighter import FORCED, FRAMES, WALL_NS, frames


def change(**facts: Any) -> dict[str, Any]:
    level = {"price": "100.0", "size": "1.0"}
    data = {"asks": [], "bids": [level], "nonce": 7, "begin_nonce": 6, **facts}
    return {
        "type": "update/order_book",
        "channel": "order_book:1",
        "order_book": {key: value for key, value in data.items() if value != "absent"},
    }


def levels(price: object, size: object = "1.0") -> list[dict[str, object]]:
    return [{"price": price, "size": size}]


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (change(bids=levels("-1")), "range"),
        (change(bids=levels("0")), "range"),
        (change(bids=levels("1e13")), "range"),
        (change(bids=levels("nan")), "range"),
        (change(bids=levels("1_000")), "type"),
        (change(bids=levels("")), "type"),
        (change(bids=levels(True)), "type"),
        (change(bids=levels(None)), "type"),
        (change(bids=levels("1", "-1")), "range"),
        (change(bids=[["100", "1"]]), "type"),
        (change(bids=[{"price": "100"}]), "missing"),
        (change(bids=None), "type"),
        (change(bids="absent"), "missing"),
        (change(nonce="absent"), "missing"),
        (change(nonce=-5), "range"),
        (change(nonce=1 << 64), "range"),
        (change(nonce=1.5), "type"),
        (change(last_updated_at=1_785_000_109_000_000), "time_future"),
        (change(last_updated_at=1_785_000_009_000_000_000), "time"),
        ({**change(), "channel": "ticker:1"}, "shape"),
        ({**change(), "channel": "order_book:"}, "shape"),
        ({"type": "update/order_book", "channel": "order_book:1"}, "missing"),
        ({"type": "update/market_stats", "channel": "market_stats:1"}, "missing"),
        ({"channel": "order_book:1"}, "missing"),
        ({"type": 5}, "type"),
        ([], "shape"),
        (None, "shape"),
    ],
)
def test_bad_frame_is_refused_with_its_reason(message: object, reason: str) -> None:
    with pytest.raises(FrameError) as refusal:
        decode(json.dumps(message).encode(), WALL_NS)
    assert refusal.value.reason == reason


@pytest.mark.parametrize(
    ("frame", "reason"),
    [(b"", "empty"), (b"{", "json"), (b"\xff", "json"), (b"[" * 5_000, "shape")],
)
def test_what_is_no_document_is_refused(frame: bytes, reason: str) -> None:
    with pytest.raises(FrameError) as refusal:
        decode(frame, WALL_NS)
    assert refusal.value.reason == reason


@pytest.mark.parametrize("name", sorted(path.name for path in FRAMES.glob("ws_*")))
def test_truncated_frame_is_refused_or_whole(name: str) -> None:
    for frame in frames(name):
        for length in range(len(frame)):
            with pytest.raises(FrameError):
                decode(frame[:length], WALL_NS)


def test_bad_trade_leaves_the_others() -> None:
    (frame,) = frames("ws_trade_subscribed_btc.json")
    message = json.loads(frame)
    message["trades"][0]["price"] = "x"
    found = decode(json.dumps(message).encode(), WALL_NS)
    kinds = [type(event).__name__ for event in found]
    assert kinds == ["AckEvent", "TradeEvent", "TradeEvent", "RejectEvent"]


@pytest.mark.parametrize("forced", [None, {}, {"7": "row"}, ["row"]])
def test_liquidations_come_in_every_shape(forced: Any) -> None:
    (frame,) = frames("ws_trade_update_liquidation_only.json")
    text = frame.decode()
    message = json.loads(text)
    row = json.dumps(message["liquidation_trades"][0])
    message["liquidation_trades"] = forced
    given = json.dumps(message).replace('"row"', row).encode()
    assert list(decode(given, WALL_NS)) == ([FORCED] if forced else [])
