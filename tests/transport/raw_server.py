"""A server that says exactly what a test tells it to, byte by byte."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

CONT = 0x0
TEXT = 0x1
BINARY = 0x2
CLOSE = 0x8
PING = 0x9
PONG = 0xA
_ENDS = (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError)
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


@contextlib.asynccontextmanager
async def serve(
    handler: Handler, context: ssl.SSLContext | None = None
) -> AsyncIterator[int]:
    """Listen on loopback with that handler; yield the port."""
    tasks: set[asyncio.Task[None]] = set()

    async def guarded(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            with contextlib.suppress(*_ENDS):
                await handler(reader, writer)
        finally:
            tasks.discard(task)
            writer.transport.abort()

    server = await asyncio.start_server(guarded, "127.0.0.1", 0, ssl=context)
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        server.close()
        for task in tuple(tasks):
            task.cancel()
        await asyncio.gather(*tuple(tasks), return_exceptions=True)


async def read_request(reader: asyncio.StreamReader) -> bytes:
    """Read the upgrade request's head."""
    return await reader.readuntil(b"\r\n\r\n")


def accept(request: bytes) -> bytes:
    """Return the answer that accepts an upgrade."""
    key = next(
        line.partition(b":")[2].strip()
        for line in request.splitlines()
        if line.lower().startswith(b"sec-websocket-key:")
    )
    token = base64.b64encode(hashlib.sha1(key + _GUID).digest())
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
        b"Connection: Upgrade\r\nSec-WebSocket-Accept: " + token + b"\r\n\r\n"
    )


async def open_stream(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, first: bytes = b""
) -> None:
    """Accept the upgrade; `first` goes out in the same packet."""
    writer.write(accept(await read_request(reader)) + first)
    await writer.drain()


def frame(opcode: int, payload: bytes = b"", *, fin: bool = True) -> bytes:
    """Return one unmasked frame."""
    return header(opcode, len(payload), fin=fin) + payload


def header(opcode: int, length: int, *, fin: bool = True) -> bytes:
    """Return a frame's header alone, whatever it claims."""
    first = (0x80 if fin else 0) | opcode
    if length < 126:
        return struct.pack("!BB", first, length)
    if length < 1 << 16:
        return struct.pack("!BBH", first, 126, length)
    return struct.pack("!BBQ", first, 127, length)


async def read_frame(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """Read one masked frame of a client: its opcode and its payload."""
    head = await reader.readexactly(2)
    length = head[1] & 0x7F
    if length == 126:
        (length,) = struct.unpack("!H", await reader.readexactly(2))
    mask = await reader.readexactly(4)
    payload = await reader.readexactly(length)
    plain = bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))
    return head[0] & 0x0F, plain


def reset(writer: asyncio.StreamWriter) -> None:
    """End a connection with RST instead of FIN."""
    raw: socket.socket = writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
