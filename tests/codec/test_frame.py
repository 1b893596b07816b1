"""msgspec's exceptions turned into our reasons."""

from __future__ import annotations

from typing import Annotated

import msgspec
import pytest

from feedhandler.codec.frame import (
    FAILURES,
    REASONS,
    FrameError,
    json_tail,
    keep_first,
    keep_good,
    reason_of,
    refuse,
)


class _Data(msgspec.Struct):
    number: int
    short: Annotated[str, msgspec.Meta(max_length=3)] = ""
    pair: Annotated[list[int], msgspec.Meta(max_length=2)] = []


class _One(msgspec.Struct, tag_field="channel", tag="one"):
    data: _Data


class _Two(msgspec.Struct, tag_field="channel", tag="two"):
    data: _Data


_decode = msgspec.json.Decoder(_One | _Two).decode


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (b"", "empty"),
        (b" ", "json"),
        (b'{"channel":"one"', "json"),
        (b'{"channel":"one","data":{"number":1}} x', "json"),
        (b'{"channel":"one","data":{"number":NaN}}', "json"),
        (b"null", "shape"),
        (b"3", "shape"),
        (b"[]", "shape"),
        (b'{"channel":"one","data":{"number":true}}', "type"),
        (b'{"channel":"one","data":{"number":1.0}}', "type"),
        (b'{"channel":"one","data":[]}', "type"),
        (b'{"channel":"one","data":{}}', "missing"),
        (b'{"channel":"three","data":{}}', "unknown_type"),
        (b'{"channel":"one","data":{"number":' + b"1" * 5000 + b"}}", "range"),
        (b'{"channel":"one","data":{"number":1,"short":"1234"}}', "number"),
        (b'{"channel":"one","data":{"number":1,"pair":[1,2,3]}}', "shape"),
        (b'{"channel":"one","x":' + b"[" * 100_000, "depth"),
        (b'{"channel":"one","data":{"number":1,"short":"\xff"}}', "utf8"),
    ],
)
def test_each_failure_has_its_reason(frame: bytes, reason: str) -> None:
    with pytest.raises(FAILURES) as caught:
        _decode(frame)
    assert isinstance(caught.value, Exception)
    assert reason_of(caught.value, frame) == reason
    assert reason in REASONS


def test_refusal_carries_a_bounded_detail() -> None:
    assert len(refuse(ValueError("x" * 10_000), b"?").detail) <= 200


def test_good_items_survive_bad_neighbours() -> None:
    raws = [msgspec.Raw(text) for text in (b'"y"', b"1", b'"x"', b"3")]
    items, errors = keep_good(raws, msgspec.json.Decoder(int).decode)
    assert items == [1, 3]
    assert [error.reason for error in errors] == ["shape", "shape"]


def test_first_item_must_be_good() -> None:
    decode = msgspec.json.Decoder(int).decode
    assert keep_first([msgspec.Raw(b"1"), msgspec.Raw(b"{}")], decode) == ([1], 1)
    assert keep_first([], decode) == ([], 0)
    with pytest.raises(FrameError):
        keep_first([msgspec.Raw(b"{}"), msgspec.Raw(b"3")], decode)


@pytest.mark.parametrize(
    ("text", "tail"),
    [
        ('Already subscribed: {"type":"bbo"}', {"type": "bbo"}),
        ("no object here", {}),
        ("broken {", {}),
        ("", {}),
        ('two {"a":1} {"b":2}', {}),
    ],
)
def test_json_at_the_end_of_a_text_is_read(text: str, tail: dict[str, str]) -> None:
    assert json_tail(text) == tail
