"""The server of one simulated venue: its streams and its REST on one loopback port.

Owns the listening socket, the connections and the effects of faults on them. What is
said on a connection is the venue's, when the market moves is the simulation's.
"""

from __future__ import annotations

import asyncio
import itertools
import socket
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from aiohttp import WSMsgType, web

from feedhandler.sim.connection import Connection, reset
from feedhandler.sim.faults import KINDS, Fault
from feedhandler.sim.limits import HANG_LOOK_S, STOP_TIMEOUT_S, Budget
from feedhandler.sim.market import Event
from feedhandler.sim.truth import REST, Entry, Truth
from feedhandler.sim.venues._base import Push, Request, Response, Venue

LOOPBACK = "127.0.0.1"
BACKLOG = 128


class Address(NamedTuple):
    """Where a client finds a simulated venue."""

    venue: str
    ws_url: str
    rest_url: str


class Notice(NamedTuple):
    """Something a user of the simulator may want to see."""

    venue: str
    what: str
    detail: str


class Host:
    """One venue on one port; made, started and stopped by the simulation."""

    def __init__(
        self,
        venue: Venue[Any],
        truth: Truth,
        counters: Counter[str],
        notify: Callable[[Notice], None],
        fail: Callable[[BaseException], None],
        numbers: Iterator[int] | None = None,
    ) -> None:
        self.venue = venue
        self.board = venue.board
        self.connections: set[Connection] = set()
        self.talked = asyncio.Event()  # set whenever a client said something
        self._truth = truth
        self._counters = counters
        self._notify = notify
        self._fail = fail
        self._numbers = numbers or itertools.count(1)
        self._connects = Budget(venue.allowed.connects_per_minute)
        self._runner: web.AppRunner | None = None
        # The port, which is ours also while nobody listens.
        self._port = 0
        self._holder: socket.socket | None = None
        self._site: web.SockSite | None = None
        self._door: asyncio.Task[None] | None = None  # opens or closes it

    @property
    def address(self) -> Address:
        at = f"{LOOPBACK}:{self._port}"
        venue = self.venue
        return Address(
            venue.name, f"ws://{at}{venue.stream_path}", f"http://{at}{venue.rest_path}"
        )

    async def start(self, port: int) -> None:
        """Listen; raises OSError if the port is taken."""
        limits = self.venue.allowed
        app = web.Application(client_max_size=limits.inbound_bytes_max)
        app.router.add_route("*", "/{path:.*}", self._handle)
        runner = web.AppRunner(
            app,
            handle_signals=False,
            access_log=None,
            shutdown_timeout=STOP_TIMEOUT_S,
        )
        try:
            self._holder = _bound(port, limits.socket_bytes)
            self._port = int(self._holder.getsockname()[1])
            await runner.setup()
            self._runner = runner
            await self._open_door()
        except BaseException:
            await self._let_go(runner)
            raise

    async def stop(self) -> None:
        await asyncio.gather(*(one.close() for one in tuple(self.connections)))
        if self._door is not None:
            await asyncio.gather(self._door, return_exceptions=True)
        if self._runner is not None:
            await self._let_go(self._runner)

    async def _let_go(self, runner: web.AppRunner) -> None:
        await runner.cleanup()
        if self._holder is not None:
            self._holder.close()

    async def _open_door(self) -> None:
        assert self._runner is not None
        listener = _bound(self._port, self.venue.allowed.socket_bytes)
        try:
            self._site = web.SockSite(self._runner, listener, backlog=BACKLOG)
            await self._site.start()
        except BaseException:
            self._site = None
            listener.close()
            raise

    async def _close_door(self) -> None:
        site, self._site = self._site, None
        if site is not None:
            await site.stop()

    async def _mind_door(self) -> None:
        """Listen or not, as the faults have it when we come to it."""
        while (is_closed := self._is_closed()) != (self._site is None):
            await (self._close_door() if is_closed else self._open_door())

    def _is_closed(self) -> bool:
        fault = self.board.find("refuse")
        return fault is not None and fault.word("how") == "closed"

    def deliver(self, pushes: Iterable[Push]) -> None:
        """Queue each frame for the connections that subscribed to its topic."""
        for push in pushes:
            for connection in tuple(self.connections):
                if push.topic in connection.session.topics:
                    connection.offer(push.frame)

    def close_ended(self) -> None:
        """Close the streams of the sessions that the venue has ended."""
        for connection in self.connections:
            if connection.session.ending is not None:
                connection.end(connection.session.ending)

    def on_event(self, event: Event) -> None:
        if not self.is_quiet:
            self.deliver(self.venue.on_event(event))

    # Faults.

    @property
    def is_quiet(self) -> bool:
        return self.board.find("quiet") is not None

    def start_fault(self, fault: Fault) -> None:
        self.board.add(fault)
        self._notify(Notice(self.venue.name, "fault started", str(fault)))
        if fault.kind == "drop":
            for connection in tuple(self.connections):
                self._drop(connection, fault)
        self._apply_faults()
        if KINDS[fault.kind].is_moment and fault.duration_s is None:
            self.end_fault(fault)

    def end_fault(self, fault: Fault) -> None:
        if self.board.remove(fault):
            self._notify(Notice(self.venue.name, "fault ended", str(fault)))
            self._apply_faults()

    def _apply_faults(self) -> None:
        """Give the venue what is active, and its clients what that changes."""
        find, venue = self.board.find, self.venue
        one_sided = find("emptied") or find("one_sided")
        never_ack = find("never_ack")
        slow_clock = find("slow_clock")
        venue.is_quiet = self.is_quiet
        venue.is_crossed = find("crossed") is not None
        venue.missing_side = one_sided.word("side") if one_sided else ""
        venue.is_deaf = never_ack is not None and never_ack.word("data") == "no"
        venue.time.lag_ms = int(slow_clock.number("ms")) if slow_clock else 0
        self.deliver(venue.refresh())
        for connection in self.connections:
            connection.look()
        is_idle = self._door is None or self._door.done()
        if is_idle and self._is_closed() != (self._site is None):
            self._door = asyncio.create_task(self._mind_door())
            self._door.add_done_callback(self._on_task_done)

    def _drop(self, connection: Connection, fault: Fault) -> None:
        self._counters["dropped"] += 1
        connection.cut(fault.word("how"), int(fault.number("code")))

    # Requests.

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        try:
            if request.headers.get("Upgrade", "").lower() == "websocket":
                return await self._handle_stream(request)
            return await self._handle_rest(request)
        except web.HTTPException:
            raise  # the client's doing
        except ConnectionError:
            return web.Response(status=503)  # it left meanwhile: goes nowhere
        except Exception as error:
            self._fail(error)
            raise

    def _on_task_done(self, task: asyncio.Task[None]) -> None:
        """Report a bug of ours, which must not look like a client that left."""
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, ConnectionError):
            self._fail(error)

    async def _handle_rest(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self._counters["rest_requests"] += 1
        slow, failing = self.board.find("slow_rest"), self._failure("rest")
        if slow is not None:
            await asyncio.sleep(slow.number("ms") / 1000)
        if failing is not None:
            return failing
        asked = Request(request.method, request.path, request.query, body)
        answer = self.venue.refusal(request.headers) or self.venue.rest(asked)
        told = self.venue.rest_top(asked) if answer.status == 200 else None
        if told is not None:
            sent_ns = self.venue.clock.monotonic_ns()
            self._truth.add(Entry(self.venue.name, told[0], REST, 0, sent_ns, told[1]))
        self.talked.set()
        return _http(answer)

    def _failure(self, place: str) -> web.Response | None:
        """The error that the `http` fault answers with on this kind of request."""
        fault = self.board.find("http")
        if fault is None or fault.word("on") not in (place, "both"):
            return None
        retry_s = int(fault.number("retry_after"))
        return web.Response(
            status=int(fault.number("status")),
            headers={"Retry-After": str(retry_s)} if retry_s else None,
            text="null",
            content_type="application/json",
        )

    async def _handle_stream(self, request: web.Request) -> web.StreamResponse:
        while self._is_hanging():
            await asyncio.sleep(HANG_LOOK_S)
            if request.transport is None:
                return web.Response(status=503)  # goes nowhere
        refusal = self._refusal(request)
        if refusal is not None:
            self._counters["refused"] += 1
            return refusal
        turned_away = self.venue.refusal(request.headers)
        session = turned_away or self.venue.open(request.path, request.query)
        if session is None:
            return web.Response(status=404)
        if isinstance(session, Response):
            self._counters["refused"] += 1
            return _http(session)
        limits = self.venue.allowed
        stream = web.WebSocketResponse(
            autoping=False,  # a venue may count pings, and miss a pong
            compress=False,
            max_msg_size=limits.inbound_bytes_max,
            timeout=STOP_TIMEOUT_S,
        )
        await stream.prepare(request)
        transport = request.transport
        if transport is None:
            return stream  # the client left while it was being accepted
        connection = Connection(
            number=next(self._numbers),
            venue=self.venue,
            stream=stream,
            transport=transport,
            session=session,
            truth=self._truth,
            counters=self._counters,
        )
        await self._serve(connection, stream)
        return stream

    def _is_hanging(self) -> bool:
        fault = self.board.find("refuse")
        return fault is not None and fault.word("how") == "hang"

    def _refusal(self, request: web.Request) -> web.Response | None:
        """Why a new stream is not accepted, or None."""
        fault = self.board.find("refuse")
        if fault is not None and fault.word("how") == "http":
            return web.Response(status=int(fault.number("status")))
        if fault is not None:
            if request.transport is not None:
                reset(request.transport)
            return web.Response(status=503)  # goes nowhere
        failing = self._failure("upgrade")
        if failing is not None:
            return failing
        limits = self.venue.allowed
        now_s = self.venue.clock.monotonic_s()
        if len(self.connections) >= limits.connections_max:
            return web.Response(status=429)
        if not self._connects.take(1, now_s):
            return web.Response(status=429)
        return None

    async def _serve(
        self, connection: Connection, stream: web.WebSocketResponse
    ) -> None:
        """Answer one client until it leaves, is cut or the simulation stops."""
        name, session = self.venue.name, connection.session
        self.connections.add(connection)
        self.venue.sessions.add(session)
        self._counters["connects"] += 1
        self._notify(Notice(name, "connected", f"connection={connection.number}"))
        tasks = [
            asyncio.create_task(connection.send_forever()),
            asyncio.create_task(connection.ping_forever(self.venue.no_pong)),
        ]
        for task in tasks:
            task.add_done_callback(self._on_task_done)
        try:
            for frame in self.venue.greet(session):
                connection.offer(frame)
            fault = self.board.find("drop")
            if fault is not None:
                self._drop(connection, fault)
            await self._listen(connection, stream)
        finally:
            self.connections.discard(connection)
            self.venue.sessions.discard(session)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            detail = f"connection={connection.number} code={stream.close_code}"
            self._notify(Notice(name, "disconnected", detail))

    async def _listen(
        self, connection: Connection, stream: web.WebSocketResponse
    ) -> None:
        session = connection.session
        async for message in stream:
            if message.type is WSMsgType.PING:
                if not connection.is_silent:
                    await stream.pong(message.data)
            elif message.type is WSMsgType.PONG:
                connection.on_pong()
            elif message.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
                break
            if session.ending is not None:
                continue
            if message.type in (WSMsgType.PING, WSMsgType.PONG):
                session.heard(self.venue.clock.monotonic_s())
            else:
                for frame in self.venue.receive(session, message.data):
                    connection.offer(frame)
            self.close_ended()
            self.talked.set()


def _bound(port: int, send_bytes: int) -> socket.socket:
    """A socket on this port; raises OSError if somebody else listens there."""
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Accepted sockets inherit it; the kernel shall not hide a slow client.
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_bytes)
        bound.bind((LOOPBACK, port))
    except BaseException:
        bound.close()
        raise
    return bound


def _http(answer: Response) -> web.Response:
    return web.Response(
        status=answer.status,
        text=answer.body,
        content_type=answer.content_type,
        headers=answer.headers,
    )
