"""A simulation of Aster alone, and what its tests say and read on the wire."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import aiohttp

from feedhandler.sim import Simulation
from feedhandler.sim.host import Address
from tests.sim.harness import DEADLINE_S, LIVELY, Client, Scenario, open_stream

FAST = {"depth@100ms": 0.02}


def play(scenario: Scenario, *names: str, **options: Any) -> None:
    """Run a scenario with a lively venue and a client that subscribed to names."""

    options.setdefault("cadence", FAST)

    async def run() -> None:
        async with (
            Simulation(["aster"], rate=LIVELY, **options) as simulation,
            open_stream(simulation.addresses[0].ws_url) as client,
        ):
            if names:
                await subscribe(client, *names)
            await scenario(simulation, client)

    asyncio.run(run())


async def subscribe(client: Client, *names: str) -> None:
    await client.send({"method": "SUBSCRIBE", "params": list(names), "id": 1})
    await until(client, lambda told: told == {"result": None, "id": 1})


async def until(client: Client, accept: Callable[[Any], bool]) -> Any:
    async with asyncio.timeout(DEADLINE_S):
        while True:
            try:
                told = json.loads(await client.frame())
            except (ValueError, RecursionError):
                continue
            if accept(told):
                return told


async def settle(client: Client) -> None:
    """Return when all that was queued until now has arrived."""
    await client.send({"method": "LIST_SUBSCRIPTIONS", "id": 99})
    await until(client, lambda told: isinstance(told, dict) and told.get("id") == 99)


async def get(
    address: Address, path: str, **query: object
) -> tuple[int, Any, dict[str, str]]:
    params = {name: str(value) for name, value in query.items()}
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{address.rest_url}{path}", params=params) as answer,
    ):
        text = await answer.text()
        is_json = answer.content_type == "application/json"
        return answer.status, json.loads(text) if is_json else text, {**answer.headers}


def is_event(told: Any) -> bool:
    return isinstance(told, dict) and told.get("e") == "depthUpdate"


def is_mark(told: Any) -> bool:
    return isinstance(told, dict) and told.get("e") == "markPriceUpdate"


def is_quote(told: Any) -> bool:
    return isinstance(told, dict) and told.get("e") == "bookTicker"
