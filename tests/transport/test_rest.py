"""One request: its answer, or which way it failed, within its limits."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import Any

import pytest

from feedhandler.errors import UsageError
from feedhandler.transport import rest
from feedhandler.transport.errors import TransportError
from tests.support import ROOT, free_port
from tests.transport.raw_server import Handler, serve


async def request(method: str, url: str, body: bytes = b"", **options: Any) -> bytes:
    """Return the body of one answer over a client of its own."""
    client = rest.RestClient()
    try:
        return (await client.request(method, url, body, **options)).body
    finally:
        await client.close()


def says(*parts: bytes) -> Handler:
    """Return a handler that reads a request's head and sends those bytes."""

    async def handle(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for part in parts:
            writer.write(part)
            await writer.drain()

    return handle


def answer(body: bytes, status: int = 200, *headers: bytes) -> bytes:
    head = b"HTTP/1.1 %d Reason\r\nContent-Length: %d\r\n" % (status, len(body))
    return head + b"".join(row + b"\r\n" for row in headers) + b"\r\n" + body


def ask(handler: Handler, timeout_s: float = 5.0) -> bytes:
    async def test() -> bytes:
        async with serve(handler) as port:
            url = f"http://127.0.0.1:{port}/info"
            return await request("POST", url, b"{}", timeout_s=timeout_s)

    return asyncio.run(test())


def refusal(handler: Handler, timeout_s: float = 5.0) -> TransportError:
    with pytest.raises(TransportError) as caught:
        ask(handler, timeout_s)
    return caught.value


def test_body_of_an_answer_is_returned_as_it_is() -> None:
    assert ask(says(answer(b'{"universe":[]}'))) == b'{"universe":[]}'
    assert ask(says(answer(b"null"))) == b"null"


def test_answer_in_chunks_is_put_together() -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert ask(says(head, b"3\r\nabc\r\n", b"2\r\nde\r\n0\r\n\r\n")) == b"abcde"


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [((b"Retry-After: 9",), 9), ((), 0), ((b"Retry-After: x",), 0)],
)
def test_other_status_is_told_with_its_wait(
    headers: tuple[bytes, ...], wait_s: int
) -> None:
    error = refusal(says(answer(b"null", 429, *headers)))
    assert (error.label, error.status, error.retry_after_s) == (
        "http_status",
        429,
        wait_s,
    )


def test_redirect_is_not_followed() -> None:
    error = refusal(says(answer(b"", 302, b"Location: http://127.0.0.1:1/")))
    assert (error.label, error.status) == ("http_status", 302)


@pytest.mark.parametrize(
    "parts",
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n",),
        (b"HTTP/1.1 200 OK\r\n\r\n", b"x" * (5 << 20)),
        (answer(b"x", 200, b"Content-Encoding: gzip"),),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",),
        (b"garbage\r\n\r\n",),
        (b"",),
    ],
)
def test_answer_too_large_compressed_cut_or_broken_is_refused(
    parts: tuple[bytes, ...],
) -> None:
    assert refusal(says(*parts)).label == "connect_error"


def test_answer_that_never_ends_is_a_timeout() -> None:
    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.01)

    assert refusal(drip, timeout_s=0.2).label == "connect_timeout"


def test_refused_port_is_a_connect_error() -> None:
    with pytest.raises(TransportError) as caught:
        asyncio.run(request("GET", f"http://127.0.0.1:{free_port()}/"))
    assert caught.value.label == "connect_error"


def test_credentials_in_an_address_are_in_no_error() -> None:
    url = f"http://user:hidden@127.0.0.1:{free_port()}/x?token=secret"
    with pytest.raises(TransportError) as caught:
        asyncio.run(request("GET", url))
    assert "hidden" not in str(caught.value)
    assert "secret" not in str(caught.value)
    assert "127.0.0.1" in str(caught.value)


def test_plain_address_elsewhere_is_refused() -> None:
    with pytest.raises(UsageError):
        asyncio.run(request("GET", "http://example.invalid/"))


def test_feed_process_does_not_import_aiohttp_at_its_start() -> None:
    source = "import sys, feedhandler.feed.process; print('aiohttp' in sys.modules)"
    found = subprocess.run(
        [sys.executable, "-c", source],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    assert found.stdout == "False\n"
