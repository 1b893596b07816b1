"""Lighter: every frame we hold, against what its documentation says it means.

The expected values are written by hand from the protocol's description, next to the
frame they belong to. lighter/frames/PROVENANCE.md says where each came from.
"""

from __future__ import annotations

from math import nan

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
    ReplyEvent,
    StandingEvent,
    TradeEvent,
    UnsubscribedEvent,
)
from feedhandler.venues._base import Options
from feedhandler.venues.lighter import VENUE, decode
from tests.venues.frames import (
    HOUR_NS,
    MS,
    US,
    WALL_NS,
    comparable,
    directory,
    forms,
    lines,
)

FRAMES = directory("lighter")
DIGITS = 10  # of an open interest that was divided by hand


def frames(name: str) -> list[bytes]:
    """Return what the server sent, frame by frame, of a fixture."""
    return lines("lighter", name)


def book(
    symbol: str,
    time_us: int,
    bids: list[tuple[float, float]],
    asks: list[tuple[float, float]],
    sequence: int,
    previous: int,
) -> BookEvent:
    return BookEvent(symbol, time_us * US, False, bids, asks, sequence, previous)


def image(
    symbol: str,
    time_us: int,
    bids: list[tuple[float, float]],
    asks: list[tuple[float, float]],
    sequence: int,
) -> list[Event]:
    event_ns = time_us * US if time_us else TIME_NONE
    return [
        AckEvent(f"order_book:{symbol}"),
        BookEvent(symbol, event_ns, True, bids, asks, sequence, 0),
    ]


def trade(
    symbol: str, time_us: int, price: float, size: float, side: int, trade_id: int
) -> TradeEvent:
    return TradeEvent(symbol, time_us * US, price, size, side, trade_id)


