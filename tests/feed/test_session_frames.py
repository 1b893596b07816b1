"""Connections whose frames are numbered, signed changes, and images by REST."""

from __future__ import annotations

from itertools import pairwise

import pytest

from feedhandler.book.continuity import FrameSequence, ImageFirst
from feedhandler.book.pu_chain import PuChain
from feedhandler.events import (
    FLAG_SYNCING,
    AckEvent,
    AddEvent,
    BookEvent,
    Event,
    FrameEvent,
    QuoteEvent,
    SyncingEvent,
    TickEvent,
)
from tests.feed.driver import MS, SECOND, WALL_MS
from tests.feed.scripted import Scripted, change, image, quote

WALL_NS = WALL_MS * MS


def numbered(kind: str = "bbo", symbols: tuple[str, ...] = ("A", "B")) -> Scripted:
    driven = Scripted(
        symbols,
        kind,
        continuity={"depth": ImageFirst},
        frame_rule=FrameSequence,
        chunk=8,
    )
    driven.turn(100 * MS, 10 * MS)
    driven.say(AckEvent(driven.ids()[0]))
    return driven


def add(*bids: tuple[float, float, float]) -> AddEvent:
    return AddEvent("A", WALL_NS, list(bids), [])


# --- Frames with a number -----------------------------------------------------------


def test_missing_frame_puts_every_symbol_in_doubt_and_ends_the_session() -> None:
    driven = numbered()
    driven.say(FrameEvent(7), quote("A"))
    driven.say(FrameEvent(8), quote("B"))
    events = driven.say(FrameEvent(10), quote("A", 99.0))
    assert events == [SyncingEvent("A", "seq_gap"), SyncingEvent("B", "seq_gap")]
    assert driven.label == "seq_gap"


@pytest.mark.parametrize("number", [3, 4])
def test_frame_seen_before_is_dropped_whole(number: int) -> None:
    driven = numbered()
    for sequence in (3, 4):
        driven.say(FrameEvent(sequence), quote("A", 100.0 + sequence))
    assert driven.say(FrameEvent(number), quote("A", 50.0)) == []
    assert driven.counted["duplicates"] == 1
    assert not driven.label


def test_frame_without_quotes_counts_in_the_sequence_too() -> None:
    driven = numbered()
    driven.say(FrameEvent(0), quote("A"))
    driven.say(FrameEvent(1), TickEvent("A"))
    assert driven.say(FrameEvent(2), quote("A", 99.0))


# --- Signed changes -----------------------------------------------------------------


def test_signed_change_leads_to_the_size_it_says() -> None:
    driven = numbered("depth", ("A",))
    driven.say(FrameEvent(1), image())
    (top,) = driven.say(FrameEvent(2), add((100.0, 0.5, 1.5)))
    assert isinstance(top, QuoteEvent)
    assert (top.bid, top.bid_size) == (100.0, 1.5)


def test_size_that_contradicts_is_a_resync_before_anything_else() -> None:
    driven = numbered("depth", ("A",))
    driven.say(FrameEvent(1), image())
    assert driven.say(FrameEvent(2), add((100.0, 0.5, 9.0))) == [
        SyncingEvent("A", "checksum")
    ]
    assert driven.counted["resyncs.checksum"] == 1
    assert driven.say(FrameEvent(3), add((100.0, 0.5, 2.0))) == []
    driven.turn(SECOND, 10 * MS)
    assert driven.asked("end") == [["depth:A"]]
    (top,) = driven.say(FrameEvent(4), image())
    assert isinstance(top, QuoteEvent)
    assert not driven.label


def test_image_older_than_the_book_is_no_step_of_it() -> None:
    driven = numbered("depth", ("A",))
    driven.say(FrameEvent(1), image())
    driven.say(FrameEvent(2), add((100.0, 0.5, 1.5)))
    old = image(bid=50.0)
    old.event_ns -= SECOND
    assert driven.say(FrameEvent(3), old) == []
    assert driven.counted["regressed"] == 1
    (top,) = driven.say(FrameEvent(4), add((100.0, 0.5, 2.0)))
    assert isinstance(top, QuoteEvent)
    assert (top.bid, top.bid_size) == (100.0, 2.0)


# --- Images by REST -----------------------------------------------------------------


def chained() -> Scripted:
    driven = Scripted(("A",), "depth", continuity={"depth": PuChain})
    driven.turn(500 * MS, 10 * MS)
    return driven


def take(driven: Scripted, given: BookEvent) -> list[Event]:
    return list(driven.session.take_image(given, driven.now))


def wanted(driven: Scripted) -> list[str]:
    return driven.session.take_wanted_images(driven.now)


def test_image_is_asked_for_when_the_stream_is_acknowledged() -> None:
    driven = chained()
    assert wanted(driven) == []
    driven.say(AckEvent("depth:A"))
    assert wanted(driven) == ["A"]
    assert wanted(driven) == [], "it is under way"


def test_changes_that_came_before_their_image_follow_it() -> None:
    driven = chained()
    driven.say(AckEvent("depth:A"))
    wanted(driven)
    assert driven.say(change(11, 9, 10, 100.5)) == []
    assert driven.say(change(14, 11, 12, 100.25)) == []
    (top,) = take(driven, image(10))
    assert isinstance(top, QuoteEvent)
    assert (top.bid, top.venue_sequence) == (100.5, 14)
    (top,) = driven.say(change(15, 14, 15, 100.75))
    assert isinstance(top, QuoteEvent)
    assert top.bid == 100.75


