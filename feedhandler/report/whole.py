"""From a soak's directory, or from telemetry alone, to a run and its document."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from feedhandler.errors import UsageError
from feedhandler.report.baselines import Baseline
from feedhandler.report.facts import document
from feedhandler.report.gates import Check, check_all
from feedhandler.report.gather import Run
from feedhandler.report.manifest import Manifest, read_manifest
from feedhandler.report.runlog import read_log
from feedhandler.telemetry.read import Telemetry

FOLDER = "telemetry"


def read_directory(
    directory: Path,
) -> tuple[Run, dict[str, Any], Manifest]:
    """Return what a soak left, whatever of it is there: a missing file is no error."""
    if not directory.is_dir():
        raise UsageError(f"no such directory: {directory}")
    run = Run()
    try:
        telemetry = Telemetry.of(directory)
    except FileNotFoundError:
        inside = directory / FOLDER
        telemetry = Telemetry([])
        if inside.is_dir():
            telemetry = _quietly(inside)
    _read(run, telemetry)
    manifest = read_manifest(directory)
    return run, document(run, manifest, read_log(directory)), manifest


def read_files(paths: Sequence[Path]) -> tuple[Run, dict[str, Any]]:
    """Return what telemetry alone tells. Raises `UsageError` for what is not there."""
    try:
        telemetry = Telemetry.of(*paths)
    except FileNotFoundError as error:
        raise UsageError(str(error)) from error
    run = _read(Run(), telemetry)
    return run, document(run)


def gate(
    values: dict[str, Any], manifest: Manifest, baseline: Path | None
) -> list[Check]:
    """Check a document, and add the checks to it."""
    checks = check_all(values, Baseline.of(baseline, manifest.is_simulated))
    values["gates"] = [check.row() for check in checks]
    return checks


def _read(run: Run, telemetry: Telemetry) -> Run:
    try:
        return run.read(telemetry)
    except OSError as error:
        raise UsageError(f"{error.filename}: {error.strerror}") from error


def _quietly(directory: Path) -> Telemetry:
    try:
        return Telemetry.of(directory)
    except FileNotFoundError:
        return Telemetry([])
