"""One WebSocket connection: frames handed on as they arrive, every wait bounded.

Owns the socket, TLS, the handshake and the way a connection ends. A frame goes from the
event loop's read callback straight to `on_frame`, in the same turn, with the time its
bytes left the socket; there is no queue, so nothing can wait in one. What a frame
means, and when to ping, is not known here.

websockets parses the frames. `process_event` is its inner override point: the version
is bounded in pyproject.toml, and the tests of this module notice when it changes.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import monotonic_ns
from typing import Any, Final

from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as _connect
from websockets.client import ClientProtocol
from websockets.datastructures import Headers
from websockets.exceptions import InvalidHandshake, InvalidStatus, InvalidURI
from websockets.frames import BINARY, CONT, DATA_OPCODES, TEXT, CloseCode, Frame
from websockets.protocol import OPEN, Event

from feedhandler.transport.address import check_address
from feedhandler.transport.errors import ERROR_BYTES, TransportError, status_error
from feedhandler.transport.headers import request_headers

FRAGMENTS_MAX: Final = 1_024  # of one message
WRITE_BYTES_MAX: Final = 256 * 1024  # unsent; a peer that reads nothing is not healthy
CLOSE_TIMEOUT_S: Final = 0.5
EYEBALLS_DELAY_S: Final = (
    0.25  # until the host's next address is tried beside the first
)

# (payload, monotonic time when its bytes left the socket); must not raise.
OnFrame = Callable[[bytearray | bytes, int], None]

_logger = logging.getLogger("feedhandler.websocket")
_logger.addHandler(logging.NullHandler())
_logger.propagate = False


@dataclass(frozen=True, slots=True)
class Closed:
    """How a connection ended: its label, in words, and the close code if any."""

    label: str
    detail: str
    code: int = 0


class Connection(ClientConnection):
    """An open connection; `connect` makes it."""

    def __init__(
        self, protocol: ClientProtocol, *, on_frame: OnFrame, **options: Any
    ) -> None:
        super().__init__(protocol, **options)
        self._on_frame = on_frame

        # Reading.
        self.recv_ns = monotonic_ns()  # when the newest bytes left the socket
        self._is_deaf = False  # what still arrives is of a connection given up
        self._fragments: list[bytes | bytearray] = []
        self._is_text = False

        # The end.
        self.closed: asyncio.Future[Closed] = self.loop.create_future()
        self._abort_timer: asyncio.TimerHandle | None = None

    # --- Reading --------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Take the time once, then let every frame in these bytes be handled."""
        self.recv_ns = monotonic_ns()
        super().data_received(data)
        if self.protocol.state is not OPEN and self.response is not None:
            self._abort_soon()
        elif self.transport.get_write_buffer_size() > WRITE_BYTES_MAX:
            # Answers to pings pile up at a peer that sends but does not read.
            self.transport.abort()

    def process_event(self, event: Event) -> None:
        """Hand a data frame on at once; the protocol has answered control frames."""
        if self.response is None or not isinstance(event, Frame):
            super().process_event(event)
            return
        opcode = event.opcode
        if self._is_deaf or opcode not in DATA_OPCODES:
            return
        if opcode is CONT or not event.fin:
            self._take_fragment(event)
            return
        payload = event.data
        assert not isinstance(payload, memoryview)  # only frames to be sent have one
        if opcode is BINARY or payload.isascii() or self._is_utf8(payload):
            self._on_frame(payload, self.recv_ns)

    def _take_fragment(self, frame: Frame) -> None:
        """Collect a message's parts; the protocol holds their sum below the limit."""
        if frame.opcode is not CONT:
            self._is_text = frame.opcode is TEXT
        self._fragments.append(bytes(frame.data))
        if len(self._fragments) > FRAGMENTS_MAX:
            self._fail(CloseCode.MESSAGE_TOO_BIG, "too many fragments")
        elif frame.fin:
            payload = b"".join(self._fragments)
            self._fragments.clear()
            if not self._is_text or payload.isascii() or self._is_utf8(payload):
                self._on_frame(payload, self.recv_ns)

    def _is_utf8(self, payload: bytes | bytearray) -> bool:
        try:
            payload.decode()
        except UnicodeDecodeError as error:
            self._fail(CloseCode.INVALID_DATA, f"{error.reason} at {error.start}")
            return False
        return True

    def _fail(self, code: CloseCode, reason: str) -> None:
        """End a connection whose peer broke the protocol."""
        self._is_deaf = True
        self._fragments.clear()
        self.protocol.fail(code, reason)
        self.send_data()
        self._abort_soon()

    # --- Writing and ending ---------------------------------------------------------

    @property
    def is_ending(self) -> bool:
        """Whether nothing can be written any more because the end has begun."""
        return self.protocol.state is not OPEN or self.transport.is_closing()

    def send_now(self, text: str) -> bool:
        """Write a text frame without waiting; False when it cannot be written."""
        if self.is_ending:
            return False
        if self.transport.get_write_buffer_size() > WRITE_BYTES_MAX:
            return False
        self.protocol.send_text(text.encode())
        try:
            self.send_data()
        except (OSError, RuntimeError):
            return False
        return True

    async def end(self) -> None:
        """Close within a second, whatever the peer does; nothing is handed on after."""
        self._is_deaf = True
        if not self.is_ending:
            self.protocol.send_close(CloseCode.NORMAL_CLOSURE)
            self.send_data()
        self._abort_soon()
        await asyncio.wait([self.closed], timeout=2 * CLOSE_TIMEOUT_S)

    def connection_lost(self, exc: Exception | None) -> None:
        """Say how it ended, once."""
        super().connection_lost(exc)
        if self._abort_timer is not None:
            self._abort_timer.cancel()
        if not self.closed.done():
            self.closed.set_result(self._how_closed(exc))

    def _how_closed(self, error: Exception | None) -> Closed:
        protocol = self.protocol
        if (close := protocol.close_rcvd) is not None:
            return Closed("ws_closed", f"by=peer {close}", int(close.code))
        if (close := protocol.close_sent) is not None:
            return Closed("ws_closed", f"by=us {close}", int(close.code))
        cause = error or protocol.parser_exc
        return Closed("stream_end", f"{type(cause).__name__}: {cause}")

    def _abort_soon(self) -> None:
        """Cut the connection if its peer does not end it in time."""
        if self._abort_timer is None and not self.closed.done():
            self._abort_timer = self.loop.call_later(
                CLOSE_TIMEOUT_S, self.transport.abort
            )


