"""Log lines on standard error that can never block the process that writes them.

Owns the sink, the form of a line and the limits. A line is dropped and counted rather
than waited for: a stopped supervisor or a frozen terminal must not stop a feed.

    2026-11-21T04:12:00.123Z feed:hyperliquid connected session=3 ms=41

`FEEDHANDLER_LOG=json` in the environment turns every line but the audit line into one
JSON object; the audit line keeps its one form wherever it is read.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Mapping
from typing import Final, Protocol

from feedhandler.sink import Sink

LINE_BYTES_MAX: Final = 2_048  # below PIPE_BUF, so that a pipe takes a line whole
VALUE_CHARS_MAX: Final = 512
RATE_LINES_MAX: Final = 10  # of one name in one window
RATE_WINDOW_NS: Final = 1_000_000_000
NAMES_MAX: Final = 256  # names beyond these share one allowance

_PLAIN: Final = re.compile(r"[!#-<>-\[\]-~]+")  # printable ASCII but " = \ and blank
_SHARED: Final = "(other)"

Fact = object


class LineSink(Protocol):
    """What takes a line, or refuses it at once and counts that."""

    @property
    def dropped(self) -> int: ...

    def write(self, line: bytes) -> bool: ...


class Log:
    """One process's log: a sink, a role, and an allowance for each name."""

    def __init__(self, role: str, sink: LineSink, *, as_json: bool = False) -> None:
        self._role = role
        self._sink = sink
        self._as_json = as_json

        # name -> [start of the window, lines in it, lines suppressed in it]
        self._windows: dict[str, list[int]] = {}
        self._suppressed_count = 0

    @property
    def dropped(self) -> int:
        """Lines the sink could not take."""
        return self._sink.dropped

    @property
    def suppressed(self) -> int:
        """Lines the rate limit held back."""
        return self._suppressed_count

    def event(self, name: str, facts: Mapping[str, Fact], now_ns: int) -> None:
        """Write one line unless its name has used up its allowance."""
        if self._admit(name, now_ns):
            self._write(name, facts)

    def audit(self, line: str) -> None:
        """Write a line of fixed form as it is."""
        self._sink.write(line.encode("ascii", "backslashreplace") + b"\n")

    def flush(self, now_ns: int) -> None:
        """Say what was suppressed in windows that have ended."""
        for name, window in self._windows.items():
            if window[2] and now_ns - window[0] >= RATE_WINDOW_NS:
                self._summarise(name, window)

    def _admit(self, name: str, now_ns: int) -> bool:
        if name not in self._windows and len(self._windows) >= NAMES_MAX:
            name = _SHARED
        window = self._windows.setdefault(name, [now_ns, 0, 0])
        if now_ns - window[0] >= RATE_WINDOW_NS:
            self.flush(now_ns)
            window[0] = now_ns
            window[1] = 0
        window[1] += 1
        if window[1] <= RATE_LINES_MAX:
            return True
        window[2] += 1
        self._suppressed_count += 1
        return False

    def _summarise(self, name: str, window: list[int]) -> None:
        count = window[2]
        window[2] = 0
        self._write("suppressed", {"name": name, "count": count})

    def _write(self, name: str, facts: Mapping[str, Fact]) -> None:
        stamp = _utc(time.time_ns())
        if self._as_json:
            line = _json_line(stamp, self._role, name, facts)
        else:
            line = _text_line(stamp, self._role, name, facts)
        self._sink.write(line)


_log: Log | None = None


def configure(role: str, *, sink: LineSink | None = None) -> None:
    """Name this process in its lines; they go to `sink`, or to standard error.

    Call it once, at the start of the process.
    """
    global _log
    as_json = os.environ.get("FEEDHANDLER_LOG", "") == "json"
    _log = Log(role, Sink.reopen(2) if sink is None else sink, as_json=as_json)


def open_sink(fd: int) -> LineSink:
    """Return what writes to the file behind `fd` without ever waiting."""
    return Sink.reopen(fd)


def event(name: str, /, **facts: Fact) -> None:
    """Write one line to standard error, or count it as suppressed or dropped."""
    _current().event(name, facts, time.monotonic_ns())


def audit(
    *, venue: str, reconnect_reason: str, count: int, session: int, ts_ms: int
) -> None:
    """Write the audit line of a session's end, whose form never changes."""
    _current().audit(
        f"WS_AUDIT venue={venue} reconnect_reason={reconnect_reason} "
        f"count={count} session={session} ts_ms={ts_ms}"
    )


def flush() -> None:
    """Say what the rate limit suppressed; long-running loops call it now and then."""
    _current().flush(time.monotonic_ns())


def dropped() -> int:
    """Return how many lines the sink could not take."""
    return _current().dropped


def escape(value: Fact) -> str:
    """Render one fact so that it cannot break a line, a terminal or a parser."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "true" if value else "false"
    text = _shorten(_plain_text(value))
    return text if _PLAIN.fullmatch(text) else json.dumps(text)


def escape_line(line: bytes, limit: int = LINE_BYTES_MAX) -> str:
    """Render a line of another process: control characters become escapes."""
    text = line[:limit].decode("utf-8", "backslashreplace")
    clean = "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode("ascii")
        for char in text
    )
    return clean + ("…" if len(line) > limit else "")


def _current() -> Log:
    if _log is None:
        configure("feedhandler")
    assert _log is not None
    return _log


def _plain_text(value: Fact) -> str:
    if isinstance(value, BaseException):
        return f"{type(value).__name__}: {value}"
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value[:VALUE_CHARS_MAX]).decode("utf-8", "backslashreplace")
    return str(value)


def _shorten(text: str) -> str:
    if len(text) <= VALUE_CHARS_MAX:
        return text
    return f"{text[:VALUE_CHARS_MAX]}...({len(text)} chars)"


def _text_line(stamp: str, role: str, name: str, facts: Mapping[str, Fact]) -> bytes:
    parts = [stamp, role, name]
    parts.extend(f"{key}={escape(value)}" for key, value in facts.items())
    line = " ".join(parts).encode("ascii", "backslashreplace")
    if len(line) > LINE_BYTES_MAX - 1:
        line = line[: LINE_BYTES_MAX - 4] + b"..."
    return line + b"\n"


def _json_line(stamp: str, role: str, name: str, facts: Mapping[str, Fact]) -> bytes:
    record: dict[str, object] = {"ts": stamp, "role": role, "event": name}
    for key, value in facts.items():
        is_native = value is None or isinstance(value, bool | int)
        record[key] = value if is_native else _shorten(_plain_text(value))
    line = json.dumps(record).encode()
    if len(line) > LINE_BYTES_MAX - 1:
        # A cut object would not parse, so the facts go and the name stays.
        short = {"ts": stamp, "role": role, "event": name, "cut_bytes": len(line)}
        line = json.dumps(short).encode()
    return line + b"\n"


def _utc(wall_ns: int) -> str:
    seconds, rest_ns = divmod(wall_ns, 1_000_000_000)
    text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return f"{text}.{rest_ns // 1_000_000:03d}Z"
