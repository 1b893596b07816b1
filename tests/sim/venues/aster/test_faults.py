"""The faults of the host and those of the data, as a client of Aster sees them."""

from __future__ import annotations

import asyncio
import json
from itertools import pairwise

import pytest
import websockets

from feedhandler.sim import Simulation
from feedhandler.sim.faults import Fault
from tests.sim.harness import DEADLINE_S, Client, open_stream
from tests.sim.venues.aster.wire import (
    get,
    is_event,
    is_mark,
    is_quote,
    play,
    settle,
    subscribe,
    until,
)
from tests.support import MS, wait_until_async


def test_mute_stops_data_while_acks_go_on() -> None:
    async def scenario(simulation: Simulation, client: Client) -> None:
        simulation.inject("mute")
        await settle(client)
        seen = len(client.frames)
        moved = simulation.market.next_at_s + 2
        await wait_until_async(
            lambda: simulation.market.next_at_s > moved, DEADLINE_S, "a moving market"
        )
        await settle(client)
        assert len(client.frames) == seen + 1
        simulation.clear()
        await until(client, is_quote)

    play(scenario, "btcusdt@bookTicker", "btcusdt@depth@100ms")


def test_mute_of_one_channel_leaves_the_others() -> None:
    async def scenario(simulation: Simulation, client: Client) -> None:
        simulation.inject("mute(channel=depth@100ms)")
        await settle(client)
        seen = len(client.frames)
        for _ in range(30):
            await until(client, is_quote)
        assert not [row for row in client.frames[seen:] if "depthUpdate" in str(row)]

    play(scenario, "btcusdt@bookTicker", "btcusdt@depth@100ms")


def test_duplicate_and_reorder_break_the_chain() -> None:
    async def scenario(simulation: Simulation, client: Client) -> None:
        for kind in ("duplicate", "reorder"):
            fault = simulation.inject(kind)
            await settle(client)
            events = [await until(client, is_event) for _ in range(8)]
            pairs = pairwise(events)
            assert any(after["pu"] != before["u"] for before, after in pairs)
            simulation.clear()
            assert fault not in simulation.active_faults
            await settle(client)
        events = [await until(client, is_event) for _ in range(6)][2:]
        pairs = pairwise(events)
        assert all(after["pu"] == before["u"] for before, after in pairs)

    play(scenario, "btcusdt@depth@100ms")


def test_gap_is_one_hole_in_the_chain() -> None:
    async def scenario(simulation: Simulation, client: Client) -> None:
        await until(client, is_event)
        simulation.inject("gap")
        assert simulation.active_faults == []
        for _ in range(15):
            await until(client, is_event)
        events = [row for row in map(json.loads, client.frames) if is_event(row)]
        pairs = pairwise(events)
        holes = [before["u"] != after["pu"] for before, after in pairs]
        assert holes.count(True) == 1

    play(scenario, "btcusdt@depth@100ms")


@pytest.mark.parametrize("kind", ["corrupt", "wrong_symbol", "crossed"])
def test_falsified_frames_are_marked_in_the_truth_and_end(kind: str) -> None:
    async def scenario(simulation: Simulation, client: Client) -> None:
        fault: Fault = simulation.inject(kind)
        await until(client, is_event)
        await until(client, is_event)
        simulation.clear()
        assert fault not in simulation.active_faults
        await settle(client)
        await until(client, is_event)
        marks = [entry.top.fault for entry in simulation.truth]
        assert kind in marks
        assert marks[-1] == ""

    play(scenario, "btcusdt@depth@100ms")


@pytest.mark.parametrize("how", ["rst", "fin", "mid", "close"])
def test_drop_ends_the_stream_and_a_new_one_is_served(how: str) -> None:
    async def scenario(simulation: Simulation, client: Client) -> None:
        await until(client, is_quote)
        simulation.inject(f"drop(how={how},code=4001)")
        ending = await client.ended()
        assert (ending.rcvd.code if ending.rcvd else None) == (
            4001 if how == "close" else None
        )
        async with open_stream(simulation.addresses[0].ws_url) as again:
            await subscribe(again, "btcusdt@bookTicker")
            await until(again, is_quote)

    play(scenario, "btcusdt@bookTicker")


