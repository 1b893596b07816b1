"""Every deadline of a session, each with its label, by numbers alone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.feed.driver import (
    MS,
    PING,
    SECOND,
    TICK,
    TIMING,
    WALL_MS,
    Driven,
    ack,
    context,
    running,
)


def test_no_book_data_ends_with_first_data_timeout_although_pongs_flow() -> None:
    driven = Driven()
    driven.turn(SECOND, 10 * MS)
    driven.acknowledge()
    while driven.goes_on:
        driven.receive({"channel": "pong"})
        driven.turn(TICK)
    assert driven.label == "first_data_timeout"
    assert driven.now == 10 * SECOND


def test_market_that_only_shows_signs_of_life_is_asked_again_before_the_end() -> None:
    driven = Driven()
    while driven.goes_on:
        driven.receive(context())
        driven.acknowledge()
        driven.turn(TICK)
    assert driven.label == "first_data_timeout"
    assert driven.now == 60 * SECOND
    assert driven.counted["resyncs.stale_instrument"] == 2
    assert [row["type"] for row in driven.requests()].count("bbo") == 3


def test_sign_of_life_that_ends_leaves_no_patience() -> None:
    driven = Driven()
    driven.turn(SECOND, 10 * MS)
    driven.receive(context())
    while driven.goes_on:
        driven.acknowledge()
        driven.turn(TICK)
    assert driven.label == "first_data_timeout"
    assert driven.now <= 12 * SECOND


def test_first_data_deadline_starts_with_the_open_connection() -> None:
    driven = Driven(is_open=False)
    driven.turn(14 * SECOND)
    driven.session.opened(driven.now, driven.wall_ns)
    driven.turn(9 * SECOND)
    assert driven.label == ""


def test_pongs_and_acks_do_not_feed_the_watchdog() -> None:
    driven = running()
    begin = driven.now
    while driven.goes_on:
        driven.receive({"channel": "pong"})
        driven.receive(ack({"type": "bbo", "coin": "BTC"}))
        driven.turn(TICK)
    assert driven.label == "stale_watchdog"
    assert driven.now - begin == 10 * SECOND


def test_trades_alone_do_not_feed_the_watchdog() -> None:
    driven = running()
    row = {"coin": "BTC", "side": "B", "px": "1", "sz": "1", "time": WALL_MS}
    number = 0
    while driven.goes_on:
        number += 1
        driven.receive({"channel": "trades", "data": [{**row, "tid": number}]})
        driven.turn(TICK)
    assert driven.label == "stale_watchdog"


def test_liveness_channel_keeps_a_quiet_market_alive() -> None:
    driven = running()
    for _ in range(600):
        driven.receive(context())
        driven.turn(TICK)
    assert driven.label == ""


def test_book_data_keeps_the_session_alive_without_the_liveness_channel() -> None:
    driven = running()
    for _ in range(600):
        driven.quote()
        driven.turn(TICK)
    assert driven.label == ""


def test_total_silence_ends_with_read_timeout_where_that_comes_first() -> None:
    driven = running(timing=replace(TIMING, stale_ns=60 * SECOND))
    driven.turn(60 * SECOND)
    assert driven.label == "read_timeout"


def test_bytes_without_a_whole_frame_hold_off_the_read_timeout() -> None:
    driven = running(timing=replace(TIMING, stale_ns=60 * SECOND))
    while driven.goes_on:
        driven.session.heard(driven.now)
        driven.turn(TICK)
    assert driven.label == "stale_watchdog"


def test_session_ends_at_its_limit() -> None:
    driven = running(timing=replace(TIMING, session_limit_ns=20 * SECOND))
    while driven.goes_on:
        driven.quote()
        driven.turn(TICK)
    assert (driven.label, driven.now) == ("session_timeout", 20 * SECOND)


def test_pings_are_due_by_the_clock_whatever_is_read() -> None:
    timing = replace(TIMING, ping_interval_ns=2 * SECOND, stale_ns=60 * SECOND)
    busy, silent = running(timing=timing), running(timing=timing)
    for _ in range(100):
        busy.quote()
        busy.turn(TICK)
        silent.turn(TICK)
    for driven in (busy, silent):
        times = [when for when, text in driven.sent if text == PING]
        assert times == [when * SECOND for when in (2, 4, 6, 8, 10)]


def test_no_ping_is_sent_when_pings_are_off() -> None:
    driven = running(timing=replace(TIMING, ping_interval_ns=0, stale_ns=90 * SECOND))
    driven.turn(25 * SECOND)
    assert PING not in [text for _, text in driven.sent]


@pytest.mark.parametrize(
    ("text", "label"), [(PING, "ping_send_fail"), ("{}", "stream_end")]
)
def test_failed_write_ends_the_session(text: str, label: str) -> None:
    driven = running()
    driven.session.send_failed(text)
    assert driven.label == label


def test_too_large_a_share_of_refused_frames_ends_the_session() -> None:
    driven = running()
    for _ in range(19):
        driven.receive(b"<html>")
    driven.turn(TICK)
    assert driven.label == ""
    driven.receive(b"<html>")
    driven.turn(TICK)
    assert driven.label == "decode_fail_loop"


def test_few_refused_frames_among_many_do_not_end_the_session() -> None:
    driven = running()
    for number in range(30_000):
        if number % 200 == 0:
            driven.receive(b"<html>")
        driven.quote()
        if number % 500 == 0:
            driven.turn(TICK)
    assert driven.label == ""
    assert driven.counted["rejected.json"] == 150


def test_first_ending_stays_and_nothing_is_published_after_it() -> None:
    driven = running()
    driven.turn(10 * SECOND)
    assert driven.label == "stale_watchdog"
    assert driven.quote() == []
    driven.session.send_failed(PING)
    assert driven.tick() == []
    assert driven.label == "stale_watchdog"
