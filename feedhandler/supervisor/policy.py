"""When a process that ended may start again.

Owns the arithmetic of back-off and budget, with time passed in. Full jitter keeps
processes that died together from starting together; the budget ends a crash loop,
which back-off alone only slows down.
"""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass

from feedhandler.config import SupervisorConfig

_NS_PER_MS = 1_000_000


@dataclass(frozen=True, slots=True)
class Restart:
    """The answer: start again at `at_ns`; `is_disabled` when the budget is used up."""

    at_ns: int
    is_disabled: bool


class RestartPolicy:
    """The history of one child, and the next start that follows from it."""

    def __init__(self, config: SupervisorConfig, source: random.Random) -> None:
        self._config = config
        self._source = source
        self._restarts_ns: deque[int] = deque(maxlen=config.restarts_max)
        self._attempt = 0
        self._is_on_trial = False  # started after it was disabled, not healthy yet

    def after_exit(
        self, started_ns: int, ended_ns: int, *, is_hopeless: bool = False
    ) -> Restart:
        """Return the next start of a child that lived from start to end.

        A hopeless end, such as a refused configuration, disables at once. So does the
        end of a child that was disabled before and has not been healthy since: while
        its fault lasts, it is tried once in `disabled_retry_ms`.
        """
        config = self._config
        if ended_ns - started_ns >= config.healthy_ms * _NS_PER_MS:
            self._attempt = 0
            self._is_on_trial = False
        if is_hopeless or self._is_on_trial or self._is_spent(ended_ns):
            self._attempt = 0
            self._is_on_trial = True
            self._restarts_ns.clear()
            at_ns = ended_ns + config.disabled_retry_ms * _NS_PER_MS
            return Restart(at_ns, is_disabled=True)
        # The exponent is capped only to keep the integer small; the delay has its own.
        ceiling_ms = min(
            config.backoff_max_ms, config.backoff_first_ms << min(self._attempt, 20)
        )
        delay_ns = int(self._source.uniform(0, ceiling_ms) * _NS_PER_MS)
        self._attempt += 1
        self._restarts_ns.append(ended_ns)
        return Restart(ended_ns + delay_ns, is_disabled=False)

    def _is_spent(self, now_ns: int) -> bool:
        if len(self._restarts_ns) < self._config.restarts_max:
            return False
        window_ns = self._config.restarts_window_ms * _NS_PER_MS
        return now_ns - self._restarts_ns[0] < window_ns
