"""`feedhandler version`: which build runs on what."""

from __future__ import annotations

import click

from feedhandler.errors import EXIT_DONE
from feedhandler.identity import VERSION
from feedhandler.supervisor.versions import library_versions


@click.command()
def command() -> int:
    """Show the version of the product, its shared-memory module, Python and libraries.

    \b
    Example:
      feedhandler version
    """
    import shm_layout

    click.echo(f"feedhandler {VERSION}")
    click.echo(f"shared memory: {shm_layout.IMPLEMENTATION}")
    for name, version in library_versions():
        click.echo(f"{name} {version}")
    return EXIT_DONE
