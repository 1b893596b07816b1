"""Faults of the data at every venue, and what the truth log says of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from feedhandler.sim import VENUE_NAMES, Entry
from tests.sim.harness import DEADLINE_S
from tests.sim.speakers import SPEAKERS
from tests.sim.talk import Talk, every_venue, moved, play, talk
from tests.support import wait_until_async

# Of Hyperliquid only images can be corrupt, which has its own test.
FALSIFIED = [
    (venue, spec)
    for venue in VENUE_NAMES
    for spec in ("crossed", "spike", "corrupt", "wrong_symbol", "reorder")
    if (venue, spec) != ("hyperliquid", "corrupt")
]


@every_venue
def test_garbage_has_the_shape_of_the_venue_and_is_no_truth(venue: str) -> None:
    speaker = SPEAKERS[venue]

    async def scenario(client: Talk) -> None:
        simulation = client.simulation
        good = await client.until("book")
        simulation.inject(f"garbage(symbol={speaker.btc})")
        simulation.inject(f"mute(symbol={speaker.eth})")
        await client.settle()
        told, seen = simulation.truth.total, len(client.client.frames)
        while len(client.client.frames) < seen + 50:
            await client.client.frame()
        frames = [
            frame
            for frame in client.client.frames[seen:]
            if speaker.read(frame)[0] not in ("live", "trade")
        ]
        assert simulation.truth.total == told
        assert len(set(frames)) > 10
        assert {type(frame) for frame in frames} == {str, bytes}
        assert any(type(frame) is type(good) and len(frame) > 20 for frame in frames)
        simulation.clear()
        await client.until("book", speaker.btc)

    play(venue, scenario)


@pytest.mark.parametrize(("venue", "spec"), FALSIFIED)
def test_falsified_frames_are_marked_in_the_truth(venue: str, spec: str) -> None:
    async def scenario(client: Talk) -> None:
        simulation = client.simulation
        simulation.inject(spec)
        await wait_until_async(
            lambda: spec in {entry.top.fault for entry in simulation.truth},
            DEADLINE_S,
            f"a frame that is {spec}",
        )
        simulation.clear()
        await client.settle()
        total = simulation.truth.total
        await wait_until_async(
            lambda: simulation.truth.total > total + 20, DEADLINE_S, "the truth again"
        )
        assert {entry.top.fault for entry in list(simulation.truth)[-5:]} == {""}

    play(venue, scenario)


@every_venue
@pytest.mark.parametrize(("mark", "by_rest"), [("spike", 1.0), ("", 1.2)])
def test_prices_move_far_in_the_stream_or_for_all_who_look(
    venue: str, mark: str, by_rest: float
) -> None:
    async def scenario(client: Talk) -> None:
        simulation, symbol = client.simulation, client.speaker.btc

        def newest(channel: str = "", of: str = symbol) -> Entry:
            return simulation.truth.entries(symbol=of, channel=channel)[-1]

        def bid(entry: Entry) -> float:
            return entry.prices[0] or 0.0

        def is_far(entry: Entry) -> bool:
            return bid(entry) == pytest.approx(1.2 * before, rel=0.05)

        before, other = bid(newest()), bid(newest(of=client.speaker.eth))
        if mark:
            simulation.inject(f"spike(bps=2000,symbol={symbol})")
        else:
            simulation.inject(f"jump(bps=2000,symbol={symbol})")
        await wait_until_async(lambda: is_far(newest()), DEADLINE_S, "a far price")
        assert newest().top.fault == mark
        assert bid(newest(of=client.speaker.eth)) == pytest.approx(other, rel=0.05)
        await client.book_by_rest()
        shown = newest("rest")
        assert bid(shown) == pytest.approx(by_rest * before, rel=0.05)
        assert not shown.top.fault
        simulation.clear()
        await wait_until_async(
            lambda: not is_far(newest()), DEADLINE_S, "the old price again"
        )

    play(venue, scenario)


@every_venue
def test_old_snapshots_are_marked_in_the_truth(venue: str) -> None:
    async def scenario(client: Talk) -> None:
        simulation = client.simulation
        await moved(simulation)
        simulation.inject("old_snapshot")
        await client.book_by_rest()
        async with talk(client.speaker, simulation) as other:
            await other.subscribe(client.speaker.btc)
            await other.until("book")
        entries = simulation.truth.entries(symbol=client.speaker.btc)
        old = [entry for entry in entries if entry.top.fault == "old_snapshot"]
        assert old
        before = entries[: entries.index(old[0])]
        newest_ms = max(entry.top.event_ms for entry in before)
        assert old[0].top.event_ms < newest_ms
        simulation.clear()
        await client.book_by_rest()
        assert simulation.truth.entries(channel="rest")[-1].top.fault == ""

    play(venue, scenario)


def test_corrupt_image_of_hyperliquid_is_out_of_order() -> None:
    async def scenario(client: Talk) -> None:
        client.simulation.inject("corrupt")
        named = {"type": "l2Book", "coin": "BTC"}
        await client.client.send({"method": "subscribe", "subscription": named})
        data = await client.client.next("l2Book")
        prices = [float(row["px"]) for row in data["levels"][0]]
        assert prices == sorted(prices) != sorted(prices, reverse=True)
        entry = client.simulation.truth.entries(channel="l2Book")[-1]
        assert entry.top.fault == "corrupt"

    play("hyperliquid", scenario)


@every_venue
@pytest.mark.parametrize("side", ["both", "ask", "bid"])
def test_emptied_books_lose_their_levels_and_get_them_back(
    venue: str, side: str
) -> None:
    async def scenario(client: Talk) -> None:
        simulation = client.simulation
        missing = {"both": [0, 2], "bid": [0], "ask": [2]}[side]

        def newest() -> Entry:
            return simulation.truth.entries(symbol=client.speaker.btc)[-1]

        def is_full() -> bool:
            return None not in newest().prices

        def is_empty() -> bool:
            entry = newest()
            absent = [place for place in (0, 2) if entry.prices[place] is None]
            return absent == missing and not entry.top.fault

        simulation.inject(f"emptied(side={side})")
        await wait_until_async(is_empty, DEADLINE_S, "an empty book")
        await client.book_by_rest()
        entry = simulation.truth.entries(channel="rest")[-1]
        assert [place for place in (0, 2) if entry.prices[place] is None] == missing
        simulation.clear()
        await wait_until_async(
            lambda: (
                None
                not in simulation.truth.entries(symbol=client.speaker.btc)[-1].prices
            ),
            DEADLINE_S,
            "a full book",
        )

    play(venue, scenario)


@every_venue
def test_truth_tells_quotes_trades_and_funding_with_their_numbers(
    venue: str, tmp_path: Path
) -> None:
    speaker = SPEAKERS[venue]
    path = tmp_path / "truth.jsonl"

    async def scenario(client: Talk) -> None:
        await client.until("trade")
        await client.until("live")
        await client.settle()

    play(venue, scenario, truth_path=path)
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert {row["venue"] for row in rows} == {venue}
    assert [row["sent_ns"] for row in rows] == sorted(row["sent_ns"] for row in rows)
    quotes, trades, fundings = (
        [row for row in rows if row["kind"] == kind]
        for kind in ("quote", "trade", "funding")
    )
    assert {row["symbol"] for row in quotes} == {speaker.btc, speaker.eth}
    assert {row["symbol"] for row in trades} == {speaker.btc}
    assert speaker.btc in {row["symbol"] for row in fundings}
    assert all(row["bid"] < row["ask"] and row["event_ms"] > 0 for row in quotes)
    assert all(row["side"] in ("buy", "sell") and row["size"] > 0 for row in trades)
    assert any(row["rate"] is not None for row in fundings)
    numbers = [row["sequence"] for row in quotes if row["symbol"] == speaker.btc]
    assert (max(numbers) == -1) == (venue == "hyperliquid")
    assert numbers == sorted(numbers)
