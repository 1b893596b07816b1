"""How sure is a difference? Block bootstrap: whole stretches of time are drawn anew.

Ages of neighbouring moments are alike, so single values must not be drawn; blocks of
seconds to minutes are, with what happened in them kept together.

    run ─▶ blocks of time ─▶ drawn with repetition, 2,000 times ─▶ spread of the metric
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist
from typing import Final

import numpy as np

from feedhandler.report.blocks import Floats

DRAWS: Final = 2_000
BLOCKS_MIN: Final = 8
BLOCK_MIN_S: Final = 5.0
SURE: Final = 0.95  # for all metrics of a comparison together

BETTER: Final = "better"
WORSE: Final = "worse"
SAME: Final = "not distinguishable"

Metric = Callable[[Floats], Floats]  # rows of sums over blocks -> a value a row


@dataclass(frozen=True, slots=True)
class Interval:
    """A metric of both runs, and what lies between them."""

    before: float | None
    after: float | None
    low: float | None  # of the difference, or of the ratio
    high: float | None
    is_ratio: bool
    verdict: str
    least: float  # what matters, in the terms of low and high
    note: str = ""


def groups(rows: Floats, width_s: float, span_s: float) -> Floats:
    """Return blocks of at least five seconds; a last one that is not full is left out.

    A run that ended inside a block did not fill it, and would count as a good one.
    """
    each = max(1, math.ceil(BLOCK_MIN_S / width_s))
    full = min(len(rows), int(span_s / width_s + 1e-9))
    count = full // each
    shape = count, each, rows.shape[1]  # of a run that is too short there is none
    result: Floats = rows[: count * each].reshape(shape).sum(axis=1)
    return result


def compare(
    before: Floats,
    after: Floats,
    metric: Metric,
    *,
    metrics: int,
    is_ratio: bool,
    least: float,
    seed: int,
    more_is_better: bool = False,
    least_units: float = 0.0,
) -> Interval:
    """Compare one metric, of which less is better unless told otherwise.

    `metrics` is how many are compared at once: the interval is widened (Bonferroni) so
    that two equal runs come out equal in all of them together. `least` is what matters;
    where `is_ratio` it is a share, and `least_units` of the metric itself at least. The
    whole interval must lie beyond it: two equal runs differ by more than blocks tell.
    """
    sides = before, after
    values = [float(metric(rows.sum(axis=0, keepdims=True))[0]) for rows in sides]
    shown = [value if math.isfinite(value) else None for value in values]
    if least_units and shown[0]:
        least = max(least, least_units / shown[0])
    edge = 1 + least if is_ratio else least

    def unknown(why: str) -> Interval:
        note = f"no evidence: {why}"
        return Interval(shown[0], shown[1], None, None, is_ratio, SAME, edge, note)

    if (count := min(len(before), len(after))) < BLOCKS_MIN:
        return unknown(f"blocks={count} least={BLOCKS_MIN}")
    if None in shown:
        return unknown("unknown in one of the runs")
    generator = np.random.default_rng(seed)
    draws = [_draw(rows, metric, generator) for rows in sides]
    if is_ratio:
        values = [math.log(max(value, 1e-9)) for value in values]
        draws = [np.log(np.maximum(drawn, 1e-9)) for drawn in draws]
        least = math.log1p(least)
    spread = math.sqrt(sum(float(np.nanvar(drawn)) for drawn in draws))
    factor = NormalDist().inv_cdf(1 - (1 - SURE) / (2 * max(1, metrics)))
    if not math.isfinite(spread):
        return unknown("unknown in one of the runs")
    middle = values[1] - values[0]
    low, high = middle - factor * spread, middle + factor * spread
    verdict = _verdict(low, high, least, more_is_better)
    if is_ratio:
        low, high = math.exp(low), math.exp(high)
    return Interval(shown[0], shown[1], low, high, is_ratio, verdict, edge)


def _verdict(low: float, high: float, least: float, more_is_better: bool) -> str:
    """Return a verdict where the whole interval lies beyond what matters."""
    if low > least:
        return BETTER if more_is_better else WORSE
    if high < -least:
        return WORSE if more_is_better else BETTER
    return SAME


def _draw(rows: Floats, metric: Metric, generator: np.random.Generator) -> Floats:
    count = len(rows)
    drawn = generator.integers(0, count, (DRAWS, count))
    drawn += count * np.arange(DRAWS)[:, None]
    times = np.bincount(drawn.ravel(), minlength=DRAWS * count)
    return metric(times.reshape(DRAWS, count).astype(np.float64) @ rows)
