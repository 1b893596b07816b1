"""Why a process ended, in one word for counters and one sentence for people."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from typing import Final

from feedhandler.errors import (
    EXIT_BUG,
    EXIT_BUSY,
    EXIT_DONE,
    EXIT_OWNERSHIP_LOST,
    EXIT_RESOURCES,
    EXIT_USAGE,
)

_CODE_TEXTS: Final = {
    EXIT_DONE: "ended by itself",
    EXIT_USAGE: "its configuration or command line is refused",
    EXIT_OWNERSHIP_LOST: "another writer took over its segment",
    EXIT_BUSY: "another process already does this",
    EXIT_RESOURCES: "the host lacks a resource",
    EXIT_BUG: "a bug: its traceback is in the log above",
}

# These do not heal by trying again at once.
_HOPELESS_CODES: Final = (EXIT_USAGE, EXIT_RESOURCES)


@dataclass(frozen=True, slots=True)
class Cause:
    """How one process ended; `code` is None when a signal ended it."""

    word: str
    text: str
    code: int | None

    @property
    def is_hopeless(self) -> bool:
        """Say whether another try at once must end the same way."""
        return self.code in _HOPELESS_CODES


def cause_of(return_code: int, *, oom_killed: bool = False) -> Cause:
    """Describe a return code as `subprocess` gives it: a signal is negative."""
    if return_code >= 0:
        text = _CODE_TEXTS.get(return_code, "unknown exit code")
        return Cause(
            f"exit_{return_code}", f"exit code {return_code}: {text}", return_code
        )
    number = -return_code
    try:
        name = signal.Signals(number).name
    except ValueError:
        name = f"signal_{number}"
    if number == signal.SIGKILL and oom_killed:
        return Cause("oom", "killed by the kernel for lack of memory", None)
    return Cause(name, f"killed by {name}", None)


def not_started(error: OSError) -> Cause:
    """Describe a process that could not even be started."""
    return Cause("not_started", f"could not be started: {error.strerror}", None)
