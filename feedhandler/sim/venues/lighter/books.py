"""One book as Lighter tells it: images, deltas and the chain of their nonces.

    snapshot   nonce N                     the whole book as of the last delta
    delta      begin_nonce N, nonce M      what changed since, as absolute sizes
    delta      begin_nonce M, nonce …      no size is zero but that of a level gone

A nonce counts the transactions of all markets, so it grows by steps of any size. An
offset grows too and means nothing to a client.
"""

from __future__ import annotations

from random import Random
from typing import NamedTuple

from feedhandler.sim.ladder import EMPTY, Book, Level

OFFSET_STEP_MAX = 15  # one was 12 between neighbouring frames of April 2026
NONCE_STEP_MAX = 30  # transactions of all markets between two changes of one


class Image(NamedTuple):
    """A whole book at a nonce; `fault` names what falsified it, if anything."""

    book: Book
    nonce: int
    offset: int
    changed_us: int
    fault: str = ""


class Change(NamedTuple):
    """A level's new size; zero removes it."""

    price: int
    size: int


class Delta(NamedTuple):
    bids: tuple[Change, ...]
    asks: tuple[Change, ...]
    begin_nonce: int
    after: Image


# A book that never had an order, as the venue shows it.
UNTOUCHED = Image(EMPTY, nonce=0, offset=1, changed_us=0)


class Nonces:
    """The count of transactions, and the offsets of this server."""

    def __init__(self, random: Random) -> None:
        self.last = 10_382_000_000 + random.randrange(1_000_000)
        self._random = random

    def take(self) -> int:
        self.last += self._random.randint(1, NONCE_STEP_MAX)
        return self.last

    def first_offset(self) -> int:
        return self._random.randrange(1_000_000, 60_000_000)

    def later_offset(self, offset: int) -> int:
        return offset + self._random.randint(1, OFFSET_STEP_MAX)


def delta(before: Image, after: Image) -> Delta:
    """What turns one image into the other."""
    return Delta(
        bids=_changes(before.book.bids, after.book.bids, falling=True),
        asks=_changes(before.book.asks, after.book.asks, falling=False),
        begin_nonce=before.nonce,
        after=after,
    )


def corrupted(book: Book) -> Book:
    """The book with a wrong size at its best bid: what a faulty venue might send."""
    if not book.bids:
        return book
    best = book.bids[0]
    return book._replace(bids=(best._replace(size=2 * best.size + 1), *book.bids[1:]))


def _changes(
    before: tuple[Level, ...], after: tuple[Level, ...], falling: bool
) -> tuple[Change, ...]:
    old = {level.price: level.size for level in before}
    new = {level.price: level.size for level in after}
    prices = [price for price in old | new if old.get(price) != new.get(price)]
    prices.sort(reverse=falling)
    return tuple(Change(price, new.get(price, 0)) for price in prices)
