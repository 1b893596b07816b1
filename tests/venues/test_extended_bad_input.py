"""Extended fed with what must not reach a reader: each frame has its one reason."""

from __future__ import annotations

import json
from typing import Any

import pytest

from feedhandler.codec.frame import FrameError
from feedhandler.events import (
    BookEvent,
    Event,
    FrameEvent,
    NoticeEvent,
    RejectEvent,
    TradeEvent,
)
from feedhandler.venues.extended import decode
from tests.venues.frames import directory, lines, refused
from tests.venues.test_extended import BTC, WALL_NS

WALL_MS = WALL_NS // 1_000_000
BOOK, TOUCH = f"orderbooks.{BTC}", f"orderbooks.1.{BTC}"
CHANGE, IMAGE = "ORDERBOOKS.DELTA", "ORDERBOOKS.SNAPSHOT"


def level(p: object = "100", q: object = "0.5", **facts: object) -> dict[str, object]:
    return {"p": p, "q": q, **facts}


def step(p: object = "100", q: object = "0.5", c: object = "1") -> dict[str, object]:
    return {"p": p, "q": q, "c": c}


def frame(kind: str, topic: str, data: Any, **facts: Any) -> dict[str, Any]:
    message = {"type": kind, "data": data, "ts": WALL_MS, "seq": 3}
    message |= {"subscription": topic, **facts}
    return {key: value for key, value in message.items() if value != "absent"}


def change(row: object = None, **facts: Any) -> dict[str, Any]:
    data = {"t": "DELTA", "m": BTC, "b": [row or step()], "a": []}
    return frame(CHANGE, BOOK, {**data, **facts.pop("data", {})}, **facts)


def image(*bids: object, topic: str = BOOK, **facts: Any) -> dict[str, Any]:
    data = {"t": "SNAPSHOT", "m": BTC, "b": [*bids], "a": [level("101")]}
    return frame(IMAGE, topic, {**data, **facts.pop("data", {})}, **facts)


def decoded(message: object) -> list[Event]:
    return [*decode(json.dumps(message).encode(), WALL_NS)]


def reason_of(message: object) -> str:
    with pytest.raises(FrameError) as refusal:
        decoded(message)
    return refusal.value.reason


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        # A change is whole or refused: what is left out would be missing for ever.
        (change(step(p="0")), "range"),
        (change(step(p="-1")), "range"),
        (change(step(p="nan")), "range"),
        (change(step(p="NaN")), "range"),
        (change(step(p="1e13")), "range"),
        (change(step(p="1_000")), "type"),
        (change(step(p="")), "type"),
        (change(step(p=None)), "type"),
        (change(step(p=True)), "type"),
        (change(step(q="nan")), "range"),
        (change(step(q="inf")), "range"),
        (change(step(q="-1e13")), "range"),
        (change(step(q="half")), "type"),
        (change(step(c="-0.1")), "range"),
        (change(step(c="NaN")), "range"),
        (change(step(c="Infinity")), "range"),
        (change(step(c=None)), "type"),
        (change({"p": "100", "c": "1"}), "missing"),
        (change({"q": "1", "c": "1"}), "missing"),
        (change(["100", "1", "1"]), "type"),
        (change(data={"b": None}), "type"),
        (change(data={"b": {}}), "type"),
        (change(data={"m": 5}), "type"),
        (change(data={"m": "ETH-USD"}), "symbol"),
        (change(data={"t": "SNAPSHOT"}), "type"),
        (change(data={"t": None}), "type"),
        (frame(CHANGE, BOOK, "absent"), "missing"),
        (frame(CHANGE, BOOK, []), "type"),
        # Without a number or a topic its place is unknown.
        (change(seq="absent"), "missing"),
        (change(seq=-1), "range"),
        (change(seq=1 << 63), "range"),
        (change(seq=1.5), "type"),
        (change(seq=None), "missing"),
        (change(subscription="absent"), "missing"),
        (change(subscription=f"trades.{BTC}"), "symbol"),
        (change(subscription="orderbooks.ETH-USD"), "symbol"),
        (change(ts=WALL_MS + 61_000), "time_future"),
        (change(ts=WALL_MS * 1_000), "time"),
        # An image needs its touch.
        (image(level(q="-1")), "range"),
        (image(level(p="x")), "type"),
        (image(level(), data={"a": [level("101", "x")]}), "type"),
        (image(level(), data={"a": "absent"}), "type"),
        (image(level(), data={"m": "ETH-USD"}), "symbol"),
        (image(level(), data={"t": "DELTA"}), "type"),
        (image(level(), subscription="absent"), "missing"),
        # What may be a book under another name takes its number with it.
        (change(type="ORDERBOOKS.NEW"), "unknown_type"),
        (change(type="TRADES"), "unknown_type"),
        (change(type=None), "missing"),
        (change(type=5), "type"),
        (frame("MP", BOOK, {"m": BTC, "p": "1"}), "unknown_type"),
        (frame("PRICES.MP", f"prices.mark.{BTC}", "absent"), "missing"),
        ({}, "missing"),
        ([], "shape"),
        (None, "shape"),
        ("text", "shape"),
    ],
)
def test_bad_frame_is_refused_with_its_reason(message: object, reason: str) -> None:
    assert reason_of(message) == reason


