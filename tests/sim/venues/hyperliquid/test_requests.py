"""Acknowledgements, errors and the limits of subscriptions."""

from __future__ import annotations

import json
from typing import Any

import pytest

from feedhandler.sim.limits import Limits
from feedhandler.sim.venues._base import ACK, DATA, ERROR, PONG
from tests.sim.harness import FRAMES
from tests.sim.venues.hyperliquid.desk import Desk, sample


@pytest.mark.parametrize(
    ("sent", "echoed"),
    [
        ({"type": "bbo", "coin": "SOL"}, {"type": "bbo", "coin": "SOL"}),
        ({"type": "bbo", "coin": "SOL", "x": 1}, {"type": "bbo", "coin": "SOL"}),
        (
            {"type": "l2Book", "coin": "HYPE"},
            {
                "type": "l2Book",
                "coin": "HYPE",
                "nSigFigs": None,
                "mantissa": None,
                "fast": False,
            },
        ),
        (
            {"coin": "BTC", "mantissa": 2, "type": "l2Book", "nSigFigs": 5},
            {
                "type": "l2Book",
                "coin": "BTC",
                "nSigFigs": 5,
                "mantissa": 2,
                "fast": False,
            },
        ),
        ({"type": "allMids"}, {"type": "allMids"}),
    ],
)
def test_acknowledgement_echoes_the_normalised_subscription(
    sent: dict[str, Any], echoed: dict[str, Any]
) -> None:
    desk = Desk()
    for method in ("subscribe", "unsubscribe"):
        first = desk.say({"method": method, "subscription": sent})[0]
        assert first == {
            "channel": "subscriptionResponse",
            "data": {"method": method, "subscription": echoed},
        }


def test_recorded_acknowledgement_is_matched() -> None:
    recorded = sample("ws_subscription_response_bbo.json")
    assert Desk().subscribe("bbo", coin="SOL")[0] == recorded


def test_recorded_parse_error_is_matched() -> None:
    recorded = sample("ws_error_parse.json")
    request = recorded["data"].split("request: ", 1)[1]
    assert Desk().say(request) == [recorded]


def test_second_subscribe_and_second_unsubscribe_are_errors() -> None:
    desk = Desk()
    desk.subscribe("bbo", coin="BTC")
    texts = [
        json.loads(line)["data"]
        for line in (FRAMES / "ws_error_messages.jsonl").read_text().splitlines()
    ]
    assert desk.subscribe("bbo", coin="BTC")[0]["data"] == texts[1]
    away = {"method": "unsubscribe", "subscription": {"type": "bbo", "coin": "BTC"}}
    desk.say(away)
    assert desk.say(away)[0]["data"] == texts[2]
    assert desk.subscribe("bbo", coin="NOSUCH")[0]["data"] == texts[3]


@pytest.mark.parametrize(
    "fields",
    [
        {"type": "bbo", "coin": "btc"},
        {"type": "candle", "coin": "BTC", "interval": "1m"},
        {"type": "l2Book", "coin": "BTC", "nSigFigs": 9},
        {"type": "l2Book", "coin": "BTC", "nSigFigs": 4, "mantissa": 2},
        {"type": "l2Book", "coin": "BTC", "nSigFigs": 5, "mantissa": 3},
        {"type": "allMids", "dex": "xyz"},
    ],
)
def test_subscription_to_nothing_is_invalid(fields: dict[str, object]) -> None:
    (answer,) = Desk().say({"method": "subscribe", "subscription": fields})
    assert answer["channel"] == "error"
    assert answer["data"].startswith('Invalid subscription {"type":')


@pytest.mark.parametrize(
    "request_text",
    [
        "",
        "hello",
        "[]",
        "7",
        "null",
        "{}",
        '{"method":"subscribe"}',
        '{"method":"subscribe","subscription":[{"type":"bbo","coin":"BTC"}]}',
        '{"method":"subscribe","subscription":{"type":"bbo"}}',
        '{"method":"subscribe","subscription":{"type":["bbo"],"coin":"BTC"}}',
        '{"method":"subscribe","subscription":{"type":"bbo","coin":{"a":1}}}',
        '{"method":"subscribe","subscription":{"type":"l2Book","coin":"BTC","fast":1}}',
        '{"method":["ping"]}',
        '{"method":"post","id":"x","request":{}}',
        '{"method":"post","id":1,"request":{"type":"info"}}',
        "[" * 100_000,
        '{"a":' * 100_000,
        "9" * 10_000,
        '"\\ud800"',
        b"\xff\xfe\x00",
    ],
)
def test_malformed_request_is_one_error_that_echoes_it(
    request_text: str | bytes,
) -> None:
    (answer,) = Desk().say(request_text)
    assert answer["channel"] == "error"
    head = "Error parsing JSON into valid websocket request: "
    assert answer["data"].startswith(head)
    if isinstance(request_text, str):
        assert answer["data"] == head + request_text


def test_subscriptions_are_limited_over_all_connections() -> None:
    desk = Desk(limits=Limits(subscriptions_max=2))
    other = desk.open()
    desk.subscribe("bbo", coin="BTC")
    add = {"method": "subscribe", "subscription": {"type": "bbo", "coin": "BTC"}}
    assert desk.say(add, other)[0]["channel"] == "subscriptionResponse"
    (answer,) = desk.subscribe("bbo", coin="ETH")
    assert answer["data"] == "Cannot subscribe to more than 1000 channels."
    desk.venue.sessions.discard(other)
    assert desk.subscribe("bbo", coin="ETH")[0]["channel"] == "subscriptionResponse"


def test_requests_are_limited_in_any_minute() -> None:
    desk = Desk(limits=Limits(requests_per_minute=2))
    assert desk.say({"method": "ping"}) == desk.say({"method": "ping"})
    (answer,) = desk.say({"method": "ping"})
    assert answer["data"] == "Cannot send more than 2000 messages per minute."
    desk.clock.turn(60.0)
    assert desk.say({"method": "ping"}) == [{"channel": "pong"}]


def test_frames_carry_their_kind_and_top() -> None:
    desk = Desk()
    request = '{"method":"subscribe","subscription":{"type":"bbo","coin":"BTC"}}'
    ack, data = desk.venue.receive(desk.session, request)
    (error,) = desk.venue.receive(desk.session, request)
    (pong,) = desk.venue.receive(desk.session, '{"method":"ping"}')
    kinds = (ack.kind, data.kind, error.kind, pong.kind)
    assert kinds == (ACK, DATA, ERROR, PONG)
    assert (data.channel, data.symbol) == ("bbo", "BTC")
    rows = json.loads(data.text)["data"]["bbo"]
    assert data.top is not None
    assert data.top[:4] == (rows[0]["px"], rows[0]["sz"], rows[1]["px"], rows[1]["sz"])
