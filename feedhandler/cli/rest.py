"""`feedhandler rest`: the process that asks venues where their streams are silent."""

from __future__ import annotations

import click

from feedhandler import log
from feedhandler.cli.options import config_option, instance_option, load_config
from feedhandler.config.load import suggest
from feedhandler.errors import UsageError


@click.command()
@instance_option
@config_option
@click.option(
    "--venue", "venues", multiple=True, metavar="V", help="Only these venues."
)
def command(
    instance: str | None, config_path: str | None, venues: tuple[str, ...]
) -> int:
    """Ask venues by REST until SIGTERM; another process manager watches it.

    It asks where a stream has been silent, confirms quotes of quiet markets, and
    compares every instrument now and then. Its quotes stand in a segment of their own,
    /fh.<instance>.rest, and never make a stream look younger.

    \b
    Example:
      feedhandler rest --config /etc/feedhandler.toml
    """
    log.configure("rest")
    config = load_config(config_path, instance)
    enabled = config.enabled_venues()
    for venue in venues:
        if venue not in config.venue:
            raise UsageError(
                f"--venue {venue!r} is not configured{suggest(venue, config.venue)}"
            )
    if not config.rest.enabled:
        raise UsageError("[rest] enabled = false")
    from feedhandler.rest.process import run

    return run(config, tuple(dict.fromkeys(venues)) or enabled)
