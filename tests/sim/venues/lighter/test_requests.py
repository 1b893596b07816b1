"""What a client may say, how it is answered, and how much of it."""

from __future__ import annotations

import json

import pytest

from feedhandler.sim import Limits
from tests.sim.venues.lighter.desk import Desk, Json, lines

NESTED = {
    one["error"]["code"]: one["error"]["message"]
    for one in lines("ws_error_messages.jsonl")
    if "error" in one
}


def code_of(answer: Json) -> int:
    return int(answer.get("error", answer)["code"])


def test_requests_of_the_documentation_are_understood() -> None:
    desk = Desk()
    for request in lines("ws_requests.jsonl"):
        answers = desk.say(request)
        if request["type"] == "pong":
            assert answers == []
            continue
        (answer,) = answers
        if str(request.get("channel")).startswith("candle"):
            assert code_of(answer) == 30006
            continue
        assert answer["type"] in ("pong", "unsubscribed") or answer["type"].startswith(
            "subscribed/"
        )


def test_frames_name_the_channel_with_a_colon() -> None:
    desk = Desk()
    assert desk.subscribe("order_book/1")["channel"] == "order_book:1"
    assert desk.subscribe("market_stats/all")["channel"] == "market_stats:all"
    assert desk.subscribe("height")["channel"] == "height"
    assert desk.unsubscribe("market_stats/all") == {
        "type": "unsubscribed",
        "channel": "market_stats:all",
    }


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        ("garbage", 30000),
        ("[" * 5000, 30000),
        (b"\xff", 30000),
        ("[]", 30000),
        ("null", 30000),
        ({}, 30001),
        ({"type": "nonsense"}, 30001),
        ({"type": ["subscribe"]}, 30001),
        ({"type": "subscribe"}, 30007),
        ({"type": "subscribe", "channel": 7}, 30007),
        ({"type": "subscribe", "channel": "order_book"}, 30005),
        ({"type": "subscribe", "channel": "order_book:1"}, 30005),
        ({"type": "subscribe", "channel": "order_book/254"}, 30005),
        ({"type": "subscribe", "channel": "order_book/01"}, 30005),
        ({"type": "subscribe", "channel": "order_book/all"}, 30005),
        ({"type": "subscribe", "channel": "market_stats/2048"}, 30005),
        ({"type": "subscribe", "channel": "spot_market_stats/1"}, 30005),
        ({"type": "subscribe", "channel": "height/1"}, 30005),
        ({"type": "subscribe", "channel": "nonsense/1"}, 30005),
        ({"type": "subscribe", "channel": "account_all/1"}, 30006),
        ({"type": "unsubscribe", "channel": "order_book/1"}, 30002),
        ({"type": "unsubscribe", "channel": "ping"}, 30005),
    ],
)
def test_wrong_request_has_its_code(request_: object, code: int) -> None:
    (answer,) = Desk().say(request_)
    assert answer["error"]["code"] == code
    assert list(answer) == ["error"]
    if code in NESTED and "{" not in NESTED[code] and code not in (30002, 30003):
        assert answer["error"]["message"] == NESTED[code]


def test_second_subscription_is_refused_without_a_snapshot() -> None:
    desk = Desk()
    desk.subscribe("ticker/3")
    nested, flat = lines("ws_error_messages.jsonl")[:2]
    assert desk.subscribe("ticker/3") == nested
    assert desk.subscribe("ticker/3") == flat
    assert desk.subscribe("ticker/3") == nested
    desk.unsubscribe("ticker/3")
    assert desk.subscribe("ticker/3")["type"] == "subscribed/ticker"


def test_unsubscribed_channel_falls_silent() -> None:
    desk = Desk()
    desk.subscribe("order_book/1")
    desk.subscribe("ticker/0")
    desk.unsubscribe("order_book/1")
    channels = {message["channel"] for message in desk.move(500)}
    assert channels == {"ticker:0"}


def test_messages_of_all_sockets_share_one_budget() -> None:
    desk = Desk(limits=Limits(requests_per_minute=10))
    other = desk.open()
    for _ in range(5):
        assert desk.say({"type": "ping"}) == [{"type": "pong"}]
        assert desk.say({"type": "ping"}, other) == [{"type": "pong"}]
    (refusal,) = desk.say({"type": "subscribe", "channel": "ticker/1"})
    assert refusal == {
        "error": {"code": 30009, "message": "Too Many Websocket Messages!"}
    }
    desk.clock.turn(60.0)
    assert desk.subscribe("ticker/1")["type"] == "subscribed/ticker"


def test_budgets_are_the_documented_ones() -> None:
    limits = Desk().venue.allowed
    assert limits.requests_per_minute == 200
    assert limits.rest_weight_per_minute == 60
    assert (limits.connections_max, limits.connects_per_minute) == (255, 255)
    assert limits.subscriptions_max == 500


def test_subscriptions_are_limited_on_each_connection() -> None:
    desk = Desk(limits=Limits(subscriptions_max=2))
    for channel in ("ticker/0", "ticker/1"):
        assert desk.subscribe(channel)["type"] == "subscribed/ticker"
    refusal = desk.subscribe("ticker/2")
    assert refusal["error"] == {"code": 23001, "message": "Too Many Subscriptions!"}
    other = desk.open()
    request = {"type": "subscribe", "channel": "ticker/2"}
    assert desk.say(request, other)[0]["type"] == "subscribed/ticker"
    desk.unsubscribe("ticker/0")
    assert desk.subscribe("ticker/2")["type"] == "subscribed/ticker"


def test_stream_is_at_its_path_with_any_query() -> None:
    desk = Desk()
    assert desk.venue.open("/stream", {"readonly": "true"}) is not None
    assert desk.venue.open("/ws", {}) is None
    first, second = desk.venue.greet(desk.session), desk.venue.greet(desk.open())
    assert json.loads(first[0].text) != json.loads(second[0].text)
