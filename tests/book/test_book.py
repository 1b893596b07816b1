"""A depth book: believed only when whole, and silent about a top it cannot believe."""

from __future__ import annotations

from math import isnan, nan

import pytest

from feedhandler.book import levels
from feedhandler.book.book import (
    CHECKSUM,
    CROSSED,
    EMPTIED,
    FAULT_NAMES,
    MOVED,
    OVERFLOW,
    SAME,
    UNSYNCED,
    Book,
)
from feedhandler.book.levels import Level
from feedhandler.codec import decimal

BIDS = [(100.0, 1.0), (99.0, 3.0)]
ASKS = [(101.0, 2.0), (102.0, 1.0)]


def made(bids: list[Level] = BIDS, asks: list[Level] = ASKS) -> Book:
    book = Book()
    book.replace(bids, asks)
    return book


def top(book: Book) -> tuple[float, float, float, float]:
    return book.bid, book.bid_size, book.ask, book.ask_size


def assert_no_top(book: Book) -> None:
    assert all(isnan(value) for value in top(book))


def read(*rows: str) -> list[Level]:
    """Return levels written as `price size`."""
    found = []
    for row in rows:
        price, size = row.split()
        found.append((decimal.price(price), decimal.size(size)))
    return found


def test_image_makes_a_book_and_its_top() -> None:
    book = Book()
    assert book.replace(BIDS, ASKS) == MOVED
    assert top(book) == (100.0, 1.0, 101.0, 2.0)
    assert book.depth == (2, 2)
    assert book.fault == 0


def test_change_before_an_image_makes_no_book() -> None:
    book = Book()
    assert book.change(BIDS, ASKS) == UNSYNCED
    assert book.add([(100.0, 1.0, 1.0)], []) == UNSYNCED
    assert_no_top(book)
    assert book.depth == (0, 0)


def test_change_tells_whether_the_top_moved() -> None:
    book = made()
    assert book.change([(99.0, 4.0)], [(105.0, 1.0)]) == SAME
    assert book.change([], []) == SAME
    assert book.change([(100.0, 1.0)], []) == SAME
    assert book.change([(100.0, 1.5)], []) == MOVED
    assert book.change([(100.5, 1.0)], []) == MOVED
    assert book.change([], [(101.0, 0.0)]) == MOVED
    assert top(book) == (100.5, 1.0, 102.0, 1.0)


def test_image_replaces_every_level() -> None:
    book = made()
    assert book.replace([(90.0, 1.0)], [(91.0, 1.0)]) == MOVED
    assert book.bids() == [(90.0, 1.0)]
    assert book.asks() == [(91.0, 1.0)]


def test_image_with_the_same_top_has_not_moved_it() -> None:
    assert made().replace([(100.0, 1.0), (98.0, 1.0)], [(101.0, 2.0)]) == SAME


def test_removing_what_is_not_held_is_counted_and_harmless() -> None:
    book = made()
    assert book.change([(50.0, 0.0)], [(150.0, 0.0), (151.0, 0.0)]) == SAME
    assert book.absent_removals == 3
    book.replace(BIDS, ASKS)
    book.change([(50.0, 0.0)], [])
    assert book.absent_removals == 4


def test_oddities_of_images_are_counted() -> None:
    book = made([*BIDS, (100.0, 1.0)], ASKS[::-1])
    assert (book.duplicates, book.unsorted) == (1, 1)
    assert top(book) == (100.0, 1.0, 101.0, 2.0)


def test_locked_book_is_good() -> None:
    book = made()
    assert book.change([(101.0, 1.0)], []) == MOVED
    assert book.is_locked
    assert top(book) == (101.0, 1.0, 101.0, 2.0)


