"""Hyperliquid fed with what must not reach a reader: each frame has its one reason.

A frame goes through a whole session. The quote published before stays the last word,
the session lives on, and the next good frame is taken.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feedhandler.events import (
    FLAG_LOCKED,
    FLAG_ONE_SIDED,
    TIME_NONE,
    QuoteEvent,
    TradeEvent,
)
from feedhandler.venues._base import Options
from feedhandler.venues.hyperliquid import VENUE
from tests.venues.fed import Fed
from tests.venues.frames import MS, WALL_NS

WALL_MS = WALL_NS // MS


def bbo(
    bid: Any = ("100.0", "1.5"),
    ask: Any = ("101.0", "2.5"),
    time: Any = WALL_MS,
    coin: Any = "BTC",
    **more: Any,
) -> bytes:
    """Return a `bbo` frame; a side that is a pair becomes a level."""
    sides = [
        {"px": side[0], "sz": side[1], "n": 1} if isinstance(side, tuple) else side
        for side in (bid, ask)
    ]
    data = {"coin": coin, "time": time, "bbo": sides, **more}
    return json.dumps({"channel": "bbo", "data": data}).encode()


def book(bids: list[Any], asks: list[Any]) -> bytes:
    sides = [
        [
            {"px": row[0], "sz": row[1]} if isinstance(row, tuple) else row
            for row in side
        ]
        for side in (bids, asks)
    ]
    data = {"coin": "BTC", "time": WALL_MS, "levels": sides}
    return json.dumps({"channel": "l2Book", "data": data}).encode()


def raw(text: str) -> bytes:
    """Return a `bbo` frame whose bid price is written as it stands."""
    return bbo(bid=("@", "1.5")).replace(b'"@"', text.encode("utf-8", "surrogatepass"))


GOOD = bbo()


def start() -> Fed:
    return Fed(VENUE, "BTC", GOOD)


DEEP = b'{"channel":"bbo","x":' + b"[" * 100_000 + b"]" * 100_000 + b"}"

REJECTED: dict[str, tuple[bytes, str]] = {
    "empty frame": (b"", "empty"),
    "blanks only": (b" \n ", "json"),
    "truncated": (GOOD[:-3], "json"),
    "trailing garbage": (GOOD + b"x", "json"),
    "two documents": (GOOD + GOOD, "json"),
    "null": (b"null", "shape"),
    "number": (b"5", "shape"),
    "string": (b'"bbo"', "shape"),
    "array": (b"[]", "shape"),
    "single quotes": (GOOD.replace(b'"', b"'"), "json"),
    "comment": (b"/* */" + GOOD, "json"),
    "trailing comma": (GOOD[:-1] + b",}", "json"),
    "literal NaN": (raw("NaN"), "json"),
    "literal Infinity": (raw("Infinity"), "json"),
    "literal 1e400": (raw("1e400"), "range"),
    "price 1e400": (bbo(bid=("1e400", "1")), "range"),
    "price that underflows": (bbo(bid=("1e-400", "1")), "nonpositive"),
    "price -0.0": (bbo(bid=("-0.0", "1")), "nonpositive"),
    "price nan": (bbo(bid=("nan", "1")), "number"),
    "price NaN": (bbo(ask=("NaN", "1")), "number"),
    "price inf": (bbo(bid=("inf", "1")), "number"),
    "price Infinity": (bbo(bid=("Infinity", "1")), "number"),
    "price with underscore": (bbo(bid=("1_000", "1")), "number"),
    "price with blanks": (bbo(bid=(" 1 ", "1")), "number"),
    "price with plus": (bbo(bid=("+5", "1")), "number"),
    "price in full-width digits": (bbo(bid=("１２", "1")), "number"),
    "price in hexadecimal": (bbo(bid=("0x10", "1")), "number"),
    "price with comma": (bbo(bid=("1,5", "1")), "number"),
    "price without exponent": (bbo(bid=("1e", "1")), "number"),
    "price with huge exponent": (bbo(bid=("1e1000000", "1")), "range"),
    "price of 5000 digits": (raw("9" * 5000), "range"),
    "price true": (bbo(bid=(True, "1")), "type"),
    "price null": (bbo(bid=(None, "1")), "type"),
    "price is an object": (bbo(bid=({}, "1")), "type"),
    "price zero": (bbo(bid=("0.0", "1")), "nonpositive"),
    "price negative": (bbo(ask=("-1", "1")), "nonpositive"),
    "price absurdly large": (bbo(ask=("1e13", "1")), "range"),
    "price absurdly small": (bbo(bid=("1e-13", "1")), "range"),
    "size negative": (bbo(bid=("100", "-1")), "range"),
    "size absurdly small": (bbo(bid=("100", "1e-13")), "range"),
    "size nan": (bbo(bid=("100", "nan")), "number"),
    "time as text": (bbo(time=str(WALL_MS)), "type"),
    "time as float": (bbo(time=float(WALL_MS)), "type"),
    "time true": (bbo(time=True), "type"),
    "time null": (bbo(time=None), "type"),
    "time beyond 64 bits": (bbo(time=1 << 80), "time"),
    "time one hour ahead": (bbo(time=WALL_MS + 3_600_000), "time_future"),
    "time in microseconds": (bbo(time=WALL_MS * 1_000), "time"),
    "time in nanoseconds": (bbo(time=WALL_MS * 1_000_000), "time"),
    "missing coin": (GOOD.replace(b'"coin"', b'"c0in"'), "missing"),
    "missing time": (GOOD.replace(b'"time"', b'"t1me"'), "missing"),
    "missing bbo": (GOOD.replace(b'"bbo": [', b'"bb0": ['), "missing"),
    "missing data": (b'{"channel":"bbo"}', "missing"),
    "missing channel": (b'{"data":{}}', "missing"),
    "missing price": (GOOD.replace(b'"px"', b'"p"', 1), "missing"),
    "missing levels": (
        b'{"channel":"l2Book","data":{"coin":"BTC","time":1}}',
        "missing",
    ),
    "list for object": (b'{"channel":"bbo","data":[]}', "shape"),
    "coin is a number": (bbo(coin=5), "type"),
    "three elements": (
        GOOD.replace(b'"bbo": [', b'"bbo": [null,'),
        "shape",
    ),
    "one side of a book": (
        b'{"channel":"l2Book","data":{"coin":"BTC","time":1,"levels":[[]]}}',
        "shape",
    ),
    "nested 100,000 deep": (DEEP, "depth"),
    "invalid UTF-8 in the symbol": (GOOD.replace(b"BTC", b"B\xffC"), "utf8"),
    "overlong UTF-8 in the symbol": (GOOD.replace(b"BTC", b"\xc0\xafC"), "utf8"),
    "lone surrogate in the symbol": (GOOD.replace(b"BTC", rb"\ud800"), "json"),
    "byte-order mark": (b"\xef\xbb\xbf" + GOOD, "json"),
    "UTF-16": (GOOD.decode().encode("utf-16"), "json"),
    "page of HTML": (b"<html><body>502 Bad Gateway</body></html>", "json"),
    "gzip": (b"\x1f\x8b\x08\x00\x00\x00\x00\x00", "json"),
    "symbol not subscribed": (bbo(coin="ETH"), "unsubscribed"),
    "symbol in another case": (bbo(coin="btc"), "unsubscribed"),
    "homoglyph symbol": (bbo(coin="BТC"), "unsubscribed"),
    "symbol with control characters": (bbo(coin="BTC\x00\n\x1b[31m"), "unsubscribed"),
    "bad bid at the touch of a book": (
        book([("x", "1"), ("99", "1")], [("101", "1")]),
        "number",
    ),
    "bad ask at the touch of a book": (
        book([("99", "1")], [("0", "1"), ("102", "1")]),
        "nonpositive",
    ),
    "touch without a price": (book([{"sz": "1"}, ("99", "1")], []), "missing"),
}


@pytest.mark.parametrize("name", REJECTED)
def test_bad_frame_is_counted_once_and_nothing_else_is_lost(name: str) -> None:
    frame, reason = REJECTED[name]
    fed = start()
    assert fed.receive(frame) == []
    assert fed.counted == {f"rejected.{reason}": 1}
    assert fed.session.ending is None
    (again,) = fed.receive(GOOD)
    assert (again.bid, again.ask) == (100.0, 101.0)


@pytest.mark.parametrize(
    ("name", "frame", "counted"),
    [
        ("crossed", bbo(bid=("102", "1")), {"crossed": 1}),
        ("older", bbo(time=WALL_MS - 1), {"regressed": 1}),
        ("unknown channel", b'{"channel":"candle","data":{}}', None),
        ("ack never asked", None, {"acks.unknown": 1}),
    ],
)
def test_frame_that_is_well_formed_but_not_usable_is_counted(
    name: str, frame: bytes | None, counted: dict[str, int] | None
) -> None:
    fed = start()
    ack = (
        b'{"channel":"subscriptionResponse","data":{"method":"subscribe",'
        b'"subscription":{"type":"candle","coin":"BTC"}}}'
    )
    assert fed.receive(frame or ack) == []
    assert fed.counted == (counted or {"rejected.unknown_type": 1})


def test_unknown_channel_is_counted_once_for_each_name() -> None:
    fed = start()
    for name in ("a", "b", "a", "a"):
        fed.receive(b'{"channel":"%s","data":[1]}' % name.encode())
    assert fed.counted == {"rejected.unknown_type": 2}


def only_quote(frame: bytes) -> QuoteEvent:
    fed = start()
    (event,) = fed.receive(frame)
    assert isinstance(event, QuoteEvent)
    return event


def test_size_zero_means_that_the_side_is_absent() -> None:
    for zero in ("0", "0.0", "-0.0"):
        event = only_quote(bbo(bid=("100", zero)))
        assert event.bid != event.bid
        assert event.bid_size != event.bid_size
        assert event.flags & FLAG_ONE_SIDED


def test_first_level_without_size_gives_way_to_the_next() -> None:
    event = only_quote(book([("100", "0"), ("99", "3")], [("101", "1")]))
    assert (event.bid, event.bid_size) == (99.0, 3.0)


def test_empty_sides_are_absent_and_never_zero() -> None:
    event = only_quote(book([], []))
    assert event.bid != event.bid
    assert event.ask != event.ask


def test_locked_book_is_published_with_its_flag() -> None:
    assert only_quote(bbo(bid=("101", "1"))).flags & FLAG_LOCKED


@pytest.mark.parametrize("time", [0, -5, 1, WALL_MS // 1_000])
def test_absurd_time_is_absent_and_the_price_is_used(time: int) -> None:
    event = only_quote(bbo(time=time))
    assert event.event_ns == TIME_NONE
    assert event.bid == 100.0


def test_time_within_a_minute_of_the_future_is_kept() -> None:
    assert only_quote(bbo(time=WALL_MS + 60_000)).event_ns == (WALL_MS + 60_000) * MS


def test_duplicate_keys_we_do_not_use_and_unknown_keys_are_ignored() -> None:
    assert only_quote(bbo(spread="1", nested={"a": [1, {}]})).bid == 100.0


def test_price_far_from_the_last_is_published() -> None:
    assert only_quote(bbo(ask=("101000.0", "1"))).ask == 101_000.0


@pytest.mark.parametrize(
    "bad", [("x", "1"), ("98", "nan"), ("0", "1"), {"px": "98"}, None, 5, ("1e13", "1")]
)
def test_bad_deep_level_is_left_out_and_counted(bad: Any) -> None:
    fed = start()
    frame = book([("99", "3"), bad, ("97", "1")], [("101", "1"), bad])
    (event,) = fed.receive(frame)
    assert (event.bid, event.ask) == (99.0, 101.0)
    assert fed.counted == {"bad_level": 2}


def test_unsorted_book_shows_its_true_best_and_is_counted() -> None:
    fed = start()
    (event,) = fed.receive(
        book([("98", "1"), ("99", "2")], [("102", "3"), ("101", "4")])
    )
    assert (event.bid, event.bid_size, event.ask, event.ask_size) == (99, 2, 101, 4)
    assert fed.counted == {"unsorted": 1}


def trades(*rows: dict[str, Any]) -> bytes:
    base = {"coin": "BTC", "side": "B", "px": "100", "sz": "1", "time": WALL_MS}
    data = [{**base, **row} for row in rows]
    return json.dumps({"channel": "trades", "data": data}).encode()


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"side": "C"}, "side"),
        ({"px": "nan"}, "number"),
        ({"px": "0"}, "nonpositive"),
        ({"sz": "-1"}, "range"),
        ({"tid": "5"}, "type"),
        ({"tid": 1 << 64}, "range"),
        ({"tid": -1}, "range"),
        ({"tid": True}, "type"),
        ({"time": WALL_MS * 1_000}, "time"),
        ({"coin": "ETH"}, "unsubscribed"),
    ],
)
def test_bad_trade_leaves_its_neighbours(row: dict[str, Any], reason: str) -> None:
    fed = start()
    events = fed.receive(trades({"tid": 1}, {"tid": 2, **row}, {"tid": 3}))
    kept = [event.trade_id for event in events if isinstance(event, TradeEvent)]
    assert kept == [1, 3]
    assert fed.counted == {f"rejected.{reason}": 1}


@pytest.mark.parametrize(
    ("key", "bad", "reason"),
    [
        ("funding", "x", "number"),
        ("funding", 0.1, "type"),
        ("markPx", "1e13", "range"),
        ("oraclePx", "nan", "number"),
        ("midPx", True, "type"),
        ("openInterest", "-1", "range"),
    ],
)
def test_bad_part_of_a_context_leaves_the_others(
    key: str, bad: Any, reason: str
) -> None:
    context = {
        "funding": "0.0001",
        "markPx": "100",
        "oraclePx": "100",
        "midPx": "100",
        "openInterest": "5",
    }
    data = {"coin": "BTC", "ctx": {**context, key: bad}}
    fed = start()
    frame = json.dumps({"channel": "activeAssetCtx", "data": data}).encode()
    (event,) = fed.receive(frame)
    values = (
        event.rate_per_hour,
        event.mark_price,
        event.oracle_price,
        event.mid_price,
        event.open_interest,
    )
    absent = [
        name for name, value in zip(context, values, strict=True) if value != value
    ]
    assert absent == [key]
    assert fed.counted == {f"rejected.{reason}": 1}


def test_context_without_one_good_part_is_refused() -> None:
    data = {"coin": "BTC", "ctx": {"funding": "x", "markPx": 5, "midPx": None}}
    fed = start()
    frame = json.dumps({"channel": "activeAssetCtx", "data": data}).encode()
    assert fed.receive(frame) == []
    assert fed.counted == {"rejected.number": 1}


def test_trade_id_of_63_bits_stays_exact() -> None:
    (event,) = start().receive(trades({"tid": (1 << 63) - 1}))
    assert event.trade_id == (1 << 63) - 1


@settings(max_examples=300)
@given(data=st.data())
def test_damaged_frame_never_yields_a_crossed_or_half_absent_quote(
    data: st.DataObject,
) -> None:
    frame = bytearray(data.draw(st.sampled_from([GOOD, book([("99", "1")], [])])))
    for _ in range(data.draw(st.integers(1, 4))):
        index = data.draw(st.integers(0, len(frame) - 1))
        frame[index] ^= 1 << data.draw(st.integers(0, 7))
    fed = start()
    for event in fed.receive(bytes(frame[: data.draw(st.integers(0, len(frame)))])):
        if isinstance(event, QuoteEvent):
            assert not event.bid > event.ask
            assert (event.bid == event.bid) == (event.bid_size == event.bid_size)
            assert (event.ask == event.ask) == (event.ask_size == event.ask_size)
    assert fed.session.ending is None


@pytest.mark.parametrize("frame", [GOOD, book([("99", "1")], [("101", "1")])])
def test_frame_cut_at_any_byte_is_refused(frame: bytes) -> None:
    fed = start()
    for end in range(len(frame)):
        assert fed.receive(frame[:end]) == []
    assert sum(fed.counted.values()) == len(frame)


@pytest.mark.parametrize(
    ("ask", "time", "disputes"),
    [("101", WALL_MS, 0), ("100.5", WALL_MS, 1), ("100.5", WALL_MS + 1, 0)],
)
def test_quote_and_book_of_one_block_must_agree(
    ask: str, time: int, disputes: int
) -> None:
    fed = Fed(VENUE, "BTC", GOOD, Options("both"))
    image = book([("100", "1.5")], [(ask, "2.5")])
    fed.receive(image.replace(str(WALL_MS).encode(), str(time).encode()))
    assert fed.counted["disputes"] == disputes
