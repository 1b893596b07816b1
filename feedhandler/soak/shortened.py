"""A run's deadlines at a fraction of their time, their order kept.

Owns the list of what can be shortened and how far: below its floor a deadline would
judge this host's scheduler, or the pace of the market, rather than the venue. What
readers are promised of a dead writer (the heartbeat) keeps its true value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from feedhandler.config import Config
from feedhandler.config.environment import variable_for

# Key -> (floor, value that stands for what the venue itself asks for), in ms.
VENUE: Final[Mapping[str, tuple[int, int]]] = {
    "fresh_ms": (2_000, 3_000),
    "stale_ms": (3_000, 10_000),
    "first_data_ms": (2_000, 10_000),
    "ack_ms": (500, 5_000),
    "connect_timeout_ms": (1_000, 15_000),
    "read_timeout_ms": (4_000, 30_000),
    "backoff_first_ms": (50, 1_000),
    "backoff_max_ms": (500, 30_000),
    "healthy_ms": (1_000, 60_000),
}
OTHERS: Final[Mapping[str, Mapping[str, int]]] = {
    "runner": {"liveness_ms": 3_000, "quiet_confirm_ms": 5_000},
    "ladder": {
        "poll_ms": 100,
        "resubscribe_ms": 2_000,
        "reconnect_ms": 6_000,
        "restart_ms": 9_000,
        "hung_ms": 1_500,
        "cooldown_ms": 1_000,
        "disable_ms": 4_000,
        "release_ms": 1_000,
        "window_ms": 20_000,
    },
    "rest": {
        "after_ms": 2_500,
        "poll_ms": 300,
        "leave_ms": 1_000,
        "audit_ms": 3_000,
        "timeout_ms": 1_000,
        "backoff_first_ms": 200,
        "backoff_max_ms": 1_000,
    },
    "telemetry": {"sample_ms": 100, "totals_ms": 1_000, "stats_ms": 1_000},
}


def shorten(config: Config, venues: Sequence[str], scale: float) -> dict[str, str]:
    """Return overrides, as environment variables, that run `config` at `scale`."""
    overrides: dict[str, str] = {}
    if scale >= 1:
        return overrides
    for venue in venues:
        section = config.venue[venue]
        for key, (floor, usual) in VENUE.items():
            value = getattr(section, key)
            value = usual if value <= 0 else value
            overrides[variable_for(venue, key)] = _scaled(value, floor, scale)
    for name, floors in OTHERS.items():
        for key, floor in floors.items():
            value = getattr(getattr(config, name), key)
            if value:  # 0 is "never" where it is allowed
                overrides[variable_for(name, key)] = _scaled(value, floor, scale)
    return overrides


def _scaled(value: int, floor: int, scale: float) -> str:
    return str(min(value, max(floor, round(value * scale))))
