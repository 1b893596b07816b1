"""`feedhandler tune`: limits from measured cadence."""

from __future__ import annotations

import json
from pathlib import Path

import click

from feedhandler.errors import EXIT_DONE, EXIT_VERDICT


@click.command()
@click.argument("directory", metavar="DIR")
@click.option("--apply", "target", metavar="FILE", help="Merge the changes into FILE.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, not Markdown.")
def command(directory: str, target: str | None, as_json: bool) -> int:
    """Propose fresh limits, watchdogs and the layers' thresholds from a soak in DIR.

    They come from measured silences: of quotes, of liveness channels, and of venues.
    Each is shown with its false alarms a day, how often it happened in this run, and
    the time in which it sees a failure. A quote that is old while its liveness channel
    ticks is no false alarm of the layers, and a fresh limit is 5 s at most.
    Thin evidence is refused, and then the exit code is 1. Nothing that runs is changed;
    FILE is written only when --apply names it, and keeps its comments.

    \b
    Examples:
      feedhandler tune ./soak
      feedhandler tune ./soak --apply feedhandler.toml
    """
    from feedhandler.report import settings, tuned, whole
    from feedhandler.report.tune import Change, propose

    run, _, manifest = whole.read_directory(Path(directory))
    values = propose(run, manifest)
    if as_json:
        click.echo(json.dumps(values, indent=1, allow_nan=False))
    else:
        click.echo(tuned.render(values), nl=False)
    changes = [Change(**change) for change in values["changes"]]
    if target is not None and changes:
        settings.apply(Path(target), changes, sorted(run.venues))
        click.echo(f"merged into {target}", err=True)
    return EXIT_VERDICT if values["refused"] or not run.samples else EXIT_DONE
