"""When an instrument is asked for, decided from stamps alone."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from feedhandler.rest.due import (
    AUDIT,
    CONFIRM,
    DOUBT,
    FALLBACK,
    RECHECK,
    UNKNOWN,
    Stream,
    Timing,
    Watch,
    first_audit_ns,
)
from shm_layout.codes import (
    REASON_AUDIT,
    REASON_LADDER,
    REASON_NONE,
    REASON_OUTLIER,
    REASON_QUIET_CONFIRMED,
    REASON_QUIET_UNCONFIRMED,
    STATE_LIVE,
    STATE_QUARANTINED,
    STATE_QUIET,
    STATE_STALE,
    STATE_SUSPECT,
    TIME_NONE,
)

S = 1_000_000_000
START = 1_000 * S
TIMING = Timing(
    after_ns=20 * S, poll_ns=S, leave_ns=3 * S, audit_ns=60 * S, confirm_ns=15 * S
)
NEVER = 1 << 62


def watch(audit_ns: int = NEVER) -> Watch:
    return Watch(TIMING, START, audit_ns)


def live(apply_ns: int) -> Stream:
    return Stream(apply_ns, state=STATE_LIVE, reason=REASON_NONE, is_judged=True)


def quiet(reason: int, confirmed_ns: int = TIME_NONE, *, judged: bool = True) -> Stream:
    return Stream(START, confirmed_ns, TIME_NONE, STATE_QUIET, reason, judged)


def answer(one: Watch, now_ns: int, *, is_answered: bool = True) -> None:
    one.begin(now_ns)
    one.end(now_ns, is_answered=is_answered)


def test_silent_stream_is_helped_at_its_limit_and_not_before() -> None:
    one = watch()
    stream = live(START)
    assert one.look(START + 20 * S - 1, stream) == ""
    assert not one.is_fallback
    assert one.look(START + 20 * S, stream) == FALLBACK
    assert one.is_fallback


def test_unknown_stream_counts_from_the_start() -> None:
    one = watch()
    assert one.look(START + 20 * S - 1, UNKNOWN) == ""
    assert one.look(START + 20 * S, UNKNOWN) == FALLBACK
    assert one.age_ns(START + 20 * S, UNKNOWN) == 20 * S


def test_dead_runners_quiet_counts_for_nothing() -> None:
    one = watch()
    said = quiet(REASON_QUIET_UNCONFIRMED, judged=False)
    assert one.look(START + S, said) == ""
    assert one.look(START + 20 * S, said) == FALLBACK


def test_fallback_polls_and_one_request_at_a_time() -> None:
    one = watch()
    now = START + 20 * S
    assert one.look(now, UNKNOWN) == FALLBACK
    one.begin(now)
    assert one.look(now + 5 * S, UNKNOWN) == "", "one is under way"
    one.end(now + 5 * S, is_answered=True)
    assert one.look(now + 5 * S, UNKNOWN) == FALLBACK
    one.begin(now + 5 * S)
    one.end(now + 5 * S + 1, is_answered=True)
    assert one.look(now + 6 * S - 1, UNKNOWN) == ""
    assert one.look(now + 6 * S, UNKNOWN) == FALLBACK


def test_failure_is_waited_out() -> None:
    one = watch()
    now = START + 20 * S
    one.begin(now)
    one.end(now, is_answered=False, wait_ns=7 * S)
    assert one.look(now + 7 * S - 1, UNKNOWN) == ""
    assert one.look(now + 7 * S, UNKNOWN) == FALLBACK


def test_fallback_is_left_only_when_the_stream_stays() -> None:
    one = watch()
    now = START + 20 * S
    one.look(now, live(START))
    back = live(now + S)
    assert one.look(now + S, back) == FALLBACK
    assert one.look(now + 4 * S - 1, back) == FALLBACK
    assert one.look(now + 4 * S, back) == ""
    assert not one.is_fallback


def test_stream_that_is_lost_again_begins_the_wait_anew() -> None:
    timing = Timing(2 * S, S, 3 * S, 0, 15 * S)
    one = Watch(timing, START, NEVER)
    one.look(START + 2 * S, UNKNOWN)
    seen = live(START + 2 * S)
    one.look(START + 3 * S, seen)  # back …
    one.look(START + 5 * S, seen)  # … and gone, before it had stayed
    assert one.is_fallback
    again = live(START + 6 * S)
    one.look(START + 6 * S, again)
    one.look(START + 7 * S, live(START + 7 * S))
    assert one.is_fallback, "not yet three seconds since it came back"


def test_flapping_stream_moves_seldom() -> None:
    timing = Timing(2 * S, S, 3 * S, 0, 15 * S)
    one = Watch(timing, START, NEVER)
    moves, was = 0, False
    apply_ns = START
    for step in range(0, 600_000, 50):  # ten minutes: up for 1 s, down for 3 s
        now = START + step * 1_000_000
        if step % 4_000 < 1_000:
            apply_ns = now
        one.look(now, live(apply_ns))
        moves += one.is_fallback != was
        was = one.is_fallback
    assert moves <= 600 / 5


def test_quiet_is_confirmed_at_once_and_before_it_gets_old() -> None:
    one = watch()
    now = START + 5 * S
    assert one.look(now, quiet(REASON_QUIET_UNCONFIRMED)) == CONFIRM
    answer(one, now)
    unconfirmed = quiet(REASON_QUIET_UNCONFIRMED)
    assert one.look(now + S - 1, unconfirmed) == "", "the runner needs a moment"
    assert one.look(now + S, unconfirmed) == CONFIRM
    confirmed = quiet(REASON_QUIET_CONFIRMED, now)
    assert one.look(now + 8 * S, confirmed) == ""
    assert one.look(now + 9 * S, confirmed) == CONFIRM


def test_quiet_market_is_never_in_fallback() -> None:
    one = watch()
    for second in range(600):
        now = START + second * S
        purpose = one.look(now, quiet(REASON_QUIET_CONFIRMED, now - S))
        assert purpose == ""
    assert not one.is_fallback


@pytest.mark.parametrize(
    ("state", "reason"),
    [(STATE_SUSPECT, REASON_AUDIT), (STATE_QUARANTINED, REASON_LADDER)],
)
def test_stream_that_is_known_to_be_wrong_is_looked_at_again_at_leisure(
    state: int, reason: int
) -> None:
    one = watch()
    wrong = Stream(NEVER, state=state, reason=reason, is_judged=True)
    assert one.look(START, wrong) == RECHECK
    answer(one, START)
    assert one.look(START + 5 * S - 1, wrong) == ""
    assert one.look(START + 5 * S, wrong) == RECHECK


@pytest.mark.parametrize(
    ("state", "reason"), [(STATE_LIVE, REASON_AUDIT), (STATE_SUSPECT, REASON_OUTLIER)]
)
def test_doubted_stream_is_looked_at_at_once_and_with_each_pause(
    state: int, reason: int
) -> None:
    one = watch()
    doubt = Stream(NEVER, state=state, reason=reason, is_judged=True)
    assert one.look(START, doubt) == DOUBT
    answer(one, START)
    assert one.look(START + S - 1, doubt) == ""
    assert one.look(START + S, doubt) == DOUBT
    of_the_dead = replace(doubt, is_judged=False)
    assert one.look(START + 2 * S, of_the_dead) == ""


def test_audits_are_spread_and_served_by_any_answer() -> None:
    firsts = [first_audit_ns(TIMING, START, index, 4) for index in range(4)]
    assert firsts == [START + n * 15 * S for n in (1, 2, 3, 4)]
    one = watch(firsts[0])
    assert one.look(firsts[0] - 1, live(firsts[0])) == ""
    assert one.look(firsts[0], live(firsts[0])) == AUDIT
    answer(one, firsts[0], is_answered=False)
    again = firsts[0] + S
    assert one.look(again, live(again)) == AUDIT, "there was no answer"
    answer(one, again)
    assert one.look(again + 60 * S - 1, live(again + 59 * S)) == ""
    assert one.look(again + 60 * S, live(again + 59 * S)) == AUDIT


def test_audit_of_zero_is_off() -> None:
    one = Watch(Timing(20 * S, S, 3 * S, 0, 15 * S), START, START)
    assert one.look(START + S, live(START + S)) == ""


@pytest.mark.parametrize("seed", range(20))
def test_no_history_asks_faster_than_the_pause_or_moves_the_streams_age(
    seed: int,
) -> None:
    chosen = random.Random(seed)
    one = Watch(TIMING, START, START + S)
    apply_ns, last_begin = TIME_NONE, 0
    now = START
    for _ in range(2_000):
        now += chosen.randrange(1, 400) * 1_000_000
        if chosen.random() < 0.02:
            apply_ns = now
        state = chosen.choice((STATE_LIVE, STATE_STALE, STATE_QUIET, STATE_SUSPECT))
        reason = chosen.choice((REASON_QUIET_UNCONFIRMED, REASON_AUDIT, REASON_NONE))
        stream = Stream(apply_ns, TIME_NONE, TIME_NONE, state, reason, True)
        age_ns = now - (START if apply_ns == TIME_NONE else apply_ns)
        purpose = one.look(now, stream)
        if purpose and chosen.random() < 0.8:
            assert now - last_begin >= TIMING.poll_ns
            one.begin(now)
            last_begin = now
        elif one.is_asking and chosen.random() < 0.3:
            one.end(now, is_answered=chosen.random() < 0.7)
        assert one.age_ns(now, stream) == age_ns
