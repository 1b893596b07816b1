"""What the host does for any venue: pings, endings, and who is turned away."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable

import aiohttp
import pytest
import websockets

from feedhandler.sim import VENUE_NAMES, Limits, Simulation
from feedhandler.sim.venues import load
from feedhandler.sim.venues.lighter.venue import Lighter
from tests.sim.harness import DEADLINE_S, open_stream
from tests.support import MS

PINGED = ("aster", "extended", "paradex")  # by protocol frames
IMPATIENT = Limits(ping_s=30 * MS, pong_s=30 * MS)
PATHS = {
    "paradex": "?sbeSchemaId=1&sbeSchemaVersion=1",
}

Scenario = Callable[[Simulation, str], Awaitable[None]]


def play(venue: str, scenario: Scenario, limits: Limits | None = None) -> None:
    """Run a scenario with one venue and the address of a stream of it."""

    async def run() -> None:
        async with (
            Simulation([venue], limits=limits) as simulation,
            asyncio.timeout(DEADLINE_S),
        ):
            url = simulation.addresses[0].ws_url + PATHS.get(venue, "")
            await scenario(simulation, url)

    asyncio.run(run())


@contextlib.asynccontextmanager
async def mute_stream(url: str) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    """A stream whose client answers no ping."""
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(url, autoping=False) as stream,
    ):
        yield stream


@pytest.mark.parametrize("venue", PINGED)
def test_client_without_pong_is_ended_as_the_venue_does(venue: str) -> None:
    async def scenario(simulation: Simulation, url: str) -> None:
        pings = 0
        async with mute_stream(url) as stream:
            async for message in stream:
                pings += message.type is aiohttp.WSMsgType.PING
            assert stream.close_code == load(venue).no_pong.code
        assert pings >= 1
        assert simulation.counters["closed_unanswered"] == 1

    play(venue, scenario, IMPATIENT)


@pytest.mark.parametrize("venue", PINGED)
def test_client_that_answers_pings_stays(venue: str) -> None:
    async def scenario(simulation: Simulation, url: str) -> None:
        pings = 0
        async with mute_stream(url) as stream:
            while pings < 4:
                message = await stream.receive()
                if message.type is aiohttp.WSMsgType.PING:
                    pings += 1
                    await stream.pong(message.data)
            assert not stream.closed
        assert simulation.counters["closed_unanswered"] == 0

    play(venue, scenario, Limits(ping_s=20 * MS, pong_s=1000 * MS))


def test_slow_pong_may_take_longer_than_the_next_ping() -> None:
    async def scenario(simulation: Simulation, url: str) -> None:
        async with mute_stream(url) as stream:
            for _ in range(5):
                assert (await stream.receive()).type is aiohttp.WSMsgType.PING
            await stream.pong()
            await asyncio.sleep(0)
            assert not stream.closed
        assert simulation.counters["closed_unanswered"] == 0

    play("aster", scenario, Limits(ping_s=20 * MS, pong_s=1000 * MS))


def test_each_venue_pings_as_it_documents() -> None:
    told = {name: load(name).limits for name in VENUE_NAMES}
    pings = {name: one.ping_s for name, one in told.items() if one.ping_s}
    assert pings == {"aster": 300.0, "extended": 15.0, "paradex": 55.0}
    pongs = {name: told[name].pong_s for name in (*pings, "lighter")}
    assert pongs == {"aster": 900.0, "extended": 10.0, "paradex": 5.0, "lighter": 20.0}


def test_lighter_says_no_pong_after_what_it_had_to_say() -> None:
    async def scenario() -> None:
        cadence = {"ping": 30 * MS}
        async with (
            Simulation(
                ["lighter"], cadence=cadence, limits=Limits(pong_s=60 * MS)
            ) as simulation,
            open_stream(simulation.addresses[0].ws_url) as client,
        ):
            ending = await client.ended()
            assert ending.rcvd is not None
            assert (ending.rcvd.code, ending.rcvd.reason) == (1008, "no pong")
            kinds = [json.loads(frame)["type"] for frame in client.frames]
            assert kinds[:2] == ["connected", "ping"]

    asyncio.run(scenario())


def test_protocol_pings_keep_a_client_of_lighter_heard() -> None:
    async def scenario(simulation: Simulation, url: str) -> None:
        venue = simulation.hosts[0].venue
        assert isinstance(venue, Lighter)
        venue.client_silence_s = 100 * MS
        loop = asyncio.get_running_loop()
        async with open_stream(url) as client:
            end_s = loop.time() + 2 * venue.client_silence_s
            while loop.time() < end_s:
                await (await client.stream.ping())
            ending = await client.ended()
            assert ending.rcvd is not None
            assert ending.rcvd.code == 1000

    play("lighter", scenario)


def test_eleventh_protocol_ping_in_a_second_ends_a_client_of_aster() -> None:
    async def scenario(simulation: Simulation, url: str) -> None:
        async with open_stream(url) as client:
            with contextlib.suppress(websockets.ConnectionClosed):
                for _ in range(11):
                    await client.stream.ping()
            assert (await client.ended()).rcvd is None  # no closing frame

    play("aster", scenario)


def test_lifetime_of_a_connection_ends_it() -> None:
    async def scenario(simulation: Simulation, url: str) -> None:
        async with open_stream(url) as client:
            assert (await client.ended()).rcvd is None
        async with open_stream(url) as client:
            await (await client.stream.ping())

    play("aster", scenario, Limits(life_s=200 * MS))


def test_ended_session_whose_frames_cannot_leave_is_cut(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("feedhandler.sim.connection.FAREWELL_S", 50 * MS)

    async def scenario(simulation: Simulation, url: str) -> None:
        simulation.inject("delay(ms=60000)")
        async with open_stream(f"{url}/btcusdt@depth@100ms") as client:
            assert (await client.ended()).rcvd is None
            assert client.frames == []

    play("aster", scenario, Limits(life_s=300 * MS))


def test_stream_and_rest_without_a_user_agent_are_403_with_an_empty_body() -> None:
    async def scenario(simulation: Simulation, url: str) -> None:
        with pytest.raises(websockets.InvalidStatus, match="403"):
            async with open_stream(url, user_agent_header=None):
                pass
        markets = f"{simulation.addresses[0].rest_url}/info/markets"
        async with aiohttp.ClientSession(skip_auto_headers=["User-Agent"]) as session:
            async with session.get(markets) as answer:
                assert (answer.status, await answer.text()) == (403, "")
            named = {"User-Agent": "any"}
            async with session.get(markets, headers=named) as answer:
                assert answer.status == 200

    play("extended", scenario)


def test_refused_schema_of_paradex_says_why() -> None:
    async def scenario(simulation: Simulation, url: str) -> None:
        bare = simulation.addresses[0].ws_url
        with pytest.raises(websockets.InvalidStatus, match="400") as refused:
            async with open_stream(bare):
                pass
        assert b"SBE schema" in (refused.value.response.body or b"")
        assert simulation.counters["refused"] == 1

    play("paradex", scenario)
