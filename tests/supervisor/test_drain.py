"""A child's pipe is always read, cut into lines, and a flood is counted."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

from feedhandler.supervisor.drain import LINE_BYTES_MAX, LINES_MAX, Drain
from tests.support import MS, wait_until_async


def run(body: Callable[[int, list[bytes], list[int]], None]) -> tuple[list[bytes], int]:
    """Drain a pipe that `body` writes to; return lines and the suppressed count."""

    async def drained() -> tuple[list[bytes], int]:
        lines: list[bytes] = []
        suppressed: list[int] = []
        read_fd, write_fd = os.pipe()
        loop = asyncio.get_running_loop()
        drain = Drain(loop, read_fd, lines.append, suppressed.append)
        await asyncio.to_thread(body, write_fd, lines, suppressed)
        os.close(write_fd)
        await wait_until_async(lambda: drain.is_closed, 5_000 * MS, "the end of file")
        return lines, sum(suppressed)

    return asyncio.run(drained())


def test_lines_arrive_whole_however_they_were_written() -> None:
    def body(fd: int, lines: list[bytes], suppressed: list[int]) -> None:
        for piece in (b"on", b"e\ntwo\nth", b"ree\n\nlast without newline"):
            os.write(fd, piece)

    assert run(body) == ([b"one", b"two", b"three", b"last without newline"], 0)


def test_line_without_end_is_passed_on_in_pieces() -> None:
    def body(fd: int, lines: list[bytes], suppressed: list[int]) -> None:
        os.write(fd, b"x" * (3 * LINE_BYTES_MAX))

    lines, _ = run(body)
    assert b"".join(lines) == b"x" * (3 * LINE_BYTES_MAX)


def test_flood_is_read_to_its_end_and_counted() -> None:
    count = 20_000

    def body(fd: int, lines: list[bytes], suppressed: list[int]) -> None:
        for _ in range(count):
            os.write(fd, b"flood " * 10 + b"\n")

    lines, suppressed = run(body)
    assert len(lines) + suppressed == count
    assert len(lines) < count // 2
    assert len(lines) >= LINES_MAX


def test_what_is_left_is_read_when_a_grandchild_keeps_the_pipe_open() -> None:
    async def body() -> list[bytes]:
        lines: list[bytes] = []
        read_fd, write_fd = os.pipe()
        loop = asyncio.get_running_loop()
        drain = Drain(loop, read_fd, lines.append, lambda count: None)
        os.write(write_fd, b"last words\n")
        drain.close()
        assert drain.is_closed
        os.close(write_fd)
        return lines

    assert asyncio.run(body()) == [b"last words"]
