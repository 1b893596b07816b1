"""The venue on loopback: as any client finds it, and the truth that is kept."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from decimal import Decimal
from typing import Any

import aiohttp
import pytest
import websockets

from feedhandler.sim import Address, Limits, Simulation
from tests.sim.harness import DEADLINE_S, LIVELY, Client, open_stream
from tests.sim.venues.extended.desk import LIVE, NaiveBook, numbers
from tests.support import MS, wait_until_async

FAST = {"orderbooks": 0.02, "prices.mark": 0.05, "snapshot": 0.5}
BTC = "BTC-USD"

Scenario = Callable[[Simulation], Awaitable[None]]


def play(scenario: Scenario, **options: Any) -> None:
    async def run() -> None:
        chosen = {"rate": LIVELY, "cadence": FAST, **options}
        async with Simulation(venues=["extended"], **chosen) as simulation:
            await scenario(simulation)

    asyncio.run(run())


@contextlib.asynccontextmanager
async def path_stream(simulation: Simulation, path: str) -> AsyncIterator[Client]:
    url = simulation.addresses[0].ws_url.removesuffix("/v2/rpc") + "/v1" + path
    async with open_stream(url) as client:
        yield client


@contextlib.asynccontextmanager
async def rpc_stream(simulation: Simulation) -> AsyncIterator[Client]:
    async with open_stream(simulation.addresses[0].ws_url) as client:
        yield client


async def call(client: Client, method: str, scope: str = "", **selector: Any) -> Any:
    """Call, and return the answer; data that came before it is kept."""
    params = {"params": {"scope": scope, "selector": selector}} if scope else {}
    await client.send({"method": method, "id": "c", "jsonrpc": "2.0", **params})
    while True:
        message = await client.message()
        if message.get("id") == "c":
            return message.get("result") or message.get("error")


async def get(address: Address, path: str) -> tuple[int, Any]:
    async with (
        aiohttp.ClientSession() as session,
        session.get(address.rest_url + path) as answer,
    ):
        text = await answer.text()
        return answer.status, json.loads(text) if text else None


def books_of(client: Client) -> list[Any]:
    messages = [json.loads(frame) for frame in client.frames]
    return [one for one in messages if "seq" in one and "b" in one["data"]]


def test_truth_is_what_a_client_that_applies_every_frame_holds() -> None:
    async def scenario(simulation: Simulation) -> None:
        async with (
            path_stream(simulation, f"/orderbooks/{BTC}") as first,
            path_stream(simulation, f"/orderbooks/{BTC}?depth=1") as second,
            rpc_stream(simulation) as third,
        ):
            await call(third, "subscribe", "orderbooks", market=BTC, depth="full")
            for client in (first, second, third):
                for _ in range(40):
                    await client.message()
            for client in (first, second, third):
                book = NaiveBook()
                held = []
                for message in books_of(client):
                    book.apply(message)
                    held.append(book.top)
                number = (first, second, third).index(client) + 1
                told = [
                    numbers(entry.top)
                    for entry in simulation.truth.entries("extended", BTC)
                    if entry.connection == number
                ]
                assert told[: len(held)] == held
                assert book.mismatches == 0
            channels = {entry.channel for entry in simulation.truth}
            assert channels == {"orderbooks", "orderbooks.1"}

    play(scenario)


def test_fresh_snapshots_come_in_the_middle_of_a_stream() -> None:
    async def scenario(simulation: Simulation) -> None:
        async with path_stream(simulation, f"/orderbooks/{BTC}") as client:
            kinds: list[str] = []
            while kinds.count("SNAPSHOT") < 3:
                kinds.append((await client.message())["type"])
            assert kinds[0] == "SNAPSHOT"
            assert "DELTA" in kinds
            told = [one["seq"] for one in books_of(client)]
            assert told == list(range(1, len(told) + 1))

    play(scenario)


def test_stream_and_rest_are_on_one_port_under_the_venues_paths() -> None:
    async def scenario(simulation: Simulation) -> None:
        (address,) = simulation.addresses
        assert address.ws_url.endswith("/stream.extended.exchange/v2/rpc")
        assert address.rest_url.endswith("/api/v1")
        ports = {url.split(":")[2].split("/")[0] for url in address[1:]}
        assert len(ports) == 1
        status, body = await get(address, f"/info/markets?market={BTC}&market=ETH-USD")
        assert status == 200
        assert [row["name"] for row in body["data"]] == [BTC, "ETH-USD"]
        assert await get(address, "/../../stream.extended.exchange/v1/orderbooks") == (
            404,
            None,
        )

    play(scenario)


@pytest.mark.parametrize("path", ["/orderbooks/NOSUCH-USD", "/nonsense", ""])
def test_unknown_stream_is_404_on_the_upgrade(path: str) -> None:
    async def scenario(simulation: Simulation) -> None:
        with pytest.raises(websockets.InvalidStatus, match="404"):
            async with path_stream(simulation, path):
                pass

    play(scenario)


def test_every_market_flows_on_one_socket() -> None:
    async def scenario(simulation: Simulation) -> None:
        async with path_stream(simulation, "/orderbooks") as client:
            seen: set[tuple[str, str]] = set()
            while len(seen) < 2 * len(LIVE):
                message = await client.message()
                seen.add((message["data"]["m"], message["type"]))

    play(scenario)


def test_every_v2_channel_flows() -> None:
    async def scenario(simulation: Simulation) -> None:
        async with rpc_stream(simulation) as client:
            wanted = {
                await subscribed(client, "orderbooks", market=BTC, depth="full"),
                await subscribed(client, "orderbooks", market=BTC, depth="1"),
                await subscribed(client, "trades", market=None),
                await subscribed(client, "prices", type="mark", market=BTC),
                await subscribed(client, "prices", type="index", market=BTC),
                await subscribed(client, "funding-rates", market=BTC),
            }
            assert (await call(client, "ping"))["status"] == "OK"
            told = await call(client, "list-subscriptions")
            assert told["subscriptions"] == sorted(wanted)
            missing = wanted - {"funding-rates.BTC-USD"}
            while missing:
                missing.discard((await client.message())["subscription"])

    play(scenario)


async def subscribed(client: Client, scope: str, **selector: Any) -> str:
    result = await call(client, "subscribe", scope, **selector)
    assert (result["method"], result["status"]) == ("subscribe", "OK")
    subscription: str = result["subscription"]
    return subscription


def test_mute_stops_data_while_answers_go_on_and_leaves_no_hole() -> None:
    async def scenario(simulation: Simulation) -> None:
        async with rpc_stream(simulation) as client:
            await subscribed(client, "orderbooks", market=BTC, depth="full")
            simulation.inject("mute")
            await call(client, "ping")
            seen = len(client.frames)
            moved = simulation.market.next_at_s + 2
            await wait_until_async(
                lambda: simulation.market.next_at_s > moved, DEADLINE_S, "a market"
            )
            await call(client, "ping")
            assert len(client.frames) == seen + 1
            simulation.clear()
            before = [one["seq"] for one in books_of(client)][-1]
            assert (await client.message())["seq"] == before + 1

    play(scenario)


def test_duplicate_and_reorder_break_the_sequence() -> None:
    async def scenario(simulation: Simulation) -> None:
        async with path_stream(simulation, f"/orderbooks/{BTC}") as client:
            simulation.inject("duplicate")
            told = [(await client.message())["seq"] for _ in range(10)]
            assert len(set(told)) < len(told)
            simulation.clear()
            simulation.inject("reorder")
            told = [(await client.message())["seq"] for _ in range(20)]
            assert told != sorted(told)

    play(scenario)


def test_never_ack_serves_without_answering_and_without_data_is_deaf() -> None:
    async def scenario(simulation: Simulation) -> None:
        selector = {"market": BTC, "depth": "1"}
        params = {"scope": "orderbooks", "selector": selector}
        request = {"method": "subscribe", "id": "s", "params": params}
        async with rpc_stream(simulation) as client:
            simulation.inject("never_ack")
            await client.send(request)
            assert (await client.message())["type"] == "ORDERBOOKS.SNAPSHOT"
            simulation.clear()
        async with rpc_stream(simulation) as client:
            simulation.inject("never_ack(data=no)")
            await client.send(request)
            await call(client, "ping")
            assert len(client.frames) == 1
        async with path_stream(simulation, f"/orderbooks/{BTC}") as client:
            await (await client.stream.ping())
            assert client.frames == []

    play(scenario)


@pytest.mark.parametrize("how", ["rst", "fin", "mid"])
def test_drop_ends_the_stream_and_the_next_begins_anew(how: str) -> None:
    async def scenario(simulation: Simulation) -> None:
        path = f"/orderbooks/{BTC}"
        async with path_stream(simulation, path) as client:
            await client.message()
            simulation.inject(f"drop(how={how})")
            await client.ended()
        async with path_stream(simulation, path) as client:
            message = await client.message()
            assert (message["type"], message["seq"]) == ("SNAPSHOT", 1)

    play(scenario)


def test_crossed_and_garbage_end_with_the_fault() -> None:
    async def scenario(simulation: Simulation) -> None:
        async with path_stream(simulation, f"/orderbooks/{BTC}?depth=1") as client:
            simulation.inject("crossed")
            while not is_crossed(await client.message()):
                pass
            simulation.clear()
            while is_crossed(await client.message()):
                pass
            simulation.inject("garbage")
            total = simulation.truth.total
            for _ in range(10):
                await client.frame()
            assert simulation.truth.total <= total + 10
            simulation.clear()

    play(scenario)


def is_crossed(message: Any) -> bool:
    bid, ask = message["data"]["b"][0], message["data"]["a"][0]
    return Decimal(bid["p"]) >= Decimal(ask["p"])


def test_rest_faults_and_budget_answer_as_the_venue_would() -> None:
    async def scenario(simulation: Simulation) -> None:
        (address,) = simulation.addresses
        loop = asyncio.get_running_loop()
        path = "/info/markets/BTC-USD/stats"
        assert (await get(address, path))[0] == 200
        simulation.inject("http(status=503)")
        assert (await get(address, path))[0] == 503
        simulation.clear()
        start_s = loop.time()
        simulation.inject("slow_rest(ms=200)")
        assert (await get(address, path))[0] == 200
        assert loop.time() - start_s >= 0.2
        simulation.clear()
        status, body = await get(address, path)
        assert (status, body["error"]["code"]) == (429, 429)

    play(scenario, limits=Limits(rest_weight_per_minute=2))


def test_slow_client_is_cut_and_the_others_stay() -> None:
    async def scenario(simulation: Simulation) -> None:
        path = f"/orderbooks/{BTC}"
        async with (
            path_stream(simulation, "/orderbooks") as slow,
            path_stream(simulation, path) as client,
        ):
            simulation.inject("delay(ms=60000)")
            await wait_until_async(
                lambda: simulation.counters["overflows"] > 0, 5000 * MS, "a cut"
            )
            simulation.clear()
            await slow.ended()
            await client.message()

    play(scenario, limits=Limits(queue_frames_max=40))


def test_two_venues_agree_within_their_ticks() -> None:
    async def scenario() -> None:
        venues = ["extended", "hyperliquid"]
        async with Simulation(venues=venues, rate=LIVELY) as simulation:
            here, there = simulation.addresses
            simulation.inject("quiet")
            _, body = await get(here, "/info/markets/ETH-USD/orderbook")
            info = {"type": "l2Book", "coin": "ETH"}
            async with (
                aiohttp.ClientSession() as session,
                session.post(f"{there.rest_url}/info", json=info) as answer,
            ):
                levels = (await answer.json())["levels"]
            for side, rows in zip(("bid", "ask"), levels, strict=True):
                ours = float(body["data"][side][0]["price"])
                assert ours == pytest.approx(float(rows[0]["px"]), abs=0.2)

    asyncio.run(scenario())
