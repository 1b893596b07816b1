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
    note: str = ""


def groups(rows: Floats, width_s: float, span_s: float) -> Floats:
    """Return blocks of at least five seconds; a last one that is not full is left out.

    A run that ended inside a block did not fill it, and would count as a good one.
    """
    each = max(1, math.ceil(BLOCK_MIN_S / width_s))
    full = min(len(rows), int(span_s / width_s + 1e-9))
    count = full // each
    result: Floats = rows[: count * each].reshape(count, each, -1).sum(axis=1)
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
) -> Interval:
    """Compare one metric, of which less is better.

    `metrics` is how many are compared at once: the interval is widened (Bonferroni) so
    that two equal runs come out equal in all of them together. A difference smaller
    than `least`, as a share where `is_ratio`, is none that matters.
    """
    values = [
        float(metric(rows.sum(axis=0, keepdims=True))[0]) for rows in (before, after)
    ]
    shown = [value if math.isfinite(value) else None for value in values]
    if len(before) < BLOCKS_MIN or len(after) < BLOCKS_MIN:
        note = f"no evidence: blocks={min(len(before), len(after))} least={BLOCKS_MIN}"
        return Interval(shown[0], shown[1], None, None, is_ratio, SAME, note)
    generator = np.random.default_rng(seed)
    draws = [_draw(rows, metric, generator) for rows in (before, after)]
    if is_ratio:
        values = [math.log(max(value, 1e-9)) for value in values]
        draws = [np.log(np.maximum(drawn, 1e-9)) for drawn in draws]
        least = math.log1p(least)
    spread = math.sqrt(sum(float(np.nanvar(drawn)) for drawn in draws))
    factor = NormalDist().inv_cdf(1 - (1 - SURE) / (2 * max(1, metrics)))
    middle = values[1] - values[0]
    low, high = middle - factor * spread, middle + factor * spread
    if not math.isfinite(middle + spread):
        note = "no evidence: unknown in one of the runs"
        return Interval(shown[0], shown[1], None, None, is_ratio, SAME, note)
    verdict = SAME
    if low > 0 and middle > least:
        verdict = WORSE
    elif high < 0 and middle < -least:
        verdict = BETTER
    if is_ratio:
        low, high = math.exp(low), math.exp(high)
    return Interval(shown[0], shown[1], low, high, is_ratio, verdict)


def _draw(rows: Floats, metric: Metric, generator: np.random.Generator) -> Floats:
    count = len(rows)
    drawn = generator.integers(0, count, (DRAWS, count))
    drawn += count * np.arange(DRAWS)[:, None]
    times = np.bincount(drawn.ravel(), minlength=DRAWS * count)
    return metric(times.reshape(DRAWS, count).astype(np.float64) @ rows)
