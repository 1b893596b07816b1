"""Hyperliquid: every frame we hold, against what its documentation says it means.

The expected values are written by hand from the protocol's description, next to the
frame they belong to. hyperliquid/frames/PROVENANCE.md says where each came from.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from math import isnan, nan
from pathlib import Path
from typing import Any

import msgspec
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
from feedhandler.venues._base import Options
from feedhandler.venues.hyperliquid import VENUE, decode

FRAMES = Path(__file__).parent / "hyperliquid" / "frames"
MS = 1_000_000
HOUR_NS = 3_600_000_000_000
# 2026-07-25 17:20:09 UTC: after every recorded frame, and not on the hour.
WALL_NS = 1_785_000_009_000 * MS
NEXT_HOUR_NS = 1_785_002_400_000 * MS


def frames(name: str) -> list[bytes]:
    """Return what the server sent, frame by frame, of a fixture."""
    body = (FRAMES / name).read_bytes().strip()
    if not name.endswith(".jsonl"):
        return [body]
    found = []
    for line in body.splitlines():
        value = json.loads(line)
        if "msg" not in value:
            found.append(line)
        elif value.get("dir") != "send":
            found.append(json.dumps(value["msg"]).encode())
    return found


def quote(
    symbol: str,
    time_ms: int,
    bid: float,
    bid_size: float,
    ask: float,
    ask_size: float,
    flags: int = 0,
) -> QuoteEvent:
    return QuoteEvent(symbol, time_ms * MS, 0, bid, bid_size, ask, ask_size, flags)


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
BANANA = quote("BANANA", 1730160007687, 59.8, 3.4, 59.811, 2.9, FLAG_SNAPSHOT)
SHIA = quote("SHIA", 1730160007687, nan, nan, nan, nan, FLAG_SNAPSHOT)
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
        [quote("BTC", 1785000001000, 64990.0, 12.1, 65010.0, 9.7, FLAG_SNAPSHOT)]
    ],
    "ws_l2book_btc_20levels.json": [
        [
            quote(
                "BTC",
                1757130041083,
                111065.0,
                6.98048,
                111066.0,
                4.48632,
                FLAG_SNAPSHOT,
            )
        ]
    ],
    "ws_l2book_empty.json": [[SHIA]],
    "ws_l2book_exchange_hype.jsonl": [
        [AckEvent("l2Book:HYPE")],
        [quote("HYPE", 1764842873555, 34.967, 2.85, 34.969, 1473.06, FLAG_SNAPSHOT)],
    ],
    "ws_l2book_fast.json": [
        [quote("BTC", 1785000000500, 65000.0, 1.2, 65001.0, 0.7, FLAG_SNAPSHOT)]
    ],
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


def comparable(events: Sequence[Event]) -> list[Any]:
    """Return events as values that compare equal when NaN stands in for NaN."""
    return [
        (type(event).__name__, [None if value != value else value for value in row])
        for event in events
        for row in [msgspec.structs.astuple(event)]
    ]


@pytest.mark.parametrize("name", sorted(EXPECTED))
@pytest.mark.parametrize("kind", ["bytes", "bytearray", "str"])
def test_frame_means_what_the_protocol_says(name: str, kind: str) -> None:
    found = frames(name)
    assert len(found) == len(EXPECTED[name])
    for frame, expected in zip(found, EXPECTED[name], strict=True):
        given: bytes | bytearray | str = frame
        if kind != "bytes":
            given = bytearray(frame) if kind == "bytearray" else frame.decode()
        assert comparable(decode(given, WALL_NS)) == comparable(expected)


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
        expected = quote(
            "BTC",
            data["time"],
            max(float(level["px"]) for level in bids),
            float(bids[0]["sz"]),
            min(float(level["px"]) for level in asks),
            float(asks[0]["sz"]),
            FLAG_SNAPSHOT,
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


def test_requests_are_those_of_the_protocol() -> None:
    documented = (FRAMES / "ws_requests.jsonl").read_text().splitlines()
    fast = Options("depth", fast=True, trades=True)
    slow = Options("depth", fast=False, trades=False)
    wanted = [
        subscription
        for options in (Options(), fast, slow)
        for subscription in VENUE.subscriptions("BTC", options)
    ]
    assert {row.request for row in wanted} <= set(documented)
    assert wanted[0].cancel in documented
    assert VENUE.ping() in documented


def test_quote_comes_first_and_liveness_is_always_there() -> None:
    keys = [row.key for row in VENUE.subscriptions("BTC", Options(trades=False))]
    assert keys == ["bbo:BTC", "activeAssetCtx:BTC"]
    assert [row.is_book for row in VENUE.subscriptions("BTC", Options())] == [
        True,
        False,
        False,
    ]


def test_normalised_ack_matches_its_request() -> None:
    (wanted, _) = VENUE.subscriptions("BTC", Options("depth", trades=False))
    ack = (
        b'{"channel":"subscriptionResponse","data":{"method":"subscribe","subscription":'
        b'{"mantissa":null,"coin":"BTC","nSigFigs":null,"fast":true,"type":"l2Book"}}}'
    )
    assert decode(ack, WALL_NS) == (AckEvent(wanted.key),)
