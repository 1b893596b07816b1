"""Several connections as one, against servers that do what no venue should."""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from feedhandler.transport.bundle import OPENING_MAX, Bundle, connect_all
from feedhandler.transport.errors import TransportError
from feedhandler.transport.websocket import connect
from tests.support import MS, wait_until_async
from tests.transport.raw_server import (
    CLOSE,
    TEXT,
    Handler,
    frame,
    open_stream,
    read_frame,
    read_request,
    reset,
    serve,
)

WAIT_S = 5_000 * MS


def run(test: Coroutine[Any, Any, None]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(30):
            await test

    asyncio.run(bounded())


class Server:
    """Sockets that a test speaks through, by the order in which they were opened."""

    def __init__(self, first: bytes = b"") -> None:
        self.writers: list[asyncio.StreamWriter] = []
        self.heard: list[tuple[int, bytes]] = []
        self.gone = 0
        self._first = first

    async def handle(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await open_stream(reader, writer, self._first)
        self.writers.append(writer)
        try:
            while True:
                self.heard.append(await read_frame(reader))
        finally:
            self.gone += 1


async def refuses(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_request(reader)
    writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
    await writer.drain()


async def never(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


class Client:
    """What came on each socket of a bundle."""

    def __init__(self) -> None:
        self.frames: dict[str, list[bytes]] = {}

    async def open(
        self, urls: Mapping[str, str], open_timeout_s: float = WAIT_S
    ) -> Bundle:
        open_one = functools.partial(
            connect, frame_bytes_max=1 << 20, open_timeout_s=WAIT_S
        )
        self.frames = {name: [] for name in urls}
        streams = {
            url: functools.partial(self._take, name) for name, url in urls.items()
        }
        return await connect_all(streams, open_one, open_timeout_s)

    def _take(self, name: str, payload: bytes | bytearray, recv_ns: int) -> None:
        self.frames[name].append(bytes(payload))


@asynccontextmanager
async def serving(**handlers: Handler) -> AsyncIterator[dict[str, str]]:
    """Serve each handler under its name; yield the addresses by name."""
    async with AsyncExitStack() as stack:
        urls = {}
        for name, handler in handlers.items():
            port = await stack.enter_async_context(serve(handler))
            urls[name] = f"ws://127.0.0.1:{port}/{name}"
        yield urls


def test_frames_of_each_socket_go_where_they_belong() -> None:
    async def test() -> None:
        one, two = Server(frame(TEXT, b"first")), Server()
        async with serving(one=one.handle, two=two.handle) as urls:
            client = Client()
            bundle = await client.open(urls)
            two.writers[0].write(frame(TEXT, b"second") + frame(TEXT, b"third"))
            expected = {"one": [b"first"], "two": [b"second", b"third"]}
            await wait_until_async(lambda: client.frames == expected, WAIT_S, "frames")
            assert bundle.send_now("hello")
            expected_here = [(TEXT, b"hello")]
            await wait_until_async(
                lambda: one.heard == two.heard == expected_here, WAIT_S, "ours"
            )
            await bundle.end()
            assert bundle.is_ending
            assert not bundle.send_now("more")
            assert (await bundle.closed).label == "ws_closed"

    run(test())


@pytest.mark.parametrize(
    ("leave", "label", "code"),
    [
        (lambda writer: writer.write(frame(CLOSE, b"\x03\xf4")), "ws_closed", 1012),
        (reset, "stream_end", 0),
    ],
)
def test_first_socket_that_ends_ends_all(
    leave: Callable[[asyncio.StreamWriter], None], label: str, code: int
) -> None:
    async def test() -> None:
        one, two, three = Server(), Server(), Server()
        handlers = {"one": one.handle, "two": two.handle, "three": three.handle}
        async with serving(**handlers) as urls:
            client = Client()
            bundle = await client.open(urls)
            leave(two.writers[0])
            closed = await asyncio.wait_for(bundle.closed, WAIT_S)
            assert (closed.label, closed.code) == (label, code)
            assert closed.detail.endswith(f"url={urls['two']}")
            await wait_until_async(
                lambda: one.gone and three.gone, WAIT_S, "the end of the others"
            )
            await bundle.end()
            assert bundle.closed.result() is closed

    run(test())


def test_quietest_socket_is_the_one_that_counts() -> None:
    async def test() -> None:
        one, two = Server(), Server()
        async with serving(one=one.handle, two=two.handle) as urls:
            client = Client()
            bundle = await client.open(urls)
            assert not bundle.is_ending
            before_ns = bundle.recv_ns
            one.writers[0].write(frame(TEXT, b"x"))
            await wait_until_async(lambda: client.frames["one"], WAIT_S, "one")
            opened_ns = time.monotonic_ns()
            assert bundle.recv_ns < opened_ns
            two.writers[0].write(frame(TEXT, b"x"))
            await wait_until_async(lambda: client.frames["two"], WAIT_S, "two")
            assert before_ns < bundle.recv_ns < time.monotonic_ns()
            await bundle.end()

    run(test())


def test_more_sockets_than_open_at_one_time_all_open() -> None:
    async def test() -> None:
        servers = {f"s{number}": Server() for number in range(OPENING_MAX + 3)}
        handlers = {name: server.handle for name, server in servers.items()}
        async with serving(**handlers) as urls:
            bundle = await Client().open(urls)
            assert all(len(server.writers) == 1 for server in servers.values())
            await bundle.end()

    run(test())


@pytest.mark.parametrize(
    ("broken", "label", "text"),
    [(refuses, "http_status", "url="), (never, "connect_timeout", "1 of 2 open")],
)
def test_nothing_is_left_open_when_one_cannot_be_opened(
    broken: Handler, label: str, text: str
) -> None:
    async def test() -> None:
        good = Server()
        async with serving(good=good.handle, broken=broken) as urls:
            with pytest.raises(TransportError, match=text) as caught:
                await Client().open(urls, open_timeout_s=500 * MS)
            assert caught.value.label == label
            await wait_until_async(
                lambda: good.gone == len(good.writers), WAIT_S, "the good one's end"
            )

    run(test())


def test_cancelled_opening_leaves_nothing_open() -> None:
    async def test() -> None:
        good = Server()
        async with serving(good=good.handle, never=never) as urls:
            opening = asyncio.ensure_future(Client().open(urls))
            await wait_until_async(lambda: good.writers, WAIT_S, "the good one")
            opening.cancel()
            with pytest.raises(asyncio.CancelledError):
                await opening
            await wait_until_async(lambda: good.gone, WAIT_S, "the good one's end")

    run(test())


def test_socket_that_ends_while_others_open_ends_the_bundle() -> None:
    async def test() -> None:
        async def leaves(
            reader: asyncio.StreamReader, writer: asyncio.StreamWriter
        ) -> None:
            await open_stream(reader, writer, frame(CLOSE, b"\x03\xe8"))
            await read_frame(reader)  # the client has seen it
            has_left.set()

        async def waits(
            reader: asyncio.StreamReader, writer: asyncio.StreamWriter
        ) -> None:
            await has_left.wait()
            await Server().handle(reader, writer)

        has_left = asyncio.Event()
        async with serving(leaves=leaves, waits=waits) as urls:
            bundle = await Client().open(urls)
            closed = await asyncio.wait_for(bundle.closed, WAIT_S)
            assert closed.detail.endswith(urls["leaves"])
            await bundle.end()

    run(test())
