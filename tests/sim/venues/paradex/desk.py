"""A simulated Paradex without a socket, and a client that reads what it sends.

The frames are read by `codec.sbe` and the offsets written down in the venue's schema,
which the simulator's writer does not know.
"""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Iterable, Iterator
from types import SimpleNamespace
from typing import Any, NamedTuple

from feedhandler.codec import sbe
from feedhandler.sim import Fault, parse
from feedhandler.sim.market import Market
from feedhandler.sim.truth import Top
from feedhandler.sim.venues._base import Frame, Push, Request, Response
from feedhandler.sim.venues.paradex import VENUE
from feedhandler.sim.venues.paradex.sessions import Client
from feedhandler.sim.venues.paradex.venue import Paradex
from tests.sim.harness import TurnedClock
from tests.support import ROOT

FRAMES = ROOT / "tests/venues/paradex/frames"
BTC, ETH = "BTC-USD-PERP", "ETH-USD-PERP"
UNIT = 10**8

Json = dict[str, Any]
Side = dict[int, int]

TRADE = struct.Struct("<qqqBqqqB")
BBO = struct.Struct("<6q")
BOOK = struct.Struct("<qqB9q")
SUMMARY = struct.Struct("<27q")
FUNDING = struct.Struct("<7qh")
BEAT = struct.Struct("<qq")
LEVEL = struct.Struct("<qq")


class Header(NamedTuple):
    """The first eight bytes of a frame."""

    block_bytes: int
    template_id: int
    schema_id: int
    version: int

    @property
    def end(self) -> int:
        """Offset behind the root block, where groups and texts begin."""
        return sbe.HEADER_BYTES + self.block_bytes


class Desk:
    """A venue with one session, and the means to move its market and its time."""

    def __init__(self, seed: int = 7, version: int = 2, **options: Any) -> None:
        self.clock = TurnedClock()
        self.market = Market(seed)
        self.venue: Paradex = VENUE(self.market, self.clock, **options)
        self.session = self.open(version)
        self.started: list[Frame] = []  # what came with the last fault

    def open(self, version: int = 2) -> Client:
        query = {"sbeSchemaId": "1", "sbeSchemaVersion": str(version)}
        session = self.venue.open("/v1", query)
        assert isinstance(session, Client)
        self.venue.sessions.add(session)
        return session

    def say(self, request: object, session: Client | None = None) -> list[Frame]:
        text = request if isinstance(request, str | bytes) else json.dumps(request)
        return self.venue.receive(session or self.session, text)

    def ask(
        self, method: str, channel: str, session: Client | None = None
    ) -> list[Frame]:
        request = {"jsonrpc": "2.0", "method": method, "params": {"channel": channel}}
        return self.say({**request, "id": 5}, session)

    def subscribe(self, channel: str, session: Client | None = None) -> list[Frame]:
        """Subscribe, and return what follows the acknowledgement."""
        answer, *frames = self.ask("subscribe", channel, session)
        assert json.loads(answer.text)["result"] == {"channel": channel}
        return frames

    def refusal(self, channel: str, method: str = "subscribe") -> Json:
        """The error that a request is answered with."""
        (answer,) = self.ask(method, channel)
        error: Json = json.loads(answer.text)["error"]
        return error

    def move(self, events: int) -> list[Frame]:
        """Let the market move, and return what the session gets."""
        pushes: list[Push] = []
        for _ in range(events):
            self.clock.turn(0.01)
            pushes += self.venue.on_event(self.market.step())
        return self.taken(pushes)

    def tick(self, seconds: float) -> list[Frame]:
        self.clock.turn(seconds)
        return self.taken(self.venue.on_tick())

    def start(self, text: str) -> Fault:
        """Begin a fault as the host does: the board first, then a look at all."""
        fault = parse(text)
        self.venue.board.add(fault)
        self.started = self.taken(self.venue.refresh())
        return fault

    def end(self, fault: Fault) -> list[Frame]:
        self.venue.board.remove(fault)
        return self.taken(self.venue.refresh())

    def taken(self, pushes: Iterable[Push]) -> list[Frame]:
        topics = self.session.topics
        return [push.frame for push in pushes if push.topic in topics]

    def get(self, path: str, **query: str) -> Response:
        return self.venue.rest(Request("GET", f"/v1{path}", query, b""))

    def json(self, path: str, **query: str) -> Any:
        answer = self.get(path, **query)
        assert answer.status == 200, answer
        return json.loads(answer.body)