def funding(
    symbol: str, time_ms: int, percent: float, *references: float
) -> FundingEvent:
    mark, oracle, mid, interest = references
    event_ns = time_ms * MS if time_ms else TIME_NONE
    next_ns = ((time_ms * MS or WALL_NS) // HOUR_NS + 1) * HOUR_NS
    rate = percent / 100
    return FundingEvent(
        symbol, event_ns, rate, HOUR_NS, next_ns, mark, oracle, mid, interest
    )


def unknown(channel: str) -> list[Event]:
    return [NoticeEvent("unknown_type", 1, channel)]


EMPTY = (nan, nan, nan, nan)
FORCED = trade("1", 1776687656681222, 75602.8, 0.01664, SIDE_BID, 18237797923)

# Fixture -> the events of each of its frames, in order.
EXPECTED: dict[str, list[list[Event]]] = {
    "ws_candle_subscribed.json": [unknown("subscribed/candle")],
    "ws_candle_update.json": [unknown("update/candle")],
    "ws_height_update.json": [unknown("update/height")],
    "ws_spot_market_stats_all_update.json": [unknown("update/spot_market_stats")],
    "ws_spot_market_stats_single_subscribed.json": [
        unknown("subscribed/spot_market_stats")
    ],
    "ws_control_frames.jsonl": [
        [NoticeEvent("hello")],
        [ReplyEvent('{"type":"pong"}')],
        [PongEvent()],
        [UnsubscribedEvent("order_book:0")],
    ],
    "ws_error_messages.jsonl": [
        [StandingEvent("ticker:3")],
        [StandingEvent("ticker:3")],
        [RefusalEvent("invalid", "", "30005 Invalid Channel")],
        [RefusalEvent("invalid", "", "30000 Invalid Json")],
        [RefusalEvent("invalid", "", "30001 Invalid Type")],
        [UnsubscribedEvent("order_book:0")],
        [NoticeEvent("rate_limited", 1, "30009 Too Many Websocket Messages!")],
        [NoticeEvent("rate_limited", 1, "30010 Too Many Inflight Messages!")],
        [RefusalEvent("too_many", "", "23001 Too Many Subscriptions!")],
        [RefusalEvent("too_many", "", "23003 Too Many Connections!")],
    ],
    # Open interest is that of the recording divided by its mark price.
    "ws_market_stats_all_subscribed.json": [
        [
            AckEvent("market_stats:all"),
            funding("0", 1776694043429, 0.0011, 2308.86, 2309.89, 2308.52, 30408.5622),
            funding("1", 1776694043429, 0.0012, 75241.1, 75281.9, 75237.9, 1654.62881),
        ]
    ],
    "ws_market_stats_all_update.json": [
        [
            funding("0", 1776694043874, 0.0011, 2308.86, 2309.89, 2308.4, 30408.5561),
            funding("1", 1776694043874, 0.0012, 75241.1, 75281.9, 75237.8, 1654.628),
        ]
    ],
    "ws_market_stats_single_2025_old_shape.json": [
        [funding("0", 0, 0.0012, 3013.91, 3015.56, nan, 40723.2753)]
    ],
    "ws_market_stats_single_subscribed_btc.json": [
        [
            AckEvent("market_stats:1"),
            funding("1", 1780546209291, -0.0028, 64356.3, 64400.1, 64349.7, 1586.84712),
        ]
    ],
    "ws_market_stats_single_update_eth_docs.json": [
        [
            funding(
                "0", 1774883844933, 0.000001, 2064.47, 2064.48, 2064.39, 13.1999210935
            )
        ]
    ],
    "ws_order_book_gap_sequence.jsonl": [
        [book("1", 1776692222000000, [(100.0, 1.0)], [], 980, 975)],
        image(
            "1",
            1776692222050000,
            [(100.0, 1.0), (99.0, 3.0)],
            [(101.0, 2.0), (102.0, 1.0)],
            1000,
        ),
        [book("1", 1776692222100000, [], [(101.0, 0.0)], 1004, 1000)],
        [book("1", 1776692222150000, [], [], 1010, 1004)],
        [book("1", 1776692222200000, [], [(101.5, 5.0)], 1030, 1017)],
        image("1", 1776692223000000, [(100.0, 0.5)], [(101.5, 5.0)], 1041),
    ],
    "ws_order_book_snapshot_then_update_btc.jsonl": [
        image(
            "1",
            1776692222420103,
            [(75300.4, 0.00117), (75300.3, 0.0002), (75300.1, 0.0002)],
            [(75300.5, 0.08303), (75300.7, 0.00331), (75302.0, 0.1328)],
            10382292136,
        ),
        [
            book(
                "1",
                1776692222467930,
                [(75300.6, 0.04881), (75295.7, 0.01993), (75294.3, 0.10792)],
                [(75300.5, 0.0), (75300.7, 0.28364), (75313.9, 0.61855)],
                10382292188,
                10382292136,
            )
        ],
    ],
    "ws_order_book_subscribed_empty.json": [image("39", 0, [], [], 0)],
    "ws_order_book_subscribed_eth.json": [
        image(
            "0",
            1778138389655150,
            [(2000.0, 0.02)],
            [(2325.0, 99.0), (2341.25, 340.1028)],
            904845,
        )
    ],
    "ws_order_book_update_2025_old_shape.json": [
        [
            BookEvent(
                "0",
                TIME_NONE,
                False,
                [(2979.36, 0.0)],
                [(2979.64, 61.9487)],
                3107818665,
            )
        ]
    ],
    "ws_order_book_update_one_side.json": [
        [book("0", 1774884082309144, [], [(2064.54, 0.3285)], 9182390020, 9182389998)]
    ],
    "ws_ticker_subscribed_empty.json": [
        [AckEvent("ticker:39"), QuoteEvent("39", TIME_NONE, 2475051, *EMPTY)]
    ],
    "ws_ticker_subscribed_then_update_btc.jsonl": [
        [
            AckEvent("ticker:1"),
            QuoteEvent(
                "1",
                1776695866952028 * US,
                10385958485,
                75531.5,
                0.0012,
                75531.6,
                0.53087,
            ),
        ],
        [
            QuoteEvent(
                "1",
                1776695867144750 * US,
                10385958486,
                75524.4,
                0.10752,
                75531.6,
                0.52927,
            )
        ],
    ],
    "ws_ticker_update_eth.json": [
        [
            QuoteEvent(
                "0", 1774883844921166 * US, 9182390020, 2064.3, 1.0392, 2064.48, 0.495
            )
        ]
    ],
    # A row says who made the market: a maker who asked was hit by a buyer.
    "ws_trade_subscribed_btc.json": [
        [
            AckEvent("trade:1"),
            FORCED,
            trade("1", 1776690799927846, 75198.2, 0.0002, SIDE_ASK, 18240999144),
            trade("1", 1776690799927875, 75198.1, 0.00006, SIDE_ASK, 18240999145),
        ]
    ],
    "ws_trade_update_btc.json": [
        [trade("1", 1776690800252707, 75196.7, 0.00012, SIDE_ASK, 18240999426)]
    ],
    "ws_trade_update_eth_short_tx_hash.json": [
        [trade("0", 1773854156686065, 2181.83, 0.1336, SIDE_ASK, 16164557907)]
    ],
    "ws_trade_update_liquidation_only.json": [[FORCED]],
    "ws_trade_update_no_liquidation_key.json": [[]],
}
ELSEWHERE = {"ws_requests.jsonl", "ws_ticker_partial_variants.jsonl"}


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_frame_means_what_the_protocol_says(name: str) -> None:
    for frame, expected in zip(frames(name), EXPECTED[name], strict=True):
        for form in forms(frame):
            found = decode(form, WALL_NS)
            assert comparable(found, DIGITS) == comparable(expected, DIGITS)


def test_every_frame_file_has_an_expected_result() -> None:
    present = {path.name for path in FRAMES.glob("ws_*")}
    assert present == set(EXPECTED) | ELSEWHERE


def test_ticker_without_sides_is_empty_and_without_an_object_refused() -> None:
    without_sides, without_object = frames("ws_ticker_partial_variants.jsonl")
    expected = QuoteEvent("1", 1776695867144751 * US, 10385958487, *EMPTY)
    assert comparable(decode(without_sides, WALL_NS)) == comparable([expected])
    with pytest.raises(FrameError, match="missing"):
        decode(without_object, WALL_NS)


# --- What we send -------------------------------------------------------------------


def test_requests_are_those_of_the_protocol() -> None:
    documented = set((FRAMES / "ws_requests.jsonl").read_text().splitlines())
    rows = VENUE.subscriptions("0", Options("both"))
    books = [VENUE.request([row.topic], 1) for row in rows if row.is_book]
    assert set(books) <= documented
    assert VENUE.request(["trade/0"], 2) in documented
    assert VENUE.request(["market_stats/1"], 3) in documented
    assert VENUE.request([rows[1].topic], 4, is_end=True) in documented
    assert VENUE.ping() in documented


@pytest.mark.parametrize(
    ("options", "keys"),
    [
        (Options("bbo", trades=False), ["ticker:0", "market_stats:0"]),
        (Options("bbo"), ["ticker:0", "market_stats:0", "trade:0"]),
        (Options("depth"), ["order_book:0", "market_stats:0", "trade:0"]),
        (Options("both"), ["ticker:0", "order_book:0", "market_stats:0", "trade:0"]),
    ],
)
def test_books_come_first_and_liveness_is_always_there(
    options: Options, keys: list[str]
) -> None:
    assert [row.key for row in VENUE.subscriptions("0", options)] == keys


def test_each_stream_says_what_it_carries() -> None:
    rows = VENUE.subscriptions("0", Options("both"))
    assert [row.carries for row in rows] == ["bbo", "depth", "liveness", "trades"]
    topics = [row.topic for row in rows]
    assert topics == ["ticker/0", "order_book/0", "market_stats/0", "trade/0"]


def test_numbers_of_books_and_tickers_lie_on_one_line() -> None:
    """Both number the venue's transactions: about a thousand a second, recorded."""
    image = decode(frames("ws_order_book_snapshot_then_update_btc.jsonl")[0], WALL_NS)
    (ticker,) = decode(frames("ws_ticker_subscribed_then_update_btc.jsonl")[1], WALL_NS)
    assert isinstance(image[1], BookEvent)
    assert isinstance(ticker, QuoteEvent)
    steps = ticker.venue_sequence - image[1].sequence
    seconds = (ticker.event_ns - image[1].event_ns) / 1e9
    assert 900 < steps / seconds < 1_100
