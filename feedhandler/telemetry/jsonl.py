"""Files of lines: written whole, rotated by size, and never in anybody's way.

    put ─▶ bounded queue ─▶ thread ─▶ name ─▶ name.1 ─▶ name.2 … the oldest is removed

A full or failing disk costs lines, each one counted, and nothing else: the line at hand
is tried again until it is taken, those behind it wait until the queue is full. A line
is in the file whole or not at all, unless the machine itself dies.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from pathlib import Path
from typing import Final

from feedhandler import log
from feedhandler.folders import make_private

LINES_MAX: Final = 4_096  # that wait: a quarter of an hour of samples
BYTES_MAX: Final = 8 << 20
RETRY_S: Final = 1.0

_MODE: Final = 0o640
_TAIL_BYTES: Final = 1 << 20  # of a file's end, in which its last line is looked for
_LOOK_S: Final = 1.0  # how often somebody else's rename or removal is looked for
_FLAGS: Final = (
    os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
)

Opening = Callable[[int], bytes]


class RotatedFile:
    """Appends lines to a file and its successors. Every method may raise `OSError`.

    `opening` returns the first line of a file that is opened, given how many were
    opened before.
    """

    def __init__(
        self,
        path: Path,
        file_bytes: int,
        files_max: int,
        opening: Opening | None = None,
    ) -> None:
        self.path = path
        self.opened_count = 0
        self.cut_bytes = 0  # of half a line that another process left at the end
        self._file_bytes = file_bytes
        self._files_max = files_max
        self._opening = opening

        # The open file.
        self._fd = -1
        self._size_bytes = 0
        self._is_regular = True
        self._is_torn = False  # half a line stands at the end and could not be cut
        self._next_look_s = 0.0

    def append(self, line: bytes) -> None:
        """Write one line, with its newline, whole or not at all."""
        self._look()
        if self._fd < 0:
            self._open()
        if self._size_bytes and self._size_bytes + len(line) > self._file_bytes:
            if self._is_regular:
                self._rotate()
                self._open()
        self._write(line)

    def close(self) -> None:
        """Put everything on the disk and close the file."""
        if self._fd < 0:
            return
        fd, self._fd = self._fd, -1
        try:
            if self._is_regular:
                os.fsync(fd)
        finally:
            os.close(fd)

    def _open(self) -> None:
        make_private(self.path.parent)
        fd = os.open(self.path, _FLAGS, _MODE)
        try:
            status = os.fstat(fd)
            self._is_regular = stat.S_ISREG(status.st_mode)
            self._size_bytes = status.st_size if self._is_regular else 0
            if self._size_bytes:
                self._cut_tail(fd)
            self._is_torn = False
            self._fd = fd
            if self._opening is not None:
                self._write(self._opening(self.opened_count))
        except BaseException:
            self._fd = -1
            os.close(fd)
            raise
        self.opened_count += 1
        self._next_look_s = time.monotonic() + _LOOK_S

    def _cut_tail(self, fd: int) -> None:
        """Remove half a line that a killed process left at the end."""
        start = max(0, self._size_bytes - _TAIL_BYTES)
        with self.path.open("rb") as file:
            file.seek(start)
            tail = file.read(_TAIL_BYTES)
        whole = tail.rfind(b"\n") + 1
        if whole == len(tail) or (not whole and start):
            return  # nothing to cut, or nothing of ours
        os.ftruncate(fd, start + whole)
        self.cut_bytes += len(tail) - whole
        self._size_bytes = start + whole

    def _write(self, line: bytes) -> None:
        if self._is_torn:
            line = b"\n" + line  # ends the damaged line, which readers count
        written = 0
        try:
            while written < len(line):
                written += os.write(self._fd, line[written:])
        except OSError:
            if written:
                self._undo()
            raise
        self._is_torn = False
        self._size_bytes += len(line)

    def _undo(self) -> None:
        try:
            os.ftruncate(self._fd, self._size_bytes)
        except OSError:
            self._is_torn = True

    def _rotate(self) -> None:
        self.close()
        if self._files_max == 1:
            self.path.unlink(missing_ok=True)
            return
        for number in range(self._files_max - 1, 0, -1):
            older = self.path.with_name(f"{self.path.name}.{number}")
            newer = self.path
            if number > 1:
                newer = self.path.with_name(f"{self.path.name}.{number - 1}")
            with contextlib.suppress(FileNotFoundError):
                newer.replace(older)

    def _look(self) -> None:
        """Close a file that was renamed or removed: its name gets a new one."""
        now_s = time.monotonic()
        if self._fd < 0 or not self._is_regular or now_s < self._next_look_s:
            return
        self._next_look_s = now_s + _LOOK_S
        try:
            is_ours = os.path.samestat(self.path.stat(), os.fstat(self._fd))
        except FileNotFoundError:
            is_ours = False
        if not is_ours:
            self.close()


class LineWriter:
    """Writes lines from a thread of its own; `put` never waits."""

    def __init__(
        self,
        file: RotatedFile,
        *,
        lines_max: int = LINES_MAX,
        bytes_max: int = BYTES_MAX,
        retry_s: float = RETRY_S,
    ) -> None:
        self.file = file
        self.written = 0
        self.dropped = 0
        self.errors: Counter[str] = Counter()  # by the name of the errno
        self.fault: BaseException | None = None  # a bug: the thread is dead
        self._lines_max = lines_max
        self._bytes_max = bytes_max
        self._retry_s = retry_s
        self._failed_ns = 0  # when writing began to fail; 0 while it works

        # Guarded by the condition.
        self._lines: deque[bytes] = deque()
        self._queued_bytes = 0
        self._is_closing = False
        self._changed = threading.Condition()

        name = f"writer-{file.path.name}"
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    @property
    def is_failing(self) -> bool:
        """Say whether the last try to write failed."""
        return self._failed_ns != 0

    def put(self, line: bytes) -> bool:
        """Queue a line; return False, and count it, when there is no room."""
        with self._changed:
            is_full = (
                len(self._lines) >= self._lines_max
                or self._queued_bytes + len(line) > self._bytes_max
            )
            if is_full or self._is_closing or self.fault is not None:
                self.dropped += 1
                return False
            self._lines.append(line)
            self._queued_bytes += len(line)
            self._changed.notify()
        return True

    def close(self, timeout_s: float) -> bool:
        """Write what waits, and end; say whether all of it was written in time."""
        with self._changed:
            self._is_closing = True
            self._changed.notify()
        self._thread.join(timeout_s)
        with self._changed:
            self.dropped += len(self._lines)
            self._lines.clear()
        return not self._thread.is_alive() and not self.dropped

    def _run(self) -> None:
        try:
            while (line := self._next()) is not None:
                if not self._try_write(line):
                    return
        except BaseException as error:
            self.fault = error  # whoever puts looks at it
            raise
        finally:
            with contextlib.suppress(OSError):
                self.file.close()

    def _next(self) -> bytes | None:
        with self._changed:
            self._changed.wait_for(lambda: self._lines or self._is_closing)
            return self._lines[0] if self._lines else None

    def _try_write(self, line: bytes) -> bool:
        """Write one line; return False when it is the end and the disk fails."""
        try:
            self.file.append(line)
        except OSError as error:
            self._note_failure(error)
            with self._changed:
                self._changed.wait_for(lambda: self._is_closing, self._retry_s)
                return not self._is_closing
        if self.is_failing:
            waited_ms = (time.monotonic_ns() - self._failed_ns) // 1_000_000
            self._failed_ns = 0
            path = self.file.path.name
            log.event("writes_again", file=path, ms=waited_ms, dropped=self.dropped)
        with self._changed:
            if self._lines:  # else `close` gave up on it meanwhile
                self._lines.popleft()
                self._queued_bytes -= len(line)
                self.written += 1
        return True

    def _note_failure(self, error: OSError) -> None:
        self.errors[errno.errorcode.get(error.errno or 0, "OSError")] += 1
        if not self.is_failing:
            self._failed_ns = time.monotonic_ns()
            log.event("write_failed", file=self.file.path, error=error)
