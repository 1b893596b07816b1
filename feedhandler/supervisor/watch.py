"""`feedhandler watch`: what a process manager of another kind does not do.

supervisord and its like see that a process ended, never that it hangs, and start a
second set beside one whose manager was killed. This process ends who hangs and who was
left behind; the manager starts them again. It starts nothing itself.

Owns the segment of role `supervisor`, so that `feedhandler start` of the same instance
exits with 4 beside it.
"""

from __future__ import annotations

import os
import signal
import time
from types import FrameType
from typing import Final

from feedhandler import log
from feedhandler.config import Config
from feedhandler.errors import EXIT_DONE, EXIT_OWNERSHIP_LOST
from feedhandler.supervisor.hung import HungWatch
from feedhandler.supervisor.leftovers import end_orphans
from feedhandler.supervisor.manager import SUPERVISORD_VARIABLE
from feedhandler.supervisor.own_segment import OwnSegment

BEAT_S: Final = 0.1
_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


def run(config: Config) -> int:
    """Watch until SIGTERM or SIGINT; return the exit code.

    Raises `AlreadyRunning` when the instance has a supervisor.
    """
    stop = _Stop()
    parent = os.getppid()
    segment = OwnSegment(config.instance)
    hung = HungWatch(config, time.monotonic_ns())
    log.event("watch_started")
    code = EXIT_DONE
    looks_count = 0
    is_managed = SUPERVISORD_VARIABLE in os.environ
    try:
        end_orphans(config.instance, config.ladder.term_ms / 1_000)
        while not stop.wait(BEAT_S):
            now_ns = time.monotonic_ns()
            looks_count += 1
            segment.beat(now_ns, looks_count)
            hung.look(now_ns)
            if not segment.renew(now_ns):
                log.event("watch_lost", text="another process watches this instance")
                code = EXIT_OWNERSHIP_LOST
                break
            if is_managed and os.getppid() != parent:
                # The watch of the next manager takes our place, and ends the others.
                log.event("manager_gone", pid=parent)
                break
    finally:
        hung.close()
        segment.close()
    log.event("watch_stopped")
    return code


class _Stop:
    """Waits, and knows whether a signal asked to stop.

    The signals are blocked here, so that one is taken between looks and never inside
    one. A thread of a library does not block them and may take one too: then the
    handler notes it.
    """

    def __init__(self) -> None:
        self._is_asked = False
        for number in _SIGNALS:
            signal.signal(number, self._note)
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)

    def wait(self, timeout_s: float) -> bool:
        """Wait at most that long; return whether a signal came, now or before."""
        taken = signal.sigtimedwait(_SIGNALS, timeout_s)
        # Interrupted by SIGCONT, it may return what is no signal at all (CPython).
        is_one = taken is not None and taken.si_signo in _SIGNALS
        return self._is_asked or is_one

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._is_asked = True
