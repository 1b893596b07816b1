"""One HTTP request at a time: bounded in time and size, never redirected.

aiohttp is imported with the first request, because it costs more start-up time than all
else together, and a feed that knows its markets needs none.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from feedhandler.transport.address import check_address
from feedhandler.transport.errors import TransportError, parse_retry_after

if TYPE_CHECKING:
    import aiohttp

BODY_BYTES_MAX: Final = 4 * 1024 * 1024
CHUNK_BYTES: Final = 64 * 1024


def prepare() -> None:
    """Import aiohttp; called from a thread, so that the event loop goes on."""
    import aiohttp  # noqa: F401


async def request(
    method: str,
    url: str,
    body: bytes = b"",
    *,
    content_type: str = "application/json",
    timeout_s: float = 5.0,
    is_insecure_allowed: bool = False,
) -> bytes:
    """Return the body of a 200 answer; raise `TransportError` for anything else.

    Compressed answers are not asked for, so that the size limit holds for what is read
    and for what it becomes.
    """
    check_address(url, "https", is_insecure_allowed=is_insecure_allowed)
    import aiohttp

    headers = {"Content-Type": content_type, "Accept-Encoding": "identity"}
    try:
        async with asyncio.timeout(timeout_s):
            async with (
                aiohttp.ClientSession(auto_decompress=False, headers=headers) as client,
                client.request(
                    method, url, data=body or None, allow_redirects=False
                ) as answer,
            ):
                return await _body_of(answer)
    except TimeoutError as error:
        text = f"no answer within {timeout_s:g} s: url={url}"
        raise TransportError("connect_timeout", text) from error
    except aiohttp.ClientSSLError as error:
        raise TransportError("tls_error", f"{error}: url={url}") from error
    except (aiohttp.ClientError, OSError, ValueError) as error:
        text = f"{type(error).__name__}: {error}: url={url}"
        raise TransportError("connect_error", text) from error


async def _body_of(answer: aiohttp.ClientResponse) -> bytes:
    status = answer.status
    if status != 200:
        wait_s = parse_retry_after(answer.headers.get("Retry-After"))
        text = f"answered with status={status}"
        raise TransportError("http_status", text, status, wait_s)
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
    return bytes(body)
