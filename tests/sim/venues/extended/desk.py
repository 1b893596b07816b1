"""A simulated Extended without a socket: frames in, frames out, time passed in."""

from __future__ import annotations

import json
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from feedhandler.sim.faults import KINDS, Fault, parse
from feedhandler.sim.market import Market
from feedhandler.sim.truth import Top
from feedhandler.sim.venues._base import Frame, Push, Request, Response
from feedhandler.sim.venues.extended import VENUE
from feedhandler.sim.venues.extended.listings import Perp
from feedhandler.sim.venues.extended.requests import V1, V2
from feedhandler.sim.venues.extended.stream import Stream
from tests.sim.harness import TurnedClock
from tests.support import ROOT

FRAMES = ROOT / "tests/venues/extended/frames"
TICK_S = 0.11  # a little more than the cadence of the books
COINS = ("BTC", "ETH", "SOL", "DOGE", "1000PEPE", "XRP", "HYPE")
LIVE = [f"{coin}-USD" for coin in COINS]

Json = dict[str, Any]


class Desk:
    """A venue, the streams opened on it, and the means to move market and time."""

    def __init__(self, seed: int = 7, **options: Any) -> None:
        self.clock = TurnedClock()
        self.market = Market(seed)
        self.venue = VENUE(self.market, self.clock, **options)

    def open(self, path: str, **query: str) -> Line:
        """Open a v1 stream below the root, or v2 with no path."""
        session = self.venue.open(f"{V1}{path}" if path else V2, query)
        assert isinstance(session, Stream)
        self.venue.sessions.add(session)
        line = Line(self, session)
        line.take(self.venue.greet(session))
        return line

    def rpc(self) -> Line:
        return self.open("")

    def move(self, events: int) -> list[Push]:
        """Let the market move without a tick; returns what left at once."""
        pushes: list[Push] = []
        for _ in range(events):
            pushes += self.venue.on_event(self.market.step())
        return pushes

    def tick(self, seconds: float = TICK_S) -> list[Push]:
        self.clock.turn(seconds)
        return self.venue.on_tick()

    def begin(self, text: str) -> Fault:
        """Start a fault as the host does."""
        fault = parse(text)
        self.venue.board.add(fault)
        self._apply()
        if KINDS[fault.kind].is_moment and fault.duration_s is None:
            self.end(fault)
        return fault

    def end(self, fault: Fault) -> None:
        self.venue.board.remove(fault)
        self._apply()

    def _apply(self) -> None:
        find, venue = self.venue.board.find, self.venue
        one_sided = find("one_sided")
        venue.is_quiet = find("quiet") is not None
        venue.is_crossed = find("crossed") is not None
        venue.missing_side = one_sided.word("side") if one_sided else ""
        assert venue.refresh() == []

    def get(self, path: str, **query: object) -> Response:
        texts = {name: str(value) for name, value in query.items()}
        return self.venue.rest(Request("GET", f"/api/v1{path}", texts, b""))

    def data(self, path: str, **query: object) -> Any:
        answer = self.get(path, **query)
        assert (answer.status, answer.content_type) == (200, "application/json")
        body = json.loads(answer.body)
        assert body["status"] == "OK"
        return body["data"]

    def perp(self, symbol: str) -> Perp:
        return self.venue.listed[symbol]


class Line:
    """One stream of a desk, with every frame it got."""

    def __init__(self, desk: Desk, session: Stream) -> None:
        self.desk = desk
        self.session = session
        self.got: list[Frame] = []

    def take(self, frames: Iterable[Frame]) -> list[Json]:
        new = list(frames)
        self.got += new
        return [json.loads(frame.text) for frame in new]

    def of(self, pushes: list[Push]) -> list[Json]:
        """What of these pushes is this stream's."""
        topics = self.session.topics
        return self.take(push.frame for push in pushes if push.topic in topics)

    def step(self, events: int = 5, seconds: float = TICK_S) -> list[Json]:
        """Let the market move and a tick pass."""
        return self.of(self.desk.move(events) + self.desk.tick(seconds))

    def say(self, request: object) -> list[Json]:
        text = request if isinstance(request, str | bytes) else json.dumps(request)
        return self.take(self.desk.venue.receive(self.session, text))

    def call(self, method: str, scope: str = "", **selector: object) -> list[Json]:
        request: Json = {"method": method, "id": "1", "jsonrpc": "2.0"}
        if scope:
            request["params"] = {"scope": scope, "selector": selector}
        return self.say(request)

    @property
    def messages(self) -> list[Json]:
        return [json.loads(frame.text) for frame in self.got]


class NaiveBook:
    """What a client that believes every frame holds of one market."""

    def __init__(self) -> None:
        self.bids: dict[Decimal, Decimal] = {}
        self.asks: dict[Decimal, Decimal] = {}
        self.mismatches = 0

    def apply(self, message: Json) -> None:
        data = message["data"]
        is_whole = message["type"].endswith("SNAPSHOT")
        for side, rows in ((self.bids, data["b"]), (self.asks, data["a"])):
            if is_whole:
                side.clear()
            for row in rows:
                self._change(side, row, is_whole)

    def _change(self, side: dict[Decimal, Decimal], row: Json, is_whole: bool) -> None:
        price, size = Decimal(row["p"]), Decimal(row["q"])
        held = side.pop(price, Decimal(0))
        if is_whole:
            assert held == 0, "a price twice in a snapshot"
        elif held + size != Decimal(row["c"]):
            self.mismatches += 1
        new = size if is_whole else Decimal(row["c"])
        if new > 0:
            side[price] = new

    @property
    def top(self) -> tuple[Decimal | None, ...]:
        bid = max(self.bids, default=None)
        ask = min(self.asks, default=None)
        bid_size = None if bid is None else self.bids[bid]
        return bid, bid_size, ask, None if ask is None else self.asks[ask]

    def equals(self, perp: Perp) -> bool:
        """True if this is the book that the market shows, level for level."""
        unit, lot = perp.grid.price_decimals, perp.grid.size_decimals
        return all(
            side == {_scaled(one.price, unit): _scaled(one.size, lot) for one in truth}
            for side, truth in zip((self.bids, self.asks), perp.shown, strict=True)
        )


def numbers(top: Top) -> tuple[Decimal | None, ...]:
    return tuple(None if text is None else Decimal(text) for text in top[:4])


def _scaled(units: int, decimals: int) -> Decimal:
    return Decimal(units).scaleb(-decimals)


def sample(name: str) -> Any:
    return json.loads((FRAMES / name).read_text())


def lines(name: str) -> list[Any]:
    return [json.loads(line) for line in (FRAMES / name).read_text().splitlines()]


def shape(value: Any) -> Any:
    """The keys, their order and the types of a value; one row stands for a list."""
    if isinstance(value, dict):
        return [(key, shape(inner)) for key, inner in value.items()]
    if isinstance(value, list):
        return {"rows": shape(value[0])} if value else {"rows": None}
    return type(value).__name__
