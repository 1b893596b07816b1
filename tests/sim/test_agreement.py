"""All simulated venues show one market, each in its own words."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest

from feedhandler.sim import VENUE_NAMES, Simulation
from tests.sim.harness import DEADLINE_S
from tests.support import wait_until_async

Touch = tuple[float, float]


class Asker:
    """Asks each venue's REST for the best prices of an asset."""

    def __init__(self, simulation: Simulation, http: aiohttp.ClientSession) -> None:
        self._urls = {one.venue: one.rest_url for one in simulation.addresses}
        self._http = http

    async def touch(self, venue: str, asset: str) -> Touch:
        ask: Any = getattr(self, venue)
        bid, offer = await ask(asset)
        return float(bid), float(offer)

    async def aster(self, asset: str) -> Any:
        path = f"/fapi/v3/ticker/bookTicker?symbol={asset}USDT"
        row = await self._get("aster", path)
        return row["bidPrice"], row["askPrice"]

    async def extended(self, asset: str) -> Any:
        path = f"/info/markets/{asset}-USD/orderbook"
        book = (await self._get("extended", path))["data"]
        return book["bid"][0]["price"], book["ask"][0]["price"]

    async def hyperliquid(self, asset: str) -> Any:
        url = f"{self._urls['hyperliquid']}/info"
        question = {"type": "l2Book", "coin": asset}
        async with self._http.post(url, json=question) as answer:
            bids, asks = (await answer.json())["levels"]
        return bids[0]["px"], asks[0]["px"]

    async def lighter(self, asset: str) -> Any:
        market_id = {"ETH": 0, "BTC": 1}[asset]
        path = f"/api/v1/orderBookOrders?market_id={market_id}&limit=1"
        book = await self._get("lighter", path)
        return book["bids"][0]["price"], book["asks"][0]["price"]

    async def paradex(self, asset: str) -> Any:
        row = await self._get("paradex", f"/bbo/{asset}-USD-PERP")
        return row["bid"], row["ask"]

    async def _get(self, venue: str, path: str) -> Any:
        async with self._http.get(self._urls[venue] + path) as answer:
            assert answer.status == 200
            return await answer.json()


@pytest.mark.parametrize("seed", [1, 7])
def test_venues_show_one_market_within_a_spread(seed: int) -> None:
    async def scenario() -> None:
        async with (
            Simulation(VENUE_NAMES, seed=seed, faults=["quiet"]) as simulation,
            aiohttp.ClientSession() as http,
        ):
            asker = Asker(simulation, http)
            for asset in ("BTC", "ETH"):
                found = [await asker.touch(venue, asset) for venue in VENUE_NAMES]
                assert all(bid < ask for bid, ask in found)
                assert apart(found) <= 0, found

    asyncio.run(scenario())


def test_market_that_runs_moves_every_venue_alike() -> None:
    async def scenario() -> None:
        async with (
            Simulation(VENUE_NAMES, rate=100.0) as simulation,
            aiohttp.ClientSession() as http,
        ):
            asker = Asker(simulation, http)
            before = [await asker.touch(venue, "BTC") for venue in VENUE_NAMES]
            moved = simulation.market.next_at_s + 20
            await wait_until_async(
                lambda: simulation.market.next_at_s > moved, DEADLINE_S, "a market"
            )
            simulation.inject("quiet")
            async with asyncio.timeout(DEADLINE_S):
                after = before
                while apart(after) > 0 or after == before:  # what is batched comes late
                    after = [await asker.touch(venue, "BTC") for venue in VENUE_NAMES]

    asyncio.run(scenario())


def apart(touches: list[Touch]) -> float:
    """By how much the middles differ more than the widest spread."""
    middles = [(bid + ask) / 2 for bid, ask in touches]
    spread = max(ask - bid for bid, ask in touches)
    return max(middles) - min(middles) - spread
