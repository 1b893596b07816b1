"""Aster: every frame we hold, against what its documentation says it means.

The expected values are written by hand from the protocol's description, next to the
frame they belong to. aster/frames/PROVENANCE.md says where each came from.
"""

from __future__ import annotations

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
    QuoteEvent,
    RefusalEvent,
    TradeEvent,
)
from feedhandler.venues._base import Market, Options, Subscription
from feedhandler.venues.aster import VENUE
from tests.venues.frames import HOUR_NS, MS, comparable, directory, forms, lines

FRAMES = directory("aster")
# 2026-08-22 15:00:00 UTC: after every frame.
WALL_NS = 1_787_410_800_000 * MS
MARKETS = {
    "BTCUSDT": Market("BTCUSDT", "BTC-PERP", funding_interval_ns=8 * HOUR_NS),
    "NEWUSDT": Market("NEWUSDT", "NEW-PERP", funding_interval_ns=8 * HOUR_NS),
}
decode = VENUE.decoder(MARKETS)


def frames(name: str) -> list[bytes]:
    """Return what the server sent, frame by frame, of a fixture."""
    return lines("aster", name)


def steps(name: str) -> list[bytes]:
    """Return the frames of a fixture whose rows say what each of them is for."""
    return [json.dumps(json.loads(row)["frame"]).encode() for row in frames(name)]


def unknown(kind: str) -> list[Event]:
    return [NoticeEvent("unknown_type", 1, kind)]


def acks(*ids: int) -> list[list[Event]]:
    return [[AckEvent(f"#{each}")] for each in ids]


def refusal(reason: str, text: str) -> list[Event]:
    return [RefusalEvent(reason, "", text)]


# Fixture -> the events of each of its frames, in order.
EXPECTED: dict[str, list[list[Event]]] = {
    "ws_24hrTicker_cakeusdt_2025_recorded.json": [unknown("24hrTicker")],
    "ws_kline_doc.json": [unknown("kline")],
    "ws_forceOrder_doc.json": [unknown("forceOrder")],
    "ws_miniTicker_doc.json": [unknown("24hrMiniTicker")],
    # `trade` is not subscribed: it mixes market trades with others.
    "ws_combined_trade_insurance_fund_dogeusdt_2026.json": [unknown("trade")],
    "ws_combined_trade_market_constructed.json": [unknown("trade")],
    "ws_acks_doc.jsonl": acks(1, 312, 3, 5, 2),
    "ws_errors_doc.jsonl": [
        [NoticeEvent("venue_error", 1, "0 Unknown property")],
        [NoticeEvent("venue_error", 1, "1 Invalid value type: expected Boolean")],
        refusal("invalid", "2 Invalid request: property name must be a string"),
        refusal("invalid", "2 Invalid request: request ID must be an unsigned integer"),
        refusal(
            "invalid",
            "2 Invalid request: unknown variant SUBSCRIB, expected one of`SUBSCRIBE`,"
            " `UNSUBSCRIBE`, `LIST_SUBSCRIPTIONS`, `SET_PROPERTY`, `GET_PROPERTY` at"
            " line 1 column 28",
        ),
        refusal("too_many", "2 Invalid request: too many parameters"),
        refusal(
            "invalid", "2 Invalid request: missing field`method` at line 1 column 73"
        ),
        refusal("malformed", "3 Invalid JSON: expected value at line 1 column 1"),
    ],
    # The taker bought: `m` says that the buyer was not the maker.
    "ws_aggTrade_btcusdt_2025_recorded.json": [
        [TradeEvent("BTCUSDT", 1754551358528 * MS, 114783.7, 0.02, SIDE_BID, 20505890)]
    ],
    "ws_bookTicker_asterusdt_2025_recorded.json": [
        [
            QuoteEvent(
                "ASTERUSDT",
                1760083106579 * MS,
                8822354685185,
                1.5822,
                457.0,
                1.5823,
                112.0,
            )
        ]
    ],
    # `T` counts, four milliseconds before `E`.
    "ws_bookTicker_btcusdt_2025_recorded.json": [
        [
            QuoteEvent(
                "BTCUSDT",
                1754896692922 * MS,
                157240846459,
                122046.7,
                1.084,
                122046.8,
                0.001,
            )
        ]
    ],
    "ws_depthUpdate_diff_btcusdt_2025_recorded.json": [
        [
            BookEvent(
                "BTCUSDT",
                1754556878031 * MS,
                False,
                [(114988.3, 0.147)],
                [(114988.4, 1.06)],
                156391349814,
                156391348236,
                156391349814,
            )
        ]
    ],
    # A partial book cannot be told from a change; it is not subscribed.
    "ws_depth5_partial_doc.json": [
        [
            BookEvent(
                "BTCUSDT",
                1571889248276 * MS,
                False,
                [
                    (7403.89, 0.002),
                    (7403.9, 3.906),
                    (7404.0, 1.428),
                    (7404.85, 5.239),
                    (7405.43, 2.562),
                ],
                [
                    (7405.96, 3.34),
                    (7406.63, 4.525),
                    (7407.08, 2.475),
                    (7407.15, 4.8),
                    (7407.2, 0.175),
                ],
                390497878,
                390497794,
                390497796,
            )
        ]
    ],
    # 0.0001 for 8 hours; the mark, then the index.
    "ws_markPriceUpdate_btcusdt_2025_recorded.json": [
        [
            FundingEvent(
                "BTCUSDT",
                1754660466000 * MS,
                0.0000125,
                8 * HOUR_NS,
                1754668800000 * MS,
                116809.6,
                116836.93534884,
                nan,
                nan,
            )
        ]
    ],
    "ws_markPriceUpdate_empty_rate_constructed.json": [
        [
            FundingEvent(
                "NEWUSDT",
                1754660466000 * MS,
                nan,
                TIME_NONE,
                TIME_NONE,
                1.0,
                1.0,
                nan,
                nan,
            )
        ]
    ],
}
# Refused, or a test of its own; the constructed sequences are in `test_aster_books`.
ELSEWHERE = {
    "ws_client_requests_doc.jsonl",
    "ws_markPriceUpdate_arr_doc.json",
    "ws_depth_adjacent_first_event_constructed.jsonl",
    "ws_depth_no_overlap_constructed.json",
    "ws_depth_sync_sequence_constructed.jsonl",
}


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_frame_means_what_the_protocol_says(name: str) -> None:
    for frame, expected in zip(frames(name), EXPECTED[name], strict=True):
        for given in forms(frame):
            assert comparable(decode(given, WALL_NS)) == comparable(expected)


