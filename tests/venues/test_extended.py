"""Extended: every frame we hold, against what its documentation says it means.

The expected values are written by hand from the protocol's description, next to the
frame they belong to. extended/frames/PROVENANCE.md says where each came from.
"""

from __future__ import annotations

import json
from math import nan
from typing import Any

import pytest

from feedhandler.codec.frame import FrameError
from feedhandler.events import (
    SIDE_ASK,
    SIDE_BID,
    TIME_NONE,
    AckEvent,
    AddEvent,
    BookEvent,
    Event,
    FrameEvent,
    FundingEvent,
    NoticeEvent,
    PongEvent,
    QuoteEvent,
    RefusalEvent,
    RejectEvent,
    TickEvent,
    TradeEvent,
    UnsubscribedEvent,
)
from feedhandler.venues.extended import VENUE, decode
from tests.venues.frames import HOUR_NS, MS, comparable, directory, forms, lines

# 2026-09-26 14:40:09 UTC: after every recorded frame, and not on the hour.
WALL_NS = 1_790_433_609_000 * MS
BTC = "BTC-USD"
PATHS = VENUE.at("wss://host.example/stream.extended.exchange/v1")

Levels = list[tuple[float, float]]
Steps = list[tuple[float, float, float]]


def image(seq: int, time_ms: int, bids: Levels, asks: Levels) -> list[Event]:
    return [FrameEvent(seq), BookEvent(BTC, time_ms * MS, True, bids, asks)]


def change(seq: int, time_ms: int, bids: Steps, asks: Steps) -> list[Event]:
    return [FrameEvent(seq), AddEvent(BTC, time_ms * MS, bids, asks)]


def tick(seq: int) -> list[Event]:
    return [FrameEvent(seq), TickEvent(BTC)]


def rate(seq: int, time_ms: int, per_hour: float) -> list[Event]:
    facts = (per_hour, HOUR_NS, TIME_NONE, nan, nan, nan, nan)
    return [FrameEvent(seq), FundingEvent(BTC, time_ms * MS, *facts)]


# fmt: off
RECORDED_BIDS = [
    (84077.0, 0.41547), (84076.0, 0.25114), (84075.0, 0.82176), (84073.0, 0.00093),
    (84072.0, 0.71997), (84071.0, 0.00118), (84069.0, 0.0002), (84068.0, 0.71908),
    (84067.0, 0.5981), (84066.0, 0.59468), (84065.0, 0.59468), (84064.0, 0.59471),
    (84063.0, 0.59606), (84062.0, 1.31496), (84061.0, 0.1381), (84060.0, 0.00021),
    (84059.0, 0.85718), (84058.0, 0.06023), (84057.0, 0.05976), (84056.0, 0.7904),
    (84055.0, 0.05941), (84054.0, 0.71908), (84053.0, 3.04234), (84052.0, 0.03512),
    (84051.0, 0.00021), (84050.0, 0.81908), (84049.0, 0.8715), (84046.0, 0.00432),
    (6400.0, 0.0074), (1.0, 45.0),
]
RECORDED_ASKS = [
    (84078.0, 2.8169), (84079.0, 2.17109), (84080.0, 0.05963), (84081.0, 0.59523),
    (84083.0, 0.65589), (84084.0, 0.10089), (84085.0, 0.83242), (84086.0, 4.49372),
    (84087.0, 0.59481), (84088.0, 0.00272), (84089.0, 0.0012), (84093.0, 1.43816),
    (84094.0, 0.00011), (84096.0, 0.0002), (84098.0, 0.71908), (84100.0, 0.01238),
    (84101.0, 0.00021), (84103.0, 0.76801), (84104.0, 0.00595), (84105.0, 0.0002),
    (84107.0, 0.07544), (84108.0, 2.99615), (84114.0, 0.0002), (99775.0, 0.05),
    (100000.0, 0.25),
]
# fmt: on
RECORDED_IMAGE = image(0, 1790425441918, RECORDED_BIDS, RECORDED_ASKS)
RECORDED_CHANGE = change(
    1,
    1790425441925,
    [
        (84074.0, 0.00118, 0.00118),
        (84073.0, 0.00082, 0.00175),
        (84069.0, 0.00482, 0.00502),
        (84067.0, 0.00253, 0.60063),
        (84053.0, -0.04619, 2.99615),
        (84050.0, -0.1, 0.71908),
        (84049.0, -0.15227, 0.71923),
    ],
    [(84078.0, -0.26796, 2.54894)],
)

