"""From a venue's configuration and the venue's own defaults to what a feed uses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from feedhandler.config import VenueConfig, split_headers
from feedhandler.errors import UsageError
from feedhandler.venues._base import Options, Venue

MS: Final = 1_000_000  # ns


@dataclass(frozen=True, slots=True)
class Timing:
    """The deadlines of a session, all in ns; an interval of 0 is off."""

    stale_ns: int
    first_data_ns: int
    ack_ns: int
    read_timeout_ns: int
    ping_interval_ns: int
    session_limit_ns: int
    subscribe_gap_ns: int


@dataclass(frozen=True, slots=True)
class Settings:
    """One venue's effective settings."""

    ws_url: str
    rest_url: str
    headers: tuple[tuple[str, str], ...]
    is_insecure_allowed: bool
    options: Options
    timing: Timing
    fresh_ms: int
    outlier_bps: int
    connect_timeout_s: float
    healthy_ns: int
    backoff_first_ms: int
    backoff_max_ms: int
    publishes_funding: bool
    funding_poll_s: float


def settle(venue: Venue, config: VenueConfig) -> Settings:
    """Fill in the venue's default wherever the configuration leaves it open."""
    limits = venue.limits
    options = Options(config.feed_kind, config.fast, config.trades)
    _check_subscriptions(venue, config.instruments, options)
    return Settings(
        ws_url=_with_query(config.ws_url or venue.ws_url, venue.ws_query),
        rest_url=config.rest_url or venue.rest_url,
        headers=split_headers(config.headers),
        is_insecure_allowed=config.insecure,
        options=options,
        timing=Timing(
            stale_ns=config.stale_ms * MS,
            first_data_ns=config.first_data_ms * MS,
            ack_ns=config.ack_ms * MS,
            read_timeout_ns=_ns(config.read_timeout_ms, limits.read_timeout_ms),
            ping_interval_ns=_ns(config.ping_interval_ms, limits.ping_interval_ms),
            session_limit_ns=_ns(config.session_limit_ms, limits.session_limit_ms),
            subscribe_gap_ns=_ns(config.subscribe_gap_ms, limits.subscribe_gap_ms),
        ),
        fresh_ms=config.fresh_ms or venue.fresh_ms[options.kinds[0]],
        outlier_bps=config.outlier_bps,
        connect_timeout_s=config.connect_timeout_ms / 1_000,
        healthy_ns=config.healthy_ms * MS,
        backoff_first_ms=config.backoff_first_ms,
        backoff_max_ms=config.backoff_max_ms,
        publishes_funding=config.funding,
        funding_poll_s=config.funding_poll_ms / 1_000,
    )


def _ns(configured_ms: int, default_ms: int) -> int:
    """Return what is configured, the venue's default for -1."""
    return (default_ms if configured_ms < 0 else configured_ms) * MS


def _with_query(url: str, query: str) -> str:
    """Add what the venue asks for to an address that has no query of its own."""
    return f"{url}?{query}" if query and "?" not in url else url


def _check_subscriptions(
    venue: Venue, instruments: Sequence[str], options: Options
) -> None:
    """Refuse more instruments than one connection may subscribe."""
    each = len(venue.subscriptions("", options))
    limit = venue.limits.subscriptions_max
    if each * len(instruments) > limit:
        raise UsageError(
            f"[venue.{venue.name}] instruments: {len(instruments)} instruments of"
            f" {each} streams each; {venue.name} allows {limit} streams a connection:"
            f" list at most {limit // each}, or set `trades = false`"
        )
