"""The table of a run: what each drill measured, printed when the run is over.

A pytest plugin: `tests/conftest.py` takes `pytest_terminal_summary` from here. With
`DRILLS_REPORT=FILE` in the environment the table is written there as Markdown too.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

HEAD: Final = ("row", "fault", "detect", "limit", "recover", "limit", "timing", "notes")
PROPERTY: Final = "drill"


def lines_of(reports: Iterable[Any]) -> list[dict[str, Any]]:
    """Return what drills measured, from the properties of their reports."""
    found = [
        value
        for report in reports
        for name, value in getattr(report, "user_properties", ())
        if name == PROPERTY and report.when == "teardown"
    ]
    return sorted(found, key=lambda line: (line["row"], line["fault"]))


def cells(line: dict[str, Any]) -> tuple[str, ...]:
    """Return one line of the table as text."""
    return (
        line["row"],
        line["fault"],
        _ms(line["detect_ms"], line["detect_ms"] >= 0),
        _ms(line["detect_limit_ms"], line["detect_limit_ms"] > 0),
        _ms(line["recover_ms"], line["recover_ms"] >= 0),
        _ms(line["recover_limit_ms"], line["recover_limit_ms"] > 0),
        line["timing"],
        line["notes"],
    )


def plain(lines: Sequence[dict[str, Any]]) -> list[str]:
    """Return the table in columns, milliseconds throughout."""
    rows = [HEAD, *map(cells, lines)]
    widths = [max(len(row[index]) for row in rows) for index in range(len(HEAD))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in rows
    ]


def markdown(lines: Sequence[dict[str, Any]]) -> str:
    """Return the table in Markdown."""
    rows = [HEAD, ("---",) * len(HEAD), *map(cells, lines)]
    return "".join("| " + " | ".join(row) + " |\n" for row in rows)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print the table, if any drill ran."""
    reports = [one for found in terminalreporter.stats.values() for one in found]
    lines = lines_of(reports)
    if not lines:
        return
    terminalreporter.section("drills (milliseconds)")
    for text in plain(lines):
        terminalreporter.write_line(text.rstrip())
    if path := os.environ.get("DRILLS_REPORT"):
        Path(path).write_text(markdown(lines))


def _ms(value: float, is_there: bool) -> str:
    return f"{value:.0f}" if is_there else "–"
