"""What tests share: waiting, time units, started processes, leftovers.

Owns no fixtures (those are in `conftest.py`) and knows nothing of the product
but the names of what it leaves behind. How to use it:

    from tests.support import MS, free_port, wait_until

    def test_quote_appears_after_connect(instance, programs):
        feed = programs.feedhandler("feed", "hyperliquid", "--instance", instance)
        wait_until(lambda: segment_paths(instance), 2000 * MS, "a segment")
        assert feed.stop() == 0

Fixtures from `conftest.py`:

    instance   a unique instance name; the test fails, after a clean-up, when a
               segment `/dev/shm/fh.<instance>.*`, a process or the directory of a
               demo is left behind
    programs   starts processes (a `Programs`), each with a watchdog; what still
               runs at the end of the test is ended

A test with an `instance` that fails is tried once more and listed as RERUN.

Never sleep for a result: `wait_until` polls until its deadline and then fails
with what was waited for. `MS` is a millisecond in seconds, longer on a slow
machine (`TEST_TIME_FACTOR=5` in the environment stretches every deadline).
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Protocol, TypeVar

ROOT = Path(__file__).resolve().parent.parent
SHM = Path("/dev/shm")

# Two cores are shared by the workers of one run, so deadlines double there.
_FEW_CORES = 2 if len(os.sched_getaffinity(0)) <= 2 else 1
MS = 0.001 * float(os.environ.get("TEST_TIME_FACTOR", _FEW_CORES))

# Ends a process that hangs; the longest test is stopped after 120 s anyway.
WATCHDOG_S = 90.0
POLL_FIRST_S = 0.0005
POLL_MAX_S = 0.02

_instances = itertools.count(1)

Value = TypeVar("Value")


def wait_until(
    condition: Callable[[], Value], timeout_s: float, what: str = "the condition"
) -> Value:
    """Call `condition` until it returns something true, and return that.

    Fails with an `AssertionError` that names `what` when the deadline passes.
    """
    deadline_s = time.monotonic() + timeout_s
    pause_s = POLL_FIRST_S
    while True:
        if value := condition():
            return value
        if time.monotonic() >= deadline_s:
            raise AssertionError(f"not within {timeout_s:.3f} s: {what}")
        time.sleep(pause_s)
        pause_s = min(2 * pause_s, POLL_MAX_S)


async def wait_until_async(
    condition: Callable[[], Value], timeout_s: float, what: str = "the condition"
) -> Value:
    """Do as `wait_until` does, and let the event loop run meanwhile."""
    deadline_s = time.monotonic() + timeout_s
    pause_s = POLL_FIRST_S
    while True:
        if value := condition():
            return value
        if time.monotonic() >= deadline_s:
            raise AssertionError(f"not within {timeout_s:.3f} s: {what}")
        await asyncio.sleep(pause_s)
        pause_s = min(2 * pause_s, POLL_MAX_S)


def free_port() -> int:
    """Return a loopback TCP port that was free a moment ago."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


class Killable(Protocol):
    """A `subprocess.Popen`, or a `multiprocessing.Process`."""

    def kill(self) -> None: ...


@contextlib.contextmanager
def watchdog(process: Killable, limit_s: float = WATCHDOG_S) -> Iterator[None]:
    """Kill `process` when the block takes longer than `limit_s`."""
    timer = threading.Timer(limit_s, process.kill)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


# --- instances and what they leave behind -----------------------------------


def new_instance() -> str:
    """Return an instance name no other test, worker or run uses."""
    return f"{session_prefix()}{next(_instances)}-{secrets.token_hex(3)}"


def session_prefix() -> str:
    """Return how every instance name of this worker begins."""
    return f"test-{os.getpid()}-"


def segment_paths(instance: str) -> list[Path]:
    """Return the segments of an instance that exist now."""
    return sorted(SHM.glob(f"fh.{instance}.*"))


def demo_folder(instance: str) -> Path:
    """Return the directory that a demo of the instance has while it runs."""
    return Path(tempfile.gettempdir(), f"feedhandler-{os.geteuid()}.{instance}")


def process_ids(word: str) -> list[int]:
    """Return the living processes, but this one, that have `word` in their
    command line."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            if word.encode() in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
    return found


def child_ids() -> set[int]:
    """Return the living children of this process, without Python's own helpers."""
    found: set[int] = set()
    for task in Path("/proc/self/task").iterdir():
        with contextlib.suppress(OSError):
            found.update(int(word) for word in (task / "children").read_text().split())
    return {pid for pid in found if _is_running(pid)}


def _is_running(pid: int) -> bool:
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    # multiprocessing keeps one tracker process for the life of its parent.
    return state != "Z" and b"multiprocessing.resource_tracker" not in command