@pytest.mark.parametrize(("bids", "asks"), [([], ASKS), (BIDS, []), ([], [])])
def test_side_that_was_never_there_is_absent_and_good(
    bids: list[Level], asks: list[Level]
) -> None:
    book = made(bids, asks)
    assert book.fault == 0
    assert isnan(book.bid) == isnan(book.bid_size) == (not bids)
    assert isnan(book.ask) == isnan(book.ask_size) == (not asks)
    assert not book.is_locked
    assert book.change([], []) == SAME
    assert book.change([(100.0, 2.0)], [(101.0, 3.0)]) == MOVED
    assert top(book) == (100.0, 2.0, 101.0, 3.0)


# --- faults -----------------------------------------------------------------------


def test_change_that_crosses_the_book_leaves_no_top_until_an_image() -> None:
    book = made()
    assert book.change([(101.5, 1.0)], []) == CROSSED
    assert_no_top(book)
    assert book.change([(101.5, 0.0)], []) == CROSSED
    assert_no_top(book)
    assert book.replace(BIDS, ASKS) == MOVED
    assert top(book) == (100.0, 1.0, 101.0, 2.0)


def test_crossed_image_is_a_fault_and_the_next_good_one_heals_it() -> None:
    book = made()
    assert book.replace([(102.0, 1.0)], [(101.0, 1.0)]) == CROSSED
    assert_no_top(book)
    assert book.replace(BIDS, ASKS) == MOVED


@pytest.mark.parametrize(
    ("bids", "asks"),
    [
        ([(100.0, 0.0), (99.0, 0.0)], []),
        ([], [(101.0, 0.0), (102.0, 0.0)]),
    ],
)
def test_side_emptied_by_a_change_is_a_fault(
    bids: list[Level], asks: list[Level]
) -> None:
    book = made()
    assert book.change(bids, asks) == EMPTIED
    assert_no_top(book)
    assert book.change([(100.0, 1.0)], [(101.0, 1.0)]) == EMPTIED
    assert_no_top(book)


def test_side_emptied_and_filled_within_one_change_is_good() -> None:
    book = made()
    assert book.change([(100.0, 0.0), (99.0, 0.0), (98.0, 1.0)], []) == MOVED
    assert book.bid == 98.0


def test_side_emptied_by_an_image_is_good() -> None:
    book = made()
    assert book.replace([], ASKS) == MOVED
    assert isnan(book.bid)


def test_wrong_checksum_leaves_no_top_until_an_image() -> None:
    book = made()
    assert book.add([(100.0, 0.5, 1.6)], []) == CHECKSUM
    assert_no_top(book)
    assert book.add([(100.0, 0.5, 1.5)], []) == CHECKSUM
    assert book.replace(BIDS, ASKS) == MOVED
    assert book.add([(100.0, 0.5, 1.5)], [(101.0, -2.0, nan)]) == MOVED
    assert top(book) == (100.0, 1.5, 102.0, 1.0)


