"""The record of every top of book as it was sent, for a checker to hold us to.

Owns the entries, in memory (bounded, oldest leave first) and in a JSON Lines file. An
entry is made by the sender of a connection just before the bytes go to the socket, so
its order is the order on that wire. Frames made unreadable by a fault are no entry.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NamedTuple

from feedhandler.sim.limits import TRUTH_ENTRIES_MAX


class Top(NamedTuple):
    """Best bid and ask as sent, in decimal text; None where the side is absent."""

    bid: str | None
    bid_size: str | None
    ask: str | None
    ask_size: str | None
    event_ms: int
    fault: str = ""  # the fault that falsified it, empty for the truth


class Entry(NamedTuple):
    """One top of book on one wire; `sent_ns` is monotonic, `event_ms` the venue's."""

    venue: str
    symbol: str
    channel: str
    connection: int
    sent_ns: int
    top: Top

    @property
    def prices(self) -> tuple[float | None, float | None, float | None, float | None]:
        """Bid, bid size, ask and ask size as floats."""
        top = self.top
        return (
            _number(top.bid),
            _number(top.bid_size),
            _number(top.ask),
            _number(top.ask_size),
        )

    def as_json(self) -> str:
        bid, bid_size, ask, ask_size = self.prices
        return json.dumps(
            {
                "venue": self.venue,
                "symbol": self.symbol,
                "channel": self.channel,
                "connection": self.connection,
                "sent_ns": self.sent_ns,
                "event_ms": self.top.event_ms,
                "bid": bid,
                "bid_size": bid_size,
                "ask": ask,
                "ask_size": ask_size,
                "text": self.top[:4],
                "fault": self.top.fault,
            },
            separators=(",", ":"),
        )


class Truth:
    """All entries of a simulation, in the order they were sent."""

    def __init__(
        self, path: str | Path | None = None, entries_max: int = TRUTH_ENTRIES_MAX
    ) -> None:
        self.total = 0  # entries ever made, also those that left the memory
        self._entries: deque[Entry] = deque(maxlen=entries_max)
        self._file: IO[str] | None = None
        if path is not None:
            self._file = open(path, "w", encoding="utf-8")  # noqa: SIM115, closed by close

    def add(self, entry: Entry) -> None:
        self.total += 1
        self._entries.append(entry)
        if self._file is not None:
            self._file.write(entry.as_json() + "\n")

    def entries(
        self, venue: str = "", symbol: str = "", channel: str = ""
    ) -> list[Entry]:
        """The entries in memory, of one venue, symbol or channel where given."""
        return [
            entry
            for entry in self._entries
            if venue in ("", entry.venue)
            and symbol in ("", entry.symbol)
            and channel in ("", entry.channel)
        ]

    def __iter__(self) -> Iterator[Entry]:
        return iter(tuple(self._entries))

    def flush(self) -> None:
        if self._file is not None:
            self._file.flush()

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def _number(text: str | None) -> float | None:
    return None if text is None else float(text)
