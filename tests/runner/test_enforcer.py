"""The ladder in the runner: its commands, restarts, quarantines and budgets."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from feedhandler.config import LadderConfig, RunnerConfig
from feedhandler.runner import restart
from feedhandler.runner.ladder_file import NAME
from shm_layout import (
    COMMAND_RECONNECT,
    COMMAND_RESUBSCRIBE,
    INSTRUMENT_ALL,
    RESULT_BUSY,
    RESULT_DONE,
    RESULT_LATE,
    RESULT_NAMES,
    RESULT_UNKNOWN,
    codes,
)
from tests.runner.sides import VENUE, Bench, bench

LADDER = LadderConfig(
    poll_ms=50,
    resubscribe_ms=3_000,
    reconnect_ms=6_000,
    restart_ms=12_000,
    hung_ms=1_000,
    cooldown_ms=2_000,
    disable_ms=10_000,
    release_ms=1_000,
)
RUNNER = RunnerConfig(pass_ms=5, tick_ms=50, liveness_ms=500)
NAMES = ("BTC-PERP", "ETH-PERP", "SOL-PERP")


@pytest.fixture
def three(instance: str, tmp_path: Path) -> Iterator[Bench]:
    with bench(instance, tmp_path, names=NAMES, runner=RUNNER, ladder=LADDER) as made:
        made.run(3_000, quotes=True, live=True)
        yield made


@pytest.fixture
def restarts(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Note restarts and begin none: the feed's process is the test's own."""
    noted: list[int] = []

    def begin(self: object, name: str, process: restart.Identity, now_ns: int) -> str:
        noted.append(process.pid)
        return restart.BEGUN

    monkeypatch.setattr(restart.Restarter, "begin", begin)
    return noted


def answer(one: Bench, result: int) -> None:
    command = one.reader.command(VENUE)
    assert command is not None
    one.feed.writer.acknowledge(command.number, result, one.time.now_ns)


def run_with_mute(one: Bench, mute: int, ticks: int) -> None:
    for _ in range(ticks):
        for index in range(len(NAMES)):
            if index != mute:
                one.feed.quote(index)
                one.feed.live(index)
        one.step()


def test_a_mute_symbol_is_subscribed_again_by_command(three: Bench) -> None:
    run_with_mute(three, 1, 90)
    command = three.reader.command(VENUE)
    assert command is not None
    assert (command.verb, command.instrument) == (COMMAND_RESUBSCRIBE, 1)
    assert command.reason == codes.REASON_LIVENESS
    assert three.counter("ladder.resubscribe") == 1


def test_three_checks_that_disagree_are_a_command_at_once(three: Bench) -> None:
    for _ in range(3):
        three.run(200, quotes=True, live=True)
        three.rest.answer(2, bid=90.0)
        three.run(200, quotes=True, live=True)
    three.run(100, quotes=True, live=True)
    assert three.state(2) == ("SUSPECT", "audit")
    command = three.reader.command(VENUE)
    assert command is not None
    assert (command.verb, command.instrument) == (COMMAND_RESUBSCRIBE, 2)
    assert command.reason == codes.REASON_AUDIT


def test_a_doubt_of_rest_that_no_step_cures_climbs_to_quarantine(
    three: Bench, restarts: list[int]
) -> None:
    for _ in range(3):
        three.run(200, quotes=True, live=True)
        three.rest.answer(2, bid=90.0)
    three.run(200, quotes=True, live=True)
    done, verbs = 0, []
    for _ in range(300):
        three.run(50, quotes=True, live=True)
        assert three.verdict(2)["state"] not in (codes.STATE_LIVE, codes.STATE_QUIET)
        command = three.reader.command(VENUE)
        if command is not None and command.number != done:
            done = command.number
            verbs.append(command.verb)
            answer(three, RESULT_DONE)
            if command.verb == COMMAND_RECONNECT:
                three.feed.open_session()
    assert verbs == [COMMAND_RESUBSCRIBE, COMMAND_RESUBSCRIBE, COMMAND_RECONNECT]
    assert three.state(2) == ("QUARANTINED", "ladder")
    assert three.state(1) == ("LIVE", "")
    assert restarts == []


