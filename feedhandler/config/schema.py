"""Every key of the configuration: its type, its default and its allowed range.

Owns the declaration, and the checks that need more than one value. Where a value comes
from is `load`'s business. `ops/feedhandler.toml` shows the same keys with reasons; a
test compares the two.
"""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

from msgspec import Meta, Struct, field
from msgspec.structs import replace

from shm_layout import limits

NAME_PATTERN: Final = r"^[a-z0-9_]{1,32}$"
INSTANCE_PATTERN: Final = r"^[a-z0-9_][a-z0-9_-]{0,31}$"
INSTRUMENT_PATTERN: Final = r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,31}$"
HEADER_PATTERN: Final = r"^[A-Za-z0-9-]{1,64}: [\x20-\x7e]*$"
URL_CHARS_MAX: Final = 512

# Deadlines go down to tens of milliseconds so that tests run the whole fault matrix at
# a fraction of its time; a production value is far above.
Deadline = Annotated[int, Meta(ge=20, le=600_000)]
OwnDeadline = Annotated[int, Meta(ge=-1, le=600_000)]  # -1: what the venue asks for
Header = Annotated[str, Meta(pattern=HEADER_PATTERN, max_length=512)]
Delay = Annotated[int, Meta(ge=1, le=600_000)]
InstrumentName = Annotated[str, Meta(pattern=INSTRUMENT_PATTERN)]


class VenueConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One `[venue.<name>]` section."""

    enabled: bool = True
    instruments: Annotated[
        tuple[InstrumentName, ...],
        Meta(min_length=1, max_length=limits.INSTRUMENTS_MAX),
    ] = ("BTC-PERP", "ETH-PERP")
    feed_kind: Literal["bbo", "depth", "both"] = "bbo"
    fast: bool = True
    trades: bool = True
    funding: bool = True
    ws_url: Annotated[str, Meta(max_length=URL_CHARS_MAX)] = ""
    rest_url: Annotated[str, Meta(max_length=URL_CHARS_MAX)] = ""
    headers: Annotated[tuple[Header, ...], Meta(max_length=16)] = ()
    insecure: bool = False
    stale_ms: Deadline = 10_000
    fresh_ms: Annotated[int, Meta(ge=0, le=600_000)] = 0
    outlier_bps: Annotated[int, Meta(ge=0, le=5_000)] = 500
    connect_timeout_ms: Deadline = 15_000
    first_data_ms: Deadline = 10_000
    ack_ms: Deadline = 5_000
    read_timeout_ms: OwnDeadline = -1
    ping_interval_ms: Annotated[int, Meta(ge=-1, le=600_000)] = -1
    session_limit_ms: Annotated[int, Meta(ge=-1, le=604_800_000)] = -1
    backoff_first_ms: Delay = 1_000
    backoff_max_ms: Delay = 30_000
    healthy_ms: Annotated[int, Meta(ge=10, le=3_600_000)] = 60_000
    subscribe_gap_ms: Annotated[int, Meta(ge=-1, le=60_000)] = -1
    funding_poll_ms: Annotated[int, Meta(ge=100, le=600_000)] = 10_000


class RunnerConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The `[runner]` section."""

    pass_ms: Annotated[int, Meta(ge=1, le=1_000)] = 5
    tick_ms: Annotated[int, Meta(ge=1, le=10_000)] = 50
    budget: Annotated[int, Meta(ge=1, le=1_048_576)] = 4_096
    heartbeat_limit_ms: Annotated[int, Meta(ge=200, le=60_000)] = 500
    liveness_ms: Deadline = 10_000
    quiet_confirm_ms: Deadline = 15_000
    recover_ticks: Annotated[int, Meta(ge=1, le=1_000)] = 3
    recover_ms: Annotated[int, Meta(ge=0, le=60_000)] = 250
    audit_tolerance_bps: Annotated[int, Meta(ge=0, le=1_000)] = 5
    audit_misses: Annotated[int, Meta(ge=1, le=100)] = 3
    outlier_wait_ms: Annotated[int, Meta(ge=0, le=600_000)] = 30_000


class LadderConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The `[ladder]` section."""

    enabled: bool = True
    poll_ms: Annotated[int, Meta(ge=10, le=60_000)] = 1_000
    resubscribe_ms: Deadline = 10_000
    reconnect_ms: Deadline = 30_000
    restart_ms: Deadline = 90_000
    hung_ms: Deadline = 10_000
    cooldown_ms: Deadline = 30_000
    disable_ms: Deadline = 120_000
    release_ms: Deadline = 10_000
    term_ms: Annotated[int, Meta(ge=0, le=60_000)] = 2_000
    resubscribes_max: Annotated[int, Meta(ge=0, le=100)] = 2
    reconnects_max: Annotated[int, Meta(ge=0, le=100)] = 3
    restarts_max: Annotated[int, Meta(ge=0, le=100)] = 2
    window_ms: Annotated[int, Meta(ge=100, le=86_400_000)] = 600_000


class RestConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The `[rest]` section."""

    enabled: bool = True
    after_ms: Deadline = 20_000
    poll_ms: Deadline = 1_000
    leave_ms: Annotated[int, Meta(ge=0, le=600_000)] = 3_000
    audit_ms: Annotated[int, Meta(ge=0, le=86_400_000)] = 60_000
    timeout_ms: Annotated[int, Meta(ge=20, le=15_000)] = 5_000
    backoff_first_ms: Delay = 1_000
    backoff_max_ms: Delay = 30_000


class ShmConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The `[shm]` section."""

    instruments: Annotated[int, Meta(ge=1, le=limits.INSTRUMENTS_MAX)] = (
        limits.INSTRUMENTS_DEFAULT
    )
    ring_slots: Annotated[
        int, Meta(ge=limits.RING_SLOTS_MIN, le=limits.RING_SLOTS_MAX)
    ] = limits.RING_SLOTS_DEFAULT


class SupervisorConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The `[supervisor]` section."""

    backoff_first_ms: Delay = 250
    backoff_max_ms: Delay = 30_000
    healthy_ms: Annotated[int, Meta(ge=10, le=3_600_000)] = 60_000
    restarts_max: Annotated[int, Meta(ge=1, le=1_000)] = 5
    restarts_window_ms: Annotated[int, Meta(ge=100, le=3_600_000)] = 60_000
    disabled_retry_ms: Annotated[int, Meta(ge=100, le=86_400_000)] = 300_000
    hung_ms: Annotated[int, Meta(ge=500, le=600_000)] = 5_000
    stop_timeout_ms: Annotated[int, Meta(ge=100, le=60_000)] = 1_500


class TelemetryConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The `[telemetry]` section."""

    enabled: bool = False
    jsonl: bool = True
    directory: Annotated[str, Meta(max_length=4_096)] = ""
    sample_ms: Annotated[int, Meta(ge=20, le=60_000)] = 250
    totals_ms: Annotated[int, Meta(ge=100, le=600_000)] = 20_000
    stats_ms: Annotated[int, Meta(ge=100, le=600_000)] = 10_000
    file_mb: Annotated[int, Meta(ge=1, le=4_096)] = 64
    files_max: Annotated[int, Meta(ge=1, le=1_000)] = 8
    http_host: Annotated[str, Meta(max_length=255)] = "127.0.0.1"
    http_port: Annotated[int, Meta(ge=0, le=65_535)] = 0


class Config(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole configuration of one instance."""

    instance: Annotated[str, Meta(pattern=INSTANCE_PATTERN)] = "default"
    state_dir: Annotated[str, Meta(max_length=4_096)] = ""
    venue: dict[str, VenueConfig] = field(default_factory=dict)
    runner: RunnerConfig = RunnerConfig()
    ladder: LadderConfig = LadderConfig()
    rest: RestConfig = RestConfig()
    shm: ShmConfig = ShmConfig()
    supervisor: SupervisorConfig = SupervisorConfig()
    telemetry: TelemetryConfig = TelemetryConfig()

    def enabled_venues(self) -> tuple[str, ...]:
        """Return the names of the venues to run, in the order of the file."""
        return tuple(name for name, venue in self.venue.items() if venue.enabled)

    def with_instance(self, instance: str) -> Config:
        """Return the same configuration for another instance."""
        return replace(self, instance=instance)

    def state_path(self, environment: Mapping[str, str] = os.environ) -> Path:
        """Return the instance's directory for what outlives a process."""
        return self._base_path(environment) / self.instance

    def budget_path(self, environment: Mapping[str, str] = os.environ) -> Path:
        """Return the directory for what all instances of the host share."""
        return self._base_path(environment) / ".budgets"

    def _base_path(self, environment: Mapping[str, str]) -> Path:
        if self.state_dir:
            return Path(self.state_dir)
        home = environment.get("XDG_STATE_HOME") or "~/.local/state"
        return Path(home).expanduser() / "feedhandler"


