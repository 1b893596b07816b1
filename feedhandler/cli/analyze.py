"""`feedhandler analyze`: what telemetry alone tells."""

from __future__ import annotations

import json
from pathlib import Path

import click

from feedhandler.errors import EXIT_DONE, EXIT_VERDICT


@click.command()
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, not Markdown.")
def command(files: tuple[str, ...], as_json: bool) -> int:
    """Show ages, states and trends from telemetry files, the oldest first.

    FILE may be a directory: its telemetry.jsonl with the rotated ones is read. The
    numbers are those of `report`, which knows the manifest and the log beside. Memory
    does not grow with the files. Exits with 1 when there is no sample in them.

    \b
    Examples:
      feedhandler analyze telemetry.jsonl
      feedhandler analyze telemetry.jsonl.2 telemetry.jsonl.1 --json
    """
    from feedhandler.report import markdown, whole

    run, values = whole.read_files([Path(name) for name in files])
    if as_json:
        click.echo(json.dumps(values, indent=1, allow_nan=False))
    else:
        click.echo(markdown.render(values), nl=False)
    return EXIT_DONE if run.samples else EXIT_VERDICT
