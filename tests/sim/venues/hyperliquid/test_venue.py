"""The market on the wire: what is sent when."""

from __future__ import annotations

import json
from collections import defaultdict
from itertools import pairwise
from typing import Any

from tests.sim.venues.hyperliquid.desk import Desk


def test_bbo_is_sent_on_every_change_of_the_touch_and_only_then() -> None:
    desk = Desk()
    frames = [desk.subscribe("bbo", coin="BTC")[1], *desk.move(3000)]
    assert len(frames) > 200
    rows = [frame["data"]["bbo"] for frame in frames]
    assert all(before != after for before, after in pairwise(rows))
    times_ms = [frame["data"]["time"] for frame in frames]
    assert times_ms == sorted(times_ms)
    assert all(float(bid["px"]) < float(ask["px"]) for bid, ask in rows)


def test_bbo_and_image_agree() -> None:
    desk = Desk()
    touch = desk.subscribe("bbo", coin="ETH")[1]["data"]["bbo"]
    for _ in range(50):
        for frame in desk.move(20):
            touch = frame["data"]["bbo"]
        book = json.loads(desk.post({"type": "l2Book", "coin": "ETH"}).body)
        assert [side[0] for side in book["levels"]] == touch


def test_no_two_tops_have_one_time_however_fast_the_market_moves() -> None:
    desk = Desk()
    first = [*desk.subscribe("bbo", coin="BTC"), *desk.subscribe("l2Book", coin="BTC")]
    frames = [frame for frame in first if frame["channel"] in ("bbo", "l2Book")]
    for _ in range(20):
        frames += desk.tick(0.5)
        for _ in range(10):  # all in the millisecond of the image
            frames += desk.taken(desk.venue.on_event(desk.market.step()))
    tops: dict[int, set[str]] = defaultdict(set)
    for frame in frames:
        data = frame["data"]
        levels = (
            [side[0] for side in data["levels"]] if "levels" in data else data["bbo"]
        )
        tops[data["time"]].add(repr([(level["px"], level["sz"]) for level in levels]))
    assert len(tops) > 20
    assert all(len(told) == 1 for told in tops.values())


def test_trades_hit_the_touch_that_was_known() -> None:
    desk = Desk()
    known = desk.subscribe("bbo", coin="BTC")[1]["data"]["bbo"]
    desk.subscribe("trades", coin="BTC")
    count = 0
    for frame in desk.move(6000):
        if frame["channel"] == "bbo":
            known = frame["data"]["bbo"]
            continue
        for row in frame["data"]:
            count += 1
            bid, ask = known
            struck = ask if row["side"] == "B" else bid
            assert row["px"] == struck["px"]
            assert float(row["sz"]) <= float(struck["sz"])
        assert len({(row["hash"], row["time"]) for row in frame["data"]}) == 1
    assert count > 50


def test_trade_ids_are_unique_and_in_no_order() -> None:
    desk = Desk()
    desk.subscribe("trades", coin="BTC")
    rows = [row for frame in desk.move(6000) for row in frame["data"]]
    ids = [row["tid"] for row in rows]
    assert len(set(ids)) == len(ids)
    assert ids != sorted(ids)
    assert all(0 < number < 2**50 for number in ids)


def test_first_trades_frame_replays_the_past_oldest_first() -> None:
    desk = Desk()
    _, frame = desk.subscribe("trades", coin="BTC")
    times_ms = [row["time"] for row in frame["data"]]
    assert len(times_ms) > 3
    assert times_ms == sorted(times_ms)
    assert times_ms[-1] < desk.clock.wall_ms()


def test_images_come_at_their_cadence_and_only_when_changed() -> None:
    desk = Desk(cadence={"l2Book": 5.0, "l2Book:fast": 0.5})
    desk.subscribe("l2Book", coin="BTC")
    desk.subscribe("l2Book", coin="BTC", fast=True)
    desk.tick(0.0)
    desk.move(400)
    images = desk.tick(0.5)
    assert [image["data"].get("fast", False) for image in images] == [True]
    assert desk.tick(0.4) == []
    desk.move(400)
    images = desk.tick(5.0)
    assert sorted(image["data"].get("fast", False) for image in images) == [0, 1]
    assert desk.tick(5.0) == []


def test_newcomer_does_not_take_an_image_from_the_others() -> None:
    desk = Desk()
    desk.subscribe("l2Book", coin="BTC", fast=True)
    desk.tick(0.0)
    desk.move(400)
    subscription = {"type": "l2Book", "coin": "BTC", "fast": True}
    newcomer = desk.open()
    desk.say({"method": "subscribe", "subscription": subscription}, newcomer)
    assert len(desk.tick(0.5)) == 1


def test_contexts_come_while_the_market_stands_still() -> None:
    desk = Desk()
    desk.subscribe("activeAssetCtx", coin="BTC")
    desk.subscribe("allMids")
    for _ in range(3):
        desk.market.advance_contexts()
        channels = [frame["channel"] for frame in desk.tick(10.0)]
        assert sorted(channels) == ["activeAssetCtx", "allMids"]


def test_context_has_no_time() -> None:
    frame = Desk().subscribe("activeAssetCtx", coin="BTC")[1]
    assert "time" not in json.dumps(frame)


def test_same_seed_sends_the_same_frames() -> None:
    def frames() -> list[Any]:
        desk = Desk()
        for kind in ("bbo", "trades", "l2Book"):
            desk.subscribe(kind, coin="BTC")
        return desk.move(2000)

    assert frames() == frames()
