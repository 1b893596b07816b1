"""Paradex: every frame we hold, against what its documentation says it means.

The expected values are written by hand from the protocol's description, those of the
recorded binary frames in the file beside them. paradex/frames/PROVENANCE.md says where
each came from.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from math import nan
from typing import Any

import pytest

from feedhandler.codec.frame import FrameError
from feedhandler.events import (
    SIDE_ASK,
    SIDE_BID,
    TIME_NONE,
    AckEvent,
    BookEvent,
    Event,
    FundingEvent,
    NoticeEvent,
    PongEvent,
    QuoteEvent,
    RefusalEvent,
    StandingEvent,
    TradeEvent,
)
from feedhandler.venues._base import Decode, Market
from feedhandler.venues.paradex import VENUE
from tests.venues.frames import HOUR_NS, MS, US, comparable, directory, forms, lines

FRAMES = directory("paradex")
WALL_NS = 1_791_500_000_000 * MS  # 2026-10-08 22:53:20 UTC: after every frame
BTC, ETH = "BTC-USD-PERP", "ETH-USD-PERP"

decode = VENUE.decoder({})


def decoder(symbol: str, hours: int) -> Decode:
    """Return a decoder that knows the funding period of one market."""
    market = Market(symbol, "", funding_interval_ns=hours * HOUR_NS)
    return VENUE.decoder({symbol: market})


def texts(name: str) -> list[bytes]:
    """Return what the server sent as text, frame by frame, of a fixture."""
    rows = lines("paradex", name)
    if name == "ws_errors.jsonl":
        return [json.dumps(json.loads(row)["frame"]).encode() for row in rows]
    return rows


def recorded(stem: str) -> list[bytes]:
    """Return the binary frames of a recording."""
    rows = map(json.loads, lines("paradex", f"{stem}_recorded.jsonl"))
    return [base64.b64decode(row["b64"]) for row in rows if "b64" in row]


def said(stem: str) -> list[dict[str, Any]]:
    """Return what the binary frames of a recording say."""
    return [json.loads(row) for row in lines("paradex", f"{stem}_decoded.jsonl")]


CONSTRUCTED = {
    row["name"]: bytes.fromhex(row["hex"])
    for row in map(json.loads, lines("paradex", "sbe_frames_constructed.jsonl"))
}


def funding(
    symbol: str,
    time_us: int,
    rate: float = nan,
    hours: int = 0,
    references: tuple[float, float, float] = (nan, nan, nan),
) -> FundingEvent:
    mark, index, interest = references
    interval_ns = hours * HOUR_NS if hours else TIME_NONE
    per_hour = rate / hours if hours else nan
    return FundingEvent(
        symbol,
        time_us * US,
        per_hour,
        interval_ns,
        TIME_NONE,
        mark,
        index,
        nan,
        interest,
    )


def unknown(name: str) -> list[Event]:
    return [NoticeEvent("unknown_type", 1, name)]


def invalid(text: str, key: str = "") -> list[Event]:
    return [RefusalEvent("invalid", key, text)]


# --- Binary frames ------------------------------------------------------------------

NOW_US = 1_791_427_988_629_000
NUMBER = -123_456_789  # of the constructed trades
TEXT_ID = 6_568_916_762_970_290_113  # 1791427988628201709233240001 modulo 2**63
SUMMARY_ETH = (2662.8925496, 2661.5, 1234.5)


def book(
    sequence: int,
    bids: list[tuple[float, float]],
    asks: list[tuple[float, float]],
    *,
    is_image: bool = False,
) -> list[Event]:
    return [BookEvent(BTC, NOW_US * US, is_image, bids, asks, sequence)]


def trade(created_us: int, *facts: Any) -> list[Event]:
    return [TradeEvent(BTC, created_us * US, *facts)]


# Name -> the events of the frame; none of them is of a market that discovery told of.
BINARY: dict[str, list[Event]] = {
    "trade_v1": trade(1_791_427_988_628_700, 83452.9, 0.012, SIDE_BID, 2**63 + NUMBER),
    "trade_v2_with_trade_id_str": trade(
        1_791_427_988_628_700, 83452.9, 0.012, SIDE_BID, TEXT_ID
    ),
    "trade_liquidation_seq0": trade(1_791_427_988_628_000, 83400.0, 0.5, SIDE_ASK, 5),
    "bbo_null_ask": [QuoteEvent(BTC, NOW_US * US, 7687289301, 83422.0, 0.01, nan, nan)],
    "bbo_longer_block_skip": [
        QuoteEvent(BTC, NOW_US * US, 7687289302, 83422.0, 0.01, 83423.0, 0.02)
    ],
    "book_snapshot_1000": book(
        1000,
        [(62000.0, 1.0), (61999.5, 2.0)],
        [(62000.5, 1.5), (62001.0, 3.0)],
        is_image=True,
    ),
    "book_delta_1001_remove_bid_change_ask": book(
        1001, [(61999.5, 0.0)], [(62000.5, 2.0)]
    ),
    "book_delta_1002_empty": book(1002, [], []),
    "book_delta_1004_gap_after_1002": book(1004, [(61999.0, 1.0)], []),
    "book_delta_longer_entries": book(1003, [(61998.0, 4.0)], []),
    "markets_summary_v0": [funding(ETH, NOW_US, references=SUMMARY_ETH)],
    "markets_summary_v1_precise_funding": [
        funding(ETH, NOW_US, references=SUMMARY_ETH)
    ],
    "markets_summary_v3_settlement_twap": [
        funding(ETH, NOW_US, references=SUMMARY_ETH)
    ],
    "funding_data_v0": [
        funding("TRUMP-USD-PERP", 1_791_427_988_628_000, -0.00014969, 8)
    ],
    "funding_data_v1": [
        funding("TRUMP-USD-PERP", 1_791_427_988_628_000, -0.00014969, 8)
    ],
    "heartbeat": [PongEvent()],
    "unknown_template_99_must_skip": unknown("template 99"),
}
REFUSED = {"wrong_schema_id_2": "unknown_type", "truncated_block": "short"}


@pytest.mark.parametrize("name", sorted(BINARY))
def test_binary_frame_means_what_the_schema_says(name: str) -> None:
    frame = CONSTRUCTED[name]
    for form in (frame, bytearray(frame)):
        assert comparable(decode(form, WALL_NS)) == comparable(BINARY[name])


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_binary_frame_of_no_use_is_refused(name: str) -> None:
    with pytest.raises(FrameError) as caught:
        decode(CONSTRUCTED[name], WALL_NS)
    assert caught.value.reason == REFUSED[name]


def test_every_binary_frame_has_an_expected_result() -> None:
    assert set(CONSTRUCTED) == set(BINARY) | set(REFUSED)


def test_recorded_touches_mean_what_they_say() -> None:
    rows = said("sbe_bbo_btc")
    names = ("bid_price", "bid_size", "ask_price", "ask_size")
    for frame, row in zip(recorded("sbe_bbo_btc"), rows, strict=True):
        bid, bid_size, ask, ask_size = (float(row[name]) for name in names)
        stamp_ns = row["ts_us"] * US
        expected = QuoteEvent(
            row["market"], stamp_ns, row["seq"], bid, bid_size, ask, ask_size
        )
        assert list(decode(frame, WALL_NS)) == [expected]


def test_recorded_books_mean_what_they_say() -> None:
    def levels(rows: Sequence[Sequence[str]]) -> list[tuple[float, float]]:
        return [(float(price), float(size)) for price, size in rows]

    rows = said("sbe_order_book_deltas_eth")
    for frame, row in zip(recorded("sbe_order_book_deltas_eth"), rows, strict=True):
        expected = BookEvent(
            row["market"],
            row["ts_us"] * US,
            row["pkg_type"] == "SNAPSHOT",
            levels(row["bids"]),
            levels(row["asks"]),
            row["seq"],
        )
        assert list(decode(frame, WALL_NS)) == [expected]


# --- Text frames --------------------------------------------------------------------

# Fixture -> the events of each of its frames, in order.
TEXT: dict[str, list[list[Event]]] = {
    "ws_subscribe_acks_recorded.jsonl": [
        [AckEvent(key)] for key in ("#1", "#2", "#3", "#1", "#1")
    ],
    "ws_errors.jsonl": [
        invalid("-32600 invalid subscribe request: invalid channel"),
        invalid("-32601 method does not exist", "#4"),
        invalid("40111 Invalid Bearer Token"),
        invalid("-32602 Invalid parameters", "#1"),
        invalid(
            "-32600 invalid subscribe request:"
            " no parameters expected for deltas topic.",
            "#9",
        ),
        invalid("-32600 invalid subscribe request: Expecting depth=15", "#10"),
        invalid("100 method error: synthetic detail", "#20"),
    ],
    "ws_json_bbo_constructed.json": [
        [QuoteEvent(BTC, 1681493939981 * MS, 20784, 30112.22, 0.04, 30130.15, 0.05)]
    ],
    "ws_json_funding_data_2026_recorded.json": [
        [funding("TRUMP-USD-PERP", 1771506636154000, -0.00014969570582, 8)]
    ],
    "ws_json_markets_summary_2024_recorded.json": [
        [
            funding(
                "ORDI-USD-PERP",
                1718334307698000,
                references=(49.80885481, 47.93, 6999.5),
            )
        ]
    ],
    "ws_json_markets_summary_spot_empty_funding_2026.json": [
        [funding("ETH-USD", 1771375190278000, references=(1994.62, 1994.62, 0.0))]
    ],
    "ws_json_order_book_deltas_constructed.jsonl": [
        [
            BookEvent(
                BTC,
                1718267837265 * MS,
                True,
                [(67629.7, 0.992), (67629.0, 2.0)],
                [(67630.1, 3.137)],
                100,
            )
        ],
        [
            BookEvent(
                BTC,
                1718267837315 * MS,
                False,
                [(67629.7, 1.5), (67629.0, 0.0)],
                [(67630.0, 0.5)],
                101,
            )
        ],
        [BookEvent(BTC, 1718267837365 * MS, False, [], [(67630.0, 0.4)], 103)],
    ],
    "ws_json_order_book_snapshot_2024_recorded.json": [
        [
            BookEvent(
                BTC,
                1718267837265 * MS,
                True,
                [(67629.7, 0.992)],
                [(69378.6, 3.137)],
                14127815,
            )
        ]
    ],
    # 1718179273230201709233240002 modulo 2**63.
    "ws_json_trades_2024_recorded.json": [
        [
            TradeEvent(
                "kBONK-USD-PERP",
                1718179273230 * MS,
                0.028776,
                34028.0,
                SIDE_BID,
                697056161572911042,
            )
        ]
    ],
}
REQUESTS = {"ws_client_requests_doc.jsonl"}


@pytest.mark.parametrize("name", sorted(TEXT))
def test_text_frame_means_what_the_protocol_says(name: str) -> None:
    for frame, expected in zip(texts(name), TEXT[name], strict=True):
        # Each text of the venue ends in a newline.
        for form in forms(frame) + forms(frame + b"\n"):
            assert comparable(decode(form, WALL_NS)) == comparable(expected)


def test_every_text_file_has_an_expected_result() -> None:
    present = {path.name for path in FRAMES.glob("ws_*")}
    assert present == set(TEXT) | REQUESTS


def test_recorded_answers_are_told_from_binary_frames() -> None:
    for stem, key in (("sbe_bbo_btc", "#1"), ("sbe_order_book_deltas_eth", "#2")):
        rows = map(json.loads, lines("paradex", f"{stem}_recorded.jsonl"))
        found = [row["text"] for row in rows if "text" in row]
        assert [list(decode(text, WALL_NS)) for text in found] == [[AckEvent(key)]]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"result": {"channel": "bbo.X"}}, AckEvent("bbo.X")),
        ({"id": "a7", "result": {}}, AckEvent("#a7")),
        (
            {"id": 3, "error": {"code": -32600, "message": "already subscribed"}},
            StandingEvent("#3"),
        ),
        (
            {"id": 3, "error": {"code": -32603, "message": "internal"}},
            NoticeEvent("venue_error", 1, "-32603 internal"),
        ),
        (
            {"id": 3, "error": {"code": 1, "message": "rate limit exceeded"}},
            NoticeEvent("rate_limited", 1, "1 rate limit exceeded"),
        ),
        (
            {"id": 3, "error": {"code": 1, "message": "too many subscriptions"}},
            RefusalEvent("too_many", "#3", "1 too many subscriptions"),
        ),
        (
            {"id": 0, "error": {"code": -32700, "message": "parse error"}},
            RefusalEvent("malformed", "", "-32700 parse error"),
        ),
    ],
)
def test_answer_means_what_it_says(answer: dict[str, Any], expected: Event) -> None:
    frame = json.dumps({"jsonrpc": "2.0", **answer}).encode()
    assert list(decode(frame, WALL_NS)) == [expected]


@pytest.mark.parametrize(
    ("channel", "name"),
    [
        ("funding_rate_comparison.ALL@500ms", "funding_rate_comparison"),
        ("bbo.BTC-USD-PERP.interactive", "bbo.interactive"),
        ("order_book.BTC-USD-PERP.interactive@15@100ms", "order_book.interactive"),
    ],
)
def test_channel_that_is_not_ours_is_named(channel: str, name: str) -> None:
    params = {"channel": channel, "data": {"market": BTC}}
    frame = json.dumps({"method": "subscription", "params": params})
    assert list(decode(frame, WALL_NS)) == unknown(name)
