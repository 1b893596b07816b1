"""Aster fed with what must not reach a reader: each frame has its one reason."""

from __future__ import annotations

import json
from typing import Any

import pytest

from feedhandler.codec.frame import FrameError
from feedhandler.events import (
    AckEvent,
    FundingEvent,
    NoticeEvent,
    RefusalEvent,
    RejectEvent,
)
from tests.venues.frames import refused
from tests.venues.test_aster import FRAMES, WALL_NS, decode, frames

BAD_NUMBERS = [
    ("-1", "range"),
    ("1e13", "range"),
    ("nan", "range"),
    ("NaN", "range"),
    ("inf", "range"),
    ("1_000", "type"),
    ("0x10", "type"),
    ("", "type"),
    (True, "type"),
    (None, "type"),
    ([], "type"),
]


def changed(name: str, **facts: Any) -> dict[str, Any]:
    """Return a recorded frame with some of its fields set, or left out."""
    message = json.loads(frames(name)[0])
    message.update(facts)
    return {key: value for key, value in message.items() if value != "absent"}


def ticker(**facts: Any) -> dict[str, Any]:
    return changed("ws_bookTicker_btcusdt_2025_recorded.json", **facts)


def change(**facts: Any) -> dict[str, Any]:
    return changed("ws_depthUpdate_diff_btcusdt_2025_recorded.json", **facts)


def trade(**facts: Any) -> dict[str, Any]:
    return changed("ws_aggTrade_btcusdt_2025_recorded.json", **facts)


def mark(**facts: Any) -> dict[str, Any]:
    return changed("ws_markPriceUpdate_btcusdt_2025_recorded.json", **facts)


def reason_of(message: object) -> str:
    with pytest.raises(FrameError) as refusal:
        decode(json.dumps(message).encode(), WALL_NS)
    return refusal.value.reason


@pytest.mark.parametrize(("number", "reason"), BAD_NUMBERS)
def test_bad_number_is_refused_with_its_reason(number: object, reason: str) -> None:
    assert reason_of(ticker(b=number)) == reason
    assert reason_of(ticker(A=number)) == reason
    assert reason_of(change(b=[[number, "1"]])) == reason
    assert reason_of(change(a=[["114988.4", "1"], ["114988.5", number]])) == reason
    assert reason_of(trade(p=number)) == reason
    assert reason_of(trade(q=number)) == reason


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (ticker(b="0", B="1"), "nonpositive"),
        (ticker(a="0", A="1"), "nonpositive"),
        (ticker(b="122046.7", B="1e-13"), "range"),
        (ticker(u="absent"), "missing"),
        (ticker(u=-1), "range"),
        (ticker(u=1 << 64), "range"),
        (ticker(u=1.5), "type"),
        (ticker(s="absent"), "missing"),
        (ticker(s=5), "type"),
        (ticker(T=1_787_410_900_000), "time_future"),
        (ticker(T=1_787_410_900_000_000), "time"),
        (ticker(T="soon"), "type"),
        (change(b=[["0", "1"]]), "range"),
        (change(b=[["1", "1", "1"]]), "shape"),
        (change(b=[["1"]]), "shape"),
        (change(b={"1": "1"}), "type"),
        (change(b="absent"), "missing"),
        (change(U="absent"), "missing"),
        (change(u="absent"), "missing"),
        (change(pu="absent"), "missing"),
        (change(pu=-1), "range"),
        (change(u=1 << 64), "range"),
        (trade(a=-1), "range"),
        (trade(a="absent"), "missing"),
        (trade(q="0"), "nonpositive"),
        (trade(m="perhaps"), "type"),
        (trade(m="absent"), "missing"),
        (mark(s="absent"), "missing"),
        (mark(p=1.5), "type"),
        (mark(T=[]), "type"),
        (mark(E=1_787_410_900_000), "time_future"),
        ({"e": 5}, "type"),
        ({"s": "BTCUSDT"}, "missing"),
        ({"result": None}, "missing"),
        ({"result": None, "id": None}, "missing"),
        ({"result": None, "id": "one"}, "type"),
        ({"code": "two", "msg": ""}, "type"),
        ({"stream": "btcusdt@bookTicker"}, "missing"),
        ({"stream": "btcusdt@bookTicker", "data": {}}, "missing"),
        ({"stream": "btcusdt@bookTicker", "data": ticker(u="absent")}, "missing"),
        ({"stream": "x", "data": {"stream": "y", "data": ticker()}}, "missing"),
        ({"stream": "!markPrice@arr", "data": [mark()]}, "shape"),
        ([], "shape"),
        (None, "shape"),
        (7, "shape"),
    ],
)
def test_bad_frame_is_refused_with_its_reason(message: object, reason: str) -> None:
    assert reason_of(message) == reason


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (b"", "empty"),
        (b"{", "json"),
        (b"{}{}", "json"),
        (b"\xff", "json"),
        (b"[" * 5_000, "shape"),
        (b'{"stream":"x","data":' * 5_000, "depth"),
    ],
)
def test_what_is_no_document_is_refused(frame: bytes, reason: str) -> None:
    with refused(reason):
        decode(frame, WALL_NS)


