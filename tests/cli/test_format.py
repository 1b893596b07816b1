"""Numbers are shown with their own digits, the unknown as a dash."""

from __future__ import annotations

import math

import pytest

from feedhandler.cli.format import (
    decimals_of,
    milliseconds,
    number,
    short,
    sparkline,
)


@pytest.mark.parametrize(
    ("value", "decimals", "shown"),
    [
        (97004.0, 0, "97004"),
        (3399.6, 1, "3399.6"),
        (0.00001234, 8, "0.00001234"),
        (1e-7, 7, "0.0000001"),
        (1e15, 0, "1000000000000000"),
        (0.1 + 0.2, 10, "0.3000000000"),
        (math.nan, 0, "-"),
        (math.inf, 0, "-"),
    ],
)
def test_price_has_its_own_digits(value: float, decimals: int, shown: str) -> None:
    assert decimals_of(value) == decimals
    assert number(value) == shown


@pytest.mark.parametrize(
    "value", [0.0, 1e-9, 0.123456, 12.3456, 999.99, 1234.5, 123456.7, 9.9e8, 1e11]
)
def test_size_takes_at_most_seven_characters(value: float) -> None:
    assert 0 < len(short(value)) <= 7


@pytest.mark.parametrize(
    ("age_ns", "shown"),
    [
        (-1, "-"),
        (0, "0.0"),
        (1_500_000, "1.5"),
        (250_000_000, "250"),
        (3_600_000_000_000, "3600s"),
    ],
)
def test_age_is_in_milliseconds(age_ns: int, shown: str) -> None:
    assert milliseconds(age_ns) == shown


def test_sparkline_spans_its_extremes_and_skips_the_absent() -> None:
    assert sparkline([1.0, math.nan, 2.0, 3.0], 10) == "▁▅█"
    assert sparkline([5.0] * 4, 10) == "▄▄▄▄"
    assert sparkline([math.nan], 10) == ""
    assert len(sparkline([float(n) for n in range(100)], 20)) == 20
