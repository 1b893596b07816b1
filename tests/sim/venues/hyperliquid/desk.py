"""A simulated Hyperliquid without a socket: frames in, frames out, time passed in."""

from __future__ import annotations

import json
from typing import Any

from feedhandler.sim.market import Market
from feedhandler.sim.venues._base import Push, Request, Response, Session
from feedhandler.sim.venues.hyperliquid import VENUE
from feedhandler.sim.venues.hyperliquid.venue import Hyperliquid
from tests.sim.harness import FRAMES, TurnedClock


class Desk:
    """A venue with one session, and the means to move its market and its time."""

    def __init__(self, **options: Any) -> None:
        self.clock = TurnedClock()
        self.market = Market(7)
        self.venue: Hyperliquid = VENUE(self.market, self.clock, **options)
        self.session = self.open()

    def open(self) -> Session:
        session = self.venue.open("/ws", {})
        assert session is not None
        self.venue.sessions.add(session)
        return session

    def say(self, request: object, session: Session | None = None) -> list[Any]:
        text = request if isinstance(request, str | bytes) else json.dumps(request)
        frames = self.venue.receive(session or self.session, text)
        return [json.loads(frame.text) for frame in frames]

    def subscribe(self, kind: str, **fields: object) -> list[Any]:
        subscription = {"type": kind, **fields}
        return self.say({"method": "subscribe", "subscription": subscription})

    def move(self, events: int) -> list[Any]:
        """Let the market move, and return what the session gets."""
        pushes: list[Push] = []
        for _ in range(events):
            self.clock.turn(0.01)
            pushes += self.venue.on_event(self.market.step())
        return self.taken(pushes)

    def tick(self, seconds: float) -> list[Any]:
        self.clock.turn(seconds)
        return self.taken(self.venue.on_tick())

    def taken(self, pushes: list[Push]) -> list[Any]:
        topics = self.session.topics
        return [json.loads(push.frame.text) for push in pushes if push.topic in topics]

    def post(self, body: object) -> Response:
        text = json.dumps(body).encode()
        return self.venue.rest(Request("POST", "/info", {}, text))


def sample(name: str) -> Any:
    return json.loads((FRAMES / name).read_text())
