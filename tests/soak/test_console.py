"""What a soak writes to run.log and to the terminal."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from feedhandler.soak.console import NAME, SoakConsole
from feedhandler.soak.progress import clock

STAMP = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"
AUDIT = (
    "WS_AUDIT venue=lighter reconnect_reason=ws_closed count=1 session=2 ts_ms=1795268"
)


def lines(folder: Path) -> list[str]:
    return (folder / NAME).read_text().splitlines()


def test_log_has_every_line_of_every_process(tmp_path: Path) -> None:
    console = SoakConsole(tmp_path, is_terminal=False)
    own = "2026-11-21T13:37:26.476Z feed:lighter connected session=1"
    console.write_child("feed:lighter", own.encode())
    console.write_child("feed:lighter", AUDIT.encode())
    console.write_child("feed:lighter", b"Traceback \x1b[31m")
    console.write(b"2026-11-21T13:37:26.476Z supervisor process_started\n")
    console.say("stopping: time is up")
    console.close()
    written = lines(tmp_path)
    assert written[:2] == [own, AUDIT]
    assert re.fullmatch(STAMP + r" feed:lighter\| Traceback \\x1b\[31m", written[2])
    assert written[3].endswith("supervisor process_started")
    assert re.fullmatch(STAMP + r" soak\| stopping: time is up", written[4])
    assert console.begun_ns == 0
    assert console.lines_dropped == 0


def test_progress_is_a_plain_line_where_one_is_due(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    console = SoakConsole(tmp_path, is_terminal=False)
    console.progress("one", is_due=True)
    console.progress("two", is_due=False)
    console.say("three")
    console.close()
    assert capfd.readouterr().out == "one\nthree\n"


def test_progress_stays_in_the_last_line_of_a_terminal(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    console = SoakConsole(tmp_path, is_terminal=True)
    console.progress("one", is_due=False)
    console.say("said")
    console.close()
    assert capfd.readouterr().out == "\r\x1b[Kone\r\x1b[Ksaid\none\n"
    assert not any("one" in line for line in lines(tmp_path)), "progress is no event"


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "00:00:00"), (3_725.9, "01:02:05"), (90_000, "25:00:00")]
)
def test_time_is_shown_in_hours(seconds: float, text: str) -> None:
    assert clock(seconds) == text


def test_progress_never_wraps(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    console = SoakConsole(tmp_path, is_terminal=True)
    console.progress("x" * 50, is_due=False)
    console.close()
    assert capfd.readouterr().out == f"\r\x1b[K{'x' * 19}\n"
