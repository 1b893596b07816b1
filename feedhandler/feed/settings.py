"""From a venue's configuration and the venue's own defaults to what a feed uses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from feedhandler.config import VenueConfig
from feedhandler.feed.session import Timing
from feedhandler.venues._base import Options, Venue

MS: Final = 1_000_000  # ns


@dataclass(frozen=True, slots=True)
class Settings:
    """One venue's effective settings."""

    ws_url: str
    rest_url: str
    is_insecure_allowed: bool
    options: Options
    timing: Timing
    fresh_ms: int
    connect_timeout_s: float
    healthy_ns: int
    backoff_first_ms: int
    backoff_max_ms: int
    publishes_funding: bool


def settle(venue: Venue, config: VenueConfig) -> Settings:
    """Fill in the venue's default wherever the configuration leaves it open."""
    ping_ms = config.ping_interval_ms
    gap_ms = config.subscribe_gap_ms
    limits = venue.limits
    return Settings(
        ws_url=config.ws_url or venue.ws_url,
        rest_url=config.rest_url or venue.rest_url,
        is_insecure_allowed=config.insecure,
        options=Options(config.feed_kind, config.fast, config.trades),
        timing=Timing(
            stale_ns=config.stale_ms * MS,
            first_data_ns=config.first_data_ms * MS,
            ack_ns=config.ack_ms * MS,
            read_timeout_ns=config.read_timeout_ms * MS,
            ping_interval_ns=(limits.ping_interval_ms if ping_ms < 0 else ping_ms) * MS,
            session_limit_ns=config.session_limit_ms * MS,
            subscribe_gap_ns=(limits.subscribe_gap_ms if gap_ms < 0 else gap_ms) * MS,
        ),
        fresh_ms=config.fresh_ms or venue.fresh_ms[config.feed_kind],
        connect_timeout_s=config.connect_timeout_ms / 1_000,
        healthy_ns=config.healthy_ms * MS,
        backoff_first_ms=config.backoff_first_ms,
        backoff_max_ms=config.backoff_max_ms,
        publishes_funding=config.funding,
    )
