"""A small HTTP server in a thread of its own: GET, one answer, close.

Bounded in everything a client decides: connections, bytes and time. A port that is
taken is tried again; whoever stops reading is let go. It knows no page: `Pages` does.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from feedhandler import log

CONNECTIONS_MAX: Final = 16
HEAD_BYTES_MAX: Final = 8_192
TIMEOUT_S: Final = 5.0  # of a whole request and of a whole answer, each
RETRY_S: Final = 5.0  # after a port was refused


@dataclass(frozen=True, slots=True)
class Answer:
    """What one request gets."""

    status: HTTPStatus
    content_type: str
    body: bytes


# (path, Accept header) -> answer. Called in the server's thread; it must not wait.
Pages = Callable[[str, str], Answer]


class HttpServer:
    """Serves pages until it is stopped."""

    def __init__(
        self,
        host: str,
        port: int,
        pages: Pages,
        *,
        timeout_s: float = TIMEOUT_S,
        retry_s: float = RETRY_S,
    ) -> None:
        self.requests = 0
        self.refused = 0  # too many connections, too slow, too large, not HTTP
        self.failed = 0  # pages that raised: a bug
        self.is_listening = False
        self._host = host
        self._port = port
        self._pages = pages
        self._timeout_s = timeout_s
        self._retry_s = retry_s
        self._connections = 0
        self.fault: BaseException | None = None  # a bug: the thread is dead
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="http", daemon=True)

    def start(self) -> None:
        """Begin to serve, now or as soon as the port is free."""
        self._thread.start()

    def stop(self, timeout_s: float = 1.0) -> None:
        """Close the port and every connection."""
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(timeout_s)

    def _run(self) -> None:
        self._loop.set_exception_handler(self._on_error)
        try:
            self._loop.run_until_complete(self._serve())
        except BaseException as error:  # noqa: BLE001 - the process looks at it
            self.fault = error
        finally:
            self._loop.close()

    async def _serve(self) -> None:
        while not self._stop.is_set():
            try:
                server = await asyncio.start_server(
                    self._handle, self._host, self._port, limit=HEAD_BYTES_MAX
                )
            except OSError as error:
                log.event("http_refused", host=self._host, port=self._port, error=error)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._retry_s):
                        await self._stop.wait()
                continue
            log.event("http_listening", host=self._host, port=self._port)
            self.is_listening = True
            await self._stop.wait()
            server.close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _handle(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._connections += 1
        try:
            if self._connections > CONNECTIONS_MAX:
                self.refused += 1
                return
            async with asyncio.timeout(self._timeout_s):
                head = await reader.readuntil(b"\r\n\r\n")
            writer.write(self._answer(head))
            async with asyncio.timeout(self._timeout_s):
                await writer.drain()
        except asyncio.LimitOverrunError:
            self.refused += 1
            status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
            writer.write(_render(_text(status), with_body=True))
        except (TimeoutError, asyncio.IncompleteReadError, OSError):
            self.refused += 1
            writer.transport.abort()
        finally:
            self._connections -= 1
            writer.close()

    def _answer(self, head: bytes) -> bytes:
        lines = head.decode("latin-1").split("\r\n")
        words = lines[0].split(" ")
        if len(words) != 3 or not words[2].startswith("HTTP/"):
            self.refused += 1
            return _render(_text(HTTPStatus.BAD_REQUEST), with_body=True)
        method, target, _ = words
        if method not in ("GET", "HEAD"):
            return _render(_text(HTTPStatus.METHOD_NOT_ALLOWED), with_body=True)
        self.requests += 1
        accept = ""
        for line in lines[1:]:
            name, _, value = line.partition(":")
            if name.lower() == "accept":
                accept = value.strip()
        answer = self._pages(target.partition("?")[0], accept)
        return _render(answer, with_body=method == "GET")

    def _on_error(
        self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]
    ) -> None:
        self.failed += 1
        error = context.get("exception") or context.get("message")
        log.event("http_error", error=error)


def _text(status: HTTPStatus) -> Answer:
    body = f"{status.value} {status.phrase}\n".encode()
    return Answer(status, "text/plain; charset=utf-8", body)


def _render(answer: Answer, *, with_body: bool) -> bytes:
    head = (
        f"HTTP/1.1 {answer.status.value} {answer.status.phrase}\r\n"
        f"Content-Type: {answer.content_type}\r\n"
        f"Content-Length: {len(answer.body)}\r\n"
        "Cache-Control: no-store\r\n"
        "Connection: close\r\n\r\n"
    )
    return head.encode("latin-1") + (answer.body if with_body else b"")
