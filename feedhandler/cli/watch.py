"""`feedhandler watch`: ends what hangs, where another process manager starts it."""

from __future__ import annotations

import click

from feedhandler import log
from feedhandler.cli.options import config_option, instance_option, load_config


@click.command()
@instance_option
@config_option
def command(instance: str | None, config_path: str | None) -> int:
    """Watch runner, rest and telemetry under another process manager, until SIGTERM.

    It ends a process that lives and does not beat, and those that a killed manager left
    behind; the manager starts them again. `feedhandler start` does this by itself, and
    a feed that hangs is the runner's ladder's business. Exits with 4 when the instance
    has a supervisor.

    \b
    Example:
      feedhandler watch --config /etc/feedhandler.toml
    """
    log.configure("supervisor")
    config = load_config(config_path, instance)
    from feedhandler.supervisor.watch import run

    return run(config)
