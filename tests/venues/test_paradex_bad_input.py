"""Paradex fed with what must not reach a reader: each frame has its one reason."""

from __future__ import annotations

import contextlib
import json
import struct
from collections.abc import Sequence
from math import isfinite, isnan
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feedhandler.codec.frame import REASONS, FrameError
from feedhandler.events import (
    SIDE_NONE,
    TIME_NONE,
    BookEvent,
    Event,
    NoticeEvent,
    QuoteEvent,
    TradeEvent,
)
from tests.venues.frames import US
from tests.venues.test_paradex import (
    BINARY,
    BTC,
    CONSTRUCTED,
    WALL_NS,
    decode,
    recorded,
    texts,
)

NULL = -(1 << 63)
UNIT = 10**8
NOW_US = WALL_NS // US
DAY_US = 86_400_000_000
TAIL = bytes([len(BTC)]) + BTC.encode()
IMAGE, *CHANGES = recorded("sbe_order_book_deltas_eth")
WHOLE = {**CONSTRUCTED, "touch": recorded("sbe_bbo_btc")[0], "change": CHANGES[0]}
DATA = (QuoteEvent, BookEvent, TradeEvent)


def binary(template: int, block: bytes, tail: bytes = TAIL) -> bytes:
    return struct.pack("<4H", len(block), template, 1, 1) + block + tail


def bbo(
    *, time_us: int = NOW_US, seq: int = 7, touch: Sequence[int] = (1, 2, 3, 4)
) -> bytes:
    scaled = [value * UNIT if abs(value) < UNIT else value for value in touch]
    return binary(2, struct.pack("<6q", time_us, seq, *scaled))


def book(
    *levels: tuple[int, int], package: int = 1, seq: int = 7, asks: bytes = b""
) -> bytes:
    block = struct.pack("<qqB9q", NOW_US, seq, package, *[NULL] * 9)
    bids = struct.pack("<2H", 16, len(levels))
    bids += b"".join(struct.pack("<2q", *level) for level in levels)
    return binary(3, block, bids + (asks or struct.pack("<2H", 16, 0)) + TAIL)


def trade(*, side: int = 1, price: int = 1, size: int = 1, kind: int = 1) -> bytes:
    facts = (NOW_US, 7, 99, side, price * UNIT, size * UNIT, NOW_US, kind)
    return binary(1, struct.pack("<qqqBqqqB", *facts))


def text(channel: str, **data: Any) -> bytes:
    params = {"channel": channel, "data": data}
    message = {"jsonrpc": "2.0", "method": "subscription", "params": params}
    return json.dumps(message).encode()


def quote(**facts: Any) -> bytes:
    data = {"bid": "1", "bid_size": "2", "ask": "3", "ask_size": "4", **facts}
    return text(f"bbo.{BTC}", **{"market": BTC, "seq_no": 7, **data})


def change(**facts: Any) -> bytes:
    level = {"side": "BUY", "price": "1", "size": "2", **facts}
    data = {"market": BTC, "seq_no": 7, "update_type": "d", "inserts": [level]}
    return text(f"order_book.{BTC}.deltas", updates=[], deletes=[], **data)


def reason_of(frame: bytes) -> str:
    with pytest.raises(FrameError) as caught:
        decode(frame, WALL_NS)
    assert caught.value.reason in REASONS
    return caught.value.reason


# --- Lengths --------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(WHOLE))
def test_frame_cut_anywhere_is_short(name: str) -> None:
    whole = WHOLE[name]
    for length in range(1, len(whole)):
        if name == "trade_v2_with_trade_id_str" and length == 71:
            continue  # cut before a text that may be absent: a whole trade
        if name == "wrong_schema_id_2" and length >= 16:
            continue
        assert reason_of(whole[:length]) == "short", length
    assert reason_of(b"") == "empty"


def test_recorded_image_cut_anywhere_is_short() -> None:
    for length in range(1, len(IMAGE)):
        assert reason_of(IMAGE[:length]) == "short"