def test_more_levels_than_any_market_has_is_a_fault(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(levels, "LEVELS_MAX", 200)
    deep = [(100.0 + number, 1.0) for number in range(1, 201)]
    book = made(BIDS, deep)
    assert book.fault == 0
    assert book.replace(BIDS, [*deep, (500.0, 1.0)]) == OVERFLOW
    assert_no_top(book)
    book.replace(BIDS, deep)
    grown = [book.change([], [(500.0 + number, 1.0)]) for number in range(500)]
    assert set(grown[:200]) == {SAME}
    assert grown[-1] == OVERFLOW
    assert_no_top(book)


def test_cleared_book_shows_nothing_and_waits_for_an_image() -> None:
    book = made()
    book.clear()
    assert_no_top(book)
    assert book.depth == (0, 0)
    assert book.change(BIDS, ASKS) == UNSYNCED
    assert book.replace(BIDS, ASKS) == MOVED


def test_change_that_fails_half_way_leaves_no_book() -> None:
    book = made()
    with pytest.raises(TypeError):
        book.change([(100.0, 0.0)], [(101.0, None)])  # type: ignore[list-item]
    assert book.change([], []) == UNSYNCED


def test_image_that_fails_half_way_leaves_the_book_as_it_was() -> None:
    book = made()
    with pytest.raises(TypeError):
        book.replace([(90.0, 1.0)], [(91.0, None)])  # type: ignore[list-item]
    assert top(book) == (100.0, 1.0, 101.0, 2.0)
    assert (book.bids(), book.asks()) == (BIDS, ASKS)


def test_last_change_said_again_is_held_and_another_one_is_not() -> None:
    book = made()
    book.change([(100.0, 0.0)], [(101.5, 5.0)])
    assert book.holds([(100.0, 0.0)], [(101.5, 5.0)])
    assert not book.holds([(100.0, 1.0)], [(101.5, 5.0)])
    assert not book.holds([], [(101.5, 4.0)])


def test_every_fault_has_a_name() -> None:
    assert set(FAULT_NAMES) == {UNSYNCED, CROSSED, EMPTIED, CHECKSUM, OVERFLOW}


# --- recorded and drilled sequences -------------------------------------------------


def test_lighter_update_applied_to_its_snapshot_gives_the_next_top() -> None:
    # Recorded 2026-04-20 (tardis-node, mapper tests), snapshot trimmed to 3 a side.
    book = made(
        read("75300.4 0.00117", "75300.3 0.00020", "75300.1 0.00020"),
        read("75300.5 0.08303", "75300.7 0.00331", "75302.0 0.13280"),
    )
    verdict = book.change(
        read("75300.6 0.04881", "75295.7 0.01993", "75294.3 0.10792"),
        read("75300.5 0.00000", "75300.7 0.28364", "75313.9 0.61855"),
    )
    assert verdict == MOVED
    assert top(book) == (75300.6, 0.04881, 75300.7, 0.28364)
    assert book.depth == (6, 3)


def test_extended_delta_agrees_with_the_sizes_of_its_snapshot() -> None:
    # Recorded 2026-09-26 (catalog_capture, nautilus-extended), levels of the delta.
    book = made(
        read(
            "84077 0.41547",
            "84073 0.00093",
            "84069 0.00020",
            "84067 0.59810",
            "84053 3.04234",
            "84050.000000 0.81908",
            "84049 0.87150",
        ),
        read("84078 2.81690", "84079 2.17109"),
    )
    verdict = book.add(
        [
            (84074.0, 0.00118, 0.00118),
            (84073.0, 0.00082, 0.00175),
            (84069.0, 0.00482, 0.00502),
            (84067.0, 0.00253, 0.60063),
            (84053.0, -0.04619, 2.99615),
            (84050.0, -0.10000, 0.71908),
            (84049.0, -0.15227, 0.71923),
        ],
        [(84078.0, -0.26796, 2.54894)],
    )
    assert verdict == MOVED
    assert top(book) == (84077.0, 0.41547, 84078.0, 2.54894)
    assert (84050.0, 0.71908) in book.bids()


def test_aster_changes_applied_to_their_snapshot_give_the_next_top() -> None:
    # Constructed after the venue's document; the last one removes what is not held.
    book = made(
        read("1.2499 150.00", "1.2498 10.00"), read("1.2501 125.00", "1.2503 7.00")
    )
    assert book.change(read("1.2499 151.00"), read("1.2501 0")) == MOVED
    assert book.change([], read("1.2502 3.00")) == MOVED
    assert book.change(read("1.2000 0"), []) == SAME
    assert top(book) == (1.2499, 151.0, 1.2502, 3.0)
    assert book.absent_removals == 1


def test_paradex_deltas_without_levels_or_far_away_do_not_move_the_top() -> None:
    # Recorded 2026-10-08 (fueledbychai-rs, ETH-USD-PERP), a few of 168 levels.
    book = made(
        read("2579.7 0.005", "2579.26 0.01", "2579.24 0.3688"),
        read("2580.84 0.005", "2581.51 0.01", "2706.42 4"),
    )
    assert book.change([], read("2706.42 0")) == SAME
    assert book.change([], read("2706.57 4")) == SAME
    assert book.change([], []) == SAME
    assert book.change(read("2579.24 0"), []) == SAME
    assert top(book) == (2579.7, 0.005, 2580.84, 0.005)
    assert book.absent_removals == 0
