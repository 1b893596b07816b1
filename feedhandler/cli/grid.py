"""Tables of text that fit their terminal.

Owns how a table gives way where there is no room: whole columns go first, those that
can be spared; then the last one has lines of its own. No cell is ever cut.
"""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import click

_GAP: Final = "  "
_INDENT: Final = 4  # of a last column that has no room beside the others

Row = Sequence[str]


@dataclass(frozen=True, slots=True)
class Column:
    """One column; the highest `spare` goes first, 0 never."""

    title: str
    right: bool = False
    spare: int = 0
    wraps: bool = False  # between words, if it is the last
    colour: Callable[[str], str] | None = None  # of a cell by its text


def terminal_width() -> int:
    """Return how many columns standard output shows; 0 where it is no terminal.

    COLUMNS wins where it is set, as `watch` does for what it runs.
    """
    is_terminal = sys.stdout is not None and sys.stdout.isatty()
    if not is_terminal and "COLUMNS" not in os.environ:
        return 0
    return shutil.get_terminal_size((0, 0)).columns


def needed_width(columns: Sequence[Column], rows: Sequence[Row]) -> int:
    """Return what all columns take side by side, one that wraps by its longest word."""
    *widths, last_width = _widths(columns, rows)
    last = columns[-1]
    if last.wraps:
        text = " ".join([last.title, *(row[-1] for row in rows)])
        last_width = max(map(len, text.split()))
    return sum(widths) + len(_GAP) * len(widths) + last_width


def draw(columns: Sequence[Column], rows: Sequence[Row], width: int) -> Iterator[str]:
    """Yield the lines of a table, the titles first; a width of 0 is no limit."""
    columns, rows = _without_spared(columns, rows, width)
    widths = _widths(columns, rows)
    is_beside = not width or needed_width(columns, rows) <= width
    start = sum(widths[:-1]) + len(_GAP) * len(widths[:-1]) if is_beside else _INDENT
    room = max(1, width - start) if width and columns[-1].wraps else 0
    for number, row in enumerate([[column.title for column in columns], *rows]):
        cells = [
            _padded(column, text, cell_width, is_title=number == 0)
            for column, text, cell_width in zip(columns, row, widths, strict=True)
        ]
        lines = _wrapped(row[-1], room) if room else [cells[-1]]
        first = _GAP.join([*cells[:-1], lines.pop(0)] if is_beside else cells[:-1])
        for line in (first, *(" " * start + line for line in lines)):
            yield click.style(line.rstrip(), dim=True) if number == 0 else line.rstrip()


def folded(head: str, text: str, width: int) -> list[str]:
    """Return the lines of `text` behind `head`, below itself where it is too wide."""
    start = len(click.unstyle(head))
    first, *others = _wrapped(text, max(1, width - start)) if width else [text]
    return [head + first, *(" " * start + line for line in others)]


def _without_spared(
    columns: Sequence[Column], rows: Sequence[Row], width: int
) -> tuple[Sequence[Column], Sequence[Row]]:
    while width and needed_width(columns, rows) > width:
        spare = max(column.spare for column in columns)
        if spare == 0:
            break
        kept = [index for index, column in enumerate(columns) if column.spare != spare]
        columns = [columns[index] for index in kept]
        rows = [[row[index] for index in kept] for row in rows]
    return columns, rows


def _widths(columns: Sequence[Column], rows: Sequence[Row]) -> list[int]:
    return [
        max(len(column.title), *(len(row[index]) for row in rows), 0)
        for index, column in enumerate(columns)
    ]


def _padded(column: Column, text: str, width: int, *, is_title: bool) -> str:
    # Blanks are added to the text as it is: colours take no room on a terminal.
    blanks = " " * (width - len(text))
    if column.colour is not None and not is_title:
        text = column.colour(text)
    return blanks + text if column.right else text + blanks


def _wrapped(text: str, room: int) -> list[str]:
    return textwrap.wrap(
        text, room, break_long_words=False, break_on_hyphens=False
    ) or [""]
