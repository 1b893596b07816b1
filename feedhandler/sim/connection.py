"""One client's stream: a bounded queue of frames, faults on their way, and the cut.

Owns what may happen between a venue's frame and the socket. `offer` never waits, so a
slow client delays nobody; one that falls too far behind is cut and counted. The sender
also keeps the rules that a socket to which nothing is sent for long is closed, and that
none lives for ever; the pinger keeps that of protocol pings.
"""

from __future__ import annotations

import asyncio
import math
import socket
import struct
from collections import Counter, deque
from contextlib import suppress
from typing import Any, NamedTuple

from aiohttp import web

from feedhandler.sim.garbage import garbage
from feedhandler.sim.limits import FAREWELL_S, STOP_TIMEOUT_S
from feedhandler.sim.truth import Entry, Note, Truth
from feedhandler.sim.venues._base import ACK, CUT, DATA, Ending, Frame, Session, Venue

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER: on, no time
_TEXT_FRAME, _BINARY_FRAME = 0x81, 0x82  # final frame, and its opcode
_LENGTH_IN_2, _LENGTH_SHORT_MAX = 126, 125
_LENGTH_MAX = 0xFFFF
_NEVER_SENT = Frame('{"type":"cut"}', DATA)
GOING_AWAY = 1001


class Queued(NamedTuple):
    due_s: float
    frame: Frame


class Connection:
    """A stream that was accepted; made and run by the host."""

    def __init__(
        self,
        number: int,
        venue: Venue[Any],
        stream: web.WebSocketResponse,
        transport: asyncio.Transport,
        session: Session,
        truth: Truth,
        counters: Counter[str],
    ) -> None:
        self.number = number
        self.session = session
        self._venue = venue
        self._stream = stream
        self._transport = transport
        self._limits = venue.allowed
        self._board = venue.board
        self._truth = truth
        self._counters = counters
        # Frames on their way, oldest first.
        self._queue: deque[Queued] = deque()
        self._queue_bytes = 0
        self._held: Frame | None = None  # by the reorder fault
        self._ways = garbage()
        self._newest = _NEVER_SENT  # of the data
        # The sender.
        self._wake = asyncio.Event()
        self._ending: Ending | None = None  # once the queue is empty
        self._started_s = self._sent_s = asyncio.get_running_loop().time()
        # The pinger.
        self._pinged_s: float | None = None  # our oldest ping without a pong

    @property
    def is_silent(self) -> bool:
        """True while a fault lets nothing out, not even a pong."""
        return any(
            fault.kind == "mute" and fault.word("what") == "all"
            for fault in self._board.active()
        )

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
            self._transport.write(_half_frame(self._newest.text))
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

    def look(self) -> None:
        """Let the sender see what a fault has changed."""
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
            if self._ending is None:
                over_s = self._started_s + self._life_s()
                if now_s >= over_s:
                    self._counters["closed_old"] += 1
                    self.session.end(self._venue.over)
                    self.end(self._venue.over)
                    continue
                until_s = min(until_s, over_s)
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
            if self.is_silent:
                continue
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

    def _life_s(self) -> float:
        fault = self._board.find("life")
        most_s = self._limits.life_s
        return most_s if fault is None else min(most_s, fault.number("seconds"))

    async def _send(self, frame: Frame) -> None:
        self._tell_truth(frame)
        if frame.kind == DATA:
            self._newest = frame
        self._counters["frames"] += 1
        if isinstance(frame.text, str):
            await self._stream.send_str(frame.text)
        else:
            await self._stream.send_bytes(frame.text)

    def _tell_truth(self, frame: Frame) -> None:
        sent_ns, name = self._venue.clock.monotonic_ns(), self._venue.name
        channel, number = frame.channel, self.number
        if frame.top is not None:
            self._truth.add(
                Entry(name, frame.symbol, channel, number, sent_ns, frame.top)
            )
        for fact in frame.facts:
            self._truth.note(Note(name, channel, number, sent_ns, fact))

    def _shape(self, frame: Frame) -> list[Frame]:
        """What becomes of a frame under the active faults."""
        find = self._board.find
        if self.is_silent or (frame.kind == ACK and find("never_ack")):
            return []
        if frame.kind != DATA:
            return [frame]
        place = frame.channel, frame.symbol
        if self._venue.is_muted(*place):
            return []
        if find("garbage", *place):
            spoil = next(self._ways)
            frame = frame._replace(text=spoil(frame.text), top=None, facts=())
        shaped = [frame, frame] if find("duplicate", *place) else [frame]
        is_swapped = find("reorder", *place) is not None
        if self._held is not None and (is_swapped or not find("reorder")):
            held, self._held = self._held, None
            return (
                [*shaped, held.falsified("reorder")] if is_swapped else [held, *shaped]
            )
        if is_swapped:
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


def _half_frame(text: str | bytes) -> bytes:
    """A frame that says it is twice as long as what follows."""
    is_text = isinstance(text, str)
    payload = text.encode() if isinstance(text, str) else text
    payload = payload[: min(len(payload), _LENGTH_MAX) // 2]
    size = 2 * len(payload)
    head = bytes((_TEXT_FRAME if is_text else _BINARY_FRAME,))
    if size <= _LENGTH_SHORT_MAX:
        return head + bytes((size,)) + payload
    return head + struct.pack(">BH", _LENGTH_IN_2, size) + payload
