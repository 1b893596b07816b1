"""`feedhandler report`: what a soak showed, and whether it passed."""

from __future__ import annotations

import json
from pathlib import Path

import click

from feedhandler.errors import EXIT_DONE, EXIT_VERDICT, UsageError

PAGE_NAME = "report.html"


@click.command()
@click.argument("directory", metavar="DIR")
@click.option("--gate", "with_gates", is_flag=True, help="Check limits: exit 0 or 1.")
@click.option("--html", "as_html", is_flag=True, help=f"Write DIR/{PAGE_NAME} too.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, not Markdown.")
@click.option(
    "--baseline",
    metavar="FILE",
    help="With --gate: derive limits from this `report --json` of a good run.",
)
@click.option("--out", metavar="FILE", help="With --html: write the page there.")
def command(
    directory: str,
    with_gates: bool,
    as_html: bool,
    as_json: bool,
    baseline: str | None,
    out: str | None,
) -> int:
    """Show what a soak left in DIR: time tradable, ages, states, sessions, processes.

    Whatever was written is used; what is damaged or missing is counted. With --gate
    every check is shown with its limit, value and evidence, and one that lacks its
    evidence fails; so does run_ended, of a run that was killed or stopped early. The
    gates of hops (hop_p99_normal) need a free host: on a busy one they fail with
    nothing wrong, and their evidence shows the host's load. Pages with plots need
    feedhandler[report]; faults of simulated venues are marked in them.

    \b
    Examples:
      feedhandler report ./soak
      feedhandler report ./soak --gate --html
      feedhandler report ./good --json > good.json
      feedhandler report ./soak --gate --baseline good.json
    """
    from feedhandler.report import markdown, whole

    place = Path(directory)
    run, values, manifest = whole.read_directory(place)
    checks = []
    if with_gates:
        checks = whole.gate(values, manifest, Path(baseline) if baseline else None)
    if as_html:
        from feedhandler.report import page

        path = Path(out) if out else place / PAGE_NAME
        text = page.render(values, run)
        try:
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            raise UsageError(f"{path}: {error.strerror}") from error
        click.echo(f"page: {path}", err=True)
    if as_json:
        click.echo(json.dumps(values, indent=1, allow_nan=False))
    else:
        click.echo(markdown.render(values), nl=False)
    passed = all(check.passed for check in checks)
    return EXIT_DONE if passed else EXIT_VERDICT
