"""Binary frames are read by the lengths they tell, and refused when these lie."""

from __future__ import annotations

import base64
import contextlib
import json
import math
import struct
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedhandler.codec import sbe
from feedhandler.codec.frame import REASONS, FrameError
from tests.support import ROOT

FRAMES = ROOT / "tests/venues/paradex/frames"
BBO = struct.Struct("<6q")
BOOK = struct.Struct("<qqB9q")
LEVEL = struct.Struct("<qq")
UNIT = 10**8


def recorded(stem: str) -> Iterator[tuple[bytes, dict[str, Any]]]:
    """Each binary frame of a recording with what it says."""
    lines = (FRAMES / f"{stem}_recorded.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    frames = [base64.b64decode(row["b64"]) for row in rows if "b64" in row]
    decoded = (FRAMES / f"{stem}_decoded.jsonl").read_text().splitlines()
    yield from zip(frames, map(json.loads, decoded), strict=True)


def constructed(name: str) -> bytes:
    for line in (FRAMES / "sbe_frames_constructed.jsonl").read_text().splitlines():
        row = json.loads(line)
        if row["name"] == name:
            return bytes.fromhex(row["hex"])
    raise LookupError(name)


def levels(rows: list[sbe.Row]) -> list[list[float]]:
    return [[sbe.decimal(number, UNIT) for number in row] for row in rows]


def walk(frame: bytes) -> tuple[list[sbe.Row], list[sbe.Row], str]:
    """Read a book's frame from end to end."""
    block_bytes, *_ = sbe.header(frame)
    sbe.block(frame, block_bytes, BOOK)
    bids, end = sbe.rows(frame, sbe.HEADER_BYTES + block_bytes, LEVEL)
    asks, end = sbe.rows(frame, end, LEVEL)
    market, _ = sbe.text(frame, end)
    return bids, asks, market


def first_text(frame: bytes) -> tuple[str, int]:
    """Read the text behind the root block, where there is no group."""
    return sbe.text(frame, sbe.HEADER_BYTES + sbe.header(frame)[0])


def test_recorded_touches_are_read() -> None:
    for frame, said in recorded("sbe_bbo_btc"):
        block_bytes = said["block_length"]
        assert sbe.header(frame) == (block_bytes, 2, 1, said["schema_version"])
        ts_us, seq, *touch = sbe.block(frame, block_bytes, BBO)
        assert (ts_us, seq) == (said["ts_us"], said["seq"])
        names = ("bid_price", "bid_size", "ask_price", "ask_size")
        expected = [float(said[name]) for name in names]
        assert [sbe.decimal(number, UNIT) for number in touch] == expected
        market, end = first_text(frame)
        assert market == said["market"]
        assert sbe.is_over(frame, end)


def test_recorded_books_are_read() -> None:
    depths = []
    for frame, said in recorded("sbe_order_book_deltas_eth"):
        block_bytes, *_ = sbe.header(frame)
        ts_us, seq, package, *bests = sbe.block(frame, block_bytes, BOOK)
        assert (ts_us, seq) == (said["ts_us"], said["seq"])
        assert ("SNAPSHOT", "DELTA")[package] == said["pkg_type"]
        assert bests == [sbe.NULL_INT64] * len(said["best_fields"])
        bids, end = sbe.rows(frame, sbe.HEADER_BYTES + block_bytes, LEVEL)
        asks, end = sbe.rows(frame, end, LEVEL)
        for side, rows in (("bids", bids), ("asks", asks)):
            expected = [[float(text) for text in row] for row in said[side]]
            assert levels(rows) == expected
        assert sbe.text(frame, end) == (said["market"], len(frame))
        depths.append((len(bids), len(asks)))
    assert depths[0] == (124, 30)
    assert (0, 0) in depths


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_every_kind_of_buffer_is_read(kind: Any) -> None:
    frame, _ = next(recorded("sbe_order_book_deltas_eth"))
    assert walk(kind(frame)) == walk(frame)


def test_longer_block_and_longer_entries_are_skipped() -> None:
    frame = constructed("bbo_longer_block_skip")
    assert sbe.header(frame)[0] == 56
    assert sbe.block(frame, 56, BBO)[1] == 7687289302
    assert first_text(frame)[0] == "BTC-USD-PERP"
    bids, asks, market = walk(constructed("book_delta_longer_entries"))
    assert [(price / UNIT, size / UNIT) for price, size in bids] == [(61998.0, 4.0)]
    assert (asks, market) == ([], "BTC-USD-PERP")


def test_text_of_a_newer_version_may_be_absent() -> None:
    for name, expected in (
        ("trade_v1", None),
        ("trade_v2_with_trade_id_str", "1791427988628201709233240001"),
    ):
        frame = constructed(name)
        market, end = first_text(frame)
        assert market == "BTC-USD-PERP"
        absent = sbe.is_over(frame, end)
        assert absent == (expected is None)
        if expected is not None:
            assert sbe.text(frame, end) == (expected, len(frame))


@pytest.mark.parametrize("name", ["book_snapshot_1000", "trade_v2_with_trade_id_str"])
def test_frame_cut_anywhere_is_short(name: str) -> None:
    whole = constructed(name)

    def read(frame: bytes) -> None:
        if name.startswith("book"):
            walk(frame)
            return
        sbe.text(frame, first_text(frame)[1])

    read(whole)
    for length in range(len(whole)):
        with pytest.raises(FrameError) as caught:
            read(whole[:length])
        assert caught.value.reason == ("short" if length else "empty")
        assert caught.value.reason in REASONS


def test_truncated_block_is_short_at_the_header() -> None:
    with pytest.raises(FrameError, match="short"):
        sbe.header(constructed("truncated_block"))


def test_block_shorter_than_the_layout_is_short() -> None:
    frame = constructed("heartbeat")
    block_bytes, *_ = sbe.header(frame)
    assert sbe.block(frame, block_bytes, LEVEL) == (1791427988629000, 0)
    with pytest.raises(FrameError, match="short"):
        sbe.block(frame, block_bytes, BBO)


@pytest.mark.parametrize("entry_bytes", [0, 1, 15])
def test_entries_shorter_than_the_layout_are_short(entry_bytes: int) -> None:
    frame = struct.pack("<HH", entry_bytes, 4) + bytes(4 * entry_bytes)
    with pytest.raises(FrameError, match="short"):
        sbe.rows(frame, 0, LEVEL)


def test_empty_group_has_no_rows_whatever_its_entries_are() -> None:
    for entry_bytes in (0, 1, 16, 24):
        frame = struct.pack("<HH", entry_bytes, 0)
        assert sbe.rows(frame, 0, LEVEL) == ([], 4)


def test_count_beyond_the_frame_is_short_before_anything_is_built() -> None:
    with pytest.raises(FrameError, match="short"):
        sbe.rows(struct.pack("<HH", 0xFFFF, 0xFFFF) + bytes(64), 0, LEVEL)


def test_text_that_is_not_utf8_says_so() -> None:
    with pytest.raises(FrameError) as caught:
        sbe.text(b"\x02\xff\xfe", 0)
    assert caught.value.reason == "utf8"


def test_unknown_template_is_read_as_far_as_its_header() -> None:
    assert sbe.header(constructed("unknown_template_99_must_skip"))[1:] == (99, 1, 3)
    assert sbe.header(constructed("wrong_schema_id_2"))[2] == 2


def test_null_is_not_a_number() -> None:
    frame = constructed("bbo_null_ask")
    touch = sbe.block(frame, sbe.header(frame)[0], BBO)[2:]
    bid, bid_size, ask, ask_size = (sbe.decimal(number, UNIT) for number in touch)
    assert (bid, bid_size) == (83422.0, 0.01)
    assert math.isnan(ask)
    assert math.isnan(ask_size)


@given(st.integers(-(2**63) + 1, 2**63 - 1), st.sampled_from([8, 12]))
def test_decimal_is_the_double_of_its_text(mantissa: int, decimals: int) -> None:
    sign = "-" if mantissa < 0 else ""
    digits = f"{abs(mantissa):0{decimals + 1}d}"
    text = f"{sign}{digits[:-decimals]}.{digits[-decimals:]}"
    assert sbe.decimal(mantissa, 10**decimals) == float(text)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(frame: bytes) -> None:
    with contextlib.suppress(FrameError):
        walk(frame)
