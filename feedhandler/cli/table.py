"""The live table of `start`: every instrument at a glance. The one door to `rich`.

Owns the picture alone: it is given the market and the processes and draws them. Two
lines an instrument where the height allows, one where it does not; 80 columns suffice.
"""

from __future__ import annotations

import io
import math
import time
from types import TracebackType
from typing import Final

from rich.console import Console as Terminal
from rich.console import Group, RenderableType
from rich.live import Live
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from feedhandler.cli.format import milliseconds, number, short, sparkline
from feedhandler.cli.market import Line, Market
from feedhandler.sink import Sink
from feedhandler.supervisor.child import DISABLED, RUNNING, WAITING, Child
from feedhandler.supervisor.process import Supervisor

WRITE_S: Final = 0.15  # less than the pause between two pictures
EVENTS_MIN: Final = 3
EVENTS_MAX: Final = 12
SPARK_WIDTH: Final = 20  # as wide as most names above it
_FRAME_LINES: Final = 6  # header, processes, column titles, rules
_WIDE_COLUMNS: Final = 100
_NAME_MIN: Final = 8
_TITLES: Final = ("venue", "bid", "ask", "spread", "trade", "age ms", "state")
_SPREAD: Final = 3
_TRADE: Final = 4
_NS_PER_S: Final = 1_000_000_000

_STATE_STYLES: Final = {
    "LIVE": "bold green",
    "QUIET": "green",
    "SYNCING": "yellow",
    "UNKNOWN": "yellow",
    "SUSPECT": "bold yellow",
    "STALE": "bold red",
    "DOWN": "bold red",
    "QUARANTINED": "bold magenta",
}
_CHILD_STYLES: Final = {RUNNING: "green", WAITING: "yellow", DISABLED: "bold red"}
_MOVE_STYLES: Final = {1: "bold green", -1: "bold red", 0: ""}
_ARROWS: Final = {1: "▲", -1: "▼", 0: "•"}
_EVENT_STYLES: Final = (
    ("WS_AUDIT", "yellow"),
    ("fault", "magenta"),
    ("process_ended", "red"),
    ("process_disabled", "bold red"),
    ("process_killed", "red"),
    ("process_started", "green"),
    ("connected", "green"),
    ("state", "cyan"),
)


class _TerminalFile(io.StringIO):
    """Standard output for `rich`, never waiting long for a frozen terminal.

    A picture is written in one piece. One that is not taken in time is finished before
    the next, and the pictures between are skipped.
    """

    def __init__(self) -> None:
        super().__init__()
        self._sink = Sink.reopen(1)

    def write(self, text: str) -> int:
        """Write one picture, or skip it."""
        if self._sink.finish(0) and self._sink.write(text.encode()):
            self._sink.finish(WRITE_S)
        return len(text)

    def isatty(self) -> bool:
        """Say that pictures can be drawn."""
        return True


