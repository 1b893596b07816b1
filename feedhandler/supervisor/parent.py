"""A child that cannot outlive the supervisor that started it.

A killed supervisor must leave no feed behind: the kernel is asked to kill the child
with it. SIGKILL and not SIGTERM, because a stopped process acts on nothing else; a
feed loses nothing by it, its segment is made to be adopted. Under supervisord nobody
sets the variable and a process lives by itself.
"""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import MutableMapping
from typing import Final

VARIABLE: Final = "FEEDHANDLER_PARENT"

_PR_SET_PDEATHSIG: Final = 1


def bind_to_parent(environment: MutableMapping[str, str]) -> bool:
    """Tie this process to the parent that the environment names, if it names one.

    Returns False when that parent is already gone: the caller exits at once.
    """
    text = environment.pop(VARIABLE, "")
    if not text.isdecimal():
        return True
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"prctl: {os.strerror(number)}")
    # The parent may have died before the call, and then no signal ever comes.
    return os.getppid() == int(text)
