"""`feedhandler telemetry`: what happened, in files and for Prometheus."""

from __future__ import annotations

from pathlib import Path

import click

from feedhandler import log
from feedhandler.cli.options import config_option, instance_option, load_config
from feedhandler.config import Config
from feedhandler.config.load import suggest
from feedhandler.errors import UsageError

FOLDER = "telemetry"


@click.command()
@instance_option
@config_option
@click.option(
    "--venue", "venues", multiple=True, metavar="V", help="Expect only these venues."
)
@click.option("--out", metavar="DIR", help="Write the files there, whatever is set.")
@click.option(
    "--port",
    type=click.IntRange(0, 65_535),
    help="Serve /metrics, /health and /ready at this port of telemetry.http_host; "
    "0 serves nothing.",
)
def command(
    instance: str | None,
    config_path: str | None,
    venues: tuple[str, ...],
    out: str | None,
    port: int | None,
) -> int:
    """Sample every segment until SIGTERM; another process manager watches it.

    It reads what the others write and disturbs nobody: telemetry.jsonl (described by
    ops/telemetry.schema.json) and market_rx_stats.log, both rotated by size, and an
    HTTP endpoint if a port is set. `feedhandler start` runs it too when
    telemetry.enabled is true.

    \b
    Examples:
      feedhandler telemetry --instance demo --out ./telemetry
      feedhandler telemetry --port 9464
    """
    log.configure("telemetry")
    config = load_config(config_path, instance)
    chosen = _choose_venues(config, venues)
    directory = directory_of(config) if out is None else Path(out)
    http_port = config.telemetry.http_port if port is None else port
    if directory is None and not http_port:
        raise UsageError("nothing to do: telemetry.jsonl is false and no port is set")
    from feedhandler.telemetry.process import run

    return run(config, chosen, directory, http_port)


def directory_of(config: Config) -> Path | None:
    """Return where the files go by the configuration, None when none are wanted."""
    if not config.telemetry.jsonl:
        return None
    if config.telemetry.directory:
        return Path(config.telemetry.directory)
    return config.state_path() / FOLDER


def _choose_venues(config: Config, venues: tuple[str, ...]) -> tuple[str, ...]:
    for venue in venues:
        if venue not in config.venue:
            hint = suggest(venue, config.venue)
            raise UsageError(f"--venue {venue!r} is not configured{hint}")
    return tuple(dict.fromkeys(venues)) or config.enabled_venues()