@pytest.mark.parametrize("name", sorted(set(BINARY) - {"trade_v1"}))
def test_longer_blocks_and_later_parts_are_skipped(name: str) -> None:
    """A newer version makes the block longer and appends texts; not for a trade of
    version 1, whose next text would be its id.
    """
    frame = CONSTRUCTED[name]
    block_bytes, *others = struct.unpack_from("<4H", frame)
    # A summary's block already grows from version to version.
    head = struct.pack("<4H", block_bytes + 24, *others)
    end = 8 + block_bytes
    longer = head + frame[8:end] + b"\x80" * 24 + frame[end:] + b"\x03new"
    if name in ("trade_liquidation_seq0", "markets_summary_v0"):
        longer = longer[:-4]
    expected, found = decode(frame, WALL_NS), decode(longer, WALL_NS)
    assert repr(list(found)) == repr(list(expected))


@pytest.mark.parametrize("entry_bytes", [0, 1, 15])
def test_entries_too_short_for_a_level_are_short(entry_bytes: int) -> None:
    asks = struct.pack("<2H", entry_bytes, 1) + bytes(entry_bytes)
    assert reason_of(book(asks=asks)) == "short"


def test_counts_beyond_the_frame_are_short() -> None:
    assert reason_of(book(asks=struct.pack("<2H", 0xFFFF, 0xFFFF))) == "short"


@pytest.mark.parametrize("template", [0, 6, 20, 23, 41, 0xFFFF])
def test_template_that_is_not_ours_is_skipped_and_named(template: int) -> None:
    (event,) = decode(binary(template, bytes(64)), WALL_NS)
    assert event == NoticeEvent("unknown_type", 1, f"template {template}")


def test_block_length_that_looks_like_a_brace_is_binary() -> None:
    assert ord("{") == 123
    longer = bbo()[8:56] + bytes(123 - 48)
    (event,) = decode(binary(2, longer), WALL_NS)
    assert isinstance(event, QuoteEvent)
    (event,) = decode(binary(2, longer + bytes(256)), WALL_NS)
    assert isinstance(event, QuoteEvent)


# --- Values ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (bbo(touch=(0, 1, 3, 4)), "nonpositive"),
        (bbo(touch=(-1, 1, 3, 4)), "nonpositive"),
        (bbo(touch=(1, -1, 3, 4)), "range"),
        (bbo(touch=(1, 2, 3, NULL)), "range"),
        (bbo(seq=-1), "range"),
        (bbo(seq=NULL), "range"),
        (bbo(time_us=NOW_US + 3_600_000_000), "time_future"),
        (bbo(time_us=NOW_US * 1_000), "time"),
        (bbo()[:-3] + b"\xff\xfe\xfd", "utf8"),
        (book((0, 1)), "range"),
        (book((UNIT, UNIT), (NULL, 1)), "range"),
        (book((1, -1)), "range"),
        (book((1, 1), seq=-1), "range"),
        (book((1, 1), package=2), "type"),
        (trade(side=3), "side"),
        (trade(price=0), "nonpositive"),
        (trade(size=-1), "nonpositive"),
        (b"{", "short"),
        (b'{"id":1', "json"),
        (b"{}", "missing"),
        (b'{"result":{}}', "missing"),
        (b'{"id":1,"result":5}', "type"),
        (b'{"params":{"channel":"bbo.X"}}', "missing"),
        (text("bbo.X"), "missing"),
        (text("bbo.X", market=BTC), "range"),
        (quote(bid="x"), "number"),
        (quote(bid="0"), "nonpositive"),
        (quote(bid=""), "number"),
        (quote(ask_size="-1"), "range"),
        (quote(ask_size=1), "type"),
        (quote(last_updated_at=NOW_US), "time"),
        (change(side="BID"), "side"),
        (change(price="-1"), "nonpositive"),
        (change(size="nan"), "number"),
        (text("order_book.X.deltas", market=BTC, seq_no=1, update_type="q"), "type"),
        (text("order_book.X.deltas", market=BTC, seq_no=1, update_type="d"), "missing"),
        (text("trades.X", market=BTC, price="1", size="1"), "side"),
        (text("trades.X", market=BTC, side="BUY", price="1", size="0"), "nonpositive"),
        (text("funding_data.X", market=BTC, funding_rate="x"), "number"),
    ],
)
def test_frame_of_no_use_is_refused_with_its_reason(frame: bytes, reason: str) -> None:
    assert reason_of(frame) == reason


