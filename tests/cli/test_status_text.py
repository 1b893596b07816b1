"""`status` for people: everything is readable at the width of any terminal."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from typing import Any

import pytest
from click.testing import CliRunner

from feedhandler.cli import snapshot
from feedhandler.cli.status import command
from tests.support import ROOT, watchdog

WIDTHS = (80, 100, 160)
VENUES = {"hyperliquid": "QUIET", "lighter": "QUARANTINED"}
ENDS = {"stale_watchdog": 12, "subscribe_error": 3, "session_timeout": 456}
AGES = {"apply_age_ms": 86_400_000.0, "recv_age_ms": 12.3, "event_age_ms": -4_567.8}
TIMES = {"p50_ms": 0.1, "p99_ms": 12.3, "p99_9_ms": 335.5, "max_ms": 86_400_000.0}


def quote(venue: str, instrument: str, **values: Any) -> dict[str, Any]:
    row = {"venue": venue, "instrument": instrument, "state": VENUES[venue]}
    row |= {"tradable": False, "source": "STREAM", "reason": "quiet_unconfirmed"}
    return row | {"bid": 97_007.8, "ask": 97_009.9} | AGES | values


def venue_row(venue: str, state: str) -> dict[str, Any]:
    return {
        "venue": venue,
        "feed_kind": "both",
        "state": state,
        "session": 1_234,
        "frames": 123_456_789,
        "reconnects": ENDS,
        "resyncs": {"seq_gap": 7, "crossed": 0},
        "rejected": {"json": 99},
    }


PROCESS = {
    "role": "feed:hyperliquid",
    "pid": 4_194_304,
    "state": "refused: time_namespace",
    "epoch": 12,
    "heartbeat_age_ms": 86_400_000.0,
    "restarts": 1_234,
}
REST = {
    "venue": "hyperliquid",
    "self_check": "connect_timeout",
    "state": "fallback",
    "attempts": 12_345,
    "injected": 12_345,
    "failures": {"connect_timeout": 123, "http_429": 4},
    "discarded": {"disordered": 5},
}
RING = {
    "ring": "feed:hyperliquid",
    "read": 123_456_789,
    "lag": 65_536,
    "lag_max": 65_536,
    "lost": 123_456,
    "laps": 12,
}
READER = {
    "name": "a_recorder_with_a_name_of_32_chr",
    "pid": 4_194_304,
    "state": "stalled",
    "poll_age_ms": 86_400_000.0,
    "rings": [RING],
}


def document() -> dict[str, Any]:
    """Return a bad night: long names, large numbers, every kind of note."""
    hop = {"venue": "hyperliquid", "hop": "publish_to_apply", "count": 10**9}
    return {
        "instance": "x",
        "processes": [PROCESS],
        "venues": [venue_row(venue, state) for venue, state in VENUES.items()],
        "instruments": [
            quote("hyperliquid", "BTC-PERP"),
            quote("hyperliquid", "kPEPE-PERP", bid=0.012345, ask=0.012346),
            quote("lighter", "ETH-PERP", source="REST"),
            quote("lighter", "BTC-PERP", tradable=True, reason="quiet_confirmed"),
        ],
        "rings": [{"venue": venue, "lost": 123_456} for venue in VENUES],
        "hops": [hop | TIMES],
        "rest": [REST],
        "readers": [READER],
    }


def shown(monkeypatch: pytest.MonkeyPatch, width: int) -> list[str]:
    monkeypatch.setattr(snapshot, "read_status", lambda instance: document())
    environment = {"COLUMNS": str(width) if width else None}
    result = CliRunner().invoke(command, env=environment, standalone_mode=False)
    assert result.exception is None, result.output
    return str(result.output).splitlines()


@pytest.mark.parametrize("width", WIDTHS)
def test_a_bad_night_fits_the_terminal(
    monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    lines = shown(monkeypatch, width)
    assert max(map(len, lines)) <= width


@pytest.mark.parametrize("width", [*WIDTHS, 0])
def test_what_matters_is_shown_whole_at_any_width(
    monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    text = "\n".join(shown(monkeypatch, width))
    for word in (
        *("feed:hyperliquid", "4194304", "refused: time_namespace", "86400000.0"),
        *("QUARANTINED", "123456789", "reconnects.stale_watchdog=12"),
        *("reconnects.session_timeout=456", "resyncs.seq_gap=7", "rejected.json=99"),
        *("connect_timeout", "fallback", "failures.connect_timeout=123"),
        *("BTC-PERP", "97007.8", "97009.9", "0.012345", "quiet_unconfirmed", "by REST"),
        *("tradable", "publish_to_apply", "1000000000", "335.5"),
        *("a_recorder_with_a_name_of_32_chr", "stalled", "65536", "123456", "12"),
    ):
        assert word in text, word
    assert "crossed" not in text, "what never happened is no note"


def test_without_a_terminal_every_column_is_there_and_no_line_is_wrapped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lines = shown(monkeypatch, 0)
    (title,) = [line for line in lines if line.startswith("QUOTE")]
    assert re.split(r"\s{2,}", title) == [
        *("QUOTE", "STATE", "BID", "ASK", "APPLY ms", "RECV ms", "EVENT ms", "REASON")
    ]
    assert sum("rejected.json=99" in line for line in lines) == len(VENUES)
    assert all(line.startswith(tuple(VENUES)) for line in lines if "rejected" in line)


def test_narrow_quote_says_verdict_and_reason_in_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lines = [line for line in shown(monkeypatch, 100) if "-PERP" in line]
    verdicts = [line.split("  ")[-1] for line in lines]
    assert verdicts == [
        "no: quiet_unconfirmed",
        "no: quiet_unconfirmed",
        "by REST: quiet_unconfirmed",
        "tradable",
    ]


@pytest.mark.parametrize("width", [80, 160])
def test_width_is_that_of_the_terminal_it_is_printed_on(
    instance: str, width: int
) -> None:
    source = (
        "from tests.cli.test_status_text import document; import sys;"
        "from feedhandler.cli import main, snapshot;"
        "snapshot.read_status = lambda instance: document();"
        "sys.exit(main(['status']))"
    )
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
    environment = os.environ | {"TERM": "xterm", "PYTHONPATH": str(ROOT)}
    environment.pop("COLUMNS", None)  # of the terminal that the tests run in
    program = subprocess.Popen(
        [sys.executable, "-P", "-c", source], stdout=slave, env=environment
    )
    os.close(slave)
    output = b""
    with watchdog(program), os.fdopen(master, "rb", buffering=0) as terminal:
        while chunk := read(terminal.fileno()):
            output += chunk
    assert program.wait() == 1
    text = output.decode()
    assert "\x1b[31mQUARANTINED\x1b[0m" in text, "in colour"
    lines = re.sub(r"\x1b\[\d*m", "", text).splitlines()
    assert 0.75 * width < max(map(len, lines)) <= width


def read(fd: int) -> bytes:
    try:
        return os.read(fd, 65_536)
    except OSError:
        return b""  # the other end is closed
