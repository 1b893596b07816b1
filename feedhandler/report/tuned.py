"""Proposals as Markdown, with the difference of the configuration at the end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from feedhandler.report.markdown import table
from feedhandler.report.settings import difference
from feedhandler.report.tables import milliseconds, show
from feedhandler.report.tune import Change

_TITLES: Final = {
    "cadence": "quotes",
    "ticks": "ticks of the liveness channel",
    "signs": "signs of life, which are quotes or ticks of a venue",
}


def render(values: dict[str, Any]) -> str:
    """Return the whole of it."""
    lines = [f"# Limits from {values['span_s'] / 60:.1f} minutes of cadence", ""]
    kinds = dict.fromkeys(row["feed_kind"] for row in values["cadence"])
    for kind in kinds:
        for key, title in _TITLES.items():
            lines += _cadence(values[key], title, kind)
        lines += _limits(values, kind)
    is_measured = bool(values["cadence"])
    if not is_measured:
        lines.append("- no proposal: there is no telemetry of any quote here")
    for name, reason in values["refused"].items():
        lines.append(f"- no proposal for {name}: {reason}")
    lines += ["", "## Difference of the configuration", "", "```diff"]
    changed = [Change(**change) for change in values["changes"]]
    nothing = "# nothing would change" if is_measured else "# nothing is known"
    lines += list(difference(changed)) or [nothing]
    lines.append("```")
    return "\n".join(lines) + "\n"


def _cadence(cadences: list[dict[str, Any]], title: str, kind: str) -> Iterator[str]:
    yield f"## Time between {title}, ms (feed kind {kind or 'not known'})"
    yield ""
    words = ("p50_ms", "p95_ms", "p99_ms", "p99.9_ms", "longest_ms")
    head = (
        "of",
        "intervals",
        "p50",
        "p95",
        "p99",
        "p99.9",
        "longest",
        "excused",
    )
    rows = [
        (
            row["instrument"],
            show(row["intervals"]),
            *(milliseconds(row[word]) for word in words),
            show(row["excused"]),
        )
        for row in cadences
        if row["feed_kind"] == kind
    ]
    yield from table(head, rows)
    yield ""


def _limits(values: dict[str, Any], kind: str) -> Iterator[str]:
    yield f"## Limits (feed kind {kind or 'not known'})"
    yield ""
    now = ("now ms", "false/day", "in this run")
    then = ("proposed ms", "false/day", "detects within ms", "note")
    rows = [
        (
            row["limit"],
            row["instrument"],
            show(row["current_ms"]),
            _rate(row["current_per_day"]),
            show(row["in_run"]),
            show(row["proposed_ms"]),
            _rate(row["proposed_per_day"]),
            show(row["detects_within_ms"]),
            row["note"],
        )
        for row in values["limits"]
        if row["feed_kind"] == kind
    ]
    yield from table(("limit", "of", *now, *then), rows, left=(0, 1, 8))
    yield ""


def _rate(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"
