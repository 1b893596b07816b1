"""HTTP requests over kept connections: bounded in time and size, never redirected.

Owns a process's REST connections and what an answer must be to be used. Whether a body
makes sense is its reader's business. aiohttp is imported with the first request: it
costs more start-up time than all else together, and a feed that knows its markets needs
none.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from feedhandler.config import redact_url
from feedhandler.transport.address import check_address
from feedhandler.transport.budget import Budget
from feedhandler.transport.errors import (
    ERROR_BYTES,
    TransportError,
    parse_date,
    status_error,
)
from feedhandler.transport.headers import request_headers

if TYPE_CHECKING:
    import aiohttp

BODY_BYTES_MAX: Final = 4 * 1024 * 1024
CHUNK_BYTES: Final = 64 * 1024
ERROR_BODY_S: Final = 0.5  # waited for the body of an answer that is refused anyway
CONNECTIONS_MAX: Final = 16  # of a process, over all hosts
HOST_CONNECTIONS_MAX: Final = 4
# Shorter than hosts keep idle connections, so that none closes under a request.
IDLE_S: Final = 10.0
PENALTY_ATTEMPTS: Final = 10  # to tell other processes, at a file that is locked
PENALTY_PAUSE_S: Final = 0.002


@dataclass(frozen=True, slots=True)
class Answer:
    """The body of a 200 answer, and facts of its head where the host tells them."""

    body: bytes
    used_weight: int | None = None  # X-MBX-USED-WEIGHT-1M: in the current minute
    remaining: int | None = None  # X-RateLimit-Remaining
    date_s: int | None = None  # the host's wall clock, in seconds since 1970


def prepare() -> None:
    """Import aiohttp; called from a thread, so that the event loop goes on."""
    import aiohttp  # noqa: F401


class RestClient:
    """A process's REST connections; used in one event loop and closed in it.

    Any number of hosts; `headers` go to each of them.
    """

    def __init__(
        self,
        *,
        headers: Mapping[str, str] | None = None,
        is_insecure_allowed: bool = False,
    ) -> None:
        self._headers = request_headers(headers)
        self._is_insecure_allowed = is_insecure_allowed
        self._session: aiohttp.ClientSession | None = None
        self._is_closed = False

    async def fetch(
        self,
        method: str,
        url: str,
        body: bytes = b"",
        *,
        budget: Budget,
        weight: int = 1,
        content_type: str = "application/json",
        timeout_s: float = 5.0,
    ) -> Answer:
        """Do as `request` does when the budget grants the weight before the deadline.

        Raises `TransportError` with the label `rate_limited` at once when it will not.
        What the host says about its limits is told to every process of this host.
        """
        deadline_s = time.monotonic() + timeout_s
        await _wait_for(budget, weight, deadline_s)
        try:
            answer = await self.request(
                method,
                url,
                body,
                content_type=content_type,
                timeout_s=max(0.0, deadline_s - time.monotonic()),
            )
        except TransportError as error:
            if error.penalty_s:
                await _penalize(budget, error.penalty_s)
            raise
        if answer.used_weight is not None:
            budget.spent(answer.used_weight, time.monotonic_ns())
        return answer

    async def request(
        self,
        method: str,
        url: str,
        body: bytes = b"",
        *,
        content_type: str = "application/json",
        timeout_s: float = 5.0,
    ) -> Answer:
        """Return a 200 answer; raise `TransportError` for anything else.

        Compressed answers are not asked for, so that the size limit holds for what is
        read and for what it becomes.
        """
        check_address(url, "https", is_insecure_allowed=self._is_insecure_allowed)
        import aiohttp

        session = self._open_session()
        headers = {"Content-Type": content_type}
        try:
            async with (
                asyncio.timeout(timeout_s),
                session.request(
                    method,
                    url,
                    data=body or None,
                    headers=headers,
                    allow_redirects=False,
                ) as answer,
            ):
                return await _read(answer)
        except TimeoutError as error:
            text = f"no answer within {timeout_s:g} s: url={redact_url(url)}"
            raise TransportError("connect_timeout", text) from error
        except aiohttp.ClientSSLError as error:
            text = f"{error}: url={redact_url(url)}"
            raise TransportError("tls_error", text) from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            text = f"{type(error).__name__}: {error}: url={redact_url(url)}"
            raise TransportError("connect_error", text) from error

    async def close(self) -> None:
        """Let go of every connection; no request is possible after."""
        self._is_closed = True
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def _open_session(self) -> aiohttp.ClientSession:
        if self._is_closed:
            raise TransportError("connect_error", "the client is closed")
        if self._session is None:
            import aiohttp

            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=CONNECTIONS_MAX,
                    limit_per_host=HOST_CONNECTIONS_MAX,
                    keepalive_timeout=IDLE_S,
                ),
                headers={**self._headers, "Accept-Encoding": "identity"},
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(),  # ours bounds all of it
                auto_decompress=False,
                trust_env=False,  # no proxy
            )
        return self._session


async def _wait_for(budget: Budget, weight: int, deadline_s: float) -> None:
    while (wait_ns := budget.take(weight, time.monotonic_ns())) > 0:
        wait_s = wait_ns / 1e9
        if time.monotonic() + wait_s >= deadline_s:
            text = f"not sent: wait_s={wait_s:.3f} weight={weight} key={budget.key}"
            raise TransportError("rate_limited", text, 0, -(-wait_ns // 1_000_000_000))
        await asyncio.sleep(wait_s)


async def _penalize(budget: Budget, seconds: int) -> None:
    now_ns = time.monotonic_ns()
    until_ns = now_ns + seconds * 1_000_000_000
    for _ in range(PENALTY_ATTEMPTS):
        if budget.penalize(until_ns, time.monotonic_ns()):
            break
        await asyncio.sleep(PENALTY_PAUSE_S)


async def _read(answer: aiohttp.ClientResponse) -> Answer:
    """Return a 200 answer whose body is neither too large nor compressed."""
    status = answer.status
    if status != 200:
        text = f"answered with status={status}: url={redact_url(str(answer.url))}"
        raise status_error(text, status, answer.headers.get, await _beginning(answer))
    if (length := answer.content_length) is not None and length > BODY_BYTES_MAX:
        raise TransportError("connect_error", f"body too large: bytes={length}", status)
    if answer.headers.get("Content-Encoding", "identity") != "identity":
        raise TransportError("connect_error", "compressed although not asked", status)
    body = bytearray()
    async for chunk in answer.content.iter_chunked(CHUNK_BYTES):
        body += chunk
        if len(body) > BODY_BYTES_MAX:
            text = f"body too large: bytes_max={BODY_BYTES_MAX}"
            raise TransportError("connect_error", text, status)
    return Answer(
        bytes(body),
        _count(answer.headers.get("X-MBX-USED-WEIGHT-1M")),
        _count(answer.headers.get("X-RateLimit-Remaining")),
        parse_date(answer.headers.get("Date")),
    )


async def _beginning(answer: aiohttp.ClientResponse) -> bytes:
    """Return what a refusal says, as far as it comes at once."""
    import aiohttp

    with contextlib.suppress(OSError, aiohttp.ClientError):
        async with asyncio.timeout(ERROR_BODY_S):
            return await answer.content.read(ERROR_BYTES)
    return b""


def _count(text: str | None) -> int | None:
    """Return a header's whole number, None for what is none."""
    if text is None or not (text.isascii() and text.isdigit()) or len(text) > 9:
        return None
    return int(text)
