"""What a simulated venue is to the rest of the simulator, and what all have in common.

A venue is pure: it is given the market, times and what clients say, and returns frames.
It opens no socket, waits for nothing and reads no clock but the one it is given.

    greet()                        first frames of a new connection
    receive(session, text)         what a client's frame is answered with
    on_event(event)                the market moved: `_trade`, then `_update`
    refresh()                      a fault or a quiet spell began or ended: `_update`
    on_tick()                      a time that `next_tick_s` named has come
    replay(message, shift_ms)      a recorded frame is due
    rest(request)                  one HTTP request

Frames for everybody are `Push`es: a topic and a frame. A connection takes those whose
topic its session holds.
"""

from __future__ import annotations

import importlib
import json
import pkgutil
from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from types import MappingProxyType
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar

from feedhandler.sim.clock import Clock, ExchangeClock
from feedhandler.sim.faults import FaultBoard
from feedhandler.sim.ladder import (
    EMPTY,
    Book,
    Grid,
    Level,
    crossed,
    ladder,
    moved,
    without,
)
from feedhandler.sim.limits import Budget, Limits
from feedhandler.sim.market import Asset, Event, Market, Trade
from feedhandler.sim.truth import Fact, Top

CUT = 1006  # the code of a stream that ends without a closing frame
HELLO, ACK, ERROR, PONG, REPLY, DATA = range(6)  # kinds of frames


class Frame(NamedTuple):
    """One frame to a client, with what a fault or the truth log must know of it."""

    text: str | bytes
    kind: int
    channel: str = ""
    symbol: str = ""
    top: Top | None = None
    facts: tuple[Fact, ...] = ()  # trades and funding that it tells

    def falsified(self, fault: str) -> Frame:
        """The frame as the truth log has it when a fault made it untrue."""
        top = self.top and self.top._replace(fault=fault)
        facts = tuple(fact._replace(fault=fault) for fact in self.facts)
        return self._replace(top=top, facts=facts)


class Push(NamedTuple):
    topic: Hashable
    frame: Frame


class Request(NamedTuple):
    """One HTTP request that is not the opening of a stream."""

    method: str
    path: str
    query: Mapping[str, str]
    body: bytes


class Response(NamedTuple):
    status: int
    body: str
    content_type: str = "application/json"
    headers: Mapping[str, str] = MappingProxyType({})


class Ending(NamedTuple):
    """How the stream of a session that is over is closed."""

    code: int
    reason: str = ""


@dataclass(eq=False, slots=True)
class Session:
    """The subscriptions of one connection; one that was ended is over for good.

    Its client is not listened to any more, and the host closes the stream once what
    is queued for it was sent.
    """

    path: str
    query: Mapping[str, str]
    topics: set[Any] = field(default_factory=set)
    ending: Ending | None = None

    def heard(self, now_s: float) -> None:
        """The client said something; that may be a protocol ping or pong."""

    def end(self, ending: Ending) -> None:
        self.ending = ending
        self.topics.clear()


class Listed:
    """One listed market: its grid, and its book before and under faults."""

    def __init__(self, symbol: str, asset: Asset | None, grid: Grid) -> None:
        self.symbol = symbol
        self.asset = asset
        self.grid = grid
        self.market_book = EMPTY
        self.book = EMPTY  # what all may see, where a side may be missing
        self.shown = EMPTY  # what the streams say, which a fault may falsify
        self.fault = ""  # that did so

    def follow_market(self) -> None:
        if self.asset is not None:
            self.market_book = ladder(self.asset, self.grid)


Entry = TypeVar("Entry", bound=Listed)


