"""Marks of faults: where they are drawn, over which rows, with which numbers."""

from __future__ import annotations

from typing import Any

import pytest

from feedhandler.report.marks import MARKS_MAX, mark_rows, mark_times

NAMES = ["aster:BTC-PERP", "lighter:BTC-PERP", "lighter:ETH-PERP"]
SPAN_S = 600.0


def fault(begin_s: float, end_s: float | None, *venues: str) -> dict[str, Any]:
    return {"fault": "x", "venues": venues, "begin_s": begin_s, "end_s": end_s}


@pytest.fixture
def axes() -> Any:
    figure = pytest.importorskip("matplotlib.figure")
    return figure.Figure().add_subplot()


def lines_of(axes: Any) -> list[tuple[float, str]]:
    return [
        (float(line.get_xdata()[0]), line.get_linestyle())
        for line in axes.lines
        if len(line.get_xdata())
    ]


def numbers_of(axes: Any) -> list[tuple[float, str]]:
    return [(text.xy[0], text.get_text()) for text in axes.texts]


def test_a_fault_begins_dashed_and_ends_dotted_at_its_minutes(axes: Any) -> None:
    mark_times(axes, [fault(60.0, 120.0, "lighter")], NAMES, SPAN_S)
    assert lines_of(axes) == [(1.0, "--"), (2.0, ":")]
    assert axes.get_legend_handles_labels()[1] == ["fault begins", "fault ends"]


def test_a_fault_of_a_moment_or_without_an_end_has_one_line(axes: Any) -> None:
    faults = [fault(60.0, 60.0, "aster"), fault(300.0, None, "aster")]
    mark_times(axes, faults, NAMES, SPAN_S)
    assert lines_of(axes) == [(1.0, "--"), (5.0, "--")]
    assert axes.get_legend_handles_labels()[1] == ["fault begins"]


def test_numbers_are_those_of_the_table_and_neighbours_share_a_place(
    axes: Any,
) -> None:
    faults = [
        fault(30.0, None, "paradex"),  # in no picture of these names
        fault(60.0, None, "aster"),
        fault(66.0, None, "lighter"),
        fault(300.0, None, "lighter"),
        *(fault(480.0 + place, None, "aster") for place in range(9)),
    ]
    mark_times(axes, faults, NAMES, SPAN_S)
    assert numbers_of(axes) == [(1.0, "2, 3"), (5.0, "4"), (8.0, "5 … 13")]


def test_rows_of_other_venues_are_not_marked(axes: Any) -> None:
    axes.set_ylim(2.5, -0.5)
    mark_rows(axes, [fault(60.0, None, "lighter")], NAMES, SPAN_S)
    (marks,) = axes.collections
    heights = [segment[:, 1].tolist() for segment in marks.get_segments()]
    assert heights == [[0.5, 1.5], [1.5, 2.5]]


def test_a_picture_without_faults_is_left_as_it_is(axes: Any) -> None:
    before = axes.get_ylim()
    mark_rows(axes, [fault(60.0, None, "paradex")], NAMES, SPAN_S)
    assert axes.get_ylim() == before
    assert axes.get_legend_handles_labels()[1] == []


def test_marks_have_a_limit(axes: Any) -> None:
    faults = [fault(float(at_s), None, "aster") for at_s in range(3 * MARKS_MAX)]
    mark_times(axes, faults, NAMES, SPAN_S)
    assert len(lines_of(axes)) == MARKS_MAX
