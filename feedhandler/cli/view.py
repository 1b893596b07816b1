"""What `start` shows while it runs, drawn by a thread of its own.

Owns the thread and its pace. Drawing takes milliseconds that the supervisor's loop does
not have, so it happens beside it; the thread reads shared memory as any client would.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

from feedhandler import log
from feedhandler.cli.format import milliseconds, number
from feedhandler.cli.market import Line, Market
from feedhandler.cli.table import Screen
from feedhandler.supervisor.console import Console
from feedhandler.supervisor.process import Supervisor

DRAW_S: Final = 0.2
PLAIN_S: Final = 1.0
JOIN_S: Final = 0.5  # a picture under way is finished or given up well before


class _Thread:
    """Runs one drawing function at a pace until it is closed."""

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def close(self) -> None:
        """End the thread."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(JOIN_S)

    def _begin(self, target: Callable[[], None]) -> None:
        self._thread = threading.Thread(target=target, name="view", daemon=True)
        self._thread.start()


class TableView(_Thread):
    """The live table, on a terminal."""

    def open(self, supervisor: Supervisor) -> None:
        """Take over the terminal."""
        self._begin(lambda: self._draw(supervisor))

    def _draw(self, supervisor: Supervisor) -> None:
        try:
            market = Market(supervisor.config.instance)
            with Screen() as screen:
                while not self._stop.wait(DRAW_S):
                    market.update(time.monotonic())
                    screen.draw(market, supervisor, time.monotonic())
            market.close()
        except Exception as error:  # noqa: BLE001  a broken picture stops no feed
            log.event("table_failed", error=error)


class PlainView(_Thread):
    """One line an instrument and second, where there is no terminal."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console

    def open(self, supervisor: Supervisor) -> None:
        """Begin to print."""
        self._begin(lambda: self._print(supervisor.config.instance))

    def _print(self, instance: str) -> None:
        market = Market(instance)
        next_s = time.monotonic() + PLAIN_S
        while not self._stop.wait(DRAW_S):
            now_s = time.monotonic()
            market.update(now_s)
            if now_s < next_s:
                continue
            next_s = now_s + PLAIN_S
            for line in market.lines.values():
                self._console.say(plain_line(line, now_s))
        market.close()


def plain_line(line: Line, now_s: float) -> str:
    """Return one instrument as a line of text."""
    row = line.row
    clock = time.strftime("%H:%M:%S", time.gmtime())
    verdict = "tradable" if row["tradable"] else row["reason"] or "not tradable"
    bid = number(row["bid"], line.decimals)
    ask = number(row["ask"], line.decimals)
    ages = [milliseconds(row[name]) for name in ("apply_age_ns", "recv_age_ns")]
    return (
        f"{clock} {row['venue']} {row['instrument']} {bid} x {ask} {row['state']} "
        f"{verdict} apply {ages[0]} ms recv {ages[1]} ms {line.rate(now_s):.0f}/s"
    )
