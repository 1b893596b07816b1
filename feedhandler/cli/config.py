"""`feedhandler config`: checks the configuration and shows what is in effect."""

from __future__ import annotations

import json
import os

import click

from feedhandler.cli.options import config_option, instance_option
from feedhandler.config import Config, Effective, load_effective
from feedhandler.config.describe import effective_rows, toml_value
from feedhandler.errors import EXIT_DONE, UsageError

_NS_PER_MS = 1_000_000


@click.command()
@instance_option
@config_option
@click.option("--effective", is_flag=True, help="Show every value and its origin.")
@click.option("--json", "as_json", is_flag=True, help="With --effective: as JSON.")
def command(
    instance: str | None, config_path: str | None, effective: bool, as_json: bool
) -> int:
    """Check the configuration, or show every value with its origin.

    An origin is default, file or environment; where a value leaves it to the venue, the
    venue's own stands beside it. What is shown is itself a valid file; credentials in
    addresses are hidden.

    \b
    Examples:
      feedhandler config --config ops/feedhandler.toml
      FEEDHANDLER_HYPERLIQUID_STALE_MS=8000 feedhandler config --effective
    """
    if as_json and not effective:
        raise UsageError("--json needs --effective")
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
        own = _own_values(config)
        click.echo(json.dumps(_document(checked.path, rows, own), indent=2))
    else:
        _print_rows(rows, _own_values(config))
    return EXIT_DONE


def _own_values(config: Config) -> dict[tuple[str, str], object]:
    """Return what a venue uses for the keys that leave it to the venue."""
    # Imported here: most commands that read a configuration need no venue.
    from feedhandler.feed.settings import settle
    from feedhandler.venues._base import load_venue

    own: dict[tuple[str, str], object] = {}
    for name, venue in config.venue.items():
        try:
            settings = settle(load_venue(name), venue)
        except UsageError:
            continue  # the feed says it when it starts
        timing = settings.timing
        for key, value_ns in (
            ("read_timeout_ms", timing.read_timeout_ns),
            ("ping_interval_ms", timing.ping_interval_ns),
            ("session_limit_ms", timing.session_limit_ns),
            ("subscribe_gap_ms", timing.subscribe_gap_ns),
        ):
            if getattr(venue, key) < 0:
                own[f"venue.{name}", key] = value_ns // _NS_PER_MS
        if not venue.fresh_ms:
            own[f"venue.{name}", "fresh_ms"] = settings.fresh_ms
        for key, url in (("ws_url", settings.ws_url), ("rest_url", settings.rest_url)):
            if not getattr(venue, key):
                own[f"venue.{name}", key] = url
    return own


def _summary(checked: Effective) -> str:
    place = checked.path or "no file, defaults only"
    changed = sum(origin != "default" for origin in checked.origins.values())
    venues = ", ".join(checked.config.enabled_venues()) or "none"
    return f"configuration is valid: {place}; venues: {venues}; values set: {changed}"


def _document(
    path: str,
    rows: list[tuple[str, str, object, str]],
    own: dict[tuple[str, str], object],
) -> dict[str, object]:
    values = [
        {"section": section, "key": key, "value": value, "origin": origin}
        | ({"own": own[section, key]} if (section, key) in own else {})
        for section, key, value, origin in rows
    ]
    return {"schema": 1, "file": path or None, "values": values}


def _print_rows(
    rows: list[tuple[str, str, object, str]], own: dict[tuple[str, str], object]
) -> None:
    current = ""
    for section, key, value, origin in rows:
        if section != current:
            click.echo(f"\n[{section}]")
            current = section
        assignment = f"{key} = {toml_value(value)}"
        left = f": the venue's {own[section, key]}" if (section, key) in own else ""
        click.echo(f"{assignment:<44} # {origin}{left}")
