"""The live table fits its terminal, shows what matters, and gives the terminal back."""

from __future__ import annotations

import io
import math
import os
import pty
import signal
import sys
import termios
import time
from collections import deque
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest
from rich.console import Console as Terminal

from feedhandler.cli.format import number
from feedhandler.cli.market import Line, Market
from feedhandler.cli.table import brief, compose
from feedhandler.cli.view import plain_line
from feedhandler.client.follow import Record
from feedhandler.config import Config
from feedhandler.supervisor.console import RecentEvent
from feedhandler.supervisor.process import Supervisor
from tests.support import MS, ROOT, process_ids, segment_paths, wait_until

WIDTHS = [80, 100, 160]


def make_line(instrument: str, **values: Any) -> Line:
    row: dict[str, Any] = {
        "venue": "hyperliquid",
        "instrument": instrument,
        "bid": 97_004.5,
        "bid_size": 1.23456,
        "ask": 97_005.0,
        "ask_size": 12_345.678,
        "state": "LIVE",
        "reason": "",
        "tradable": True,
        "apply_age_ns": 12_000_000,
        "recv_age_ns": 15_000_000,
    }
    line = Line(row | values, decimals=1)
    line.mids.extend([97_004.0, 97_005.0, 97_003.0])
    fields = {"price": 97_004.5, "size": 0.25}
    line.trade = Record("trade", "hyperliquid", instrument, "BTC", fields)
    return line


def make_child(role: str, **values: Any) -> SimpleNamespace:
    fields = {"role": role, "state": "running", "pid": 123, "restarts_count": 0}
    return SimpleNamespace(**fields | values)


def draw(
    lines: list[Line], width: int, height: int, children: Sequence[object] = ()
) -> list[str]:
    market = SimpleNamespace(lines={line.row["instrument"]: line for line in lines})
    recent = deque([RecentEvent("04:12:00", f"event {n} " * 30) for n in range(40)])
    supervisor = SimpleNamespace(
        children=children or [make_child("feed:hyperliquid", restarts_count=2)],
        config=Config(instance="demo"),
        options=SimpleNamespace(
            simulation=object(), console=SimpleNamespace(recent=recent)
        ),
        started_ns=time.monotonic_ns() - 3_723_000_000_000,
    )
    picture = compose(
        cast("Market", market), cast("Supervisor", supervisor), 0.0, width, height
    )
    output = io.StringIO()
    Terminal(file=output, width=width, height=height, no_color=True).print(picture)
    return output.getvalue().splitlines()


@pytest.mark.parametrize("width", WIDTHS)
def test_picture_fits_and_shows_every_figure(width: int) -> None:
    lines = draw([make_line("BTC-PERP"), make_line("ETH-PERP")], width, 24)
    assert max(map(len, lines)) <= width
    assert len(lines) <= 24
    text = "\n".join(lines)
    for word in (
        *("demo", "up 1:02:03", "feed:hyperliquid 123 ↻2", "BTC-PERP hyperliquid"),
        *("97004.5", "97005.0", "1.235", "12346", "0.05 bps", "12 apply", "15 recv"),
        *("● LIVE", "✔ tradable", "▅█▁", "event 39"),
    ):
        assert word in text, word


@pytest.mark.parametrize("width", WIDTHS)
def test_many_instruments_take_one_line_each(width: int) -> None:
    rows = [make_line(f"I{number}-PERP") for number in range(12)]
    lines = draw(rows, width, 24)
    assert max(map(len, lines)) <= width
    assert sum("-PERP" in line for line in lines) == 12
    assert len(lines) <= 24


def test_processes_that_do_not_fit_are_counted_and_the_restless_named() -> None:
    children = [make_child(f"feed:venue{number}") for number in range(8)]
    children.append(make_child("rest", state="waiting", pid=0, restarts_count=3))
    children.append(make_child("runner", restarts_count=1))
    narrow = draw([], 80, 24, children)[1]
    assert narrow.split() == [
        *("●", "9", "of", "10", "processes", "run"),
        *("●", "rest", "waiting", "↻3", "●", "runner", "123", "↻1"),
    ]
    assert "feed:venue7 123" in draw([], 240, 24, children)[1]


