"""One side of a book against a plain dict, and what a change of it may cost."""

from __future__ import annotations

from math import isnan, log2, nan
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from feedhandler.book.levels import MARKED_SLACK, Level, Levels
from feedhandler.codec import decimal

# A busy machine is no failure.
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

# Few prices, so that histories meet the same levels again and again; each is written
# in the ways that venues were seen to write it.
PRICES = [84_040 + step / 2 for step in range(30)]
FORMS = ("{:.6f}", "{:.1f}", "{:g}")
SIZES = ("0", "0.00000", "0.00021", "0.59468", "3.04234")

prices = st.builds(
    lambda price, form: decimal.price(form.format(price)),
    st.sampled_from(PRICES),
    st.sampled_from(FORMS),
)
sizes = st.sampled_from(SIZES).map(decimal.size)
levels = st.lists(st.tuples(prices, sizes), max_size=25)


class Naive:
    """What `Levels` must do, the slow and obvious way."""

    def __init__(self, image: list[Level]) -> None:
        self.sizes = {price: size for price, size in dict(image).items() if size}
        self.absent_removals = 0

    def change(self, changes: list[Level]) -> None:
        for price, size in changes:
            if size:
                self.sizes[price] = size
            elif price in self.sizes:
                del self.sizes[price]
            else:
                self.absent_removals += 1

    def ranked(self, *, is_bid: bool) -> list[Level]:
        return sorted(self.sizes.items(), reverse=is_bid)


def assert_same(side: Levels, naive: Naive, *, is_bid: bool) -> None:
    ranked = naive.ranked(is_bid=is_bid)
    assert side.ranked() == ranked
    assert len(side) == len(ranked)
    assert side.absent_removals == naive.absent_removals
    if ranked:
        assert (side.best, side.best_size) == ranked[0]
    else:
        assert isnan(side.best)
        assert isnan(side.best_size)


@unhurried
@given(image=levels, changes=st.lists(levels, max_size=25), is_bid=st.booleans())
def test_side_agrees_with_a_plain_dict_after_every_change(
    image: list[Level], changes: list[list[Level]], is_bid: bool
) -> None:
    side = Levels(image, is_bid=is_bid)
    naive = Naive(image)
    assert_same(side, naive, is_bid=is_bid)
    for change in changes:
        side.change(change)
        naive.change(change)
        assert_same(side, naive, is_bid=is_bid)


@pytest.mark.parametrize("is_bid", [True, False])
def test_side_agrees_with_a_plain_dict_over_a_long_history(is_bid: bool) -> None:
    chance = Random(7)
    side = Levels(is_bid=is_bid)
    naive = Naive([])
    for _ in range(4_000):
        # Now it grows to hundreds of levels, now nearly all of them go.
        share = chance.choice((0.1, 0.5, 0.9))
        change = [
            (1.0 + chance.randrange(800), float(chance.random() > share))
            for _ in range(chance.randrange(60))
        ]
        side.change(change)
        naive.change(change)
        ranked = naive.ranked(is_bid=is_bid)
        assert len(side) == len(ranked)
        assert not ranked or (side.best, side.best_size) == ranked[0]
    assert_same(side, naive, is_bid=is_bid)


@unhurried
@given(image=levels, changes=st.lists(levels, max_size=10), is_bid=st.booleans())
def test_change_said_again_changes_nothing(
    image: list[Level], changes: list[list[Level]], is_bid: bool
) -> None:
    side = Levels(image, is_bid=is_bid)
    for change in changes:
        side.change(change)
        before = side.ranked()
        assert side.holds(change)
        side.change(change)
        assert side.ranked() == before


@unhurried
@given(image=levels, is_bid=st.booleans())
def test_every_top_taken_away_shows_the_next_one(
    image: list[Level], is_bid: bool
) -> None:
    side = Levels(image, is_bid=is_bid)
    for price, size in side.ranked():
        assert (side.best, side.best_size) == (price, size)
        side.change([(price, 0.0)])
    assert not side
    assert isnan(side.best)


@pytest.mark.parametrize("text", ["84050", "84050.0", "84050.000000", "8405e1"])
def test_price_is_one_level_however_it_is_written(text: str) -> None:
    side = Levels([(decimal.price("84050.000000"), 0.81908)], is_bid=True)
    side.change([(decimal.price(text), 0.71908)])
    assert side.ranked() == [(84050.0, 0.71908)]
    side.change([(decimal.price(text), 0.0)])
    assert not side


def test_size_too_small_to_be_one_is_no_level() -> None:
    side = Levels([(9.0, 1e-13), (8.0, 2.0)], is_bid=True)
    assert side.ranked() == [(8.0, 2.0)]
    side.change([(8.0, 1e-13)])
    assert not side
    assert side.holds([(8.0, 1e-13), (7.0, 0.0)])


def test_price_named_twice_in_an_image_counts_once_with_its_last_size() -> None:
    side = Levels([(9.0, 1.0), (8.0, 2.0), (9.0, 3.0), (8.0, 0.0)], is_bid=True)
    assert side.ranked() == [(9.0, 3.0)]
    assert side.duplicates == 2


