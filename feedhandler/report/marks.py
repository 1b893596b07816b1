"""Marks of faults in the pictures: when each began and ended, with its number.

│   ┊1      ┊          dashed where it began, dotted where it ended; the numbers
│───┊───────┊────      are those of the table of faults
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Final

MARKS_MAX: Final = 40  # in one picture; the rest stands in the table

_COLOR: Final = "#6b4f9b"  # that of no line and no state
_LETTER: Final = 0.0075  # width of a digit as a share of the picture's, with its gap

Faults = Sequence[dict[str, Any]]


def of_venues(faults: Faults, venues: Collection[str]) -> list[tuple[int, Any]]:
    """Return the faults of these venues that can be drawn, with their numbers."""
    numbered = enumerate(faults, 1)
    return [
        (number, fault)
        for number, fault in numbered
        if not {*fault["venues"]}.isdisjoint(venues)
    ][:MARKS_MAX]


def mark_times(axes: Any, faults: Faults, names: Sequence[str], span_s: float) -> None:
    """Draw when the faults of the instruments `names` were, over the whole height."""
    shown = of_venues(faults, {_venue(name) for name in names})
    for _, fault in shown:
        for at_s, style in _edges(fault):
            axes.axvline(at_s / 60, color=_COLOR, linestyle=style, lw=0.8, alpha=0.8)
    _number(axes, shown, span_s)


def mark_rows(axes: Any, faults: Faults, names: Sequence[str], span_s: float) -> None:
    """Draw when the faults were, each over the rows of its own venues alone."""
    shown = of_venues(faults, {_venue(name) for name in names})
    for _, fault in shown:
        rows = [
            row for row, name in enumerate(names) if _venue(name) in fault["venues"]
        ]
        for at_s, style in _edges(fault):
            axes.vlines(
                [at_s / 60] * len(rows),
                [row - 0.5 for row in rows],
                [row + 0.5 for row in rows],
                color=_COLOR,
                linestyle=style,
                lw=1.4,
            )
    if shown:
        axes.set_ylim(top=-1.2)  # above the first row there is room for the numbers
    _number(axes, shown, span_s)


def _edges(fault: dict[str, Any]) -> list[tuple[float, str]]:
    begin_s, end_s = fault["begin_s"], fault["end_s"]
    edges = [(begin_s, "--")]
    if end_s is not None and end_s > begin_s:
        edges.append((end_s, ":"))
    return edges


def _number(axes: Any, shown: list[tuple[int, Any]], span_s: float) -> None:
    """Write the number of each fault at its begin, and what the lines are."""
    if not shown:
        return
    places: list[tuple[float, list[int]]] = []
    for number, fault in sorted(shown, key=lambda pair: float(pair[1]["begin_s"])):
        begin_s = fault["begin_s"]
        letters = len(_text(places[-1][1])) + 1 if places else 0
        if places and begin_s - places[-1][0] < letters * _LETTER * span_s:
            places[-1][1].append(number)
        else:
            places.append((begin_s, [number]))
    for begin_s, numbers in places:
        axes.annotate(
            _text(numbers),
            (begin_s / 60, 1.0),
            xycoords=axes.get_xaxis_transform(),
            xytext=(2, -1),
            textcoords="offset points",
            va="top",
            fontsize=7,
            color=_COLOR,
            annotation_clip=True,
        )
    axes.plot([], [], "--", color=_COLOR, lw=1.0, label="fault begins")
    if any(len(_edges(fault)) > 1 for _, fault in shown):
        axes.plot([], [], ":", color=_COLOR, lw=1.0, label="fault ends")


def _text(numbers: list[int]) -> str:
    """Return numbers that stand in one place."""
    if len(numbers) > 2:
        return f"{numbers[0]} … {numbers[-1]}"
    return ", ".join(map(str, numbers))


def _venue(name: str) -> str:
    return name.partition(":")[0]
