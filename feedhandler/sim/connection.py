"""One client's stream: a bounded queue of frames, faults on their way, and the cut.

Owns what may happen between a venue's frame and the socket. `offer` never waits, so a
slow client delays nobody; one that falls too far behind is cut and counted. The sender
also keeps the rule that a socket to which nothing is sent for long is closed, the
pinger that of protocol pings.
"""

from __future__ import annotations

import asyncio
import itertools
import math
import socket
import struct
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple

from aiohttp import web

from feedhandler.sim.clock import Clock
from feedhandler.sim.faults import FaultBoard
from feedhandler.sim.limits import FAREWELL_S, STOP_TIMEOUT_S, Limits
from feedhandler.sim.truth import Entry, Truth
from feedhandler.sim.venues._base import ACK, CUT, DATA, Ending, Frame, Session

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER: on, no time
_TEXT_FRAME = 0x81  # final frame, opcode text
GOING_AWAY = 1001


class Queued(NamedTuple):
    due_s: float
    frame: Frame


class Connection:
    """A stream that was accepted; made and run by the host."""

    def __init__(
        self,
        number: int,
        venue: str,
        stream: web.WebSocketResponse,
        transport: asyncio.Transport,
        session: Session,
        limits: Limits,
        board: FaultBoard,
        truth: Truth,
        clock: Clock,
        counters: Counter[str],
    ) -> None:
        self.number = number
        self.session = session
        self._venue = venue
        self._stream = stream
        self._transport = transport
        self._limits = limits
        self._board = board
        self._truth = truth
        self._clock = clock
        self._counters = counters
        # Frames on their way, oldest first.
        self._queue: deque[Queued] = deque()
        self._queue_bytes = 0
        self._held: Frame | None = None  # by the reorder fault
        self._garbage = _garbage()
        # The sender.
        self._wake = asyncio.Event()
        self._ending: Ending | None = None  # once the queue is empty
        self._sent_s = asyncio.get_running_loop().time()
        # The pinger.
        self._pinged_s: float | None = None  # our oldest ping without a pong

    @property
    def queue_frames(self) -> int:
        return len(self._queue)

    def offer(self, frame: Frame) -> None:
        """Queue a frame as the active faults have it; cut a client too far behind."""
        if self._ending is not None or self._transport.is_closing():
            return
        for shaped in self._shape(frame):
            self._queue_bytes += len(shaped.text)
            self._queue.append(Queued(self._due_s(shaped), shaped))
        if (
            len(self._queue) > self._limits.queue_frames_max
            or self._queue_bytes > self._limits.queue_bytes_max
        ):
            self._counters["overflows"] += 1
            self._discard_queue()
            self.cut("rst")
        self._wake.set()

    def cut(self, how: str, code: int = 1000) -> None:
        """End the connection: `rst`, `fin`, `mid` (amid a frame) or `close`."""
        if how == "close":
            self._discard_queue()
            self.end(Ending(code))
            return
        if self._transport.is_closing():
            return
        if how == "mid":
            self._transport.write(_half_frame())
        if how == "rst":
            reset(self._transport)
        else:
            self._transport.close()

    def end(self, ending: Ending) -> None:
        """Close so when what is queued was sent; the first ending stands."""
        if self._ending is None:
            self._ending = ending
            loop = asyncio.get_running_loop()
            loop.call_later(FAREWELL_S, self._transport.abort)
            self._wake.set()

    def on_pong(self) -> None:
        self._pinged_s = None

    async def close(self) -> None:
        """Say goodbye politely and shortly, then close."""
        with suppress(TimeoutError, ConnectionError):
            async with asyncio.timeout(STOP_TIMEOUT_S):
                await self._stream.close(code=GOING_AWAY)
        self._transport.abort()

    async def send_forever(self) -> None:
        """Send queued frames at their time until the connection ends."""
        loop = asyncio.get_running_loop()
        while not self._transport.is_closing():
            now_s = loop.time()
            head = self._queue[0] if self._queue else None
            if head is not None and head.due_s <= now_s:
                self._queue.popleft()
                self._queue_bytes -= len(head.frame.text)
                await self._send(head.frame)
                self._sent_s = loop.time()
                continue
            if head is None and self._ending is not None:
                await self._say_goodbye(self._ending)
                return
            silent_s = self._sent_s + self._limits.silence_s
            if now_s >= silent_s:
                self._counters["closed_silent"] += 1
                self.cut("close")
                continue
            until_s = silent_s if head is None else min(silent_s, head.due_s)
            self._wake.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout_at(until_s):
                    await self._wake.wait()

    async def ping_forever(self, no_pong: Ending) -> None:
        """Ping if the venue does, and end the session if a pong is late."""
        ping_s, pong_s = self._limits.ping_s, self._limits.pong_s
        loop = asyncio.get_running_loop()
        due_s = loop.time() + ping_s
        while ping_s and not self._transport.is_closing():
            now_s, late_s = loop.time(), math.inf
            if self._pinged_s is not None:
                late_s = self._pinged_s + pong_s
            if now_s >= late_s:
                self._counters["closed_unanswered"] += 1
                self.end(no_pong)
                return
            if now_s < due_s:
                await asyncio.sleep(min(due_s, late_s) - now_s)
                continue
            due_s = now_s + ping_s
            if self._pinged_s is None:
                self._pinged_s = now_s
            with suppress(TimeoutError):  # of a socket that takes nothing
                async with asyncio.timeout_at(self._pinged_s + pong_s):
                    await self._stream.ping()

    async def _say_goodbye(self, ending: Ending) -> None:
        if ending.code == CUT:
            self._transport.close()
        else:
            message = ending.reason.encode()
            await self._stream.close(code=ending.code, message=message)

    def _discard_queue(self) -> None:
        self._queue.clear()
        self._queue_bytes = 0

    async def _send(self, frame: Frame) -> None:
        if frame.top is not None:
            self._truth.add(
                Entry(
                    venue=self._venue,
                    symbol=frame.symbol,
                    channel=frame.channel,
                    connection=self.number,
                    sent_ns=self._clock.monotonic_ns(),
                    top=frame.top,
                )
            )
        self._counters["frames"] += 1
        if isinstance(frame.text, str):
            await self._stream.send_str(frame.text)
        else:
            await self._stream.send_bytes(frame.text)

    def _shape(self, frame: Frame) -> list[Frame]:
        """What becomes of a frame under the active faults."""
        find = self._board.find
        if frame.kind == ACK and find("never_ack"):
            return []
        if frame.kind != DATA:
            return [frame]
        place = frame.channel, frame.symbol
        if find("mute", *place):
            return []
        if find("garbage", *place):
            frame = next(self._garbage)._replace(
                channel=frame.channel, symbol=frame.symbol
            )
        shaped = [frame, frame] if find("duplicate", *place) else [frame]
        if self._held is not None:
            held, self._held = self._held, None
            return [*shaped, held] if find("reorder") else [held, *shaped]
        if find("reorder"):
            self._held = frame
            return shaped[1:]
        return shaped

    def _due_s(self, frame: Frame) -> float:
        delay = self._board.find("delay") if frame.kind == DATA else None
        now_s = asyncio.get_running_loop().time()
        return now_s if delay is None else now_s + delay.number("ms") / 1000