@pytest.mark.parametrize("is_bid", [True, False])
def test_image_out_of_order_is_taken_and_told(is_bid: bool) -> None:
    rising = [(8.0, 1.0), (9.0, 1.0)]
    side = Levels(rising, is_bid=is_bid)
    assert side.best == (9.0 if is_bid else 8.0)
    assert side.is_unsorted is is_bid
    assert Levels(rising[::-1], is_bid=is_bid).is_unsorted is not is_bid


def test_empty_level_in_front_of_an_image_is_not_disorder() -> None:
    assert not Levels([(9.0, 0.0), (8.0, 1.0)], is_bid=True).is_unsorted
    assert not Levels([(9.0, 0.0)], is_bid=True).is_unsorted


# --- signed changes ---------------------------------------------------------------


def test_signed_change_takes_the_size_it_leads_to() -> None:
    side = Levels([(84053.0, 3.04234), (84050.0, 0.81908)], is_bid=True)
    side.add([(84053.0, -0.04619, 2.99615), (84050.0, -0.1, 0.71908)])
    side.add([(84074.0, 0.00118, 0.00118), (84050.0, -0.71908, 0.0)])
    assert side.ranked() == [(84074.0, 0.00118), (84053.0, 2.99615)]
    assert side.mismatches == 0


def test_signed_changes_of_one_level_in_one_frame_follow_each_other() -> None:
    side = Levels([(9.0, 1.0)], is_bid=True)
    side.add([(9.0, 0.5, 1.5), (9.0, -1.5, 0.0), (9.0, 2.0, 2.0)])
    assert side.ranked() == [(9.0, 2.0)]
    assert side.mismatches == 0


@pytest.mark.parametrize(
    "change",
    [
        (9.0, 0.5, 1.50001),  # one lot too many
        (9.0, -1.0, 0.00001),
        (8.0, -0.5, 0.0),  # a level that is not held cannot shrink
        (9.0, -2.0, nan),
    ],
)
def test_signed_change_that_contradicts_its_result_is_told(
    change: tuple[float, float, float],
) -> None:
    side = Levels([(9.0, 1.0)], is_bid=True)
    side.add([change])
    assert side.mismatches == 1


lots = st.integers(0, 10**9)
decimals = st.integers(0, 6)


@unhurried
@given(held=lots, result=lots, places=decimals)
def test_decimals_that_add_up_are_never_told_as_wrong(
    held: int, result: int, places: int
) -> None:
    def text(count: int) -> float:
        return decimal.parse(f"{count}e-{places}")

    side = Levels([(9.0, text(held))], is_bid=True)
    side.add([(9.0, text(result - held), text(result))])
    assert side.mismatches == 0
    side.add([(9.0, text(1), text(result))])
    assert side.mismatches == 1


@unhurried
@given(steps=st.lists(lots, min_size=1, max_size=20), places=decimals)
def test_sizes_summed_without_a_result_gather_no_dust(
    steps: list[int], places: int
) -> None:
    side = Levels(is_bid=True)
    held = 0
    for wanted in [*steps, 0]:
        change = decimal.parse(f"{wanted - held}e-{places}")
        side.add([(9.0, change, nan)])
        held = wanted
        expected = decimal.parse(f"{wanted}e-{places}")
        assert side.ranked() == ([(9.0, expected)] if wanted else [])
    assert side.mismatches == 0


# --- what a change may cost -------------------------------------------------------


class Counted(float):
    """A price that counts how often two of it are compared."""

    comparisons = 0

    def __lt__(self, other: float) -> bool:
        Counted.comparisons += 1
        return float.__lt__(self, other)

    def __rmul__(self, other: float) -> Counted:
        return Counted(float.__mul__(self, other))

    __hash__ = float.__hash__


@pytest.mark.parametrize("depth", [20, 1_000, 6_000, 50_000])
def test_change_compares_no_more_than_the_logarithm_of_the_depth(depth: int) -> None:
    side = Levels([(Counted(price), 1.0) for price in range(1, depth)], is_bid=False)
    Counted.comparisons = 0
    for price in range(1, depth // 2):
        side.change([(Counted(price), 0.0)])  # the best of all
        side.change([(Counted(price + 0.5), 2.0)])  # becomes the best
        side.change([(Counted(price + 0.5), 3.0)])
        side.change([(Counted(price + 0.5), 0.0)])
        side.change([(Counted(depth + price), 1.0)])  # the worst of all
    changes = 5 * (depth // 2 - 1)
    assert 0 < Counted.comparisons <= changes * 2 * log2(depth)


def test_levels_that_come_and_go_below_the_top_leave_no_memory_behind() -> None:
    side = Levels([(1.0, 1.0)], is_bid=False)
    for price in range(2, 20_000):
        side.change([(float(price), 1.0)])
        side.change([(float(price), 0.0)])
        assert len(side._sizes) == len(side._heap) <= 4 + MARKED_SLACK
    assert side.ranked() == [(1.0, 1.0)]


def test_no_level_is_dropped_to_keep_a_side_short() -> None:
    side = Levels(is_bid=True)
    for price in range(1, 20_001):
        side.change([(float(price), 1.0)])
    assert len(side) == 20_000
    side.change([(float(price), 0.0) for price in range(2, 20_001)])
    assert side.ranked() == [(1.0, 1.0)]
