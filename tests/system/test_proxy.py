"""The fault proxy does to bytes what it says, and nothing else."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from tests.support import MS, wait_until_async
from tests.system.proxy import DOWN, LOOPBACK, UP, FaultProxy, Weather

Body = Callable[[FaultProxy], Awaitable[None]]
_writers: list[asyncio.StreamWriter] = []  # of one test, closed at its end


@contextlib.asynccontextmanager
async def echoing() -> AsyncIterator[FaultProxy]:
    """A proxy before a server that sends back what it gets."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(1_000):
                writer.write(data)
        writer.close()

    server = await asyncio.start_server(echo, LOOPBACK, 0)
    async with FaultProxy(server.sockets[0].getsockname()[1]) as proxy:
        yield proxy
        for writer in _writers:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
        _writers.clear()
    server.close()
    await server.wait_closed()


def run(body: Body) -> None:
    async def work() -> None:
        async with echoing() as proxy, asyncio.timeout(20_000 * MS):
            await body(proxy)

    asyncio.run(work())


async def connect(
    proxy: FaultProxy,
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection(LOOPBACK, proxy.port)
    _writers.append(writer)
    return reader, writer


def test_bytes_pass_whole_and_in_order() -> None:
    async def body(proxy: FaultProxy) -> None:
        reader, writer = await connect(proxy)
        sent = bytes(range(256)) * 2_000
        writer.write(sent)
        writer.write_eof()
        assert await reader.read(-1) == sent
        assert proxy.connections == 1
        assert proxy.bytes_passed == {UP: len(sent), DOWN: len(sent)}

    run(body)


def test_weather_delays_and_slices_and_loses_nothing() -> None:
    async def body(proxy: FaultProxy) -> None:
        weather = Weather(delay_s=0.05, jitter_s=0.02, rate_bytes_s=2_000)
        proxy.set_weather(weather, [DOWN])
        reader, writer = await connect(proxy)
        loop = asyncio.get_running_loop()
        begun_s = loop.time()
        writer.write(b"x" * 400)
        assert len(await reader.read(400)) < 400, "one slice of it"
        assert loop.time() - begun_s >= 0.05
        writer.write_eof()
        await reader.read(-1)
        assert loop.time() - begun_s >= 0.2, "400 bytes at 2,000 a second"
        assert proxy.bytes_passed[DOWN] == 400

    run(body)


@pytest.mark.parametrize("ways", [[UP], [DOWN], [UP, DOWN]])
def test_held_bytes_and_ends_go_on_later(ways: list[str]) -> None:
    async def body(proxy: FaultProxy) -> None:
        reader, writer = await connect(proxy)
        writer.write(b"a")
        assert await reader.read(1) == b"a"
        proxy.hold(ways)
        writer.write(b"b")
        writer.write_eof()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await reader.read(1)
        await proxy.clear()
        assert await reader.read(-1) == b"b"

    run(body)


def test_cut_by_reset_is_a_reset_and_by_fin_an_end() -> None:
    async def body(proxy: FaultProxy) -> None:
        for how in ("rst", "fin"):
            reader, writer = await connect(proxy)
            writer.write(b"a")
            assert await reader.read(1) == b"a"
            proxy.cut(how)
            if how == "rst":
                with pytest.raises(ConnectionResetError):
                    await reader.read(1)
            else:
                assert await reader.read(1) == b""
            writer.close()

    run(body)


def test_closed_door_refuses_and_swallowed_knocks_get_no_answer() -> None:
    async def body(proxy: FaultProxy) -> None:
        reader, writer = await connect(proxy)
        await proxy.refuse()
        with pytest.raises(ConnectionRefusedError):
            await connect(proxy)
        writer.write(b"a")
        assert await reader.read(1) == b"a", "those that are stay"
        await proxy.swallow()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await connect(proxy)
        await proxy.clear()
        again_reader, again_writer = await connect(proxy)
        again_writer.write(b"b")
        assert await again_reader.read(1) == b"b"

    run(body)


def test_server_that_is_gone_resets() -> None:
    async def body(proxy: FaultProxy) -> None:
        async with FaultProxy(1) as lonely:
            reader, _ = await connect(lonely)
            with pytest.raises(ConnectionResetError):
                await reader.read(1)
            await wait_until_async(lambda: lonely.connections == 1, 1_000 * MS)

    run(body)
