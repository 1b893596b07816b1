"""One child process: started by exec, watched by pidfd, never waited for.

Owns the process, its descriptors and its place in this table; when it may start again
is the policy's business, what an ending means to the others is the supervisor's.

    waiting ──start──▶ running ──exit──▶ waiting ──▶ …
                          │    └─exit, budget spent──▶ disabled ──timed retry──▶ running
                          └─stop──▶ stopping ──exit──▶ ended
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

from feedhandler.supervisor.cause import Cause, cause_of, not_started
from feedhandler.supervisor.drain import Drain
from feedhandler.supervisor.parent import VARIABLE as PARENT_VARIABLE
from feedhandler.supervisor.policy import Restart, RestartPolicy
from feedhandler.supervisor.resources import OomWatch

WAITING: Final = "waiting"
RUNNING: Final = "running"
DISABLED: Final = "disabled"
STOPPING: Final = "stopping"
ENDED: Final = "ended"

_NS_PER_S: Final = 1_000_000_000
_PACKAGE_PARENT: Final = Path(__file__).resolve().parents[2]


def program(*arguments: str) -> tuple[str, ...]:
    """Return the command that runs `feedhandler` with these arguments.

    `-P` keeps the current directory out of the import path.
    """
    return (sys.executable, "-P", "-m", "feedhandler", *arguments)


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """What to run. `environment` is added to our own."""

    role: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ending:
    """One end of a child. `restart` is None when the child stays ended."""

    pid: int
    cause: Cause
    lifetime_ns: int
    restart: Restart | None


class ChildWatcher(Protocol):
    """Who is told; every call comes from the event loop."""

    def child_started(self, child: Child) -> None: ...

    def child_ended(self, child: Child, ending: Ending) -> None: ...

    def child_line(self, child: Child, line: bytes) -> None: ...

    def child_suppressed(self, child: Child, count: int) -> None: ...


class Child:
    """A process that is started again when it ends, until it is told to stop."""

    def __init__(
        self,
        spec: ChildSpec,
        policy: RestartPolicy,
        watcher: ChildWatcher,
        oom: OomWatch,
    ) -> None:
        self.spec = spec
        self._policy = policy
        self._watcher = watcher
        self._oom = oom

        # The process under way.
        self.state = WAITING
        self.pid = 0
        self.started_ns = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._pid_fd = -1
        self._drain: Drain | None = None
        self._killed_by_us = False

        # Over all its processes.
        self.restarts_count = 0
        self.last_cause: Cause | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.ended = asyncio.Event()

    @property
    def role(self) -> str:
        """The name the process goes by in shared memory and in the log."""
        return self.spec.role

    @property
    def is_alive(self) -> bool:
        """Say whether a process of this child exists."""
        return self._process is not None

    def start(self) -> None:
        """Start the process; a failure is an ending like any other."""
        assert self._process is None, "the child has a process already"
        self._timer = None
        self._killed_by_us = False
        self.started_ns = time.monotonic_ns()
        try:
            self._spawn()
        except OSError as error:
            self._settle(not_started(error), time.monotonic_ns())
            return
        self.state = RUNNING
        self._watcher.child_started(self)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Signal the process, and start no other one after it."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._process is None:
            self.state = ENDED
            self.ended.set()
            return
        self.state = STOPPING
        self._killed_by_us = True
        self._send(number)

    def renew(self) -> None:
        """End the process, if there is one, so that a new one takes the new command."""
        if self._process is not None:
            self._send(signal.SIGTERM)

    def _spawn(self) -> None:
        read_fd, write_fd = os.pipe2(os.O_CLOEXEC)
        try:
            self._process = subprocess.Popen(
                self.spec.command,
                stdin=subprocess.DEVNULL,
                stdout=write_fd,
                stderr=write_fd,
                env=os.environ | self.spec.environment | self._own_environment(),
                # A group of its own: Ctrl-C reaches the supervisor alone, which then
                # stops its children in order.
                process_group=0,
            )
        except BaseException:
            os.close(read_fd)
            raise
        finally:
            os.close(write_fd)
        self.pid = self._process.pid
        loop = asyncio.get_running_loop()
        self._drain = Drain(
            loop,
            read_fd,
            lambda line: self._watcher.child_line(self, line),
            lambda count: self._watcher.child_suppressed(self, count),
        )
        # Nobody has reaped the process yet, so the pid is still its own.
        self._pid_fd = os.pidfd_open(self.pid)
        loop.add_reader(self._pid_fd, self._reap)

    def _own_environment(self) -> dict[str, str]:
        # Where we were imported from, for a checkout that is not installed.
        paths = [str(_PACKAGE_PARENT), os.environ.get("PYTHONPATH", "")]
        return {
            PARENT_VARIABLE: str(os.getpid()),
            "PYTHONPATH": os.pathsep.join(path for path in paths if path),
            "PYTHONUNBUFFERED": "1",
        }

    def _send(self, number: signal.Signals) -> None:
        try:
            signal.pidfd_send_signal(self._pid_fd, number)
        except ProcessLookupError:
            return  # it ended meanwhile; the pidfd tells us

    def _reap(self) -> None:
        """Take leave of the process that the pidfd says has ended."""
        assert self._process is not None, "reaped twice"
        ended_ns = time.monotonic_ns()
        code = self._process.wait()  # it has ended: this does not wait
        asyncio.get_running_loop().remove_reader(self._pid_fd)
        os.close(self._pid_fd)
        self._pid_fd = -1
        self._process = None
        if self._drain is not None:
            self._drain.close()
            self._drain = None
        oom_killed = not self._killed_by_us and self._oom.has_killed()
        self._settle(cause_of(code, oom_killed=oom_killed), ended_ns)

    def _settle(self, cause: Cause, ended_ns: int) -> None:
        """Decide what comes after an ending, and tell the watcher."""
        pid, self.pid = self.pid, 0
        lifetime_ns = ended_ns - self.started_ns
        self.last_cause = cause
        restart: Restart | None = None
        if self.state == STOPPING:
            self.state = ENDED
            self.ended.set()
        else:
            restart = self._policy.after_exit(
                self.started_ns, ended_ns, is_hopeless=cause.is_hopeless
            )
            self.state = DISABLED if restart.is_disabled else WAITING
            delay_s = max(0, restart.at_ns - time.monotonic_ns()) / _NS_PER_S
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(delay_s, self._start_again)
        self._watcher.child_ended(self, Ending(pid, cause, lifetime_ns, restart))

    def _start_again(self) -> None:
        self.restarts_count += 1
        self.start()
