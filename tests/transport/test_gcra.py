"""What a budget grants, by numbers alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedhandler.errors import UsageError
from feedhandler.transport.gcra import HORIZON_NS, MINUTE_NS, Account, Pace

NOW_NS = 5_000_000_000_000
SECOND_NS = 1_000_000_000


def spent_at_once(pace: Pace, account: Account, now_ns: int) -> int:
    count = 0
    while account.take(pace, 1, now_ns) == 0:
        count += 1
    return count


def test_burst_is_granted_at_once_and_then_one_unit_a_step() -> None:
    pace, account = Pace(70, 10), Account()
    assert pace.step_ns == SECOND_NS
    assert spent_at_once(pace, account, NOW_NS) == 10
    wait_ns = account.take(pace, 1, NOW_NS)
    assert wait_ns == SECOND_NS
    assert account.take(pace, 1, NOW_NS + wait_ns - 1) == 1
    assert account.take(pace, 1, NOW_NS + wait_ns) == 0
    assert account.take(pace, 3, NOW_NS + wait_ns) == 3 * SECOND_NS


def test_refused_take_spends_nothing() -> None:
    pace, account = Pace(70, 10), Account()
    assert account.take(pace, 8, NOW_NS) == 0
    before = account.arrival_ns
    assert account.take(pace, 3, NOW_NS) > 0
    assert account.arrival_ns == before
    assert account.take(pace, 2, NOW_NS) == 0


@given(
    per_minute=st.integers(2, 3_000),
    burst=st.integers(1, 2_999),
    asks=st.lists(
        st.tuples(st.integers(1, 40), st.integers(0, 20 * SECOND_NS)), max_size=60
    ),
)
def test_no_minute_ever_holds_more_than_its_limit(
    per_minute: int, burst: int, asks: list[tuple[int, int]]
) -> None:
    pace, account = Pace(per_minute, min(burst, per_minute - 1)), Account()
    now_ns = NOW_NS
    granted: list[tuple[int, int]] = []
    for weight, pause_ns in asks:
        weight = min(weight, pace.burst)
        now_ns += pause_ns
        now_ns += account.take(pace, weight, now_ns)
        if account.take(pace, weight, now_ns) == 0:
            granted.append((now_ns, weight))
    for begin_ns, _ in granted:
        end_ns = begin_ns + MINUTE_NS
        inside = [weight for at_ns, weight in granted if begin_ns <= at_ns <= end_ns]
        assert sum(inside) <= per_minute


def test_wait_that_was_told_is_enough_when_nobody_else_spends() -> None:
    pace, account = Pace(1_200, 60), Account()
    account.take(pace, 60, NOW_NS)
    wait_ns = account.take(pace, 20, NOW_NS)
    assert account.take(pace, 20, NOW_NS + wait_ns) == 0


def test_weight_above_the_burst_waits_for_an_empty_account_and_is_paid_whole() -> None:
    pace, account = Pace(70, 10), Account()
    account.take(pace, 1, NOW_NS)
    assert account.take(pace, 30, NOW_NS) == SECOND_NS
    assert account.take(pace, 30, NOW_NS + SECOND_NS) == 0
    assert account.level(pace, NOW_NS + SECOND_NS) == 30


def test_block_holds_until_its_time_and_never_gets_shorter() -> None:
    pace, account = Pace(70, 10), Account()
    account.block(NOW_NS + 30 * SECOND_NS, NOW_NS)
    account.block(NOW_NS + 5 * SECOND_NS, NOW_NS)
    assert account.take(pace, 1, NOW_NS) == 30 * SECOND_NS
    assert account.take(pace, 1, NOW_NS + 30 * SECOND_NS) == 0
    account.block(NOW_NS * 1_000, NOW_NS)
    assert account.blocked_ns == NOW_NS + HORIZON_NS
    assert account.is_sane(NOW_NS)


def test_report_of_our_own_spending_changes_nothing() -> None:
    pace, account = Pace(2_400, 400), Account()
    used = 0
    for second in range(50):
        now_ns = NOW_NS + second * SECOND_NS
        assert account.take(pace, 30, now_ns) == 0
        used += 30
        before = account.arrival_ns
        account.report(pace, used, now_ns)
        assert account.arrival_ns == before


def test_report_of_what_others_spent_is_taken_over() -> None:
    pace, account = Pace(2_400, 400), Account()
    account.report(pace, 2_400, NOW_NS)
    # A minute's worth is gone: at most 2,400 − 2,400 until that minute is over.
    wait_ns = account.take(pace, 1, NOW_NS)
    assert wait_ns + SECOND_NS >= MINUTE_NS
    account.report(pace, 10**9, NOW_NS)
    assert account.take(pace, 1, NOW_NS) == wait_ns


def test_count_that_fell_is_a_new_window() -> None:
    pace, account = Pace(2_400, 400), Account()
    account.report(pace, 5, NOW_NS)
    now_ns = NOW_NS + 40 * SECOND_NS
    account.report(pace, 300, now_ns)
    assert account.level(pace, now_ns) == 0  # paid for in 40 seconds
    account.report(pace, 299, now_ns)
    assert account.level(pace, now_ns) == 299  # a window that is new
    later_ns = now_ns + MINUTE_NS
    account.report(pace, 299, later_ns)
    assert account.level(pace, later_ns) == 299  # and one that must have ended


@pytest.mark.parametrize(
    ("per_minute", "burst"), [(0, 0), (1, 1), (10, 0), (10, 10), (-5, -6), (10**7, 5)]
)
def test_pace_that_cannot_be_kept_is_refused(per_minute: int, burst: int) -> None:
    with pytest.raises(UsageError):
        Pace(per_minute, burst)


@pytest.mark.parametrize(
    "account",
    [
        Account(arrival_ns=-1),
        Account(arrival_ns=NOW_NS + HORIZON_NS + 1),
        Account(blocked_ns=NOW_NS + HORIZON_NS + 1),
        Account(used_since_ns=-1),
        Account(used=-1),
    ],
)
def test_account_that_cannot_be_is_told(account: Account) -> None:
    assert not account.is_sane(NOW_NS)
    assert Account().is_sane(NOW_NS)
