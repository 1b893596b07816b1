"""The other end of every drill: simulated venues behind fault proxies, one process.

    feed ══▶ proxy "<venue>.ws"   ══╗
    rest ══▶ proxy "<venue>.rest" ══╩═▶ simulated venue ──▶ truth log

`python -m tests.system.drills.market '{"venues": […], "truth": FILE, "rate": 6}'`
prints one line of JSON with the addresses, then takes one command a line on the control
port that it names there, and answers each with one line. It ends when that connection
does, so that no drill can leave it behind.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any
from urllib.parse import urlsplit

from feedhandler.sim import Simulation
from tests.system.proxy import BOTH, FaultProxy, Weather

SIDES = ("ws", "rest")


class Market:
    """The simulation and its proxies, and what a drill may do to them."""

    def __init__(self, options: dict[str, Any]) -> None:
        self._simulation = Simulation(
            options["venues"],
            seed=options.get("seed", 7),
            rate=options.get("rate", 1.0),
            truth_path=options["truth"],
        )
        self._proxies: dict[str, FaultProxy] = {}

    async def start(self) -> dict[str, dict[str, str]]:
        """Listen; return each venue's addresses, which are those of the proxies."""
        await self._simulation.start()
        addresses: dict[str, dict[str, str]] = {}
        for address in self._simulation.addresses:
            urls = dict(zip(SIDES, (address.ws_url, address.rest_url), strict=True))
            addresses[address.venue] = {}
            for side, url in urls.items():
                port = urlsplit(url).port
                assert port is not None
                proxy = FaultProxy(port)
                self._proxies[f"{address.venue}.{side}"] = proxy
                through = url.replace(f":{port}", f":{await proxy.start()}", 1)
                addresses[address.venue][side] = through
        return addresses

    async def stop(self) -> None:
        """End everything, the truth log last."""
        await asyncio.gather(*(proxy.stop() for proxy in self._proxies.values()))
        await self._simulation.stop()

    async def obey(self, command: dict[str, Any]) -> Any:
        """Do one command; what it returns is the answer."""
        action = getattr(self, f"_do_{command.pop('do')}")
        return await action(**command)

    async def _do_inject(self, faults: list[str]) -> None:
        for fault in faults:
            self._simulation.inject(fault)

    async def _do_clear(self) -> None:
        self._simulation.clear()
        for proxy in self._proxies.values():
            await proxy.clear()

    async def _do_flush(self) -> None:
        self._simulation.truth.flush()

    async def _do_counts(self) -> dict[str, int]:
        """Return how many connections each proxy ever accepted."""
        return {name: proxy.connections for name, proxy in self._proxies.items()}

    async def _do_weather(self, place: str, ways: list[str], **values: Any) -> None:
        for proxy in self._at(place):
            proxy.set_weather(Weather(**values), ways or BOTH)

    async def _do_hold(self, place: str, ways: list[str]) -> None:
        for proxy in self._at(place):
            proxy.hold(ways or BOTH)

    async def _do_cut(self, place: str, how: str) -> None:
        for proxy in self._at(place):
            proxy.cut(how)

    async def _do_refuse(self, place: str) -> None:
        for proxy in self._at(place):
            await proxy.refuse()

    async def _do_swallow(self, place: str) -> None:
        for proxy in self._at(place):
            await proxy.swallow()

    def _at(self, place: str) -> list[FaultProxy]:
        """The proxies whose name ends or begins with that: a venue, a side, or one."""
        found = [
            proxy
            for name, proxy in self._proxies.items()
            if place in (name, *name.split("."))
        ]
        assert found, place
        return found


async def run(options: dict[str, Any]) -> None:
    """Serve one drill's control connection, then end."""
    market = Market(options)
    addresses = await market.start()
    ended = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            answer = await market.obey(json.loads(line))
            writer.write(json.dumps(answer).encode() + b"\n")
        ended.set()

    control = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = control.sockets[0].getsockname()[1]
    print(json.dumps({"control": port, "addresses": addresses}), flush=True)
    failed = asyncio.ensure_future(market._simulation.wait_failed())
    until = asyncio.ensure_future(ended.wait())
    await asyncio.wait((failed, until), return_when=asyncio.FIRST_COMPLETED)
    if failed.done():
        failed.result()
    failed.cancel()
    control.close()
    await market.stop()


if __name__ == "__main__":
    asyncio.run(run(json.loads(sys.argv[1])))
