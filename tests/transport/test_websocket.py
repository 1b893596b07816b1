"""The transport against a server that does what no venue should."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from feedhandler.transport.errors import TransportError
from feedhandler.transport.websocket import FRAGMENTS_MAX, Closed, Connection, connect
from tests.support import MS, wait_until_async
from tests.transport import raw_server
from tests.transport.raw_server import (
    BINARY,
    CLOSE,
    CONT,
    PING,
    PONG,
    TEXT,
    Handler,
    frame,
    header,
    open_stream,
    serve,
)

CERTIFICATES = Path(__file__).parent / "certificates"
WAIT_S = 5_000 * MS


def run(test: Coroutine[Any, Any, None]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(30):
            await test

    asyncio.run(bounded())


class Client:
    """A connection and the frames it handed on."""

    def __init__(self) -> None:
        self.frames: list[tuple[bytes, int]] = []

    async def open(self, url: str, **options: Any) -> Connection:
        limits = {"frame_bytes_max": 1 << 20, "open_timeout_s": WAIT_S, **options}
        return await connect(url, self._on_frame, **limits)

    def _on_frame(self, payload: bytes | bytearray, recv_ns: int) -> None:
        self.frames.append((bytes(payload), recv_ns))

    @property
    def payloads(self) -> list[bytes]:
        return [payload for payload, _ in self.frames]


async def outcome(handler: Handler, **options: Any) -> tuple[Closed, list[bytes]]:
    """Connect, wait until the connection ends, and say how it did."""
    client = Client()
    async with serve(handler) as port:
        connection = await client.open(f"ws://127.0.0.1:{port}/ws", **options)
        closed = await asyncio.wait_for(connection.closed, WAIT_S)
    return closed, client.payloads


async def refusal(handler: Handler, **options: Any) -> TransportError:
    """Connect in vain and return the error."""
    async with serve(handler) as port:
        with pytest.raises(TransportError) as caught:
            await Client().open(f"ws://127.0.0.1:{port}/ws", **options)
    return caught.value


def sends(*parts: bytes, then: str = "wait") -> Handler:
    """Return a handler that accepts, sends those bytes, and ends as told."""

    async def handle(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await open_stream(reader, writer)
        for part in parts:
            writer.write(part)
            await writer.drain()
        if then == "reset":
            raw_server.reset(writer)
        elif then == "wait":
            await reader.read()

    return handle


def answers(text: bytes) -> Handler:
    """Return a handler that answers the upgrade with that text."""

    async def handle(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await raw_server.read_request(reader)
        writer.write(text)
        await writer.drain()
        writer.write_eof()
        await reader.read()

    return handle


# --- Frames -------------------------------------------------------------------------


def test_frames_arrive_in_order_with_the_time_of_their_bytes() -> None:
    async def test() -> None:
        client = Client()
        burst = b"".join(frame(TEXT, b"%d" % number) for number in range(100))
        async with serve(sends(burst)) as port:
            before_ns = time.monotonic_ns()
            connection = await client.open(f"ws://127.0.0.1:{port}/ws")
            await wait_until_async(lambda: len(client.frames) == 100, WAIT_S)
            await connection.end()
        assert client.payloads == [b"%d" % number for number in range(100)]
        stamps = [stamp for _, stamp in client.frames]
        assert stamps == sorted(stamps)
        assert before_ns <= stamps[0] <= stamps[-1] <= time.monotonic_ns()

    run(test())


def test_frames_sent_with_the_handshake_are_not_lost() -> None:
    async def handle(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        first = frame(TEXT, b"hello") + frame(BINARY, b"\xff")
        await open_stream(reader, writer, first)
        writer.write(frame(CLOSE))

    closed, payloads = asyncio.run(outcome(handle))
    assert payloads == [b"hello", b"\xff"]
    assert closed.label == "ws_closed"


def test_fragments_become_one_frame_around_control_frames() -> None:
    parts = (
        frame(TEXT, "ä".encode()[:1], fin=False),
        frame(PING, b"x"),
        frame(0, "ä".encode()[1:], fin=False),
        frame(0, b"b"),
        frame(CLOSE),
    )
    _, payloads = asyncio.run(outcome(sends(*parts)))
    assert payloads == ["äb".encode()]


def test_text_that_is_not_utf8_ends_the_connection_with_1007() -> None:
    for parts in (
        [frame(TEXT, b"good"), frame(TEXT, b"\xff\xfe")],
        [frame(TEXT, b"good"), frame(TEXT, b"\xff", fin=False), frame(0, b"\xfe")],
        [frame(TEXT, b"good"), frame(TEXT, b"\xc0\xaf")],
    ):
        closed, payloads = asyncio.run(outcome(sends(*parts, frame(TEXT, b"after"))))
        assert payloads == [b"good"]
        assert (closed.label, closed.code) == ("ws_closed", 1007)


@pytest.mark.parametrize("length", [2 << 20, (1 << 63) - 1])
def test_frame_too_large_is_refused_from_its_header(length: int) -> None:
    closed, payloads = asyncio.run(outcome(sends(header(TEXT, length))))
    assert payloads == []
    assert (closed.label, closed.code) == ("ws_closed", 1009)


def test_fragments_beyond_the_size_limit_are_refused() -> None:
    part = b"x" * 600
    parts = [frame(TEXT, part, fin=False), frame(0, part)]
    closed, payloads = asyncio.run(outcome(sends(*parts), frame_bytes_max=1_000))
    assert payloads == []
    assert (closed.label, closed.code) == ("ws_closed", 1009)


def test_frame_of_exactly_the_limit_is_taken_and_one_byte_more_is_not() -> None:
    parts = [frame(TEXT, b"x" * 1_000), frame(TEXT, b"x" * 1_001)]
    closed, payloads = asyncio.run(outcome(sends(*parts), frame_bytes_max=1_000))
    assert payloads == [b"x" * 1_000]
    assert closed.code == 1009


def test_endless_fragments_are_refused() -> None:
    parts = frame(TEXT, b"x", fin=False) + frame(0, b"x", fin=False) * FRAGMENTS_MAX
    closed, payloads = asyncio.run(outcome(sends(parts)))
    assert payloads == []
    assert (closed.label, closed.code) == ("ws_closed", 1009)


@pytest.mark.parametrize(
    "bad",
    [
        b"\xc1\x00",  # a reserved bit
        b"\x83\x00",  # a reserved opcode
        b"\x81\x80\x00\x00\x00\x00",  # masked by a server
        b"\x09\x00",  # a fragmented ping
        b"\x89\x7e\x00\x7e" + b"x" * 126,  # a ping too long
        b"\x80\x00",  # continues nothing
        b"\x88\x01x",  # a close code of one byte
        b"\x88\x02\x00\x00",  # a close code of zero
    ],
)
def test_broken_protocol_ends_the_connection(bad: bytes) -> None:
    closed, payloads = asyncio.run(outcome(sends(frame(TEXT, b"a"), bad)))
    assert payloads == [b"a"]
    assert (closed.label, closed.code) == ("ws_closed", 1002)


# --- Ends ---------------------------------------------------------------------------


def test_reset_is_a_stream_end() -> None:
    closed, _ = asyncio.run(outcome(sends(frame(TEXT, b"a"), then="reset")))
    assert closed.label == "stream_end"


def test_end_within_a_frame_is_a_stream_end_without_that_frame() -> None:
    closed, payloads = asyncio.run(
        outcome(sends(frame(TEXT, b"a"), header(TEXT, 10) + b"half", then="end"))
    )
    assert payloads == [b"a"]
    assert closed.label == "stream_end"


@pytest.mark.parametrize("code", [1000, 1001, 1012, 1013])
def test_close_frame_is_told_with_its_code(code: int) -> None:
    parts = frame(CLOSE, code.to_bytes(2, "big") + b"bye\x1b") + frame(TEXT, b"late")
    closed, payloads = asyncio.run(outcome(sends(parts)))
    assert payloads == []
    assert (closed.label, closed.code) == ("ws_closed", code)


def test_end_takes_less_than_a_second_although_the_peer_is_mute() -> None:
    async def test() -> None:
        client = Client()
        done = asyncio.Event()

        async def handle(
            reader: asyncio.StreamReader, writer: asyncio.StreamWriter
        ) -> None:
            await open_stream(reader, writer)
            await done.wait()

        async with serve(handle) as port:
            connection = await client.open(f"ws://127.0.0.1:{port}/ws")
            begin_s = time.monotonic()
            await connection.end()
            assert connection.closed.done()
            assert time.monotonic() - begin_s < 1.0
            done.set()

    run(test())


def test_nothing_is_handed_on_after_the_end_was_decided() -> None:
    async def test() -> None:
        client = Client()

        async def handle(
            reader: asyncio.StreamReader, writer: asyncio.StreamWriter
        ) -> None:
            await open_stream(reader, writer)
            while True:
                writer.write(frame(TEXT, b"x") * 100)
                await writer.drain()
                await asyncio.sleep(0)

        async with serve(handle) as port:
            connection = await client.open(f"ws://127.0.0.1:{port}/ws")
            await wait_until_async(lambda: client.frames, WAIT_S)
            ending = asyncio.ensure_future(connection.end())
            await asyncio.sleep(0)
            count = len(client.frames)
            await ending
            assert len(client.frames) == count

    run(test())


# --- Writing ------------------------------------------------------------------------


def test_ping_of_the_session_and_pong_of_the_protocol_are_on_the_wire() -> None:
    async def test() -> None:
        received: list[tuple[int, bytes]] = []

        async def handle(
            reader: asyncio.StreamReader, writer: asyncio.StreamWriter
        ) -> None:
            await open_stream(reader, writer, frame(PING, b"are you there"))
            while True:
                received.append(await raw_server.read_frame(reader))

        async with serve(handle) as port:
            connection = await Client().open(f"ws://127.0.0.1:{port}/ws")
            assert connection.send_now('{"method":"ping"}')
            await wait_until_async(lambda: len(received) == 2, WAIT_S)
            await connection.end()
        assert set(received[:2]) == {
            (PONG, b"are you there"),
            (TEXT, b'{"method":"ping"}'),
        }

    run(test())


def test_pings_and_pongs_go_out_while_a_frame_is_only_half_there() -> None:
    async def test() -> None:
        received: list[tuple[int, bytes]] = []

        async def handle(
            reader: asyncio.StreamReader, writer: asyncio.StreamWriter
        ) -> None:
            half = header(TEXT, 3, fin=False) + b"abc" + frame(PING, b"1")
            await open_stream(reader, writer, half + header(CONT, 1_000) + b"de")
            while True:  # nothing more is ever sent
                received.append(await raw_server.read_frame(reader))

        async with serve(handle) as port:
            client = Client()
            connection = await client.open(f"ws://127.0.0.1:{port}/ws")
            for count in range(1, 4):
                assert connection.send_now(f"ping {count}")
                await wait_until_async(lambda n=count: len(received) > n, WAIT_S)  # type: ignore[misc]
            await connection.end()
            assert client.frames == []
        assert received[0] == (PONG, b"1")
        assert received[1:4] == [(TEXT, f"ping {n}".encode()) for n in (1, 2, 3)]

    run(test())


def test_write_to_a_peer_that_reads_nothing_is_refused_not_waited_for() -> None:
    async def test() -> None:
        done = asyncio.Event()

        async def handle(
            reader: asyncio.StreamReader, writer: asyncio.StreamWriter
        ) -> None:
            await open_stream(reader, writer)
            writer.transport.pause_reading()  # type: ignore[attr-defined]
            await done.wait()

        async with serve(handle) as port:
            connection = await Client().open(f"ws://127.0.0.1:{port}/ws")
            text = "x" * 100_000
            sent = 0
            while connection.send_now(text):
                sent += 1
                assert sent < 1_000
            await connection.end()
            assert not connection.send_now(text)
            done.set()

    run(test())
