"""Requests that carry several subscriptions, and what an answer does to each."""

from __future__ import annotations

from itertools import pairwise

from feedhandler.events import AckEvent, RefusalEvent
from tests.feed.driver import MS, SECOND
from tests.feed.scripted import Scripted, quote

SYMBOLS = ("A", "B", "C", "D", "E")


def subscribed(chunk: int = 4) -> Scripted:
    driven = Scripted(SYMBOLS, chunk=chunk)
    driven.turn(SECOND, 10 * MS)
    return driven


def test_request_carries_as_many_as_the_venue_takes() -> None:
    driven = subscribed(chunk=4)
    assert [len(topics) for topics in driven.asked()] == [4, 4, 2]
    assert driven.asked()[0] == ["bbo:A", "liveness:A", "bbo:B", "liveness:B"]


def test_requests_are_spaced() -> None:
    times = [now for now, _ in subscribed(chunk=4).sent]
    gaps = [later - before for before, later in pairwise(times)]
    assert min(gaps) >= 30 * MS


def test_answer_to_a_request_acknowledges_all_that_it_carried() -> None:
    driven = subscribed()
    for key in driven.ids():
        driven.say(AckEvent(key))
    assert driven.session.is_subscribed
    assert driven.counted["acks"] == 3
    assert not driven.counted["acks.unknown"]


def test_ids_are_never_used_twice() -> None:
    driven = subscribed()
    driven.turn(6 * SECOND)  # overdue: asked again
    assert len(set(driven.ids())) == len(driven.ids()) > 3


def test_refusal_of_several_asks_for_each_alone_and_costs_only_the_bad_one() -> None:
    driven = subscribed(chunk=4)
    first, *others = driven.ids()
    for key in others:
        driven.say(AckEvent(key))
    driven.say(RefusalEvent("invalid", first, "Invalid symbol"))
    assert not driven.counted["subscriptions.rejected"]
    driven.turn(SECOND, 10 * MS)
    again = dict(zip(driven.ids()[3:], driven.asked()[3:], strict=True))
    assert sorted(again.values()) == [
        ["bbo:A"],
        ["bbo:B"],
        ["liveness:A"],
        ["liveness:B"],
    ]
    for key, topics in again.items():
        if topics == ["bbo:B"]:
            driven.say(RefusalEvent("invalid", key, "Invalid symbol"))
        else:
            driven.say(AckEvent(key))
    assert driven.counted["subscriptions.rejected"] == 1
    assert driven.session.is_subscribed
    assert driven.say(quote("A")), "the others live"
    driven.turn(2 * SECOND)
    assert not driven.label


def test_unknown_answer_is_counted_and_changes_nothing() -> None:
    driven = subscribed()
    driven.say(AckEvent("#999"))
    driven.say(AckEvent("bbo:Z"))
    assert driven.counted["acks.unknown"] == 2
    assert not driven.session.is_subscribed


def test_symbol_with_another_name_is_ended_and_forgotten() -> None:
    driven = subscribed(chunk=1)
    for key in driven.ids():
        driven.say(AckEvent(key))
    driven.session.follow(["A", "B"])
    driven.turn(SECOND, 10 * MS)
    ended = [topics[0] for topics in driven.asked("end")]
    assert sorted(ended) == sorted(
        f"{kind}:{symbol}" for kind in ("bbo", "liveness") for symbol in "CDE"
    )
    assert driven.say(quote("C")) == []
    assert driven.counted["rejected.unsubscribed"] == 1
    assert driven.say(quote("A"))
    driven.say(quote("B"))
    driven.turn(30 * SECOND)
    assert driven.label == "stale_watchdog", "and not a deadline of what is gone"


def test_symbol_not_asked_for_yet_is_never_asked_for() -> None:
    driven = Scripted(SYMBOLS, chunk=1)
    driven.session.follow(["A"])
    driven.turn(SECOND, 10 * MS)
    assert driven.asked() == [["bbo:A"], ["liveness:A"]]
    assert driven.asked("end") == []


def test_what_the_host_has_spent_delays_a_request() -> None:
    waits = [300 * MS, 0]
    driven = Scripted(("A",), chunk=4, pace=lambda now_ns: waits.pop(0))
    driven.turn(SECOND, 10 * MS)
    ((sent_ns, _),) = driven.sent
    assert sent_ns >= 300 * MS


def test_first_data_deadline_begins_with_the_request() -> None:
    driven = Scripted(
        ("A",),
        chunk=4,
        pace=lambda now_ns: 0 if now_ns >= 15 * SECOND else 50 * MS,
    )
    driven.turn(24 * SECOND)
    assert not driven.label
    driven.say(AckEvent(driven.ids()[0]))
    driven.turn(5 * SECOND)
    assert driven.label == "first_data_timeout"
