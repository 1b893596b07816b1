"""A comparison as Markdown; feed kinds stand in tables of their own.

Of runs that are not alike, and not compared, only what tells them apart is shown.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from feedhandler.report.bootstrap import SAME
from feedhandler.report.markdown import table
from feedhandler.report.scorecard import TRADABLE

_KINDS = ("bbo", "depth", "")


def render(values: dict[str, Any]) -> str:
    """Return the whole comparison, or why there is none."""
    lines = ["# Before and after", ""]
    for side in ("before", "after"):
        facts = values[side]
        words = [f"{facts['span_s'] / 60:.1f} minutes"]
        if facts["version"]:
            words.append(f"version {facts['version']}")
        if facts["commit"]:
            words.append(f"commit {facts['commit']}")
        lines.append(f"- {side}: {', '.join(words)}")
    lines += [f"- not alike: {problem}" for problem in values["problems"]]
    if values["metrics"] is None:
        return "\n".join(lines) + "\n"
    lines += ["", *_scorecard(values)]
    for kind in _KINDS:
        rows = [row for row in values["metrics"] if row["feed_kind"] == kind]
        if rows:
            lines += _metrics(rows, f"feed kind {kind}" if kind else "processes")
    return "\n".join(lines) + "\n"


def _scorecard(values: dict[str, Any]) -> Iterator[str]:
    yield "## Scorecard of AFTER"
    yield ""
    rows = [
        (line["verdict"], line["sentence"], line["evidence"])
        for line in values["scorecard"]
    ]
    yield from table(("verdict", "success means", "evidence"), rows, left=(0, 1, 2))
    yield ""


def _metrics(rows: list[dict[str, Any]], title: str) -> Iterator[str]:
    yield f"## Metrics ({title})"
    yield ""
    head = ("metric", "subject", "before", "after", "interval", "verdict")
    cells = [
        (
            row["metric"],
            row["subject"],
            _value(row["before"], row["unit"]),
            _value(row["after"], row["unit"]),
            _interval(row),
            row["verdict"] + (f" ({row['note']})" if row["note"] else ""),
        )
        for row in sorted(rows, key=_rank)
    ]
    yield from table(head, cells, left=(0, 1, 5))
    yield ""


def _rank(row: dict[str, Any]) -> tuple[bool, bool]:
    """Return what stands first: tradable time, then what is told apart."""
    return row["metric"] != TRADABLE, row["verdict"] == SAME


def _value(value: float | None, unit: str) -> str:
    return "-" if value is None else f"{value:,.4g} {unit}"


def _interval(row: dict[str, Any]) -> str:
    if row["low"] is None:
        return "-"
    sign = "×" if row["interval_of"] == "ratio" else "Δ"
    return f"{sign} {row['low']:.3g} … {row['high']:.3g}"
