"""Acknowledgements, errors and the rules of subscribing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from feedhandler.sim.limits import Limits
from feedhandler.sim.venues._base import ACK, DATA, ERROR, Response, Session
from tests.sim.harness import shape
from tests.sim.venues.paradex.desk import BTC, ETH, Desk, read, sample

BARE = "no parameters expected for deltas topic."
SCHEMA = {"sbeSchemaId": "1", "sbeSchemaVersion": "1"}


def body(desk: Desk, request: object) -> dict[str, Any]:
    """The answer to a request, without the times of the server."""
    (frame,) = desk.say(request)
    assert isinstance(frame.text, str)
    assert frame.text.endswith("\n")
    answer: dict[str, Any] = json.loads(frame.text)
    took_us = answer.pop("usDiff")
    assert answer.pop("usOut") - answer.pop("usIn") == took_us > 0
    assert frame.kind == (ERROR if "error" in answer else ACK)
    return answer


def recorded_error(code: int) -> dict[str, Any]:
    rows = [row["frame"] for row in sample("ws_errors.jsonl")]
    return next(row for row in rows if row["error"]["code"] == code)


@pytest.mark.parametrize("version", ["0", "1", "2"])
def test_each_served_version_of_the_schema_is_accepted(version: str) -> None:
    query = {**SCHEMA, "sbeSchemaVersion": version, "other": "1"}
    assert isinstance(Desk().venue.open("/v1", query), Session)


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"sbeSchemaId": "1"},
        {"sbeSchemaVersion": "1"},
        {**SCHEMA, "sbeSchemaVersion": "4"},
        {**SCHEMA, "sbeSchemaVersion": "-1"},
        {**SCHEMA, "sbeSchemaVersion": "01"},
        {**SCHEMA, "sbeSchemaVersion": "x"},
        {**SCHEMA, "sbeSchemaId": "2"},
        {**SCHEMA, "sbeSchemaId": ""},
    ],
)
def test_other_schemas_are_refused_at_the_handshake(query: Mapping[str, str]) -> None:
    refusal = Desk().venue.open("/v1", query)
    assert isinstance(refusal, Response)
    assert refusal.status == 400


def test_other_paths_have_no_stream() -> None:
    assert Desk().venue.open("/v2", SCHEMA) is None


def test_connects_of_one_second_are_limited() -> None:
    desk = Desk()
    for _ in range(19):
        desk.open()
    refusal = desk.venue.open("/v1", SCHEMA)
    assert isinstance(refusal, Response)
    assert refusal.status == 429
    desk.clock.turn(1.0)
    desk.open()


def test_nothing_is_said_before_the_first_request() -> None:
    desk = Desk()
    assert desk.venue.greet(desk.session) == []


def test_recorded_acknowledgements_are_matched() -> None:
    for row in sample("ws_subscribe_acks_recorded.jsonl"):
        desk = Desk()
        channel = row["result"]["channel"]
        request = {"method": "subscribe", "params": {"channel": channel}}
        (answer, *_) = desk.say({"jsonrpc": "2.0", "id": row["id"], **request})
        found = json.loads(answer.text)
        assert (list(found), shape(found)) == (list(row), shape(row))
        assert (found["id"], found["result"]) == (row["id"], row["result"])


def test_documented_requests_are_accepted() -> None:
    desk = Desk()
    for request in sample("ws_client_requests_doc.jsonl"):
        if "snapshot" in request["params"]["channel"]:
            request["params"]["channel"] = f"order_book.{ETH}.snapshot@15@50ms"
        answer, *_ = desk.say(request)
        found = json.loads(answer.text)
        assert (found["id"], found["result"]) == (request["id"], request["params"])


def test_recorded_error_of_a_request_without_id_is_matched() -> None:
    recorded = recorded_error(-32600)
    request = {"method": "subscribe", "params": {"channel": "no_such.BTC-USD-PERP"}}
    (frame,) = Desk().say({"jsonrpc": "2.0", **request})
    found = json.loads(frame.text)
    assert list(found) == list(recorded)
    assert (found["id"], found["error"]) == (0, recorded["error"])


@pytest.mark.parametrize(
    ("channel", "detail"),
    [
        (f"order_book.{BTC}.deltas@15@50ms", BARE),
        (f"order_book.{BTC}.snapshot@20@50ms", "Expecting depth=15"),
        (f"order_book.{BTC}.interactive@10@100ms", "Expecting depth=15"),
        (f"order_book.{BTC}.snapshot@15@200ms", "invalid channel"),
        (f"order_book.{BTC}.snapshot@15@50ms@a", "invalid channel"),
        (f"order_book.{BTC}.snapshot@15@50ms@0_1@2", "invalid channel"),
        (f"order_book.{BTC}.snapshot", "invalid channel"),
        (f"order_book.{BTC}", "invalid channel"),
        ("order_book.deltas", "invalid channel"),
        ("order_book", "invalid channel"),
        ("bbo", "invalid channel"),
        ("trades.", "invalid channel"),
        ("funding_data.", "invalid channel"),
        ("orders.ALL", "invalid channel"),
        ("", "invalid channel"),
        ("bbo." + "X" * 200, "invalid channel"),
    ],
)  # fmt: skip
def test_wrong_channel_is_refused_with_its_reason(channel: str, detail: str) -> None:
    desk = Desk()
    expected = {"code": -32600, "message": "invalid subscribe request", "data": detail}
    assert desk.refusal(channel) == expected
    assert desk.session.names == {}


@pytest.mark.parametrize(
    "channel",
    [
        f"bbo.interactive.{BTC}",
        f"bbo.{BTC}@interactive",
        "bbo.NOSUCH-USD-PERP",
        "bbo.btc-usd-perp",
        "trades.NOSUCH-USD-PERP",
        "funding_data.NOSUCH-USD-PERP",
        "markets_summary.NOSUCH-USD-PERP",
        "order_book.NOSUCH-USD-PERP.deltas",
        "order_book.NOSUCH-USD-PERP.snapshot@15@50ms",
        f"order_book.{BTC}.snapshot@15@50ms@0_03",
        f"order_book.{BTC}.snapshot@15@50ms@0",
        "markets",
        f"markets.{BTC}",
    ],
)
def test_channel_of_nothing_is_acknowledged_and_silent(channel: str) -> None:
    desk = Desk()
    assert desk.subscribe(channel) == []
    frames = desk.move(50) + desk.tick(1.0) + desk.move(50) + desk.tick(1.0)
    assert frames == []
    assert desk.refusal(channel)["data"] == "already subscribed"


def test_second_subscribe_and_second_unsubscribe_are_errors() -> None:
    desk = Desk()
    channel = f"bbo.{BTC}"
    desk.subscribe(channel)
    assert desk.refusal(channel)["data"] == "already subscribed"
    (answer,) = desk.ask("unsubscribe", channel)
    assert json.loads(answer.text)["result"] == {"channel": channel}
    error = desk.refusal(channel, "unsubscribe")
    assert (error["code"], error["message"]) == (-32600, "invalid unsubscribe request")
    desk.subscribe(channel)


def test_one_session_has_one_book_of_a_market() -> None:
    desk = Desk()
    deltas, images = f"order_book.{BTC}.deltas", f"order_book.{BTC}.snapshot@15@50ms"
    desk.subscribe(deltas)
    error = desk.refusal(images)
    assert (error["code"], error["data"]) == (
        -32600,
        f"channel {images} cannot share an SBE session with {deltas}",
    )
    desk.subscribe(f"order_book.{ETH}.interactive_deltas")
    desk.subscribe(f"bbo.{BTC}.interactive")
    other = desk.open()
    assert desk.subscribe(images, other)
    desk.ask("unsubscribe", deltas)
    assert desk.subscribe(images)


def test_unsubscribed_channel_falls_silent_and_opens_anew() -> None:
    desk = Desk()
    channel = f"order_book.{BTC}.deltas"
    desk.subscribe(channel)
    assert desk.move(100)
    desk.ask("unsubscribe", channel)
    assert desk.move(100) == []
    (frame,) = desk.subscribe(channel)
    assert read(frame.text).package == "SNAPSHOT"
    assert frame.kind == DATA


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        ("", -32700),
        ("hello", -32700),
        ("[" * 100_000, -32700),
        ("9" * 10_000, -32700),
        (b'{"method":"subscribe","params":{"channel":"bbo.ALL"},"id":1}', -32700),
        ("[]", -32600),
        ("7", -32600),
        ("{}", -32600),
        ('{"method":7}', -32600),
        ('{"method":"ping"}', -32601),
        ('{"method":"subscribe"}', -32602),
        ('{"method":"subscribe","params":[]}', -32602),
        ('{"method":"subscribe","params":{"channel":7}}', -32602),
        ('{"method":"subscribe","params":{"channel":["bbo.ALL"]}}', -32602),
        ('{"method":"auth","params":{"bearer":7}}', 40110),
        ('{"method":"auth","params":{"bearer":"a.b.c"}}', 40111),
        ('{"method":"subscribe","params":{"channel":"\\ud800"}}', -32600),
    ],
)
def test_each_wrong_request_has_its_code(request_: str | bytes, code: int) -> None:
    answer = body(Desk(), request_)
    assert answer["error"]["code"] == code
    assert (answer["jsonrpc"], answer["id"]) == ("2.0", 0)


def test_documented_errors_have_their_texts() -> None:
    desk = Desk()
    for code, request in (
        (-32601, {"method": "nonsense", "id": 4}),
        (-32602, {"method": "subscribe", "id": 1}),
        (40111, {"method": "auth", "params": {"bearer": "a.b.c"}, "id": 0}),
    ):
        documented = recorded_error(code)
        answer = body(desk, request)
        assert (answer["id"], answer["error"]) == (
            documented["id"],
            documented["error"],
        )


@pytest.mark.parametrize(
    ("number", "echoed"), [(7, 7), ("a", "a"), (None, 0), (1.5, 0), (True, 0), ({}, 0)]
)
def test_id_is_echoed_if_it_is_one(number: object, echoed: object) -> None:
    assert body(Desk(), {"method": "x", "id": number})["id"] == echoed


def test_subscriptions_are_bounded_over_all_sessions() -> None:
    desk = Desk(limits=Limits(subscriptions_max=2))
    other = desk.open()
    desk.subscribe(f"bbo.{BTC}")
    desk.subscribe(f"bbo.{BTC}", other)
    assert desk.refusal(f"bbo.{ETH}")["data"] == "too many subscriptions"
    desk.ask("unsubscribe", f"bbo.{BTC}", other)
    desk.subscribe(f"bbo.{ETH}")
