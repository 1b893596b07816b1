"""What a venue declares, and how one is found by its name.

Owns the contract between a venue's file and the shared code around it. A venue tells
where it is, what it allows, what to send and what its frames mean; sockets, clocks,
deadlines and records are not its business. A venue's module defines `VENUE`; each
module of this package without a leading underscore is a venue.
"""

from __future__ import annotations

import importlib
import pkgutil
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from math import nan
from pathlib import Path
from typing import Any, ClassVar, Final, TypeAlias

from msgspec import Struct

from feedhandler.book.continuity import Rule
from feedhandler.codec import decimal
from feedhandler.codec.frame import FrameError
from feedhandler.codec.stamp import DAY_NS, MILLISECOND_NS
from feedhandler.errors import UsageError
from feedhandler.events import TIME_NONE, BookEvent, Event, FundingEvent

SUFFIX: Final = "-PERP"  # of an instrument's name, on every venue

# What a subscription may carry.
BBO: Final = "bbo"
DEPTH: Final = "depth"
TRADES: Final = "trades"
LIVENESS: Final = "liveness"

# What venues write before a base to mean so many of it.
_PREFIXES: Final = {"1000000": 1_000_000.0, "1000": 1_000.0, "k": 1_000.0}

Frame: TypeAlias = bytes | bytearray | str

# (frame, wall clock in ns when it arrived) -> what it means; raises `FrameError`.
Decode: TypeAlias = Callable[[Frame, int], Sequence[Event]]


class Limits(Struct, frozen=True):
    """What a venue lets one address do, as far as a feed must know it."""

    frame_bytes_max: int
    ping_interval_ms: int  # how often the venue wants to hear from us; 0 never
    subscribe_gap_ms: int  # between two requests
    connects_per_minute: int
    subscriptions_max: int  # of one connection
    rest_weight_per_minute: int
    read_timeout_ms: int = 30_000  # without a single byte
    session_limit_ms: int = 86_400_000
    chunk: int = 1  # subscriptions in one request


class Options(Struct, frozen=True):
    """What the configuration asks of a venue's feed."""

    feed_kind: str = BBO  # or DEPTH, or "both"
    fast: bool = True
    trades: bool = True

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of books to subscribe."""
        return (BBO, DEPTH) if self.feed_kind == "both" else (self.feed_kind,)


class Subscription(Struct, frozen=True):
    """One stream of one market.

    `key` is what the decoder puts into an ack or a refusal that names the stream,
    `topic` how a request names it.
    """

    key: str
    symbol: str
    topic: str
    carries: str  # BBO, DEPTH, TRADES or LIVENESS

    @property
    def is_book(self) -> bool:
        """Whether it carries quotes: without any such stream a market has none."""
        return self.carries in (BBO, DEPTH)


class Market(Struct, frozen=True):
    """One market of a venue, as its discovery describes it. NaN is unknown.

    `market_id` is what frames and requests call it, where that is not the symbol.
    """

    symbol: str
    instrument: str
    tick: float = nan
    lot: float = nan
    multiplier: float = 1.0
    is_active: bool = True
    market_id: str = ""
    funding_interval_ns: int = TIME_NONE  # where only discovery tells it

    @property
    def key(self) -> str:
        """What every event of the market has for its symbol."""
        return self.market_id or self.symbol


class RestRequest(Struct, frozen=True):
    """One request to the venue's REST host."""

    method: str
    path: str
    body: bytes = b""
    content_type: str = "application/json"
    weight: int = 1  # of the venue's budget a minute
    is_optional: bool = False  # of a discovery: `null` is its answer when it fails


