"""Hyperliquid: every frame we hold, against what its documentation says it means.

The expected values are written by hand from the protocol's description, next to the
frame they belong to. hyperliquid/frames/PROVENANCE.md says where each came from.
"""

from __future__ import annotations

import json
from math import isnan, nan

import pytest

from feedhandler.events import (
    FLAG_SNAPSHOT,
    SIDE_ASK,
    SIDE_BID,
    TIME_NONE,
    AckEvent,
    Event,
    FundingEvent,
    NoticeEvent,
    PongEvent,
    QuoteEvent,
    RefusalEvent,
    TradeEvent,
    UnsubscribedEvent,
)
from feedhandler.venues._base import Options, Subscription
from feedhandler.venues.hyperliquid import VENUE, decode
from tests.venues.frames import (
    HOUR_NS,
    MS,
    NEXT_HOUR_NS,
    WALL_NS,
    comparable,
    directory,
    forms,
    lines,
)

FRAMES = directory("hyperliquid")


def frames(name: str) -> list[bytes]:
    """Return what the server sent, frame by frame, of a fixture."""
    found = []
    for line in lines("hyperliquid", name):
        value = json.loads(line) if name.endswith(".jsonl") else {}
        if "msg" not in value:
            found.append(line)
        elif value.get("dir") != "send":
            found.append(json.dumps(value["msg"]).encode())
    return found


def quote(symbol: str, time_ms: int, *touch: float) -> QuoteEvent:
    bid, bid_size, ask, ask_size = touch
    return QuoteEvent(symbol, time_ms * MS, 0, bid, bid_size, ask, ask_size)


def top(symbol: str, time_ms: int, *touch: float) -> QuoteEvent:
    """Return the quote that a whole image is reduced to."""
    event = quote(symbol, time_ms, *touch)
    event.flags = FLAG_SNAPSHOT
    event.is_depth = True
    return event


def trade(
    symbol: str, time_ms: int, price: float, size: float, side: int, trade_id: int
) -> TradeEvent:
    return TradeEvent(symbol, time_ms * MS, price, size, side, trade_id)


def funding(symbol: str, *values: float) -> FundingEvent:
    rate, mark, oracle, mid, interest = values
    return FundingEvent(
        symbol, TIME_NONE, rate, HOUR_NS, NEXT_HOUR_NS, mark, oracle, mid, interest
    )


def unknown(channel: str) -> NoticeEvent:
    return NoticeEvent("unknown_type", 1, channel)


PARSE_ERROR = (
    "Error parsing JSON into valid websocket request: "
    '{"method":"subscribe","xsubscription":{"type":"bbo","coin":"SOL"}}'
)
BANANA = top("BANANA", 1730160007687, 59.8, 3.4, 59.811, 2.9)
SHIA = top("SHIA", 1730160007687, nan, nan, nan, nan)
SPOT_162 = quote("@162", 1750948919838, 0.97925, 4144.6, 0.97934, 50.0)
ONE_ELEMENT = quote("BTC", 1750948919838, 107575.0, 3.87947, nan, nan)
MOODENG = funding("MOODENG", 0.00004863, 0.19963, 0.1995, 0.19957, 18617460.0)
SPOT_2 = FundingEvent(
    "@2", TIME_NONE, nan, TIME_NONE, TIME_NONE, 0.00005299, nan, 0.00005307, nan
)
BTC_FILLS = [
    trade("BTC", 1730160006192, 69997.0, 0.38111, SIDE_BID, 1016375172059570),
    trade("BTC", 1730160006192, 69997.0, 0.33458, SIDE_BID, 479312521152049),
    trade("BTC", 1730160006192, 69997.0, 0.83613, SIDE_BID, 229986151112628),
]