# Fixture -> the events of each of its frames, in order.
EXPECTED: dict[str, list[list[Event]]] = {
    "ws_v1_candles_sdk.json": [
        [FrameEvent(1), NoticeEvent("unknown_type", 1, "CANDLE")]
    ],
    "ws_v1_frames_docs.jsonl": [
        image(1, 1701563440000, [(25670.0, 0.1)], [(25770.0, 0.1)]),
        change(2, 1701563440000, [(25670.0, 0.1, nan)], [(25770.0, 0.1, nan)]),
        [
            FrameEvent(2),
            TradeEvent(BTC, 1701563440000 * MS, 25670.0, 0.1, SIDE_BID, 25124),
        ],
        rate(2, 1701563440000, 0.001),
        tick(1),
        tick(1),
        [FrameEvent(1), NoticeEvent("unknown_type", 1, "CANDLE")],
    ],
    "ws_v1_mark_price_2026.json": [tick(1)],
    "ws_v1_orderbook_snapshot_sdk.json": [
        image(
            570,
            1704798222748,
            [(43547.0, 0.008), (43548.0, 0.007)],
            [(43546.0, 0.008)],
        )
    ],
    "ws_v2_errors.jsonl": [
        [RefusalEvent("invalid", "#1", "-32602 Invalid params")],
        [RefusalEvent("invalid", "#1", "1001 Market not found")],
        [NoticeEvent("venue_error", 1, "1001 Market not found.")],
        [FrameEvent(1), NoticeEvent("venue_error", 1, "UNKNOWN_MARKET")],
    ],
    "ws_v2_funding_rate.json": [rate(0, 1790426050286, 0.000013)],
    "ws_v2_index_price.json": [tick(314)],
    "ws_v2_mark_price.json": [tick(312)],
    "ws_v2_orderbook_delta.json": [RECORDED_CHANGE],
    "ws_v2_orderbook_depth1.json": [
        [
            FrameEvent(3),
            QuoteEvent(BTC, 1790425441918 * MS, 3, 84077.0, 0.41547, 84078.0, 2.8169),
        ]
    ],
    "ws_v2_orderbook_gap_sequence.jsonl": [
        image(0, 1790425441000, [(100.0, 1.0)], [(101.0, 2.0)]),
        tick(1),
        change(
            2,
            1790425441100,
            [(100.0, 0.5, 1.5)],
            [(101.0, -2.0, 0.0), (102.0, 3.0, 3.0)],
        ),
        change(4, 1790425441200, [(100.0, -0.5, 1.0)], []),
        image(0, 1790425443000, [(100.0, 1.0)], [(102.0, 3.0)]),
    ],
    "ws_v2_orderbook_snapshot_then_delta.jsonl": [RECORDED_IMAGE, RECORDED_CHANGE],
    "ws_v2_orderbook_snapshot_trimmed.json": [RECORDED_IMAGE],
    "ws_v2_rpc_responses.jsonl": [
        [AckEvent("#1")],
        [AckEvent("#2")],
        [AckEvent("#3")],
        [AckEvent("#4")],
        [AckEvent("#5")],
        [NoticeEvent("unknown_type", 1, "list-subscriptions")],
    ],
}
ELSEWHERE = {
    "ws_v1_orderbook_snapshot_2026.json",
    "ws_v2_requests.jsonl",
    "ws_v2_trades_replay.json",
}


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_frame_means_what_the_protocol_says(name: str) -> None:
    found = lines("extended", name)
    assert len(found) == len(EXPECTED[name])
    for frame, expected in zip(found, EXPECTED[name], strict=True):
        for given in forms(frame):
            assert comparable(decode(given, WALL_NS)) == comparable(expected)


def test_every_frame_file_has_an_expected_result() -> None:
    present = {path.name for path in directory("extended").glob("ws_*")}
    assert present == set(EXPECTED) | ELSEWHERE