def test_never_ack_serves_without_acknowledging_or_is_deaf() -> None:
    async def scenario(simulation: Simulation, client: Client) -> None:
        simulation.inject("never_ack")
        params = ["btcusdt@bookTicker"]
        await client.send({"method": "SUBSCRIBE", "params": params, "id": 1})
        await until(client, is_quote)
        assert not [row for row in client.frames if "result" in str(row)]
        simulation.clear()
        simulation.inject("never_ack(data=no)")
        async with open_stream(simulation.addresses[0].ws_url) as deaf:
            await deaf.send({"method": "SUBSCRIBE", "params": params, "id": 1})
            for _ in range(20):
                await until(client, is_quote)
            assert deaf.frames == []
            simulation.clear()
            await subscribe(deaf, *params)
            await until(deaf, is_quote)

    play(scenario)


def test_quiet_stops_the_book_while_marks_go_on() -> None:
    async def scenario(simulation: Simulation, client: Client) -> None:
        simulation.inject("quiet")
        await settle(client)
        for _ in range(2):  # what was gathered before leaves at its time
            await until(client, is_mark)
        seen = len(client.frames)
        for _ in range(3):
            await until(client, is_mark)
        kinds = {json.loads(frame)["e"] for frame in client.frames[seen:]}
        assert kinds == {"markPriceUpdate"}
        simulation.clear()
        await until(client, is_quote)

    names = ("btcusdt@bookTicker", "btcusdt@depth@100ms", "btcusdt@markPrice@1s")
    play(scenario, *names, cadence={"markPrice@1s": 50 * MS})


def test_slow_clock_holds_every_stamp() -> None:
    async def scenario(simulation: Simulation, client: Client) -> None:
        before = (await until(client, is_quote))["E"]
        simulation.inject("slow_clock(ms=60000)")
        await settle(client)
        rows = [await until(client, is_quote) for _ in range(20)]
        assert len({row["E"] for row in rows}) == 1
        assert all(before <= row["E"] >= row["T"] for row in rows)

    play(scenario, "btcusdt@bookTicker")


def test_faults_of_rest() -> None:
    async def scenario(simulation: Simulation, client: Client) -> None:
        (address,) = simulation.addresses
        loop = asyncio.get_running_loop()
        simulation.inject("http(status=429,retry_after=7)")
        status, _, headers = await get(address, "/fapi/v3/time")
        assert (status, headers["Retry-After"]) == (429, "7")
        simulation.clear()
        simulation.inject("slow_rest(ms=200)")
        start_s = loop.time()
        assert (await get(address, "/fapi/v3/time"))[0] == 200
        assert loop.time() - start_s >= 0.2
        simulation.clear()
        simulation.inject("old_snapshot")
        for _ in range(2):
            await until(client, is_quote)
        simulation.inject("quiet")  # or the market overtakes a client on a busy machine
        await settle(client)
        quotes = [told for told in map(json.loads, client.frames) if is_quote(told)]
        _, book, _ = await get(address, "/fapi/v3/depth", symbol="BTCUSDT")
        assert book["lastUpdateId"] < quotes[-1]["u"]

    play(scenario, "btcusdt@bookTicker")


def test_refuse_garbage_delay_one_sided_and_burst_work() -> None:
    async def scenario(simulation: Simulation, client: Client) -> None:
        simulation.inject("refuse(how=http,status=503)")
        with pytest.raises(websockets.InvalidStatus, match="503"):
            async with open_stream(simulation.addresses[0].ws_url):
                pass
        simulation.clear()
        simulation.inject("garbage")
        await until(client, lambda told: told == [])
        simulation.clear()
        simulation.inject("one_sided(side=bid)")
        told = await until(client, lambda told: is_quote(told) and told["b"] == "0.0")
        assert told["B"] == "0.000"
        entry = simulation.truth.entries(channel="bookTicker")[-1]
        assert entry.prices[0] is None
        simulation.clear()
        await until(client, lambda told: is_quote(told) and told["b"] != "0.0")
        simulation.inject("delay(ms=100)")
        simulation.inject("burst(rate=10)")
        await until(client, is_quote)

    play(scenario, "btcusdt@bookTicker")