# Fixture -> the events of each of its server frames, in order.
EXPECTED: dict[str, list[list[Event]]] = {
    "ws_active_asset_ctx_2024_no_daybasevlm.json": [[MOODENG]],
    "ws_active_asset_ctx_sol.json": [
        [funding("SOL", 0.0000125, 128.45, 128.41, 128.48, 5259.34)]
    ],
    "ws_active_spot_asset_ctx_2024.json": [[SPOT_2]],
    # A subscription without a coin has no key: it can be none of ours.
    "ws_allmids_exchange_hype.jsonl": [[AckEvent("")], [unknown("allMids")]],
    "ws_bbo_exchange_hype.jsonl": [
        [AckEvent("bbo:HYPE")],
        [quote("HYPE", 1766566375292, 23.757, 42.09, 23.758, 100.26)],
    ],
    "ws_bbo_one_element.json": [[ONE_ELEMENT]],
    "ws_bbo_one_sided_null.json": [
        [quote("@501", 1785000000000, 0.0123, 100.0, nan, nan)]
    ],
    "ws_bbo_sol.json": [[quote("SOL", 1765887848009, 128.5, 36.93, 128.54, 18.7)]],
    "ws_bbo_spot_162.json": [[SPOT_162]],
    "ws_candle_exchange_hype.jsonl": [[AckEvent("candle:HYPE")], [unknown("candle")]],
    "ws_error_messages.jsonl": [
        [RefusalEvent("malformed", "", PARSE_ERROR)],
        [AckEvent("bbo:BTC")],
        [UnsubscribedEvent("bbo:BTC")],
        [
            RefusalEvent(
                "invalid",
                "bbo:NOSUCH",
                'Invalid subscription {"type":"bbo","coin":"NOSUCH"}',
            )
        ],
        [RefusalEvent("too_many", "", "Cannot subscribe to more than 1000 channels.")],
        [
            NoticeEvent(
                "rate_limited", 1, "Cannot send more than 2000 messages per minute."
            )
        ],
        [RefusalEvent("too_many", "", "Cannot track more than 10 total users.")],
    ],
    "ws_error_parse.json": [[RefusalEvent("malformed", "", PARSE_ERROR)]],
    "ws_first_text_frame.txt": [[NoticeEvent("hello")]],
    "ws_l2book_aggregated_with_spread.json": [
        [top("BTC", 1785000001000, 64990.0, 12.1, 65010.0, 9.7)]
    ],
    "ws_l2book_btc_20levels.json": [
        [top("BTC", 1757130041083, 111065.0, 6.98048, 111066.0, 4.48632)]
    ],
    "ws_l2book_empty.json": [[SHIA]],
    "ws_l2book_exchange_hype.jsonl": [
        [AckEvent("l2Book:HYPE")],
        [top("HYPE", 1764842873555, 34.967, 2.85, 34.969, 1473.06)],
    ],
    "ws_l2book_fast.json": [[top("BTC", 1785000000500, 65000.0, 1.2, 65001.0, 0.7)]],
    "ws_misc_tardis_2024.jsonl": [
        [trade("FXS", 1730160015113, 1.9008, 10.5, SIDE_ASK, 611279506717453)],
        [trade("FXS", 1730160059558, 1.9014, 9.1, SIDE_ASK, 809065877559592)],
        [*BTC_FILLS],
        [trade("BTC", 1730160007572, 69998.0, 0.00714, SIDE_BID, 696560709859024)],
        [SHIA],
        [BANANA],
        [MOODENG],
        [SPOT_2],
        [SPOT_162],
        [ONE_ELEMENT],
    ],
    "ws_pong.json": [[PongEvent()]],
    "ws_post_error_response.json": [[unknown("post")]],
    "ws_post_l2book_response.json": [[unknown("post")]],
    "ws_subscription_response_bbo.json": [[AckEvent("bbo:SOL")]],
    "ws_trades_2023_no_tid_no_users.json": [
        [
            trade("BTC", 1701156061468, 2009.0, 0.0079, SIDE_ASK, 0),
            trade("BTC", 1701156052596, 2009.0, 0.0079, SIDE_BID, 0),
        ]
    ],
    "ws_trades_btc_multi_fill_2024.json": [[*BTC_FILLS]],
    "ws_trades_exchange_hype.jsonl": [
        [AckEvent("trades:HYPE")],
        [trade("HYPE", 1764835613064, 35.276, 5.78, SIDE_BID, 716095722814130)],
    ],
    "ws_trades_sol.json": [
        [trade("SOL", 1765887848009, 128.5, 0.42, SIDE_ASK, 867891549538215)]
    ],
    "ws_unsubscribe_ack.json": [[UnsubscribedEvent("l2Book:BTC")]],
}
ELSEWHERE = {"ws_recording_btc_20250126.jsonl", "ws_requests.jsonl"}


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_frame_means_what_the_protocol_says(name: str) -> None:
    for frame, expected in zip(frames(name), EXPECTED[name], strict=True):
        for form in forms(frame):
            assert comparable(decode(form, WALL_NS)) == comparable(expected)


