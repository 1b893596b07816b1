"""`feedhandler runner`: the process that judges every feed."""

from __future__ import annotations

import click

from feedhandler import log
from feedhandler.cli.options import config_option, instance_option, load_config


@click.command()
@instance_option
@config_option
def command(instance: str | None, config_path: str | None) -> int:
    """Run the runner until SIGTERM; another process manager watches it.

    It drains what the feeds publish, computes ages and states, and writes its verdicts
    to the segment /fh.<instance>.runner. Without it no quote is tradable.

    \b
    Example:
      feedhandler runner --instance default
    """
    log.configure("runner")
    config = load_config(config_path, instance)
    from feedhandler.runner.process import run

    return run(config)
