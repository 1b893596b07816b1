"""The record of every value as it was sent, for a checker to hold us to.

Owns the entries, in memory (bounded, oldest leave first) and in a JSON Lines file. An
entry is made by the sender of a connection just before the bytes go to the socket, so
its order is the order on that wire; a frame that no fault let out has none. One line
of the file is one top of book, one trade or one market's funding:

    kind        "quote", "trade" or "funding"
    venue symbol channel    the venue's own words; the channel is "rest" in REST answers
    connection  number of the connection, 0 in REST answers
    sent_ns     monotonic clock of this machine
    event_ms    the time the frame tells, 0 if it tells none
    fault       the fault that falsified it, empty for the truth; `symbol` is what the
                frame claims, so under wrong_symbol it is the wrong one
    sequence    quote: the venue's number of the update or frame, -1 where it has none
    bid bid_size ask ask_size    quote: of the book after this frame; null without side
    text        quote: the same four as they were written
    price size side trade_id     trade: side is the taker's, "buy" or "sell"
    rate hours mark oracle       funding: the fraction for so many hours; null if untold

Faults that falsify: crossed, spike, corrupt, old_snapshot, wrong_symbol, and reorder
for the frame that comes after a newer one. The second frame of a duplicate is the truth
again. Frames made unreadable (garbage) are no entry, nor are prices that were rounded.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NamedTuple

from feedhandler.sim.limits import TRUTH_ENTRIES_MAX

REST = "rest"  # the channel of what was told by REST


class Top(NamedTuple):
    """Best bid and ask as sent, in decimal text; None where the side is absent."""

    bid: str | None
    bid_size: str | None
    ask: str | None
    ask_size: str | None
    event_ms: int
    fault: str = ""  # the fault that falsified it, empty for the truth
    sequence: int = -1  # the venue's number of it, if it has one


class Fill(NamedTuple):
    """One trade as sent."""

    symbol: str
    price: str
    size: str
    side: str  # of the taker: "buy" or "sell"
    trade_id: str
    event_ms: int
    fault: str = ""


class Funding(NamedTuple):
    """Funding and references of one market as sent; None for what was not told."""

    symbol: str
    rate: float | None  # a fraction, for so many hours
    hours: float
    mark: float | None
    oracle: float | None
    event_ms: int
    fault: str = ""


Fact = Fill | Funding


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
                "kind": "quote",
                "venue": self.venue,
                "symbol": self.symbol,
                "channel": self.channel,
                "connection": self.connection,
                "sent_ns": self.sent_ns,
                "event_ms": self.top.event_ms,
                "sequence": self.top.sequence,
                "bid": bid,
                "bid_size": bid_size,
                "ask": ask,
                "ask_size": ask_size,
                "text": self.top[:4],
                "fault": self.top.fault,
            },
            separators=(",", ":"),
        )


class Note(NamedTuple):
    """One trade or one market's funding on one wire."""

    venue: str
    channel: str
    connection: int
    sent_ns: int
    fact: Fact

    def as_json(self) -> str:
        fact = self.fact._asdict()
        if isinstance(self.fact, Fill):
            fact |= {"price": float(fact["price"]), "size": float(fact["size"])}
        row = self._asdict()
        del row["fact"]
        kind = "trade" if isinstance(self.fact, Fill) else "funding"
        return json.dumps({"kind": kind, **row, **fact}, separators=(",", ":"))


class Truth:
    """All entries of a simulation, in the order they were sent.

    Iteration, `entries` and `total` are of quotes; `notes` has trades and funding.
    """

    def __init__(
        self, path: str | Path | None = None, entries_max: int = TRUTH_ENTRIES_MAX
    ) -> None:
        self.total = 0  # entries ever made, also those that left the memory
        self._entries: deque[Entry] = deque(maxlen=entries_max)
        self._notes: deque[Note] = deque(maxlen=entries_max)
        self._file: IO[str] | None = None
        if path is not None:
            self._file = open(path, "w", encoding="utf-8")  # noqa: SIM115, closed by close

    def add(self, entry: Entry) -> None:
        self.total += 1
        self._entries.append(entry)
        if self._file is not None:
            self._file.write(entry.as_json() + "\n")

    def note(self, note: Note) -> None:
        self._notes.append(note)
        if self._file is not None:
            self._file.write(note.as_json() + "\n")

    def notes(self, venue: str = "", symbol: str = "") -> list[Note]:
        """Trades and funding in memory, of one venue or symbol where given."""
        return [
            note
            for note in self._notes
            if venue in ("", note.venue) and symbol in ("", note.fact.symbol)
        ]

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
