"""Hyperliquid's book over REST: every shape that was seen, and what is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from feedhandler.codec.frame import FrameError
from feedhandler.events import TIME_NONE, BookEvent
from feedhandler.venues._base import Market, find_market
from feedhandler.venues.hyperliquid import VENUE
from tests.venues.frames import MS, WALL_NS, directory, lines, refused

FRAMES = directory("hyperliquid")
BTC = find_market(VENUE, "BTC-PERP", [])


def parse(symbol: str, body: bytes) -> BookEvent:
    return VENUE.parse_snapshot(find_market(VENUE, symbol, []), body, WALL_NS)


def book(**facts: Any) -> bytes:
    bids = [{"px": "100.0", "sz": "1.5", "n": 2}, {"px": "99.0", "sz": "3", "n": 1}]
    asks = [{"px": "101.0", "sz": "2.5", "n": 1}]
    data = {"coin": "BTC", "time": 1_785_000_000_000, "levels": [bids, asks], **facts}
    kept = {key: value for key, value in data.items() if value != "absent"}
    return json.dumps(kept).encode()


@pytest.mark.parametrize(
    ("market", "body"),
    [
        (BTC, b'{"type":"l2Book","coin":"BTC"}'),
        (
            Market("HYPE/USDC", "HYPE-USDC", market_id="@107"),
            b'{"type":"l2Book","coin":"@107"}',
        ),
        (
            find_market(VENUE, "xyz:GOLD-PERP", []),
            b'{"type":"l2Book","coin":"xyz:GOLD"}',
        ),
    ],
)
def test_request_names_the_market_and_costs_two(market: Market, body: bytes) -> None:
    request = VENUE.snapshot_request(market)
    assert (request.method, request.path) == ("POST", "/info")
    assert (request.body, request.weight) == (body, 2)


def test_image_of_a_pair_has_twenty_levels_a_side() -> None:
    image = parse("@107", (FRAMES / "rest_l2book_spot_107.json").read_bytes())
    assert (image.symbol, image.is_snapshot) == ("@107", True)
    assert image.event_ns == 1737442821369 * MS
    assert image.bids[:2] == [(21.828, 65.9), (21.82, 121.01)]
    assert image.bids[-1] == (21.771, 93.87)
    assert image.asks[:2] == [(21.829, 10.0), (21.83, 25.0)]
    assert image.asks[-1] == (21.867, 52.84)
    assert (len(image.bids), len(image.asks)) == (20, 20)
    assert (image.sequence, image.previous) == (-1, -1)


def test_levels_may_lack_their_count_of_orders() -> None:
    image = parse("BTC", (FRAMES / "rest_l2book_btc_no_n.json").read_bytes())
    assert image.event_ns == 1761786491067 * MS
    assert (image.bids[0], image.asks[0]) == ((110427.0, 4.11882), (110428.0, 3.72573))
    assert (image.bids[-1], image.asks[-1]) == (
        (110423.0, 3.07847),
        (110433.0, 1.27191),
    )


def test_oldest_order_of_keys_is_read() -> None:
    recorded = json.loads(
        (FRAMES / "rest_l2book_dydx_2023_with_headers.json").read_bytes()
    )
    image = parse("DYDX", json.dumps(recorded["body"]).encode())
    assert (image.bids[0], image.asks[0]) == ((2.111, 134.4), (2.1124, 352.3))
    assert (image.bids[-1], image.asks[-1]) == ((1.81, 2397.0), (2.1518, 62.0))


def test_empty_book_is_an_image() -> None:
    image = parse("BTC", book(levels=[[], []]))
    assert (image.bids, image.asks) == ([], [])


def test_absurd_time_is_absent() -> None:
    assert parse("BTC", book(time=0)).event_ns == TIME_NONE


@pytest.mark.parametrize("line", range(4))
def test_answer_of_an_error_is_no_image(line: int) -> None:
    answer = json.loads(lines("hyperliquid", "rest_errors.jsonl")[line])
    is_text = answer["content_type"] == "text/plain"
    body = answer["body"] if is_text else json.dumps(answer["body"])
    with pytest.raises(FrameError) as refusal:
        parse("BTC", body.encode())
    expected = {"": "empty", "null": "venue_error"}.get(body, "json")
    assert refusal.value.reason == expected


def levels(price: object, size: object = "1") -> list[Any]:
    good = {"px": "99.0", "sz": "1"}
    return [[good, {"px": price, "sz": size}], []]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (book(coin="ETH"), "symbol"),
        (book(coin="btc"), "symbol"),
        (book(coin="@107"), "symbol"),
        (book(coin="\x1b[31m" * 100), "symbol"),
        (book(coin="absent"), "missing"),
        (book(coin=5), "type"),
        (book(time="absent"), "missing"),
        (book(time="1785000000000"), "type"),
        (book(time=1_785_003_609_000), "time_future"),
        (book(time=1_785_000_000_000_000), "time"),
        (book(levels="absent"), "missing"),
        (book(levels=[[]]), "shape"),
        (book(levels=[[], [], []]), "shape"),
        (book(levels=levels("nan")), "number"),
        (book(levels=levels("1e400")), "range"),
        (book(levels=levels("0")), "nonpositive"),
        (book(levels=levels("1_0")), "number"),
        (book(levels=levels(True)), "type"),
        (book(levels=levels(98.5)), "type"),
        (book(levels=levels("98", "-1")), "range"),
        (book(levels=levels("98", "1e-13")), "range"),
        (book(levels=[[["98", "1"]], []]), "type"),
        (b"[[],[]]", "shape"),
        (b"5", "shape"),
        (b"{}", "missing"),
        (b"[" * 5_000, "shape"),
        (b"<html><body>502 Bad Gateway</body></html>", "json"),
        (book() + b"x", "json"),
        (book()[:-2], "json"),
        (book().replace(b"BTC", b"B\xffC"), "utf8"),
    ],
)
def test_bad_answer_is_refused_with_its_reason(body: bytes, reason: str) -> None:
    with refused(reason) as refusal:
        parse("BTC", body)
    assert len(refusal.value.detail) < 300


def test_answer_to_a_post_over_the_stream_is_another_shape() -> None:
    (frame,) = lines("hyperliquid", "ws_post_l2book_response.json")
    with pytest.raises(FrameError, match="missing"):
        parse("ETH", frame)
