"""Ends a process that lives and does not beat, so that its manager starts another.

    look, once a second ─▶ silent for `hung_ms` ─▶ SIGTERM ─ `term_ms` ─▶ SIGKILL

Owns runner, rest and telemetry, and any process that never made its segment. A feed
that hangs later is the business of the runner's ladder, which alone knows its budget.
Works by segments and pidfds, so it needs to be nobody's parent.
"""

from __future__ import annotations

from typing import Final

from feedhandler import log
from feedhandler.config import Config
from feedhandler.runner.restart import BEGUN, Identity, Restarter
from shm_layout import Reader, SegmentError, identity

ROLES: Final = ("runner", "rest", "telemetry")
LOOK_NS: Final = 1_000_000_000
START_NS: Final = 30_000_000_000  # from exec to the first heartbeat; usual is 1 s
_PAUSE_LOOKS: Final = 3  # a gap of more looks than this means that we were stopped
_MS: Final = 1_000_000


class HungWatch:
    """Looks at the heartbeats of one instance. Time is passed in."""

    def __init__(self, config: Config, now_ns: int) -> None:
        self._instance = config.instance
        self._limit_ns = config.supervisor.hung_ms * _MS
        self._restarter = Restarter(config.ladder.term_ms * _MS)
        self._boot_id = identity.boot_id()
        self._last_look_ns = now_ns
        self._hold_ns = 0

        # role -> who was started and has not beaten yet, and since when
        self._starting: dict[str, tuple[Identity, int]] = {}
        self._ending: set[str] = set()

    def expect(self, role: str, pid: int, now_ns: int) -> None:
        """Note a process that was started now and will make the segment of its role."""
        ticks = identity.start_ticks(pid)
        if ticks is not None:
            self._starting[role] = (Identity(pid, ticks, self._boot_id), now_ns)

    def forget(self, role: str) -> None:
        """Note that the process of this role has ended."""
        self._starting.pop(role, None)

    def look(self, now_ns: int) -> None:
        """Find who hangs, when it is time to look, and end it."""
        gap_ns = now_ns - self._last_look_ns
        if gap_ns < LOOK_NS:
            return
        self._last_look_ns = now_ns
        if gap_ns > _PAUSE_LOOKS * LOOK_NS:
            # We were stopped ourselves, and perhaps everybody: they may beat first.
            self._hold_ns = now_ns + self._limit_ns
        for role, outcome in self._restarter.poll(now_ns):
            self._ending.discard(role)
            log.event("hung_process_over", process=role, outcome=outcome)
        if now_ns < self._hold_ns:
            return
        for role in {*ROLES, *self._starting}:
            self._look_at(role, now_ns)

    def close(self) -> None:
        """Let go of the processes that are being ended."""
        self._restarter.close()

    def _look_at(self, role: str, now_ns: int) -> None:
        process, beat_ns = self._last_beat(role)
        started = self._starting.get(role)
        if started is not None:
            expected, started_ns = started
            if process is not None and process.pid == expected.pid and beat_ns > 0:
                del self._starting[role]
            elif now_ns - started_ns >= START_NS:
                self._end(role, expected, now_ns - started_ns, now_ns)
                return
        if process is None or beat_ns == 0 or role not in ROLES:
            return
        if now_ns - beat_ns >= self._limit_ns:
            self._end(role, process, now_ns - beat_ns, now_ns)

    def _last_beat(self, role: str) -> tuple[Identity | None, int]:
        """Return who writes a role's segment, if it lives, and its last heartbeat."""
        try:
            with Reader.attach(self._instance, role) as reader:
                owner = reader.owner()
        except SegmentError:
            return None, 0
        if not identity.is_alive(owner.pid, owner.start_ticks):
            return None, 0
        process = Identity(owner.pid, owner.start_ticks, self._boot_id)
        return process, owner.heartbeat_ns

    def _end(self, role: str, process: Identity, silent_ns: int, now_ns: int) -> None:
        if role in self._ending:
            return
        outcome = self._restarter.begin(role, process, now_ns)
        if outcome == BEGUN:
            self._ending.add(role)
        log.event(
            "process_hung" if outcome == BEGUN else "hung_process_left",
            process=role,
            pid=process.pid,
            silent_ms=silent_ns // _MS,
            outcome=outcome,
        )
