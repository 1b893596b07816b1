"""A small server that no client can hold up."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any

import pytest

from feedhandler.telemetry.http import (
    CONNECTIONS_MAX,
    HEAD_BYTES_MAX,
    Answer,
    HttpServer,
)
from feedhandler.telemetry.pages import Endpoint
from feedhandler.telemetry.snapshot import Board
from tests.support import MS, Programs, free_port, wait_until

HOST = "127.0.0.1"


def echo(path: str, accept: str) -> Answer:
    if path == "/bug":
        raise ZeroDivisionError
    return Answer(HTTPStatus.OK, "text/plain", f"{path} {accept}".encode())


@contextmanager
def serving(page: Any = echo, **options: Any) -> Iterator[tuple[HttpServer, int]]:
    port = free_port()
    server = HttpServer(HOST, port, page, **options)
    server.start()
    try:
        wait_until(lambda: server.is_listening, 5_000 * MS, "a port")
        yield server, port
    finally:
        server.stop(5_000 * MS)


def get(port: int, path: str, method: str = "GET") -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(HOST, port, timeout=5_000 * MS)
    try:
        connection.request(method, path, headers={"Accept": "text/x"})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def test_get_and_head_are_answered() -> None:
    with serving() as (server, port):
        assert get(port, "/a?b=c") == (200, b"/a text/x")
        assert get(port, "/a", "HEAD") == (200, b"")
        assert get(port, "/a", "POST")[0] == 405
        assert server.requests == 2


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"nonsense\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * 4 * HEAD_BYTES_MAX + b"\r\n\r\n", b"431"),
        (b"\x16\x03\x01\x00\x00\r\n\r\n", b"400"),
    ],
)
def test_garbage_is_refused(sent: bytes, status: bytes) -> None:
    with serving() as (server, port):
        with socket.create_connection((HOST, port), 5_000 * MS) as client:
            client.sendall(sent)
            assert client.recv(64).startswith(b"HTTP/1.1 " + status)
        assert server.refused == 1
        assert get(port, "/")[0] == 200


def test_slow_clients_are_let_go_and_hold_nobody_up() -> None:
    with serving(timeout_s=0.2) as (server, port):
        slow = [socket.create_connection((HOST, port)) for _ in range(3)]
        for client in slow:
            client.sendall(b"GET / HT")
        assert get(port, "/")[0] == 200
        wait_until(lambda: server.refused == 3, 5_000 * MS, "three refusals")
        for client in slow:
            client.close()


def test_client_that_does_not_read_is_let_go() -> None:
    def large(path: str, accept: str) -> Answer:
        return Answer(HTTPStatus.OK, "text/plain", b"x" * (16 << 20))

    with (
        serving(large, timeout_s=0.2) as (server, port),
        socket.create_connection((HOST, port)) as client,
    ):
        client.sendall(b"GET / HTTP/1.1\r\n\r\n")
        wait_until(lambda: server.refused == 1, 5_000 * MS, "a refusal")


def test_connections_are_bounded() -> None:
    with serving() as (server, port):
        held = [socket.create_connection((HOST, port)) for _ in range(CONNECTIONS_MAX)]
        wait_until(
            lambda: server._connections == CONNECTIONS_MAX, 5_000 * MS, "all of them"
        )
        with socket.create_connection((HOST, port), 5_000 * MS) as client:
            assert client.recv(1) == b""
        assert server.refused == 1
        for client in held:
            client.close()
        wait_until(lambda: server._connections == 0, 5_000 * MS, "none")
        assert get(port, "/")[0] == 200


def test_page_that_raises_is_counted_and_the_server_lives() -> None:
    with serving() as (server, port):
        with pytest.raises((http.client.HTTPException, OSError)):
            get(port, "/bug")
        wait_until(lambda: server.failed == 1, 5_000 * MS, "the failure")
        assert get(port, "/")[0] == 200


def test_taken_port_is_tried_again() -> None:
    with socket.socket() as other:
        other.bind((HOST, 0))
        other.listen()
        port = other.getsockname()[1]
        server = HttpServer(HOST, port, echo, retry_s=0.05)
        server.start()
        assert not server.is_listening
    try:
        wait_until(lambda: server.is_listening, 5_000 * MS, "the port")
        assert get(port, "/")[0] == 200
    finally:
        server.stop(5_000 * MS)


def test_unknown_page_is_404_and_index_names_the_others() -> None:
    endpoint = Endpoint(Board("x", ["lighter"], 250))
    assert endpoint("/nothing", "").status == 404
    assert b"/metrics" in endpoint("/", "").body
    ready = endpoint("/ready", "")
    assert ready.status == 503
    assert json.loads(ready.body)["problem"] == "no sample yet"


def test_without_the_library_metrics_say_what_to_install(programs: Programs) -> None:
    program = programs.python(
        "-c",
        "import sys; sys.modules['prometheus_client'] = None\n"
        "from feedhandler.telemetry.pages import Endpoint\n"
        "from feedhandler.telemetry.snapshot import Board\n"
        "endpoint = Endpoint(Board('x', [], 250))\n"
        "for path in ('/metrics', '/health'):\n"
        "    answer = endpoint(path, '')\n"
        "    print(int(answer.status), answer.body.decode())\n",
    )
    assert program.wait() == 0, program.stderr()
    metrics, health = filter(None, program.stdout().splitlines())
    assert metrics.startswith("503 ")
    assert "feedhandler[metrics]" in metrics
    assert "healthy" in health
    assert "metrics_off" in program.stderr()
