"""Numbers for people."""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal
from typing import Final

DECIMALS_MAX: Final = 10
UNKNOWN: Final = "-"
_NS_PER_MS: Final = 1_000_000
_SPARKS: Final = "▁▂▃▄▅▆▇█"


def decimals_of(value: float) -> int:
    """Return how many digits a price shows after the point, by its shortest text."""
    if not math.isfinite(value):
        return 0
    exponent = Decimal(repr(value)).normalize().as_tuple().exponent
    assert isinstance(exponent, int)
    return min(DECIMALS_MAX, max(0, -exponent))


def number(value: float, decimals: int | None = None) -> str:
    """Render a price or size with its own digits, an absent one as a dash."""
    if not math.isfinite(value):
        return UNKNOWN
    return f"{value:.{decimals_of(value) if decimals is None else decimals}f}"


def short(value: float) -> str:
    """Render a size with four digits that count, in at most seven characters."""
    if not math.isfinite(value):
        return UNKNOWN
    if abs(value) >= 1e6:
        return f"{value / 1e6:.4g}M"
    if abs(value) >= 1_000:
        return f"{value:.0f}"
    return f"{value:.4g}" if abs(value) >= 1e-4 or value == 0 else f"{value:.1e}"


def milliseconds(age_ns: int) -> str:
    """Render an age, an unknown one (negative) as a dash."""
    if age_ns < 0:
        return UNKNOWN
    age_ms = age_ns / _NS_PER_MS
    if abs(age_ms) < 10:
        return f"{age_ms:.1f}"
    return f"{age_ms:.0f}" if abs(age_ms) < 100_000 else f"{age_ms / 1_000:.0f}s"


def sparkline(values: Sequence[float], width: int) -> str:
    """Draw the last values as one line of blocks, scaled between their extremes."""
    shown = [value for value in values[-width:] if math.isfinite(value)]
    if not shown:
        return ""
    low, high = min(shown), max(shown)
    if high <= low:
        return _SPARKS[3] * len(shown)
    top = len(_SPARKS) - 1
    return "".join(_SPARKS[round((v - low) / (high - low) * top)] for v in shown)
