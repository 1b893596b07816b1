"""`feedhandler config`: checks the configuration and shows what is in effect."""

from __future__ import annotations

import json
import os

import click

from feedhandler.cli.options import config_option, instance_option
from feedhandler.config import Effective, load_effective
from feedhandler.config.describe import effective_rows, toml_value
from feedhandler.errors import EXIT_DONE


@click.command()
@instance_option
@config_option
@click.option("--effective", is_flag=True, help="Show every value and its origin.")
@click.option("--json", "as_json", is_flag=True, help="With --effective: as JSON.")
def command(
    instance: str | None, config_path: str | None, effective: bool, as_json: bool
) -> int:
    """Check the configuration, or show every value with its origin.

    An origin is default, file or environment. What is shown is itself a valid file;
    credentials in addresses are hidden.

    \b
    Examples:
      feedhandler config --config ops/feedhandler.toml
      FEEDHANDLER_HYPERLIQUID_STALE_MS=8000 feedhandler config --effective
    """
    checked = load_effective(config_path, os.environ)
    for warning in checked.warnings:
        click.echo(f"warning: {warning}", err=True)
    if instance is not None:
        config = checked.config.with_instance(instance)
        origins = {**checked.origins, "instance": "command line"}
    else:
        config = checked.config
        origins = {**checked.origins}
    rows = [
        (section, key, value, origins[f"{section}.{key}" if section else key])
        for section, key, value in effective_rows(config)
    ]
    if not effective:
        click.echo(_summary(checked))
    elif as_json:
        click.echo(json.dumps(_document(checked.path, rows), indent=2))
    else:
        _print_rows(rows)
    return EXIT_DONE


def _summary(checked: Effective) -> str:
    place = checked.path or "no file, defaults only"
    changed = sum(origin != "default" for origin in checked.origins.values())
    venues = ", ".join(checked.config.enabled_venues()) or "none"
    return f"configuration is valid: {place}; venues: {venues}; values set: {changed}"


def _document(path: str, rows: list[tuple[str, str, object, str]]) -> dict[str, object]:
    values = [
        {"section": section, "key": key, "value": value, "origin": origin}
        for section, key, value, origin in rows
    ]
    return {"schema": 1, "file": path or None, "values": values}


def _print_rows(rows: list[tuple[str, str, object, str]]) -> None:
    current = ""
    for section, key, value, origin in rows:
        if section != current:
            click.echo(f"\n[{section}]")
            current = section
        assignment = f"{key} = {toml_value(value)}"
        click.echo(f"{assignment:<44} # {origin}")