def test_image_older_than_what_waits_is_asked_for_again_with_a_growing_gap() -> None:
    driven = chained()
    driven.say(change(21, 18, 19, 100.5))
    assert wanted(driven) == ["A"]
    assert take(driven, image(10)) == []
    assert wanted(driven) == []
    driven.turn(900 * MS)
    assert wanted(driven) == []
    driven.turn(200 * MS)
    assert wanted(driven) == ["A"]
    assert take(driven, image(11)) == []
    driven.turn(1_500 * MS)
    assert wanted(driven) == []
    driven.turn(600 * MS)
    assert wanted(driven) == ["A"]
    (top,) = take(driven, image(20))
    assert isinstance(top, QuoteEvent)
    assert top.bid == 100.5


def test_image_that_could_not_be_had_waits_as_long_as_the_host_asks() -> None:
    driven = chained()
    driven.say(AckEvent("depth:A"))
    wanted(driven)
    driven.session.miss_image("A", driven.now, 5 * SECOND)
    driven.turn(4_900 * MS)
    assert wanted(driven) == []
    driven.turn(200 * MS)
    assert wanted(driven) == ["A"]


def test_broken_chain_is_in_doubt_at_once_and_heals_inside_the_session() -> None:
    driven = chained()
    driven.say(AckEvent("depth:A"))
    wanted(driven)
    take(driven, image(10))
    driven.say(change(12, 10, 11, 100.5))
    assert driven.say(change(19, 17, 18, 100.25)) == [SyncingEvent("A", "seq_gap")]
    assert driven.counted["resyncs.seq_gap"] == 1
    assert wanted(driven) == [], "one was asked for just now"
    driven.turn(SECOND)
    assert wanted(driven) == ["A"]
    assert driven.asked("end") == [], "the stream goes on"
    assert driven.say(change(22, 19, 20, 100.75)) == []
    (top,) = take(driven, image(18))
    assert isinstance(top, QuoteEvent)
    assert (top.bid, top.venue_sequence) == (100.75, 22)
    assert not driven.label


def test_image_alone_is_shown_and_not_believed() -> None:
    driven = chained()
    driven.say(AckEvent("depth:A"))
    wanted(driven)
    (shown,) = take(driven, image(10))
    assert isinstance(shown, QuoteEvent)
    assert shown.flags & FLAG_SYNCING
    (believed,) = driven.say(change(12, 10, 11, 100.0))
    assert isinstance(believed, QuoteEvent)
    assert not believed.flags & FLAG_SYNCING


def test_stream_that_breaks_for_ever_asks_in_a_growing_gap() -> None:
    driven = chained()
    driven.say(AckEvent("depth:A"))
    asked: list[int] = []
    sequence = 10
    driven.say(AckEvent("liveness:A"))
    while driven.goes_on and driven.now < 60 * SECOND:
        if wanted(driven):
            asked.append(driven.now)
            take(driven, image(sequence))
        sequence += 10
        driven.say(change(sequence, sequence - 1, sequence - 1, 100.0), TickEvent("A"))
        driven.turn(100 * MS)
    gaps = [later - before for before, later in pairwise(asked)]
    assert gaps == sorted(gaps)
    assert len(asked) <= 7
    assert not driven.label


def test_host_that_refuses_images_ends_no_session() -> None:
    driven = chained()
    driven.say(AckEvent("depth:A"))
    sequence = 10
    driven.say(AckEvent("liveness:A"))
    while driven.goes_on and driven.now < 90 * SECOND:
        if wanted(driven):
            driven.session.miss_image("A", driven.now, 120 * SECOND)
        driven.say(change(sequence + 1, sequence, sequence + 1, 100.0), TickEvent("A"))
        sequence += 1
        driven.turn(500 * MS)
    assert not driven.label
    assert driven.asked("end") == []


def test_image_is_no_proof_that_the_stream_lives() -> None:
    driven = chained()
    driven.say(AckEvent("depth:A"))
    wanted(driven)
    take(driven, image(10))
    driven.say(AckEvent("liveness:A"))
    began = driven.now
    while driven.goes_on:
        driven.turn(SECOND)
        take(driven, image(10 + driven.now // SECOND))
    assert driven.label == "stale_watchdog"
    assert driven.now - began <= 12 * SECOND


def test_image_of_a_market_nobody_asked_for_changes_nothing() -> None:
    driven = chained()
    other = BookEvent("Z", WALL_NS, True, [(1.0, 1.0)], [(2.0, 1.0)], 5)
    assert take(driven, other) == []


def test_last_step_again_with_other_content_is_a_resync() -> None:
    driven = chained()
    driven.say(AckEvent("depth:A"))
    wanted(driven)
    take(driven, image(10))
    driven.say(change(12, 10, 11, 100.5))
    assert driven.say(change(12, 10, 11, 100.5)) == []
    assert driven.counted["duplicates"] == 1
    assert driven.say(change(12, 10, 11, 100.75)) == [SyncingEvent("A", "seq_gap")]
    assert driven.counted["resyncs.seq_gap"] == 1
