"""Every command is there, explains itself, and ends with the code of its table."""

from __future__ import annotations

import json
import os
import pty
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from feedhandler.cli import group as group_module
from feedhandler.cli.group import COMMANDS, main
from feedhandler.errors import (
    EXIT_INTERRUPTED,
    AlreadyRunning,
    ConfigError,
    FeedhandlerError,
    NotRunning,
    ResourcesMissing,
    UsageError,
    exit_code,
)
from shm_layout import (
    CapacityExceeded,
    OwnershipLost,
    SegmentBusy,
    SegmentError,
    SegmentMissing,
    SegmentNotReady,
    SegmentRefused,
    SegmentSpace,
)
from tests.support import ROOT, Programs

# For a shell; `-P` keeps the working directory off the import path.
COMMAND = f"{shlex.quote(sys.executable)} -P -m feedhandler"


# They run no process of an instance: those of a simulation, files, the product itself.
OF_NO_INSTANCE = ("sim", "report", "analyze", "compare", "tune", "version")


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_explains_itself_with_an_example(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command, "--help"]) == 0
    text = capsys.readouterr().out
    assert "Example" in text
    assert f"feedhandler {command}" in text.partition("Example")[2]


@pytest.mark.parametrize(
    "command", [name for name in COMMANDS if name not in OF_NO_INSTANCE]
)
def test_each_command_of_an_instance_takes_its_name(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    main([command, "--help"])
    assert "--instance NAME" in capsys.readouterr().out


def test_interrupt_during_the_imports_is_an_end_without_a_traceback() -> None:
    source = (
        "import sys\n"
        "from feedhandler.cli import main\n"
        "class Interrupt:\n"
        "    def find_spec(name, path=None, target=None):\n"
        "        if name == 'click': raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Interrupt)\n"
        "sys.exit(main(['status']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", source], cwd=ROOT, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout, done.stderr) == (EXIT_INTERRUPTED, "", "")


def test_package_is_imported_without_what_only_readers_need() -> None:
    source = (
        "import sys, feedhandler; assert 'numpy' not in sys.modules; "
        "from feedhandler import attach; assert callable(attach); "
        "assert not hasattr(feedhandler, 'bogus')"
    )
    subprocess.run([sys.executable, "-c", source], cwd=ROOT, check=True)


def test_help_lists_every_command_without_importing_one() -> None:
    source = (
        "import sys; from feedhandler.cli import main; main(['--help']); "
        "print(sorted(m for m in sys.modules if m.startswith('feedhandler.cli.')))"
    )
    output = subprocess.run(
        [sys.executable, "-c", source], cwd=ROOT, capture_output=True, text=True
    ).stdout
    for name in COMMANDS:
        assert f"  {name} " in output
    assert output.splitlines()[-1] == "['feedhandler.cli.group']"


@pytest.mark.parametrize(
    "arguments",
    [
        ["bogus"],
        ["status", "--bogus"],
        ["feed"],
        ["feed", "bogus"],
        ["feed", "../x"],
        ["feed", "hyperliquid", "--config", ""],
        ["status", "--instance", "../x"],
        ["status", "--instance", "a" * 33],
        ["status", "--instance", ""],
        ["status", "--instance=-x"],
        ["start", "--seed", "1"],
        ["start", "--venue", "bogus"],
        ["start", "--demo", "--rate", "0"],
        ["start", "--demo", "--fault", "lighter:mutee@3s"],
        ["start", "--demo", "--fault", "bogus:mute@3s"],
        ["start", "--demo", "--venue", "aster", "--fault", "lighter:mute@3s"],
        ["start", "--for", "0"],
        ["config", "--config", "/nonexistent"],
        ["config", "--config", "/dev"],
        ["config", "--json"],
        ["tap", "--kind", "bogus"],
        ["tap", "--count", "0"],
    ],
)
def test_wrong_use_exits_2_with_a_sentence(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.err
    assert "Traceback" not in captured.err


def test_mistyped_command_is_told_the_nearest(
    capsys: pytest.CaptureFixture[str],
) -> None:
    main(["statsu"])
    assert "Did you mean 'status'?" in capsys.readouterr().err
    main(["xyzzy"])
    assert "mean" not in capsys.readouterr().err


def test_command_without_a_configuration_does_not_claim_to_read_one(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for command in ("status", "stop", "tap"):
        main([command, "--help"])
        text = capsys.readouterr().out
        assert "FEEDHANDLER_INSTANCE" in text
        assert "as configured" not in text


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigError(["a", "b"]), 2),
        (UsageError("a"), 2),
        (CapacityExceeded("a"), 2),
        (OwnershipLost("a"), 3),
        (AlreadyRunning("a", 7), 4),
        (SegmentBusy("/fh.a.b", 7), 4),
        (ResourcesMissing("a"), 5),
        (SegmentSpace("/fh.a.b", 2, 1), 5),
        (SegmentRefused("magic", "a"), 5),
        (NotRunning("a"), 1),
        (SegmentMissing("a"), 1),
        (SegmentNotReady("a"), 1),
        (KeyboardInterrupt(), 130),
        (ValueError("a"), None),
    ],
)
def test_each_foreseen_error_has_its_code(
    error: BaseException, code: int | None
) -> None:
    assert exit_code(error) == code