class Venue(ABC):
    """A venue's declarations. It holds no state: one object serves every session."""

    name: ClassVar[str]
    ws_url: ClassVar[str]
    rest_url: ClassVar[str]
    # Added to the WebSocket address when that has no query of its own.
    ws_query: ClassVar[str] = ""
    limits: ClassVar[Limits]
    # Feed kind -> recv-age in ms above which a quote is stale.
    fresh_ms: ClassVar[Mapping[str, int]]
    # The channel that ticks even when a market does not move.
    liveness_channel: ClassVar[str]
    discovery: ClassVar[tuple[RestRequest, ...]]
    # Feed kind -> how its quotes or its changes of a book follow each other; a kind
    # that is not named has images without a number, ordered by their time.
    continuity: ClassVar[Mapping[str, type[Rule]]] = {}
    # How all frames of a connection follow each other, where they are numbered.
    frame_rule: ClassVar[type[Rule] | None] = None
    # Whether no stream carries the funding, so that it has to be asked for.
    has_funding_requests: ClassVar[bool] = False
    # Whether streams are asked for. Otherwise each has an address of its own, and a
    # connection is one socket for each of them.
    has_requests: ClassVar[bool] = True
    # Whether a market can be subscribed only by an id that its name does not tell.
    has_market_ids: ClassVar[bool] = False
    # How tops of the two feed kinds are compared when both are subscribed: a top of
    # one is what the other showed at the same "sequence" or event "time", or, where
    # the two have nothing in common, must not differ for "long".
    cross_check: ClassVar[str] = "long"

    def at(self, ws_url: str) -> Venue:
        """Return the venue as it speaks at a configured address, empty for its own."""
        return self

    @abstractmethod
    def parse_markets(self, bodies: Sequence[bytes]) -> list[Market]:
        """Return the markets in the answers to `discovery`; raise `FrameError`."""

    @abstractmethod
    def subscriptions(self, symbol: str, options: Options) -> list[Subscription]:
        """Return the streams of a market's key: books, liveness, then trades."""

    @abstractmethod
    def request(
        self, topics: Sequence[str], request_id: int, *, is_end: bool = False
    ) -> str:
        """Return the frame that subscribes topics, or ends them.

        There are `limits.chunk` of them at most; `request_id` is new in each request.
        """

    @abstractmethod
    def decoder(self, markets: Mapping[str, Market]) -> Decode:
        """Return a decoder for one session; `markets` by key grows while it lives."""

    def stream_url(self, ws_url: str, topic: str) -> str:
        """Return the address of a stream that has one of its own."""
        return ws_url

    def stream_decoder(self, markets: Mapping[str, Market], topic: str) -> Decode:
        """Return a decoder for the frames from a stream's own address."""
        return self.decoder(markets)

    @abstractmethod
    def snapshot_request(self, market: Market) -> RestRequest:
        """Return the request for a whole image of a market's book."""

    @abstractmethod
    def parse_snapshot(self, market: Market, body: bytes, wall_ns: int) -> BookEvent:
        """Return the image in the answer; raise `FrameError`, also for another market.

        `wall_ns` is our wall clock when the answer arrived.
        """

    def funding_request(self, market: Market) -> RestRequest | None:
        """Return the request for funding; see `has_funding_requests`."""
        return None

    def parse_funding(self, market: Market, body: bytes, wall_ns: int) -> FundingEvent:
        """Return funding and references from the answer; raise `FrameError`."""
        raise FrameError("unknown_type", "funding comes by a stream")

    def market_by_name(self, name: str) -> Market:
        """Return what the naming rule alone says about an instrument or a symbol.

        `BTC-PERP` is taken for the symbol `BTC`, anything else for a symbol.
        """
        symbol = name.removesuffix(SUFFIX)
        return perpetual(name) if symbol == name else Market(symbol, name)

    def ping(self) -> str | None:
        """Return the frame that keeps a session open, None when the venue has none."""
        return None

    def tick_at(self, market: Market, price: float) -> float:
        """Return the price step at a price."""
        return market.tick


def find_market(venue: Venue, name: str, markets: Sequence[Market]) -> Market:
    """Return the market behind a configured name, an instrument's or a symbol's.

    An active market goes before a delisted one, a plain one before a multiple. A name
    that discovery does not list is taken by the naming rule: the venue may know it.
    """
    named = [
        market
        for market in markets
        if name in (market.instrument, market.symbol, market.market_id)
    ]
    if not named:
        return venue.market_by_name(name)
    return min(named, key=lambda market: (not market.is_active, market.multiplier))


def perpetual(
    symbol: str,
    base: str = "",
    *,
    tick: float = nan,
    lot: float = nan,
    is_active: bool = True,
    market_id: str = "",
    funding_interval_ns: int = TIME_NONE,
) -> Market:
    """Return the market of a symbol whose name follows from its base (default: itself).

    `kPEPE` and `1000PEPE` are a thousand PEPE; what stands before a colon stays.
    """
    place, colon, name = (base or symbol).rpartition(":")
    multiplier = 1.0
    for prefix, units in _PREFIXES.items():
        single = name.removeprefix(prefix)
        if single != name and single.isupper() and single[0].isalpha():
            name = single
            multiplier = units
            break
    instrument = f"{place}{colon}{name}{SUFFIX}"
    return Market(
        symbol,
        instrument,
        tick,
        lot,
        multiplier,
        is_active,
        market_id,
        funding_interval_ns,
    )


def step(text: str | None) -> float:
    """Return a step of prices or sizes, NaN for what is none."""
    try:
        return nan if text is None else decimal.price(text)
    except FrameError:
        return nan


def part(read: Callable[[Any], float], text: Any, errors: list[FrameError]) -> float:
    """Read one number of several; NaN for an absent one, and for a bad one's error."""
    try:
        return nan if text is None else read(text)
    except FrameError as error:
        errors.append(error)
        return nan


def says_something(event: FundingEvent) -> bool:
    """Tell whether any value of funding is there."""
    prices = (event.mark_price, event.oracle_price, event.mid_price)
    values = (event.rate_per_hour, *prices, event.open_interest)
    return any(value == value for value in values)


def next_funding_ns(time_ms: object, wall_ns: int) -> int:
    """Return the next time of funding; one that is not near is none."""
    if type(time_ms) is not int:
        return TIME_NONE
    next_ns = time_ms * MILLISECOND_NS
    return next_ns if abs(next_ns - wall_ns) <= DAY_NS else TIME_NONE


def venue_names() -> list[str]:
    """Return the names of all venues, without importing them."""
    path = str(Path(__file__).parent)
    found = (module.name for module in pkgutil.iter_modules([path]))
    return sorted(name for name in found if not name.startswith("_"))


def load_venue(name: str) -> Venue:
    """Import one venue; raise `UsageError` for a name that is none."""
    if name not in venue_names():
        known = ", ".join(venue_names())
        raise UsageError(f"unknown venue: name={name!r}; known: {known}")
    venue: Venue = importlib.import_module(f"feedhandler.venues.{name}").VENUE
    return venue
