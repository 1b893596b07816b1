"""A depth book against a naive one over random histories: same top, levels, verdict."""

from __future__ import annotations

from math import isnan, nan

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from feedhandler.book.book import CROSSED, EMPTIED, MOVED, SAME, UNSYNCED, Book
from feedhandler.book.levels import Level
from feedhandler.codec import decimal

# A busy machine is no failure.
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

# Two overlapping ladders, so that histories cross, lock, and empty sides.
FORMS = ("{:.6f}", "{:.1f}", "{:g}")


def ladder(first: int) -> st.SearchStrategy[list[Level]]:
    price = st.builds(
        lambda step, form: decimal.price(form.format(84_050 + step / 2)),
        st.integers(first, first + 12),
        st.sampled_from(FORMS),
    )
    size = st.sampled_from(("0", "0.00000", "0.5", "1.25", "2.00000"))
    return st.lists(st.tuples(price, size.map(decimal.size)), max_size=8)


steps = st.tuples(st.booleans(), ladder(-12), ladder(-1))


def top(book: Book) -> tuple[float, float, float, float]:
    return book.bid, book.bid_size, book.ask, book.ask_size


class Naive:
    """A book as two dicts, sorted whenever somebody asks."""

    def __init__(self) -> None:
        self.sides: list[dict[float, float]] = [{}, {}]
        self.fault = UNSYNCED

    def step(self, is_image: bool, bids: list[Level], asks: list[Level]) -> None:
        if not is_image and self.fault:
            return
        before = [bool(side) for side in self.sides]
        for index, rows in enumerate((bids, asks)):
            if is_image:
                self.sides[index] = {}
            for price, size in rows:
                self.sides[index].pop(price, None)
                if size:
                    self.sides[index][price] = size
        bid, _, ask, _ = self.top()
        self.fault = 0
        if bid > ask:
            self.fault = CROSSED
        elif not is_image and before != [bool(side) for side in self.sides]:
            gone = any(
                was and not side for was, side in zip(before, self.sides, strict=True)
            )
            self.fault = EMPTIED if gone else 0

    def top(self) -> tuple[float, float, float, float]:
        bids, asks = self.sides
        bid = max(bids, default=nan)
        ask = min(asks, default=nan)
        return bid, bids.get(bid, nan), ask, asks.get(ask, nan)


@settings(unhurried, max_examples=400)
@given(history=st.lists(steps, max_size=30))
def test_book_agrees_with_a_naive_one_over_any_history(
    history: list[tuple[bool, list[Level], list[Level]]],
) -> None:
    book = Book()
    naive = Naive()
    last: tuple[float, ...] = (nan, nan, nan, nan)
    for is_image, bids, asks in history:
        verdict = (book.replace if is_image else book.change)(bids, asks)
        naive.step(is_image, bids, asks)
        shown = top(book)
        assert book.fault == naive.fault
        if naive.fault:
            assert verdict == naive.fault
            assert all(isnan(value) for value in shown)
        else:
            assert repr(shown) == repr(naive.top())
            assert not shown[0] > shown[2]
            assert verdict == (SAME if repr(shown) == repr(last) else MOVED)
            assert book.bids() == sorted(naive.sides[0].items(), reverse=True)
            assert book.asks() == sorted(naive.sides[1].items())
            assert book.depth == (len(naive.sides[0]), len(naive.sides[1]))
        last = shown


@unhurried
@given(history=st.lists(steps, max_size=15))
def test_signed_changes_lead_to_the_same_book_as_absolute_ones(
    history: list[tuple[bool, list[Level], list[Level]]],
) -> None:
    absolute, signed = Book(), Book()
    for is_image, bids, asks in history:
        if is_image:
            assert absolute.replace(bids, asks) == signed.replace(bids, asks)
            continue
        changes = [
            [(price, size - held.get(price, 0.0), size) for price, size in side.items()]
            for side, held in (
                (dict(bids), dict(absolute.bids())),
                (dict(asks), dict(absolute.asks())),
            )
        ]
        verdict = absolute.change(list(dict(bids).items()), list(dict(asks).items()))
        assert signed.add(*changes) == verdict
        assert repr(top(signed)) == repr(top(absolute))