def test_every_leaf_of_our_errors_has_a_code() -> None:
    leaves = [*FeedhandlerError.__subclasses__(), *SegmentError.__subclasses__()]
    for leaf in leaves:
        assert exit_code(leaf.__new__(leaf)) is not None, leaf


def test_bug_exits_70_with_a_short_traceback(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*arguments: object, **options: object) -> None:
        raise ZeroDivisionError("planted")

    monkeypatch.setattr(group_module.group, "main", broken)
    assert main(["version"]) == 70
    text = capsys.readouterr().err
    assert "ZeroDivisionError: planted" in text
    assert "this is a bug" in text
    assert len(text.splitlines()) < 20


def test_reader_that_closes_the_pipe_ends_it_quietly(programs: Programs) -> None:
    command = f"{COMMAND} config --effective | head -1"
    program = programs.start("bash", "-c", f"set -o pipefail; {command}")
    assert program.wait() == 0
    assert program.stdout().startswith("instance")
    assert not program.stderr()


def test_closed_standard_streams_are_no_bug(programs: Programs) -> None:
    command = f"{COMMAND} stop --instance none-such >&- 2>&-"
    assert programs.start("bash", "-c", command).wait() == 0


def test_full_disk_is_said_and_is_no_bug(programs: Programs) -> None:
    program = programs.start("bash", "-c", f"{COMMAND} version > /dev/full")
    assert program.wait() == 5
    assert program.stderr().splitlines() == [
        "feedhandler: cannot write: [Errno 28] No space left on device"
    ]


def test_process_whose_parent_is_gone_exits_at_once(programs: Programs) -> None:
    environment = {"FEEDHANDLER_PARENT": "1"}
    assert programs.feedhandler("version", environment=environment).wait() == 1


@pytest.mark.parametrize(("value", "is_coloured"), [("", True), ("1", False)])
def test_no_color_takes_colours_from_a_terminal(
    value: str, is_coloured: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", value)
    main_fd, fd = pty.openpty()
    with os.fdopen(main_fd, "rb"), os.fdopen(fd, "w") as terminal:
        monkeypatch.setattr(sys, "stdout", terminal)
        assert main(["doctor"]) in (0, 1)
        terminal.flush()
        shown = os.read(main_fd, 65_536).decode()
    assert "configuration" in shown
    assert ("\x1b" in shown) == is_coloured


def test_version_names_what_it_runs_on(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["version"]) == 0
    text = capsys.readouterr().out
    assert "shared memory: " in text
    assert "websockets" in text


def test_config_shows_each_value_with_its_origin(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = tmp_path / "feedhandler.toml"
    path.write_text(
        '[venue.hyperliquid]\nstale_ms = 9000\nws_url = "wss://me:canary@example.org"\n'
    )
    monkeypatch.setenv("FEEDHANDLER_RUNNER_PASS_MS", "2")
    assert main(["config", "--effective", "--json", "--config", str(path)]) == 0
    text = capsys.readouterr().out
    assert "canary" not in text
    rows = {
        (row["section"], row["key"]): (row["value"], row["origin"])
        for row in json.loads(text)["values"]
    }
    assert rows["venue.hyperliquid", "stale_ms"] == (9000, "file")
    assert rows["runner", "pass_ms"] == (2, "environment")
    assert rows["runner", "tick_ms"] == (50, "default")


def test_config_shows_what_the_venue_uses_where_a_value_leaves_it_to_the_venue(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FEEDHANDLER_LIGHTER_READ_TIMEOUT_MS", "7000")
    assert main(["config", "--effective", "--json"]) == 0
    own = {
        (row["section"], row["key"]): row.get("own")
        for row in json.loads(capsys.readouterr().out)["values"]
    }
    assert own["venue.extended", "read_timeout_ms"] == 10_000
    assert own["venue.lighter", "read_timeout_ms"] is None, "it is configured"
    assert own["venue.lighter", "fresh_ms"] == 3_000
    assert own["venue.lighter", "stale_ms"] is None, "it is the same for every venue"
    assert main(["config", "--effective"]) == 0
    shown = capsys.readouterr().out.splitlines()
    (line,) = {line for line in shown if "the venue's 10000" in line and "read" in line}
    assert line.startswith("read_timeout_ms = -1 ")


def test_config_shown_as_text_loads_again_as_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["config", "--effective"]) == 0
    shown = capsys.readouterr().out
    path = tmp_path / "shown.toml"
    path.write_text(shown)
    assert main(["config", "--effective", "--config", str(path)]) == 0
    again = capsys.readouterr().out
    assert again.replace("# file", "# default") == shown


def test_refused_configuration_exits_2_with_every_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "feedhandler.toml"
    path.write_text("[runner]\npass_ms = 0\nbudgt = 1\n")
    assert main(["config", "--config", str(path)]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 2
