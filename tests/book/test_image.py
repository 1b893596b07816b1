"""The top of an image: sorted or not, with holes, or with a side missing."""

from __future__ import annotations

from dataclasses import dataclass
from math import isnan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedhandler.book.image import best_ask, best_bid, touch
from feedhandler.codec.decimal import DecimalError


@dataclass
class Level:
    price: float
    size: float


def levels(*rows: tuple[float, float]) -> list[Level]:
    return [Level(price, size) for price, size in rows]


def test_first_level_of_a_sorted_image_is_the_top() -> None:
    assert best_bid(levels((9, 1), (8, 2))) == (9, 1, False)
    assert best_ask(levels((10, 3), (11, 4))) == (10, 3, False)


def test_true_best_of_an_unsorted_image_is_found_and_told() -> None:
    assert best_bid(levels((8, 2), (9, 1))) == (9, 1, True)
    assert best_ask(levels((11, 4), (10, 3))) == (10, 3, True)


def test_level_without_size_is_absent() -> None:
    assert best_bid(levels((9, 0), (8, 2))) == (8, 2, False)
    assert best_ask(levels((10, -0.0), (11, 4))) == (11, 4, False)


@pytest.mark.parametrize("rows", [(), ((9, 0), (8, 0))])
def test_side_without_a_sized_level_is_absent(
    rows: tuple[tuple[float, float], ...],
) -> None:
    price, size, _ = best_bid(levels(*rows))
    assert isnan(price)
    assert isnan(size)


def test_size_too_small_to_be_one_refuses_the_touch() -> None:
    with pytest.raises(DecimalError) as caught:
        best_bid(levels((9, 1e-13), (8, 2)))
    assert caught.value.reason == "range"


def test_touch_is_a_level_or_absent() -> None:
    assert touch(Level(9, 1)) == (9, 1)
    for absent in (None, Level(9, 0), Level(9, -0.0)):
        assert all(isnan(value) for value in touch(absent))
    with pytest.raises(DecimalError):
        touch(Level(9, 1e-13))


sides = st.lists(
    st.builds(Level, st.floats(1e-12, 1e12), st.sampled_from([0.0, 1.0, 2.5])),
    max_size=20,
)


@given(side=sides)
def test_top_agrees_with_a_naive_search(side: list[Level]) -> None:
    prices = [level.price for level in side if level.size]
    bid, _, _ = best_bid(side)
    ask, _, _ = best_ask(side)
    if prices:
        assert bid == max(prices)
        assert ask == min(prices)
    else:
        assert isnan(bid)
        assert isnan(ask)
