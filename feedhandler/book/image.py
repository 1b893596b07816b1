"""The top of a full image of a book: best price and its size on each side.

An image that is sorted, which is the rule, costs one comparison a level. What is odd is
looked at again and told to the caller, who counts it:

    unsorted     the true best counts, wherever it stands
    zero size    the level is absent
    no levels    the side is absent (NaN)
"""

from __future__ import annotations

from collections.abc import Sequence
from math import nan
from typing import Protocol, TypeAlias

from feedhandler.codec.decimal import VALUE_MIN, DecimalError


class Level(Protocol):
    """One level of a book, its price and size checked by `codec`."""

    price: float
    size: float


# Price, size, whether the levels were out of order.
Side: TypeAlias = tuple[float, float, bool]

ABSENT: Side = (nan, nan, False)


def touch(level: Level | None) -> tuple[float, float]:
    """Return price and size of the only level that a venue sends of a side."""
    if level is None:
        return nan, nan
    size = level.size
    if size >= VALUE_MIN:
        return level.price, size
    if size != 0.0:
        raise DecimalError("range", size)
    return nan, nan


def best_bid(levels: Sequence[Level]) -> Side:
    """Return the highest bid that has a size."""
    if not levels:
        return ABSENT
    first = levels[0]
    price = first.price
    for level in levels:
        if level.price > price:
            return _best(levels, is_bid=True)
    size = first.size
    return (price, size, False) if size >= VALUE_MIN else _best(levels, is_bid=True)


def best_ask(levels: Sequence[Level]) -> Side:
    """Return the lowest ask that has a size."""
    if not levels:
        return ABSENT
    first = levels[0]
    price = first.price
    for level in levels:
        if level.price < price:
            return _best(levels, is_bid=False)
    size = first.size
    return (price, size, False) if size >= VALUE_MIN else _best(levels, is_bid=False)


def _best(levels: Sequence[Level], *, is_bid: bool) -> Side:
    """Take the best level that has a size; a size too small to be one refuses all."""
    ranked = sorted(levels, key=lambda level: level.price, reverse=is_bid)
    is_unsorted = ranked[0].price != levels[0].price
    for level in ranked:
        if level.size >= VALUE_MIN:
            return level.price, level.size, is_unsorted
        if level.size != 0.0:
            raise DecimalError("range", level.size)
    return nan, nan, is_unsorted
