"""What a simulated venue is to the rest of the simulator.

A venue is pure: it is given the market, times and what clients say, and returns frames.
It opens no socket, waits for nothing and reads no clock but the one it is given.

    greet()                        first frames of a new connection
    receive(session, text)         what a client's frame is answered with
    on_event(event)                the market moved
    on_tick()                      a time that `next_tick_s` named has come
    replay(message, shift_ms)      a recorded frame is due
    rest(request)                  one HTTP request

Frames for everybody are `Push`es: a topic and a frame. A connection takes those whose
topic its session holds.
"""

from __future__ import annotations

import importlib
import pkgutil
from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar, NamedTuple

from feedhandler.sim.clock import Clock, ExchangeClock
from feedhandler.sim.faults import FaultBoard
from feedhandler.sim.ladder import Book, crossed, without
from feedhandler.sim.limits import Budget, Limits
from feedhandler.sim.market import Event, Market
from feedhandler.sim.truth import Top

CUT = 1006  # the code of a stream that ends without a closing frame
HELLO, ACK, ERROR, PONG, REPLY, DATA = range(6)  # kinds of frames


class Frame(NamedTuple):
    """One frame to a client, with what a fault or the truth log must know of it."""

    text: str | bytes
    kind: int
    channel: str = ""
    symbol: str = ""
    top: Top | None = None


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
    topics: set[Hashable] = field(default_factory=set)
    ending: Ending | None = None

    def heard(self, now_s: float) -> None:
        """The client said something; that may be a protocol ping or pong."""

    def end(self, ending: Ending) -> None:
        self.ending = ending
        self.topics.clear()


class Venue(ABC):
    """Base of the simulated venues."""

    name: ClassVar[str]
    stream_path: ClassVar[str]  # what clients are told; `open` decides what is accepted
    rest_path: ClassVar[str]
    limits: ClassVar[Limits] = Limits()
    cadence: ClassVar[Mapping[str, float]]  # seconds between frames, by channel
    no_pong: ClassVar[Ending] = Ending(CUT)  # how a session ends whose pong is late

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
        self.missing_side = ""
        self.is_deaf = False  # subscriptions are accepted and not served

    def refusal(self, headers: Mapping[str, str]) -> Response | None:
        """Why a request or a new stream with these headers is turned away, or None."""
        return None

    def open(self, path: str, query: Mapping[str, str]) -> Session | Response | None:
        """A session for a stream, why it is refused, or None if there is no such."""
        return Session(path, query) if path == self.stream_path else None

    def subscription_count(self) -> int:
        return sum(len(session.topics) for session in self.sessions)

    def of_market(self, book: Book) -> Book:
        """The book as the market is under faults that are real to all who look."""
        return without(book, self.missing_side) if self.missing_side else book

    def of_stream(self, book: Book) -> tuple[Book, str]:
        """The book as streams show it, and the fault that falsified it, if any."""
        if self.is_crossed and book.bids and book.asks:
            return crossed(book), "crossed"
        return book, ""

    @abstractmethod
    def greet(self, session: Session) -> list[Frame]: ...

    @abstractmethod
    def receive(self, session: Session, text: str | bytes) -> list[Frame]: ...

    @abstractmethod
    def on_event(self, event: Event) -> list[Push]: ...

    @abstractmethod
    def refresh(self) -> list[Push]:
        """Look at every book anew, after a fault or a quiet spell."""

    @abstractmethod
    def next_tick_s(self) -> float:
        """Monotonic time of the next `on_tick`."""

    @abstractmethod
    def on_tick(self) -> list[Push]: ...

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


def _names() -> tuple[str, ...]:
    folder = str(Path(__file__).parent)
    found = (module.name for module in pkgutil.iter_modules([folder]))
    return tuple(sorted(name for name in found if not name.startswith("_")))


VENUE_NAMES = _names()


def load(name: str) -> type[Venue]:
    """The class of a venue, which its module calls `VENUE`."""
    if name not in VENUE_NAMES:
        known = ", ".join(VENUE_NAMES)
        raise ValueError(f"unknown venue {name!r}; simulated venues: {known}")
    venue: type[Venue] = importlib.import_module(f"feedhandler.sim.venues.{name}").VENUE
    return venue
