"""`feedhandler soak`: run everything for a while and keep the evidence."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from feedhandler.cli.options import config_option, instance_option
from feedhandler.cli.start import check_faults, children_of, choose_venues
from feedhandler.config import Config, load, load_effective
from feedhandler.config.environment import variable_for
from feedhandler.errors import (
    EXIT_BUG,
    EXIT_DONE,
    EXIT_VERDICT,
    ResourcesMissing,
    UsageError,
    exit_code,
)
from feedhandler.folders import make_private

if TYPE_CHECKING:
    from feedhandler.soak.manifest import Plan
    from feedhandler.soak.outcome import Finding
    from feedhandler.soak.scenario import Scenario
    from feedhandler.supervisor.child import ChildSpec

INSTANCE: Final = "soak"
SEED: Final = 7
MINUTES: Final = 90.0
# What a directory may hold that a run is put into: nothing of another run.
_EVIDENCE: Final = ("manifest.json", "run.log", "telemetry.jsonl")
_TOTALS_MIN: Final = 24  # memory and CPU are compared by them; a slope needs points
_TOTALS_LEAST_MS: Final = 1_000
_FILES_MAX: Final = 1_000  # rotation would remove the beginning of a long run


@click.command()
@instance_option
@config_option
@click.option(
    "--minutes",
    type=click.FloatRange(min=0, min_open=True),
    help=f"How long (default {MINUTES:g}, or as long as the scenario).",
)
@click.option("--out", required=True, metavar="DIR", help="A directory of its own.")
@click.option(
    "--venue", "venues", multiple=True, metavar="V", help="Only these venues."
)
@click.option("--demo", is_flag=True, help="Simulate the venues: no network, no keys.")
@click.option("--seed", type=int, help=f"With --demo: of the market (default {SEED}).")
@click.option(
    "--fault",
    "faults",
    multiple=True,
    metavar="SPEC|FILE",
    help="With --demo: a fault, such as lighter:mute@30s+40s, or a scenario's file.",
)
@click.option(
    "--scenario",
    "scenarios",
    multiple=True,
    metavar="NAME",
    help="With --demo: one of ops/scenarios; its outcome is checked at the end.",
)
@click.option(
    "--scale",
    type=click.FloatRange(0.01, 1),
    default=1.0,
    show_default=True,
    help="With --demo: run a scenario, and the deadlines, at a fraction of its time.",
)
def command(
    instance: str | None,
    config_path: str | None,
    minutes: float | None,
    out: str,
    venues: tuple[str, ...],
    demo: bool,
    seed: int | None,
    faults: tuple[str, ...],
    scenarios: tuple[str, ...],
    scale: float,
) -> int:
    """Run everything for a while, and leave one directory of evidence.

    It holds telemetry.jsonl (and what was rotated), market_rx_stats.log, run.log with
    the lines of every process, and manifest.json with all that a reader must know of
    the run. Ctrl-C or SIGTERM ends it early; what was written is usable. The instance
    is `soak` unless named, so that it runs beside what runs already. A run shorter than
    8 minutes takes totals more often, so that it has 24 of them, unless the
    configuration sets telemetry.totals_ms.

    Exits with 0 when it ran, with 1 when a scenario's outcome was not the expected one,
    and else as `start` does: 2 usage, 4 already running, 5 resources.

    \b
    Examples:
      feedhandler soak --minutes 90 --out ./soak
      feedhandler soak --minutes 2 --demo --out ./soak --fault lighter:mute@30s+40s
      feedhandler soak --demo --scenario venue_outage --out ./outage
    """
    if not demo and (seed is not None or faults or scenarios or scale < 1):
        raise UsageError("--seed, --fault, --scenario and --scale need --demo")
    read = _read_scenarios(scenarios, faults, scale)
    if minutes is None:
        minutes = max((scenario.minutes for scenario in read), default=MINUTES)
    overrides, config = _configure(
        config_path, instance, out, venues, read, minutes, scale
    )
    chosen = choose_venues(config, venues)
    specs = [fault for fault in faults if not fault.endswith(".toml")]
    specs += [spec for scenario in read for spec in scenario.faults_of(chosen)]
    check_faults(specs, chosen)
    plan = _plan(chosen, minutes, demo, seed, specs, read, scale)
    return _run(config, config_path, overrides, plan, _prepare(out), read)


def _plan(
    venues: Sequence[str],
    minutes: float,
    demo: bool,
    seed: int | None,
    faults: Sequence[str],
    scenarios: Sequence[Scenario],
    scale: float,
) -> Plan:
    from feedhandler.soak.manifest import Plan

    return Plan(
        command=["feedhandler", *sys.argv[1:]],
        venues=venues,
        minutes=minutes,
        is_demo=demo,
        seed=(SEED if seed is None else seed) if demo else None,
        faults=faults,
        scenarios=[scenario.name for scenario in scenarios],
        scale=scale,
    )


def _read_scenarios(
    names: Sequence[str], faults: Sequence[str], scale: float
) -> list[Scenario]:
    from feedhandler.soak import scenario

    files = [fault for fault in faults if fault.endswith(".toml")]
    return [scenario.read(scenario.find(name), scale) for name in (*names, *files)]


def _configure(
    path: str | None,
    instance: str | None,
    out: str,
    venues: Sequence[str],
    scenarios: Sequence[Scenario],
    minutes: float,
    scale: float,
) -> tuple[dict[str, str], Config]:
    """Return what children get in their environment, and the configuration."""
    from feedhandler.soak.shortened import shorten

    effective = load_effective(path, os.environ)
    config = effective.config
    chosen = choose_venues(config, venues)
    overrides = shorten(config, chosen, scale)
    if effective.origins["telemetry.totals_ms"] == "default":
        name = variable_for("telemetry", "totals_ms")
        usual_ms = int(overrides.get(name, config.telemetry.totals_ms))
        overrides[name] = str(_totals_ms(minutes, usual_ms))
    for scenario in scenarios:
        for key, value in scenario.config.items():
            for venue in chosen:
                overrides[variable_for(venue, key)] = _text(value)
    overrides[variable_for("telemetry", "enabled")] = "true"
    overrides[variable_for("telemetry", "jsonl")] = "true"
    overrides[variable_for("telemetry", "directory")] = str(Path(out).resolve())
    overrides[variable_for("telemetry", "files_max")] = str(_FILES_MAX)
    config = load(path, {**os.environ, **overrides})
    return overrides, config.with_instance(instance or INSTANCE)


def _totals_ms(minutes: float, usual_ms: int) -> int:
    """Return how often totals are due for a run of that length to hold enough."""
    return min(usual_ms, max(_TOTALS_LEAST_MS, int(minutes * 60_000 / _TOTALS_MIN)))


def _text(value: object) -> str:
    if isinstance(value, list):
        return ",".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def _prepare(out: str) -> Path:
    directory = Path(out).resolve()
    try:
        make_private(directory)
        held = [name for name in _EVIDENCE if (directory / name).exists()]
    except OSError as error:
        raise ResourcesMissing(f"{directory}: {error.strerror}") from error
    if held:
        raise UsageError(f"{directory} holds another run already: {', '.join(held)}")
    return directory


def _run(
    config: Config,
    config_path: str | None,
    overrides: Mapping[str, str],
    plan: Plan,
    directory: Path,
    scenarios: Sequence[Scenario],
) -> int:
    from feedhandler.soak.console import SoakConsole
    from feedhandler.soak.manifest import Manifest
    from feedhandler.soak.progress import Progress
    from feedhandler.supervisor.process import Options, run
    from feedhandler.supervisor.simulation import Simulation

    manifest = Manifest(directory, config, plan)
    manifest.write()
    console = SoakConsole(directory, is_terminal=sys.stdout.isatty())
    total_s = plan.minutes * 60
    progress = Progress(config, plan.venues, total_s, plan.is_demo, console, manifest)
    simulation = Simulation(
        plan.venues, seed=plan.seed, faults=plan.faults, await_clients=True
    )
    options = Options(
        children=_children(config, config_path, plan, overrides),
        simulation=simulation if plan.is_demo else None,
        view=progress,
        console=console,
    )
    try:
        code = run(config, options)
    except BaseException as error:
        text = f"{type(error).__name__}: {error}"
        manifest.complete(text, exit_code(error) or EXIT_BUG)
        raise
    finally:
        console.close()
    supervisor = progress.supervisor
    reason = "never started" if supervisor is None else supervisor.stop_reason
    facts = {
        "flaps_seen": progress.flaps,
        "log_lines_dropped": console.lines_dropped,
        # When every simulated venue had a client: from then faults count their times.
        "begun_mono_ns": console.begun_ns or None,
    }
    manifest.complete(reason, code, **facts)
    click.echo(f"soak: {reason}; evidence: {directory}")
    if code == EXIT_DONE and scenarios:
        code = _check_outcome(directory, plan, scenarios, manifest.values)
        manifest.write()
    return code


def _children(
    config: Config, path: str | None, plan: Plan, overrides: Mapping[str, str]
) -> list[ChildSpec]:
    return [
        replace(spec, environment={**spec.environment, **overrides})
        for spec in children_of(config, path, plan.venues)
    ]


def _check_outcome(
    directory: Path,
    plan: Plan,
    scenarios: Sequence[Scenario],
    values: dict[str, Any],
) -> int:
    """Print whether each scenario came out as it should; return the exit code."""
    begun_ns = values["begun_mono_ns"] or values["start_mono_ns"]
    findings = _findings(directory, plan, scenarios, begun_ns)
    values["outcome"] = [
        {"venue": f.venue, "expected": f.expected, "found": f.found, "met": f.is_met}
        for f in findings
    ]
    for finding in findings:
        word = "ok  " if finding.is_met else "FAIL"
        text = f"{finding.venue}: {finding.expected}; found: {finding.found}"
        click.echo(f"{word} {text}")
    return EXIT_DONE if all(f.is_met for f in findings) else EXIT_VERDICT


def _findings(
    directory: Path, plan: Plan, scenarios: Sequence[Scenario], begun_ns: int
) -> list[Finding]:
    from feedhandler.report import whole
    from feedhandler.soak.outcome import Outcome, gates_finding
    from feedhandler.telemetry.read import Telemetry

    harmed = {venue for scenario in scenarios for venue in scenario.harmed}
    expects = [expect for scenario in scenarios for expect in scenario.expects]
    outcome = Outcome(expects, plan.venues, harmed, begun_ns)
    with suppress(FileNotFoundError):  # then nothing was seen, and nothing is met
        for sample in Telemetry.of(directory).samples():
            outcome.take(sample)
    findings = outcome.findings()
    if plan.scale < 1:
        return findings  # gates are limits of true time
    _, document, manifest = whole.read_directory(directory)
    checks = whole.gate(document, manifest, None)
    failed = [f"{check.name} {check.subject}" for check in checks if not check.passed]
    must = [pattern for s in scenarios for pattern in s.gates_fail]
    may = [pattern for s in scenarios for pattern in s.gates_may_fail]
    return findings + gates_finding(failed, must, may)
