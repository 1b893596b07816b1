"""Log lines never block, never break a line, and never vanish uncounted."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from feedhandler.log import (
    LINE_BYTES_MAX,
    NAMES_MAX,
    RATE_LINES_MAX,
    RATE_WINDOW_NS,
    Log,
    escape,
    escape_line,
)
from feedhandler.sink import Sink
from tests.support import Programs


class Lines:
    """A sink that keeps its lines."""

    dropped = 0

    def __init__(self) -> None:
        self.lines: list[str] = []

    def write(self, line: bytes) -> bool:
        self.lines.append(line.decode("ascii"))
        return True


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    read_fd, write_fd = os.pipe()
    yield read_fd, write_fd
    for fd in (read_fd, write_fd):
        with contextlib.suppress(OSError):  # the test has closed it itself
            os.close(fd)


def drain(fd: int) -> bytes:
    os.set_blocking(fd, False)
    data = b""
    try:
        while piece := os.read(fd, 65_536):
            data += piece
    except BlockingIOError:
        return data
    return data


def test_line_has_stamp_role_name_and_facts() -> None:
    lines = Lines()
    Log("feed:hyperliquid", lines).event("connected", {"session": 3, "ms": 41}, 0)
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z feed:hyperliquid connected "
        r"session=3 ms=41\n",
        lines.lines[0],
    )


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (3, "3"),
        (4.5, "4.5"),
        (None, "-"),
        (True, "true"),
        ("plain:text/1", "plain:text/1"),
        ("", '""'),
        ("two words", '"two words"'),
        ("a=b", '"a=b"'),
        ('say "x"', '"say \\"x\\""'),
        ("back\\slash", '"back\\\\slash"'),
        ("line\nbreak", '"line\\nbreak"'),
        ("\x1b[31m", '"\\u001b[31m"'),
        ("\x7f", '"\\u007f"'),
        ("\u202eevil", '"\\u202eevil"'),
        (b"\xff\x00", '"\\\\xff\\u0000"'),
        (ValueError("a b"), '"ValueError: a b"'),
    ],
)
def test_value_can_break_neither_line_nor_terminal(value: object, shown: str) -> None:
    assert escape(value) == shown


def test_line_is_cut_at_its_limit() -> None:
    lines = Lines()
    facts = {f"key{number}": "x" * 400 for number in range(20)}
    Log("role", lines).event("large", facts, 0)
    assert len(lines.lines[0]) == LINE_BYTES_MAX
    assert lines.lines[0].endswith("...\n")


def test_json_form_is_one_object_a_line_also_when_cut() -> None:
    lines = Lines()
    log = Log("role", lines, as_json=True)
    log.event("small", {"text": "a\nb\x1b", "count": 3, "nothing": None}, 0)
    log.event("large", {f"key{number}": "x" * 400 for number in range(20)}, 0)
    small, large = (json.loads(line) for line in lines.lines)
    assert small["event"] == "small"
    assert small["text"] == "a\nb\x1b"
    assert small["count"] == 3
    assert small["nothing"] is None
    assert large["event"] == "large"
    assert large["cut_bytes"] > LINE_BYTES_MAX


def test_storm_of_one_name_is_limited_and_its_rest_counted() -> None:
    lines = Lines()
    log = Log("role", lines)
    for _ in range(1_000):
        log.event("storm", {}, 0)
    log.event("other", {}, 0)
    assert len(lines.lines) == RATE_LINES_MAX + 1, "another name has its own allowance"
    assert log.suppressed == 1_000 - RATE_LINES_MAX
    log.event("storm", {}, RATE_WINDOW_NS)
    assert f"suppressed name=storm count={1_000 - RATE_LINES_MAX}" in lines.lines[-2]
    assert " storm" in lines.lines[-1]


def test_flush_tells_what_was_suppressed_when_nothing_follows() -> None:
    lines = Lines()
    log = Log("role", lines)
    for _ in range(RATE_LINES_MAX + 5):
        log.event("storm", {}, 0)
    log.flush(RATE_WINDOW_NS - 1)
    assert "count=5" not in lines.lines[-1]
    log.flush(RATE_WINDOW_NS)
    log.flush(2 * RATE_WINDOW_NS)
    assert [line for line in lines.lines if "count=5" in line] == [lines.lines[-1]]


def test_names_without_end_share_one_allowance() -> None:
    lines = Lines()
    log = Log("role", lines)
    for number in range(NAMES_MAX + 1_000):
        log.event(f"name{number}", {}, 0)
    assert len(lines.lines) == NAMES_MAX + RATE_LINES_MAX


def test_full_pipe_drops_and_counts_and_takes_lines_again(
    pipe: tuple[int, int],
) -> None:
    read_fd, write_fd = pipe
    sink = Sink.reopen(write_fd)
    line = b"x" * 999 + b"\n"
    for _ in range(200):  # a pipe holds 65
        sink.write(line)
    assert sink.dropped >= 100
    kept = drain(read_fd)
    assert len(kept) % len(line) == 0, "no line is torn"
    assert sink.write(line)
    assert drain(read_fd) == line


def test_flags_of_the_shared_descriptor_stay_as_they_are(
    pipe: tuple[int, int],
) -> None:
    _, write_fd = pipe
    before = fcntl.fcntl(write_fd, fcntl.F_GETFL)
    assert Sink.reopen(write_fd).write(b"line\n")
    assert fcntl.fcntl(write_fd, fcntl.F_GETFL) == before


def test_reader_that_is_gone_costs_lines_and_nothing_else(
    pipe: tuple[int, int],
) -> None:
    read_fd, write_fd = pipe
    sink = Sink.reopen(write_fd)
    os.close(read_fd)
    assert not sink.write(b"line\n")
    assert sink.dropped == 1


def test_closed_descriptor_drops_every_line() -> None:
    fd = os.open(os.devnull, os.O_WRONLY)
    os.close(fd)
    sink = Sink.reopen(fd)
    assert not sink.write(b"line\n")
    assert sink.dropped == 1


def test_terminal_that_is_stopped_does_not_block() -> None:
    controller, terminal = os.openpty()
    try:
        sink = Sink.reopen(terminal)
        # Nobody reads the controller: the terminal's buffer fills up.
        for _ in range(1_000):
            sink.write(b"x" * 99 + b"\n")
        assert sink.dropped > 0
    finally:
        os.close(terminal)
        os.close(controller)


def test_socket_that_is_full_does_not_block() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        sink = Sink.reopen(ours.fileno())
        for _ in range(10_000):
            sink.write(b"x" * 999 + b"\n")
        assert sink.dropped > 0
        assert ours.getblocking(), "our peer in this process may block as before"


def test_line_taken_in_part_is_finished_before_the_next(pipe: tuple[int, int]) -> None:
    read_fd, write_fd = pipe
    sink = Sink.reopen(write_fd)
    long_line = b"a" * 100_000 + b"\n"  # more than a pipe holds
    assert sink.write(long_line)
    assert not sink.write(b"too early\n")
    taken = drain(read_fd)
    assert sink.write(b"next\n")
    assert taken + drain(read_fd) == long_line + b"next\n"


def test_rest_of_a_line_is_waited_for_only_so_long(pipe: tuple[int, int]) -> None:
    read_fd, write_fd = pipe
    sink = Sink.reopen(write_fd)
    long_line = b"a" * 100_000 + b"\n"
    assert sink.write(long_line)
    assert not sink.finish(0.01)
    taken = drain(read_fd)
    assert sink.finish(0.01)
    assert taken + drain(read_fd) == long_line


def test_regular_file_is_shared_with_other_writers(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with path.open("wb", buffering=0) as file:
        sink = Sink.reopen(file.fileno())
        sink.write(b"first\n")
        file.write(b"traceback\n")
        sink.write(b"second\n")
    assert path.read_bytes() == b"first\ntraceback\nsecond\n"


def test_full_device_is_counted_and_does_not_raise() -> None:
    fd = os.open("/dev/full", os.O_WRONLY)
    try:
        sink = Sink.reopen(fd)
        assert not sink.write(b"line\n")
        assert sink.dropped == 1
    finally:
        os.close(fd)


def test_line_of_another_process_is_shown_escaped() -> None:
    assert escape_line(b"plain \xc3\xa9") == "plain é"
    assert escape_line(b"\x1b[2J\x07\xff") == "\\x1b[2J\\x07\\xff"
    assert escape_line(b"x" * 5, limit=3) == "xxx…"


SPEAK = """
from feedhandler import log
log.configure("feed:x")
log.event("hello", text="a b")
log.audit(venue="x", reconnect_reason="stale_watchdog", count=3, session=17, ts_ms=1)
"""


@pytest.mark.parametrize("form", ["", "json"])
def test_audit_line_has_one_form_whatever_the_log_has(
    form: str, programs: Programs
) -> None:
    program = programs.python("-c", SPEAK, environment={"FEEDHANDLER_LOG": form})
    assert program.wait() == 0
    event, audit = program.stderr().splitlines()
    assert audit == (
        "WS_AUDIT venue=x reconnect_reason=stale_watchdog count=3 session=17 ts_ms=1"
    )
    assert event.startswith("{") == (form == "json")
