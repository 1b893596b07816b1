"""Opening a connection: every way it can fail, each with its label, none unbounded."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from feedhandler.errors import UsageError
from feedhandler.identity import USER_AGENT
from feedhandler.transport import websocket
from feedhandler.transport.errors import TransportError
from feedhandler.transport.websocket import connect
from tests.support import MS, free_port
from tests.transport import raw_server
from tests.transport.raw_server import Handler, open_stream, serve

CERTIFICATES = Path(__file__).parent / "certificates"
WAIT_S = 5_000 * MS


async def open_and_end(url: str, **options: Any) -> None:
    limits = {"frame_bytes_max": 1 << 20, "open_timeout_s": WAIT_S, **options}
    connection = await connect(url, lambda payload, recv_ns: None, **limits)
    await connection.end()


def refusal(url: str, **options: Any) -> TransportError:
    """Connect in vain and return the error."""
    with pytest.raises(TransportError) as caught:
        asyncio.run(open_and_end(url, **options))
    return caught.value


def refusal_by(
    handler: Handler,
    host: str = "127.0.0.1",
    scheme: str = "ws",
    context: ssl.SSLContext | None = None,
    **options: Any,
) -> TransportError:
    """Connect in vain to a server with that handler and return the error."""

    async def test() -> TransportError:
        async with serve(handler, context) as port:
            with pytest.raises(TransportError) as caught:
                await open_and_end(f"{scheme}://{host}:{port}/ws", **options)
        return caught.value

    return asyncio.run(test())


def answers(text: bytes) -> Handler:
    """Return a handler that answers the upgrade with that text and ends."""

    async def handle(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await raw_server.read_request(reader)
        writer.write(text)
        await writer.drain()

    return handle


async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer one byte at a time, for ever."""
    while True:
        writer.write(b"H")
        await writer.drain()
        await asyncio.sleep(0.02)


async def accepting(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await open_stream(reader, writer)
    await reader.read()


def server_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATES / "certificate.pem", CERTIFICATES / "key.pem")
    return context


