"""The reading end of a child's output, which must never fill up.

Owns the cutting into lines and the limit on what is passed on. A full pipe would stop
the child at its next line, so everything is read at once, and a flood is counted
instead of printed.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import Final

READ_BYTES: Final = 65_536  # what a pipe holds
LINE_BYTES_MAX: Final = 8_192
LINES_MAX: Final = 100  # passed on in one window
WINDOW_S: Final = 1.0


class Drain:
    """Reads one pipe in the event loop and hands on whole lines."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        fd: int,
        on_line: Callable[[bytes], None],
        on_suppressed: Callable[[int], None],
    ) -> None:
        self._loop = loop
        self._fd = fd
        self._on_line = on_line
        self._on_suppressed = on_suppressed

        # The line under way, and whether it was already handed on in part.
        self._partial = b""

        # The limit.
        self._window_end_s = 0.0
        self._lines_count = 0
        self._suppressed_count = 0

        os.set_blocking(fd, False)
        loop.add_reader(fd, self._read)

    @property
    def is_closed(self) -> bool:
        """Say whether the pipe was let go of."""
        return self._fd < 0

    def close(self) -> None:
        """Read what is left and let go of the pipe."""
        if self._fd < 0:
            return
        # A grandchild may hold the other end open, so the end of file is not awaited;
        # one pipe's worth is the most that can be waiting.
        self._read()
        if self._fd >= 0:
            self._release()

    def _read(self) -> None:
        try:
            piece = os.read(self._fd, READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            piece = b""
        if not piece:
            self._release()
            return
        lines = (self._partial + piece).split(b"\n")
        self._partial = lines.pop()
        for line in lines:
            self._pass_on(line)
        if len(self._partial) > LINE_BYTES_MAX:
            self._pass_on(self._partial)
            self._partial = b""

    def _release(self) -> None:
        self._loop.remove_reader(self._fd)
        os.close(self._fd)
        self._fd = -1
        if self._partial:
            self._pass_on(self._partial)
            self._partial = b""
        self._report()

    def _pass_on(self, line: bytes) -> None:
        now_s = self._loop.time()
        if now_s >= self._window_end_s:
            self._report()
            self._window_end_s = now_s + WINDOW_S
            self._lines_count = 0
        self._lines_count += 1
        if self._lines_count > LINES_MAX:
            self._suppressed_count += 1
        elif line.strip():
            self._on_line(line)

    def _report(self) -> None:
        count, self._suppressed_count = self._suppressed_count, 0
        if count:
            self._on_suppressed(count)
