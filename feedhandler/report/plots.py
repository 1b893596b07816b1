"""Pictures of a run, as SVG that stands inside a page and needs nothing else.

The door to matplotlib, which `feedhandler[report]` installs; without it there is no
page, and an error says so. Colours are those of Okabe and Ito: they stay apart for
colour-blind eyes.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np

from feedhandler.errors import UsageError
from feedhandler.report.gather import Run
from feedhandler.report.instruments import SEVERITY, InstrumentTrack
from feedhandler.report.marks import Faults, mark_rows, mark_times

COLORS: Final = (
    "#0072b2",
    "#e69f00",
    "#009e73",
    "#cc79a7",
    "#56b4e9",
    "#d55e00",
    "#8c8c00",
    "#555555",
)
STYLES: Final = ("-", "--", ":")
STATE_COLORS: Final = {
    "LIVE": "#2e9e6b",
    "QUIET": "#9bd3b8",
    "SYNCING": "#f0c648",
    "UNKNOWN": "#c9ced6",
    "SUSPECT": "#e69f00",
    "STALE": "#d55e00",
    "QUARANTINED": "#7a3b8f",
    "DOWN": "#8b1e1e",
}
LINES_MAX: Final = 12  # in one picture; the rest stands in the tables

_WIDTH: Final = 9.6
_SHADED_MS: Final = 5_000.0
_INK: Final = "#28303a"
_SETTINGS: Final = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9,
    "axes.edgecolor": "#b8bfc8",
    "axes.labelcolor": _INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e6e9ed",
    "xtick.color": _INK,
    "ytick.color": _INK,
    "text.color": _INK,
    "legend.frameon": False,
}


class Painter:
    """Draws figures; raises `UsageError` when the library is not there."""

    def __init__(self) -> None:
        try:
            import matplotlib
            from matplotlib.figure import Figure
        except ImportError as error:
            raise UsageError(
                "a page with plots needs matplotlib: pip install 'feedhandler[report]'"
            ) from error
        self._library: Any = matplotlib
        self._figure: Any = Figure
        self._number = 0

    def ages(self, run: Run, names: Sequence[str], faults: Faults = ()) -> str:
        """Draw apply-age over time, block maxima; plateaus shaded, faults marked."""

        def draw(axes: Any) -> None:
            for number, name in enumerate(names[:LINES_MAX]):
                track = run.instruments[name]
                color, style = COLORS[number % 8], STYLES[number // 8]
                at_min, ages_s = _line(track)
                axes.plot(at_min, ages_s, style, color=color, lw=1.1, label=name)
                for begin_s, end_s in track.apply.silences():
                    if (end_s - begin_s) * 1e3 >= _SHADED_MS:
                        axes.axvspan(begin_s / 60, end_s / 60, color=color, alpha=0.14)
            axes.set_yscale("log")
            axes.set_ylabel("apply-age, greatest of each block, s")
            mark_times(axes, faults, names[:LINES_MAX], run.span_s)
            _finish(axes, run)

        return self._draw(draw, 3.4)

    def states(self, run: Run, names: Sequence[str], faults: Faults = ()) -> str:
        """Draw a band of states for each instrument, the worst of each block."""
        shown = list(names[: 4 * LINES_MAX])

        def draw(axes: Any) -> None:
            for row, name in enumerate(shown):
                band = run.instruments[name].band
                for begin, end, state in _runs_of(band.rows[:, 0]):
                    width = band.width_s / 60
                    axes.barh(
                        row,
                        (end - begin) * width,
                        left=begin * width,
                        height=0.72,
                        color=STATE_COLORS[state],
                        linewidth=0,
                    )
            axes.set_yticks(range(len(shown)), shown)
            axes.invert_yaxis()
            axes.grid(axis="y", visible=False)
            for state, color in STATE_COLORS.items():
                axes.bar(0, 0, color=color, label=state)
            mark_rows(axes, faults, shown, run.span_s)
            _finish(axes, run, columns=5 if faults else 8)

        return self._draw(draw, 1.1 + 0.28 * len(shown))

    def reconnects(self, run: Run, venues: Sequence[str]) -> str:
        """Draw session ends and resyncs over time, stacked by venue."""

        def draw(axes: Any) -> None:
            base: dict[tuple[float, float], float] = {}
            width_s = max(
                (run.venues[venue].ends_over_time.width_s for venue in venues),
                default=1.0,
            )
            for color, venue in zip(COLORS * 2, venues, strict=False):
                track = run.venues[venue]
                for blocks, hatch in (
                    (track.ends_over_time, ""),
                    (track.resyncs_over_time, "////"),
                ):
                    values = blocks.rows[:, 0]
                    for place in np.flatnonzero(values).tolist():
                        key = (place * blocks.width_s, width_s)
                        axes.bar(
                            key[0] / 60,
                            values[place],
                            bottom=base.get(key, 0.0),
                            width=max(blocks.width_s, run.span_s / 200) / 60,
                            align="edge",
                            color=color,
                            hatch=hatch,
                            edgecolor="white",
                            linewidth=0.3,
                        )
                        base[key] = base.get(key, 0.0) + values[place]
                axes.bar(0, 0, color=color, label=venue)
            axes.bar(0, 0, color="#dddddd", hatch="////", label="(resyncs hatched)")
            axes.set_ylim(0, max([*base.values(), 1.0]) * 1.15)
            axes.set_ylabel("session ends")
            if not base:
                axes.text(0.5, 0.5, "none", transform=axes.transAxes, ha="center")
            _finish(axes, run)

        return self._draw(draw, 2.4)

    def hops(self, rows: Sequence[dict[str, Any]]) -> str:
        """Draw p50 to p99 of each hop as a bar, p99.9 and the maximum as marks."""
        shown = [row for row in rows if row["count"]][:40]

        def draw(axes: Any) -> None:
            for place, row in enumerate(shown):
                low, high = max(row["p50_ms"], 1e-4), max(row["p99_ms"], 1e-4)
                axes.barh(place, high - low, left=low, height=0.5, color=COLORS[4])
                axes.plot(row["p50_ms"], place, "|", color=COLORS[0], ms=9, mew=2)
                axes.plot(row["p99.9_ms"], place, "d", color=COLORS[1], ms=4)
                axes.plot(row["max_ms"], place, "x", color=COLORS[5], ms=5)
            axes.set_yticks(range(len(shown)), [row["hop"] for row in shown])
            axes.invert_yaxis()
            axes.set_xscale("log")
            least = min([row["p50_ms"] for row in shown], default=1e-2)
            axes.set_xlim(left=max(least, 1e-3) / 2)
            axes.set_xlabel("ms")
            axes.plot([], [], "|", color=COLORS[0], ms=9, mew=2, label="p50")
            axes.barh(0, 0, left=1, color=COLORS[4], label="p50 to p99")
            axes.plot([], [], "d", color=COLORS[1], ms=4, label="p99.9")
            axes.plot([], [], "x", color=COLORS[5], ms=5, label="max")
            _legend(axes, 4)

        return self._draw(draw, 1.2 + 0.22 * len(shown))

    def memory(self, run: Run) -> str:
        """Draw the resident memory of each process over time."""

        def draw(axes: Any) -> None:
            for number, role in enumerate(sorted(run.processes)):
                points = run.processes[role].rss.values
                axes.plot(
                    [at_s / 60 for at_s, _ in points],
                    [value for _, value in points],
                    STYLES[number // len(COLORS) % len(STYLES)],
                    color=COLORS[number % len(COLORS)],
                    lw=1.2,
                    label=role,
                )
            axes.set_ylabel("RSS, MiB")
            axes.set_ylim(0, axes.get_ylim()[1] * 1.05)
            _finish(axes, run)

        return self._draw(draw, 2.8)

    def _draw(self, draw: Callable[[Any], None], height: float) -> str:
        self._number += 1
        salt = {"svg.hashsalt": "picture"}  # the same run gives the same page
        with self._library.rc_context({**_SETTINGS, **salt}):
            figure = self._figure(figsize=(_WIDTH, height), layout="constrained")
            draw(figure.add_subplot())
            file = io.StringIO()
            figure.savefig(file, format="svg", metadata={"Date": None})
        text = file.getvalue()
        text = text[text.index("<svg") :]
        # Groups are numbered from one in every picture of the page.
        prefix = rf"\1p{self._number}_"
        text = re.sub(r'(\bid="|href="#|url\(#)', prefix, text)
        return re.sub(
            r'width="[\d.]+pt" height="[\d.]+pt"', 'class="plot"', text, count=1
        )


def _line(track: InstrumentTrack) -> tuple[list[float], list[float]]:
    rows = track.line.rows[:, 0]
    width_min = track.line.width_s / 60
    places = np.flatnonzero(np.isfinite(rows))
    at_min = ((places + 0.5) * width_min).tolist()
    return at_min, np.maximum(rows[places] / 1e3, 1e-3).tolist()


def _runs_of(ranks: Any) -> list[tuple[int, int, str]]:
    """Return (begin, end, state) of equal neighbours; blocks without a sample end."""
    found: list[tuple[int, int, str]] = []
    for place, rank in enumerate(ranks.tolist()):
        if rank < 0:
            continue
        state = SEVERITY[int(rank)]
        if found and found[-1][1] == place and found[-1][2] == state:
            found[-1] = (found[-1][0], place + 1, state)
        else:
            found.append((place, place + 1, state))
    return found


def _finish(axes: Any, run: Run, columns: int = 6) -> None:
    axes.set_xlim(0, max(run.span_s / 60, 1e-3))
    axes.set_xlabel("minutes")
    _legend(axes, columns)


def _legend(axes: Any, columns: int) -> None:
    if axes.get_legend_handles_labels()[0]:
        axes.legend(
            loc="lower left",
            bbox_to_anchor=(0, 1.0),
            ncols=columns,
            fontsize=8,
            handlelength=1.2,
            columnspacing=1.2,
        )
