"""Extended's frames as a book: what the image and the changes lead to."""

from __future__ import annotations

import json
from collections.abc import Sequence

from feedhandler.book.book import CHECKSUM, MOVED, UNSYNCED, Book
from feedhandler.book.continuity import APPLY, BEFORE_SNAPSHOT, GAP
from feedhandler.events import AddEvent, BookEvent, Event, FrameEvent
from feedhandler.venues.extended import VENUE, decode
from tests.venues.frames import lines
from tests.venues.test_extended import RECORDED_ASKS, RECORDED_BIDS, WALL_NS


def apply(book: Book, frame: bytes) -> int:
    for event in decode(frame, WALL_NS):
        if isinstance(event, BookEvent):
            return book.replace(event.bids, event.asks)
        if isinstance(event, AddEvent):
            return book.add(event.bids, event.asks)
    raise AssertionError(frame)


def recorded() -> list[bytes]:
    return lines("extended", "ws_v2_orderbook_snapshot_then_delta.jsonl")


def edited(frame: bytes, **step: str | None) -> bytes:
    """Return a change with other values in its first bid, None for none at all."""
    message = json.loads(frame)
    row = message["data"]["b"][0]
    row |= step
    message["data"]["b"][0] = {key: row[key] for key in row if row[key] is not None}
    return json.dumps(message).encode()


def test_recorded_change_leads_from_the_recorded_image_to_the_sizes_it_says() -> None:
    book = Book()
    first, second = recorded()
    assert apply(book, first) == MOVED
    assert (book.bids(), book.asks()) == (RECORDED_BIDS, RECORDED_ASKS)
    assert apply(book, second) == MOVED
    bids, asks = dict(RECORDED_BIDS), dict(RECORDED_ASKS)
    bids |= {84074.0: 0.00118, 84073.0: 0.00175, 84069.0: 0.00502, 84067.0: 0.60063}
    bids |= {84053.0: 2.99615, 84050.0: 0.71908, 84049.0: 0.71923}
    asks[84078.0] = 2.54894
    assert book.bids() == sorted(bids.items(), reverse=True)
    assert book.asks() == sorted(asks.items())
    top = (book.bid, book.bid_size, book.ask, book.ask_size)
    assert top == (84077.0, 0.41547, 84078.0, 2.54894)


def test_change_without_results_leads_to_the_same_book() -> None:
    first, second = recorded()
    message = json.loads(second)
    for row in message["data"]["b"] + message["data"]["a"]:
        del row["c"]
    books = [Book(), Book()]
    for book, last in zip(books, (second, json.dumps(message).encode()), strict=True):
        apply(book, first)
        assert apply(book, last) == MOVED
    assert books[0].bids() == books[1].bids()
    assert books[0].asks() == books[1].asks()


def test_result_that_contradicts_the_change_is_a_fault() -> None:
    for values in ({"c": "0.00119"}, {"q": "0.00117"}, {"q": "-1", "c": None}):
        book = Book()
        first, second = recorded()
        apply(book, first)
        assert apply(book, edited(second, **values)) == CHECKSUM
        assert apply(book, second) == CHECKSUM  # only an image heals
        assert apply(book, first) == MOVED


def test_change_before_any_image_makes_no_book() -> None:
    assert apply(Book(), recorded()[1]) == UNSYNCED


def test_price_written_in_two_ways_is_one_level() -> None:
    drill = lines("extended", "ws_v2_orderbook_gap_sequence.jsonl")
    book = Book()
    apply(book, drill[0])
    apply(book, drill[2])
    assert (book.bids(), book.asks()) == ([(100.0, 1.5)], [(102.0, 3.0)])


# --- The order of frames ------------------------------------------------------------


def verdicts(frames: Sequence[bytes]) -> list[int]:
    """Return what the venue's own rule says of the frames of one connection."""
    assert VENUE.frame_rule is not None
    rule = VENUE.frame_rule()
    found: list[Event] = [decode(frame, WALL_NS)[0] for frame in frames]
    return [
        rule.judge_delta(event.sequence)
        for event in found
        if isinstance(event, FrameEvent)
    ]


def test_missing_number_is_a_gap_and_a_new_connection_begins_anew() -> None:
    drill = lines("extended", "ws_v2_orderbook_gap_sequence.jsonl")
    assert verdicts(drill[:4]) == [APPLY, APPLY, APPLY, GAP]
    assert verdicts(drill[4:]) == [APPLY]


def test_connection_may_begin_with_any_number() -> None:
    assert verdicts(lines("extended", "ws_v2_mark_price.json")) == [APPLY]


def test_changes_follow_an_image_and_nothing_else() -> None:
    rule = VENUE.continuity["depth"]()
    assert rule.judge_delta() == BEFORE_SNAPSHOT
    assert rule.judge_snapshot() == APPLY
    assert rule.judge_delta() == APPLY
