"""The simulated Aster itself: who gets which frame, and when.

Owns the subscriptions' rules, the venue-wide update ids, and the cadence of each
stream. Nothing is sent on subscribing: a stream speaks when something changes.

Doubts, where the protocol is not documented, and what was chosen:
- a name that is unknown or not listed is acknowledged and stays silent;
- more than 200 streams are refused as too many parameters, all names of that frame;
- errors do not echo the request's id, and a request without one gets a null id;
- a session that is over or said too much ends without a closing frame.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from feedhandler.sim.ladder import Book
from feedhandler.sim.limits import Limits
from feedhandler.sim.market import Trade
from feedhandler.sim.truth import Top
from feedhandler.sim.venues._base import (
    Ending,
    Frame,
    Push,
    Request,
    Response,
    Session,
    Venue,
)
from feedhandler.sim.venues.aster import commands, render
from feedhandler.sim.venues.aster.commands import Command
from feedhandler.sim.venues.aster.endpoints import Endpoints
from feedhandler.sim.venues.aster.listings import LISTINGS
from feedhandler.sim.venues.aster.meter import Meter
from feedhandler.sim.venues.aster.perp import Change, Perp
from feedhandler.sim.venues.aster.session import OVER, Subscriber
from feedhandler.sim.venues.aster.streams import (
    AGGREGATE,
    DIFF,
    FORCE,
    IMMEDIATE,
    PARTIAL,
    QUOTE,
    TRADE,
    Chain,
    Stream,
    Topic,
    parse,
)
from feedhandler.sim.venues.aster.tamper import Tamper
from feedhandler.sim.venues.aster.tape import INSURANCE_FUND, Print
from feedhandler.sim.venues.aster.teller import Teller

FIRST_UPDATE = 156_391_348_236  # of the size recorded in 2025
UPDATE_STEP_MAX = 900  # ids that other symbols take between two changes of one
FIRST_TRADE = 26_024_678
ENGINE_LAG_MS = 5  # recorded between matching (`T`) and output (`E`) of a quote
PAST_TRADES = 40
PAST_MS = 45_000
LIQUIDATION_GAP_MS = 1000  # only the latest in a second is told
STREAM_PATHS = ("/ws", "/stream")
QUOTE_CHANNEL = "bookTicker"


class Aster(Venue[Perp]):
    name = "aster"
    stream_path = "/ws"
    books = (QUOTE_CHANNEL, f"!{QUOTE_CHANNEL}", "depth")
    over: ClassVar[Ending] = OVER
    # Nothing is documented on connections of one address; 200 streams are of one.
    limits: ClassVar[Limits] = Limits(
        connections_max=300,
        connects_per_minute=300,
        subscriptions_max=200,
        rest_weight_per_minute=2400,
        messages_per_second=10,
        silence_s=86_400.0,
        ping_s=300.0,
        pong_s=900.0,
        life_s=86_400.0,
    )
    cadence: ClassVar[Mapping[str, float]] = {
        "depth": 0.25,
        "depth@100ms": 0.1,
        "depth@500ms": 0.5,
        "aggTrade": 0.1,
        "markPrice": 3.0,
        "markPrice@1s": 1.0,
        "ticker": 0.5,
        "!ticker@arr": 1.0,
        "kline": 0.25,
    }

    def _list(self) -> None:
        self._tamper = Tamper()
        self._update_id = FIRST_UPDATE
        # Streams: who is served, and what each has gathered.
        self._chains: dict[str, Chain] = {}
        self._teller = Teller()
        self._served: object = None  # what `_streams` was made from
        self._streams: tuple[Stream, ...] = ()
        self._changes = 0
        meter = Meter(self.allowed.rest_weight_per_minute)
        seed, assets = self.market.seed, self.market.assets
        self._endpoints = Endpoints(self.listed, seed, meter, self.board)
        for listing in LISTINGS:
            first = FIRST_TRADE + self._random.randrange(1_000_000)
            perp = Perp(listing, assets.get(listing.asset), first)
            self._enter(perp)
            for trade, time_ms in self._history(perp, PAST_TRADES, PAST_MS):
                perp.fill(trade, time_ms, self._random)

    # The market.

    def refresh(self) -> list[Push]:
        self._tamper.arm(self.board)
        return super().refresh()

    def on_tick(self) -> list[Push]:
        pushes = super().on_tick()
        self._forget()
        return pushes

    def _timed(self, channel: str) -> list[Push]:
        now_ms = self.time.now_ms()
        streams = (stream for stream in self._held() if stream.cadence == channel)
        return [push for stream in streams for push in self._told(stream, now_ms)]

    def _update(self, perp: Perp, now_ms: int) -> list[Push]:
        """Look at the market anew, and number and note what changed."""
        shown, fault = self.look(perp)
        bids, asks = perp.compare(shown)
        if not (bids or asks):
            return []
        touch, before_id = _touch(perp.shown), perp.update_id
        first_id = self._update_id + 1 + self._random.randrange(UPDATE_STEP_MAX)
        self._update_id = first_id + len(bids) + len(asks) - 1
        perp.shown, perp.fault, perp.update_id = shown, fault, self._update_id
        engine_ms = now_ms - self._random.randrange(ENGINE_LAG_MS)
        perp.changed_ms = max(perp.changed_ms, engine_ms)
        perp.past.append(perp.snapshot(self.clock.monotonic_s()))
        change = Change(before_id, first_id, self._update_id, bids, asks)
        return self._note(perp, change, touch != _touch(shown), now_ms)

    def _note(
        self, perp: Perp, change: Change, is_new_touch: bool, now_ms: int
    ) -> list[Push]:
        """Add a change to the chains, and send what does not wait."""
        pushes: list[Push] = []
        for stream in self._held():
            if stream.symbol not in ("", perp.symbol):
                continue
            if stream.kind in (DIFF, PARTIAL):
                self._chain(stream, change.previous_id).add(change)
                if stream.cadence == IMMEDIATE:
                    pushes += self._books(stream, now_ms)
            elif stream.kind == QUOTE and is_new_touch:
                top = render.top_of(perp, perp.changed_ms)
                pushes += self._push(stream, render.quote(perp, now_ms), top)
        return pushes

    # Streams at their time.

    def _told(self, stream: Stream, now_ms: int) -> list[Push]:
        """What a stream sends at its time."""
        if stream.kind in (DIFF, PARTIAL):
            return self._books(stream, now_ms)
        if stream.is_array:
            perps = [perp for perp in self.listed.values() if _is_alive(perp)]
            payloads = [self._teller.row(stream, perp, now_ms) for perp in perps]
            told = [payload for payload in payloads if payload is not None]
            return self._push(stream, told) if told else []
        perp = self.listed[stream.symbol]
        if stream.kind == AGGREGATE:
            rows = self._teller.aggregates(stream, perp, now_ms)
        else:
            row = self._teller.row(stream, perp, now_ms)
            rows = [] if row is None else [row]
        return [push for row in rows for push in self._push(stream, row)]

    def _books(self, stream: Stream, now_ms: int) -> list[Push]:
        """What a chain has gathered, as changes or as the best levels."""
        perp = self.listed[stream.symbol]
        event = self._chain(stream, perp.update_id).take()
        if event is None or self._tamper.loses(self.board, stream, perp.symbol):
            return []
        if stream.kind == DIFF:
            payload = render.diff(perp, event, now_ms)
        else:
            payload = render.partial(perp, event, stream.levels, now_ms)
        return self._push(stream, payload, render.top_of(perp, perp.changed_ms))

    def _chain(self, stream: Stream, update_id: int) -> Chain:
        return self._chains.setdefault(stream.name, Chain(update_id))

    def _forget(self) -> None:
        """Drop what was kept for streams that nobody holds any more."""
        names = {stream.name for stream in self._held()}
        self._teller.forget(names)
        for name in [name for name in self._chains if name not in names]:
            del self._chains[name]

    def _push(self, stream: Stream, payload: Any, top: Top | None = None) -> list[Push]:
        """A payload for those who hold the stream, wrapped or not."""
        symbol, fault = stream.symbol, ""
        if isinstance(payload, dict) and "s" in payload:
            payload, fault = self._tamper.falsify(self.board, stream, payload)
            symbol = payload["s"]
        pushes = []
        for combined in (False, True):
            topic = Topic(stream.name, combined)
            if self.is_held(topic):
                frame = render.data_frame(stream, payload, combined, symbol, top)
                pushes.append(Push(topic, frame.falsified(fault) if fault else frame))
        return pushes

    def _held(self) -> tuple[Stream, ...]:
        """Every stream that somebody holds, once, in the order of its name."""
        made_from = self._changes, frozenset(self.sessions)
        if made_from != self._served:
            names = sorted({topic.name for topic in self.held_topics()})
            found = (parse(name, self.listed) for name in names)
            self._streams = tuple(stream for stream in found if stream is not None)
            self._served = made_from
        return self._streams

    # Trades.

    def _trade(self, perp: Perp, trade: Trade, now_ms: int) -> list[Push]:
        rows = perp.fill(trade, now_ms, self._random)
        return [push for row in rows for push in self._prints(perp, row, now_ms)]

    def _prints(self, perp: Perp, row: Print, now_ms: int) -> list[Push]:
        """What one fill tells at once."""
        pushes: list[Push] = []
        is_liquidation = (
            row.kind == INSURANCE_FUND
            and now_ms >= perp.liquidated_ms + LIQUIDATION_GAP_MS
        )
        for stream in self._held():
            if stream.symbol not in ("", perp.symbol):
                continue
            if stream.kind == TRADE:
                pushes += self._push(stream, render.trade(perp, row, now_ms))
            elif stream.kind == FORCE and is_liquidation:
                pushes += self._push(stream, render.liquidation(perp, row, now_ms))
        if is_liquidation:
            perp.liquidated_ms = now_ms
        return pushes

    # What clients say.

    def open(self, path: str, query: Mapping[str, str]) -> Session | None:
        base, _, named = path.removeprefix("/").partition("/")
        if f"/{base}" not in STREAM_PATHS:
            return None
        combined = base == "stream"
        text = query.get("streams", "") if combined else named
        names = [name for name in text.split("/") if name]
        if len(names) > self.allowed.subscriptions_max:
            return None
        session = Subscriber(path, query, combined=combined)
        session.messages_per_second = self.allowed.messages_per_second
        if not self.is_deaf:
            self._subscribe(session, names)
        return session

    def receive(self, session: Session, text: str | bytes) -> list[Frame]:
        assert isinstance(session, Subscriber)
        session.heard(self.clock.monotonic_s())
        if session.ending is not None:
            return []
        command = commands.parse(text)
        if not isinstance(command, Command):
            return [render.error_frame(command)]
        if command.method == "LIST_SUBSCRIPTIONS":
            return [render.ack_frame(command.request_id, list(session.names))]
        if command.method == "GET_PROPERTY":
            return [render.ack_frame(command.request_id, session.combined)]
        if command.method == "SET_PROPERTY":
            session.wrap(command.params[1])
        elif command.method == "UNSUBSCRIBE":
            session.release(command.params)
        elif not self.is_deaf:
            names = {*session.names, *command.params}
            if len(names) > self.allowed.subscriptions_max:
                return [render.error_frame(commands.invalid("too many parameters"))]
            found = (parse(name, self.listed) for name in command.params)
            if any(one and self.rejects(one.channel, one.symbol) for one in found):
                return [render.error_frame(commands.invalid("unknown stream"))]
            self._subscribe(session, command.params)
        self._changes += 1
        return [render.ack_frame(command.request_id)]

    def _subscribe(self, session: Subscriber, names: list[str]) -> None:
        """Serve these names too; a stream new to all starts its chain here."""
        self._forget()  # a chain that nobody held for a moment has a hole
        session.hold(names)
        self._changes += 1
        for name in names:
            stream = parse(name, self.listed)
            if stream is None:
                continue
            if stream.kind in (DIFF, PARTIAL):
                self._chain(stream, self.listed[stream.symbol].update_id)
            elif stream.kind == AGGREGATE:
                self._teller.begin(stream, self.listed[stream.symbol])

    # REST.

    def rest(self, request: Request) -> Response:
        now_s = self.clock.monotonic_s()
        return self._endpoints.answer(request, self.time.now_ms(), now_s)

    def rest_top(self, request: Request) -> tuple[str, Top] | None:
        return self._endpoints.top(request, self.clock.monotonic_s())


VENUE = Aster


def _touch(book: Book) -> list[list[int]]:
    return [list(side[0][:2]) if side else [] for side in book]


def _is_alive(perp: Perp) -> bool:
    return perp.listing.status != "SETTLING"
