"""Lighter fed with what must not reach a reader: each frame has its one reason."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feedhandler.codec.frame import FrameError
from feedhandler.events import (
    FLAG_LOCKED,
    FLAG_ONE_SIDED,
    TIME_NONE,
    BookEvent,
    QuoteEvent,
    RejectEvent,
    SyncingEvent,
)
from feedhandler.venues._base import Options
from feedhandler.venues.lighter import VENUE, decode
from tests.venues.fed import Fed
from tests.venues.frames import US, WALL_NS, refused
from tests.venues.test_lighter import FORCED, FRAMES, frames

WALL_US = WALL_NS // US
DEEP = b'{"type":"update/ticker","x":' + b"[" * 100_000 + b"]" * 100_000 + b"}"


def dump(message: object) -> bytes:
    return json.dumps(message).encode()


def change(**facts: Any) -> dict[str, Any]:
    level = {"price": "100.0", "size": "1.0"}
    data = {"asks": [], "bids": [level], "nonce": 7, "begin_nonce": 6, **facts}
    return {
        "type": "update/order_book",
        "channel": "order_book:1",
        "order_book": {key: value for key, value in data.items() if value != "absent"},
    }


def image(**facts: Any) -> dict[str, Any]:
    return {
        **change(bids=levels("100"), asks=levels("101"), nonce=6, **facts),
        "type": "subscribed/order_book",
    }


def levels(price: object, size: object = "1.0") -> list[dict[str, object]]:
    return [{"price": price, "size": size}]


def ticker(
    bid: tuple[Any, Any] = ("100.0", "1.5"),
    ask: tuple[Any, Any] = ("101.0", "2.5"),
    nonce: Any = 7,
    time_us: Any = WALL_US,
    market: str = "1",
) -> bytes:
    """Return a `ticker` frame that is newer than the one a session begins with."""
    sides = {
        key: {"price": side[0], "size": side[1]}
        for key, side in (("b", bid), ("a", ask))
    }
    return dump(
        {
            "type": "update/ticker",
            "channel": f"ticker:{market}",
            "nonce": nonce,
            "ticker": {"s": "BTC", **sides, "last_updated_at": time_us},
        }
    )


# --- What a decoder refuses ---------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (change(bids=levels("-1")), "nonpositive"),
        (change(bids=levels("0")), "nonpositive"),
        (change(bids=levels("-0.0")), "nonpositive"),
        (change(bids=levels("1e-400")), "nonpositive"),
        (change(bids=levels("1e13")), "range"),
        (change(bids=levels("1e400")), "range"),
        (change(bids=levels("1e1000000")), "range"),
        (change(bids=levels("9" * 5_000)), "number"),
        (change(bids=levels("nan")), "number"),
        (change(asks=levels("Infinity")), "number"),
        (change(bids=levels("1_000")), "number"),
        (change(bids=levels("+5")), "number"),
        (change(bids=levels("１２")), "number"),
        (change(bids=levels("0x10")), "number"),
        (change(bids=levels("1,5")), "number"),
        (change(bids=levels("")), "number"),
        (change(bids=levels(True)), "type"),
        (change(bids=levels(None)), "type"),
        (change(bids=levels({})), "type"),
        (change(bids=levels("1", "-1")), "range"),
        (change(bids=levels("1", "nan")), "number"),
        (change(bids=[["100", "1"]]), "type"),
        (change(bids=[{"price": "100"}]), "missing"),
        (change(bids=None), "type"),
        (change(bids="absent"), "missing"),
        (change(nonce="absent"), "missing"),
        (change(nonce=-5), "range"),
        (change(nonce=1 << 64), "range"),
        (change(nonce=1.5), "type"),
        (change(nonce=True), "type"),
        (change(last_updated_at=WALL_US + 100_000_000), "time_future"),
        (change(last_updated_at=1_000 * WALL_US), "time"),
        ({**change(), "channel": "ticker:1"}, "shape"),
        ({**change(), "channel": "order_book:"}, "shape"),
        ({"type": "update/order_book", "channel": "order_book:1"}, "missing"),
        ({"type": "update/market_stats", "channel": "market_stats:1"}, "missing"),
        ({"channel": "order_book:1"}, "missing"),
        ({"type": 5}, "type"),
        ([], "shape"),
        (None, "shape"),
        (5, "shape"),
        ("ping", "shape"),
    ],
)
def test_bad_frame_is_refused_with_its_reason(message: object, reason: str) -> None:
    with refused(reason):
        decode(dump(message), WALL_NS)


GOOD = ticker()


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (b"", "empty"),
        (b" \n ", "json"),
        (b"{", "json"),
        (b"\xff", "json"),
        (GOOD + b"x", "json"),
        (GOOD + GOOD, "json"),
        (GOOD.replace(b'"', b"'"), "json"),
        (GOOD[:-1] + b",}", "json"),
        (b"/* */" + GOOD, "json"),
        (GOOD.replace(b'"100.0"', b"NaN"), "json"),
        (GOOD.replace(b'"100.0"', b"1e400"), "range"),
        (GOOD.replace(b"ticker:1", b"ticker:\xff"), "utf8"),
        (GOOD.replace(b"ticker:1", b"ticker:\xc0\xaf"), "utf8"),
        (GOOD.replace(b"ticker:1", rb"ticker:\ud800"), "json"),
        (b"\xef\xbb\xbf" + GOOD, "json"),
        (GOOD.decode().encode("utf-16"), "json"),
        (b"\x1f\x8b\x08\x00\x00\x00\x00\x00", "json"),
        (b"<html><body>502 Bad Gateway</body></html>", "json"),
        (DEEP, "depth"),
        (b"[" * 5_000, "shape"),
    ],
)
def test_what_is_no_document_is_refused(frame: bytes, reason: str) -> None:
    with refused(reason):
        decode(frame, WALL_NS)


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
    kinds = [type(event).__name__ for event in decode(dump(message), WALL_NS)]
    assert kinds == ["AckEvent", "TradeEvent", "TradeEvent", "RejectEvent"]


@pytest.mark.parametrize("key", ["mark_price", "current_funding_rate", "mid_price"])
@pytest.mark.parametrize(("bad", "reason"), [("x", "number"), (5, "type")])
def test_bad_part_of_statistics_leaves_the_others(
    key: str, bad: Any, reason: str
) -> None:
    (frame,) = frames("ws_market_stats_all_update.json")
    message = json.loads(frame)
    message["market_stats"]["0"][key] = bad
    found = decode(dump(message), WALL_NS)
    kinds = [type(event).__name__ for event in found]
    assert kinds == ["FundingEvent", "RejectEvent", "FundingEvent"]
    assert isinstance(found[1], RejectEvent)
    assert found[1].reason == reason
    assert found[2] == decode(frame, WALL_NS)[1]


def test_statistics_without_one_good_part_are_refused() -> None:
    stats = {"mark_price": "x", "open_interest": "5"}
    message = {"type": "update/market_stats", "channel": "market_stats:1"}
    with pytest.raises(FrameError, match="number"):
        decode(dump({**message, "market_stats": stats}), WALL_NS)


@pytest.mark.parametrize("forced", [None, {}, {"7": "row"}, ["row"]])
def test_liquidations_come_in_every_shape(forced: Any) -> None:
    (frame,) = frames("ws_trade_update_liquidation_only.json")
    text = frame.decode()
    message = json.loads(text)
    row = json.dumps(message["liquidation_trades"][0])
    message["liquidation_trades"] = forced
    given = json.dumps(message).replace('"row"', row).encode()
    assert list(decode(given, WALL_NS)) == ([FORCED] if forced else [])


def test_number_of_63_bits_stays_exact_also_as_text() -> None:
    last = (1 << 63) - 1
    for nonce in (last, str(last)):
        (event,) = decode(dump(change(nonce=nonce)), WALL_NS)
        assert isinstance(event, BookEvent)
        assert event.sequence == last


# --- What a session makes of it -----------------------------------------------------


def start() -> Fed:
    first = json.loads(ticker(nonce=6))
    return Fed(VENUE, "1", dump({**first, "type": "subscribed/ticker"}))


def start_book() -> Fed:
    return Fed(VENUE, "1", dump(image()), Options("depth"))


@pytest.mark.parametrize(
    ("frame", "counted"),
    [
        (ticker(bid=("102", "1")), {"crossed": 1}),
        (ticker(nonce=5), {"regressed": 1}),
        (ticker(bid=("1_0", "1")), {"rejected.number": 1}),
        (ticker(bid=("100", "-1")), {"rejected.range": 1}),
        (ticker(bid=("100", "1e-13")), {"rejected.range": 1}),
        (ticker(bid=(True, "1")), {"rejected.type": 1}),
        (ticker(nonce=None), {"rejected.missing": 1}),
        (ticker(nonce=-1), {"rejected.range": 1}),
        (ticker(nonce=1 << 80), {"rejected.range": 1}),
        (ticker(time_us=1_000 * WALL_US), {"rejected.time": 1}),
        (ticker(time_us=WALL_US + 3_600_000_000), {"rejected.time_future": 1}),
        (ticker(market="2"), {"rejected.unsubscribed": 1}),
        (ticker(market="01"), {"rejected.unsubscribed": 1}),
        (ticker(market="1\x1b[31m"), {"rejected.unsubscribed": 1}),
        (
            b'{"type":"update/candle","channel":"candle:1"}',
            {"rejected.unknown_type": 1},
        ),
        (b'{"type":"subscribed/trade","channel":"trade:9","trades":[]}', None),
        (b'{"error":{"code":23000,"message":"Too Many Requests!"}}', None),
        (b'{"type":"error","code":30004,"message":"Failed to fetch"}', None),
    ],
)
def test_frame_that_cannot_be_used_is_counted_and_costs_nothing_else(
    frame: bytes, counted: dict[str, int] | None
) -> None:
    fed = start()
    assert fed.receive(frame) == []
    assert sum(fed.counted.values()) == 1
    if counted is not None:
        assert fed.counted == counted
    assert fed.session.ending is None
    (again,) = fed.receive(ticker(nonce=8))
    assert (again.bid, again.ask) == (100.0, 101.0)


def only_quote(frame: bytes) -> QuoteEvent:
    (event,) = start().receive(frame)
    assert isinstance(event, QuoteEvent)
    return event


@pytest.mark.parametrize("size", ["0", "0.000", "-0.0"])
def test_size_zero_means_that_the_side_is_absent(size: str) -> None:
    event = only_quote(ticker(bid=("100", size)))
    assert event.bid != event.bid
    assert event.bid_size != event.bid_size
    assert event.flags & FLAG_ONE_SIDED


def test_side_of_empty_texts_is_absent() -> None:
    event = only_quote(ticker(ask=("", "")))
    assert event.ask != event.ask
    assert (event.bid, event.flags) == (100.0, FLAG_ONE_SIDED)


def test_locked_ticker_is_published_with_its_flag() -> None:
    assert only_quote(ticker(bid=("101", "1"))).flags & FLAG_LOCKED


@pytest.mark.parametrize("time_us", [0, -5, 1, WALL_US // 1_000])
def test_absurd_time_is_absent_and_the_price_is_used(time_us: int) -> None:
    event = only_quote(ticker(time_us=time_us))
    assert (event.event_ns, event.bid) == (TIME_NONE, 100.0)


def test_unknown_keys_are_ignored() -> None:
    message = json.loads(ticker())
    message["ticker"]["x"] = message["x"] = {"a": [1, {}]}
    assert only_quote(dump(message)).bid == 100.0


@pytest.mark.parametrize("begin", [5, 7, 1 << 40])
def test_change_that_begins_elsewhere_puts_the_book_in_doubt(begin: int) -> None:
    fed = start_book()
    events = fed.receive(dump(change(nonce=begin + 1, begin_nonce=begin)))
    if begin + 1 <= 6:
        assert events == []  # an old change again
    else:
        assert [type(event) for event in events] == [SyncingEvent]
    assert fed.session.ending is None


def test_book_that_a_change_crosses_is_not_published() -> None:
    fed = start_book()
    events = fed.receive(dump(change(bids=levels("102"))))
    assert [type(event) for event in events] == [SyncingEvent]


def test_change_of_a_refused_frame_is_missed() -> None:
    fed = start_book()
    assert fed.receive(dump(change(bids=levels("1_0")))) == []
    events = fed.receive(dump(change(nonce=8, begin_nonce=7)))
    assert [type(event) for event in events] == [SyncingEvent]


def test_duplicate_and_unsorted_levels_of_an_image_show_the_true_best() -> None:
    fed = start_book()
    bids = [*levels("98"), *levels("99", "2"), *levels("99", "3")]
    (event,) = fed.receive(
        dump(
            {
                **image(),
                "order_book": {
                    "bids": bids,
                    "asks": levels("101"),
                    "nonce": 9,
                    "begin_nonce": 0,
                },
            }
        )
    )
    assert (event.bid, event.bid_size) == (99.0, 3.0)


@settings(max_examples=100)
@given(data=st.data())
def test_damaged_frame_never_yields_a_crossed_or_half_absent_quote(
    data: st.DataObject,
) -> None:
    is_book = data.draw(st.booleans())
    frame = bytearray(dump(change()) if is_book else ticker())
    for _ in range(data.draw(st.integers(1, 4))):
        index = data.draw(st.integers(0, len(frame) - 1))
        frame[index] ^= 1 << data.draw(st.integers(0, 7))
    fed = start_book() if is_book else start()
    for event in fed.receive(bytes(frame)):
        if isinstance(event, QuoteEvent):
            assert not event.bid > event.ask
            assert (event.bid == event.bid) == (event.bid_size == event.bid_size)
            assert (event.ask == event.ask) == (event.ask_size == event.ask_size)
    assert fed.session.ending is None


@pytest.mark.parametrize(
    ("ask", "nonce", "disputes"),
    [("101", 6, 0), ("100.5", 6, 1), ("100.5", 7, 0)],
)
def test_ticker_and_book_of_one_number_must_agree(
    ask: str, nonce: int, disputes: int
) -> None:
    first = json.loads(ticker(("100", "1.0"), ("101", "1.0"), nonce=6))
    first["type"] = "subscribed/ticker"
    fed = Fed(VENUE, "1", dump(first), Options("both"))
    book = change(bids=levels("100"), asks=levels(ask), nonce=nonce)
    fed.receive(dump({**book, "type": "subscribed/order_book"}))
    assert fed.counted["disputes"] == disputes
