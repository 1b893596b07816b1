"""A simulated Lighter without a socket, and a naive client that keeps its book."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import Any

from feedhandler.sim.faults import parse
from feedhandler.sim.market import Market
from feedhandler.sim.venues._base import Frame, Push, Request
from feedhandler.sim.venues.lighter import VENUE
from feedhandler.sim.venues.lighter.listings import Instrument, fixed
from feedhandler.sim.venues.lighter.sessions import LighterSession
from feedhandler.sim.venues.lighter.venue import Lighter
from tests.sim.harness import TurnedClock
from tests.support import ROOT

FRAMES = ROOT / "tests/venues/lighter/frames"

Json = dict[str, Any]
Rows = list[tuple[str, str]]


class Desk:
    """A venue with one session, and the means to move its market and its time."""

    def __init__(self, seed: int = 7, **options: Any) -> None:
        self.clock = TurnedClock()
        self.market = Market(seed)
        self.venue: Lighter = VENUE(self.market, self.clock, **options)
        self.session = self.open()

    def open(self) -> LighterSession:
        session = self.venue.open("/stream", {})
        assert session is not None
        self.venue.sessions.add(session)
        return session

    def instrument(self, market_id: int) -> Instrument:
        return self.venue._instruments[market_id]

    def frames(
        self, request: object, session: LighterSession | None = None
    ) -> list[Frame]:
        text = request if isinstance(request, str | bytes) else json.dumps(request)
        return self.venue.receive(session or self.session, text)

    def say(self, request: object, session: LighterSession | None = None) -> list[Json]:
        return [json.loads(frame.text) for frame in self.frames(request, session)]

    def subscribe(self, channel: str) -> Json:
        (answer,) = self.say({"type": "subscribe", "channel": channel})
        return answer

    def unsubscribe(self, channel: str) -> Json:
        (answer,) = self.say({"type": "unsubscribe", "channel": channel})
        return answer

    def steps(self, events: int, pause_s: float = 0.01) -> Iterator[list[Frame]]:
        """Let the market move, and yield what the session gets with each event."""
        for _ in range(events):
            self.clock.turn(pause_s)
            pushes = self.venue.on_event(self.market.step())
            yield self.taken(pushes + self.venue.on_tick())

    def move(self, events: int, channel: str = "") -> list[Json]:
        frames = [frame for taken in self.steps(events) for frame in taken]
        return [
            json.loads(frame.text) for frame in frames if channel in ("", frame.channel)
        ]

    def trades(self, events: int) -> list[Json]:
        """The session's trades while the market moves and no time passes."""
        found = []
        for _ in range(events):
            for frame in self.taken(self.venue.on_event(self.market.step())):
                if frame.channel == "trade":
                    found.append(json.loads(frame.text))
        return found

    def tick(self, seconds: float) -> list[Json]:
        self.clock.turn(seconds)
        return [json.loads(one.text) for one in self.taken(self.venue.on_tick())]

    def taken(self, pushes: list[Push]) -> list[Frame]:
        topics = self.session.topics
        return [push.frame for push in pushes if push.topic in topics]

    @contextlib.contextmanager
    def fault(self, text: str) -> Iterator[None]:
        """A fault that is active, as the host makes it known."""
        fault = parse(text)
        self.venue.board.add(fault)
        self.venue.refresh()
        yield
        self.venue.board.remove(fault)
        self.venue.refresh()

    def inject(self, text: str) -> None:
        """A fault of a moment, as the host makes it known."""
        with self.fault(text):
            pass

    def get(self, path: str, **query: object) -> tuple[int, Json]:
        texts = {name: str(value) for name, value in query.items()}
        answer = self.venue.rest(Request("GET", f"/api/v1/{path}", texts, b""))
        return answer.status, json.loads(answer.body)


class NaiveClient:
    """Applies snapshot and deltas as the protocol says, and checks the chain."""

    def __init__(self) -> None:
        self.sides: dict[str, dict[str, str]] = {"bids": {}, "asks": {}}
        self.nonce: int | None = None
        self.gaps = 0

    def take(self, message: Json) -> None:
        book = message["order_book"]
        if message["type"].startswith("subscribed/"):
            self.sides = {"bids": {}, "asks": {}}
            assert book["begin_nonce"] == 0
        elif book["begin_nonce"] != self.nonce:
            self.gaps += 1
        self.nonce = book["nonce"]
        for side, levels in self.sides.items():
            for row in book[side]:
                levels[row["price"]] = row["size"]
                if float(row["size"]) == 0:
                    del levels[row["price"]]

    def rows(self) -> tuple[Rows, Rows]:
        """Bids and asks, the best first."""
        bids, asks = self.sides["bids"], self.sides["asks"]
        return (
            sorted(bids.items(), key=lambda row: -float(row[0])),
            sorted(asks.items(), key=lambda row: float(row[0])),
        )

    def touch(self) -> tuple[str | None, ...]:
        """Best bid and ask with their sizes, None where a side is empty."""
        bids, asks = self.rows()
        nobody = (None, None)
        return (*(bids[0] if bids else nobody), *(asks[0] if asks else nobody))


def rows_of(instrument: Instrument, book: Any) -> tuple[Rows, Rows]:
    """A simulator's book as the naive client has it."""
    grid = instrument.grid
    bids, asks = (
        [
            (fixed(one.price, grid.price_decimals), fixed(one.size, grid.size_decimals))
            for one in side
        ]
        for side in book
    )
    return bids, asks


def sample(name: str) -> Any:
    return json.loads((FRAMES / name).read_text())


def lines(name: str) -> list[Any]:
    return [json.loads(line) for line in (FRAMES / name).read_text().splitlines()]


def shape(value: Any) -> Any:
    """The keys and types of a JSON value; one row stands for all of a list.

    A whole number has no point on this wire, so int and float are one type.
    """
    if isinstance(value, dict):
        return {key: shape(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    if isinstance(value, int | float) and not isinstance(value, bool):
        return "number"
    return type(value).__name__


def without(value: Any, *keys: str) -> Any:
    """A JSON value without these keys, at any depth."""
    if isinstance(value, dict):
        return {
            key: without(inner, *keys)
            for key, inner in value.items()
            if key not in keys
        }
    if isinstance(value, list):
        return [without(inner, *keys) for inner in value]
    return value