def reset(transport: asyncio.Transport) -> None:
    """Close with a TCP reset."""
    raw = transport.get_extra_info("socket")
    if raw is not None:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    transport.abort()


def _half_frame() -> bytes:
    """A text frame that says it is twice as long as what follows."""
    payload = b'{"channel":"cut","data":{"time":1'
    return bytes((_TEXT_FRAME, 2 * len(payload))) + payload


def _garbage() -> Iterator[Frame]:
    """Frames that no decoder may accept, in turn."""
    texts: tuple[str | bytes, ...] = (
        "garbage, not JSON",
        '{"channel":"bbo","data":{"coin":"BTC","time":17',
        "",
        "null",
        "[]",
        '{"channel":"bbo"}',
        '{"channel":"bbo","data":null}',
        '{"channel":"bbo","data":{"coin":"BTC","time":"now","bbo":[1,2]}}',
        '{"channel":"l2Book","data":{"coin":"BTC","levels":[[{"px":"NaN"}],[]]}}',
        '{"channel":"bbo","data":{"coin":"BTC","time":1,"bbo":[{"px":"1e999"},[]]}}',
        '{"channel":"trades","data":[{"coin":7}]}',
        "[" * 5000,
        b"\x00\xff\xfe binary",
        '{"channel":"\\ud800","data":' + "9" * 400 + "}",
    )
    return (Frame(text, DATA) for text in itertools.cycle(texts))
