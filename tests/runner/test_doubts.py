"""What REST contradicts, and what jumped: in doubt until REST agrees."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from feedhandler.config import RestConfig, RunnerConfig
from shm_layout import FLAG_ONE_SIDED, FLAG_OUTLIER
from shm_layout.codes import REASON_AUDIT
from shm_layout.limits import OUTLIER_HOLD_NS
from tests.runner.sides import (
    MS,
    RUNNER,
    TICK_MS,
    VENUE,
    Bench,
    bench,
    confirm,
    fall_quiet,
    shown,
)


@pytest.fixture
def one(instance: str, tmp_path: Path) -> Iterator[Bench]:
    with bench(instance, tmp_path) as made:
        made.run(500, quotes=True, live=True)
        assert made.state() == ("LIVE", "")
        yield made


# --- REST disagrees ------------------------------------------------------------------


def test_one_check_that_disagrees_ends_the_confirmation(one: Bench) -> None:
    fall_quiet(one)
    confirm(one)
    confirm(one, bid=90.0)
    assert shown(one) == ("QUIET", "quiet_unconfirmed", False)


def test_three_in_a_row_make_it_suspect_and_the_ladder_acts(one: Bench) -> None:
    one.run(2_000, quotes=True, live=True)
    for _ in range(3):
        confirm(one, ask=120.0)
        one.feed.quote()
        one.feed.live()
        one.step()
    assert one.state() == ("SUSPECT", "audit")
    assert one.counter("audit.disagreed") == 3
    assert shown(one)[2] is False


def test_an_agreement_between_begins_the_count_anew(one: Bench) -> None:
    for ask in (120.0, 120.0, 101.0, 120.0, 120.0):
        confirm(one, ask=ask)
        one.feed.quote()
        one.step()
    assert one.state() == ("LIVE", "audit")


def test_one_check_that_disagrees_is_told_and_the_quote_stays_tradable(
    one: Bench,
) -> None:
    one.run(200, quotes=True, live=True)
    one.rest.answer(ask=120.0)
    one.run(200, quotes=True, live=True)
    assert shown(one) == ("LIVE", "audit", True)
    one.rest.answer()
    one.run(200, quotes=True, live=True)
    assert shown(one) == ("LIVE", "", True)


def suspect(one: Bench) -> None:
    for _ in range(3):
        confirm(one, bid=90.0)
        one.feed.quote()
        one.step()
    assert one.state() == ("SUSPECT", "audit")


def test_suspect_ends_with_a_check_that_agrees(one: Bench) -> None:
    suspect(one)
    confirm(one)
    one.run(400, quotes=True, live=True)
    assert one.state() == ("LIVE", "")


def test_a_new_session_is_suspect_until_a_check_agrees(one: Bench) -> None:
    suspect(one)
    one.feed.open_session()
    one.run(60_000, quotes=True, live=True)
    assert one.state() == ("SUSPECT", "audit")
    one.rest.answer()
    one.run(600, quotes=True, live=True)
    assert one.state() == ("LIVE", "")


def test_a_new_runner_is_told_what_was_suspect(one: Bench) -> None:
    suspect(one)
    one.restart_runner()
    one.run(1_000, quotes=True, live=True)
    assert one.state() == ("SUSPECT", "audit")
    one.config = replace(one.config, rest=RestConfig(enabled=False))
    one.restart_runner()
    one.run(1_000, quotes=True, live=True)
    assert one.state() == ("LIVE", ""), "nobody would ever end it"


def test_what_rest_says_is_wrong_is_no_business_of_the_market(one: Bench) -> None:
    suspect(one)
    for flags in (FLAG_OUTLIER, FLAG_ONE_SIDED):
        one.feed.quote(flags=flags)
        one.run(100, live=True)
        assert one.runner._views[VENUE].faults() == {"BTC-PERP": REASON_AUDIT}


def test_a_rest_quote_renews_no_stamp_of_the_stream(one: Bench) -> None:
    fall_quiet(one)
    applied_ns, recv_ns = one.verdict()["apply_ns"], one.verdict()["recv_ns"]
    confirm(one)
    assert one.verdict()["apply_ns"] == applied_ns
    assert one.verdict()["recv_ns"] == recv_ns


def test_a_check_of_the_session_before_is_discarded(one: Bench) -> None:
    one.run(200, quotes=True, live=True)
    one.rest.answer()
    one.feed.open_session()
    one.feed.quote()
    one.run(300, live=True)
    assert one.counter("audit.agreed") == 0


def test_the_score_of_an_instrument_follows_its_checks(one: Bench) -> None:
    confirm(one)
    name = f"agreement_ppm.{VENUE}.BTC-PERP"
    assert one.reader.counters()[name] == 1_000_000
    confirm(one, bid=90.0)
    assert one.reader.counters()[name] == 900_000


# --- A price that jumped, and the silence after it -----------------------------------


def test_a_single_quote_far_away_is_suspect_until_it_has_stood(one: Bench) -> None:
    one.feed.quote(flags=FLAG_OUTLIER, bid=120.0, ask=121.0)
    assert shown(one) == ("SUSPECT", "outlier", False), "before the runner has seen it"
    for _ in range(OUTLIER_HOLD_NS // MS // TICK_MS - 1):
        one.run(TICK_MS, live=True)
        assert shown(one) == ("SUSPECT", "outlier", False)
    one.run(300, live=True)
    assert shown(one)[0] == "QUIET", "as any quote that is older than its limit"
    confirm(one, bid=120.0, ask=121.0)
    assert shown(one) == ("QUIET", "quiet_confirmed", True)


def test_a_single_quote_far_away_is_live_once_it_has_stood(
    instance: str, tmp_path: Path
) -> None:
    with bench(instance, tmp_path, fresh_ms=3_000) as one:
        one.run(500, quotes=True, live=True)
        one.feed.quote(flags=FLAG_OUTLIER, bid=120.0, ask=121.0)
        one.run(OUTLIER_HOLD_NS // MS - TICK_MS, live=True)
        assert shown(one) == ("SUSPECT", "outlier", False)
        one.run(TICK_MS + RUNNER.recover_ms, live=True)
        assert shown(one) == ("LIVE", "", True)


@pytest.fixture
def jumped(instance: str, tmp_path: Path) -> Iterator[Bench]:
    """A price that jumped, shown by a stream that goes on, beside a REST process."""
    config = RunnerConfig(pass_ms=5, tick_ms=TICK_MS, outlier_wait_ms=5_000)
    with bench(instance, tmp_path, runner=config) as one:
        run_beside_rest(one, 500, bid=100.0)
        one.feed.quote(flags=FLAG_OUTLIER, bid=120.0, ask=121.0)
        yield one


def run_beside_rest(one: Bench, advance_ms: int, bid: float = 120.0) -> None:
    for number in range(advance_ms // TICK_MS):
        one.rest.writer.beat(one.time.now_ns, 0)
        one.run(TICK_MS, live=True)
        if number % 4 == 3:
            one.feed.quote(bid=bid, ask=bid + 1)


def test_a_price_that_stood_waits_for_rest_and_no_longer_than_its_limit(
    jumped: Bench,
) -> None:
    run_beside_rest(jumped, 4_900)
    assert shown(jumped) == ("SUSPECT", "outlier", False)
    run_beside_rest(jumped, 100 + RUNNER.recover_ms)
    assert shown(jumped) == ("LIVE", "", True)


def test_a_price_that_stood_is_believed_when_rest_shows_it_too(jumped: Bench) -> None:
    run_beside_rest(jumped, OUTLIER_HOLD_NS // MS)
    jumped.rest.answer(bid=120.0, ask=121.0)
    run_beside_rest(jumped, 200 + RUNNER.recover_ms)
    assert shown(jumped) == ("LIVE", "", True)


def test_a_check_from_before_the_jump_says_nothing_of_it(jumped: Bench) -> None:
    run_beside_rest(jumped, 50)
    jumped.rest.answer(bid=100.0, took_ms=100)
    run_beside_rest(jumped, OUTLIER_HOLD_NS // MS + RUNNER.recover_ms)
    assert jumped.counter("audit.agreed") == 1
    assert shown(jumped) == ("SUSPECT", "outlier", False)


def test_a_jump_that_one_check_refuted_is_never_believed_without_another(
    jumped: Bench,
) -> None:
    run_beside_rest(jumped, OUTLIER_HOLD_NS // MS)
    jumped.rest.answer(bid=100.0)
    run_beside_rest(jumped, 60_000)
    assert shown(jumped) == ("SUSPECT", "outlier", False)
    assert jumped.reader.command(VENUE) is None, "no reason yet to act"
    for _ in range(2):
        jumped.rest.answer(bid=100.0)
        run_beside_rest(jumped, 200)
    assert shown(jumped) == ("SUSPECT", "audit", False)
