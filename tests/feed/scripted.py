"""A venue whose frames are events that a test hands in.

driven = scripted(events…, continuity={…})
driven.say(QuoteEvent(…), …)         one frame of those events
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from feedhandler.book.continuity import Rule
from feedhandler.codec.frame import FrameError
from feedhandler.events import BookEvent, Event, QuoteEvent
from feedhandler.feed.settings import Timing
from feedhandler.feed.subscriptions import Pace
from feedhandler.venues import _base
from feedhandler.venues._base import Decode, Market, Options, RestRequest, Subscription
from tests.feed.driver import TIMING, WALL_MS, Driven

NANOS = 1_000_000


class ScriptedVenue(_base.Venue):
    """Its frames are numbers of what was handed in."""

    name = "scripted"
    ws_url = "wss://scripted.example"
    rest_url = "https://scripted.example"
    liveness_channel = "none"
    fresh_ms = {"bbo": 3_000, "depth": 2_000}  # noqa: RUF012
    discovery = (RestRequest("GET", "/markets"),)

    def __init__(
        self,
        continuity: Mapping[str, type[Rule]],
        frame_rule: type[Rule] | None,
        chunk: int,
        cross_check: str,
    ) -> None:
        self.continuity = continuity  # type: ignore[misc]
        self.frame_rule = frame_rule  # type: ignore[misc]
        self.cross_check = cross_check  # type: ignore[misc]
        self.limits = _base.Limits(1 << 20, 0, 0, 30, 100, 100, chunk=chunk)  # type: ignore[misc]
        self.frames: list[Sequence[Event]] = []

    def parse_markets(self, bodies: Sequence[bytes]) -> list[Market]:
        raise FrameError("shape", "not asked for here")

    def subscriptions(self, symbol: str, options: Options) -> list[Subscription]:
        return [
            Subscription(f"{kind}:{symbol}", symbol, f"{kind}:{symbol}", kind)
            for kind in (*options.kinds, _base.LIVENESS)
        ]

    def request(
        self, topics: Sequence[str], request_id: int, *, is_end: bool = False
    ) -> str:
        verb = "end" if is_end else "subscribe"
        return json.dumps({"verb": verb, "topics": list(topics), "id": request_id})

    def decoder(self, markets: Mapping[str, Market]) -> Decode:
        return lambda frame, wall_ns: self.frames[int(frame)]

    def snapshot_request(self, market: Market) -> RestRequest:
        return RestRequest("GET", "/book")

    def parse_snapshot(self, market: Market, body: bytes, wall_ns: int) -> BookEvent:
        raise FrameError("shape", "not asked for here")


class Scripted(Driven):
    """A session of a scripted venue."""

    def __init__(
        self,
        symbols: Sequence[str] = ("A",),
        kind: str = "bbo",
        *,
        continuity: Mapping[str, type[Rule]] | None = None,
        frame_rule: type[Rule] | None = None,
        chunk: int = 1,
        cross_check: str = "long",
        timing: Timing = TIMING,
        pace: Pace | None = None,
    ) -> None:
        self.venue = ScriptedVenue(continuity or {}, frame_rule, chunk, cross_check)
        options = Options(kind, trades=False)
        super().__init__(symbols, timing, options, venue=self.venue, pace=pace)

    def say(self, *events: Event) -> list[Event]:
        """Receive one frame that means those events."""
        self.venue.frames.append(events)
        return self.receive(str(len(self.venue.frames) - 1).encode())

    def asked(self, verb: str = "subscribe") -> list[list[str]]:
        """Return the topics of each request so far."""
        found = (json.loads(text) for _, text in self.sent)
        return [row["topics"] for row in found if row["verb"] == verb]

    def ids(self, verb: str = "subscribe") -> list[str]:
        """Return the ids of the requests so far, as answers name them."""
        found = (json.loads(text) for _, text in self.sent)
        return [f"#{row['id']}" for row in found if row["verb"] == verb]


def quote(
    symbol: str = "A",
    bid: float = 100.0,
    sequence: int = 0,
    *,
    ask: float = 101.0,
    size: float = 1.0,
    **facts: Any,
) -> QuoteEvent:
    stamp_ns = facts.pop("event_ns", WALL_MS * NANOS)
    return QuoteEvent(symbol, stamp_ns, sequence, bid, size, ask, 1.0, **facts)


def image(sequence: int = -1, bid: float = 100.0, symbol: str = "A") -> BookEvent:
    bids, asks = [(bid, 1.0), (90.0, 2.0)], [(101.0, 1.0), (110.0, 2.0)]
    return BookEvent(symbol, WALL_MS * NANOS, True, bids, asks, sequence)


def change(sequence: int, previous: int, first: int, bid: float) -> BookEvent:
    return BookEvent(
        "A", WALL_MS * NANOS, False, [(bid, 1.0)], [], sequence, previous, first
    )