def test_every_frame_file_has_an_expected_result() -> None:
    present = {path.name for path in FRAMES.glob("ws_*")}
    assert present == set(EXPECTED) | ELSEWHERE


@pytest.mark.parametrize(
    "name",
    [
        name
        for name in sorted(EXPECTED)
        if "combined" not in name and "acks" not in name and "errors" not in name
    ],
)
def test_wrapped_frame_means_what_the_bare_one_does(name: str) -> None:
    (frame,) = frames(name)
    wrapped = b'{"stream":"any@stream","data":' + frame + b"}"
    assert comparable(decode(wrapped, WALL_NS)) == comparable(EXPECTED[name][0])


def test_all_markets_in_one_frame_are_refused_because_nobody_asked_for_them() -> None:
    with pytest.raises(FrameError, match="shape"):
        decode(frames("ws_markPriceUpdate_arr_doc.json")[0], WALL_NS)


def test_buyer_who_made_the_market_was_hit_by_a_seller() -> None:
    (frame,) = frames("ws_aggTrade_btcusdt_2025_recorded.json")
    (trade,) = decode(frame.replace(b"false", b"true"), WALL_NS)
    assert isinstance(trade, TradeEvent)
    assert trade.aggressor == SIDE_ASK


# --- Quotes -------------------------------------------------------------------------


def ticker(**facts: Any) -> bytes:
    message = json.loads(frames("ws_bookTicker_btcusdt_2025_recorded.json")[0])
    message.update(facts)
    known = {key: value for key, value in message.items() if value != "absent"}
    return json.dumps(known).encode()


def quote(**facts: Any) -> QuoteEvent:
    (event,) = decode(ticker(**facts), WALL_NS)
    assert isinstance(event, QuoteEvent)
    return event


@pytest.mark.parametrize("price", ["0", "0.000000", "122046.8"])
def test_side_of_size_zero_is_absent(price: str) -> None:
    event = quote(a=price, A="0.0")
    assert (event.bid, event.bid_size) == (122046.7, 1.084)
    assert str((event.ask, event.ask_size)) == "(nan, nan)"


