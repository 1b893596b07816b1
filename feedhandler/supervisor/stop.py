"""`feedhandler stop`: ends whatever runs of an instance and leaves nothing behind.

Works without the supervisor's help: a stopped or killed supervisor is ended too, and
so are processes it left or that somebody started by hand. Programs that read are left
alone.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from typing import Final

from feedhandler.errors import ResourcesMissing
from feedhandler.supervisor import demo_folder
from feedhandler.supervisor.leftovers import (
    Holder,
    end_holders,
    find_holder,
    find_holders,
    is_readers,
    remove_segments,
    roles_present,
)
from feedhandler.supervisor.manager import manager_hint

KILL_TIMEOUT_S: Final = 2.0
RELEASE_TIMEOUT_S: Final = 1.0  # for the kernel to drop the locks of a dead process
_POLL_S: Final = 0.01


def stop_instance(
    instance: str, say: Callable[[str], None], timeout_s: float = 4.0
) -> bool:
    """Stop everything of the instance; return False when nothing was there.

    `timeout_s` is what each group of processes gets between SIGTERM and SIGKILL.
    """
    roles = [role for role in roles_present(instance) if not is_readers(role)]
    if not roles:
        remove_segments(instance)  # what readers that are dead left
        demo_folder.remove(instance)
        return False
    _say_managers(instance, say)
    supervisor = find_holder(instance, "supervisor")
    if supervisor is not None:
        say(f"stopping the supervisor, pid {supervisor.pid}")
        _end([supervisor], say, timeout_s)
    others = find_holders(instance)
    if others:
        say("stopping " + ", ".join(f"{h.role} (pid {h.pid})" for h in others))
        _end(others, say, timeout_s)
    _remove(instance)
    demo_folder.remove(instance)
    return True


def _say_managers(instance: str, say: Callable[[str], None]) -> None:
    """Say who will start again what is ended now, each once."""
    hints = [manager_hint(holder.pid) for holder in find_holders(instance)]
    for hint in dict.fromkeys(filter(None, hints)):
        say(hint)


def _end(holders: list[Holder], say: Callable[[str], None], timeout_s: float) -> None:
    left = end_holders(holders, signal.SIGTERM, timeout_s)
    for holder in left:
        say(f"{holder.role} does not end: killing pid {holder.pid}")
    left = end_holders(left, signal.SIGKILL, KILL_TIMEOUT_S)
    if left:
        facts = ", ".join(f"role={h.role} pid={h.pid}" for h in left)
        raise ResourcesMissing(f"processes survive SIGKILL: {facts}")


def _remove(instance: str) -> None:
    deadline_s = time.monotonic() + RELEASE_TIMEOUT_S
    left = remove_segments(instance)
    while left and time.monotonic() < deadline_s:
        time.sleep(_POLL_S)
        left = remove_segments(instance)
    if left:
        names = ", ".join(left)
        raise ResourcesMissing(f"segments cannot be removed: names={names}")
