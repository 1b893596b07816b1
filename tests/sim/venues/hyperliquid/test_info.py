"""The answers of POST /info."""

from __future__ import annotations

import json
from typing import Any

import pytest

from feedhandler.sim.limits import Limits
from feedhandler.sim.venues._base import Request
from tests.sim.harness import shape
from tests.sim.venues.hyperliquid.desk import Desk, sample


@pytest.mark.parametrize(
    ("body", "name"),
    [
        ({"type": "recentTrades", "coin": "BTC"}, "rest_recent_trades_btc.json"),
        ({"type": "fundingHistory", "coin": "BTC", "startTime": 0}, None),
        ({"type": "spotMeta"}, None),
    ],
)
def test_list_answers_have_rows(body: dict[str, Any], name: str | None) -> None:
    rows = json.loads(Desk().post(body).body)
    assert rows
    if name is not None:
        assert set(rows[0]) == set(sample(name)[0])


def test_info_book_is_bare_and_full() -> None:
    desk = Desk()
    book = json.loads(desk.post({"type": "l2Book", "coin": "BTC"}).body)
    assert shape(book) == shape(sample("rest_l2book_spot_107.json"))
    _, image = desk.subscribe("l2Book", coin="BTC")
    assert book == image["data"]


def test_meta_lists_what_clients_look_for() -> None:
    meta = json.loads(Desk().post({"type": "meta"}).body)
    rows = {row["name"]: row for row in meta["universe"]}
    assert {"BTC", "ETH", "SOL", "HYPE", "kPEPE"} <= set(rows)
    assert [name for name, row in rows.items() if row.get("isDelisted")] == ["MATIC"]
    recorded = sample("rest_meta_testnet_201.json")
    assert set(meta) == set(recorded)
    assert shape(meta["marginTables"][0][1]) == shape(recorded["marginTables"][0][1])
    keys = {key for row in recorded["universe"] for key in row}
    assert {key for row in meta["universe"] for key in row} <= keys
    tables = {table[0] for table in meta["marginTables"]}
    assert {row["marginTableId"] for row in meta["universe"]} <= tables


def test_meta_and_contexts_are_aligned() -> None:
    meta, contexts = json.loads(Desk().post({"type": "metaAndAssetCtxs"}).body)
    assert len(meta["universe"]) == len(contexts)
    recorded = sample("ws_active_asset_ctx_sol.json")["data"]["ctx"]
    assert all(set(context) == set(recorded) for context in contexts)


def test_unknown_market_is_null() -> None:
    for kind in ("l2Book", "recentTrades", "fundingHistory"):
        answer = Desk().post({"type": kind, "coin": "NOSUCH", "startTime": 0})
        assert (answer.status, answer.body) == (200, "null")


@pytest.mark.parametrize(
    "body",
    [
        {"type": "l2book", "coin": "BTC"},
        {"type": "l2Book"},
        {"type": "l2Book", "coin": 7},
        {"type": "l2Book", "coin": "BTC", "nSigFigs": "5"},
        {"type": "fundingHistory", "coin": "BTC"},
        {"type": "fundingHistory", "coin": "BTC", "startTime": "0"},
        {"type": ["meta"]},
        {},
        [],
        7,
        None,
    ],
)
def test_wrong_body_is_422_in_plain_text(body: object) -> None:
    answer = Desk().post(body)
    assert (answer.status, answer.content_type) == (422, "text/plain")
    assert "deserialize" in answer.body


def test_funding_history_is_hourly_bounded_and_repeatable() -> None:
    desk = Desk()
    now_ms = desk.clock.wall_ms()
    body = {"type": "fundingHistory", "coin": "BTC", "startTime": now_ms - 36_000_000}
    rows = json.loads(desk.post(body).body)
    assert len(rows) == 10
    assert {row["time"] // 3_600_000 for row in rows} == set(
        range(now_ms // 3_600_000 - 9, now_ms // 3_600_000 + 1)
    )
    assert rows == json.loads(desk.post(body).body)
    everything = desk.post({"type": "fundingHistory", "coin": "BTC", "startTime": 0})
    assert len(json.loads(everything.body)) == 500
    huge = {**body, "startTime": -(10**30), "endTime": 10**30}
    assert len(json.loads(desk.post(huge).body)) == 500


def test_weight_beyond_the_budget_is_429_null_until_a_minute_passed() -> None:
    desk = Desk(limits=Limits(rest_weight_per_minute=24))
    book = {"type": "l2Book", "coin": "BTC"}
    assert desk.post({"type": "meta"}).status == 200
    assert [desk.post(book).status for _ in range(3)] == [200, 200, 429]
    assert desk.post(book).body == "null"
    desk.clock.turn(60.0)
    assert desk.post(book).status == 200


def test_post_over_the_stream_has_the_documented_shape() -> None:
    desk = Desk()
    payload = {"type": "l2Book", "coin": "ETH", "nSigFigs": 5, "mantissa": None}
    request = {"type": "info", "payload": payload}
    (answer,) = desk.say({"method": "post", "id": 7, "request": request})
    data = answer["data"]
    assert (answer["channel"], data["id"]) == ("post", 7)
    assert data["response"]["payload"]["type"] == "l2Book"
    assert len(data["response"]["payload"]["data"]["levels"]) == 2


@pytest.mark.parametrize(
    "request_",
    [
        {"type": "info", "payload": {"type": "nonsense"}},
        {"type": "action", "payload": {"type": "order"}},
        {"type": ["info"], "payload": {}},
        {"payload": {}},
    ],
)
def test_bad_post_over_the_stream_is_an_error_with_its_id(
    request_: dict[str, Any],
) -> None:
    (answer,) = Desk().say({"method": "post", "id": 2, "request": request_})
    assert answer == sample("ws_post_error_response.json")


def test_other_paths_and_methods_are_refused() -> None:
    venue = Desk().venue
    assert venue.rest(Request("POST", "/exchange", {}, b"{}")).status == 404
    assert venue.rest(Request("GET", "/info", {}, b"")).status == 405
    assert venue.open("/stream", {}) is None
