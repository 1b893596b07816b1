"""The processes and segments of an instance, found through shared memory alone.

Owns the way from a segment to the process that writes it. A pid is never signalled by
itself: it is opened as a pidfd first, and then pid and start time are compared with the
segment's, so that a reused pid is never taken for its former owner. A reader's segment
is its program's, not ours: neither is ended or removed with an instance.
"""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from feedhandler import log
from feedhandler.supervisor.manager import SUPERVISORD_VARIABLE, environment_of
from feedhandler.supervisor.parent import VARIABLE as PARENT_VARIABLE
from shm_layout import Reader, SegmentError, identity
from shm_layout.segment import list_segments, remove_leftover, role_of

ROLES_WITHOUT_VENUE: Final = ("supervisor", "runner", "rest", "telemetry")


@dataclass(frozen=True, slots=True)
class Holder:
    """A live process that writes one segment of the instance."""

    role: str
    pid: int
    start_ticks: int


def is_readers(role: str) -> bool:
    """Say whether a role is that of a program that reads, which is not ours."""
    return role.startswith("reader:")


def instance_of(segment: str) -> str:
    """Return the instance a segment of this name belongs to."""
    return segment.partition(".")[2].rpartition(".")[0]


def roles_present(instance: str) -> list[str]:
    """Return the roles of all segments of the instance, whoever left them."""
    return [role_of(name) for name in list_segments(instance)]


def find_holder(instance: str, role: str) -> Holder | None:
    """Return the live process that writes this role's segment, if there is one."""
    try:
        reader = Reader.attach(instance=instance, role=role)
    except SegmentError:
        return None
    try:
        owner = reader.owner()
    finally:
        reader.close()
    if not identity.is_alive(owner.pid, owner.start_ticks):
        return None
    return Holder(role, owner.pid, owner.start_ticks)


def find_holders(instance: str) -> list[Holder]:
    """Return every live process of ours that writes a segment of the instance."""
    roles = [role for role in roles_present(instance) if not is_readers(role)]
    found = [find_holder(instance, role) for role in roles]
    return [holder for holder in found if holder is not None]


def find_orphans(instance: str) -> list[Holder]:
    """Return the holders whose process manager is gone, so that nobody restarts them.

    A process that was started by hand has no manager and is no orphan.
    """
    return [holder for holder in find_holders(instance) if _is_orphan(holder.pid)]


def open_holder(holder: Holder) -> int | None:
    """Return a pidfd of exactly that process, or None when it is gone."""
    try:
        pid_fd = os.pidfd_open(holder.pid)
    except ProcessLookupError:
        return None
    # Checked after the open: from here on the descriptor cannot change its process.
    if identity.is_alive(holder.pid, holder.start_ticks):
        return pid_fd
    os.close(pid_fd)
    return None


def end_holders(
    holders: Sequence[Holder], number: signal.Signals, timeout_s: float
) -> list[Holder]:
    """Signal the processes, wait, and return those that are still there."""
    open_fds = {holder: open_holder(holder) for holder in holders}
    pid_fds = {holder: fd for holder, fd in open_fds.items() if fd is not None}
    try:
        for pid_fd in pid_fds.values():
            try:
                signal.pidfd_send_signal(pid_fd, number)
            except ProcessLookupError:
                continue  # it ended meanwhile
        return _wait(pid_fds, time.monotonic() + timeout_s)
    finally:
        for pid_fd in pid_fds.values():
            os.close(pid_fd)


def end_orphans(instance: str, timeout_s: float) -> None:
    """End the orphans of an instance: SIGTERM, then SIGKILL, each with the time-out.

    What still lives then keeps its segment, and whoever is started for it exits with 4.
    """
    orphans = find_orphans(instance)
    for orphan in orphans:
        log.event("orphan", process=orphan.role, pid=orphan.pid)
    left = end_holders(orphans, signal.SIGTERM, timeout_s)
    end_holders(left, signal.SIGKILL, timeout_s)


def remove_segments(instance: str) -> list[str]:
    """Remove the instance's segments without a live writer; return the names left.

    A reader that lives keeps its own, which is not named.
    """
    left = [name for name in list_segments(instance) if not remove_leftover(name)]
    return [name for name in left if not is_readers(role_of(name))]


def _is_orphan(pid: int) -> bool:
    if pid == os.getpid():
        return False
    try:
        environment = environment_of(pid)
        status = Path(f"/proc/{pid}/stat").read_text()
        # The second field is in brackets and may hold anything; the parent is the 4th.
        parent = int(status[status.rindex(")") + 2 :].split()[1])
        command = Path(f"/proc/{parent}/cmdline").read_bytes()
    except OSError:
        return False  # gone meanwhile, or not ours to see
    starter = environment.get(PARENT_VARIABLE)
    if starter is not None:
        return starter != str(parent)
    # supervisord sets this in all its children, and says nothing of its own pid.
    if SUPERVISORD_VARIABLE not in environment or b"supervisord" in command:
        return False
    try:
        # A wrapper between the two has the variable; who adopts orphans has not.
        return SUPERVISORD_VARIABLE not in environment_of(parent)
    except OSError:
        return parent == 1


def _wait(pid_fds: dict[Holder, int], deadline_s: float) -> list[Holder]:
    waiting = dict(pid_fds)
    while waiting:
        rest_s = deadline_s - time.monotonic()
        if rest_s <= 0:
            break
        poll = select.poll()
        for pid_fd in waiting.values():
            poll.register(pid_fd, select.POLLIN)
        ended = {fd for fd, _ in poll.poll(rest_s * 1_000)}
        waiting = {holder: fd for holder, fd in waiting.items() if fd not in ended}
    return list(waiting)
