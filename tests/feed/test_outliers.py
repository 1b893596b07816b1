"""A price that jumps is in doubt until it has stood, and no longer."""

from __future__ import annotations

from collections import Counter
from math import nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedhandler.events import FLAG_ONE_SIDED, FLAG_OUTLIER, FLAG_UNCHANGED
from feedhandler.feed.outliers import STEADY_KEPT_NS, Outliers
from shm_layout.limits import OUTLIER_HOLD_NS as HOLD_NS

BPS = 500
FAR = 110.0  # from 100, the price before
MS = 1_000_000


class Judge:
    """Outliers of 5 %, told prices at times that the test gives in ms."""

    def __init__(self, limit_bps: int = BPS) -> None:
        self.counted: Counter[str] = Counter()
        self.outliers = Outliers(limit_bps, 2, self._count)

    def _count(self, name: str, amount: int) -> None:
        self.counted[name] += amount

    def flags(
        self, price: float, at_ms: int = 0, flags: int = 0, index: int = 0
    ) -> int:
        half = price / 1_000
        return self.outliers.judge(index, price - half, price + half, flags, at_ms * MS)

    def is_flagged(self, price: float, at_ms: int = 0, index: int = 0) -> bool:
        return bool(self.flags(price, at_ms, index=index) & FLAG_OUTLIER)


def steady(limit_bps: int = BPS) -> Judge:
    """Return a judge that has seen 100."""
    judge = Judge(limit_bps)
    assert not judge.is_flagged(100.0)
    return judge


def test_first_price_of_an_instrument_is_compared_with_none() -> None:
    judge = steady()
    assert not judge.is_flagged(5_000.0, index=1)
    assert judge.is_flagged(FAR)


@pytest.mark.parametrize(
    ("price", "is_far"), [(104.9, False), (105.1, True), (95.1, False), (94.9, True)]
)
def test_price_beyond_the_limit_is_flagged(price: float, is_far: bool) -> None:
    judge = steady()
    assert judge.is_flagged(price) is is_far
    assert judge.counted["outliers"] == is_far


def test_price_may_go_anywhere_step_by_step() -> None:
    judge = steady()
    price = 100.0
    while price < 1_000:
        price *= 1.04
        assert not judge.is_flagged(price)


def test_new_level_is_flagged_until_it_has_stood_since_its_first_quote() -> None:
    judge = steady()
    assert judge.is_flagged(FAR, 10)
    assert judge.is_flagged(FAR + 1, 500)
    assert judge.is_flagged(FAR, 1_009)
    assert not judge.is_flagged(FAR, 1_010)
    assert not judge.is_flagged(FAR, 1_011)
    assert judge.counted["outliers"] == 1


def test_return_to_the_old_price_clears_the_flag_at_once() -> None:
    judge = steady()
    assert judge.is_flagged(FAR, 10)
    assert not judge.is_flagged(101.0, 20)
    assert judge.is_flagged(FAR, 30), "the old price is what it is compared with again"
    assert judge.is_flagged(FAR, 1_020), "and it stands only since then"
    assert judge.counted["outliers"] == 2


def test_price_far_from_both_begins_to_stand_anew() -> None:
    judge = steady()
    assert judge.is_flagged(FAR, 0)
    assert judge.is_flagged(150.0, 900)
    assert judge.is_flagged(150.0, 1_800)
    assert not judge.is_flagged(150.0, 1_900)
    assert judge.counted["outliers"] == 2


def test_new_level_may_move_in_small_steps_while_it_stands() -> None:
    judge = steady()
    price, at_ms = FAR, 0
    while at_ms < HOLD_NS // MS:
        assert judge.is_flagged(price, at_ms)
        price, at_ms = price * 1.02, at_ms + 100
    assert not judge.is_flagged(price, at_ms)
    assert judge.counted["outliers"] == 1


def test_level_that_stood_in_silence_is_the_one_to_compare_with() -> None:
    judge = steady()
    assert judge.is_flagged(FAR, 0)
    assert judge.is_flagged(100.0, 60_000), "a jump back is a jump"
    assert not judge.is_flagged(FAR, 60_100)


def test_absent_side_says_nothing_and_changes_nothing() -> None:
    judge = steady()
    assert judge.flags(nan, 5, FLAG_ONE_SIDED) == FLAG_ONE_SIDED
    assert judge.is_flagged(FAR, 10)
    assert judge.flags(nan, 900, FLAG_ONE_SIDED) == FLAG_ONE_SIDED
    assert not judge.is_flagged(FAR, 1_010)


def test_instrument_that_never_had_both_sides_has_no_price_before() -> None:
    judge = Judge()
    judge.flags(nan)
    assert not judge.is_flagged(FAR)


def test_jump_that_a_resync_interrupts_begins_to_stand_anew_and_no_other() -> None:
    judge = steady()
    judge.is_flagged(100.0, index=1)
    for index in (0, 1):
        assert judge.is_flagged(FAR, 0, index)
    judge.outliers.resume(0)
    assert judge.is_flagged(FAR, 1_000)
    assert not judge.is_flagged(FAR, 1_000, 1)
    assert not judge.is_flagged(FAR, 2_000)


def test_steady_prices_outlast_a_session_and_no_long_silence() -> None:
    judge = steady()
    judge.is_flagged(FAR, 0)
    judge.outliers.resume_all(STEADY_KEPT_NS)
    assert judge.is_flagged(FAR, 1_000)
    judge.outliers.resume_all(STEADY_KEPT_NS + 1)
    assert not judge.is_flagged(FAR, 1_001)


def test_quote_that_ends_the_doubt_is_news_though_its_price_is_the_same() -> None:
    judge = steady()
    assert judge.flags(100.0, 5, FLAG_UNCHANGED) == FLAG_UNCHANGED
    judge.flags(FAR, 10)
    again = judge.flags(FAR, 20, FLAG_UNCHANGED)
    assert again == FLAG_UNCHANGED | FLAG_OUTLIER
    assert judge.flags(FAR, 1_010, FLAG_UNCHANGED) == 0
    assert judge.flags(FAR, 1_020, FLAG_UNCHANGED) == FLAG_UNCHANGED


def test_limit_of_zero_is_off() -> None:
    judge = steady(0)
    assert not judge.is_flagged(1e9)
    assert not judge.is_flagged(1e-9)
    assert not judge.counted


@given(
    st.lists(
        st.tuples(
            st.sampled_from([94.0, 97.0, 100.0, 104.0, 109.0, 150.0]),
            st.sampled_from([1, 300, 999, 1_000, 5_000]),
        )
    )
)
def test_no_jump_goes_unflagged_and_no_flag_outlasts_the_hold(
    history: list[tuple[float, int]],
) -> None:
    judge = Judge()
    at_ms = jumped_ms = 0
    before, was_flagged = 0.0, False
    for number, (price, gap_ms) in enumerate(history):
        at_ms += gap_ms
        is_jump = number > 0 and abs(price - before) > before * BPS / 10_000
        is_flagged = judge.is_flagged(price, at_ms)
        if is_jump:
            jumped_ms = at_ms
            assert is_flagged or was_flagged, "only a doubt can end by a jump back"
        elif is_flagged:
            assert was_flagged, "a flag begins with a jump"
            assert at_ms - jumped_ms < HOLD_NS // MS
        before, was_flagged = price, is_flagged