def test_replay_has_every_trade_once_oldest_first_with_exact_ids() -> None:
    (frame,) = lines("extended", "ws_v2_trades_replay.json")
    number, *trades = decode(frame, WALL_NS)
    assert number == FrameEvent(299)
    assert len(trades) == 50
    assert trades[0] == TradeEvent(
        BTC, 1790425202790 * MS, 84118.0, 0.00237, SIDE_ASK, 2103821900219158529
    )
    assert trades[-1] == TradeEvent(
        BTC, 1790425440252 * MS, 84077.0, 0.03238, SIDE_ASK, 2103822896206974978
    )
    ids = [row.trade_id for row in trades if isinstance(row, TradeEvent)]
    assert ids == sorted({*ids})
    assert ids == [row["i"] for row in json.loads(frame)["data"]]


def test_book_whose_number_was_cut_off_proves_no_order() -> None:
    (frame,) = lines("extended", "ws_v1_orderbook_snapshot_2026.json")
    with pytest.raises(FrameError, match="missing"):
        decode(frame, WALL_NS)
    numbered = frame.replace(b'"ts":', b'"seq":7,"ts":')
    expected = image(7, 1778692308650, [(79125.0, 0.00071)], [(79126.0, 0.36975)])
    assert comparable(decode(numbered, WALL_NS)) == comparable(expected)


# --- The two books of one market ----------------------------------------------------


def book(topic: str, kind: str = "ORDERBOOKS.SNAPSHOT", **facts: Any) -> bytes:
    data = {"m": BTC, "b": [{"p": "100", "q": "1"}], "a": [{"p": "101", "q": "2"}]}
    frame = {"type": kind, "data": data, "ts": 0, "seq": 5, **facts}
    if topic:
        frame["subscription"] = topic
    data.update(frame.pop("more", {}))
    return json.dumps(frame).encode()


def kind_of(frame: bytes) -> str:
    (number, event) = decode(frame, WALL_NS)
    assert number == FrameEvent(5)
    return type(event).__name__


@pytest.mark.parametrize("depth", ["f", "1", "guess", ""])
def test_topic_tells_the_touch_from_the_book_whatever_the_depth_says(
    depth: str,
) -> None:
    for topic, expected in (
        ("orderbooks.1.BTC-USD", "QuoteEvent"),
        ("orderbooks.BTC-USD", "BookEvent"),
    ):
        assert kind_of(book(topic, more={"d": depth})) == expected


@pytest.mark.parametrize("topic", ["", "orderbooks.ETH-USD", "trades.BTC-USD"])
def test_path_that_was_opened_goes_before_what_a_frame_says(topic: str) -> None:
    for path, expected in (
        ("orderbooks.1.BTC-USD", QuoteEvent),
        ("orderbooks.BTC-USD", BookEvent),
    ):
        by_path = PATHS.stream_decoder({}, path)
        for frame in (book(topic, "SNAPSHOT"), slow(book(topic, "SNAPSHOT"))):
            number, found = by_path(frame, WALL_NS)
            assert number == FrameEvent(5)
            assert type(found) is expected


def slow(frame: bytes) -> bytes:
    """Return the same frame as the decoder of good books does not read it."""
    return frame.replace(b'{"type"', b'{"type":"seen first","type"', 1)


def test_path_frame_of_another_market_is_refused() -> None:
    frame = book("", "SNAPSHOT")
    with pytest.raises(FrameError, match=r"subscription=orderbooks\.ETH-USD"):
        PATHS.stream_decoder({}, "orderbooks.ETH-USD")(frame, WALL_NS)
    number, refused = PATHS.stream_decoder({}, "orderbooks.1.ETH-USD")(frame, WALL_NS)
    assert number == FrameEvent(5)
    assert isinstance(refused, RejectEvent)


