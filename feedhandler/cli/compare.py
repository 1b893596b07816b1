"""`feedhandler compare`: two runs side by side."""

from __future__ import annotations

import json
from pathlib import Path

import click

from feedhandler.errors import EXIT_DONE, EXIT_VERDICT


@click.command()
@click.argument("before", metavar="BEFORE")
@click.argument("after", metavar="AFTER")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, not Markdown.")
@click.option("--anyway", is_flag=True, help="Compare runs that are not alike, too.")
def command(before: str, after: str, as_json: bool, anyway: bool) -> int:
    """Say for each metric whether AFTER is better, worse, or not distinguishable.

    Each is the directory of a soak, or a telemetry file; venues, feed kinds and length
    must be alike, or nothing is shown but what differs. The share of time tradable
    stands first. Intervals come from a block bootstrap and hold for all metrics
    together; worse is what lies wholly beyond the least difference that matters. A
    sentence of the scorecard that cannot be shown is not met: it has no evidence. Exits
    with 1 when something is worse, a sentence is missed, or the runs are not alike.

    \b
    Examples:
      feedhandler compare ./monday ./tuesday
      feedhandler compare ./monday ./tuesday --json
    """
    from feedhandler.report import compared
    from feedhandler.report.compare import compare, read_side

    sides = [read_side(Path(place)) for place in (before, after)]
    values = compare(sides[0], sides[1], anyway=anyway)
    if as_json:
        click.echo(json.dumps(values, indent=1, allow_nan=False))
    else:
        click.echo(compared.render(values), nl=False)
    if values["metrics"] is None:
        click.echo("not alike: --anyway compares what is in both", err=True)
        return EXIT_VERDICT
    worse = any(row["verdict"] == "worse" for row in values["metrics"])
    missed = any(line["verdict"] == "missed" for line in values["scorecard"])
    return EXIT_VERDICT if worse or missed else EXIT_DONE
