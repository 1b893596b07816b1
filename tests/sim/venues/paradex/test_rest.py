"""The answers of REST, its errors and its limit."""

from __future__ import annotations

import json
from typing import Any

import pytest

from feedhandler.sim.limits import Limits
from feedhandler.sim.venues._base import Request
from tests.sim.harness import shape
from tests.sim.venues.paradex.desk import (
    BTC,
    ETH,
    Desk,
    read,
    sample,
    touch_of,
)

HYPE = "HYPE-USD-PERP"
SUMMARY = "rest_markets_summary_2024_recorded.json"


@pytest.mark.parametrize(
    ("path", "query", "name"),
    [
        (f"/orderbook/{BTC}", {}, "rest_orderbook_2024_recorded.json"),
        (f"/bbo/{BTC}", {}, "rest_bbo_doc.json"),
        ("/markets/summary", {"market": BTC}, SUMMARY),
        ("/funding/data", {"market": BTC}, "rest_funding_data_2025_recorded.json"),
    ],
)
def test_answer_has_the_recorded_shape(
    path: str, query: dict[str, str], name: str
) -> None:
    answer, recorded = Desk().json(path, **query), sample(name)
    for page in (answer, recorded):
        page.pop("next", None)  # is null where there is no other page
        page.pop("prev", None)
    assert shape(answer) == shape(recorded)


def test_trades_have_the_recorded_shape_newest_first() -> None:
    desk = Desk()
    desk.move(500)
    page, recorded = desk.json("/trades", market=BTC), sample(
        "rest_trades_2024_recorded.json"
    )  # fmt: skip
    assert set(page) == set(recorded)
    assert shape(page["results"]) == shape(recorded["results"])
    times = [row["created_at"] for row in page["results"]]
    assert times == sorted(times, reverse=True)


def test_markets_have_what_clients_look_for() -> None:
    rows = {row["symbol"]: row for row in Desk().json("/markets")["results"]}
    recorded = sample("rest_markets_perp_and_option_recorded.json")["results"]
    community = sample("rest_markets_tradingmode_community_synthetic.json")["results"]
    perp, option = rows[BTC], rows["BTC-USD-96000-C"]
    assert set(recorded[0]) | set(community[0]) <= set(perp)
    known = {**recorded[0], **community[0]}
    assert all(
        shape(perp[key]) == shape(value)
        for key, value in known.items()
        if key != "tags"
    )
    assert all(shape(option[key]) == shape(recorded[1][key]) for key in option
               if key in recorded[1])  # fmt: skip
    kinds = {row["asset_kind"] for row in rows.values()}
    assert kinds == {"PERP", "PERP_OPTION", "SPOT"}
    assert (perp["price_tick_size"], perp["order_size_increment"]) == ("0.1", "0.00001")
    assert rows[HYPE]["funding_period_hours"] == 1
    assert "kPEPE-USD-PERP" in rows


def test_one_market_can_be_asked_for() -> None:
    (row,) = Desk().json("/markets", market=ETH)["results"]
    assert row["symbol"] == ETH


def test_book_has_the_numbers_of_the_stream() -> None:
    desk = Desk()
    desk.move(300)
    (frame,) = desk.subscribe(f"order_book.{BTC}.deltas")
    event = read(frame.text)
    book, bbo = desk.json(f"/orderbook/{BTC}"), desk.json(f"/bbo/{BTC}")
    assert book["seq_no"] == bbo["seq_no"] == event.seq
    assert book["last_updated_at"] * 1000 == event.ts_us
    for side, rows in (("bids", event.bids), ("asks", event.asks)):
        told = [(float(price), float(size)) for price, size in book[side]]
        assert told == [(price / 1e8, size / 1e8) for price, size in rows]
    assert frame.top is not None
    keys = ("bid", "bid_size", "ask", "ask_size")
    assert [round(float(bbo[key]) * 1e8) for key in keys] == touch_of(frame.top)


def test_book_has_the_depth_and_the_steps_asked_for() -> None:
    desk = Desk()
    assert len(desk.json(f"/orderbook/{BTC}")["bids"]) == 20
    book = desk.json(f"/orderbook/{BTC}", depth="3", price_tick="10")
    assert [len(book["bids"]), len(book["asks"])] == [3, 3]
    assert all(float(price) % 10 == 0 for price, _ in book["bids"] + book["asks"])


def test_interactive_book_has_more_at_the_touch() -> None:
    desk = Desk()
    api, retail = (desk.json(f"/bbo/{BTC}{end}") for end in ("", "/interactive"))
    assert float(retail["ask_size"]) > float(api["ask_size"])
    book = desk.json(f"/orderbook/{BTC}/interactive")
    assert book["bids"][0] == [retail["bid"], retail["bid_size"]]


def test_all_summaries_are_one_answer() -> None:
    desk = Desk()
    rows = desk.json("/markets/summary", market="ALL")["results"]
    assert [row["symbol"] for row in rows] == list(desk.venue.listed)


