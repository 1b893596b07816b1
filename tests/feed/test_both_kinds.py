"""Best bid and offer beside the whole book of one market: shown, compared, disputed."""

from __future__ import annotations

import pytest

from feedhandler.book.continuity import NonceChain, OrderingGuard
from feedhandler.events import (
    FLAG_DISPUTED,
    AckEvent,
    BookEvent,
    DisputeEvent,
    Event,
    QuoteEvent,
    SyncingEvent,
)
from tests.feed.driver import MS, SECOND, WALL_MS
from tests.feed.scripted import Scripted, image, quote

WALL_NS = WALL_MS * MS
RULES = {"bbo": OrderingGuard, "depth": NonceChain}


def both(cross_check: str = "sequence") -> Scripted:
    """Return a session with both kinds of one market, agreeing at 10."""
    driven = Scripted(
        ("A",), "both", continuity=RULES, cross_check=cross_check, chunk=8
    )
    driven.turn(100 * MS, 10 * MS)
    driven.say(AckEvent(driven.ids()[0]))
    assert driven.say(image(10)) == [], "the book is not what is shown"
    (shown,) = driven.say(quote("A", 100.0, 10))
    assert isinstance(shown, QuoteEvent)
    assert not shown.flags & FLAG_DISPUTED
    driven.counted.clear()
    driven.sent.clear()
    return driven


def step(sequence: int, previous: int, bid: float, *, gone: float = 0.0) -> BookEvent:
    bids = [(bid, 1.0)] + ([(gone, 0.0)] if gone else [])
    return BookEvent("A", WALL_NS, False, bids, [], sequence, previous)


def disputes(events: list[Event]) -> list[Event]:
    return [event for event in events if isinstance(event, DisputeEvent)]


def test_both_are_subscribed_and_the_best_bid_and_offer_is_shown() -> None:
    driven = Scripted(("A",), "both", continuity=RULES, chunk=8)
    driven.turn(100 * MS, 10 * MS)
    assert driven.asked() == [["bbo:A", "depth:A", "liveness:A"]]


def test_other_top_at_the_same_sequence_is_a_dispute() -> None:
    driven = both()
    driven.say(quote("A", 100.5, 11))
    events = driven.say(step(11, 10, 100.25))
    assert events == [DisputeEvent("A")]
    assert driven.counted["disputes"] == 1
    (later,) = driven.say(quote("A", 100.75, 12))
    assert isinstance(later, QuoteEvent)
    assert later.flags & FLAG_DISPUTED, "until they agree again"


def test_same_top_at_the_same_sequence_is_none_whichever_comes_first() -> None:
    driven = both()
    driven.say(quote("A", 100.5, 11))
    assert driven.say(step(11, 10, 100.5)) == []
    assert driven.say(step(12, 11, 100.75)) == []
    (shown,) = driven.say(quote("A", 100.75, 12))
    assert isinstance(shown, QuoteEvent)
    assert not shown.flags & FLAG_DISPUTED
    assert not driven.counted["disputes"]


def test_agreement_ends_the_dispute_and_is_shown_at_once() -> None:
    driven = both()
    driven.say(quote("A", 100.5, 11))
    driven.say(step(11, 10, 100.25))
    driven.turn(200 * MS)
    assert driven.asked("end") == [["depth:A"]], "the book is asked for anew"
    driven.say(quote("A", 100.5, 15))
    (shown,) = driven.say(image(15, bid=100.5))
    assert isinstance(shown, QuoteEvent)
    assert not shown.flags & FLAG_DISPUTED
    assert (shown.bid, shown.venue_sequence) == (100.5, 15)


def test_broken_book_leaves_the_best_bid_and_offer_alone() -> None:
    driven = both()
    assert driven.say(step(20, 19, 100.25)) == []
    assert driven.counted["resyncs.nonce_gap"] == 1
    driven.turn(200 * MS)
    assert driven.asked("end") == [["depth:A"]]
    (shown,) = driven.say(quote("A", 100.75, 20))
    assert isinstance(shown, QuoteEvent)
    assert not shown.flags & FLAG_DISPUTED


def test_book_that_stays_away_is_asked_for_again() -> None:
    driven = both()
    driven.say(step(20, 19, 100.25))
    sequence = 20
    while driven.now < 25 * SECOND:
        driven.turn(SECOND)
        for key in driven.ids():
            driven.say(AckEvent(key))
        sequence += 1
        driven.say(quote("A", 100.0 + sequence / 1_000, sequence))
    assert driven.asked("end").count(["depth:A"]) >= 2
    assert not driven.label


@pytest.mark.parametrize("cross_check", ["sequence", "time", "long"])
def test_kinds_that_never_agree_for_long_are_disputed(cross_check: str) -> None:
    driven = both(cross_check)
    for second in range(1, 12):
        driven.turn(SECOND)
        driven.say(quote("A", 100.25, 10 + second, event_ns=WALL_NS + driven.now))
    assert driven.counted["disputes"] == 1
    assert disputes(driven.events)


def test_kinds_without_a_common_number_may_differ_for_a_moment() -> None:
    driven = both("long")
    for number in range(11, 40):
        driven.turn(SECOND)
        bid = 100.0 + number / 10
        driven.say(quote("A", bid, number))
        driven.turn(500 * MS)
        driven.say(step(number, number - 1, bid))
        bid = 100.0 + number / 10
    assert not driven.counted["disputes"]


def test_doubt_about_the_book_delays_no_doubt_about_the_best_bid_and_offer() -> None:
    driven = both()
    driven.say(step(20, 19, 100.25))
    for number in range(3):
        driven.say(quote("A", 102.0, 21 + number))
    assert SyncingEvent("A", "crossed") in driven.events
    assert driven.counted["resyncs.crossed"] == 1


def test_crossed_again_too_soon_for_a_resync_is_told_all_the_same() -> None:
    driven = both()
    for number in range(3):
        driven.say(quote("A", 102.0, 11 + number))
    driven.say(quote("A", 100.0, 14))
    driven.events.clear()
    for number in range(5):
        driven.say(quote("A", 102.0, 15 + number))
    assert driven.events == [SyncingEvent("A", "crossed")]
    assert driven.counted["resyncs.crossed"] == 1


def test_crossed_best_bid_and_offer_is_asked_for_alone() -> None:
    driven = both()
    for number in range(3):
        driven.say(quote("A", 102.0, 11 + number))
    assert driven.counted["resyncs.crossed"] == 1
    assert SyncingEvent("A", "crossed") in driven.events
    driven.turn(200 * MS)
    assert driven.asked("end") == [["bbo:A"]]
