"""Aster's books: images by REST and changes by stream, joined, followed, broken off."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from feedhandler.book import book as books
from feedhandler.book.book import Book
from feedhandler.book.continuity import (
    APPLY,
    DUPLICATE,
    GAP,
    NEED_SNAPSHOT,
    REGRESSED,
    OrderingGuard,
)
from feedhandler.book.pu_chain import PuChain
from feedhandler.events import BookEvent, QuoteEvent
from feedhandler.venues.aster import VENUE
from tests.venues.test_aster import FRAMES, WALL_NS, decode, frames, steps


class Local:
    """A book kept by the venue's rule from the venue's bytes."""

    def __init__(self, symbol: str) -> None:
        self.market = VENUE.market_by_name(symbol)
        rule = VENUE.continuity["depth"]()
        assert isinstance(rule, PuChain)
        self.chain: PuChain[BookEvent] = rule
        self.book = Book()

    def image(self, body: bytes) -> int:
        """Take an answer of REST, and the changes that waited for it."""
        event = VENUE.parse_snapshot(self.market, body, WALL_NS)
        assert event.is_snapshot
        verdict = self.chain.judge_snapshot(event.sequence)
        if verdict == APPLY:
            self.book.replace(event.bids, event.asks)
            for kept in self.chain.take_kept():
                self.book.change(kept.bids, kept.asks)
        return verdict

    def change(self, frame: bytes) -> int:
        """Take a frame of the stream."""
        (event,) = decode(frame, WALL_NS)
        assert isinstance(event, BookEvent)
        assert event.symbol == self.market.key
        numbers = (event.sequence, event.previous, event.first)
        verdict = self.chain.judge_delta(*numbers, event)
        if verdict == APPLY:
            assert self.book.change(event.bids, event.asks) < books.UNSYNCED
        return verdict

    @property
    def top(self) -> tuple[float, float, float, float]:
        book = self.book
        return book.bid, book.bid_size, book.ask, book.ask_size


SYNC = steps("ws_depth_sync_sequence_constructed.jsonl")
BEFORE, IMAGE, FIRST, CHAINED, REMOVAL, BROKEN = SYNC


def test_documented_sequence_is_dropped_joined_chained_and_broken() -> None:
    local = Local("ASTERUSDT")
    assert local.change(BEFORE) == NEED_SNAPSHOT
    assert local.image(IMAGE) == APPLY
    assert local.top == (1.2499, 150.0, 1.2501, 125.0)
    assert local.change(FIRST) == APPLY
    assert local.top == (1.2499, 151.0, 1.2503, 7.0)
    assert local.change(CHAINED) == APPLY
    assert local.top == (1.2499, 151.0, 1.2502, 3.0)
    assert local.change(REMOVAL) == APPLY
    assert local.book.absent_removals == 1
    assert local.change(CHAINED) == REGRESSED
    assert local.change(REMOVAL) == DUPLICATE
    assert local.change(BROKEN) == GAP
    assert (local.chain.expected, local.chain.received) == (2027602, 2027699)
    assert local.book.bids() == [(1.2499, 151.0), (1.2498, 10.0)]


def test_image_that_comes_after_the_changes_leads_to_the_same_book() -> None:
    local = Local("ASTERUSDT")
    for frame in (BEFORE, FIRST, CHAINED, REMOVAL):
        assert local.change(frame) == NEED_SNAPSHOT
    assert local.image(IMAGE) == APPLY
    assert local.top == (1.2499, 151.0, 1.2502, 3.0)


def test_image_after_a_gap_heals_once_it_is_new_enough() -> None:
    local = Local("ASTERUSDT")
    local.image(IMAGE)
    local.change(FIRST)
    assert local.change(BROKEN) == GAP
    assert local.image(IMAGE) == REGRESSED
    newer = json.loads(IMAGE) | {"lastUpdateId": 2027699}
    assert local.image(json.dumps(newer).encode()) == APPLY
    assert local.book.bids() == [(1.2499, 150.0), (1.2498, 75.0)]


def test_first_change_may_start_right_after_the_image() -> None:
    image, first, following = steps("ws_depth_adjacent_first_event_constructed.jsonl")
    local = Local("ETHUSDT")
    assert local.image(image) == APPLY
    assert local.change(first) == APPLY
    assert local.top == (10.0, 3.0, 11.0, 2.0)
    # The last ask goes: what was below it, the image did not tell.
    (event,) = decode(following, WALL_NS)
    assert isinstance(event, BookEvent)
    numbers = (event.sequence, event.previous, event.first)
    assert local.chain.judge_delta(*numbers, event) == APPLY
    assert local.book.change(event.bids, event.asks) == books.EMPTIED


@pytest.mark.parametrize("is_image_first", [True, False])
def test_image_older_than_the_stream_is_asked_for_again(is_image_first: bool) -> None:
    rows = json.loads((FRAMES / "ws_depth_no_overlap_constructed.json").read_bytes())
    image, first = (
        json.dumps(rows[key]).encode() for key in ("snapshot", "first_event")
    )
    local = Local("BTCUSDT")
    if is_image_first:
        assert local.image(image) == APPLY
        assert local.change(first) == GAP
    else:
        assert local.change(first) == NEED_SNAPSHOT
    assert local.image(image) == NEED_SNAPSHOT
    newer = json.dumps(rows["snapshot"] | {"lastUpdateId": 101}).encode()
    assert local.image(newer) == APPLY
    assert local.top == (99.0, 1.0, 101.0, 1.0)


def test_image_of_another_market_crosses_with_the_first_change_near_the_touch() -> None:
    (frame,) = frames("ws_depthUpdate_diff_btcusdt_2025_recorded.json")
    event = json.loads(frame)
    other = {"bids": [["3100.0", "1"]], "asks": [["3100.1", "1"]]}
    other["lastUpdateId"] = event["pu"]
    local = Local("BTCUSDT")
    assert local.image(json.dumps(other).encode()) == APPLY
    (change,) = decode(frame, WALL_NS)
    assert isinstance(change, BookEvent)
    assert local.book.change(change.bids, change.asks) == books.CROSSED


def test_refused_change_is_noticed_with_the_next_one() -> None:
    local = Local("ASTERUSDT")
    local.image(IMAGE)
    local.change(FIRST)
    # CHAINED was refused as a whole: nothing of it is in the book.
    assert local.change(REMOVAL) == GAP


# --- Quotes -------------------------------------------------------------------------


def judge(rule: OrderingGuard, numbers: Sequence[Any]) -> list[int]:
    verdicts = []
    message = json.loads(frames("ws_bookTicker_btcusdt_2025_recorded.json")[0])
    for number in numbers:
        frame = json.dumps(message | {"u": number}).encode()
        (event,) = decode(frame, WALL_NS)
        assert isinstance(event, QuoteEvent)
        verdicts.append(rule.judge_snapshot(event.venue_sequence))
    return verdicts


def test_quotes_are_ordered_by_their_update_id() -> None:
    rule = VENUE.continuity["bbo"]()
    assert isinstance(rule, OrderingGuard)
    expected = [APPLY, APPLY, DUPLICATE, REGRESSED, APPLY]
    assert judge(rule, [157240846459, 157240846900, 157240846900, 5, 157240846901]) == (
        expected
    )
