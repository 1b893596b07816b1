"""`feedhandler stop`: ends an instance."""

from __future__ import annotations

import click

from feedhandler.cli.options import (
    nothing_runs,
    pick_instance,
    running_instance_option,
)
from feedhandler.errors import EXIT_DONE


@click.command()
@running_instance_option
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(0.1, 600),
    default=4.0,
    show_default=True,
    help="Seconds a process gets between SIGTERM and SIGKILL.",
)
def command(instance: str | None, timeout_s: float) -> int:
    """Stop every process of an instance and remove its shared memory.

    Finds them through shared memory, whoever started them: a supervisor, what a killed
    supervisor left, or a process started by hand. Nothing running is not an error.

    \b
    Example:
      feedhandler stop --instance demo
    """
    from feedhandler.supervisor.stop import stop_instance

    name = pick_instance(instance)
    if stop_instance(name, click.echo, timeout_s):
        click.echo(f"stopped: instance={name}")
    else:
        click.echo(nothing_runs(name))
    return EXIT_DONE
