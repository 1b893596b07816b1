"""Back-off, budget and hopeless ends, with numbers alone."""

from __future__ import annotations

import random

import pytest

from feedhandler.config import SupervisorConfig
from feedhandler.supervisor.policy import RestartPolicy

NS_PER_MS = 1_000_000


class Highest(random.Random):
    """Draws the end of every range, so that the ceiling shows."""

    def uniform(self, a: float, b: float) -> float:
        return b


def make(source: random.Random | None = None, **settings: int) -> RestartPolicy:
    return RestartPolicy(SupervisorConfig(**settings), source or Highest())


def delays_ms(policy: RestartPolicy, count: int, gap_ms: int = 1) -> list[int]:
    """Return the delays of `count` deaths, each `gap_ms` after the one before."""
    delays = []
    now_ns = 0
    for _ in range(count):
        now_ns += gap_ms * NS_PER_MS
        restart = policy.after_exit(now_ns, now_ns)
        delays.append((restart.at_ns - now_ns) // NS_PER_MS)
    return delays


def test_ceiling_doubles_up_to_its_maximum() -> None:
    policy = make(restarts_max=100, backoff_max_ms=3_000)
    assert delays_ms(policy, 6) == [250, 500, 1_000, 2_000, 3_000, 3_000]


def test_delay_is_anywhere_below_the_ceiling() -> None:
    draws = [
        make(random.Random(seed)).after_exit(0, 0).at_ns / NS_PER_MS
        for seed in range(200)
    ]
    assert 0 <= min(draws) < 25
    assert 225 < max(draws) <= 250


def test_healthy_life_makes_the_next_delay_a_first_one() -> None:
    policy = make(restarts_max=100)
    delays_ms(policy, 5)
    healthy_ns = 60_000 * NS_PER_MS
    restart = policy.after_exit(0, healthy_ns)
    assert restart.at_ns - healthy_ns == 250 * NS_PER_MS


def test_spent_budget_disables_until_its_retry() -> None:
    policy = make(restarts_max=3, disabled_retry_ms=5_000)
    delays_ms(policy, 3)
    restart = policy.after_exit(0, 4 * NS_PER_MS)
    assert restart.is_disabled
    assert restart.at_ns == (4 + 5_000) * NS_PER_MS


def test_retry_that_fails_is_disabled_again_until_one_was_healthy() -> None:
    policy = make(restarts_max=3, disabled_retry_ms=300_000, healthy_ms=60_000)
    delays_ms(policy, 3)
    at_ns = policy.after_exit(0, 4 * NS_PER_MS).at_ns
    for _ in range(10):
        ended_ns = at_ns + 59_999 * NS_PER_MS
        restart = policy.after_exit(at_ns, ended_ns)
        assert restart.is_disabled
        assert restart.at_ns - ended_ns == 300_000 * NS_PER_MS
        at_ns = restart.at_ns
    now_ns = at_ns + 60_000 * NS_PER_MS
    assert not policy.after_exit(at_ns, now_ns).is_disabled, "it was healthy"
    for _ in range(2):
        assert not policy.after_exit(now_ns, now_ns).is_disabled, "a new budget"
    assert policy.after_exit(now_ns, now_ns).is_disabled


def test_deaths_outside_the_window_cost_no_budget() -> None:
    policy = make(restarts_max=3, restarts_window_ms=1_000, healthy_ms=3_600_000)
    now_ns = 0
    for _ in range(50):
        now_ns += 400 * NS_PER_MS
        assert not policy.after_exit(now_ns, now_ns).is_disabled


@pytest.mark.parametrize("deaths", [0, 1, 4])
def test_hopeless_end_disables_at_once(deaths: int) -> None:
    policy = make()
    delays_ms(policy, deaths)
    assert policy.after_exit(0, 10 * NS_PER_MS, is_hopeless=True).is_disabled


def test_crash_loop_of_a_day_keeps_its_numbers_small() -> None:
    policy = make(restarts_max=1_000, restarts_window_ms=100, backoff_max_ms=30_000)
    assert max(delays_ms(policy, 5_000, gap_ms=1_000)) == 30_000
