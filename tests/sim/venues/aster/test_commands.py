"""Commands, acknowledgements and errors, as documented."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sim.harness import shape
from tests.sim.venues.aster.desk import Desk, samples


def test_documented_requests_get_the_documented_answers() -> None:
    desk = Desk()
    desk.session.hold(["btcusdt@aggTrade"])
    requests = samples("ws_client_requests_doc.jsonl")
    answers = samples("ws_acks_doc.jsonl")
    assert [desk.say(request) for request in requests] == answers


@pytest.mark.parametrize(
    ("request_", "row"),
    [
        ({"method": "SET_PROPERTY", "params": ["colour", True], "id": 1}, 0),
        ({"method": "GET_PROPERTY", "params": ["colour"], "id": 1}, 0),
        ({"method": "SET_PROPERTY", "params": ["combined", "yes"], "id": 1}, 1),
        ({"method": "SET_PROPERTY", "params": ["combined"], "id": 1}, 1),
        ({"method": "SET_PROPERTY", "params": [7, True], "id": 1}, 2),
        ({"method": "GET_PROPERTY", "params": [], "id": 1}, 2),
        ({"method": "SUBSCRIBE", "params": ["btcusdt@depth"], "id": -1}, 3),
        ({"method": "SUBSCRIBE", "params": ["btcusdt@depth"], "id": "1"}, 3),
        ({"method": "SUBSCRIBE", "params": ["btcusdt@depth"], "id": 1.5}, 3),
        ({"method": "SUBSCRIBE", "params": ["btcusdt@depth"], "id": True}, 3),
        ({"method": "SUBSCRIBE", "params": ["btcusdt@depth"], "id": None}, 3),
        ('{"method": "SUBSCRIB", "id": 1}', 4),
        ({"method": "SET_PROPERTY", "params": ["combined", True, 1], "id": 1}, 5),
        ({"method": "GET_PROPERTY", "params": ["combined", 1], "id": 1}, 5),
        ({"params": ["btcusdt@depth"], "id": 1}, 6),
        ([], 6),
        ("subscribe", 7),
        (b"\xff\xfe", 7),
        ("", 7),
        ("[" * 100_000, 7),
    ],
)
def test_bad_request_gets_the_documented_error(request_: Any, row: int) -> None:
    desk = Desk()
    answer = desk.say(request_)
    wanted = samples("ws_errors_doc.jsonl")[row]
    answer_text, wanted_text = (
        error["msg"].split(" at line")[0] for error in (answer, wanted)
    )
    assert (answer["code"], answer_text) == (wanted["code"], wanted_text)
    assert shape(answer) == shape(wanted)
    assert not desk.session.topics


def test_request_without_an_id_is_served_since_a_known_client_sends_none() -> None:
    desk = Desk()
    answer = desk.say({"method": "SUBSCRIBE", "params": ["btcusdt@bookTicker"]})
    assert answer == {"result": None, "id": None}
    assert desk.until()["s"] == "BTCUSDT"


def test_unknown_method_tells_the_column_after_it() -> None:
    answer = Desk().say('{"id":1,     "method":"SUBSCRIB"}')
    assert answer["msg"].endswith(" at line 1 column 32")


@pytest.mark.parametrize("params", ["btcusdt@depth", [7], {"a": 1}, [None]])
def test_parameters_of_a_wrong_type_are_an_invalid_request(params: object) -> None:
    answer = Desk().say({"method": "SUBSCRIBE", "params": params, "id": 1})
    assert answer["code"] == 2


def test_unknown_names_are_acknowledged_listed_and_silent() -> None:
    desk = Desk()
    names = [
        "nosuch@bookTicker",
        "BTCUSDT@bookTicker",
        "btcusdt@nosuch",
        "btcusdt@depth7",
        "btcusdt@kline_7m",
        "btcusdt@!bookTicker",
        "!nosuch",
        "",
    ]
    desk.subscribe(*names)
    assert desk.say({"method": "LIST_SUBSCRIPTIONS", "id": 3})["result"] == names
    assert desk.move(500) == []


def test_second_subscription_of_a_name_changes_nothing() -> None:
    desk = Desk()
    desk.subscribe("btcusdt@bookTicker", "btcusdt@bookTicker")
    desk.subscribe("btcusdt@bookTicker")
    listed = desk.say({"method": "LIST_SUBSCRIPTIONS", "id": 3})["result"]
    assert listed == ["btcusdt@bookTicker"]
    told = [row["u"] for row in desk.move(500)]
    assert len(set(told)) == len(told) > 5


def test_unsubscribing_what_is_not_held_is_acknowledged() -> None:
    request = {"method": "UNSUBSCRIBE", "params": ["btcusdt@depth"], "id": 312}
    assert Desk().say(request) == {"result": None, "id": 312}


def test_more_streams_than_allowed_are_refused_together() -> None:
    desk = Desk()
    desk.subscribe(*(f"s{index}@trade" for index in range(199)))
    params = ["btcusdt@bookTicker", "ethusdt@bookTicker"]
    answer = desk.say({"method": "SUBSCRIBE", "params": params, "id": 2})
    assert answer == {"code": 2, "msg": "Invalid request: too many parameters"}
    assert len(desk.session.names) == 199
    desk.subscribe("btcusdt@bookTicker")
    path = "/ws/" + "/".join(f"s{index}@trade" for index in range(201))
    assert desk.venue.open(path, {}) is None


def test_combined_can_be_toggled_and_wraps_every_payload() -> None:
    desk = Desk()
    desk.subscribe("btcusdt@bookTicker")
    assert desk.until()["e"] == "bookTicker"
    get = {"method": "GET_PROPERTY", "params": ["combined"], "id": 6}
    assert desk.say(get) == {"result": False, "id": 6}
    desk.say({"method": "SET_PROPERTY", "params": ["combined", True], "id": 5})
    assert desk.say(get) == {"result": True, "id": 6}
    told = desk.until()
    assert set(told) == {"stream", "data"}
    assert told["stream"] == "btcusdt@bookTicker"
    desk.say({"method": "SET_PROPERTY", "params": ["combined", False], "id": 5})
    assert desk.until()["e"] == "bookTicker"


@pytest.mark.parametrize(
    ("path", "query", "combined", "names"),
    [
        ("/ws", {}, False, []),
        ("/ws/", {}, False, []),
        ("/ws/btcusdt@trade", {}, False, ["btcusdt@trade"]),
        ("/ws/a@trade/b@trade", {}, False, ["a@trade", "b@trade"]),
        ("/stream", {}, True, []),
        ("/stream", {"streams": "a@trade/b@trade"}, True, ["a@trade", "b@trade"]),
    ],
)
def test_paths_of_streams(
    path: str, query: dict[str, str], combined: bool, names: list[str]
) -> None:
    session = Desk().open(path, **query)
    assert (session.combined, list(session.names)) == (combined, names)


@pytest.mark.parametrize("path", ["/", "/wss", "/fapi/v1/depth", "/streams"])
def test_other_paths_are_no_stream(path: str) -> None:
    assert Desk().venue.open(path, {}) is None


def test_eleventh_message_in_a_second_ends_the_session() -> None:
    desk = Desk()
    listing = '{"method":"LIST_SUBSCRIPTIONS","id":1}'
    for _ in range(3):
        for _ in range(10):
            desk.venue.receive(desk.session, listing)
        desk.clock.turn(1.0)
    desk.subscribe("btcusdt@bookTicker")
    for _ in range(9):
        desk.venue.receive(desk.session, "not even JSON")
    assert desk.session.ending is None
    assert desk.venue.receive(desk.session, listing) == []
    assert desk.session.ending is not None
    assert desk.move(500) == []


def test_protocol_pings_are_messages_too() -> None:
    desk = Desk()
    for _ in range(10):
        desk.session.heard(desk.clock.monotonic_s())
    assert desk.session.ending is None
    desk.session.heard(desk.clock.monotonic_s())
    assert desk.session.ending is not None