@pytest.fixture
def trusted(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let the test's certificate be trusted, as if it were in the system's store."""
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATES / "certificate.pem"))
    websocket._tls.cache_clear()
    yield
    websocket._tls.cache_clear()


def test_refused_port_is_a_connect_error() -> None:
    assert refusal(f"ws://127.0.0.1:{free_port()}/ws").label == "connect_error"


def test_unknown_host_is_a_connect_error() -> None:
    error = refusal("wss://nosuch.invalid/ws", open_timeout_s=20.0)
    assert error.label == "connect_error"


@pytest.mark.parametrize("handler", [mute, drip])
def test_handshake_that_never_ends_is_a_connect_timeout(handler: Handler) -> None:
    assert refusal_by(handler, open_timeout_s=0.2).label == "connect_timeout"


SWITCHING = b"HTTP/1.1 101 Switching Protocols\r\n"
WRONG_KEY = (
    SWITCHING + b"Upgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: wrong\r\n\r\n"
)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"garbage\r\n\r\n",
        SWITCHING + b"\r\n",
        WRONG_KEY,
        SWITCHING + b"X: y\r\n" * 1_000 + b"\r\n",
        SWITCHING + b"X: " + b"y" * 20_000 + b"\r\n\r\n",
    ],
)
def test_answer_that_is_no_upgrade_is_a_connect_error(text: bytes) -> None:
    assert refusal_by(answers(text)).label == "connect_error"


@pytest.mark.parametrize(
    ("status", "headers", "wait_s"),
    [
        (200, b"", 0),
        (401, b"", 0),
        (403, b"", 0),
        (429, b"Retry-After: 7\r\n", 7),
        (429, b"Retry-After: 1000000000\r\n", 300),
        (429, b"Retry-After: -1\r\n", 0),
        (503, b"Retry-After: soon\r\n", 0),
        (502, b"", 0),
        (429, b"Retry-After: 7\r\nRetry-After: 9\r\n", 7),
        (429, b"Date: x\r\nDate: y\r\n", 0),
    ],
)
def test_other_status_is_told_with_the_wait_it_asks_for(
    status: int, headers: bytes, wait_s: int
) -> None:
    head = b"HTTP/1.1 %d Reason\r\nContent-Length: 0\r\n" % status
    error = refusal_by(answers(head + headers + b"\r\n"))
    assert (error.label, error.status) == ("http_status", status)
    assert error.retry_after_s == wait_s


def test_ban_is_told_with_two_minutes_and_what_it_says() -> None:
    head = b"HTTP/1.1 418 Reason\r\nContent-Length: 6\r\n\r\nbanned"
    error = refusal_by(answers(head))
    assert (error.status, error.retry_after_s, error.body) == (418, 120, b"banned")


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        (None, f"User-Agent: {USER_AGENT}"),
        ({"Origin": "https://a.example"}, f"User-Agent: {USER_AGENT}"),
        ({"Origin": "https://a.example"}, "Origin: https://a.example"),
        ({"user-agent": "Mozilla/5.0 (X11)"}, "User-Agent: Mozilla/5.0 (X11)"),
    ],
)
def test_upgrade_says_who_we_are_once(
    headers: dict[str, str] | None, expected: str
) -> None:
    received: list[bytes] = []

    async def handle(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        received.append(await raw_server.read_request(reader))
        writer.write(raw_server.accept(received[0]))
        await reader.read()

    async def test() -> None:
        async with serve(handle) as port:
            await open_and_end(f"ws://127.0.0.1:{port}/ws", headers=headers)

    asyncio.run(test())
    lines = received[0].decode().split("\r\n")
    assert expected in lines
    assert sum(line.lower().startswith("user-agent:") for line in lines) == 1


def test_header_that_breaks_the_upgrade_is_refused_before_anything_is_sent() -> None:
    url = f"ws://127.0.0.1:{free_port()}/ws"
    with pytest.raises(UsageError):
        asyncio.run(open_and_end(url, headers={"Origin": "a\r\nX-Evil: 1"}))


def test_redirect_is_not_followed() -> None:
    reached: list[bytes] = []

    async def elsewhere(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        reached.append(await raw_server.read_request(reader))

    async def test() -> TransportError:
        async with serve(elsewhere) as port:
            location = f"Location: ws://127.0.0.1:{port}/ws\r\n".encode()
            head = b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\n"
            async with serve(answers(head + location + b"\r\n")) as first:
                with pytest.raises(TransportError) as caught:
                    await open_and_end(f"ws://127.0.0.1:{first}/ws")
        return caught.value

    error = asyncio.run(test())
    assert (error.label, error.status) == ("http_status", 302)
    assert reached == []


def test_proxy_of_the_environment_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")

    async def test() -> None:
        async with serve(accepting) as port:
            await open_and_end(f"ws://127.0.0.1:{port}/ws")

    asyncio.run(test())


def test_plain_address_elsewhere_is_refused_before_anything_is_sent() -> None:
    with pytest.raises(UsageError):
        asyncio.run(open_and_end("ws://example.invalid/ws"))


def test_certificate_nobody_trusts_is_a_tls_error() -> None:
    websocket._tls.cache_clear()
    error = refusal_by(accepting, "localhost", "wss", server_context())
    assert error.label == "tls_error"


def test_trusted_certificate_is_accepted(trusted: None) -> None:
    async def test() -> None:
        async with serve(accepting, server_context()) as port:
            await open_and_end(f"wss://localhost:{port}/ws")

    asyncio.run(test())


def test_certificate_of_another_host_is_a_tls_error(trusted: None) -> None:
    error = refusal_by(accepting, "127.0.0.1", "wss", server_context())
    assert error.label == "tls_error"


def test_old_tls_is_a_tls_error(trusted: None) -> None:
    assert websocket._tls().minimum_version == ssl.TLSVersion.TLSv1_2
    assert websocket._tls().verify_mode == ssl.CERT_REQUIRED
    assert websocket._tls().check_hostname


def test_peer_that_speaks_no_tls_is_a_tls_error() -> None:
    async def shout(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()
        await reader.read()

    assert refusal_by(shout, "localhost", "wss").label == "tls_error"
