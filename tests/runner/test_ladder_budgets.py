"""The budgets of the ladder: what is charged, what is not, and what outlives whom."""

from __future__ import annotations

import json

import pytest

from feedhandler.config import LadderConfig
from feedhandler.runner.ladder import (
    QUARANTINE,
    RECONNECT,
    RESTART,
    RESUBSCRIBE,
)
from shm_layout import codes
from tests.runner.climb import BAD, GOOD, Climb, S, in_quarantine


@pytest.fixture
def climb() -> Climb:
    made = Climb()
    assert made.run(60) == []
    return made


def test_no_window_sees_more_restarts_than_its_budget_and_the_retries() -> None:
    climb = Climb()
    climb.all(BAD)
    seconds = [second for second, kind, _ in climb.run(3_600) if kind == RESTART]
    for first in seconds:
        window = [each for each in seconds if first <= each < first + 600]
        retries = climb.config.window_ms // climb.config.disable_ms
        assert len(window) <= climb.config.restarts_max + retries


def test_budgets_and_quarantines_outlive_the_runner() -> None:
    climb = in_quarantine()
    kept = json.loads(json.dumps(climb.ladder.dump()))
    climb.ladder = climb.make()
    climb.ladder.load(kept, climb.now_s * S)
    assert climb.ladder.quarantined == set(climb.reasons)
    assert RESTART not in [kind for _, kind, _ in climb.run(115)]
    assert RESTART in [kind for _, kind, _ in climb.run(15)]  # its timed retry


def test_a_killed_runner_has_no_more_restarts_than_one_that_lives() -> None:
    climb = Climb()
    climb.all(BAD)
    restarts = 0
    for _ in range(6):
        restarts += [kind for _, kind, _ in climb.run(95)].count(RESTART)
        kept = json.loads(json.dumps(climb.ladder.dump()))
        climb.ladder = climb.make()
        climb.ladder.load(kept, climb.now_s * S)
    assert restarts <= climb.config.restarts_max + 600 // 120


def test_with_spent_budgets_nothing_but_quarantine_is_left() -> None:
    climb = Climb()
    climb.ladder.spend(climb.now_s * S)
    climb.all(BAD)
    assert {kind for _, kind, _ in climb.run(100)} == {QUARANTINE}


def test_spent_budgets_are_those_of_every_instrument_for_one_window() -> None:
    climb = Climb()
    climb.ladder.spend(climb.now_s * S)
    climb.run(60)
    climb.reasons["ETH"] = codes.REASON_AUDIT
    assert climb.run(100) == [(90, QUARANTINE, "ETH")]
    climb.reasons["ETH"] = GOOD
    climb.run(climb.config.window_ms // 1_000)
    climb.reasons["ETH"] = codes.REASON_AUDIT
    assert climb.run(5) == [(1, RESUBSCRIBE, "ETH")]


def test_a_step_that_was_not_carried_out_is_not_counted() -> None:
    climb = Climb(config=LadderConfig(reconnects_max=1))
    climb.run(60)
    climb.all(BAD)
    assert climb.run(30) == [(30, RECONNECT, "")]
    climb.ladder.refund(RECONNECT)
    assert climb.run(30) == [(30, RECONNECT, "")]


def test_a_resubscribe_that_was_not_carried_out_is_not_counted(climb: Climb) -> None:
    climb.reasons["ETH"] = codes.REASON_AUDIT
    for _ in range(3):
        assert climb.run(30) == [(1, RESUBSCRIBE, "ETH")]
        climb.ladder.refund(RESUBSCRIBE, "ETH")
    assert climb.run(70) == [
        (1, RESUBSCRIBE, "ETH"),
        (31, RESUBSCRIBE, "ETH"),
        (61, RECONNECT, "ETH"),
    ]


def test_a_reconnect_that_was_not_carried_out_is_tried_again(climb: Climb) -> None:
    climb.reasons["ETH"] = BAD
    assert climb.run(75)[-1] == (70, RECONNECT, "ETH")
    climb.ladder.refund(RECONNECT, "ETH")
    assert climb.run(30) == [(25, RECONNECT, "ETH")]


def test_the_retry_in_quarantine_is_neither_charged_nor_refunded(climb: Climb) -> None:
    climb.reasons["ETH"] = BAD
    climb.run(230)
    assert climb.ladder.quarantined == {"ETH"}
    before = climb.ladder.dump()
    climb.ladder.refund(RESUBSCRIBE, "ETH")
    assert climb.ladder.dump() == before


@pytest.mark.parametrize(
    "state",
    [
        {},
        {"reconnects": [], "restarts": [10**18], "step_ns": None, "instruments": {}},
        {"reconnects": ["1"], "restarts": [], "step_ns": None, "instruments": {}},
        {"reconnects": [], "restarts": [], "step_ns": None, "instruments": {"A": [1]}},
    ],
)
def test_a_state_that_no_runner_wrote_is_refused(state: dict[str, object]) -> None:
    climb = Climb()
    with pytest.raises((ValueError, KeyError, TypeError)):
        climb.ladder.load(state, climb.now_s * S)
    assert climb.ladder.dump()["restarts"] == []
