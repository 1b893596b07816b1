"""Faults of books, over a socket of venues whose frames can show them."""

from __future__ import annotations

import asyncio
from typing import Any

from feedhandler.sim import Simulation
from tests.sim.harness import Client, open_stream
from tests.sim.venues.aster import wire as aster
from tests.sim.venues.extended import test_live as extended
from tests.sim.venues.lighter import test_simulation as lighter
from tests.sim.venues.paradex import test_wire as paradex

BTC = "BTC-USD"
DEPTH = "btcusdt@depth@100ms"


def test_gap_is_a_number_that_extended_leaves_out() -> None:
    async def scenario(simulation: Simulation) -> None:
        async with extended.path_stream(simulation, f"/orderbooks/{BTC}") as client:
            last = (await client.message())["seq"]
            simulation.inject("gap")
            while (told := (await client.message())["seq"]) == last + 1:
                last = told
            assert told == last + 2

    # A fresh snapshot would take the place of the change that is lost.
    extended.play(scenario, cadence={"orderbooks": 0.02})


def test_gap_is_a_hole_in_the_chain_of_aster() -> None:
    async def scenario(simulation: Simulation, client: Client) -> None:
        last = await aster.until(client, aster.is_event)
        simulation.inject("gap(channel=depth@100ms)")
        while (told := await aster.until(client, aster.is_event))["pu"] == last["u"]:
            last = told
        assert told["pu"] > last["u"]
        following = await aster.until(client, aster.is_event)
        assert following["pu"] == told["u"]

    aster.play(scenario, DEPTH)


def test_gap_is_a_hole_in_the_nonces_of_lighter() -> None:
    async def scenario(simulation: Simulation, stream: lighter.Stream) -> None:
        last = (await stream.next("update/order_book"))["order_book"]
        simulation.inject("gap")
        while True:
            told = (await stream.next("update/order_book"))["order_book"]
            if told["begin_nonce"] != last["nonce"]:
                break
            last = told
        assert told["begin_nonce"] > last["nonce"]
        following = (await stream.next("update/order_book"))["order_book"]
        assert following["begin_nonce"] == told["nonce"]

    lighter.play(scenario, "order_book/1")


def test_gap_is_a_number_that_deltas_of_paradex_leave_out() -> None:
    async def scenario(simulation: Simulation, client: Client) -> None:
        last = (await paradex.event(client, "book")).seq
        simulation.inject("gap")
        while (told := (await paradex.event(client, "book")).seq) == last + 1:
            last = told
        assert told == last + 2

    paradex.play(scenario, paradex.DELTAS)


def test_corrupt_change_of_aster_has_a_negative_size() -> None:
    async def scenario(simulation: Simulation, client: Client) -> None:
        simulation.inject("corrupt")
        await aster.until(client, is_negative)
        simulation.clear()
        await aster.settle(client)
        for _ in range(5):
            assert not is_negative(await aster.until(client, aster.is_event))

    aster.play(scenario, DEPTH)


def is_negative(told: Any) -> bool:
    return aster.is_event(told) and any(
        size.startswith("-") for _, size in told["b"] + told["a"]
    )


def test_old_snapshot_of_lighter_does_not_join_what_follows() -> None:
    async def scenario(simulation: Simulation, stream: lighter.Stream) -> None:
        for _ in range(5):
            await stream.next("update/order_book")
        simulation.inject("old_snapshot")
        async with lighter.connect(simulation) as other:
            old = (await other.subscribe("order_book/1"))["order_book"]["nonce"]
            after = await other.next("update/order_book")
            assert after["order_book"]["begin_nonce"] > old
        simulation.clear()
        async with lighter.connect(simulation) as other:
            new = (await other.subscribe("order_book/1"))["order_book"]["nonce"]
            after = await other.next("update/order_book")
            assert after["order_book"]["begin_nonce"] == new

    lighter.play(scenario, "order_book/1")


def test_wrong_symbol_names_another_market_in_frames_and_rest() -> None:
    async def scenario(simulation: Simulation) -> None:
        (address,) = simulation.addresses
        book = f"/info/markets/{BTC}/orderbook"
        async with extended.path_stream(simulation, f"/orderbooks/{BTC}") as client:
            simulation.inject("wrong_symbol")
            while (await client.message())["data"]["m"] == BTC:
                pass
            _, body = await extended.get(address, book)
            assert body["data"]["market"] != BTC
            simulation.clear()
            while (await client.message())["data"]["m"] != BTC:
                pass
            _, body = await extended.get(address, book)
            assert body["data"]["market"] == BTC

    extended.play(scenario)


def test_venue_without_deltas_goes_on_under_faults_of_deltas() -> None:
    async def scenario() -> None:
        async with (
            Simulation(["hyperliquid"], rate=20.0) as simulation,
            open_stream(simulation.addresses[0].ws_url) as client,
        ):
            for kind in ("gap+1h", "corrupt", "old_snapshot"):
                simulation.inject(kind)
            await client.subscribe("bbo", "BTC")
            for _ in range(5):
                await client.next("bbo")
            assert {entry.top.fault for entry in simulation.truth} == {""}

    asyncio.run(scenario())
