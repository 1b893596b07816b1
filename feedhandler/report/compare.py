"""Two runs side by side: what became better, what worse, and what cannot be told."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from feedhandler.report import bootstrap, whole
from feedhandler.report.blocks import Blocks, Floats
from feedhandler.report.bootstrap import Interval, Metric
from feedhandler.report.gather import Run
from feedhandler.report.scorecard import scorecard
from feedhandler.report.spread import EDGES_MS, mean_ms, percentiles

SCHEMA: Final = 1
LENGTHS_DIFFER: Final = 1.25  # longer than this is another kind of run

_AGE_LEAST: Final = 0.10  # a tenth is no difference that anybody feels
_PER_HOUR_LEAST: Final = 1.0
_USE_LEAST: Final = 0.15


@dataclass(frozen=True, slots=True)
class Question:
    """One metric of both runs, as sums over blocks of time."""

    metric: str
    subject: str
    feed_kind: str
    unit: str
    sides: list[Floats]  # before, after
    value: Metric
    is_ratio: bool
    least: float


def read_side(place: Path) -> tuple[Run, dict[str, Any]]:
    """Return a run of a soak's directory, or of a telemetry file."""
    if place.is_dir():
        run, values, _ = whole.read_directory(place)
        return run, values
    return whole.read_files([place])


def compare(
    before: tuple[Run, dict[str, Any]], after: tuple[Run, dict[str, Any]]
) -> dict[str, Any]:
    """Return the comparison as plain values."""
    first, second = before[0], after[0]
    asked = list(_questions(first, second))
    rows = []
    for question in asked:
        name = f"{question.metric} {question.subject}"
        interval = bootstrap.compare(
            question.sides[0],
            question.sides[1],
            question.value,
            metrics=len(asked),
            is_ratio=question.is_ratio,
            least=question.least,
            seed=zlib.crc32(name.encode()),
        )
        rows.append(_row(question, interval))
    return {
        "schema": SCHEMA,
        "problems": problems(first, second),
        "before": _side(before[1]),
        "after": _side(after[1]),
        "metrics": rows,
        "scorecard": scorecard(before[1], after[1], rows),
    }


def problems(before: Run, after: Run) -> list[str]:
    """Return what makes the two runs hard to compare."""
    found = []
    for name, run in (("BEFORE", before), ("AFTER", after)):
        if not run.samples:
            found.append(f"{name} holds no sample")
    for word, first, second in (
        ("venue", set(before.venues), set(after.venues)),
        ("instrument", set(before.instruments), set(after.instruments)),
    ):
        for name in sorted(first - second):
            found.append(f"{word} {name} is in BEFORE alone")
        for name in sorted(second - first):
            found.append(f"{word} {name} is in AFTER alone")
    for venue in sorted(set(before.venues) & set(after.venues)):
        kinds = before.feed_kind(venue), after.feed_kind(venue)
        if kinds[0] != kinds[1]:
            found.append(f"feed kind of {venue} changed: {kinds[0]} -> {kinds[1]}")
    spans = sorted((before.span_s, after.span_s))
    if spans[0] and spans[1] > LENGTHS_DIFFER * spans[0]:
        found.append(
            f"lengths differ: before={before.span_s:.0f} s after={after.span_s:.0f} s"
        )
    return found


def _questions(before: Run, after: Run) -> Iterator[Question]:
    for name in sorted(set(before.instruments) & set(after.instruments)):
        venue = name.partition(":")[0]
        kind = before.feed_kind(venue)
        if kind != after.feed_kind(venue):
            continue  # unlike things are not compared
        sides = [run.instruments[name] for run in (before, after)]
        ages = [
            _grouped(side.apply.blocks, run)
            for side, run in zip(sides, (before, after), strict=True)
        ]
        for word, value in _AGE_METRICS.items():
            yield Question(
                f"apply_age_{word}", name, kind, "ms", ages, value, True, _AGE_LEAST
            )
        flaps = [
            _rates(side.flaps, run)
            for side, run in zip(sides, (before, after), strict=True)
        ]
        yield Question("flaps", name, kind, "/h", flaps, _rate, False, _PER_HOUR_LEAST)
    for venue in sorted(set(before.venues) & set(after.venues)):
        tracks = [(run.venues[venue], run) for run in (before, after)]
        kind = before.feed_kind(venue)
        for metric, column in (
            ("session_ends", "ends_over_time"),
            ("resyncs", "resyncs_over_time"),
        ):
            sums = [_rates(getattr(track, column), run) for track, run in tracks]
            yield Question(
                metric, venue, kind, "/h", sums, _rate, False, _PER_HOUR_LEAST
            )
    for role in sorted(set(before.processes) & set(after.processes)):
        for metric, unit, series in (
            ("cpu", "%", "cpu_series"),
            ("rss", "MiB", "rss_series"),
        ):
            sums = [
                _series(getattr(run.processes[role], series)(), run)
                for run in (before, after)
            ]
            yield Question(metric, role, "", unit, sums, _mean, True, _USE_LEAST)


def _percentile(percent: float) -> Metric:
    def value(rows: Floats) -> Floats:
        result: Floats = percentiles(EDGES_MS, rows, [percent])[:, 0]
        return result

    return value


def _mean_age(rows: Floats) -> Floats:
    return mean_ms(EDGES_MS, rows)


_AGE_METRICS: Final[dict[str, Metric]] = {
    "mean": _mean_age,
    "p50": _percentile(50.0),
    "p95": _percentile(95.0),
    "p99": _percentile(99.0),
}


def _grouped(blocks: Blocks | None, run: Run) -> Floats:
    assert blocks is not None
    return bootstrap.groups(blocks.rows, blocks.width_s, run.span_s)


def _rates(blocks: Blocks, run: Run) -> Floats:
    """Return events and hours of each block; quiet blocks at the end count too."""
    count = int(run.span_s / blocks.width_s)
    rows = np.zeros((count, 2))
    filled = blocks.rows[:count, 0]
    rows[: len(filled), 0] = filled
    rows[:, 1] = blocks.width_s / 3_600
    return bootstrap.groups(rows, blocks.width_s, run.span_s)


def _rate(rows: Floats) -> Floats:
    result: Floats = rows[:, 0] / rows[:, 1]
    return result


def _series(values: list[float], run: Run) -> Floats:
    """Return looks at a process, which come with the totals, and their count."""
    rows = np.array(values, dtype=np.float64).reshape(-1, 1)
    width_s = run.span_s / max(1, run.totals - 1) or bootstrap.BLOCK_MIN_S
    return bootstrap.groups(
        np.hstack((rows, np.ones_like(rows))), width_s, len(values) * width_s
    )


def _mean(rows: Floats) -> Floats:
    result: Floats = np.divide(
        rows[:, 0], rows[:, 1], out=np.full(len(rows), np.nan), where=rows[:, 1] > 0
    )
    return result


def _row(question: Question, interval: Interval) -> dict[str, Any]:
    return {
        "metric": question.metric,
        "subject": question.subject,
        "feed_kind": question.feed_kind,
        "unit": question.unit,
        "before": _rounded(interval.before),
        "after": _rounded(interval.after),
        "interval_of": "ratio" if interval.is_ratio else "difference",
        "low": _rounded(interval.low),
        "high": _rounded(interval.high),
        "verdict": interval.verdict,
        "note": interval.note,
    }


def _side(values: dict[str, Any]) -> dict[str, Any]:
    keys = ("version", "commit", "command", "seed", "span_s", "first_ms", "last_ms")
    return {key: values["run"][key] for key in keys}


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