def remove_leftovers(instance: str, children_before: set[int]) -> list[str]:
    """Remove what a test of `instance` left behind and say what it was."""
    left = []
    for pid in sorted({*process_ids(instance), *(child_ids() - children_before)}):
        with contextlib.suppress(OSError):
            command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            left.append(f"process {pid}: {b' '.join(command).decode(errors='replace')}")
            os.kill(pid, signal.SIGKILL)
    for path in segment_paths(instance):
        left.append(f"segment {path}")
        path.unlink(missing_ok=True)
    if demo_folder(instance).exists():
        left.append(f"directory {demo_folder(instance)}")
        shutil.rmtree(demo_folder(instance))
    return left


# --- started processes -------------------------------------------------------


class Program:
    """One started process: its output in files, a watchdog, a clean end."""

    def __init__(
        self,
        arguments: list[str],
        environment: Mapping[str, str],
        folder: Path,
        limit_s: float,
    ) -> None:
        self.stdout_path = folder / "stdout"
        self.stderr_path = folder / "stderr"
        with self.stdout_path.open("wb") as out, self.stderr_path.open("wb") as err:
            self.process = subprocess.Popen(
                arguments,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                # A group of its own, so that an end reaches its children too.
                start_new_session=True,
            )
        self._watchdog = threading.Timer(limit_s, self._kill_group)
        self._watchdog.daemon = True
        self._watchdog.start()

    @property
    def pid(self) -> int:
        """The process id."""
        return self.process.pid

    def stdout(self) -> str:
        """Return what it has printed so far."""
        return self.stdout_path.read_text(errors="replace")

    def stderr(self) -> str:
        """Return what it has logged so far."""
        return self.stderr_path.read_text(errors="replace")

    def is_running(self) -> bool:
        """Return whether it has not ended yet."""
        return self.process.poll() is None

    def wait(self, timeout_s: float = 20.0) -> int:
        """Wait for its end and return its exit code (negative for a signal)."""
        try:
            return self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(
                f"no end within {timeout_s} s: pid={self.pid}\n{self.stderr()}"
            ) from None

    def stop(self, number: int = signal.SIGTERM, timeout_s: float = 20.0) -> int:
        """Send a signal, wait for the end and return the exit code."""
        self.process.send_signal(number)
        return self.wait(timeout_s)

    def kill(self) -> int:
        """Kill it alone, not its children, and return the exit code."""
        return self.stop(signal.SIGKILL)

    def close(self) -> None:
        """End it and whatever is in its process group."""
        self._watchdog.cancel()
        if self.is_running():
            with contextlib.suppress(AssertionError):
                self.stop(timeout_s=5.0)
        self._kill_group()
        self.process.wait()

    def _kill_group(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)


class Programs:
    """Starts processes for one test and ends them all with it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.started: list[Program] = []

    def start(
        self,
        *arguments: str | Path,
        environment: Mapping[str, str] | None = None,
        limit_s: float = WATCHDOG_S,
    ) -> Program:
        """Start a program; `environment` is added to a neutral one."""
        folder = self._folder / f"program-{len(self.started)}"
        folder.mkdir(parents=True)
        program = Program(
            [str(argument) for argument in arguments],
            {**self.environment(), **(environment or {})},
            folder,
            limit_s,
        )
        self.started.append(program)
        return program

    def python(
        self,
        *arguments: str | Path,
        environment: Mapping[str, str] | None = None,
        limit_s: float = WATCHDOG_S,
    ) -> Program:
        """Start this Python, for example with `"-c", source`."""
        return self.start(
            sys.executable, *arguments, environment=environment, limit_s=limit_s
        )

    def feedhandler(
        self,
        *arguments: str | Path,
        environment: Mapping[str, str] | None = None,
        limit_s: float = WATCHDOG_S,
    ) -> Program:
        """Start the command line of this checkout."""
        source = (
            "import sys; from feedhandler.cli import main; "
            "sys.argv[0] = 'feedhandler'; sys.exit(main())"
        )
        return self.start(
            sys.executable,
            "-c",
            source,
            *arguments,
            environment=environment,
            limit_s=limit_s,
        )

    def environment(self) -> dict[str, str]:
        """Return an environment without the caller's own configuration."""
        kept = {
            name: value
            for name, value in os.environ.items()
            # What picks the implementation under test is not configuration.
            if not name.startswith("FEEDHANDLER_") or name == "FEEDHANDLER_SHM"
        }
        kept["PYTHONPATH"] = str(ROOT)
        kept["XDG_STATE_HOME"] = str(self._folder / "state")
        kept["NO_COLOR"] = "1"
        return kept

    def close(self) -> None:
        """End everything that was started, the last first."""
        for program in reversed(self.started):
            program.close()