@pytest.mark.parametrize(
    "frame",
    [
        bbo(touch=(NULL, NULL, 3, 4)),
        bbo(touch=(NULL, 5, 3, 4)),
        bbo(touch=(1, 0, 3, 4)),
        quote(bid=None, bid_size=None),
        quote(bid="", bid_size=""),
        quote(bid="0", bid_size="0"),
    ],
)
def test_side_of_an_empty_book_is_absent(frame: bytes) -> None:
    (event,) = decode(frame, WALL_NS)
    assert isinstance(event, QuoteEvent)
    assert isnan(event.bid)
    assert isnan(event.bid_size)
    assert (event.ask, event.ask_size) == (3.0, 4.0)


def test_time_that_is_not_there_is_absent() -> None:
    (event,) = decode(bbo(time_us=0), WALL_NS)
    assert isinstance(event, QuoteEvent)
    assert event.event_ns == TIME_NONE


# --- Trades ---------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [1, 2, 5])
def test_execution_is_a_trade(kind: int) -> None:
    (event,) = decode(trade(kind=kind, side=254), WALL_NS)
    assert event == TradeEvent(BTC, WALL_NS, 1.0, 1.0, SIDE_NONE, 99)


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (3, "UNWIND_TRANSFER"),
        (4, "SETTLE_MARKET"),
        (6, "BLOCK_TRADE"),
        (254, "254"),
    ],
)
def test_what_the_book_did_not_execute_is_no_trade(kind: int, name: str) -> None:
    expected = [NoticeEvent("unknown_type", 1, f"trade {name}")]
    assert list(decode(trade(kind=kind), WALL_NS)) == expected


@pytest.mark.parametrize(
    ("number", "appended", "trade_id"),
    [
        (5, None, 5),
        (-1, None, 0),
        ((1 << 63) - 1, None, 0),
        (NULL, None, 0),
        (-2, None, (1 << 63) - 2),
        (5, "1791427988628201709233240001", 6568916762970290113),
        (5, "77", 77),
        (5, "", 5),
        (5, "a-b", 5),
        (5, "9" * 41, 5),
        (5, "٣", 5),
    ],
)
def test_trade_is_named_by_63_bits(
    number: int, appended: str | None, trade_id: int
) -> None:
    facts = (NOW_US, 7, number, 1, UNIT, UNIT, NOW_US, 1)
    tail = TAIL
    if appended is not None:
        tail += bytes([len(appended.encode())]) + appended.encode()
    (event,) = decode(binary(1, struct.pack("<qqqBqqqB", *facts), tail), WALL_NS)
    assert isinstance(event, TradeEvent)
    assert event.trade_id == trade_id


# --- Anything -------------------------------------------------------------------------


def assert_usable(events: Sequence[Event]) -> None:
    for event in events:
        if isinstance(event, BookEvent):
            for price, size in event.bids + event.asks:
                assert 0 < price < 1e12
                assert 0 <= size < 1e12
        elif isinstance(event, QuoteEvent):
            sides = ((event.bid, event.bid_size), (event.ask, event.ask_size))
            for price, size in sides:
                assert isnan(price) == isnan(size)
                assert isnan(price) or (price > 0 and size > 0)
        elif isinstance(event, TradeEvent):
            assert event.price > 0
            assert isfinite(event.size)
            assert 0 <= event.trade_id < 1 << 63


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_frame_with_any_bytes_changed_is_refused_or_usable(data: st.DataObject) -> None:
    whole = data.draw(st.sampled_from(sorted(WHOLE.values())))
    frame = bytearray(whole)
    for at in data.draw(st.lists(st.integers(0, len(frame) - 1), max_size=4)):
        frame[at] = data.draw(st.integers(0, 255))
    with contextlib.suppress(FrameError):
        assert_usable(decode(frame, WALL_NS))


@given(st.binary(max_size=120))
@settings(max_examples=200, deadline=None)
def test_any_bytes_are_refused_or_usable(frame: bytes) -> None:
    for start in (b"", b"{", b"\x30\x00\x02\x00\x01\x00\x01\x00"):
        with contextlib.suppress(FrameError):
            assert_usable(decode(start + frame, WALL_NS))


def test_text_cut_anywhere_is_refused() -> None:
    for frame in texts("ws_json_bbo_constructed.json"):
        for length in range(len(frame)):
            reason_of(frame[:length])
