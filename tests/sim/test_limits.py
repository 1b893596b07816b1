"""Budgets, and the clock of a venue."""

from __future__ import annotations

from feedhandler.sim.clock import ExchangeClock
from feedhandler.sim.limits import Budget
from tests.sim.harness import TurnedClock


def test_budget_is_spent_and_comes_back_after_its_period() -> None:
    budget = Budget(10, period_s=60.0)
    assert budget.take(6, 0.0)
    assert budget.take(4, 30.0)
    assert not budget.take(1, 59.9)
    assert budget.take(6, 60.0)
    assert not budget.take(1, 89.9)
    assert budget.take(4, 90.0)


def test_refused_amount_is_not_charged() -> None:
    budget = Budget(10)
    assert not budget.take(11, 0.0)
    assert budget.take(10, 0.0)


def test_exchange_clock_stands_still_and_never_steps_back() -> None:
    machine = TurnedClock()
    exchange = ExchangeClock(machine)
    before = exchange.now_ms()
    exchange.lag_ms = 2000
    machine.turn(1.0)
    assert exchange.now_ms() == before
    machine.turn(2.0)
    assert exchange.now_ms() == before + 1000
    exchange.lag_ms = 0
    assert exchange.now_ms() == before + 3000
