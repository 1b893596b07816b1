"""A TCP proxy between a client and a simulated venue, which hurts what passes it.

    client ══ up ══▶ proxy ══▶ server
           ◀═ down ══       ◀══

Owns one listening port and what happens to the bytes of its connections: delay,
jitter, a rate limit, slices, a direction that is held, a link that is half open,
an end by reset or FIN, a port that refuses and one that swallows every SYN. It never
reads what it passes on: whatever speaks TCP may stand behind it.

Held bytes are kept, up to what the sockets and a short queue take, and go on once they
are let go: a link that was away does not lose the middle of a stream.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct
from collections.abc import Iterable
from dataclasses import dataclass

LOOPBACK = "127.0.0.1"
UP, DOWN = "up", "down"
BOTH = (UP, DOWN)
CHUNK_BYTES = 65_536
QUEUE_CHUNKS = 64  # a held direction keeps so many, the sockets the rest
TICKS_PER_S = 50  # a rate limit passes on so many pieces a second
FILLERS = 8  # connections that fill a queue nobody accepts from

_RESET = struct.pack("ii", 1, 0)


@dataclass
class Weather:
    """What happens to bytes on their way; all zero passes them on at once."""

    delay_s: float = 0.0
    jitter_s: float = 0.0  # added at random; the order of bytes is kept
    rate_bytes_s: float = 0.0
    slice_bytes: int = 0


class _Link:
    """One connection and its other half."""

    def __init__(self, proxy: FaultProxy, client: asyncio.StreamWriter) -> None:
        self._proxy = proxy
        self._client = client
        self._server: asyncio.StreamWriter | None = None

    async def run(self, reader: asyncio.StreamReader, port: int) -> None:
        """Pass on in both directions until both have ended, or it is cut."""
        try:
            server_reader, self._server = await asyncio.open_connection(LOOPBACK, port)
        except OSError:
            self.cut("rst")
            return
        ways = (
            self._pass_on(UP, reader, self._server),
            self._pass_on(DOWN, server_reader, self._client),
        )
        tasks = [asyncio.ensure_future(way) for way in ways]
        try:
            await asyncio.gather(*tasks)
        except OSError:
            self.cut("rst")
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self.cut("fin")

    def cut(self, how: str) -> None:
        """End both halves by `rst` or `fin`; whatever is on its way is lost."""
        for writer in filter(None, (self._client, self._server)):
            sock = writer.get_extra_info("socket")
            with contextlib.suppress(OSError):
                if how == "rst" and sock is not None:
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                    writer.transport.abort()
                else:
                    writer.close()

    async def _pass_on(
        self, way: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(QUEUE_CHUNKS)
        filling = asyncio.ensure_future(self._fill(way, reader, queue))
        try:
            while True:
                due_s, data = await queue.get()
                await _sleep_until(due_s)
                await self._proxy.wait_free(way)
                if not data:
                    break
                await self._send(way, writer, data)
            await filling  # raises what ended it
            with contextlib.suppress(OSError, RuntimeError):
                writer.write_eof()
        finally:
            filling.cancel()

    async def _fill(
        self,
        way: str,
        reader: asyncio.StreamReader,
        queue: asyncio.Queue[tuple[float, bytes]],
    ) -> None:
        """Put what comes into the queue with its time; nothing stands for the end."""
        last_s = 0.0
        data = b"."
        while data:
            try:
                data = await reader.read(CHUNK_BYTES)
            except OSError:
                await queue.put((0.0, b""))
                raise
            # Jitter delays what follows rather than overtaking it.
            last_s = max(last_s, self._proxy.due_s(way))
            await queue.put((last_s, data))

    async def _send(self, way: str, writer: asyncio.StreamWriter, data: bytes) -> None:
        start = 0
        while start < len(data):
            weather = self._proxy.weather[way]
            rate, most = weather.rate_bytes_s, weather.slice_bytes or len(data)
            if rate:
                most = min(most, max(1, int(rate / TICKS_PER_S)))
            piece = data[start : start + most]
            start += len(piece)
            await self._proxy.wait_free(way)
            writer.write(piece)
            await writer.drain()
            self._proxy.bytes_passed[way] += len(piece)
            if rate:
                await asyncio.sleep(len(piece) / rate)


class FaultProxy:
    """One port before one server, on the loop that runs it; an async context."""

    def __init__(self, server_port: int, seed: int = 7) -> None:
        self.port = 0
        self.weather = {UP: Weather(), DOWN: Weather()}
        self.connections = 0  # ever accepted
        self.bytes_passed = {UP: 0, DOWN: 0}
        self._server_port = server_port
        self._random = random.Random(seed)
        self._links: dict[_Link, asyncio.Task[None]] = {}
        self._free = {UP: asyncio.Event(), DOWN: asyncio.Event()}
        # The port is ours also while nobody listens on it.
        self._holder: socket.socket | None = None
        self._server: asyncio.Server | None = None
        self._swallowing: list[socket.socket] = []

    async def start(self) -> int:
        """Listen on a free port and return it."""
        self._holder = _bound(0)
        self.port = int(self._holder.getsockname()[1])
        for event in self._free.values():
            event.set()
        await self._listen()
        return self.port

    async def stop(self) -> None:
        """End every connection and let go of the port."""
        await self._close_door()
        self.cut("rst")
        tasks = list(self._links.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._holder is not None:
            self._holder.close()

    async def __aenter__(self) -> FaultProxy:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    # --- Faults ---------------------------------------------------------------------

    def set_weather(self, weather: Weather, ways: Iterable[str] = BOTH) -> None:
        """Delay, slow down or slice what passes from now on."""
        for way in ways:
            self.weather[way] = weather

    def hold(self, ways: Iterable[str] = BOTH) -> None:
        """Let nothing through, not even an end: one way mute, both ways half open."""
        for way in ways:
            self._free[way].clear()

    def cut(self, how: str = "rst") -> None:
        """End every connection by `rst` or `fin`; new ones are accepted."""
        for link in tuple(self._links):
            link.cut(how)

    async def refuse(self) -> None:
        """Refuse new connections; those that are stay."""
        await self._close_door()

    async def swallow(self) -> None:
        """Answer no SYN: the queue of those who knock is full and stays full."""
        await self._close_door()
        listener = _bound(self.port)
        listener.listen(0)
        self._swallowing.append(listener)
        for _ in range(FILLERS):
            filler = socket.socket()
            filler.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                filler.connect((LOOPBACK, self.port))
            self._swallowing.append(filler)

    async def clear(self) -> None:
        """End every fault; what was held goes on."""
        self.set_weather(Weather())
        for event in self._free.values():
            event.set()
        if self._server is None:
            await self._close_door()
            await self._listen()

    # --- Asked by links -------------------------------------------------------------

    def due_s(self, way: str) -> float:
        """Return when bytes that come now may leave, by the loop's clock."""
        weather = self.weather[way]
        jitter_s = weather.jitter_s * self._random.random()
        return asyncio.get_running_loop().time() + weather.delay_s + jitter_s

    async def wait_free(self, way: str) -> None:
        """Wait while that way is held."""
        await self._free[way].wait()

    # --- The door -------------------------------------------------------------------

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(
            self._accept, sock=_bound(self.port), backlog=128
        )

    async def _close_door(self) -> None:
        for one in self._swallowing:
            one.close()
        self._swallowing.clear()
        if self._server is not None:
            self._server.close()  # connections stay; `wait_closed` would wait for them
            self._server = None

    async def _accept(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.connections += 1
        link = _Link(self, writer)
        task = asyncio.current_task()
        assert task is not None
        self._links[link] = task
        # Cancelled by `stop` alone, which waits for it.
        with contextlib.suppress(asyncio.CancelledError):
            await link.run(reader, self._server_port)
        del self._links[link]


def _bound(port: int) -> socket.socket:
    bound = socket.socket()
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    bound.bind((LOOPBACK, port))
    bound.setblocking(False)
    return bound


async def _sleep_until(due_s: float) -> None:
    wait_s = due_s - asyncio.get_running_loop().time()
    if wait_s > 0:
        await asyncio.sleep(wait_s)
