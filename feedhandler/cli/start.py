"""`feedhandler start`: everything of one instance, in the foreground."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import click

from feedhandler.cli.options import config_option, instance_option, load_config
from feedhandler.config import Config
from feedhandler.config.load import suggest
from feedhandler.errors import UsageError
from feedhandler.supervisor.child import ChildSpec, program
from feedhandler.supervisor.console import Console
from feedhandler.supervisor.process import Options, View, run
from feedhandler.supervisor.simulation import Simulation

DEMO_INSTANCE = "demo"


@click.command()
@instance_option
@config_option
@click.option(
    "--venue", "venues", multiple=True, metavar="V", help="Only these venues."
)
@click.option("--demo", is_flag=True, help="Simulate the venues: no network, no keys.")
@click.option(
    "--seed", type=int, help="With --demo: seed of the simulated market (default 7)."
)
@click.option(
    "--rate",
    type=click.FloatRange(0.01, 1000),
    help="With --demo: speed of the simulated market (default 1).",
)
@click.option(
    "--fault",
    "faults",
    multiple=True,
    metavar="SPEC",
    help="With --demo: a fault, such as hyperliquid:mute@30s+20s; may be repeated. Its "
    "time counts from when every venue has a client; without one it begins at once. "
    "`feedhandler sim --kinds` lists them.",
)
@click.option(
    "--table/--no-table",
    default=None,
    help="Show quotes in a live table, or a line a second where there is no terminal "
    "(default: with --demo).",
)
@click.option(
    "--for",
    "for_seconds",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="End by itself after this time.",
)
def command(
    instance: str | None,
    config_path: str | None,
    venues: tuple[str, ...],
    demo: bool,
    seed: int | None,
    rate: float | None,
    faults: tuple[str, ...],
    table: bool | None,
    for_seconds: float | None,
) -> int:
    """Run feeds and runner, restart what dies, and stop cleanly on Ctrl-C or SIGTERM.

    The processes of [rest] and [telemetry] run too where the configuration enables
    them. With --demo the instance is `demo` unless named, whatever the configuration
    says, so that it runs beside what runs already. What a demo keeps on disk is removed
    with it, telemetry too unless telemetry.directory is set; `soak --demo --out` keeps.

    Prints how far each venue has come, then what happens. A second Ctrl-C kills at
    once. Exits with 4 when the instance already runs.

    \b
    Examples:
      feedhandler start --demo
      feedhandler start --demo --seed 7 --fault hyperliquid:mute@30s+20s
      feedhandler start --config ops/feedhandler.toml --venue hyperliquid
    """
    if not demo and (seed is not None or rate is not None or faults):
        raise UsageError("--seed, --rate and --fault need --demo")
    if demo and instance is None:
        instance = DEMO_INSTANCE
    config = load_config(config_path, instance)
    chosen = choose_venues(config, venues)
    check_faults(faults, chosen)
    simulation = Simulation(
        chosen, seed=seed, rate=rate, faults=faults, await_clients=bool(faults)
    )
    with_table = demo if table is None else table
    console = Console(
        with_table=with_table and _can_draw(),
        stderr_is_terminal=sys.stderr.isatty(),
    )
    options = Options(
        children=children_of(config, config_path, chosen),
        simulation=simulation if demo else None,
        for_seconds=for_seconds or 0.0,
        view=_view(console) if with_table else None,
        console=console,
    )
    return run(config, options)


def choose_venues(config: Config, venues: Sequence[str]) -> tuple[str, ...]:
    """Return the venues to run: those named, else the enabled ones."""
    enabled = config.enabled_venues()
    for venue in venues:
        if venue not in config.venue:
            hint = suggest(venue, config.venue)
            raise UsageError(f"--venue {venue!r} is not configured{hint}")
    chosen = tuple(dict.fromkeys(venues)) or enabled
    if not chosen:
        raise UsageError("no venue is enabled")
    return chosen


def check_faults(faults: Sequence[str], venues: Sequence[str]) -> None:
    """Raise `UsageError` for a fault that the simulated venues would refuse."""
    if not faults:
        return
    # Imported here: without faults nobody pays for the simulated venues.
    from feedhandler.sim import FaultError, parse

    for text in faults:
        try:
            fault = parse(text)
        except FaultError as error:
            raise UsageError(str(error)) from error
        if fault.venue and fault.venue not in venues:
            hint = suggest(fault.venue, venues)
            raise UsageError(f"fault {text!r} is for a venue that does not run{hint}")


def children_of(
    config: Config, config_path: str | None, venues: Sequence[str]
) -> list[ChildSpec]:
    """Return the processes of an instance, the feeds first."""
    shared = ["--instance", config.instance]
    if config_path is not None:
        shared += ["--config", config_path]
    feeds = [
        ChildSpec(f"feed:{venue}", program("feed", venue, *shared)) for venue in venues
    ]
    children = [*feeds, ChildSpec("runner", program("runner", *shared))]
    chosen = [word for venue in venues for word in ("--venue", venue)]
    if config.rest.enabled:
        children.append(ChildSpec("rest", program("rest", *shared, *chosen)))
    if config.telemetry.enabled:
        children.append(ChildSpec("telemetry", program("telemetry", *shared, *chosen)))
    return children


def _can_draw() -> bool:
    is_dumb = os.environ.get("TERM", "dumb") in ("", "dumb")
    return sys.stdout.isatty() and not is_dumb


def _view(console: Console) -> View:
    # Imported here: without a table nobody pays for the terminal library.
    from feedhandler.cli.view import PlainView, TableView

    return TableView() if console.has_table else PlainView(console)
