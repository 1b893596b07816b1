"""`feedhandler doctor`: can this host run it, and what to do if not."""

from __future__ import annotations

import json
import os
import time

import click

from feedhandler.cli.grid import folded, terminal_width
from feedhandler.cli.options import config_option, instance_option
from feedhandler.errors import EXIT_DONE, EXIT_VERDICT

_COLOURS = {"ok": "green", "warn": "yellow", "fail": "red"}


@click.command()
@instance_option
@config_option
@click.option("--clean", is_flag=True, help="Remove what dead instances left.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(
    instance: str | None, config_path: str | None, clean: bool, as_json: bool
) -> int:
    """Check the host: shared memory, memory, clock, limits, versions, configuration.

    Each check is ok, warn or fail, and says what to do; exits with 1 if any fails.
    --clean removes only segments of ours whose writer is dead and whose instance does
    not run, and the directories of dead demos; what an instance that runs will take
    over, and foreign objects, are left alone.

    \b
    Examples:
      feedhandler doctor --config ops/feedhandler.toml
      feedhandler doctor --clean
    """
    from feedhandler.rest.report import read_rest
    from feedhandler.supervisor.checks import run_checks

    removed = _clean() if clean else []
    checks = run_checks(
        config_path,
        os.environ,
        instance,
        lambda name: read_rest(name, time.monotonic_ns()),
    )
    failed = any(check.verdict == "fail" for check in checks)
    if as_json:
        document = {
            "schema": 1,
            "ok": not failed,
            "removed": removed,
            "checks": [check.as_dict() for check in checks],
        }
        click.echo(json.dumps(document, indent=2))
        return EXIT_VERDICT if failed else EXIT_DONE
    for name in removed:
        click.echo(f"removed {name}")
    width = terminal_width()
    for check in checks:
        verdict = click.style(f"{check.verdict:<4}", fg=_COLOURS[check.verdict])
        lines = folded(f"{verdict}  {check.name:<16} ", check.text, width)
        if check.advice:
            lines += folded(f"{'':23}-> ", check.advice, width)
        click.echo("\n".join(lines))
    return EXIT_VERDICT if failed else EXIT_DONE


def _clean() -> list[str]:
    """Remove what dead instances left; return the names of it."""
    from feedhandler.supervisor import demo_folder
    from feedhandler.supervisor.checks import find_leftovers
    from shm_layout.segment import remove_leftover

    demos = [name for name in demo_folder.dead_instances() if demo_folder.remove(name)]
    segments = [name for name in find_leftovers() if remove_leftover(name)]
    return segments + [str(demo_folder.path_of(name)) for name in demos]
