"""A descriptor for lines that is written without ever waiting for its reader.

Owns the choice of how not to block. `O_NONBLOCK` belongs to the open file description,
which a shell shares with us: setting it on a terminal breaks the shell. So the file
behind the descriptor is opened a second time, and only our description is changed.
"""

from __future__ import annotations

import os
import select
import socket
import stat
import time
from typing import Final

_REOPEN: Final = os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


class Sink:
    """Takes lines; one that does not fit at once is dropped and counted."""

    def __init__(self, fd: int, *, polls: bool, is_socket: bool = False) -> None:
        self._fd = fd
        self._polls = polls
        self._is_socket = is_socket
        self._rest = b""  # the end of a line that was taken only in part
        self._dropped_count = 0

    @classmethod
    def reopen(cls, fd: int) -> Sink:
        """Return a sink on the file behind `fd`, whose own flags stay as they are."""
        try:
            mode = os.fstat(fd).st_mode
        except OSError:
            return cls(-1, polls=False)  # closed by our parent: every line is dropped
        if stat.S_ISREG(mode):
            # A second description would have an offset of its own and overwrite
            # what goes through the first one. A regular file does not block.
            return cls(fd, polls=False)
        if stat.S_ISSOCK(mode):
            return cls(fd, polls=False, is_socket=True)
        try:
            return cls(os.open(f"/proc/self/fd/{fd}", _REOPEN), polls=False)
        except OSError:
            # No /proc, or a terminal of another user: ask before each write.
            return cls(fd, polls=True)

    @property
    def dropped(self) -> int:
        """Lines that were not taken, or not wholly."""
        return self._dropped_count

    def write(self, line: bytes) -> bool:
        """Write one whole line, with its newline; return whether it was taken."""
        if self._rest:
            # A new line may only follow the end of the one before it.
            self._rest = self._rest[self._write_some(self._rest) :]
            if self._rest:
                self._dropped_count += 1
                return False
        taken = self._write_some(line)
        if taken == 0:
            self._dropped_count += 1
            return False
        self._rest = line[taken:]
        return True

    def finish(self, timeout_s: float) -> bool:
        """Wait at most this long until the rest of the last line is taken."""
        deadline_s = time.monotonic() + timeout_s
        while self._rest:
            rest_s = deadline_s - time.monotonic()
            if rest_s <= 0 or not _is_writable(self._fd, rest_s):
                return False
            taken = self._write_some(self._rest)
            if not taken:
                return False  # closed by its reader
            self._rest = self._rest[taken:]
        return True

    def _write_some(self, piece: bytes) -> int:
        if self._fd < 0:
            return 0
        try:
            if self._is_socket:
                return _send(self._fd, piece)
            if self._polls and not _is_writable(self._fd):
                return 0
            return os.write(self._fd, piece)
        except OSError:
            return 0  # full, closed by its reader, or no space: the caller counts it


def _send(fd: int, piece: bytes) -> int:
    with socket.socket(fileno=os.dup(fd)) as stream:
        return stream.send(piece, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)


def _is_writable(fd: int, timeout_s: float = 0.0) -> bool:
    poll = select.poll()
    poll.register(fd, select.POLLOUT)
    return any(flags & select.POLLOUT for _, flags in poll.poll(timeout_s * 1_000))
