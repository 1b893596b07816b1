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
from feedhandler.report.scorecard import TRADABLE, scorecard
from feedhandler.report.spread import EDGES_MS, mean_ms, percentiles
from feedhandler.report.tradable import TradableTrack

SCHEMA: Final = 1
LENGTHS_DIFFER: Final = 1.25  # longer than this is another kind of run

_TRADABLE_LEAST: Final = 0.1  # percentage points: a minute and a half of a day
_AGE_LEAST: Final = 0.10  # a tenth is no difference that anybody feels
_PER_HOUR_LEAST: Final = 1.0
_USE_LEAST: Final = 0.15
_CPU_LEAST: Final = 1.0  # percent of a core: two runs of the very same differ by that


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
    more_is_better: bool = False
    least_units: float = 0.0


def read_side(place: Path) -> tuple[Run, dict[str, Any]]:
    """Return a run of a soak's directory, or of a telemetry file."""
    if place.is_dir():
        run, values, _ = whole.read_directory(place)
        return run, values
    return whole.read_files([place])


def compare(
    before: tuple[Run, dict[str, Any]],
    after: tuple[Run, dict[str, Any]],
    *,
    anyway: bool = False,
) -> dict[str, Any]:
    """Return the comparison as plain values.

    Runs that are not alike are compared `anyway` alone; else metrics and scorecard are
    None, and only the problems are told.
    """
    first, second = before[0], after[0]
    found = problems(first, second)
    is_compared = anyway or not found
    rows = _metrics(first, second) if is_compared else None
    return {
        "schema": SCHEMA,
        "problems": found,
        "before": _side(before[1]),
        "after": _side(after[1]),
        "metrics": rows,
        "scorecard": None if rows is None else scorecard(before[1], after[1], rows),
    }


def _metrics(first: Run, second: Run) -> list[dict[str, Any]]:
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
            more_is_better=question.more_is_better,
            least_units=question.least_units,
        )
        rows.append(_row(question, interval))
    return rows


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
        kind = before.feed_kind(name.partition(":")[0])
        if kind == after.feed_kind(name.partition(":")[0]):
            yield from _quote_questions(before, after, name, kind)
        # Else unlike things are not compared.
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
        for metric, unit, series, least_units in (
            ("cpu", "%", "cpu_series", _CPU_LEAST),
            ("rss", "MiB", "rss_series", 0.0),
        ):
            sums = [
                _series(getattr(run.processes[role], series)(), run)
                for run in (before, after)
            ]
            yield Question(
                metric,
                role,
                "",
                unit,
                sums,
                _mean,
                is_ratio=True,
                least=_USE_LEAST,
                least_units=least_units,
            )


def _quote_questions(
    before: Run, after: Run, name: str, kind: str
) -> Iterator[Question]:
    tracks = [(run.instruments[name], run) for run in (before, after)]
    shares = [_tradable(track.tradable, run) for track, run in tracks]
    yield Question(
        TRADABLE,
        name,
        kind,
        "%",
        shares,
        _percent,
        is_ratio=False,
        least=_TRADABLE_LEAST,
        more_is_better=True,
    )
    ages = [_grouped(track.apply.blocks, run) for track, run in tracks]
    for word, value in _AGE_METRICS.items():
        yield Question(
            f"apply_age_{word}", name, kind, "ms", ages, value, True, _AGE_LEAST
        )
    flaps = [_rates(track.flaps, run) for track, run in tracks]
    yield Question("flaps", name, kind, "/h", flaps, _rate, False, _PER_HOUR_LEAST)


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


def _tradable(track: TradableTrack, run: Run) -> Floats:
    """Return the tradable and all seconds of each block after the start."""
    tradable, running = track.tradable_over_time, track.running_over_time
    rows = np.hstack((tradable.rows, running.rows))
    return bootstrap.groups(rows, running.width_s, run.span_s)


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


def _percent(rows: Floats) -> Floats:
    return 100.0 * _mean(rows)


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
        "least": _rounded(interval.least),
        "verdict": interval.verdict,
        "note": interval.note,
    }


def _side(values: dict[str, Any]) -> dict[str, Any]:
    keys = ("version", "commit", "command", "seed", "span_s", "first_ms", "last_ms")
    return {key: values["run"][key] for key in keys}


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