def test_every_frame_file_has_an_expected_result() -> None:
    present = {path.name for path in FRAMES.glob("ws_*")}
    assert present == set(EXPECTED) | ELSEWHERE


def test_recording_gives_the_best_bid_and_ask_of_each_book_frame() -> None:
    book_count = 0
    for frame in frames("ws_recording_btc_20250126.jsonl"):
        message = json.loads(frame)
        events = decode(frame, WALL_NS)
        if message["channel"] != "l2Book":
            continue
        book_count += 1
        data = message["data"]
        bids, asks = data["levels"]
        expected = top(
            "BTC",
            data["time"],
            max(float(level["px"]) for level in bids),
            float(bids[0]["sz"]),
            min(float(level["px"]) for level in asks),
            float(asks[0]["sz"]),
        )
        assert comparable(events) == comparable([expected])
    assert book_count == 46


def test_recording_gives_every_trade_row_in_order() -> None:
    ids = []
    rows = []
    for frame in frames("ws_recording_btc_20250126.jsonl"):
        message = json.loads(frame)
        if message["channel"] == "trades":
            rows += [row["tid"] for row in message["data"]]
            ids += [
                event.trade_id
                for event in decode(frame, WALL_NS)
                if isinstance(event, TradeEvent)
            ]
    assert len(ids) > 30
    assert ids == rows


def test_null_mid_is_absent() -> None:
    frame = (
        b'{"channel":"activeAssetCtx","data":{"coin":"X","ctx":{"funding":"-0.0001",'
        b'"openInterest":"0.0","markPx":"1.5","midPx":null,"oraclePx":"1.4",'
        b'"premium":null,"impactPxs":null}}}'
    )
    (event,) = decode(frame, WALL_NS)
    assert isinstance(event, FundingEvent)
    assert isnan(event.mid_price)
    assert (event.rate_per_hour, event.open_interest) == (-0.0001, 0.0)


# --- What we send -------------------------------------------------------------------


def wanted(options: Options) -> list[Subscription]:
    return VENUE.subscriptions("BTC", options)


def test_requests_are_those_of_the_protocol() -> None:
    documented = set((FRAMES / "ws_requests.jsonl").read_text().splitlines())
    rows = wanted(Options("both")) + wanted(Options("depth", fast=False))
    assert {VENUE.request([row.topic], 1) for row in rows} <= documented
    assert VENUE.request([rows[0].topic], 1, is_end=True) in documented
    assert VENUE.ping() in documented


@pytest.mark.parametrize(
    ("options", "keys"),
    [
        (Options("bbo", trades=False), ["bbo:BTC", "activeAssetCtx:BTC"]),
        (Options("bbo"), ["bbo:BTC", "activeAssetCtx:BTC", "trades:BTC"]),
        (Options("depth"), ["l2Book:BTC", "activeAssetCtx:BTC", "trades:BTC"]),
        (
            Options("both"),
            ["bbo:BTC", "l2Book:BTC", "activeAssetCtx:BTC", "trades:BTC"],
        ),
    ],
)
def test_books_come_first_and_liveness_is_always_there(
    options: Options, keys: list[str]
) -> None:
    assert [row.key for row in wanted(options)] == keys


def test_each_stream_says_what_it_carries() -> None:
    carried = [row.carries for row in wanted(Options("both"))]
    assert carried == ["bbo", "depth", "liveness", "trades"]


def test_coarse_books_are_never_asked_for() -> None:
    topics = [row.topic for row in wanted(Options("both"))]
    assert not any("nSigFigs" in topic or "mantissa" in topic for topic in topics)


def test_normalised_ack_matches_its_request() -> None:
    (book, *_) = wanted(Options("depth"))
    ack = (
        b'{"channel":"subscriptionResponse","data":{"method":"subscribe","subscription":'
        b'{"mantissa":null,"coin":"BTC","nSigFigs":null,"fast":true,"type":"l2Book"}}}'
    )
    assert decode(ack, WALL_NS) == (AckEvent(book.key),)