@pytest.mark.parametrize(
    ("path", "lines_of", "number"),
    [
        ("orderbooks.BTC-USD", "ws_v1_frames_docs.jsonl", 0),
        ("orderbooks.BTC-USD", "ws_v1_frames_docs.jsonl", 1),
        ("trades.BTC-USD", "ws_v1_frames_docs.jsonl", 2),
        ("prices.mark.BTC-USD", "ws_v1_frames_docs.jsonl", 4),
        ("prices.mark.BTC-USD", "ws_v1_mark_price_2026.json", 0),
        ("orderbooks.BTC-USD", "ws_v1_orderbook_snapshot_sdk.json", 0),
    ],
)
def test_path_frame_means_what_it_means_without_its_path(
    path: str, lines_of: str, number: int
) -> None:
    frame = lines("extended", lines_of)[number]
    by_path = PATHS.stream_decoder({}, path)
    expected = comparable(EXPECTED[lines_of][number])
    assert comparable(by_path(frame, WALL_NS)) == expected


def test_type_decides_what_a_frame_is_and_not_its_content() -> None:
    levels = {"b": [{"p": "100", "q": "1", "c": "1"}], "a": []}
    topic = "orderbooks.BTC-USD"
    (_, found) = decode(book(topic, more=levels), WALL_NS)
    assert found == BookEvent(BTC, TIME_NONE, True, [(100.0, 1.0)], [])
    (_, found) = decode(book(topic, "ORDERBOOKS.DELTA", more=levels), WALL_NS)
    assert found == AddEvent(BTC, TIME_NONE, [(100.0, 1.0, 1.0)], [])


def test_touch_without_a_side_is_one_sided() -> None:
    frame = book("orderbooks.1.BTC-USD", more={"a": []})
    expected = QuoteEvent(BTC, TIME_NONE, 5, 100.0, 1.0, nan, nan)
    assert comparable(decode(frame, WALL_NS)) == comparable([FrameEvent(5), expected])


def test_trades_of_every_market_come_on_one_topic() -> None:
    row = {"m": "ETH-USD", "S": "BUY", "tT": "LIQUIDATION", "T": 0, "p": "1", "q": "2"}
    frame = {"type": "TRADES", "data": [row], "seq": 1, "subscription": "trades.all"}
    trade = TradeEvent("ETH-USD", TIME_NONE, 1.0, 2.0, SIDE_BID, 0)
    assert [*decode(json.dumps(frame), WALL_NS)] == [FrameEvent(1), trade]


# --- Answers ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (
            {"id": 7, "result": {"method": "subscribe", "status": "OK"}},
            AckEvent("#7"),
        ),
        (
            {"result": {"method": "subscribe", "status": "OK", "subscription": "x"}},
            AckEvent("x"),
        ),
        (
            {"id": "7", "result": {"method": "subscribe", "status": "ERROR"}},
            RefusalEvent("invalid", "#7", "status=ERROR"),
        ),
        (
            {"id": "7", "result": {"method": "unsubscribe", "status": "OK"}},
            UnsubscribedEvent("#7"),
        ),
        ({"id": "0", "result": {"method": "ping", "status": "OK"}}, PongEvent()),
        ({"id": "0", "result": "pong"}, PongEvent()),
        (
            {"id": "0", "error": {"code": -32601, "message": "no"}},
            NoticeEvent("venue_error", 1, "-32601 no"),
        ),
        (
            {"id": None, "error": {"code": -32700, "message": "Parse error"}},
            NoticeEvent("venue_error", 1, "-32700 Parse error"),
        ),
        (
            {"id": "3", "error": {"code": -32600, "message": ""}},
            RefusalEvent("malformed", "#3", "-32600"),
        ),
        (
            {"id": "3", "error": {"code": "NOT_FOUND", "message": "Market"}},
            RefusalEvent("invalid", "#3", "NOT_FOUND Market"),
        ),
        (
            {"id": "3", "error": {"code": 429, "message": "Rate limited"}},
            NoticeEvent("rate_limited", 1, "429 Rate limited"),
        ),
        (
            {"id": "3", "error": {"code": 1010, "message": "Maintenance mode"}},
            NoticeEvent("venue_error", 1, "1010 Maintenance mode"),
        ),
    ],
)
def test_answer_is_told_by_its_id_or_its_topic(
    message: dict[str, Any], expected: Event
) -> None:
    assert [*decode(json.dumps(message).encode(), WALL_NS)] == [expected]
