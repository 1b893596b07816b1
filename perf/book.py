"""What does it cost to keep a depth book, and how does that grow with its depth?

    image (6,000 levels) ── replace ─▶ ┌──────────────┐
    delta (5 levels)     ── change ──▶ │ price → size │ ─▶ best price
                                       └──────────────┘

The canonical workload changes books of 20, 1,000 and 6,000 levels a side, nine changes
in ten near the touch; then one of 6,000 levels evenly all over it; then replaces whole
books. Figures are of one delta or one image, CPU time for rate and mean. The product's
side is compared with a sorted list, sortedcontainers and numpy arrays, each applying
the same history; the last lines are the whole `Book`, both sides and its verdict.
"""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Callable
from typing import Any

from feedhandler.book.book import MOVED, SAME, Book
from feedhandler.book.levels import Level
from perf import _harness, _sides

DEPTHS = (20, 1_000, 6_000)
SIDES: dict[str, Callable[[], Any]] = {
    "own": _sides.Own,
    "sorted list": _sides.SortedKeys,
    "SortedDict": _sides.SortedDictionary,
    "numpy arrays": _sides.Arrays,
}


def main(run: _harness.Run) -> None:
    deltas = run.count(20_000, 400)
    histories = {
        f"{depth:,} levels": _sides.make_history(depth, deltas) for depth in DEPTHS
    }
    histories["6,000 levels, all over"] = _sides.make_history(6_000, deltas, None)
    subjects = []
    for title, history in histories.items():
        for name, make in SIDES.items():
            subject = change_side(run, title, name, make, history)
            if subject is not None:
                subjects.append(subject)
        subjects.append(change_book(run, title, history))
    image = histories["6,000 levels"].image
    for name, make in SIDES.items():
        subject = replace_side(run, name, make, image)
        if subject is not None:
            subjects.append(subject)
    _harness.pin(0)
    found = run.measure(subjects, is_cpu=True)
    os.sched_setaffinity(0, _harness.CORES)
    compare(run, found)


def change_side(
    run: _harness.Run,
    title: str,
    name: str,
    make: Callable[[], Any],
    history: _sides.History,
) -> _harness.Subject | None:
    """Return one side changed round and round, checked after every delta of a round."""
    label = f"{title}: {name}"
    try:
        side = make()
    except ImportError as error:
        run.not_measured(label, error)
        return None
    side.replace(history.image)
    found = []
    for delta in history.deltas:
        side.change(delta)
        found.append(side.best)
    run.check(found == history.bests, f"{label}: a best price is wrong")
    return _harness.Subject(
        label,
        "change(following())",
        {
            "change": side.change,
            "following": itertools.cycle(history.deltas).__next__,
        },
        len(history.deltas),
    )


def change_book(
    run: _harness.Run, title: str, history: _sides.History
) -> _harness.Subject:
    """Return a whole book whose bids mirror its asks: ten levels a delta."""
    book = Book()
    book.replace(mirrored(history.image), history.image)
    steps = [(mirrored(delta), delta) for delta in history.deltas]
    label = f"{title}: Book, both sides"
    faults = []
    tops = []
    for step in steps:
        faults.append(book.change(*step) not in (SAME, MOVED))
        tops.append((book.bid, book.ask))
    run.check(not any(faults), f"{label}: a good book was called bad")
    expected = [(mirror(best), best) for best in history.bests]
    run.check(tops == expected, f"{label}: a top is wrong")
    return _harness.Subject(
        label,
        "change(*following())",
        {"change": book.change, "following": itertools.cycle(steps).__next__},
        len(steps),
    )


def replace_side(
    run: _harness.Run, name: str, make: Callable[[], Any], image: list[Level]
) -> _harness.Subject | None:
    """Return one side replaced by an image again and again."""
    label = f"image of {len(image):,} levels: {name}"
    try:
        side = make()
    except ImportError as error:
        run.not_measured(label, error)
        return None
    side.replace(image)
    run.check(side.best == image[0][0], f"{label}: the best price is wrong")
    return _harness.Subject(
        label,
        "replace(image)",
        {"replace": side.replace, "image": image},
        run.count(200, 5),
    )


def compare(run: _harness.Run, found: dict[str, _harness.Result]) -> None:
    """Set the product's side beside the others, and its deepest beside its flattest."""

    def mean_ns(label: str) -> float:
        result = found.get(label)
        return (result.mean_ns if result else None) or math.nan

    own = mean_ns("6,000 levels: own")
    run.ratio(
        "6,000 levels, CPU time of SortedDict : own",
        mean_ns("6,000 levels: SortedDict") / own,
        "> 1",
    )
    run.ratio(
        "6,000 levels all over, CPU time of sorted list : own",
        mean_ns("6,000 levels, all over: sorted list")
        / mean_ns("6,000 levels, all over: own"),
        "> 1",
    )
    run.ratio(
        "own, CPU time at 6,000 : 20 levels",
        own / mean_ns("20 levels: own"),
        f"< {math.log(6_000) / math.log(20):.2g}, the ratio of the logarithms",
    )


def mirrored(levels: list[Level]) -> list[Level]:
    """Return asks as bids, as far below the touch as they were above it."""
    return [(mirror(price), size) for price, size in levels]


def mirror(price: float) -> float:
    """Return the price on the other side of the touch."""
    return 2 * _sides.TOUCH - price


if __name__ == "__main__":
    _harness.run(main, __doc__)
