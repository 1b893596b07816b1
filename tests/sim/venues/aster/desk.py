"""A simulated Aster without a socket, and the book a plain client would keep."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from feedhandler.sim.market import Market
from feedhandler.sim.venues._base import Push, Request, Response
from feedhandler.sim.venues.aster import VENUE
from feedhandler.sim.venues.aster.session import Subscriber
from feedhandler.sim.venues.aster.venue import Aster
from tests.sim.harness import TurnedClock
from tests.support import ROOT

FRAMES = ROOT / "tests/venues/aster/frames"

Json = dict[str, Any]
Side = dict[float, float]


class Desk:
    """A venue with one session, and the means to move its market and its time."""

    def __init__(self, seed: int = 7, path: str = "/ws", **options: Any) -> None:
        self.clock = TurnedClock()
        self.market = Market(seed)
        self.venue: Aster = VENUE(self.market, self.clock, **options)
        self.session = self.open(path)
        self.pushes: list[Push] = []  # the last ones, whoever they were for

    def open(self, path: str, **query: str) -> Subscriber:
        session = self.venue.open(path, query)
        assert isinstance(session, Subscriber)
        self.venue.sessions.add(session)
        return session

    def say(self, request: object) -> Any:
        """Say something and return the one answer."""
        self.clock.turn(0.2)  # within what a client may say
        text = request if isinstance(request, str | bytes) else json.dumps(request)
        (frame,) = self.venue.receive(self.session, text)
        return json.loads(frame.text)

    def subscribe(self, *names: str) -> None:
        request = {"method": "SUBSCRIBE", "params": list(names), "id": 1}
        assert self.say(request) == {"result": None, "id": 1}

    def move(self, events: int, seconds: float = 0.01) -> list[Any]:
        """Let the market move, and return what the session gets, ticks included."""
        self.pushes = []
        for _ in range(events):
            self.clock.turn(seconds)
            self.pushes += self.venue.on_event(self.market.step())
            if self.venue.next_tick_s() <= self.clock.monotonic_s():
                self.pushes += self.venue.on_tick()
        return self.taken(self.pushes)

    def tick(self, seconds: float) -> list[Any]:
        self.clock.turn(seconds)
        self.pushes = self.venue.on_tick()
        return self.taken(self.pushes)

    def until(
        self, accept: Callable[[Any], bool] = lambda told: True, events: int = 20_000
    ) -> Any:
        """The first frame that is accepted."""
        for _ in range(events):
            for told in self.move(1):
                if accept(told):
                    return told
        raise AssertionError("no such frame")

    def taken(self, pushes: list[Push]) -> list[Any]:
        topics = self.session.topics
        return [json.loads(push.frame.text) for push in pushes if push.topic in topics]

    def answer(self, path: str, method: str = "GET", **query: object) -> Response:
        told = {name: str(value) for name, value in query.items()}
        return self.venue.rest(Request(method, path, told, b""))

    def get(self, name: str, **query: object) -> Any:
        answer = self.answer(f"/fapi/v3/{name}", "GET", **query)
        assert answer.status == 200, answer
        return json.loads(answer.body)

    def shown(self, symbol: str) -> tuple[Side, Side]:
        """The book as the simulator knows that the streams show it."""
        perp = self.venue.listed[symbol]  # the simulator's own state is the truth
        price_unit = 10**perp.grid.price_decimals
        size_unit = 10**perp.grid.size_decimals
        bids, asks = (
            {level.price / price_unit: level.size / size_unit for level in side}
            for side in perp.shown
        )
        return bids, asks


class Gap(Exception):
    """An event that does not continue the book."""


class LocalBook:
    """The documented procedure, as plainly as it can be written."""

    def __init__(self) -> None:
        self.bids: Side = {}
        self.asks: Side = {}
        self.update_id: int | None = None  # None until a snapshot came
        self._is_first = True
        self._buffer: list[Json] = []

    def load(self, snapshot: Json) -> None:
        self.bids = {float(price): float(size) for price, size in snapshot["bids"]}
        self.asks = {float(price): float(size) for price, size in snapshot["asks"]}
        self.update_id = snapshot["lastUpdateId"]
        self._is_first = True
        for event in self._buffer:
            self.apply(event)
        self._buffer.clear()

    def apply(self, event: Json) -> None:
        if self.update_id is None:
            self._buffer.append(event)
            return
        if self._is_first:
            if event["u"] < self.update_id:
                return
            overlaps = event["U"] <= self.update_id <= event["u"]
            if not overlaps and event["pu"] != self.update_id:
                raise Gap(event)
        elif event["pu"] != self.update_id:
            raise Gap(event)
        self._is_first = False
        self.update_id = event["u"]
        for side, rows in ((self.bids, event["b"]), (self.asks, event["a"])):
            for price, size in rows:
                if float(size) == 0:
                    side.pop(float(price), None)
                else:
                    side[float(price)] = float(size)

    @property
    def top(self) -> tuple[float, float, float, float]:
        bid, ask = max(self.bids), min(self.asks)
        return bid, self.bids[bid], ask, self.asks[ask]


def sample(name: str) -> Any:
    return json.loads((FRAMES / name).read_text())


def samples(name: str) -> list[Any]:
    return [json.loads(line) for line in (FRAMES / name).read_text().splitlines()]
