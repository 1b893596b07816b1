"""The ladder, step by step: when each is taken, when it is not, and the way back."""

from __future__ import annotations

import pytest

from feedhandler.runner.ladder import (
    QUARANTINE,
    RECONNECT,
    RELEASE,
    RESTART,
    RESUBSCRIBE,
)
from shm_layout import codes
from tests.runner.climb import BACKOFF_S, BAD, GOOD, GRACE_S, Climb, S, in_quarantine


@pytest.fixture
def climb() -> Climb:
    made = Climb()
    assert made.run(60) == []
    return made


# --- nothing to do -------------------------------------------------------------------


def test_a_good_venue_is_left_alone_for_hours(climb: Climb) -> None:
    assert climb.run(7_200) == []


def test_nothing_is_done_before_grace_is_over() -> None:
    climb = Climb()
    climb.all(BAD)
    assert climb.run(GRACE_S) == []


@pytest.mark.parametrize("seconds", [1, 9, 29])
def test_a_short_trouble_of_the_venue_is_left_to_the_feed(
    climb: Climb, seconds: int
) -> None:
    climb.all(BAD)
    assert climb.run(seconds) == []
    climb.all(GOOD)
    assert climb.run(120) == []


# --- resubscribe ---------------------------------------------------------------------


def test_one_mute_symbol_among_many_is_subscribed_again(climb: Climb) -> None:
    climb.reasons["ETH"] = BAD
    assert climb.run(30) == [(10, RESUBSCRIBE, "ETH")]
    climb.reasons["ETH"] = GOOD
    assert climb.run(120) == []


def test_what_rest_says_is_wrong_is_subscribed_again_at_once(climb: Climb) -> None:
    climb.reasons["ETH"] = codes.REASON_AUDIT
    assert climb.run(5) == [(1, RESUBSCRIBE, "ETH")]


def test_what_rest_says_is_wrong_everywhere_is_subscribed_again_first() -> None:
    climb = Climb("BTC")
    climb.run(60)
    climb.all(codes.REASON_AUDIT)
    assert climb.run(31) == [(1, RESUBSCRIBE, "BTC"), (30, RECONNECT, "")]


def test_a_mute_symbol_climbs_to_its_own_quarantine_and_others_go_on(
    climb: Climb,
) -> None:
    climb.reasons["ETH"] = BAD
    assert climb.run(200) == [
        (10, RESUBSCRIBE, "ETH"),
        (40, RESUBSCRIBE, "ETH"),
        (70, RECONNECT, "ETH"),
        (100, QUARANTINE, "ETH"),
    ]
    assert climb.ladder.quarantined == {"ETH"}


def test_what_rest_says_is_wrong_for_good_climbs_to_quarantine(climb: Climb) -> None:
    climb.reasons["ETH"] = codes.REASON_AUDIT
    assert climb.run(200) == [
        (1, RESUBSCRIBE, "ETH"),
        (31, RESUBSCRIBE, "ETH"),
        (61, RECONNECT, "ETH"),
        (91, QUARANTINE, "ETH"),
    ]


def test_two_mute_symbols_take_turns(climb: Climb) -> None:
    climb.reasons |= {"XRP": GOOD, "ARB": GOOD}
    climb.run(5)
    climb.reasons |= {"ETH": BAD, "SOL": BAD}
    assert [kind for _, kind, _ in climb.run(15)] == [RESUBSCRIBE, RESUBSCRIBE]


def test_a_session_that_just_began_is_given_its_grace(climb: Climb) -> None:
    climb.reasons["ETH"] = BAD
    climb.run(5)
    climb.session += 1
    assert climb.run(GRACE_S) == []
    assert climb.run(5) == [(1, RESUBSCRIBE, "ETH")]


# --- reconnect -----------------------------------------------------------------------


def test_a_silent_venue_reconnects_restarts_and_is_quarantined(climb: Climb) -> None:
    climb.all(BAD)
    assert climb.run(200) == [
        (30, RECONNECT, ""),
        (60, RECONNECT, ""),
        (90, RESTART, ""),
        (120, RESTART, ""),
        *((150, QUARANTINE, name) for name in climb.reasons),
    ]


def test_a_venue_of_one_instrument_climbs_as_a_venue() -> None:
    climb = Climb("BTC")
    climb.run(60)
    climb.all(BAD)
    assert climb.run(31) == [(30, RECONNECT, "")]


def test_a_feed_that_reconnects_by_itself_is_not_told_to(climb: Climb) -> None:
    climb.all(BAD)
    taken = []
    for _ in range(8):
        climb.session += 1
        taken += climb.run(10)
    assert taken == []