class _Connect(_connect):
    """websockets' connect without redirects: a venue's address is configured."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


async def connect(
    url: str,
    on_frame: OnFrame,
    *,
    frame_bytes_max: int,
    open_timeout_s: float,
    headers: Mapping[str, str] | None = None,
    is_insecure_allowed: bool = False,
) -> Connection:
    """Open a connection; raise `TransportError` with the label of what went wrong.

    Frames that arrive with the handshake's answer are handed on before this returns.
    No proxy, no compression, no keepalive of the library's own: the session pings.
    `headers` are sent beside our User-Agent.
    """
    check_address(url, "wss", is_insecure_allowed=is_insecure_allowed)
    sent = request_headers(headers)
    try:
        connection = await _Connect(
            url,
            create_connection=functools.partial(Connection, on_frame=on_frame),  # type: ignore[arg-type]
            additional_headers=sent,
            user_agent_header=None,  # it is one of ours
            compression=None,
            proxy=None,
            open_timeout=open_timeout_s,
            ping_interval=None,
            close_timeout=CLOSE_TIMEOUT_S,
            max_size=frame_bytes_max,
            logger=_logger,
            **_loop_options(url),
        )
    except TimeoutError as error:
        text = f"not open within {open_timeout_s:g} s"
        raise TransportError("connect_timeout", text) from error
    except ssl.SSLError as error:
        raise TransportError("tls_error", str(error)) from error
    except InvalidStatus as error:
        answer = error.response
        status = answer.status_code
        text = f"the upgrade was answered with status={status}"
        header = functools.partial(_first, answer.headers)
        body = bytes((answer.body or b"")[:ERROR_BYTES])
        raise status_error(text, status, header, body) from error
    except (OSError, InvalidHandshake, InvalidURI, EOFError) as error:
        text = f"{type(error).__name__}: {error}"
        raise TransportError("connect_error", text) from error
    assert isinstance(connection, Connection)
    return connection


def _first(headers: Headers, name: str) -> str | None:
    """Return a header's first value; the library's own `get` raises for a second."""
    return next(iter(headers.get_all(name)), None)


def _loop_options(url: str) -> dict[str, Any]:
    """Return what the event loop must know to open a socket to that address."""
    options: dict[str, Any] = {}
    if url.startswith("wss:"):
        options["ssl"] = _tls()
    if isinstance(asyncio.get_running_loop(), asyncio.BaseEventLoop):
        options["happy_eyeballs_delay"] = EYEBALLS_DELAY_S  # uvloop has its own way
    return options


@functools.cache
def _tls() -> ssl.SSLContext:
    """Return the one TLS context: verified, host name checked, 1.2 at least."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
