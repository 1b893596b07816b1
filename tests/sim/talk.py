"""A plain client's talk with a simulated venue, and the scenarios that tests play."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

import aiohttp
import pytest
import websockets

from feedhandler.sim import VENUE_NAMES, Simulation
from feedhandler.sim.venues import load
from tests.sim.harness import DEADLINE_S, LIVELY, Client, open_stream
from tests.sim.speakers import SPEAKERS, Frame, Json, Speaker
from tests.support import wait_until_async

every_venue = pytest.mark.parametrize("venue", VENUE_NAMES)


class Talk:
    """A speaker on one stream."""

    def __init__(self, speaker: Speaker, simulation: Simulation, client: Client):
        self.speaker = speaker
        self.simulation = simulation
        self.client = client

    async def say(self, requests: list[Json]) -> None:
        for request in requests:
            await self.client.send(request)

    async def subscribe(self, symbol: str) -> None:
        await self.say(self.speaker.subscribe(symbol))

    async def until(self, kind: str, symbol: str = "") -> Frame:
        """Read on until a frame of this kind and market."""
        async with asyncio.timeout(DEADLINE_S):
            while True:
                frame = await self.client.frame()
                found = self.speaker.read(frame)
                if found[0] == kind and symbol in ("", found[1]):
                    return frame

    async def settle(self) -> None:
        """Return when all that was queued until now has arrived."""
        await self.client.send(self.speaker.ping())
        await self.until("pong")

    def since(self, seen: int) -> list[tuple[str, str]]:
        """What the frames are that arrived after so many."""
        return [self.speaker.read(frame) for frame in self.client.frames[seen:]]

    async def book_by_rest(self) -> tuple[int, Mapping[str, str]]:
        """Ask for BTC's book: the status and the headers of the answer."""
        base = self.simulation.addresses[0].rest_url
        speaker = self.speaker
        method = "GET" if speaker.rest_body is None else "POST"
        url = f"{base}{speaker.rest}"
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, url, json=speaker.rest_body) as answer,
        ):
            await answer.read()
            return answer.status, answer.headers


def url_of(speaker: Speaker, simulation: Simulation) -> str:
    return simulation.addresses[0].ws_url + speaker.query


@contextlib.asynccontextmanager
async def talk(speaker: Speaker, simulation: Simulation) -> AsyncIterator[Talk]:
    async with open_stream(url_of(speaker, simulation)) as client:
        yield Talk(speaker, simulation, client)


async def refusal(speaker: Speaker, simulation: Simulation) -> Exception:
    """How a new stream is refused."""
    try:
        async with talk(speaker, simulation):
            raise AssertionError("the stream was accepted")
    except (OSError, websockets.InvalidHandshake) as error:
        return error


Scenario = Callable[[Talk], Awaitable[None]]


def play(venue: str, scenario: Scenario, **options: Any) -> None:
    """Run a scenario with a lively venue, and a client that has BTC and ETH."""
    speaker = SPEAKERS[venue]
    limits = replace(load(venue).limits, messages_per_second=0)
    options |= {"rate": LIVELY, "cadence": speaker.cadence, "limits": limits}

    async def run() -> None:
        async with (
            Simulation([venue], **options) as simulation,
            talk(speaker, simulation) as client,
        ):
            await client.say(speaker.live())
            for symbol in (speaker.btc, speaker.eth):
                await client.subscribe(symbol)
                await client.until("book", symbol)
            await client.until("live")
            await scenario(client)

    asyncio.run(run())


async def moved(simulation: Simulation) -> None:
    """Wait until every market has surely moved."""
    until_s = simulation.market.next_at_s + 4
    await wait_until_async(
        lambda: simulation.market.next_at_s > until_s, DEADLINE_S, "a moving market"
    )
