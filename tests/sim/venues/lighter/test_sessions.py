"""Who is not heard of is not served any more."""

from __future__ import annotations

from tests.sim.venues.lighter.desk import Desk

PING = {"type": "ping"}
PONG = {"type": "pong"}


def test_venue_pings_and_a_pong_satisfies_it() -> None:
    desk = Desk()
    for _ in range(5):
        assert desk.tick(60.0) == [PING]
        assert desk.say(PONG) == []
        assert desk.tick(19.0) == []
    assert desk.session.ending is None


def test_client_that_does_not_answer_is_ended_with_no_pong() -> None:
    desk = Desk()
    desk.subscribe("ticker/1")
    assert desk.tick(60.0) == [PING]
    desk.say(PING)  # says something, but not what was asked for
    desk.tick(19.0)
    assert desk.say(PING) == [PONG]
    desk.tick(1.0)
    assert desk.session.ending == (1008, "no pong")


def test_client_that_says_nothing_is_ended_however_much_it_gets() -> None:
    desk = Desk(cadence={"ping": 3600.0})
    desk.subscribe("ticker/1")
    frames = [frame for taken in desk.steps(119, 1.0) for frame in taken]
    assert len(frames) > 10
    assert desk.session.ending is None
    desk.tick(1.1)
    assert desk.session.ending == (1000, "")


def test_client_that_pings_lives() -> None:
    desk = Desk(cadence={"ping": 3600.0})
    for _ in range(20):
        desk.tick(119.0)
        assert desk.say(PING) == [PONG]
    assert desk.session.ending is None


def test_ended_session_gets_nothing() -> None:
    desk = Desk()
    desk.subscribe("ticker/1")
    desk.tick(60.0)
    desk.tick(20.0)
    assert desk.session.ending is not None
    assert desk.move(500) == []
    assert desk.tick(60.0) == []