def test_quote_without_the_matching_time_has_the_sending_time_or_none() -> None:
    assert quote(T="absent").event_ns == 1754896692926 * MS
    assert quote(T="absent", E="absent").event_ns == TIME_NONE


# --- Funding ------------------------------------------------------------------------


def mark(markets: dict[str, Market], **facts: Any) -> Sequence[Event]:
    message = json.loads(frames("ws_markPriceUpdate_btcusdt_2025_recorded.json")[0])
    message.update(facts)
    return VENUE.decoder(markets)(json.dumps(message).encode(), WALL_NS)


def funding(markets: dict[str, Market], **facts: Any) -> FundingEvent:
    (event,) = mark(markets, **facts)
    assert isinstance(event, FundingEvent)
    return event


@pytest.mark.parametrize(("hours", "per_hour"), [(1, 0.0001), (4, 0.000025)])
def test_rate_is_per_hour_whatever_the_interval(hours: int, per_hour: float) -> None:
    interval_ns = hours * HOUR_NS
    markets = {"BTCUSDT": Market("BTCUSDT", "", funding_interval_ns=interval_ns)}
    event = funding(markets)
    assert (event.rate_per_hour, event.interval_ns) == (per_hour, interval_ns)
    assert funding(markets, r="-0.0001").rate_per_hour == -per_hour


def test_interval_is_asked_anew_for_each_frame() -> None:
    markets: dict[str, Market] = {}
    found = VENUE.decoder(markets)
    frame = frames("ws_markPriceUpdate_btcusdt_2025_recorded.json")[0]
    (before,) = found(frame, WALL_NS)
    markets["BTCUSDT"] = MARKETS["BTCUSDT"]
    (after,) = found(frame, WALL_NS)
    assert isinstance(before, FundingEvent)
    assert isinstance(after, FundingEvent)
    assert before.interval_ns == TIME_NONE
    assert after.interval_ns == 8 * HOUR_NS


@pytest.mark.parametrize("markets", [{}, {"BTCUSDT": Market("BTCUSDT", "")}])
def test_rate_of_an_unknown_interval_is_not_guessed(markets: dict[str, Market]) -> None:
    event = funding(markets)
    assert str(event.rate_per_hour) == "nan"
    assert event.interval_ns == TIME_NONE
    assert event.mark_price == 116809.6
    assert event.next_funding_ns == 1754668800000 * MS


# --- Requests -----------------------------------------------------------------------


def test_requests_are_those_of_the_protocol() -> None:
    documented = (FRAMES / "ws_client_requests_doc.jsonl").read_text().splitlines()
    topics = ["btcusdt@aggTrade", "btcusdt@depth"]
    assert VENUE.request(topics, 1) == documented[0]
    assert VENUE.request(topics[1:], 312, is_end=True) == documented[1]
    assert VENUE.ping() is None


def test_streams_are_books_liveness_and_trades_in_this_order() -> None:
    found = VENUE.subscriptions("1000PEPEUSDT", Options("both"))
    assert [(row.topic, row.carries) for row in found] == [
        ("1000pepeusdt@bookTicker", "bbo"),
        ("1000pepeusdt@depth@100ms", "depth"),
        ("1000pepeusdt@markPrice@1s", "liveness"),
        ("1000pepeusdt@aggTrade", "trades"),
    ]
    assert {row.symbol for row in found} == {"1000PEPEUSDT"}
    assert len({row.key for row in found}) == 4


@pytest.mark.parametrize(("kind", "channel"), [("bbo", 0), ("depth", 1)])
def test_only_what_was_asked_for_is_subscribed(kind: str, channel: int) -> None:
    names = ("bookTicker", "depth@100ms")
    topic = f"btcusdt@{names[channel]}"
    (book, liveness) = VENUE.subscriptions("BTCUSDT", Options(kind, trades=False))
    assert book == Subscription(topic, "BTCUSDT", topic, kind)
    assert liveness.topic == "btcusdt@markPrice@1s"


def test_requests_stay_within_what_a_connection_may_say_and_hold() -> None:
    limits = VENUE.limits
    assert 1_000 / limits.subscribe_gap_ms <= 5  # of ten, pongs among them
    assert limits.subscriptions_max == 200
    assert limits.session_limit_ms < 24 * 3_600_000
