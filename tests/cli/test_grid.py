"""A table fits its terminal, loses no word of what it shows, and keeps its columns."""

from __future__ import annotations

import re

import click
import pytest

from feedhandler.cli.grid import (
    Column,
    draw,
    folded,
    needed_width,
    terminal_width,
)

COLUMNS = (
    Column("NAME"),
    Column("COUNT", right=True, spare=1),
    Column("AGE", right=True, spare=2),
    Column("NOTES", wraps=True),
)
ROWS = (
    ("a", "1", "10.5", "-"),
    ("longer", "123456", "0.1", "one.two=3 four.five.six=7 eight=9"),
)


def drawn(width: int) -> list[str]:
    return [click.unstyle(line) for line in draw(COLUMNS, ROWS, width)]


def test_without_a_limit_columns_are_aligned_and_nothing_is_wrapped() -> None:
    assert drawn(0) == [
        "NAME     COUNT   AGE  NOTES",
        "a            1  10.5  -",
        "longer  123456   0.1  one.two=3 four.five.six=7 eight=9",
    ]


def test_last_column_goes_on_below_itself_by_whole_words() -> None:
    assert drawn(40) == [
        "NAME     COUNT   AGE  NOTES",
        "a            1  10.5  -",
        "longer  123456   0.1  one.two=3",
        "                      four.five.six=7",
        "                      eight=9",
    ]


def test_column_that_can_be_spared_goes_before_a_word_is_moved() -> None:
    assert drawn(33)[0] == "NAME     COUNT  NOTES"
    assert drawn(24)[0] == "NAME    NOTES"


def test_last_column_without_any_room_has_lines_of_its_own() -> None:
    assert drawn(20) == [
        "NAME",
        "    NOTES",
        "a",
        "    -",
        "longer",
        "    one.two=3",
        "    four.five.six=7",
        "    eight=9",
    ]


@pytest.mark.parametrize("width", [20, 23, 24, 31, 33, 40, 60, 200])
def test_no_line_is_wider_than_the_terminal_and_no_word_is_lost(width: int) -> None:
    lines = drawn(width)
    assert max(map(len, lines)) <= width
    words = re.findall(r"\S+", "\n".join(lines))
    for name, *_, notes in ROWS:
        assert {name, *notes.split()} <= set(words)


def test_needed_width_is_that_of_all_columns_and_the_longest_word() -> None:
    width = needed_width(COLUMNS, ROWS)
    assert width == len("longer  123456   0.1  four.five.six=7")
    assert len(drawn(width)[0].split()) == 4
    assert len(drawn(width - 1)[0].split()) == 3


def test_folded_text_stays_below_itself_and_a_colour_takes_no_room() -> None:
    head = click.style("ok", fg="green") + "  "
    assert folded(head, "one two three", 11) == [f"{head}one two", "    three"]
    assert folded(head, "one two three", 0) == [f"{head}one two three"]


def test_last_column_that_does_not_wrap_keeps_its_words_together() -> None:
    columns = (Column("A"), Column("SPARED", spare=1), Column("VERDICT"))
    rows = (("x", "123456", "no: writer_dead"),)
    assert list(map(click.unstyle, draw(columns, rows, 20))) == [
        "A  VERDICT",
        "x  no: writer_dead",
    ]


def test_colours_leave_columns_where_they_are_and_titles_plain() -> None:
    columns = (
        Column("STATE", colour=lambda text: click.style(text, fg="red")),
        Column("N", right=True),
    )
    title, line, _ = draw(columns, (("up", "1"), ("longer", "2")), 0)
    assert "\x1b[31m" in line
    assert "\x1b[31m" not in title
    assert click.unstyle(line) == "up      1"


def test_width_is_that_of_columns_and_none_where_there_is_no_terminal(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "72")
    assert terminal_width() == 72
    monkeypatch.delenv("COLUMNS")
    assert terminal_width() == 0
    monkeypatch.setattr("sys.stdout", None)
    assert terminal_width() == 0, "our parent closed it"
