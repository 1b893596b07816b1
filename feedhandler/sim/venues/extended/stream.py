"""One connection: its subscriptions, what it was sent of each book, and its `seq`.

Owns the sequence rule: every data frame of a connection has the number after the one
before, over all its topics and markets; v1 begins with 1, v2 with 0. Answers to
requests have none. A frame that a fault loses has taken its number.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from feedhandler.sim.faults import Fault
from feedhandler.sim.ladder import Book
from feedhandler.sim.truth import Fact, Fill, Funding, Top
from feedhandler.sim.venues._base import DATA, Frame, Session, dump, following
from feedhandler.sim.venues.extended.listings import Json, Perp
from feedhandler.sim.venues.extended.render import (
    DELTA,
    SNAPSHOT,
    book_data,
    delta_rows,
    size_text,
    size_units,
    snapshot_rows,
    top_of,
    touch,
)
from feedhandler.sim.venues.extended.requests import Topic

# Asks which fault of a kind is active for a channel and a symbol.
Find = Callable[[str, str, str], Fault | None]

_V2_TYPES: Mapping[str, str] = {
    "orderbooks": "ORDERBOOKS",
    "trades": "TRADES",
    "funding-rates": "FUNDING_RATES",
    "prices.mark": "PRICES.MP",
    "prices.index": "PRICES.IP",
}
_V1_TYPES: Mapping[str, str] = {"prices.mark": "MP", "prices.index": "IP"}
_DEPTHS: Mapping[str, str] = {"full": "f", "1": "1"}


@dataclass(eq=False, slots=True)
class Subscription:
    """A topic of one connection, with the markets it covers."""

    topic: Topic
    perps: list[Perp]
    snapshot_due_s: float
    since_ms: int
    sent: dict[str, Book] = field(default_factory=dict)  # by symbol: as of the last
    first: dict[str, Book] = field(default_factory=dict)  # by symbol: as it began
    losing: set[str] = field(default_factory=set)  # symbols whose next change is lost


@dataclass(eq=False, slots=True)
class Stream(Session):
    version: int = 1
    seq: int = 1  # of the next data frame
    asked: int = 0  # subscribe requests so far
    subscriptions: dict[Topic, Subscription] = field(default_factory=dict)
    key: Hashable = field(default_factory=object)  # the one topic the host knows

    def __post_init__(self) -> None:
        self.topics.add(self.key)


class Content(NamedTuple):
    """What a data frame says; `kind` is empty for all that is no book."""

    data: Any
    time_ms: int
    kind: str = ""
    top: Top | None = None

    @property
    def facts(self) -> tuple[Fact, ...]:
        """What the truth log has of data that is no book."""
        if self.kind:
            return ()
        if isinstance(self.data, list):
            return tuple(map(_fill, self.data))
        symbol, rate = self.data["m"], self.data.get("f")
        if rate is not None:
            return (Funding(symbol, float(rate), 1, None, None, self.data["T"]),)
        price, is_mark = float(self.data["p"]), not self.data["ts"]
        mark, oracle = (price, None) if is_mark else (None, price)
        return (Funding(symbol, None, 1, mark, oracle, self.time_ms),)


class Writer:
    """Writes data frames for connections, as the active faults have it."""

    def __init__(self, find: Find, symbols: list[str]) -> None:
        self._find = find
        self._symbols = symbols

    def snapshot(
        self, stream: Stream, subscription: Subscription, perp: Perp, now_ms: int
    ) -> Frame:
        """The whole book; the client holds it from now on."""
        symbol, fault = perp.symbol, perp.fault
        book = shown = _image(subscription, perp)
        subscription.first.setdefault(symbol, shown)
        subscription.sent[symbol] = shown
        if self._is_active("old_snapshot", subscription, symbol):
            book, now_ms = subscription.first[symbol], subscription.since_ms
            if book == shown and perp.past:  # the subscription is as young as that
                book, now_ms = perp.past[0]
                book = touch(book) if subscription.topic.option == "1" else book
            fault = "old_snapshot"
        bids, asks = (snapshot_rows(perp, side) for side in book)
        data = book_data(SNAPSHOT, symbol, bids, asks)
        top = top_of(perp, book, SNAPSHOT, now_ms, fault)
        return self._book(
            stream, subscription, perp, Content(data, now_ms, SNAPSHOT, top)
        )

    def change(
        self, stream: Stream, subscription: Subscription, perp: Perp, now_ms: int
    ) -> Frame | None:
        """What is new in a book since the last frame of it, if anything is."""
        symbol = perp.symbol
        sent, shown = subscription.sent.get(symbol), _image(subscription, perp)
        if sent == shown:
            return None
        is_old = self._is_active("old_snapshot", subscription, symbol)
        is_whole = is_old or sent is None or subscription.topic.option == "1"
        write = self.snapshot if is_whole else self._delta
        frame = write(stream, subscription, perp, now_ms)
        return None if self._is_lost(stream, subscription, symbol) else frame

    def _delta(
        self, stream: Stream, subscription: Subscription, perp: Perp, now_ms: int
    ) -> Frame:
        symbol = perp.symbol
        sent, shown = subscription.sent[symbol], _image(subscription, perp)
        subscription.sent[symbol] = shown
        bids = delta_rows(perp, sent.bids, shown.bids, is_bid=True)
        asks = delta_rows(perp, sent.asks, shown.asks, is_bid=False)
        top = top_of(perp, shown, DELTA, now_ms, perp.fault)
        changed = [row for row in bids + asks if size_units(row["c"])]
        if changed and self._is_active("corrupt", subscription, symbol):
            top = _corrupted(perp, changed[0], top)
        data = book_data(DELTA, symbol, bids, asks)
        return self._book(stream, subscription, perp, Content(data, now_ms, DELTA, top))

    def frame(
        self, stream: Stream, subscription: Subscription, symbol: str, content: Content
    ) -> Frame:
        """One frame under the next number."""
        topic = subscription.topic
        seq, stream.seq = stream.seq, stream.seq + 1
        is_wrong = self._is_active("wrong_symbol", subscription, symbol)
        if is_wrong:
            content = content._replace(data=self.renamed(content.data))
            symbol = symbol and self._next(symbol)
        text = dump(_envelope(stream, topic, content, seq))
        top = content.top and content.top._replace(sequence=seq)
        frame = Frame(text, DATA, topic.channel, symbol, top, content.facts)
        return frame.falsified("wrong_symbol") if is_wrong else frame

    def renamed(self, data: Any) -> Any:
        """The data under the name of the next market of the list."""
        if isinstance(data, list):
            return [self.renamed(row) for row in data]
        return {**data, "m": self._next(data["m"])}

    def _next(self, symbol: str) -> str:
        return following(symbol, self._symbols)

    def _book(
        self, stream: Stream, subscription: Subscription, perp: Perp, content: Content
    ) -> Frame:
        if stream.version == 2:
            content.data["d"] = _DEPTHS[subscription.topic.option]
        return self.frame(stream, subscription, perp.symbol, content)

    def _is_active(self, kind: str, subscription: Subscription, symbol: str) -> bool:
        return self._find(kind, subscription.topic.channel, symbol) is not None

    def _is_lost(self, stream: Stream, subscription: Subscription, symbol: str) -> bool:
        """True if a gap takes the frame that has just got its number."""
        if symbol in subscription.losing:
            subscription.losing.discard(symbol)
            return True
        fault = self._find("gap", subscription.topic.channel, symbol)
        return fault is not None and stream.seq % 2 == 0


def _image(subscription: Subscription, perp: Perp) -> Book:
    return touch(perp.shown) if subscription.topic.option == "1" else perp.shown


def _corrupted(perp: Perp, row: Json, top: Top) -> Top:
    """Falsify the resulting size of a level by one lot; the change stays true."""
    row["c"] = size_text(perp, size_units(row["c"]) + 1)
    top = top._replace(fault="corrupt")
    if row["p"] == top.bid:
        return top._replace(bid_size=row["c"])
    if row["p"] == top.ask:
        return top._replace(ask_size=row["c"])
    return top


def _fill(row: Json) -> Fill:
    side = "buy" if row["S"] == "BUY" else "sell"
    return Fill(row["m"], row["p"], row["q"], side, str(row["i"]), row["T"])


def _envelope(stream: Stream, topic: Topic, content: Content, seq: int) -> Json:
    data, kind = content.data, content.kind
    message: Json = {"data": data, "ts": content.time_ms, "seq": seq}
    if stream.version == 2:
        name = _V2_TYPES[topic.scope if kind else topic.channel]
        full = f"{name}.{kind}" if kind else name
        return {"type": full, **message, "subscription": topic.id}
    name = kind or _V1_TYPES.get(topic.channel, "")
    return {"type": name, **message} if name else message
