"""What clients may ask for on either kind of stream, and how they are refused."""

from __future__ import annotations

from typing import Any

import pytest

from feedhandler.sim.venues.extended.requests import V1, V2
from tests.sim.venues.extended.desk import LIVE, Desk, Line, lines, shape

FULL = {"market": "BTC-USD", "depth": "full", "rfqOnly": False}


@pytest.mark.parametrize(
    "path",
    [
        "/orderbooks/BTC-USD",
        "/orderbooks",
        "/orderbooks/",
        "/publicTrades/1000PEPE-USD",
        "/publicTrades",
        "/funding/ETH-USD",
        "/funding",
        "/prices/mark/BTC-USD",
        "/prices/index",
    ],
)
def test_v1_path_is_a_stream(path: str) -> None:
    assert Desk().venue.open(f"{V1}{path}", {}) is not None


@pytest.mark.parametrize(
    "path",
    [
        V1,
        f"{V1}/",
        f"{V1}/orderbooks/NOSUCH-USD",
        f"{V1}/orderbooks/btc-usd",
        f"{V1}/orderbooks/MATIC-USD",
        f"{V1}/orderbooks/BTC-USD/more",
        f"{V1}/orderbook/BTC-USD",
        f"{V1}/prices",
        f"{V1}/prices/last/BTC-USD",
        f"{V1}/account",
        "/stream.extended.exchange/v2",
        f"{V2}/more",
        "/orderbooks/BTC-USD",
        "/",
    ],
)
def test_other_paths_are_no_streams(path: str) -> None:
    assert Desk().venue.open(path, {}) is None


def test_depth_of_a_path_is_one_or_not_given() -> None:
    venue = Desk().venue
    path = f"{V1}/orderbooks/BTC-USD"
    assert venue.open(path, {"depth": "1"}) is not None
    for depth in ("2", "full", ""):
        assert venue.open(path, {"depth": depth}) is None


def test_what_is_said_on_a_path_stream_is_not_listened_to() -> None:
    line = Desk().open("/orderbooks/BTC-USD")
    for text in ('{"method":"ping","id":"1"}', "{", b"\x00\xff"):
        assert line.say(text) == []


def test_every_documented_request_but_candles_is_answered_as_recorded() -> None:
    line = Desk().rpc()
    recorded = lines("ws_v2_rpc_responses.jsonl")
    answers = {}
    for request in lines("ws_v2_requests.jsonl"):
        for message in line.say(request):
            if "id" in message:
                answers[message["id"]] = message
    assert answers["1"] == recorded[0]
    assert list(answers["1"]["result"]) == list(recorded[0]["result"])
    assert shape(answers["3"]) == shape(recorded[1])
    assert shape(answers["9"]) == shape(recorded[-1])
    assert answers["4"]["result"]["subscription"] == "trades.all"
    assert answers["2"]["result"]["subscription"] == "orderbooks.1.BTC-USD"
    assert answers["10"]["result"] == {"method": "ping", "status": "OK"}
    assert answers["11"]["result"] == {"method": "unsubscribe", "status": "OK"}
    assert answers["8"]["error"]["code"] == -32602
    held = answers["9"]["result"]["subscriptions"]
    assert held == sorted(held)
    assert set(recorded[-1]["result"]["subscriptions"]) <= set(held)


def test_data_may_come_before_its_answer() -> None:
    line = Desk().rpc()
    orders = set()
    for symbol in LIVE:
        first, _ = line.call("subscribe", "orderbooks", market=symbol, depth="1")
        orders.add("result" in first)
    assert orders == {True, False}


def test_topic_is_dropped_when_unsubscribed() -> None:
    line = Desk().rpc()
    line.call("subscribe", "orderbooks", **FULL)
    assert line.step(40)
    line.call("unsubscribe", "orderbooks", **FULL)
    assert line.step(40) == []
    (answer,) = line.call("list-subscriptions")
    assert answer["result"]["subscriptions"] == []


def test_rfq_topic_is_accepted_and_has_nothing_to_tell() -> None:
    line = Desk().rpc()
    answers = line.call("subscribe", "orderbooks", **{**FULL, "rfqOnly": True})
    assert [one["result"]["subscription"] for one in answers] == [
        "orderbooks.BTC-USD.rfq"
    ]
    assert line.step(40) == []


def test_wrong_depth_is_not_answered_at_all() -> None:
    line = Desk().rpc()
    for depth in ("5", "", 1, None):
        assert line.call("subscribe", "orderbooks", market="BTC-USD", depth=depth) == []


def error_of(line: Line, request: Any) -> tuple[Any, int, str]:
    (answer,) = line.say(request)
    assert set(answer) == {"id", "error", "jsonrpc"}
    return answer["id"], answer["error"]["code"], answer["error"]["message"]


def test_unknown_market_has_the_venues_code() -> None:
    line = Desk().rpc()
    for market in ("NOSUCH-USD", "MATIC-USD"):
        (answer,) = line.call("subscribe", "trades", market=market)
        assert answer["error"] == {"code": 1001, "message": "Market not found"}
    assert line.session.subscriptions == {}


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        ("{", (None, -32700)),
        ("[" * 5000, (None, -32700)),
        (b"\xff", (None, -32700)),
        ("[]", (None, -32600)),
        ("7", (None, -32600)),
        ({"id": "a", "method": "nonsense"}, ("a", -32601)),
        ({"id": 3, "method": ["subscribe"]}, (3, -32601)),
        ({"id": {}, "method": "subscribe"}, (None, -32602)),
        ({"id": "a", "method": "subscribe", "params": []}, ("a", -32602)),
        (
            {"id": "a", "method": "subscribe", "params": {"scope": "trades"}},
            ("a", -32602),
        ),
    ],
)
def test_malformed_request_is_a_json_rpc_error(
    request_: Any, expected: tuple[Any, int]
) -> None:
    assert error_of(Desk().rpc(), request_)[:2] == expected


@pytest.mark.parametrize(
    ("scope", "selector"),
    [
        ("prices", {"type": "last", "market": "BTC-USD"}),
        ("prices", {"market": "BTC-USD"}),
        ("prices", {"type": ["mark"], "market": "BTC-USD"}),
        ("trades", {"market": 7}),
        ("trades", {"market": ["BTC-USD"]}),
        ("account", {"account": "1"}),
        ("candles", {"type": "last", "market": "BTC-USD", "interval": "PT1M"}),
    ],
)
def test_selector_the_venue_does_not_have_is_refused(
    scope: str, selector: dict[str, object]
) -> None:
    (answer,) = Desk().rpc().call("subscribe", scope, **selector)
    assert answer["error"] == {"code": -32602, "message": "Invalid params"}


def test_request_without_a_user_agent_is_refused_with_an_empty_403() -> None:
    venue = Desk().venue
    for headers in ({}, {"User-Agent": ""}, {"Accept": "*/*"}):
        refusal = venue.refusal(headers)
        assert refusal is not None
        assert (refusal.status, refusal.body) == (403, "")
    assert venue.refusal({"user-agent": "feedhandler"}) is None


def test_server_pings_every_fifteen_seconds_and_waits_ten() -> None:
    limits = Desk().venue.allowed
    assert (limits.ping_s, limits.pong_s) == (15.0, 10.0)
