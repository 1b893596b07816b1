"""What the simulator's tests share: a raw client, a REST call, and a clock to turn.

The client knows nothing of the simulator: it is `websockets` as any user has it, so a
test sees exactly what arrived. Every wait has a deadline.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import websockets

from feedhandler.sim import Address, Simulation
from feedhandler.sim.clock import Clock
from tests.support import MS, ROOT

DEADLINE_S = 5000 * MS
FRAMES = ROOT / "tests/venues/hyperliquid/frames"
RECORDING = FRAMES / "ws_recording_btc_20250126.jsonl"
HELLO = "Websocket connection established."
LIVELY = 20.0  # times as fast as a normal market, so that no test waits for long
FAST = {"l2Book": 0.05, "l2Book:fast": 0.02, "activeAssetCtx": 0.05, "allMids": 0.05}

Json = dict[str, Any]


class TurnedClock(Clock):
    """A clock that moves when the test says so."""

    def __init__(self) -> None:
        self._monotonic_ns = 1_000_000_000_000
        self._wall_ms = 1_700_000_000_000

    def monotonic_ns(self) -> int:
        return self._monotonic_ns

    def wall_ms(self) -> int:
        return self._wall_ms

    def turn(self, seconds: float) -> None:
        self._monotonic_ns += round(seconds * 1e9)
        self._wall_ms += round(seconds * 1000)


class Client:
    """One stream: sends requests and keeps every frame, with its time of arrival."""

    def __init__(self, stream: websockets.ClientConnection) -> None:
        self.stream = stream
        self.frames: list[str | bytes] = []
        self.times_s: list[float] = []

    async def send(self, request: object) -> None:
        await self.stream.send(json.dumps(request))

    async def subscribe(self, kind: str, coin: str = "", **options: object) -> None:
        await self.request("subscribe", kind, coin, **options)

    async def unsubscribe(self, kind: str, coin: str = "", **options: object) -> None:
        await self.request("unsubscribe", kind, coin, **options)

    async def request(
        self, method: str, kind: str, coin: str = "", **options: object
    ) -> None:
        name = {"coin": coin} if coin else {}
        subscription = {"type": kind, **name, **options}
        await self.send({"method": method, "subscription": subscription})

    async def frame(self) -> str | bytes:
        """Return the next frame, whatever it is."""
        async with asyncio.timeout(DEADLINE_S):
            frame = await self.stream.recv()
        self.frames.append(frame)
        self.times_s.append(time.monotonic())
        return frame

    async def message(self) -> Json:
        """Return the next frame that is a JSON object."""
        while True:
            try:
                message = json.loads(await self.frame())
            except (ValueError, RecursionError):
                continue
            if isinstance(message, dict):
                return message

    async def next(
        self, channel: str, accept: Callable[[Any], bool] = lambda data: True
    ) -> Any:
        """Return the data of the next message of a channel that is accepted."""
        async with asyncio.timeout(DEADLINE_S):
            while True:
                message = await self.message()
                if message.get("channel") == channel and accept(message.get("data")):
                    return message.get("data")

    async def ping(self) -> Json:
        """Ping, and return the pong: all that was queued before it has arrived."""
        await self.send({"method": "ping"})
        while True:
            message = await self.message()
            if message == {"channel": "pong"}:
                return message

    def of_channel(self, channel: str) -> list[Any]:
        """Return the data of every message of a channel that arrived so far."""
        found = []
        for frame in self.frames:
            with contextlib.suppress(ValueError, RecursionError):
                message = json.loads(frame)
                if isinstance(message, dict) and message.get("channel") == channel:
                    found.append(message.get("data"))
        return found

    async def ended(self) -> websockets.ConnectionClosed:
        """Read until the stream ends, and return how it did."""
        while True:
            try:
                await self.frame()
            except websockets.ConnectionClosed as ending:
                return ending


@contextlib.asynccontextmanager
async def connect(simulation: Simulation) -> AsyncIterator[Client]:
    """Connect to the first venue."""
    async with open_stream(simulation.addresses[0].ws_url) as client:
        yield client


Scenario = Callable[[Simulation, Client], Awaitable[None]]


def play(scenario: Scenario, **options: Any) -> None:
    """Run a scenario with a simulation and a client of its first venue."""

    async def run() -> None:
        async with Simulation(**options) as simulation, connect(simulation) as client:
            await scenario(simulation, client)

    asyncio.run(run())


@contextlib.asynccontextmanager
async def open_stream(url: str, **options: Any) -> AsyncIterator[Client]:
    stream = await websockets.connect(
        url, proxy=None, ping_interval=None, close_timeout=0.2, **options
    )
    try:
        yield Client(stream)
    finally:
        await stream.close()


async def post(address: Address, body: object) -> tuple[int, str, str]:
    """POST to the venue's info endpoint: status, content type and text."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{address.rest_url}/info", data=data, headers=headers) as answer,
    ):
        return answer.status, answer.content_type, await answer.text()


async def info(address: Address, kind: str, **fields: object) -> Any:
    status, content_type, text = await post(address, {"type": kind, **fields})
    assert (status, content_type) == (200, "application/json"), text
    return json.loads(text)


def deaf_socket(address: Address) -> socket.socket:
    """A TCP connection with the smallest of receive buffers."""
    port = int(address.ws_url.split(":")[2].split("/")[0])
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    raw.connect(("127.0.0.1", port))
    raw.setblocking(False)
    return raw


def touch(data: Json) -> tuple[Any, Any]:
    """The best rows of a bbo or an l2Book."""
    if "bbo" in data:
        return data["bbo"][0], data["bbo"][1]
    bids, asks = data["levels"]
    return (bids or [None])[0], (asks or [None])[0]


def recorded_messages(path: Path = RECORDING) -> list[Json]:
    return [json.loads(line)["msg"] for line in path.read_text().splitlines()]


def shape(value: Any) -> Any:
    """The keys and types of a JSON value; one row stands for all of a list."""
    if isinstance(value, dict):
        return {key: shape(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return type(value).__name__