class Book:
    """A naive client's book: a snapshot, then deltas with the next number each."""

    def __init__(self) -> None:
        self.seq = 0
        self.bids: Side = {}
        self.asks: Side = {}

    def apply(self, event: SimpleNamespace) -> bool:
        """Apply one event; False if it does not follow the one before it."""
        if event.package == "DELTA" and event.seq != self.seq + 1:
            return False
        self.seq = event.seq
        if event.package == "SNAPSHOT":
            self.bids, self.asks = {}, {}
        for side, rows in ((self.bids, event.bids), (self.asks, event.asks)):
            for price, size in rows:
                if size:
                    side[price] = size
                else:
                    del side[price]  # what was never there cannot leave
        return True

    @property
    def touch(self) -> list[int | None]:
        bid = max(self.bids) if self.bids else None
        ask = min(self.asks) if self.asks else None
        bid_size = None if bid is None else self.bids[bid]
        return [bid, bid_size, ask, None if ask is None else self.asks[ask]]


def read(frame: bytes | str) -> SimpleNamespace:
    """What a binary frame says, with numbers as they are on the wire."""
    assert isinstance(frame, bytes)
    head = Header(*sbe.header(frame))
    kind, build = _TEMPLATES[head.template_id]
    event = SimpleNamespace(kind=kind, header=head)
    end = build(frame, head, event)
    assert sbe.is_over(frame, end), "bytes are left"
    return event


def touch_of(top: Top) -> list[int | None]:
    """A top of the truth log as the wire's numbers."""
    return [None if text is None else round(float(text) * UNIT) for text in top[:4]]


def recorded(stem: str) -> Iterator[tuple[bytes, Json]]:
    """Each binary frame of a recording with what it says."""
    lines = (FRAMES / f"{stem}_recorded.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    frames = [base64.b64decode(row["b64"]) for row in rows if "b64" in row]
    decoded = (FRAMES / f"{stem}_decoded.jsonl").read_text().splitlines()
    yield from zip(frames, map(json.loads, decoded), strict=True)


def sample(name: str) -> Any:
    text = (FRAMES / name).read_text()
    if name.endswith(".jsonl"):
        return [json.loads(line) for line in text.splitlines()]
    return json.loads(text)


def _trade(frame: bytes, head: Header, event: SimpleNamespace) -> int:
    (event.ts_us, event.seq, event.number, side, event.price, event.size,
     event.created_us, kind) = sbe.block(frame, head.block_bytes, TRADE)  # fmt: skip
    event.side = {1: "BUY", 2: "SELL"}[side]
    event.trade_type = {1: "FILL", 2: "LIQUIDATION"}[kind]
    event.market, end = sbe.text(frame, head.end)
    event.trade_id = None
    if not sbe.is_over(frame, end):
        event.trade_id, end = sbe.text(frame, end)
    return end


def _bbo(frame: bytes, head: Header, event: SimpleNamespace) -> int:
    event.ts_us, event.seq, *touch = sbe.block(frame, head.block_bytes, BBO)
    event.touch = [None if one == sbe.NULL_INT64 else one for one in touch]
    event.market, end = sbe.text(frame, head.end)
    return end


def _book(frame: bytes, head: Header, event: SimpleNamespace) -> int:
    event.ts_us, event.seq, package, *event.bests = sbe.block(
        frame, head.block_bytes, BOOK
    )
    event.package = ("SNAPSHOT", "DELTA")[package]
    event.bids, middle = sbe.rows(frame, head.end, LEVEL)
    event.asks, after = sbe.rows(frame, middle, LEVEL)
    event.market, end = sbe.text(frame, after)
    return end


def _summary(frame: bytes, head: Header, event: SimpleNamespace) -> int:
    block = sbe.block(frame, head.block_bytes, SUMMARY)
    (event.ts_us, event.seq, event.mark, event.index, event.last, event.volume,
     event.open_interest, event.rate, event.bid, event.ask, event.total,
     event.change) = block[:12]  # fmt: skip
    event.bid_size, event.ask_size = block[25:]
    event.market, end = sbe.text(frame, head.end)
    return end


def _funding(frame: bytes, head: Header, event: SimpleNamespace) -> int:
    (event.ts_us, event.seq, event.rate, event.index, event.created_us,
     event.premium, event.rate_8h, event.hours) = sbe.block(
        frame, head.block_bytes, FUNDING)  # fmt: skip
    event.market, end = sbe.text(frame, head.end)
    return end


def _beat(frame: bytes, head: Header, event: SimpleNamespace) -> int:
    event.ts_us, event.seq = sbe.block(frame, head.block_bytes, BEAT)
    return head.end


_TEMPLATES: dict[int, Any] = {
    1: ("trade", _trade),
    2: ("bbo", _bbo),
    3: ("book", _book),
    4: ("summary", _summary),
    5: ("funding", _funding),
    40: ("heartbeat", _beat),
}