def test_prices_that_never_stand_are_suspect_and_no_reason_to_act(
    three: Bench,
) -> None:
    for _ in range(100):
        three.run(50, quotes=True, live=True)
        three.feed.quote(1, flags=codes.FLAG_OUTLIER, bid=120.0, ask=121.0)
        three.step()
        assert three.state(1) == ("SUSPECT", "outlier")
    assert three.reader.command(VENUE) is None


def test_a_silent_venue_is_told_to_reconnect_then_restarted_then_taken_out(
    three: Bench, restarts: list[int]
) -> None:
    three.run(7_500)
    command = three.reader.command(VENUE)
    assert command is not None
    assert (command.verb, command.instrument) == (COMMAND_RECONNECT, INSTRUMENT_ALL)
    assert restarts == []
    three.run(11_000)
    pid = three.feed.writer.owner().pid
    assert restarts == [pid, pid]
    assert {three.state(index) for index in range(3)} == {("QUARANTINED", "ladder")}


def test_quarantine_ends_when_the_quotes_are_good_for_long_enough(
    three: Bench, restarts: list[int]
) -> None:
    three.run(18_000)
    assert three.state() == ("QUARANTINED", "ladder")
    three.run(900, quotes=True, live=True)
    assert three.state()[0] == "QUARANTINED"
    three.run(600, quotes=True, live=True)
    assert three.state() == ("LIVE", "")
    assert three.counter("ladder.release") == 3


def test_quarantine_and_budgets_outlive_the_runner(
    three: Bench, restarts: list[int]
) -> None:
    three.run(18_000)
    three.restart_runner()
    three.run(100)
    assert three.state() == ("QUARANTINED", "ladder")
    three.run(5_000)
    assert len(restarts) == 2


@pytest.mark.parametrize("text", ["", "{", "[]", '"boot_id"'])
def test_an_unusable_file_is_no_amnesty(
    three: Bench, restarts: list[int], text: str
) -> None:
    path = three.config.state_path() / NAME
    path.write_text(text)
    three.restart_runner()
    three.run(15_000)
    assert restarts == []


def test_the_file_of_another_boot_is_forgotten(
    three: Bench, restarts: list[int]
) -> None:
    path = three.config.state_path() / NAME
    state = json.loads(path.read_text())
    state["boot_id"] = "another"
    path.write_text(json.dumps(state))
    three.restart_runner()
    three.run(18_000)
    assert len(restarts) == 2


def test_a_hung_feed_is_restarted(three: Bench, restarts: list[int]) -> None:
    for _ in range(22):
        three.step(beats=False)
    assert len(restarts) == 1


def test_a_command_that_was_done_is_counted(three: Bench) -> None:
    run_with_mute(three, 1, 90)
    answer(three, RESULT_DONE)
    run_with_mute(three, 1, 2)
    assert three.counter("command.done") == 1


@pytest.mark.parametrize(
    ("result", "charged"), [(RESULT_BUSY, 0), (RESULT_LATE, 0), (RESULT_UNKNOWN, 1)]
)
def test_a_command_that_came_between_two_sessions_costs_no_budget(
    three: Bench, result: int, charged: int
) -> None:
    run_with_mute(three, 1, 90)
    answer(three, result)
    run_with_mute(three, 1, 2)
    assert three.counter(f"command.{RESULT_NAMES[result]}") == 1
    kept = json.loads((three.config.state_path() / NAME).read_text())
    instruments = kept["venues"][VENUE]["instruments"]
    assert len(instruments.get(NAMES[1], [[]])[0]) == charged


def test_a_command_that_nobody_answers_is_counted(three: Bench) -> None:
    run_with_mute(three, 1, 135)
    assert three.counter("command.unanswered") == 1


def test_the_ladder_can_be_switched_off(
    instance: str, tmp_path: Path, restarts: list[int]
) -> None:
    off = LadderConfig(enabled=False)
    with bench(instance, tmp_path, names=NAMES, runner=RUNNER, ladder=off) as made:
        made.run(120_000)
        assert restarts == []
        assert made.reader.command(VENUE) is None
        assert not (made.config.state_path() / NAME).exists()
