"""The errors of the product, and the exit code each one becomes.

    FeedhandlerError
      ConfigError        the configuration is wrong: a person edits it
      UsageError         the command was called wrongly: a person calls it again
      NotRunning         nothing of that instance runs: start it
      AlreadyRunning     another process does this already: leave it alone
      ResourcesMissing   the host lacks shared memory, descriptors or a right

Owns the table of exit codes. What went wrong inside shared memory is declared in
`shm_layout.errors`; here it only gets its code.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from shm_layout.errors import (
    CapacityExceeded,
    OwnershipLost,
    SegmentBusy,
    SegmentError,
    SegmentMissing,
    SegmentNotReady,
    SegmentSpace,
)

EXIT_DONE: Final = 0
EXIT_VERDICT: Final = 1  # a verdict or a gate failed, or nothing runs
EXIT_USAGE: Final = 2
EXIT_OWNERSHIP_LOST: Final = 3
EXIT_BUSY: Final = 4
EXIT_RESOURCES: Final = 5
EXIT_BUG: Final = 70  # EX_SOFTWARE of sysexits.h
EXIT_INTERRUPTED: Final = 130  # 128 + SIGINT, as shells report it


class FeedhandlerError(Exception):
    """Base of everything the product raises about the world around it."""


class ConfigError(FeedhandlerError):
    """The configuration is refused; `problems` holds one sentence for each reason."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class UsageError(FeedhandlerError):
    """The command line asks for something that cannot be."""


class NotRunning(FeedhandlerError):
    """No process of the instance answers."""


class AlreadyRunning(FeedhandlerError):
    """Another process already does this work. `pid` is 0 when it is unknown."""

    def __init__(self, text: str, pid: int = 0) -> None:
        super().__init__(text)
        self.pid = pid


class ResourcesMissing(FeedhandlerError):
    """The host refuses something the product needs."""


# The first row that matches decides, so a leaf stands above its base.
_EXIT_CODES: Final[tuple[tuple[type[BaseException], int], ...]] = (
    (ConfigError, EXIT_USAGE),
    (UsageError, EXIT_USAGE),
    (NotRunning, EXIT_VERDICT),
    (AlreadyRunning, EXIT_BUSY),
    (ResourcesMissing, EXIT_RESOURCES),
    (OwnershipLost, EXIT_OWNERSHIP_LOST),
    (SegmentBusy, EXIT_BUSY),
    (SegmentSpace, EXIT_RESOURCES),
    (CapacityExceeded, EXIT_USAGE),
    (SegmentMissing, EXIT_VERDICT),
    (SegmentNotReady, EXIT_VERDICT),
    (SegmentError, EXIT_RESOURCES),
    (KeyboardInterrupt, EXIT_INTERRUPTED),
)


def exit_code(error: BaseException) -> int | None:
    """Return the exit code of a foreseen error, None for what only a bug raises."""
    for kind, code in _EXIT_CODES:
        if isinstance(error, kind):
            return code
    return None
