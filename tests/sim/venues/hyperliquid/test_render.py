"""What is said first looks as what was recorded."""

from __future__ import annotations

import pytest

from tests.sim.harness import FRAMES, HELLO, shape
from tests.sim.venues.hyperliquid.desk import Desk, sample


def test_greeting_is_the_literal_text() -> None:
    desk = Desk()
    greeting = [frame.text for frame in desk.venue.greet(desk.session)]
    assert greeting == [(FRAMES / "ws_first_text_frame.txt").read_text().rstrip("\n")]
    assert greeting == [HELLO]


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("bbo", "ws_bbo_sol.json"),
        ("activeAssetCtx", "ws_active_asset_ctx_sol.json"),
        ("trades", "ws_trades_sol.json"),
        ("l2Book", "ws_l2book_btc_20levels.json"),
    ],
)
def test_first_frame_has_the_recorded_shape(kind: str, name: str) -> None:
    _, frame = Desk().subscribe(kind, coin="SOL")
    assert shape(frame) == shape(sample(name))


def test_full_image_has_the_recorded_depth() -> None:
    _, frame = Desk().subscribe("l2Book", coin="BTC")
    recorded = sample("ws_l2book_btc_20levels.json")
    depths = [len(side) for side in recorded["data"]["levels"]]
    assert [len(side) for side in frame["data"]["levels"]] == depths == [20, 20]


def test_fast_image_has_five_levels_and_says_so() -> None:
    _, frame = Desk().subscribe("l2Book", coin="BTC", fast=True)
    assert frame["channel"] == "l2Book"
    assert frame["data"]["fast"] is True
    assert [len(side) for side in frame["data"]["levels"]] == [5, 5]


def test_aggregated_image_has_a_spread_and_round_prices() -> None:
    _, frame = Desk().subscribe("l2Book", coin="BTC", nSigFigs=4)
    assert shape(frame) == shape(sample("ws_l2book_aggregated_with_spread.json"))
    rows = [row for side in frame["data"]["levels"] for row in side]
    assert all(float(row["px"]) % 10 == 0 for row in rows)
    bids, asks = frame["data"]["levels"]
    assert float(bids[0]["px"]) < float(asks[0]["px"])
    spread = float(asks[0]["px"]) - float(bids[0]["px"])
    assert float(frame["data"]["spread"]) == spread


def test_dead_coin_has_the_recorded_empty_book_and_null_touch() -> None:
    desk = Desk()
    _, image = desk.subscribe("l2Book", coin="MATIC")
    assert image["data"]["levels"] == sample("ws_l2book_empty.json")["data"]["levels"]
    assert desk.subscribe("bbo", coin="MATIC")[1]["data"]["bbo"] == [None, None]
    context = desk.subscribe("activeAssetCtx", coin="MATIC")[1]["data"]["ctx"]
    assert context["midPx"] is context["premium"] is context["impactPxs"] is None


def test_pong_is_the_recorded_one() -> None:
    assert Desk().say({"method": "ping"}) == [sample("ws_pong.json")]