# The fixed sections, in the order of the file; venues stand before them.
SECTIONS: Final[dict[str, type[Struct]]] = {
    "runner": RunnerConfig,
    "ladder": LadderConfig,
    "rest": RestConfig,
    "shm": ShmConfig,
    "supervisor": SupervisorConfig,
    "telemetry": TelemetryConfig,
}
TOP_KEYS: Final = ("instance", "state_dir")


def check_venue(venue: VenueConfig) -> Iterator[tuple[str, str]]:
    """Yield (key, sentence) for what the types of a venue's section cannot say."""
    seen: set[str] = set()
    for instrument in venue.instruments:
        if instrument in seen:
            yield "instruments", f"{instrument} is listed twice"
        seen.add(instrument)
    yield from _check_url("ws_url", venue.ws_url, "wss", "ws", venue.insecure)
    yield from _check_url("rest_url", venue.rest_url, "https", "http", venue.insecure)
    for key in ("read_timeout_ms", "session_limit_ms"):
        least = 20 if key == "read_timeout_ms" else 1_000
        if -1 < getattr(venue, key) < least:
            yield key, f"must be -1 (what the venue asks for) or at least {least}"
    if venue.backoff_first_ms > venue.backoff_max_ms:
        yield "backoff_first_ms", "must not be above backoff_max_ms"


def check_shm(shm: ShmConfig) -> Iterator[tuple[str, str]]:
    """Yield (key, sentence) for what the types of `[shm]` cannot say."""
    slots = shm.ring_slots
    if slots & (slots - 1):
        below = 1 << (slots.bit_length() - 1)
        yield "ring_slots", f"must be a power of two, such as {below} or {below * 2}"


def check_ladder(ladder: LadderConfig) -> Iterator[tuple[str, str]]:
    """Yield (key, sentence) for what the types of `[ladder]` cannot say."""
    if not ladder.resubscribe_ms <= ladder.reconnect_ms <= ladder.restart_ms:
        yield "reconnect_ms", "must lie between resubscribe_ms and restart_ms"


def check_rest(rest: RestConfig) -> Iterator[tuple[str, str]]:
    """Yield (key, sentence) for what the types of `[rest]` cannot say."""
    if rest.backoff_first_ms > rest.backoff_max_ms:
        yield "backoff_first_ms", "must not be above backoff_max_ms"


def check_telemetry(telemetry: TelemetryConfig) -> Iterator[tuple[str, str]]:
    """Yield (key, sentence) for what the types of `[telemetry]` cannot say."""
    if telemetry.enabled and not telemetry.jsonl and not telemetry.http_port:
        yield "enabled", "has nothing to do: set jsonl = true, or an http_port"


def check_supervisor(supervisor: SupervisorConfig) -> Iterator[tuple[str, str]]:
    """Yield (key, sentence) for what the types of `[supervisor]` cannot say."""
    if supervisor.backoff_first_ms > supervisor.backoff_max_ms:
        yield "backoff_first_ms", "must not be above backoff_max_ms"


def split_headers(headers: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Return the name and the value of each header."""
    pairs = (header.partition(": ") for header in headers)
    return tuple((name, value) for name, _, value in pairs)


def redact_url(url: str) -> str:
    """Return the address with its credentials and its query's values hidden."""
    without_user = re.sub(r"^([a-z]+://)[^/?#]*@", r"\1***@", url, flags=re.IGNORECASE)
    return re.sub(r"([?&][^=&#]*=)[^&#]*", r"\1***", without_user)


def _check_url(
    key: str, url: str, secure: str, plain: str, insecure: bool
) -> Iterator[tuple[str, str]]:
    if not url:
        return
    try:
        parts = urlsplit(url)
        host = parts.hostname
        _ = parts.port
    except ValueError as error:
        yield key, f"is not an address: {error}"
        return
    if parts.scheme not in (secure, plain) or not host:
        yield key, f"must be an address {secure}://host… (or {plain}:// on loopback)"
    elif not url.isprintable() or " " in url:
        yield key, "must not hold blanks or control characters"
    elif parts.scheme == plain and not insecure and not _is_loopback(host):
        advice = f"use {secure}://, or set `insecure = true` in this section"
        yield key, f"{plain}:// to {host} is neither encrypted nor verified: {advice}"


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
