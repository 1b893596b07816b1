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
from typing import ClassVar, Final, TypeAlias

from msgspec import Struct

from feedhandler.book.continuity import Rule
from feedhandler.errors import UsageError
from feedhandler.events import Event

THOUSAND: Final = 1_000.0
SUFFIX: Final = "-PERP"  # of an instrument's name, on every venue

Frame: TypeAlias = bytes | bytearray | str

# (frame, wall clock in ns when it arrived) -> what it means; raises `FrameError`.
Decode: TypeAlias = Callable[[Frame, int], Sequence[Event]]


class Limits(Struct, frozen=True):
    """What a venue lets one address do, as far as a feed must know it."""

    frame_bytes_max: int
    ping_interval_ms: int  # how often the venue wants to hear from us; 0 never
    subscribe_gap_ms: int  # between two requests
    connects_per_minute: int
    subscriptions_max: int


class Options(Struct, frozen=True):
    """What the configuration asks of a venue's feed."""

    feed_kind: str = "bbo"
    fast: bool = True
    trades: bool = True


class Subscription(Struct, frozen=True):
    """One request and how its acknowledgement is recognised.

    `key` is what the decoder puts into an ack or a refusal of this request.
    """

    key: str
    symbol: str
    request: str
    cancel: str
    is_book: bool = False  # carries quotes: without it the symbol has none
    is_trades: bool = False


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


class Venue(ABC):
    """A venue's declarations. It holds no state: one object serves every session."""

    name: ClassVar[str]
    ws_url: ClassVar[str]
    rest_url: ClassVar[str]
    limits: ClassVar[Limits]
    # Feed kind -> recv-age in ms above which a quote is stale.
    fresh_ms: ClassVar[Mapping[str, int]]
    # The channel that ticks even when a market does not move.
    liveness_channel: ClassVar[str]
    discovery: ClassVar[RestRequest]
    # Feed kind -> how its quotes or its changes of a book follow each other; a kind
    # that is not named has images without a number, ordered by their time.
    continuity: ClassVar[Mapping[str, type[Rule]]] = {}
    # Whether a market can be subscribed only by an id that its name does not tell.
    has_market_ids: ClassVar[bool] = False

    @abstractmethod
    def parse_markets(self, body: bytes) -> list[Market]:
        """Return the markets in the answer to `discovery`; raise `FrameError`."""

    @abstractmethod
    def subscriptions(self, symbol: str, options: Options) -> list[Subscription]:
        """Return the requests for a market's key, its liveness channel among them."""

    @abstractmethod
    def decoder(self) -> Decode:
        """Return a decoder for one session."""

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
) -> Market:
    """Return the market of a symbol whose name follows from its base (default: itself).

    `kPEPE` and `1000PEPE` are a thousand PEPE; what stands before a colon stays.
    """
    place, colon, name = (base or symbol).rpartition(":")
    multiplier = 1.0
    for prefix in ("1000", "k"):
        single = name.removeprefix(prefix)
        if single != name and single.isupper():
            name = single
            multiplier = THOUSAND
    instrument = f"{place}{colon}{name}{SUFFIX}"
    return Market(symbol, instrument, tick, lot, multiplier, is_active, market_id)


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