def test_reconnecting_for_ever_without_data_ends_in_a_restart(climb: Climb) -> None:
    climb.all(BAD)
    taken = []
    for _ in range(10):
        climb.session += 1
        taken += [kind for _, kind, _ in climb.run(10)]
    assert taken == [RESTART]


def test_a_venue_that_recovers_is_left_alone_again(climb: Climb) -> None:
    climb.all(BAD)
    assert len(climb.run(31)) == 1
    climb.all(GOOD)
    assert climb.run(600) == []


# --- restart -------------------------------------------------------------------------


def test_a_venue_that_never_spoke_climbs_from_the_start() -> None:
    climb = Climb()
    climb.all(codes.REASON_NEVER_SPOKEN)
    taken = climb.run(100)
    assert taken[0] == (30, RECONNECT, "")
    assert taken[-1] == (90, RESTART, "")


def test_a_hung_process_is_restarted_at_once(climb: Climb) -> None:
    climb.beats = False
    climb.all(codes.REASON_WRITER_DEAD)
    assert climb.run(15) == [(10, RESTART, "")]


def test_a_process_that_hangs_again_waits_for_the_cooldown(climb: Climb) -> None:
    climb.beats = False
    climb.all(codes.REASON_WRITER_DEAD)
    assert [second for second, kind, _ in climb.run(60) if kind == RESTART] == [10, 40]


def test_a_feed_that_waits_out_its_backoff_is_left_alone(climb: Climb) -> None:
    climb.link = codes.LINK_DOWN
    climb.all(codes.REASON_LINK_DOWN)
    taken = []
    for _ in range(10):
        climb.session += 1  # each attempt begins a session
        taken += climb.run(BACKOFF_S)
    assert taken == []


def test_a_feed_that_attempts_nothing_any_more_is_restarted(climb: Climb) -> None:
    climb.link = codes.LINK_CONNECTING
    climb.session += 1
    climb.all(codes.REASON_LINK_DOWN)
    taken = climb.run(BACKOFF_S + GRACE_S + 5)
    assert [kind for _, kind, _ in taken] == [RESTART]
    assert taken[0][0] > BACKOFF_S + GRACE_S


# --- quarantine, retry, release ------------------------------------------------------


def test_a_quarantined_venue_is_retried_in_time_and_taken_out_anew() -> None:
    climb = in_quarantine()
    assert climb.run(130) == [(120, RESTART, "")]
    assert climb.run(130) == [(110, RESTART, "")]
    assert climb.ladder.quarantined == set(climb.reasons)


def test_a_quarantined_instrument_is_retried_in_time(climb: Climb) -> None:
    climb.reasons["ETH"] = BAD
    climb.run(101)
    assert climb.ladder.quarantined == {"ETH"}
    assert climb.run(125) == [(119, RESUBSCRIBE, "ETH")]


def test_what_is_good_for_long_enough_is_released() -> None:
    climb = in_quarantine()
    climb.all(GOOD)
    assert climb.run(9) == []
    assert climb.run(3) == [(1, RELEASE, name) for name in climb.reasons]
    assert climb.ladder.quarantined == set()
    assert climb.run(600) == []


def test_a_moment_of_good_releases_nothing() -> None:
    climb = in_quarantine()
    for _ in range(5):
        climb.all(GOOD)
        assert climb.run(5) == []
        climb.all(BAD)
        assert climb.run(1) == []
    assert climb.ladder.quarantined == set(climb.reasons)


# --- our own pause -------------------------------------------------------------------


def test_after_a_pause_of_the_runner_every_count_begins_anew(climb: Climb) -> None:
    climb.all(BAD)
    climb.run(29)
    climb.now_s += 300
    climb.ladder.hold(climb.now_s * S)
    assert climb.run(29) == []
    assert climb.run(2) == [(1, RECONNECT, "")]


def test_an_instrument_that_is_no_longer_followed_is_forgotten() -> None:
    climb = in_quarantine()
    del climb.reasons["ETH"]
    climb.run(1)
    assert climb.ladder.quarantined == {"BTC", "SOL"}


def test_a_long_session_that_ends_is_no_stuck_feed(climb: Climb) -> None:
    climb.run(3 * (BACKOFF_S + GRACE_S))
    climb.link = codes.LINK_DOWN
    climb.all(codes.REASON_LINK_DOWN)
    assert climb.run(BACKOFF_S + GRACE_S - 1) == []
    assert climb.run(5) == [(1, RESTART, "")]
