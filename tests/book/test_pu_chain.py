"""Changes that wait for an image: joined without a hole, or not at all."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from feedhandler.book.continuity import (
    APPLY,
    DUPLICATE,
    GAP,
    NEED_SNAPSHOT,
    REGRESSED,
    SEQUENCE_NONE,
)
from feedhandler.book.pu_chain import KEPT_MAX, PuChain

# A busy machine is no failure.
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

U64_MAX = (1 << 64) - 1


def judge(chain: PuChain[int], first: int, last: int, previous: int) -> int:
    """Judge a change as the venue writes it: U, u, pu. Its item is its `u`."""
    return chain.judge_delta(last, previous, first, last)


def test_documented_sequence_is_kept_joined_chained_and_broken() -> None:
    # Constructed after the venue's document (ASTERUSDT): U, u, pu of each event.
    chain: PuChain[int] = PuChain()
    assert judge(chain, 2027000, 2027010, 2026990) == NEED_SNAPSHOT
    assert chain.judge_snapshot(2027024) == APPLY
    assert chain.take_kept() == []
    assert judge(chain, 2027020, 2027030, 2027010) == APPLY
    assert judge(chain, 2027555, 2027555, 2027030) == APPLY
    assert judge(chain, 2027600, 2027602, 2027555) == APPLY
    assert judge(chain, 2027700, 2027701, 2027699) == GAP
    assert (chain.expected, chain.received) == (2027602, 2027699)


def test_events_that_came_before_the_image_are_applied_after_it() -> None:
    chain: PuChain[int] = PuChain()
    assert judge(chain, 2027000, 2027010, 2026990) == NEED_SNAPSHOT
    assert judge(chain, 2027020, 2027030, 2027010) == NEED_SNAPSHOT
    assert judge(chain, 2027555, 2027555, 2027030) == NEED_SNAPSHOT
    assert chain.judge_snapshot(2027024) == APPLY
    assert chain.take_kept() == [2027030, 2027555]
    assert chain.take_kept() == []
    assert judge(chain, 2027600, 2027602, 2027555) == APPLY


def test_first_event_may_start_right_after_the_image() -> None:
    # Constructed (ETHUSDT): image 200, then U = 201 with pu = 200.
    chain: PuChain[int] = PuChain()
    assert chain.judge_snapshot(200) == APPLY
    assert judge(chain, 201, 201, 200) == APPLY
    assert judge(chain, 202, 203, 201) == APPLY


def test_first_event_without_overlap_is_refused() -> None:
    # Constructed (BTCUSDT): image 100, then U = 102 with pu = 101.
    chain: PuChain[int] = PuChain()
    assert chain.judge_snapshot(100) == APPLY
    assert judge(chain, 102, 102, 101) == GAP
    assert chain.judge_snapshot(100) == NEED_SNAPSHOT
    assert chain.judge_snapshot(101) == APPLY
    assert chain.take_kept() == [102]


def test_image_between_two_events_of_the_symbol_is_joined() -> None:
    # Numbers are shared: recorded 2025-08-07, U = u = 156391349814, pu 156391348236.
    chain: PuChain[int] = PuChain()
    assert chain.judge_snapshot(156391349000) == APPLY
    assert judge(chain, 156391349814, 156391349814, 156391348236) == APPLY


def test_event_that_ends_with_the_image_starts_the_chain() -> None:
    chain: PuChain[int] = PuChain()
    chain.judge_snapshot(200)
    assert judge(chain, 190, 199, 189) == REGRESSED
    assert judge(chain, 200, 200, 199) == APPLY
    assert judge(chain, 300, 300, 200) == APPLY


def test_kept_event_that_ends_with_the_image_is_applied_on_it() -> None:
    chain: PuChain[int] = PuChain()
    judge(chain, 190, 200, 189)
    judge(chain, 300, 300, 200)
    assert chain.judge_snapshot(200) == APPLY
    assert chain.take_kept() == [200, 300]


def test_first_event_without_its_link_is_judged_by_where_it_starts() -> None:
    for previous in (SEQUENCE_NONE, 0):
        chain: PuChain[int] = PuChain()
        chain.judge_snapshot(200)
        assert judge(chain, 202, 205, previous) == GAP
        chain.reset()
        chain.judge_snapshot(200)
        assert judge(chain, 201, 205, previous) == APPLY
        assert judge(chain, 206, 206, previous) == GAP


def test_event_that_only_overlaps_the_chain_is_a_gap() -> None:
    chain: PuChain[int] = PuChain()
    chain.judge_snapshot(100)
    judge(chain, 100, 105, 99)
    assert judge(chain, 104, 110, 103) == GAP


def test_image_older_than_what_is_kept_asks_for_a_newer_one() -> None:
    chain: PuChain[int] = PuChain()
    judge(chain, 102, 110, 101)
    judge(chain, 111, 120, 110)
    assert chain.judge_snapshot(90) == NEED_SNAPSHOT
    assert (chain.expected, chain.received) == (90, 101)
    assert chain.judge_snapshot(115) == APPLY
    assert chain.take_kept() == [120]


def test_event_that_shows_a_gap_is_the_first_to_wait_for_the_next_image() -> None:
    chain: PuChain[int] = PuChain()
    chain.judge_snapshot(100)
    judge(chain, 100, 105, 99)
    assert judge(chain, 120, 125, 119) == GAP
    assert judge(chain, 126, 130, 125) == NEED_SNAPSHOT
    assert chain.judge_snapshot(104) == REGRESSED
    assert chain.judge_snapshot(110) == NEED_SNAPSHOT
    assert chain.judge_snapshot(122) == APPLY
    assert chain.take_kept() == [125, 130]
    assert judge(chain, 131, 131, 130) == APPLY


def test_hole_among_what_is_kept_makes_all_before_it_useless() -> None:
    chain: PuChain[int] = PuChain()
    judge(chain, 1, 10, 0)
    judge(chain, 11, 20, 10)
    assert judge(chain, 31, 40, 30) == NEED_SNAPSHOT
    assert chain.discarded == 2
    assert chain.judge_snapshot(15) == NEED_SNAPSHOT
    assert chain.judge_snapshot(35) == APPLY
    assert chain.take_kept() == [40]


def test_event_said_again_is_ignored_while_waiting_and_while_following() -> None:
    chain: PuChain[int] = PuChain()
    judge(chain, 1, 10, 0)
    judge(chain, 11, 20, 10)
    assert judge(chain, 11, 20, 10) == DUPLICATE
    assert judge(chain, 1, 10, 0) == REGRESSED
    chain.judge_snapshot(5)
    assert chain.take_kept() == [10, 20]
    assert judge(chain, 11, 20, 10) == DUPLICATE
    assert judge(chain, 1, 10, 0) == REGRESSED
    assert judge(chain, 21, 30, 20) == APPLY


def test_what_waits_is_bounded_and_the_oldest_goes_first() -> None:
    chain: PuChain[int] = PuChain()
    for number in range(1, KEPT_MAX + 11):
        assert judge(chain, number, number, number - 1) == NEED_SNAPSHOT
    assert chain.discarded == 10
    assert chain.judge_snapshot(5) == NEED_SNAPSHOT
    assert chain.judge_snapshot(10) == APPLY
    assert chain.take_kept() == list(range(11, KEPT_MAX + 11))


def test_new_session_forgets_numbers_and_what_was_kept() -> None:
    chain: PuChain[int] = PuChain()
    chain.judge_snapshot(U64_MAX)
    chain.await_snapshot()
    assert judge(chain, 1, 2, 1) == NEED_SNAPSHOT
    chain.reset()
    assert judge(chain, 3, 4, 2) == NEED_SNAPSHOT
    assert chain.discarded == 0
    assert chain.judge_snapshot(3) == APPLY
    assert chain.take_kept() == [4]


def test_doubt_from_elsewhere_waits_for_an_image_and_keeps_what_follows() -> None:
    chain: PuChain[int] = PuChain()
    chain.judge_snapshot(100)
    judge(chain, 100, 105, 99)
    chain.await_snapshot()
    assert judge(chain, 106, 110, 105) == NEED_SNAPSHOT
    assert chain.judge_snapshot(107) == APPLY
    assert chain.take_kept() == [110]


@pytest.mark.parametrize("jump", [1 << 40, U64_MAX - 200])
def test_jump_over_any_width_is_one_gap(jump: int) -> None:
    chain: PuChain[int] = PuChain()
    chain.judge_snapshot(100)
    judge(chain, 100, 105, 99)
    assert judge(chain, 105 + jump, 105 + jump, 104 + jump) == GAP
    assert chain.received - chain.expected == jump - 1


# --- any history --------------------------------------------------------------------

fates = st.lists(st.sampled_from(("good",) * 6 + ("lost", "twice", "image", "old")))


@unhurried
@given(fates=fates, widths=st.lists(st.integers(1, 9), min_size=1))
def test_items_applied_after_an_image_are_all_that_followed_it(
    fates: list[str], widths: list[int]
) -> None:
    # The venue's truth: event `index` covers (ends[index], ends[index + 1]].
    ends = [100]
    for index in range(len(fates)):
        ends.append(ends[-1] + widths[index % len(widths)])
    chain: PuChain[int] = PuChain()
    held: int | None = None  # the book is good up to here; None while in doubt
    for index, fate in enumerate(fates):
        if fate in ("image", "old"):
            place = ends[index] if fate == "image" else ends[max(index - 3, 0)]
            if chain.judge_snapshot(place) == APPLY:
                held = place
                for item in chain.take_kept():
                    assert held >= ends[ends.index(item) - 1]
                    held = max(held, item)
        if fate == "lost":
            continue
        for _ in range(2 if fate == "twice" else 1):
            previous, last = ends[index], ends[index + 1]
            verdict = judge(chain, previous + 1, last, previous)
            if verdict == APPLY:
                assert held is not None
                assert held >= previous
                held = max(held, last)
            elif verdict == GAP:
                assert held is not None
                assert held < previous
                held = None
            elif verdict == NEED_SNAPSHOT:
                assert held is None
            elif held is not None:
                assert last <= held