def test_system_answers_as_documented() -> None:
    desk = Desk()
    documented = {
        row["path"]: row["body"] for row in sample("rest_system_and_errors.jsonl")
    }
    assert desk.json("/system/state") == documented["/system/state"]
    assert shape(desk.json("/system/time")) == shape(documented["/system/time"])
    assert desk.json("/system/time")["server_time"] == str(desk.clock.wall_ms())


def pages(desk: Desk, path: str, **query: str) -> list[list[dict[str, Any]]]:
    found: list[list[dict[str, Any]]] = []
    cursor: dict[str, str] = {}
    while True:
        page = desk.json(path, **query, **cursor)
        found.append(page["results"])
        if page["next"] is None:
            return found
        cursor = {"cursor": page["next"]}


def test_pages_of_trades_tell_each_once() -> None:
    desk = Desk()
    desk.move(1500)
    whole = desk.json("/trades", market=BTC, page_size="1000")["results"]
    found = pages(desk, "/trades", market=BTC, page_size="7")
    assert len(found) > 3
    assert [row for page in found for row in page] == whole


def test_pages_of_funding_tell_each_minute_once() -> None:
    desk = Desk()
    found = pages(desk, "/funding/data", market=HYPE, page_size="1000")
    rows = [row for page in found for row in page]
    times = [row["created_at"] for row in rows]
    assert times == list(range(times[0], times[-1] - 1, -60_000))
    assert times[0] == desk.clock.wall_ms()
    assert {row["funding_period_hours"] for row in rows} == {1}
    assert rows[1:] == [row for page in pages(
        desk, "/funding/data", market=HYPE, page_size="1000")
        for row in page][1:]  # fmt: skip


def test_span_bounds_the_rows() -> None:
    desk = Desk()
    now_ms = desk.clock.wall_ms()
    span = {"start_at": str(now_ms - 600_000), "end_at": str(now_ms - 300_000)}
    rows = desk.json("/funding/data", market=BTC, **span)["results"]
    assert [now_ms - row["created_at"] for row in rows] == list(
        range(300_000, 600_001, 60_000)
    )
    rows = desk.json("/trades", market=BTC, end_at=str(now_ms - 1_000_000))["results"]
    assert rows == []


@pytest.mark.parametrize(
    ("path", "query", "status"),
    [
        ("/nonsense", {}, 404),
        ("/", {}, 404),
        ("/orderbook", {}, 404),
        ("/orderbook/NOSUCH", {}, 404),
        ("/bbo/NOSUCH", {}, 404),
        ("/markets", {"market": "NOSUCH"}, 404),
        ("/trades", {}, 400),
        ("/markets/summary", {}, 400),
        ("/funding/data", {"market": "NOSUCH"}, 404),
        (f"/orderbook/{BTC}", {"depth": "x"}, 400),
        (f"/orderbook/{BTC}", {"depth": "99999"}, 400),
        (f"/orderbook/{BTC}", {"price_tick": "0.03"}, 400),
        (f"/orderbook/{BTC}", {"price_tick": "0"}, 400),
        (f"/orderbook/{BTC}", {"price_tick": "nan"}, 400),
        ("/trades", {"market": BTC, "cursor": "%%%"}, 400),
        ("/trades", {"market": BTC, "page_size": "-1"}, 400),
        ("/trades", {"market": BTC, "start_at": "9" * 30}, 400),
    ],
)
def test_wrong_request_is_an_error_of_the_recorded_form(
    path: str, query: dict[str, str], status: int
) -> None:
    answer = Desk().get(path, **query)
    assert answer.status == status
    recorded = sample("rest_system_and_errors.jsonl")[2]["body"]
    assert shape(json.loads(answer.body)) == shape(recorded)


def test_other_methods_and_roots_are_refused() -> None:
    venue = Desk().venue
    assert venue.rest(Request("POST", "/v1/markets", {}, b"{}")).status == 405
    assert venue.rest(Request("GET", "/v2/markets", {}, b"")).status == 404


def test_limit_is_a_bucket_that_fills_steadily() -> None:
    desk = Desk(limits=Limits(rest_weight_per_minute=60))
    request = Request("GET", "/v1/system/time", {}, b"")
    answers = [desk.venue.rest(request) for _ in range(61)]
    assert [answer.status for answer in answers] == [200] * 60 + [429]
    headers = answers[0].headers
    assert headers["X-RateLimit-Limit"] == "60"
    assert headers["X-RateLimit-Remaining"] == "59"
    assert "Retry-After" not in headers
    refusal, headers = answers[-1], answers[-1].headers
    assert (headers["X-RateLimit-Remaining"], headers["Retry-After"]) == ("0", "1")
    assert set(headers) >= {"X-RateLimit-Reset", "X-RateLimit-Window"}
    assert '"error":' in refusal.body
    desk.clock.turn(1.0)
    assert [desk.venue.rest(request).status for _ in range(2)] == [200, 429]


def test_answer_leaves_with_its_headers() -> None:
    desk = Desk()
    answer = desk.venue.rest(Request("GET", "/v1/system/state", {}, b""))
    assert answer.status == 200
    assert answer.headers["X-RateLimit-Limit"] == "1500"
