"""How long to wait before the next attempt, over restarts of the process too.

    failures in a row    1    2    3  …   from 6    from 11    from 21
    at most              1 s  2 s  4 s    30 s      60 s       120 s

Full jitter: the wait is anything up to that, so that feeds which failed together do not
come back together. A healthy session resets it. Pure but for `StateFile`: randomness
and time are passed in.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from feedhandler import log
from feedhandler.folders import make_private

SPACING_MS: Final = 250  # never two attempts closer than this
FAILURES_LONG: Final = 10
FAILURES_VERY_LONG: Final = 20
LONG_FACTOR: Final = 2
VERY_LONG_FACTOR: Final = 4
FAILURES_MAX: Final = 1_000
# What an unreadable state counts as: half of the way to the long wait.
FAILURES_UNKNOWN: Final = 5
STATE_BYTES_MAX: Final = 4_096


class Backoff:
    """The failures in a row of one venue and the wait they mean."""

    def __init__(
        self,
        first_ms: int,
        max_ms: int,
        random: Callable[[], float],
        failures: int = 0,
        until_wall_ms: int = 0,
    ) -> None:
        self._first_ms = first_ms
        self._max_ms = max_ms
        self._random = random
        self.failures = max(0, min(failures, FAILURES_MAX))
        self._until_wall_ms = until_wall_ms

    @property
    def state(self) -> dict[str, int]:
        """What must outlive the process."""
        return {"failures": self.failures, "until_wall_ms": self._until_wall_ms}

    @property
    def limit_ms(self) -> int:
        """The longest wait that the failures so far allow."""
        if self.failures == 0:
            return 0
        if self.failures > FAILURES_VERY_LONG:
            return self._max_ms * VERY_LONG_FACTOR
        if self.failures > FAILURES_LONG:
            return self._max_ms * LONG_FACTOR
        doublings = min(self.failures - 1, 30)
        return min(self._first_ms << doublings, self._max_ms)

    def failed(self, wall_ms: int, weight: int = 1, retry_after_ms: int = 0) -> int:
        """Count a failure; return how long to wait, in ms."""
        self.failures = min(self.failures + weight, FAILURES_MAX)
        limit_ms = self.limit_ms
        spacing_ms = min(SPACING_MS, self._first_ms)
        wait_ms = max(spacing_ms, round(self._random() * limit_ms), retry_after_ms)
        self._until_wall_ms = wall_ms + wait_ms
        return wait_ms

    def succeeded(self) -> None:
        """Forget every failure: a session was healthy for long enough."""
        self.failures = 0
        self._until_wall_ms = 0

    def remaining_ms(self, wall_ms: int) -> int:
        """Return what is left of the wait that an earlier process had begun.

        A wall clock that was set cannot stretch it beyond the longest wait.
        """
        longest_ms = max(self.limit_ms, self._max_ms * VERY_LONG_FACTOR)
        left_ms = self._until_wall_ms - wall_ms
        return left_ms if 0 < left_ms <= longest_ms else 0


class StateFile:
    """A small JSON file; what is wrong with it is logged and counts as half used."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self) -> dict[str, int]:
        """Return the state, empty when there is none yet."""
        try:
            with self._path.open("rb") as file:
                text = file.read(STATE_BYTES_MAX + 1)
            state = json.loads(text)
            values = {name: state[name] for name in ("failures", "until_wall_ms")}
            if any(type(value) is not int for value in values.values()):
                raise ValueError("not whole numbers")
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            log.event("backoff_state_ignored", path=self._path, error=error)
            return {"failures": FAILURES_UNKNOWN, "until_wall_ms": 0}
        return values

    def save(self, state: Mapping[str, int]) -> bool:
        """Replace the file in one step; False when it could not be written."""
        temporary = self._path.with_suffix(".new")
        try:
            make_private(self._path.parent)
            temporary.write_text(json.dumps(state))
            os.replace(temporary, self._path)
        except OSError as error:
            log.event("backoff_state_not_saved", path=self._path, error=error)
            return False
        return True
