"""Quiet and broken are told apart by proof: liveness words, and REST checks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from feedhandler.config import RunnerConfig
from shm_layout import LINK_UP
from tests.runner.sides import (
    FRESH_MS,
    MS,
    RUNNER,
    Bench,
    bench,
    confirm,
    fall_quiet,
    shown,
)

CONFIRM_MS = RUNNER.quiet_confirm_ms
LIVENESS_MS = RUNNER.liveness_ms
NAN = float("nan")


@pytest.fixture
def one(instance: str, tmp_path: Path) -> Iterator[Bench]:
    with bench(instance, tmp_path) as made:
        made.run(500, quotes=True, live=True)
        assert made.state() == ("LIVE", "")
        yield made


@pytest.fixture
def three(instance: str, tmp_path: Path) -> Iterator[Bench]:
    with bench(instance, tmp_path, names=("BTC-PERP", "ETH-PERP", "SOL-PERP")) as made:
        made.run(500, quotes=True, live=True)
        yield made


# --- into QUIET, and out of it -------------------------------------------------------


def test_a_silent_book_on_a_living_link_is_quiet_and_not_tradable(one: Bench) -> None:
    fall_quiet(one)
    assert shown(one) == ("QUIET", "quiet_unconfirmed", False)


def test_a_rest_check_that_agrees_makes_it_tradable(one: Bench) -> None:
    fall_quiet(one)
    confirm(one)
    assert shown(one) == ("QUIET", "quiet_confirmed", True)
    assert one.counter("audit.agreed") == 1


def test_a_check_confirms_as_of_the_start_of_its_request(one: Bench) -> None:
    fall_quiet(one)
    one.run(200, live=True)
    start_ns = one.time.now_ns - 100 * MS
    one.rest.answer(took_ms=100)
    one.run(200, live=True)
    assert one.verdict()["confirmed_ns"] == start_ns


@pytest.mark.parametrize("answer", [{"bid": 100.5}, {"ask": 100.5}])
def test_a_check_that_is_a_tick_off_confirms_nothing(
    one: Bench, answer: dict[str, float]
) -> None:
    fall_quiet(one)
    confirm(one, **answer)
    assert one.counter("audit.agreed") == 1  # within the tolerance of an audit
    assert shown(one) == ("QUIET", "quiet_unconfirmed", False)


def test_a_check_after_which_the_link_showed_no_life_confirms_nothing(
    one: Bench,
) -> None:
    fall_quiet(one)
    one.run(500)
    one.rest.answer()
    one.run(500)
    assert one.counter("audit.agreed") == 1
    assert shown(one) == ("QUIET", "quiet_unconfirmed", False)
    one.run(100, live=True)
    assert shown(one) == ("QUIET", "quiet_confirmed", True)


def test_a_newer_check_never_takes_the_older_ones_confirmation_away(
    one: Bench,
) -> None:
    fall_quiet(one)
    confirm(one)
    for _ in range(2 * CONFIRM_MS // 4_000):
        one.run(3_500, live=True)
        one.rest.answer()
        for _ in range(10):  # the next tick of the liveness channel is late
            one.run(50)
            assert shown(one) == ("QUIET", "quiet_confirmed", True)
        one.run(100, live=True)
        assert shown(one) == ("QUIET", "quiet_confirmed", True)


def test_a_check_that_grew_old_confirms_nothing(one: Bench) -> None:
    fall_quiet(one)
    confirm(one)
    one.run(CONFIRM_MS - 500, live=True)
    assert shown(one) == ("QUIET", "quiet_confirmed", True)
    one.run(500, live=True)
    assert shown(one) == ("QUIET", "quiet_unconfirmed", False)


def test_a_reader_sees_for_itself_that_a_check_grew_old(one: Bench) -> None:
    fall_quiet(one)
    confirm(one)
    one.time.now_ns = one.verdict()["confirmed_ns"] + CONFIRM_MS * MS + 1
    one.feed.beat()
    one.runner._board.writer.beat(one.time.now_ns, 0)  # a runner that judges no more
    assert shown(one) == ("QUIET", "quiet_unconfirmed", False)


def test_a_new_quote_ends_quiet_at_once(one: Bench) -> None:
    fall_quiet(one)
    one.feed.quote(bid=100.5)
    one.step()
    assert shown(one) == ("LIVE", "", True)


def test_a_check_from_before_the_last_quote_confirms_nothing(one: Bench) -> None:
    fall_quiet(one)
    confirm(one)
    one.feed.quote(bid=100.5)
    fall_quiet(one)


def test_ten_quiet_minutes_change_nothing_and_ask_for_nothing(one: Bench) -> None:
    fall_quiet(one)
    moves = one.verdict()["moves"]
    one.run(600_000, live=True)
    assert one.verdict()["moves"] == moves
    steps = [one.counter(f"ladder.{each}") for each in ("reconnect", "restart")]
    assert steps == [0, 0]


# --- broken, whatever the pongs say --------------------------------------------------


def test_a_link_whose_liveness_falls_silent_too_is_broken(one: Bench) -> None:
    fall_quiet(one)
    one.run(LIVENESS_MS + 100)
    assert one.state() == ("STALE", "liveness")
    assert one.feed.writer.link()[0] == LINK_UP
    assert shown(one)[2] is False


def test_silent_liveness_takes_a_confirmed_quote_away(one: Bench) -> None:
    fall_quiet(one)
    for _ in range(LIVENESS_MS // 500 + 1):
        one.run(300)
        one.rest.answer(took_ms=50)
        one.run(200)
    assert one.state() == ("STALE", "liveness")


def test_a_liveness_that_returns_is_believed_once_it_lasts(one: Bench) -> None:
    one.run(LIVENESS_MS + FRESH_MS)
    one.run(100, live=True)
    assert one.state() == ("STALE", "hysteresis")
    one.run(400, live=True)
    assert one.state() == ("QUIET", "quiet_unconfirmed")


def test_one_mute_symbol_among_many_is_found(three: Bench) -> None:
    for _ in range((LIVENESS_MS + FRESH_MS) // 50):
        for index in (0, 2):
            three.feed.live(index)
            three.feed.quote(index)
        three.step()
    assert [three.state(index)[0] for index in range(3)] == ["LIVE", "STALE", "LIVE"]
    assert three.state(1)[1] == "liveness"


def test_an_instrument_without_a_channel_of_its_own_goes_by_its_venues(
    instance: str, tmp_path: Path
) -> None:
    with bench(instance, tmp_path, names=("BTC-PERP", "ETH-PERP")) as two:
        two.feed.quote(1)
        for _ in range(FRESH_MS // 50 + 4):
            two.feed.live(0)
            two.step()
        assert two.state(1) == ("QUIET", "quiet_unconfirmed")


def test_a_session_that_never_brings_a_quote_is_not_syncing_for_ever(
    one: Bench,
) -> None:
    one.feed.open_session()
    one.run(2_000, live=True)
    assert one.state() == ("SYNCING", "awaiting_quote")
    one.run(200, live=True)
    assert one.state() == ("STALE", "awaiting_quote")
    one.feed.quote()
    one.run(400, quotes=True)
    assert one.state() == ("LIVE", "")


def test_limits_come_from_the_configuration(instance: str, tmp_path: Path) -> None:
    config = RunnerConfig(tick_ms=50, liveness_ms=500)
    with bench(instance, tmp_path, runner=config) as one:
        one.run(300, quotes=True, live=True)
        one.run(FRESH_MS + 200)
        assert one.state() == ("STALE", "liveness")