@pytest.mark.parametrize("name", sorted(path.name for path in FRAMES.glob("ws_*.json")))
def test_truncated_frame_is_refused(name: str) -> None:
    (frame,) = frames(name)
    for length in range(len(frame)):
        with pytest.raises(FrameError):
            decode(frame[:length], WALL_NS)


@pytest.mark.parametrize(
    ("price", "reason"), [("NaN", "number"), ("-1", "range"), ("1e-13", "range")]
)
def test_bad_reference_leaves_the_others_and_the_life_sign(
    price: str, reason: str
) -> None:
    frame = json.dumps(mark(p=price)).encode()
    funding, refused = decode(frame, WALL_NS)
    assert isinstance(funding, FundingEvent)
    assert str(funding.mark_price) == "nan"
    assert (funding.rate_per_hour, funding.oracle_price) == (0.0000125, 116836.93534884)
    assert isinstance(refused, RejectEvent)
    assert refused.reason == reason


@pytest.mark.parametrize("price", ["", "0", "0.00000000", None])
def test_reference_of_nothing_is_absent(price: object) -> None:
    (funding,) = decode(json.dumps(mark(i=price)).encode(), WALL_NS)
    assert isinstance(funding, FundingEvent)
    assert str(funding.oracle_price) == "nan"
    assert funding.mark_price == 116809.6


def test_frame_without_references_is_a_sign_of_life() -> None:
    frame = json.dumps(mark(p="absent", i="absent", r="absent")).encode()
    (funding,) = decode(frame, WALL_NS)
    assert isinstance(funding, FundingEvent)
    assert str((funding.mark_price, funding.rate_per_hour)) == "(nan, nan)"


def test_frame_of_bad_references_alone_is_refused() -> None:
    assert reason_of(mark(p="NaN", i="x", r="1e13")) == "number"


@pytest.mark.parametrize("due_ms", [0, -1, 1_787_500_000_000, 1 << 62])
def test_impossible_time_of_funding_is_absent(due_ms: int) -> None:
    (funding,) = decode(json.dumps(mark(T=due_ms)).encode(), WALL_NS)
    assert isinstance(funding, FundingEvent)
    assert funding.next_funding_ns < 0
    assert funding.rate_per_hour == 0.0000125


# --- Answers ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ({"result": None, "id": 7}, AckEvent("#7")),
        ({"result": [], "id": 0}, AckEvent("#0")),
        (
            {"code": 2, "msg": "Invalid request: bad", "id": 7},
            RefusalEvent("invalid", "#7", "2 Invalid request: bad"),
        ),
        (
            {"error": {"code": 3, "msg": "Invalid JSON"}, "id": 7},
            RefusalEvent("malformed", "#7", "3 Invalid JSON"),
        ),
        ({"error": "no", "id": 7}, RefusalEvent("invalid", "#7", "None no")),
        (
            {"code": 99, "msg": "new", "id": 7},
            RefusalEvent("invalid", "#7", "99 new"),
        ),
        ({"code": 99, "msg": "new"}, NoticeEvent("venue_error", 1, "99 new")),
        ({"error": {}}, NoticeEvent("venue_error", 1, "None ")),
        ({"e": "new"}, NoticeEvent("unknown_type", 1, "new")),
        (
            {"stream": "!contractInfo", "data": {"e": "contractInfo"}},
            NoticeEvent("unknown_type", 1, "contractInfo"),
        ),
    ],
)
def test_answer_means_what_it_says(message: object, expected: object) -> None:
    assert list(decode(json.dumps(message).encode(), WALL_NS)) == [expected]


def test_long_text_of_the_venue_is_cut() -> None:
    message = {"code": 2, "msg": "x" * 10_000}
    (event,) = decode(json.dumps(message).encode(), WALL_NS)
    assert isinstance(event, RefusalEvent)
    assert len(event.text) == 200
    (event,) = decode(json.dumps({"e": "x" * 10_000}).encode(), WALL_NS)
    assert isinstance(event, NoticeEvent)
    assert len(event.detail) == 200