@pytest.mark.parametrize(
    ("given", "reason"),
    [(b"", "empty"), (b"{", "json"), (b"\xff", "json"), (b"[" * 5_000, "shape")],
)
def test_what_is_no_document_is_refused(given: bytes, reason: str) -> None:
    with refused(reason):
        decode(given, WALL_NS)


@pytest.mark.parametrize(
    "name", sorted(path.name for path in directory("extended").glob("ws_*"))
)
def test_truncated_frame_is_refused(name: str) -> None:
    for whole in lines("extended", name):
        for length in range(len(whole)):
            with pytest.raises(FrameError):
                decode(whole[:length], WALL_NS)


def mark(**facts: Any) -> dict[str, Any]:
    data = {"m": BTC, "p": "100.5", "ts": 0, **facts.pop("data", {})}
    return frame("PRICES.MP", f"prices.mark.{BTC}", data, **facts)


def funding(**facts: Any) -> dict[str, Any]:
    data = {"m": BTC, "f": "0.00001", "T": WALL_MS, **facts.pop("data", {})}
    return frame("FUNDING_RATES", f"funding-rates.{BTC}", data, **facts)


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (image(level(q="-1"), topic=TOUCH), "range"),
        (image(level(p="NaN"), topic=TOUCH), "range"),
        (image(level(q="1e-13"), topic=TOUCH), "range"),
        (image(level(), topic=TOUCH, data={"m": "ETH-USD"}), "symbol"),
        (image(level(), topic=TOUCH, ts=WALL_MS + 61_000), "time_future"),
        (frame(CHANGE, TOUCH, {"m": BTC, "b": [], "a": []}), "shape"),
        (mark(data={"p": "0"}), "nonpositive"),
        (mark(data={"p": "NaN"}), "number"),
        (mark(data={"p": 100.5}), "type"),
        (mark(data={"m": "ETH-USD"}), "symbol"),
        (funding(data={"T": WALL_MS * 1_000_000}), "time"),
        (funding(data={"f": ""}), "number"),
        (funding(data={"f": None}), "type"),
        (funding(data={"m": "ETH-USD"}), "symbol"),
        (frame("TRADES", f"trades.{BTC}", {"m": BTC}), "shape"),
    ],
)
def test_number_of_a_bad_frame_counts_when_nothing_depends_on_it(
    message: object, reason: str
) -> None:
    (number, refused) = decoded(message)
    assert number == FrameEvent(3)
    assert isinstance(refused, RejectEvent)
    assert refused.reason == reason


def test_image_is_kept_without_its_bad_deep_levels() -> None:
    good = level("99", "2")
    (number, found, notice) = decoded(
        image(level(), level("99.5", "-1"), good, level("x"))
    )
    assert number == FrameEvent(3)
    assert isinstance(found, BookEvent)
    assert found.bids == [(100.0, 0.5), (99.0, 2.0)]
    assert notice == NoticeEvent("bad_level", 2)


def test_image_read_the_slow_way_is_the_same_and_nothing_is_counted() -> None:
    plain = json.dumps(image(level()))
    slow = plain.replace('{"type"', '{"type":"seen first","type"', 1)
    assert [*decode(slow, WALL_NS)] == [*decode(plain, WALL_NS)]


def test_type_that_nobody_knows_is_named_and_its_number_counts() -> None:
    message = frame("CANDLE", f"candles.last.{BTC}.PT1M", [])
    assert decoded(message) == [FrameEvent(3), NoticeEvent("unknown_type", 1, "CANDLE")]


def test_v1_frame_without_type_that_fits_nothing_is_refused() -> None:
    book = {"m": BTC, "b": [level()], "a": []}
    for data in (book, [book], 5, "text", None):
        assert reason_of({"data": data, "ts": 0, "seq": 1}) == "missing"


def trade(**facts: object) -> dict[str, object]:
    row = {"i": 1, "m": BTC, "S": "BUY", "tT": "TRADE", "T": WALL_MS}
    return {**row, "p": "100", "q": "1", **facts}


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({"S": "HOLD"}, "side"),
        ({"m": "ETH-USD"}, "symbol"),
        ({"p": "0"}, "nonpositive"),
        ({"q": "-1"}, "range"),
        ({"q": "NaN"}, "number"),
        ({"i": 1 << 63}, "range"),
        ({"i": 1.5}, "type"),
        ({"T": WALL_MS + 61_000}, "time_future"),
    ],
)
def test_bad_trade_leaves_the_others(facts: dict[str, Any], reason: str) -> None:
    rows = [trade(i=7), trade(**facts), trade(i=9)]
    found = decoded(frame("TRADES", f"trades.{BTC}", rows))
    assert found[0] == FrameEvent(3)
    ids = [row.trade_id for row in found if isinstance(row, TradeEvent)]
    assert ids == [7, 9]
    refused = [row.reason for row in found if isinstance(row, RejectEvent)]
    assert refused == [reason]


@pytest.mark.parametrize("error", ["text", 5, [], {"code": []}, {"message": {}}, True])
def test_error_of_any_shape_refuses_what_it_names(error: Any) -> None:
    (found,) = decoded({"id": "4", "error": error})
    assert getattr(found, "key", "") == "#4"
