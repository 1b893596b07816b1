"""The ends of a feed's sessions: counted, said, and what is waited for after each.

Owns the back-off, which outlives the process, the label of the last end, and the line
that is said while nothing is live. When a session ends is not decided here.
"""

from __future__ import annotations

import random
import time
from pathlib import Path
from typing import Final

from feedhandler import log
from feedhandler.feed.carrier import Carrier
from feedhandler.feed.counters import Counters
from feedhandler.feed.labels import Ending
from feedhandler.feed.settings import MS, Settings
from feedhandler.transport.backoff import Backoff, StateFile

DOWN_LINE_NS: Final = 10_000_000_000


class Retries:
    """The ends and the waits of one feed process."""

    def __init__(
        self, venue: str, settings: Settings, counters: Counters, path: Path
    ) -> None:
        self._venue = venue
        self._healthy_ns = settings.healthy_ns
        self._counters = counters
        self._state_file = StateFile(path)
        self._backoff = Backoff(
            settings.backoff_first_ms,
            settings.backoff_max_ms,
            random.random,
            **self._state_file.load(),
        )
        self._healthy_session = 0  # the last that was found healthy
        self._last_label = "-"
        self._down_since_ns = time.monotonic_ns()
        self._down_said_ns = self._down_since_ns

    def remaining_ms(self) -> int:
        """Return what is left of a wait that an earlier process had begun."""
        return self._backoff.remaining_ms(time.time_ns() // MS)

    def ended(self, carrier: Carrier, why: Ending) -> int:
        """Count, log and audit the end of a session; return the wait in ms."""
        if self._is_healthy(carrier):
            self._backoff.succeeded()
        wait_ms = self._backoff.failed(
            time.time_ns() // MS, why.weight, why.retry_after_ns // MS
        )
        self._state_file.save(self._backoff.state)
        self._last_label = why.label
        log.event(
            "session_end",
            label=why.label,
            detail=why.detail,
            session=carrier.number,
            lasted_ms=carrier.open_ms,
            retry_in_ms=wait_ms,
            failures=self._backoff.failures,
        )
        self.count(why.label, carrier.number)
        return wait_ms

    def count(self, label: str, number: int) -> None:
        """Count the end of a session and write its audit line."""
        name = f"reconnects.{label}"
        self._counters.add(name)
        log.audit(
            venue=self._venue,
            reconnect_reason=label,
            count=self._counters.value(name),
            session=number,
            ts_ms=time.time_ns() // MS,
        )

    def note_health(self, carrier: Carrier) -> None:
        """Forget every failure once a session has been healthy for long enough."""
        if self._healthy_session != carrier.number and self._is_healthy(carrier):
            self._healthy_session = carrier.number
            self._backoff.succeeded()
            self._state_file.save(self._backoff.state)

    def note_up(self, now_ns: int) -> None:
        """Note that a session has data."""
        self._down_since_ns = self._down_said_ns = now_ns

    def say_down(self, now_ns: int, number: int) -> None:
        """Say every ten seconds that nothing is live."""
        if now_ns - self._down_said_ns >= DOWN_LINE_NS:
            self._down_said_ns = now_ns
            log.event(
                "down",
                ms=(now_ns - self._down_since_ns) // MS,
                failures=self._backoff.failures,
                session=number,
                last=self._last_label,
            )

    def _is_healthy(self, carrier: Carrier) -> bool:
        """Tell whether a session has had data and lasted for long enough."""
        if carrier.opened_ns is None or not carrier.session.has_quote:
            return False
        return time.monotonic_ns() - carrier.opened_ns >= self._healthy_ns
