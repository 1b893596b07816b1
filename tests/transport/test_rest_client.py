"""Kept connections, what an answer tells beside its body, and budgets."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from feedhandler.errors import UsageError
from feedhandler.identity import USER_AGENT
from feedhandler.transport.budget import Budget
from feedhandler.transport.errors import TransportError
from feedhandler.transport.rest import Answer, RestClient
from tests.support import MS, free_port
from tests.transport.raw_server import Handler, serve

WAIT_S = 5_000 * MS


class Host:
    """Answers each request with the next of its answers, the last for ever."""

    def __init__(self, *answers: bytes) -> None:
        self._answers = list(answers)
        self.requests: list[str] = []
        self.connections = 0

    async def handle(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.connections += 1
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            self.requests.append(head.decode())
            several = len(self._answers) > 1
            writer.write(self._answers.pop(0) if several else self._answers[0])
            await writer.drain()


def answer(body: bytes, status: int = 200, *headers: bytes) -> bytes:
    head = b"HTTP/1.1 %d Reason\r\nContent-Length: %d\r\n" % (status, len(body))
    return head + b"".join(row + b"\r\n" for row in headers) + b"\r\n" + body


def run(test: Coroutine[Any, Any, None]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(30):
            await test

    asyncio.run(bounded())


async def ask(handler: Handler, **options: Any) -> Answer:
    """Send one request, or fetch when there is a budget."""
    headers = options.pop("headers", None)
    client = RestClient(headers=headers)
    async with serve(handler) as port:
        url = f"http://127.0.0.1:{port}/info"
        send = client.fetch if "budget" in options else client.request
        try:
            return await send("GET", url, **options)
        finally:
            await client.close()


def budget(folder: Path, per_minute: int = 70, burst: int = 10) -> Budget:
    return Budget(folder, "127.0.0.1:1/weight", per_minute, burst)


def test_connection_is_kept_for_the_next_request() -> None:
    host = Host(answer(b"1"))

    async def test() -> None:
        client = RestClient()
        async with serve(host.handle) as port:
            for _ in range(3):
                url = f"http://127.0.0.1:{port}/info"
                assert (await client.request("GET", url)).body == b"1"
            await client.close()

    run(test())
    assert (host.connections, len(host.requests)) == (1, 3)


def test_closed_client_sends_nothing() -> None:
    async def test() -> None:
        client = RestClient()
        await client.close()
        await client.close()
        with pytest.raises(TransportError):
            await client.request("GET", f"http://127.0.0.1:{free_port()}/")

    run(test())


def test_request_says_who_we_are_and_asks_for_no_compression() -> None:
    host = Host(answer(b"1"))
    run(as_none(ask(host.handle, headers={"X-Key": "a"})))
    lines = host.requests[0].split("\r\n")
    assert f"User-Agent: {USER_AGENT}" in lines
    assert "Accept-Encoding: identity" in lines
    assert "X-Key: a" in lines


async def as_none(coroutine: Coroutine[Any, Any, Answer]) -> None:
    await coroutine


def test_header_that_breaks_a_request_is_refused() -> None:
    with pytest.raises(UsageError):
        RestClient(headers={"X-Key": "a\r\nX-Evil: 1"})


def test_cookie_of_a_host_is_not_sent_back() -> None:
    host = Host(answer(b"1", 200, b"Set-Cookie: a=b"), answer(b"2"))

    async def test() -> None:
        client = RestClient()
        async with serve(host.handle) as port:
            for _ in range(2):
                await client.request("GET", f"http://localhost:{port}/")
            await client.close()

    run(test())
    assert "cookie" not in host.requests[1].lower()


def test_proxy_of_the_environment_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    run(as_none(ask(Host(answer(b"1")).handle)))


@pytest.mark.parametrize(
    ("headers", "facts"),
    [
        ((), (None, None, None)),
        ((b"X-MBX-USED-WEIGHT-1M: 42",), (42, None, None)),
        ((b"x-ratelimit-remaining: 1499",), (None, 1499, None)),
        ((b"Date: Sat, 21 Nov 2026 12:00:00 GMT",), (None, None, 1795262400)),
        ((b"X-MBX-USED-WEIGHT-1M: -1", b"Date: x"), (None, None, None)),
        ((b"X-MBX-USED-WEIGHT-1M: 9999999999",), (None, None, None)),
    ],
)
def test_answer_tells_what_its_head_says(
    headers: tuple[bytes, ...], facts: tuple[int | None, ...]
) -> None:
    async def test() -> None:
        found = await ask(Host(answer(b"{}", 200, *headers)).handle)
        assert found == Answer(b"{}", *facts)

    run(test())


@pytest.mark.parametrize(
    ("status", "wait_s"), [(418, 120), (429, 0), (403, 0), (500, 0), (503, 0)]
)
def test_refusal_tells_its_status_and_how_its_body_begins(
    status: int, wait_s: int
) -> None:
    body = b'{"code":23000}' + b" " * 5_000

    async def test() -> None:
        with pytest.raises(TransportError) as caught:
            await ask(Host(answer(body, status)).handle)
        error = caught.value
        assert (error.label, error.status) == ("http_status", status)
        assert error.retry_after_s == wait_s
        assert error.body.startswith(b'{"code":23000}')
        assert len(error.body) <= 1_024

    run(test())


def test_refusal_whose_body_never_comes_is_told_nevertheless() -> None:
    async def test() -> None:
        with pytest.raises(TransportError) as caught:
            await ask(Host(b"HTTP/1.1 500 R\r\nContent-Length: 9\r\n\r\n").handle)
        assert (caught.value.status, caught.value.body) == (500, b"")

    run(test())


# --- Budgets ------------------------------------------------------------------------


def test_request_takes_its_weight(tmp_path: Path) -> None:
    account = budget(tmp_path)
    run(as_none(ask(Host(answer(b"1")).handle, budget=account, weight=8)))
    assert account.take(3, time.monotonic_ns()) > 0


def test_request_beyond_the_budget_is_not_sent(tmp_path: Path) -> None:
    account, host = budget(tmp_path), Host(answer(b"1"))
    account.penalize(time.monotonic_ns() + 60_000_000_000, time.monotonic_ns())

    async def test() -> None:
        began_s = time.monotonic()
        with pytest.raises(TransportError) as caught:
            await ask(host.handle, budget=account, timeout_s=30.0)
        assert caught.value.label == "rate_limited"
        assert 0 < caught.value.retry_after_s <= 60
        assert time.monotonic() - began_s < 30

    run(test())
    assert host.requests == []


def test_request_waits_for_its_budget_within_the_deadline(tmp_path: Path) -> None:
    account, host = budget(tmp_path), Host(answer(b"1"))
    began_ns = time.monotonic_ns()
    account.penalize(began_ns + 100_000_000, began_ns)
    run(as_none(ask(host.handle, budget=account, timeout_s=WAIT_S)))
    assert time.monotonic_ns() - began_ns >= 100_000_000
    assert len(host.requests) == 1


@pytest.mark.parametrize(
    ("status", "headers", "at_least_s"),
    [
        (418, (), 120),
        (429, (), 10),
        (429, (b"Retry-After: 40",), 40),
        (503, (b"Retry-After: 20",), 20),
    ],
)
def test_refusal_holds_for_every_process_of_the_host(
    tmp_path: Path, status: int, headers: tuple[bytes, ...], at_least_s: int
) -> None:
    handler = Host(answer(b"null", status, *headers)).handle

    async def test() -> None:
        before_ns = time.monotonic_ns()
        with pytest.raises(TransportError):
            await ask(handler, budget=budget(tmp_path))
        other = budget(tmp_path)
        wait_ns = other.take(1, before_ns)
        assert at_least_s * 10**9 <= wait_ns <= (at_least_s + 30) * 10**9

    run(test())


def test_error_of_one_request_holds_nobody_back(tmp_path: Path) -> None:
    async def test() -> None:
        with pytest.raises(TransportError):
            await ask(Host(answer(b"", 500)).handle, budget=budget(tmp_path))
        assert budget(tmp_path).take(1, time.monotonic_ns()) == 0

    run(test())


def test_weight_that_the_host_reports_is_shared(tmp_path: Path) -> None:
    reported = answer(b"1", 200, b"X-MBX-USED-WEIGHT-1M: 2000")

    async def test() -> None:
        account = budget(tmp_path, 2_400, 400)
        await ask(Host(reported).handle, budget=account)
        wait_ns = budget(tmp_path, 2_400, 400).take(1, time.monotonic_ns())
        assert wait_ns > 10 * 10**9

    run(test())
