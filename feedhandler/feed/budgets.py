"""What one feed may spend at its venue's hosts, shared with all others of this host."""

from __future__ import annotations

from pathlib import Path

from feedhandler.feed.counters import Counters
from feedhandler.feed.settings import MS, Settings
from feedhandler.transport.budget import (
    CONNECTS,
    MESSAGES,
    WEIGHT,
    Budget,
    Count,
    budget_key,
)
from feedhandler.venue_host import weight_budget
from feedhandler.venues._base import Limits

MINUTE_MS = 60_000


class Budgets:
    """The three accounts of a venue: connects, messages sent, and REST weight."""

    def __init__(
        self, limits: Limits, settings: Settings, path: Path, counters: Counters
    ) -> None:
        def count_of(kind: str) -> Count:
            return lambda name: counters.add(f"{name}.{kind}")

        ws_url = settings.ws_url
        connects = limits.connects_per_minute
        self.connects = Budget(
            path,
            budget_key(ws_url, CONNECTS),
            connects,
            connects * 2 // 3,
            count_of(CONNECTS),
        )
        gap_ms = settings.timing.subscribe_gap_ns // MS
        messages = MINUTE_MS // gap_ms if gap_ms else 0
        self.messages: Budget | None = None
        if messages > 1:
            self.messages = Budget(
                path,
                budget_key(ws_url, MESSAGES),
                messages,
                messages // 2,
                count_of(MESSAGES),
            )
        self.weight = weight_budget(limits, settings.rest_url, path, count_of(WEIGHT))
