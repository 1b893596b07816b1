"""Books over random histories: what is shown is the truth at its number, or nothing.

A venue's book is changed step by step; the wire loses and repeats steps, and images
come late or from the past. Each rule of continuity sees the numbers its venue sends.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from math import nan

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from feedhandler.book.book import CHECKSUM, CROSSED, EMPTIED, UNSYNCED, Book
from feedhandler.book.continuity import (
    FrameSequence,
    ImageFirst,
    NonceChain,
    Rule,
    SequencePlusOne,
)
from feedhandler.book.pu_chain import PuChain
from feedhandler.events import BookEvent
from feedhandler.feed.kept_book import KeptBook

# A busy machine is no failure.
unhurried = settings(
    deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow]
)

Level = tuple[float, float]
BIDS = [90.0 + step for step in range(5)]
ASKS = [101.0 + step for step in range(5)]


# --- Absolute changes, lost and repeated ------------------------------------------


@dataclass
class Truth:
    """The venue's own book, and what it was after each number."""

    sides: list[dict[float, float]] = field(
        default_factory=lambda: [dict.fromkeys(BIDS, 1.0), dict.fromkeys(ASKS, 1.0)]
    )
    number: int = 100
    last_number: int = 100
    tops: dict[int, tuple[float, float]] = field(default_factory=dict)
    images: list[BookEvent] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._note()

    def change(self, side: int, index: int, size: float, width: int) -> BookEvent:
        """Change one level; the numbers of other markets lie between two steps."""
        price = (BIDS, ASKS)[side][index]
        self.sides[side].pop(price, None)
        if size:
            self.sides[side][price] = size
        first = self.number + 1
        self.number += width
        levels: tuple[list[Level], list[Level]] = ([], [])
        levels[side].append((price, size))
        event = BookEvent("X", 0, False, *levels, self.number, self.last_number, first)
        self.last_number = self.number
        self._note()
        return event

    def _note(self) -> None:
        bids, asks = self.sides
        top = (max(bids, default=nan), min(asks, default=nan))
        self.tops[self.number] = top
        levels = list(bids.items()), list(asks.items())
        self.images.append(BookEvent("X", 0, True, *levels, self.number))


changes = st.tuples(
    st.integers(0, 1),
    st.integers(0, 4),
    st.sampled_from((0.0, 0.5, 2.0)),
    st.integers(1, 4),
    st.sampled_from(("sent", "sent", "sent", "sent", "lost", "twice", "image")),
    st.integers(0, 3),  # of an image: how many steps old it is
)


@pytest.mark.parametrize("rule", [PuChain, NonceChain, SequencePlusOne])
@unhurried
@given(history=st.lists(changes, max_size=40))
def test_what_a_kept_book_shows_is_the_truth_at_its_number(
    rule: Callable[[], Rule],
    history: list[tuple[int, int, float, int, str, int]],
) -> None:
    truth = Truth()
    book = KeptBook(rule())
    shown = 0

    def take(event: BookEvent) -> None:
        nonlocal shown
        quote = book.apply(event)
        if quote is None:
            if book.doubt:
                book.requested()
            return
        expected = truth.tops[quote.venue_sequence]
        assert repr((quote.bid, quote.ask)) == repr(expected), quote
        shown += 1

    take(truth.images[-1])
    assert shown == 1
    for side, index, size, width, fate, age in history:
        step = truth.change(side, index, size, 1 if rule is SequencePlusOne else width)
        for _ in range({"lost": 0, "twice": 2}.get(fate, 1)):
            take(step)
        if fate == "image":
            # Where images come by the stream they are new; by REST they may be old.
            newest = len(truth.images) - 1
            take(truth.images[max(0, newest - age) if rule is PuChain else newest])


@given(numbers=st.lists(st.integers(0, 12), max_size=30))
def test_frames_are_taken_in_an_unbroken_row_or_not_at_all(numbers: list[int]) -> None:
    rule = FrameSequence()
    taken = [number for number in numbers if rule.judge_delta(number) == 0]
    assert taken == list(range(taken[0], taken[0] + len(taken))) if taken else True


# --- Signed changes -----------------------------------------------------------------

LOT = Decimal("0.00001")

signed = st.tuples(
    st.integers(0, 4),
    st.integers(-40_000, 40_000),  # the change, in lots
    st.sampled_from(("told", "told", "told", "untold", "wrong")),
)
frames_of_signed = st.tuples(st.lists(signed, max_size=4), st.lists(signed, max_size=4))


class Naive:
    """A book of exact decimals, for changes of which each is told as a sum."""

    def __init__(self) -> None:
        self.sides = [
            {price: Decimal("0.3") for price in prices} for prices in (BIDS, ASKS)
        ]
        self.fault = 0

    def add(
        self, rows: tuple[list[tuple[int, int, str]], list[tuple[int, int, str]]]
    ) -> list[list[tuple[float, float, float]]]:
        """Apply one frame and return it as the venue would send it."""
        sent: list[list[tuple[float, float, float]]] = [[], []]
        is_wrong = False
        before = [bool(side) for side in self.sides]
        for side, prices, held, frame in zip(
            (0, 1), (BIDS, ASKS), self.sides, rows, strict=True
        ):
            for index, lots, kind in frame:
                price = prices[index]
                change = lots * LOT
                result = held.get(price, Decimal(0)) + change
                if result < 0:
                    change, result = -held.get(price, Decimal(0)), Decimal(0)
                told = {"untold": nan, "wrong": float(result + 7 * LOT)}
                is_wrong |= kind == "wrong"
                sent[side].append((price, float(change), told.get(kind, float(result))))
                held.pop(price, None)
                if result:
                    held[price] = result
        is_emptied = any(
            was and not side for was, side in zip(before, self.sides, strict=True)
        )
        self.fault = CHECKSUM if is_wrong else EMPTIED if is_emptied else 0
        return sent


@unhurried
@given(history=st.lists(frames_of_signed, max_size=12))
def test_signed_changes_lead_to_exact_sums_or_to_a_fault(
    history: list[tuple[list[tuple[int, int, str]], list[tuple[int, int, str]]]],
) -> None:
    naive = Naive()
    book = Book()
    assert book.fault == UNSYNCED
    book.replace(*[[(price, 0.3) for price in side] for side in (BIDS, ASKS)])
    for rows in history:
        book.add(*naive.add(rows))
        assert book.fault == naive.fault
        assert book.fault != CROSSED
        if naive.fault:
            return
        for found, side in zip((book.bids(), book.asks()), naive.sides, strict=True):
            exact = {price: float(size) for price, size in side.items()}
            assert {price: round(size, 9) for price, size in found} == exact


@given(number=st.integers(0, 1 << 62))
def test_change_before_its_image_is_never_applied(number: int) -> None:
    for rule in (NonceChain(), SequencePlusOne(), ImageFirst()):
        book = KeptBook(rule)
        event = BookEvent("X", 0, False, [(1.0, 1.0)], [], number, number - 1, number)
        assert book.apply(event) is None
        assert book.ignored == "before_image"
