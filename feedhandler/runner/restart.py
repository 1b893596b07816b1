"""Ends a process, so that whoever watches it starts it again.

    pidfd opened ─▶ identity checked ─▶ SIGTERM ─┬─▶ ended
                          └─▶ refused            └─ `term_ms` ─▶ SIGKILL ─▶ killed

A pid may belong to another process by now; a pidfd may not. So the identity (pid, start
time, boot) is checked after the pidfd was opened, and every signal goes through it.
Works the same under `feedhandler start`, under supervisord, and for a process that was
started by hand: it needs to be nobody's parent.
"""

from __future__ import annotations

import os
import select
import signal
from dataclasses import dataclass
from typing import Final

from shm_layout import identity

ENDED: Final = "ended"  # by SIGTERM
KILLED: Final = "killed"

BEGUN: Final = "begun"
GONE: Final = "gone"  # that very process is not there any more
REFUSED: Final = "refused"  # not ours to signal


@dataclass(frozen=True, slots=True)
class Identity:
    """Exactly one process of exactly one boot."""

    pid: int
    start_ticks: int
    boot_id: str


@dataclass(slots=True)
class _Restart:
    pid_fd: int
    kill_ns: int
    is_killed: bool = False


class Restarter:
    """The restarts under way, one for each name at most. Time is passed in."""

    def __init__(self, term_ns: int) -> None:
        self._term_ns = term_ns
        self._restarts: dict[str, _Restart] = {}

    def begin(self, name: str, process: Identity, now_ns: int) -> str:
        """Ask that process to end; return BEGUN, GONE or REFUSED."""
        if name in self._restarts:
            return BEGUN
        if process.pid <= 1 or process.pid == os.getpid():
            return REFUSED
        if process.boot_id != identity.boot_id():
            return GONE
        try:
            pid_fd = os.pidfd_open(process.pid)
        except ProcessLookupError:
            return GONE
        except OSError:
            return REFUSED
        try:
            if not identity.is_alive(process.pid, process.start_ticks):
                return GONE
            signal.pidfd_send_signal(pid_fd, signal.SIGTERM)
            self._restarts[name] = _Restart(pid_fd, now_ns + self._term_ns)
        except ProcessLookupError:
            return GONE
        except PermissionError:
            return REFUSED
        finally:
            if name not in self._restarts:
                os.close(pid_fd)
        return BEGUN

    def poll(self, now_ns: int) -> list[tuple[str, str]]:
        """Kill who takes too long; return the name of each that is over, and how."""
        over = []
        for name, restart in list(self._restarts.items()):
            if _has_ended(restart.pid_fd):
                over.append((name, KILLED if restart.is_killed else ENDED))
                os.close(restart.pid_fd)
                del self._restarts[name]
            elif now_ns >= restart.kill_ns and not restart.is_killed:
                # A stopped process takes no SIGTERM; SIGKILL it cannot refuse.
                signal.pidfd_send_signal(restart.pid_fd, signal.SIGKILL)
                restart.is_killed = True
        return over

    def close(self) -> None:
        """Let go of what is under way; what was asked to end ends all the same."""
        for restart in self._restarts.values():
            os.close(restart.pid_fd)
        self._restarts.clear()


def _has_ended(pid_fd: int) -> bool:
    poller = select.poll()
    poller.register(pid_fd, select.POLLIN)
    return bool(poller.poll(0))
