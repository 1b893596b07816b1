"""Several WebSocket connections as one: opened together, ended together.

    address ─ socket ─ frames ─▶ its own on_frame
    address ─ socket ─ frames ─▶ its own on_frame
                 │
                 └─ the first that ends ends the bundle

Owns what a venue needs that has a socket for each stream. A bundle lives as long as
all of its sockets do: what a lost one has missed, nobody knows. One that goes silent
is not hidden by the others, since `recv_ns` is that of the quietest.
"""

from __future__ import annotations

import asyncio
import dataclasses
import functools
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from feedhandler.config import redact_url
from feedhandler.transport.errors import TransportError
from feedhandler.transport.websocket import Closed, Connection, OnFrame

OPENING_MAX: Final = 8  # handshakes at one time: a venue counts bursts

# Opens one socket: `connect` with all but the address and what takes its frames.
OpenOne = Callable[[str, OnFrame], Awaitable[Connection]]


class Bundle:
    """Open connections that stand for one; `connect_all` makes it."""

    def __init__(self, connections: Mapping[str, Connection]) -> None:
        assert connections
        self._connections = list(connections.values())
        self._end_task: asyncio.Task[None] | None = None
        self.closed: asyncio.Future[Closed]
        self.closed = asyncio.get_running_loop().create_future()
        for url, connection in connections.items():
            connection.closed.add_done_callback(functools.partial(self._on_closed, url))

    @property
    def recv_ns(self) -> int:
        """When the quietest of the sockets was last heard."""
        return min(each.recv_ns for each in self._connections)

    @property
    def is_ending(self) -> bool:
        """Whether the end of any of the sockets has begun."""
        return any(each.is_ending for each in self._connections)

    def send_now(self, text: str) -> bool:
        """Write a text frame on every socket; False when one cannot be written to."""
        sent = [each.send_now(text) for each in self._connections]
        return all(sent)

    async def end(self) -> None:
        """Close all within a second; nothing is handed on after."""
        await asyncio.gather(*(each.end() for each in self._connections))

    def _on_closed(self, url: str, closed: asyncio.Future[Closed]) -> None:
        """Say how the first of them ended, and let the others follow."""
        if self.closed.done():
            return
        how = closed.result()
        detail = f"{how.detail} url={redact_url(url)}"
        self.closed.set_result(dataclasses.replace(how, detail=detail))
        self._end_task = asyncio.ensure_future(self.end())


async def connect_all(
    streams: Mapping[str, OnFrame], open_one: OpenOne, open_timeout_s: float
) -> Bundle:
    """Open a socket for each address; raise `TransportError` when one cannot be.

    Frames are handed on from each that is open, before this returns; nothing is left
    open when it raises. The time is for all of them.
    """
    gate = asyncio.Semaphore(OPENING_MAX)

    async def work(url: str, on_frame: OnFrame) -> Connection:
        async with gate:
            try:
                return await open_one(url, on_frame)
            except TransportError as error:
                error.args = (f"{error} url={redact_url(url)}",)
                raise

    tasks = [asyncio.ensure_future(work(*stream)) for stream in streams.items()]
    try:
        async with asyncio.timeout(open_timeout_s):
            connections = await asyncio.gather(*tasks)
    except BaseException as error:
        opened = await _give_up(tasks)
        if isinstance(error, TimeoutError):
            text = f"{opened} of {len(tasks)} open within {open_timeout_s:g} s"
            raise TransportError("connect_timeout", text) from error
        raise
    return Bundle(dict(zip(streams, connections, strict=True)))


async def _give_up(tasks: list[asyncio.Task[Connection]]) -> int:
    """End what is open and what is being opened; return how many were open."""
    for task in tasks:
        task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    opened = [each for each in results if isinstance(each, Connection)]
    await asyncio.gather(*(each.end() for each in opened))
    return len(opened)