def test_one_line_says_why_a_quote_is_not_tradable() -> None:
    rows = [make_line(f"I{number}-PERP") for number in range(11)]
    values = {"state": "QUIET", "reason": "quiet_unconfirmed", "tradable": False}
    rows.append(make_line("J-PERP", **values))
    (line,) = (line for line in draw(rows, 80, 24) if "J-PERP" in line)
    assert "quiet_unconfirmed" in line
    assert "○ QUIET" in line
    assert "bps" not in line


def test_absent_prices_and_refused_quotes_are_shown_as_such() -> None:
    line = make_line(
        "BTC-PERP",
        bid=math.nan,
        bid_size=math.nan,
        state="SUSPECT",
        reason="one_sided",
        tradable=False,
        apply_age_ns=-1,
    )
    text = "\n".join(draw([line], 80, 24))
    assert "○ SUSPECT" in text
    assert "one_sided" in text
    assert "- apply" in text
    assert "nan" not in text


def test_without_quotes_the_table_says_that_it_waits() -> None:
    assert "waiting for the first quote" in "\n".join(draw([], 80, 24))


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        (
            "WS_AUDIT venue=x reconnect_reason=stale_watchdog count=3 session=17",
            "x session 17 ended: stale_watchdog",
        ),
        (
            'runner state venue=x instrument=A state=LIVE reason="" previous=STALE',
            "x A STALE → LIVE",
        ),
        (
            "runner state venue=x instrument=A state=DOWN reason=audit previous=DOWN",
            "x A DOWN audit",
        ),
        ("supervisor process_ended pid=1", "process_ended pid=1"),
        ("anything else", "anything else"),
    ],
)
def test_footer_shortens_what_it_knows(line: str, shown: str) -> None:
    assert brief(line) == shown


def test_line_without_a_terminal_says_the_same_in_words() -> None:
    text = plain_line(make_line("BTC-PERP"), 0.0)
    assert f"{number(97_004.5)} x 97005.0 LIVE tradable apply 12 ms recv 15 ms" in text


def test_line_without_a_terminal_shows_an_unknown_age_as_a_dash() -> None:
    line = make_line("BTC-PERP", apply_age_ns=-1, recv_age_ns=-1)
    assert "apply - ms recv - ms" in plain_line(line, 0.0)


@pytest.mark.slow
@pytest.mark.timeout(60)
def test_terminal_is_given_back_at_ctrl_c(instance: str) -> None:
    pid, fd = pty.fork()
    if pid == 0:
        environment = os.environ | {"PYTHONPATH": str(ROOT), "TERM": "xterm"}
        for name in ("COLUMNS", "LINES"):  # a size that a worker has is not this one's
            environment.pop(name, None)
        arguments = ["start", "--demo", "--instance", instance]
        command = [sys.executable, "-P", "-m", "feedhandler", *arguments]
        os.execve(sys.executable, command, environment)
    termios.tcsetwinsize(fd, (60, 140))
    codes: list[int] = []
    try:
        shown = read_until(fd, "tradable")
        assert "\x1b[?1049h" in shown, "the table has a screen of its own"
        os.write(fd, b"\x03")
        rest = read_until(fd, "stopped in")
        assert rest.index("\x1b[?25h") < rest.index("stopped in"), "the cursor is back"
        assert "\x1b[?1049l" in rest
        assert "Traceback" not in shown + rest
        wait_until(lambda: reaped(pid, codes), 10_000 * MS, "its end")
        assert codes == [0]
        assert not segment_paths(instance)
    finally:
        for left in process_ids(instance):
            os.kill(left, signal.SIGKILL)
        os.close(fd)


def reaped(pid: int, codes: list[int]) -> bool:
    found, status = os.waitpid(pid, os.WNOHANG)
    if found:
        codes.append(os.waitstatus_to_exitcode(status))
    return bool(found)


def read_until(fd: int, word: str) -> str:
    text = ""
    os.set_blocking(fd, False)

    def read() -> bool:
        nonlocal text
        try:
            text += os.read(fd, 65_536).decode("utf-8", "replace")
        except BlockingIOError:
            return False
        except OSError:
            return word in text  # the other end is closed
        return word in text

    try:
        wait_until(read, 20_000 * MS, f"{word!r} on the terminal")
    except AssertionError as error:
        raise AssertionError(f"{error}\n{text[-4_000:]!r}") from None
    return text
