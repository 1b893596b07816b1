"""Holds what was published of one market to the truth log of the simulated venues.

    sent        a ── b ── c ── d ── e ── f        entries of one venue and symbol
    published   a ─────── c ── c ────── f         each is one of them, in their order

An entry is one quote that a venue put on a wire or into a REST answer; its order is
that of the log within one channel of one connection. A record is anything with `bid`,
`bid_size`, `ask` and `ask_size`, as attributes or by name; NaN or None is an absent
side. If it has `recv_ns` too (monotonic clock of this machine, when the frame came
in), it may only be what was sent by then.

Nothing here waits: close or flush the simulation first, or take the records first.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

PRICES = ("bid", "bid_size", "ask", "ask_size")
SHOWN_MAX = 5  # wrong records that a report spells out

Prices = tuple[float | None, ...]


class Sent(NamedTuple):
    """One quote of the truth log."""

    stream: tuple[int, str]  # connection and channel
    sent_ns: int
    fault: str
    prices: Prices


class Wrong(NamedTuple):
    """A record that should not have been published, and its place among them."""

    place: int
    why: str
    prices: Prices


@dataclass
class Report:
    """What became of the records; each is counted once."""

    sent: int = 0  # true quotes in the log
    falsified_sent: int = 0  # quotes in the log that a fault falsified
    published: int = 0
    matched: int = 0  # the next of what was sent
    repeated: int = 0  # once more what was matched last
    invented: int = 0  # never sent
    reordered: int = 0  # sent before something that was already published
    falsified: int = 0  # sent only in frames that a fault falsified
    wrong: list[Wrong] = field(default_factory=list)

    @property
    def is_true(self) -> bool:
        return not self.wrong

    def __str__(self) -> str:
        counts = {name: value for name, value in vars(self).items() if name != "wrong"}
        facts = " ".join(f"{name}={value}" for name, value in counts.items())
        rows = [str(row) for row in self.wrong[:SHOWN_MAX]]
        return "\n".join([facts, *rows])


def check(
    truth_path: str | Path,
    records: Iterable[Any],
    venue: str,
    symbol: str,
    channels: Sequence[str] = (),
) -> Report:
    """Hold records, in the order of their publication, to the log; never raises for
    what they say.

    `symbol` is the venue's own; `channels` narrows to what was published from.
    """
    sent = read(truth_path, venue, symbol, channels)
    report = Report(
        sent=sum(not row.fault for row in sent),
        falsified_sent=sum(bool(row.fault) for row in sent),
    )
    index = _Index(sent)
    last: Prices | None = None
    for number, record in enumerate(records):
        prices = tuple(_number(record, name) for name in PRICES)
        by_ns = _value(record, "recv_ns")
        verdict = index.judge(prices, last, math.inf if by_ns is None else int(by_ns))
        report.published += 1
        setattr(report, verdict, getattr(report, verdict) + 1)
        if verdict in ("matched", "repeated"):
            last = prices
        else:
            report.wrong.append(Wrong(number, verdict, prices))
    return report


def read(
    truth_path: str | Path, venue: str, symbol: str, channels: Sequence[str] = ()
) -> list[Sent]:
    """The quotes of one market in a truth log, which may end in half a line."""
    sent = []
    lines = Path(truth_path).read_text("utf-8").splitlines(keepends=True)
    for line in lines:
        if not line.endswith("\n"):
            break
        row = json.loads(line)
        if (row["kind"], row["venue"], row["symbol"]) != ("quote", venue, symbol):
            continue
        if channels and row["channel"] not in channels:
            continue
        stream = row["connection"], row["channel"]
        prices = tuple(row[name] for name in PRICES)
        sent.append(Sent(stream, row["sent_ns"], row["fault"], prices))
    return sent


class _Index:
    """Where each quote stands in the log, and how far each stream was published."""

    def __init__(self, sent: Sequence[Sent]) -> None:
        self._sent = sent
        self._places: dict[Prices, list[int]] = {}
        for place, row in enumerate(sent):
            self._places.setdefault(row.prices, []).append(place)
        self._next: dict[tuple[int, str], int] = {}

    def judge(self, prices: Prices, last: Prices | None, by_ns: float) -> str:
        """The name of the count that a record belongs to.

        The earliest place that is left is taken, whatever stream it is of.
        """
        known = [
            place
            for place in self._places.get(prices, ())
            if self._sent[place].sent_ns <= by_ns
        ]
        true = [place for place in known if not self._sent[place].fault]
        for place in true:
            stream = self._sent[place].stream
            if place >= self._next.get(stream, 0):
                self._next[stream] = place + 1
                return "matched"
        if prices == last:
            return "repeated"
        if true:
            return "reordered"
        return "falsified" if known else "invented"


def _number(record: Any, name: str) -> float | None:
    value = _value(record, name)
    return None if value is None or math.isnan(value) else float(value)


def _value(record: Any, name: str) -> Any:
    """A field of a record: an attribute, or by name of a mapping or a numpy row."""
    if isinstance(record, Mapping):
        return record.get(name)
    names = getattr(getattr(record, "dtype", None), "names", None)
    if names is not None:
        return record[name] if name in names else None
    return getattr(record, name, None)
