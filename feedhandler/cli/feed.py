"""`feedhandler feed VENUE`: one venue's process."""

from __future__ import annotations

import click

from feedhandler import log
from feedhandler.cli.options import config_option, instance_option, load_config
from feedhandler.config import known_venues
from feedhandler.config.load import suggest
from feedhandler.errors import UsageError


@click.command()
@click.argument("venue")
@instance_option
@config_option
def command(venue: str, instance: str | None, config_path: str | None) -> int:
    """Run one venue's process until SIGTERM; another process manager watches it.

    It logs to standard error, writes the segment /fh.<instance>.<venue>, and exits with
    4 when another process already does.

    \b
    Example:
      feedhandler feed hyperliquid --config /etc/feedhandler.toml
    """
    log.configure(f"feed:{log.escape(venue)}")
    if venue not in known_venues():
        raise UsageError(f"unknown venue {venue!r}{suggest(venue, known_venues())}")
    config = load_config(config_path, instance)
    if venue not in config.venue:
        raise UsageError(f"{config_path}: no section [venue.{venue}]")
    from feedhandler.feed.process import run

    return run(venue, config)