class Screen:
    """The terminal while the table is shown; leaving restores it."""

    def __init__(self) -> None:
        self._terminal = Terminal(file=_TerminalFile())
        self._live = Live(
            console=self._terminal,
            screen=True,
            auto_refresh=False,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def __enter__(self) -> Screen:
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._live.stop()

    def draw(self, market: Market, supervisor: Supervisor, now_s: float) -> None:
        """Draw one picture."""
        size = self._terminal.size
        picture = compose(market, supervisor, now_s, size.width, size.height)
        self._live.update(picture, refresh=True)


def compose(
    market: Market, supervisor: Supervisor, now_s: float, width: int, height: int
) -> RenderableType:
    """Return the whole picture for a terminal of this size."""
    lines = list(market.lines.values())
    room = height - _FRAME_LINES - EVENTS_MIN
    is_tall = 2 * len(lines) <= room
    used = _FRAME_LINES + len(lines) * (2 if is_tall else 1)
    events = min(EVENTS_MAX, max(EVENTS_MIN, height - used - 1))
    parts: list[RenderableType] = [
        _header(supervisor),
        _processes(supervisor, width),
        Rule(style="dim"),
        (
            _quotes(lines, now_s, width, is_tall=is_tall)
            if lines
            else Text(" waiting for the first quote …", "dim italic")
        ),
        Rule(style="dim"),
        _events(supervisor, events),
    ]
    return Group(*parts)


def _header(supervisor: Supervisor) -> Text:
    up_s = (time.monotonic_ns() - supervisor.started_ns) // _NS_PER_S
    hours, rest_s = divmod(up_s, 3_600)
    text = Text(no_wrap=True, overflow="ellipsis")
    text.append(" feedhandler ", "bold reverse cyan")
    text.append(f"  {supervisor.config.instance}", "bold")
    if supervisor.options.simulation is not None:
        text.append("  simulated venues", "magenta")
    text.append(f"  up {hours:d}:{rest_s // 60:02d}:{rest_s % 60:02d}")
    text.append("  Ctrl-C stops", "dim")
    return text


def _processes(supervisor: Supervisor, width: int) -> Text:
    """Return every process; where that is too wide, those that need a look."""
    text = Text(" ", no_wrap=True, overflow="ellipsis")
    for child in supervisor.children:
        text.append_text(_process(child))
    if text.cell_len <= width:
        return text
    running = [child for child in supervisor.children if child.state == RUNNING]
    text = Text(" ", no_wrap=True, overflow="ellipsis")
    text.append("● ", _CHILD_STYLES[RUNNING])
    text.append(f"{len(running)} of {len(supervisor.children)} processes run   ")
    for child in supervisor.children:
        if child.restarts_count or child not in running:
            text.append_text(_process(child))
    return text


def _process(child: Child) -> Text:
    style = _CHILD_STYLES.get(child.state, "dim")
    text = Text.assemble(("● ", style), child.role)
    text.append(f" {child.pid or child.state}", "dim" if child.pid else style)
    if child.restarts_count:
        text.append(f" ↻{child.restarts_count}", "yellow")
    return text.append("   ")


def _quotes(lines: list[Line], now_s: float, width: int, *, is_tall: bool) -> Table:
    rows = []
    for line in sorted(lines, key=_instrument_and_venue):
        cells = _cells(line, now_s)
        if not is_tall and not line.row["tradable"]:
            # In one line the reason says more than a spread that nobody may trade on.
            cells[_SPREAD] = cells[-1][::-1]
        if not is_tall and width < _WIDE_COLUMNS:
            del cells[_TRADE]
        rows.append([Text("\n").join(cell) if is_tall else cell[0] for cell in cells])
    titles = list(_TITLES)
    if len(rows[0]) < len(titles):
        del titles[_TRADE]
    table = Table(box=None, padding=(0, 0, 0, 1), header_style="dim")
    widths = _column_widths(titles, rows, width)
    for index, title in enumerate(titles):
        table.add_column(
            title,
            justify="right" if 0 < index < len(titles) - 1 else "left",
            no_wrap=True,
            overflow="ellipsis",
            width=widths[index],
        )
    for row in rows:
        table.add_row(*row)
    return table


def _column_widths(titles: list[str], rows: list[list[Text]], width: int) -> list[int]:
    """Return widths that fill the terminal; what lacks is taken from the name."""
    widths = [
        max(len(title), *(_width(row[index]) for row in rows))
        for index, title in enumerate(titles)
    ]
    spare = width - sum(widths) - len(widths)  # one blank before each column
    if spare < 0:
        widths[0] = max(_NAME_MIN, widths[0] + spare)
        return widths
    return [column + spare // len(widths) for column in widths]


def _width(cell: Text) -> int:
    return max((line.cell_len for line in cell.split("\n")), default=0)


def _instrument_and_venue(line: Line) -> tuple[str, str]:
    return line.row["instrument"], line.row["venue"]


def _cells(line: Line, now_s: float) -> list[tuple[Text, Text]]:
    """Return the cells of one instrument, each as its upper and lower line."""
    row = line.row
    stale = "" if row["tradable"] else "dim"
    name = Text.assemble((row["instrument"], "bold"), (f" {row['venue'][:11]}", "dim"))
    spread = line.spread_bps
    bps = f"{spread:.2f} bps" if math.isfinite(spread) else "-"
    apply_age, recv_age = (
        milliseconds(row[key]) for key in ("apply_age_ns", "recv_age_ns")
    )
    mark = Text(row["reason"] or "no", "dim")
    if row["tradable"]:
        mark = Text("✔ tradable", "green")
    return [
        (name, Text(sparkline(list(line.mids), SPARK_WIDTH), "cyan")),
        _side(row["bid"], row["bid_size"], line.decimals, line.bid_move, stale),
        _side(row["ask"], row["ask_size"], line.decimals, line.ask_move, stale),
        (Text(bps), Text(f"{line.rate(now_s):.0f}/s", "dim")),
        _trade(line),
        (Text(f"{apply_age} apply"), Text(f"{recv_age} recv", "dim")),
        (_state(row["state"], row["tradable"]), mark),
    ]


def _side(
    price: float, size: float, decimals: int, move: int, stale: str
) -> tuple[Text, Text]:
    style = stale or _MOVE_STYLES[move]
    return Text(number(price, decimals), style), Text(short(size), "dim")


def _trade(line: Line) -> tuple[Text, Text]:
    trade = line.trade
    if trade is None:
        return Text("-", "dim"), Text("")
    price = number(trade.price, line.decimals)
    text = Text(f"{_ARROWS[line.trade_move]} {price}", _MOVE_STYLES[line.trade_move])
    return text, Text(short(trade.size), "dim")


def _state(state: str, tradable: bool) -> Text:
    style = _STATE_STYLES.get(state, "")
    return Text(f"{'●' if tradable else '○'} {state}", style)


def brief(text: str) -> str:
    """Return a log line without what the table shows anyway, to fit its footer."""
    words = text.split(" ")
    facts = dict(word.split("=", 1) for word in words if "=" in word)
    if words[0] == "WS_AUDIT":
        venue, reason = facts.get("venue", ""), facts.get("reconnect_reason", "")
        return f"{venue} session {facts.get('session', '')} ended: {reason}"
    if words[:2] == ["runner", "state"]:
        moved = state = facts.get("state", "")
        if facts.get("previous", state) != state:
            moved = f"{facts['previous']} → {state}"
        reason = facts.get("reason", "").strip('"')
        names = f"{facts.get('venue', '')} {facts.get('instrument', '')}"
        return f"{names} {moved} {reason}".rstrip()
    return text.removeprefix("supervisor ")


def _events(supervisor: Supervisor, count: int) -> Text:
    text = Text(no_wrap=True, overflow="ellipsis")
    for event in list(supervisor.options.console.recent)[-count:]:
        style = next((style for word, style in _EVENT_STYLES if word in event.text), "")
        text.append(f" {event.clock} ", "dim")
        text.append(brief(event.text), style)
        text.append("\n")
    return text