class Venue(ABC, Generic[Entry]):
    """Base of the simulated venues; each has its own kind of listed market."""

    name: ClassVar[str]
    stream_path: ClassVar[str]  # what clients are told; `open` decides what is accepted
    rest_path: ClassVar[str] = ""  # clients are told the host, and add the path
    limits: ClassVar[Limits] = Limits()
    cadence: ClassVar[Mapping[str, float]]  # seconds between frames, by channel
    no_pong: ClassVar[Ending] = Ending(CUT)  # how a session ends whose pong is late
    over: ClassVar[Ending] = Ending(1000)  # how one ends that has lived its time
    books: ClassVar[tuple[str, ...]]  # how the channels begin that tell of books

    def __init__(
        self,
        market: Market,
        clock: Clock,
        limits: Limits | None = None,
        cadence: Mapping[str, float] | None = None,
    ) -> None:
        self.market = market
        self.clock = clock
        self.time = ExchangeClock(clock)
        self.allowed = limits or self.limits
        self.every_s = {**self.cadence, **(cadence or {})}
        self.sessions: set[Session] = set()  # of open connections, kept by the host
        self.request_budget = Budget(self.allowed.requests_per_minute)
        self.rest_budget = Budget(self.allowed.rest_weight_per_minute)
        # Faults: the host keeps the board, and sets what follows from it.
        self.board = FaultBoard()
        self.is_quiet = False  # the market is not looked at
        self.is_crossed = False
        self.missing_side = ""  # `bid`, `ask` or `both`
        self.is_deaf = False  # subscriptions are accepted and not served
        # Randomness of what the market does not say, and when each channel is due.
        self._random = Random(f"{market.seed}:{self.name}")
        self._due_s = dict.fromkeys(self.every_s, clock.monotonic_s())
        # What is listed, by symbol, and those that an asset of the market moves.
        self.listed: dict[str, Entry] = {}
        self._by_asset: dict[str, list[Entry]] = {}
        self._list()

    @abstractmethod
    def _list(self) -> None:
        """Enter what is listed, as the last step of making the venue."""

    def _enter(self, one: Entry) -> None:
        """List a market; one without an asset is delisted and never moves."""
        self.listed[one.symbol] = one
        self._update(one, self.time.now_ms())
        if one.asset is not None:
            self._by_asset.setdefault(one.asset.profile.asset, []).append(one)

    def _history(
        self, one: Entry, count: int, past_ms: int
    ) -> Iterator[tuple[Trade, int]]:
        """Trades from before the start and their times, the oldest first.

        First frames and REST have them to tell; a delisted market has none.
        """
        if one.asset is None:
            return
        now_ms = self.time.now_ms()
        ages_ms = self._random.sample(range(500, past_ms), count)
        for age_ms in sorted(ages_ms, reverse=True):
            yield invented(self._random), now_ms - age_ms

    def refusal(self, headers: Mapping[str, str]) -> Response | None:
        """Why a request or a new stream with these headers is turned away, or None."""
        return None

    def open(self, path: str, query: Mapping[str, str]) -> Session | Response | None:
        """A session for a stream, why it is refused, or None if there is no such."""
        return Session(path, query) if path == self.stream_path else None

    def subscription_count(self) -> int:
        return sum(len(session.topics) for session in self.sessions)

    def of_market(self, listed: Listed) -> Book:
        """The book as the market is under faults that are real to all who look."""
        book = listed.market_book
        if jump := self.board.find("jump", symbol=listed.symbol):
            book = moved(book, jump.number("bps"), listed.grid)
        for side in ("bid", "ask"):
            if self.missing_side in (side, "both"):
                book = without(book, side)
        return book

    def look(self, listed: Listed) -> tuple[Book, str]:
        """Look at the market anew; what the streams are to show, and its fault."""
        if not self.is_quiet:
            listed.follow_market()
        listed.book = self.of_market(listed)
        return self.of_stream(listed)

    def of_stream(self, listed: Listed) -> tuple[Book, str]:
        """The book as streams show it, and the fault that falsified it, if any."""
        book = listed.book
        if spike := self.board.find("spike", symbol=listed.symbol):
            return moved(book, spike.number("bps"), listed.grid), "spike"
        if self.is_crossed and book.bids and book.asks:
            return crossed(book), "crossed"
        return book, ""

    def is_held(self, topic: Hashable) -> bool:
        """True if some session holds this topic."""
        return any(topic in session.topics for session in self.sessions)

    def held_topics(self) -> set[Any]:
        """Every topic that some session holds."""
        return set().union(*(session.topics for session in self.sessions))

    def greet(self, session: Session) -> list[Frame]:
        """What a venue says before it is asked, which is nothing with most."""
        return []

    @abstractmethod
    def receive(self, session: Session, text: str | bytes) -> list[Frame]: ...

    def on_event(self, event: Event) -> list[Push]:
        """What leaves at once when the market moves."""
        now_ms = self.time.now_ms()
        pushes: list[Push] = []
        for one in self._by_asset.get(event.asset, ()):
            if event.trade is not None:
                pushes += self._trade(one, event.trade, now_ms)
            pushes += self._update(one, now_ms)
        return pushes

    def refresh(self) -> list[Push]:
        """Look at every book anew, after a fault or a quiet spell."""
        now_ms = self.time.now_ms()
        every = self.listed.values()
        return [push for one in every for push in self._update(one, now_ms)]

    @abstractmethod
    def _trade(self, one: Entry, trade: Trade, now_ms: int) -> list[Push]:
        """Enter a trade against the book as it was before it, and tell it."""

    @abstractmethod
    def _update(self, one: Entry, now_ms: int) -> list[Push]:
        """Look at the market anew, and tell what does not wait for its tick."""

    def next_tick_s(self) -> float:
        """Monotonic time of the next `on_tick`."""
        return min(self._due_s.values())

    def on_tick(self) -> list[Push]:
        """What is due by now."""
        return [push for channel in self._due() for push in self._timed(channel)]

    def _due(self) -> Iterator[str]:
        """The channels whose time has come, each with its next time set."""
        now_s = self.clock.monotonic_s()
        for channel, due_s in self._due_s.items():
            if due_s <= now_s:
                self._due_s[channel] = now_s + self.every_s[channel]
                yield channel

    def _timed(self, channel: str) -> list[Push]:
        """What a channel of the table of cadences sends at its time."""
        return []

    def is_muted(self, channel: str, symbol: str) -> bool:
        """True if data of this channel and symbol is not to leave now."""
        return any(
            fault.kind == "mute"
            and fault.touches(channel, symbol)
            and (fault.word("what") != "books" or channel.startswith(self.books))
            for fault in self.board.active()
        )

    def rejects(self, channel: str, symbol: str) -> bool:
        """True if a fault has the venue refuse this subscription."""
        return self.board.find("reject", channel, symbol) is not None

    def rest_top(self, request: Request) -> tuple[str, Top] | None:
        """Symbol and top of the book that the answer to this request just told."""
        return None

    @abstractmethod
    def rest(self, request: Request) -> Response: ...

    def begin_replay(self, messages: list[dict[str, object]]) -> None:
        """Prepare to show these recorded frames instead of the market."""
        raise ValueError(f"no recording can be replayed: venue={self.name}")

    def replay(self, message: dict[str, object], shift_ms: int) -> list[Push]:
        raise AssertionError(f"begin_replay refuses first: venue={self.name}")

    def wants_replay(self, session: Session) -> bool:
        """True if this session subscribed to something the recording serves."""
        return bool(session.topics)


