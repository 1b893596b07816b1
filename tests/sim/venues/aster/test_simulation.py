"""The simulated Aster as clients see it: real sockets, real HTTP."""

from __future__ import annotations

import asyncio
import json

import aiohttp
import pytest
import websockets

from feedhandler.sim import Limits, Simulation
from tests.sim.harness import DEADLINE_S, Client, open_stream
from tests.sim.venues.aster.desk import LocalBook
from tests.sim.venues.aster.wire import (
    get,
    is_event,
    is_quote,
    play,
    settle,
    subscribe,
    until,
)


def test_stream_is_silent_until_something_is_asked_of_it() -> None:
    async def scenario(simulation: Simulation, client: Client) -> None:
        await settle(client)
        assert [json.loads(frame) for frame in client.frames] == [
            {"result": [], "id": 99}
        ]

    play(scenario)


@pytest.mark.parametrize(
    ("path", "wrapped"),
    [
        ("/ws/btcusdt@bookTicker", False),
        ("/ws/btcusdt@bookTicker/ethusdt@bookTicker", False),
        ("/stream?streams=btcusdt@bookTicker/ethusdt@bookTicker", True),
    ],
)
def test_streams_named_in_the_url_are_served(path: str, wrapped: bool) -> None:
    async def scenario(simulation: Simulation, client: Client) -> None:
        base = simulation.addresses[0].ws_url.removesuffix("/ws")
        async with open_stream(f"{base}{path}") as other:
            told = json.loads(await other.frame())
            assert set(told) == {"stream", "data"} if wrapped else is_quote(told)
            await subscribe(other, "solusdt@bookTicker")
            await until(other, lambda told: "SOLUSDT" in json.dumps(told))

    play(scenario)


def test_other_paths_are_not_found() -> None:
    async def scenario(simulation: Simulation, client: Client) -> None:
        base = simulation.addresses[0].ws_url.removesuffix("/ws")
        with pytest.raises(websockets.InvalidStatus, match="404"):
            async with open_stream(f"{base}/nosuch"):
                pass

    play(scenario)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_documented_procedure_over_sockets_gives_the_truth_at_every_step(
    seed: int,
) -> None:
    async def scenario(simulation: Simulation, client: Client) -> None:
        (address,) = simulation.addresses
        book = LocalBook()
        tops: list[object] = []
        book.apply(await until(client, is_event))
        _, snapshot, _ = await get(
            address, "/fapi/v3/depth", symbol="BTCUSDT", limit=1000
        )
        book.load(snapshot)
        while len(tops) < 20:
            told = await until(client, is_event)
            book.apply(told)
            if told["u"] == book.update_id:
                tops.append((*book.top, told["T"]))
        known = [
            (*entry.prices, entry.top.event_ms)
            for entry in simulation.truth.entries("aster", "BTCUSDT", "depth@100ms")
        ]
        assert "".join(map(str, tops)) in "".join(map(str, known))

    play(scenario, "btcusdt@depth@100ms", seed=seed)


def test_truth_of_quotes_is_what_the_client_received() -> None:
    async def scenario(simulation: Simulation, client: Client) -> None:
        for _ in range(50):
            await until(client, is_quote)
        rows = [json.loads(frame) for frame in client.frames]
        told = [
            (row["b"], row["B"], row["a"], row["A"], row["T"], "", row["u"])
            for row in rows
            if is_quote(row)
        ]
        entries = simulation.truth.entries("aster", "BTCUSDT", "bookTicker")
        assert [tuple(entry.top) for entry in entries][: len(told)] == told

    play(scenario, "btcusdt@bookTicker")


def test_message_beyond_ten_a_second_cuts_the_connection() -> None:
    async def scenario(simulation: Simulation, client: Client) -> None:
        for number in range(11):
            await client.send({"method": "LIST_SUBSCRIPTIONS", "id": number})
        ending = await client.ended()
        assert ending.rcvd is None  # no closing frame: 1006
        answers = [json.loads(frame)["id"] for frame in client.frames]
        assert answers == list(range(10))[: len(answers)]
        async with open_stream(simulation.addresses[0].ws_url) as other:
            await subscribe(other, "btcusdt@bookTicker")
            await until(other, is_quote)

    play(scenario)


def test_client_pings_are_answered() -> None:
    async def scenario(simulation: Simulation, client: Client) -> None:
        async with asyncio.timeout(DEADLINE_S):
            await (await client.stream.ping())

    play(scenario)


def test_rest_carries_the_weight_and_the_errors_of_the_venue() -> None:
    async def scenario(simulation: Simulation, client: Client) -> None:
        (address,) = simulation.addresses
        status, body, headers = await get(address, "/fapi/v1/exchangeInfo")
        assert (status, headers["X-MBX-USED-WEIGHT-1M"]) == (200, "1")
        assert body["symbols"]
        status, body, headers = await get(address, "/fapi/v3/depth", symbol="NOSUCH")
        assert (status, body["code"]) == (400, -1121)
        assert headers["X-MBX-USED-WEIGHT-1M"] == "11"
        status, body, headers = await get(address, "/fapi/v3/nosuch")
        assert (status, headers["Content-Type"][:9]) == (404, "text/html")
        for wanted in (429, 418):
            while status != wanted:
                status, body, headers = await get(
                    address, "/fapi/v3/depth", symbol="BTCUSDT", limit=1000
                )
            assert body["code"] == -1003
            assert int(headers["Retry-After"]) > 0

    play(scenario, limits=Limits(rest_weight_per_minute=60))


def test_same_market_as_the_other_venue() -> None:
    async def scenario() -> None:
        async with Simulation(["aster", "hyperliquid"]) as simulation:
            aster, other = simulation.addresses
            simulation.inject("quiet")
            _, row, _ = await get(aster, "/fapi/v3/ticker/bookTicker", symbol="BTCUSDT")
            async with (
                aiohttp.ClientSession() as session,
                session.post(
                    f"{other.rest_url}/info", json={"type": "l2Book", "coin": "BTC"}
                ) as answer,
            ):
                book = await answer.json()
            bid = float(book["levels"][0][0]["px"])
            assert float(row["bidPrice"]) == pytest.approx(bid, rel=2e-4)

    asyncio.run(scenario())