def dump(value: object) -> str:
    """A value as JSON without needless space, as all venues write it."""
    return json.dumps(value, separators=(",", ":"))


def parse_json(text: str | bytes) -> Any:
    """A client's JSON, or None: it may send anything, of any depth."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def fills(trade: Trade, book: Book) -> list[Level]:
    """What a trade takes of the touch, fill by fill; nothing of a missing side."""
    side = book.asks if trade.buy else book.bids
    if not side:
        return []
    touch = side[0]
    size = max(1, round(touch.size * trade.share))
    count = min(trade.fills, size)
    found = [size // count] * (count - 1)
    return [touch._replace(size=one) for one in (*found, size - sum(found))]


def invented(random: Random) -> Trade:
    """A trade that the market never saw, for the time before the start."""
    return Trade(random.random() < 0.5, random.uniform(0, 0.3), 1)


def following(symbol: str, symbols: Iterable[str]) -> str:
    """Another market's symbol: the next one, which a faulty frame may name."""
    known = list(symbols)
    index = known.index(symbol) if symbol in known else -1
    return known[(index + 1) % len(known)]


def _names() -> tuple[str, ...]:
    folder = str(Path(__file__).parent)
    found = (module.name for module in pkgutil.iter_modules([folder]))
    return tuple(sorted(name for name in found if not name.startswith("_")))


VENUE_NAMES = _names()


def load(name: str) -> type[Venue[Any]]:
    """The class of a venue, which its module calls `VENUE`."""
    if name not in VENUE_NAMES:
        known = ", ".join(VENUE_NAMES)
        raise ValueError(f"unknown venue {name!r}; simulated venues: {known}")
    module = importlib.import_module(f"feedhandler.sim.venues.{name}")
    venue: type[Venue[Any]] = module.VENUE
    return venue
