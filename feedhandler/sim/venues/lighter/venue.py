"""The simulated Lighter itself: who gets which frame, and when.

Owns the subscriptions' rules, the cadence of each channel and the faults of the book's
stream. Books and their chain are `books`', the JSON is `render`'s, REST is `rest`'s.

    order book   batched: one delta for all that changed since the last one
    ticker       at once when the best bid or ask changed
    trade        at once
    the others   at their cadence

A newcomer's snapshot is the book as of the last delta, so that the next one joins it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar
from uuid import UUID

from feedhandler.sim.limits import RECENT_TRADES, Limits
from feedhandler.sim.market import Trade
from feedhandler.sim.truth import Top
from feedhandler.sim.venues._base import (
    ACK,
    HELLO,
    PONG,
    Ending,
    Frame,
    Push,
    Request,
    Response,
    Session,
    Venue,
    dump,
    parse_json,
)
from feedhandler.sim.venues.lighter import rest, stats
from feedhandler.sim.venues.lighter.books import (
    Image,
    Nonces,
    corrupted,
    delta,
)
from feedhandler.sim.venues.lighter.figures import Figures
from feedhandler.sim.venues.lighter.fills import Fills, height_at
from feedhandler.sim.venues.lighter.listings import (
    LISTINGS,
    STRANGER,
    Instrument,
    Name,
)
from feedhandler.sim.venues.lighter.render import (
    SUBSCRIBED,
    UPDATE,
    delta_frame,
    error_frame,
    height_frame,
    snapshot_frame,
    ticker_frame,
    top_of,
    trades_frame,
)
from feedhandler.sim.venues.lighter.requests import (
    ALREADY_SUBSCRIBED,
    BOOK,
    HEIGHT,
    INVALID_CHANNEL,
    INVALID_JSON,
    INVALID_TYPE,
    NOT_SUBSCRIBED,
    SPOT_STATS,
    STATS,
    TICKER,
    TOO_MANY_MESSAGES,
    TOO_MANY_SUBSCRIPTIONS,
    TRADE,
    Topic,
    topic_of,
)
from feedhandler.sim.venues.lighter.sessions import NO_PONG, LighterSession

PAST_TRADES = 24
PAST_MS = 45_000
# The venue tells a change at least so long after it, in the recordings of 2026.
TELLING_MS = 2
PING = Topic("ping")  # held by every session, subscribed by none
RECENT_LIQUIDATIONS = 10


class Lighter(Venue[Instrument]):
    name = "lighter"
    stream_path = "/stream"
    books = (BOOK, TICKER)
    # Documented in July 2026. Pings go to every session, so that the host's own limit
    # of silence is reached by those alone that were ended.
    limits: ClassVar[Limits] = Limits(
        connections_max=255,
        connects_per_minute=255,
        subscriptions_max=500,
        requests_per_minute=200,
        rest_weight_per_minute=60,
        silence_s=90.0,
        pong_s=20.0,
    )
    # Books are batched every 50 ms and blocks take 119 ms. Two frames of statistics
    # were 445 ms apart, one a second is assumed; how often it pings is not known.
    cadence: ClassVar[Mapping[str, float]] = {
        BOOK: 0.05,
        STATS: 1.0,
        SPOT_STATS: 1.0,
        HEIGHT: 0.119,
        PING.channel: 60.0,
    }
    no_pong: ClassVar[Ending] = NO_PONG
    client_silence_s = 120.0

    def _list(self) -> None:
        self._nonces = Nonces(self._random)
        self._fills = Fills(self._random)
        self._last_us = 0
        self._due_s[PING.channel] += self.every_s[PING.channel]
        self._instruments: dict[int, Instrument] = {}
        self._figures = Figures(self._instruments, self.market.seed)
        for listing in LISTINGS:
            one = Instrument(listing, self.market.assets.get(listing.asset))
            self._instruments[listing.market_id] = one
            self._enter(one)
            if one.asset is None:
                one.touch_nonce = self._nonces.last
                continue
            offset = self._nonces.first_offset()
            one.live = one.sent = one.live._replace(offset=offset)
            one.past.append(one.sent)
            for trade, time_ms in self._history(one, PAST_TRADES, PAST_MS):
                self._fills.add(one, trade, time_ms * 1000)
        perps = {key for key, one in self._instruments.items() if one.is_perp}
        self._perps = frozenset(map(str, perps))
        self._spots = frozenset(map(str, self._instruments.keys() - perps))

    # The market.

    def refresh(self) -> list[Push]:
        for one in self.listed.values():
            gap = self.board.find("gap", BOOK, one.symbol)
            if gap is not None and gap is not one.gap:
                one.gap = gap
                one.loses_next = True
        return super().refresh()

    def _trade(self, one: Instrument, trade: Trade, now_ms: int) -> list[Push]:
        rows = self._fills.add(one, trade, self._now_us())
        if not rows:
            return []
        name, wrong = self._name(TRADE, one)
        liquidations = [row for row in rows if row["type"] == "liquidation"]
        trades = [] if liquidations else rows
        frame = trades_frame(UPDATE, one, trades, liquidations, name, wrong)
        return [Push(self._topic(TRADE, one), frame)]

    def _update(self, one: Instrument, now_ms: int) -> list[Push]:
        """Look at the market anew and tell the touch if it changed."""
        book, fault = self.look(one)
        before = one.live
        if book == before.book:
            return []
        now_us = self._now_us()
        nonce = self._nonces.take()
        one.live = Image(book, nonce, before.offset, now_us, fault)
        price = stats.middle(one)
        one.high = max(one.high, price)
        one.low = min(one.low or price, price or one.low)
        if [side[:1] for side in book] == [side[:1] for side in before.book]:
            return []
        one.touch_nonce, one.touch_us = nonce, now_us
        name, wrong = self._name(TICKER, one)
        frame = ticker_frame(UPDATE, one, name, wrong, now_ms)
        return [Push(self._topic(TICKER, one), frame)]

    def _batch(self, one: Instrument) -> list[Push]:
        """The delta of all that changed since the last one; a gap loses it."""
        live, before = one.live, one.sent
        book, fault = live.book, live.fault
        if book.bids and self.board.find("corrupt", BOOK, one.symbol) is not None:
            book, fault = corrupted(book), "corrupt"
        if live.nonce == before.nonce and book == before.book:
            return []
        if live.nonce == before.nonce:
            # The market stood still, so a fault that began or ended is the change.
            live = live._replace(nonce=self._nonces.take(), changed_us=self._now_us())
            one.live = live
        offset = self._nonces.later_offset(before.offset)
        one.sent = live._replace(book=book, offset=offset, fault=fault)
        one.past.append(one.sent)
        if one.loses_delta(self.board.find("gap", BOOK, one.symbol) is not None):
            return []
        name, wrong = self._name(BOOK, one)
        change = delta(before, one.sent)
        frame = delta_frame(one, change, name, wrong, self.time.now_ms())
        return [Push(self._topic(BOOK, one), frame)]

    def _name(self, channel: str, one: Instrument) -> tuple[Name, str]:
        """How a frame calls its market, and the fault that made it wrong."""
        if self.board.find("wrong_symbol", channel, one.symbol) is not None:
            return STRANGER, "wrong_symbol"
        return one.name, ""

    def _topic(self, channel: str, one: Instrument) -> Topic:
        return Topic(channel, str(one.market_id))

    def _now_us(self) -> int:
        """The time of a change; never before an earlier one."""
        now_us = (self.time.now_ms() - TELLING_MS) * 1000 + self._random.randrange(1000)
        self._last_us = max(self._last_us, now_us)
        return self._last_us

    # Time.

    def on_tick(self) -> list[Push]:
        pushes = super().on_tick()
        now_s = self.clock.monotonic_s()
        for session in self._sessions():
            ending = session.overdue(now_s, self.client_silence_s, self.allowed.pong_s)
            if ending is not None:
                session.end(ending)
        return pushes

    def _timed(self, channel: str) -> list[Push]:
        now_ms = self.time.now_ms()
        if channel == BOOK:
            found = (self._batch(one) for one in self._instruments.values())
            return [push for pushes in found for push in pushes]
        if channel == HEIGHT:
            frame = height_frame(UPDATE, height_at(now_ms), now_ms)
            return [Push(Topic(HEIGHT), frame)]
        if channel == PING.channel:
            for session in self._sessions():
                if session.pinged_s is None:
                    session.pinged_s = self.clock.monotonic_s()
            return [Push(PING, Frame('{"type":"ping"}', PONG))]
        return self._figures.changes(channel, now_ms)

    def _sessions(self) -> list[LighterSession]:
        found: list[Any] = list(self.sessions)
        return [session for session in found if session.ending is None]

    # What a new subscriber gets at once, which is its acknowledgement.

    def _first(self, topic: Topic) -> Frame:
        now_ms = self.time.now_ms()
        if topic.channel == HEIGHT:
            return height_frame(SUBSCRIBED, height_at(now_ms), now_ms)
        if topic.channel in (STATS, SPOT_STATS):
            return self._figures.first(topic, now_ms)
        one = self._instruments[int(topic.place)]
        if topic.channel == TICKER:
            return ticker_frame(SUBSCRIBED, one, one.name, "", now_ms)
        if topic.channel == TRADE:
            trades = list(reversed(one.trades))[:RECENT_TRADES]
            liquidations = list(reversed(one.liquidations))[:RECENT_LIQUIDATIONS]
            return trades_frame(SUBSCRIBED, one, trades, liquidations, one.name)
        return snapshot_frame(one, self._snapshot(one), now_ms)

    def _snapshot(self, one: Instrument) -> Image:
        old = one.past[0] if one.past else one.sent
        is_old = self.board.find("old_snapshot", BOOK, one.symbol) is not None
        if not is_old or old.nonce == one.sent.nonce:
            return one.sent
        return old._replace(fault="old_snapshot")

    # What clients say.

    def open(self, path: str, query: Mapping[str, str]) -> LighterSession | None:
        """A session; `readonly=true` and whatever else is asked for changes nothing."""
        if path != self.stream_path:
            return None
        session = LighterSession(
            path,
            query,
            session_id=str(UUID(int=self._random.getrandbits(128))),
            heard_s=self.clock.monotonic_s(),
        )
        session.topics.add(PING)
        return session

    def greet(self, session: Session) -> list[Frame]:
        assert isinstance(session, LighterSession)
        hello = {"type": "connected", "session_id": session.session_id}
        return [Frame(dump(hello), HELLO)]

    def receive(self, session: Session, text: str | bytes) -> list[Frame]:
        assert isinstance(session, LighterSession)
        now_s = self.clock.monotonic_s()
        session.heard(now_s)
        request = parse_json(text)
        is_object = isinstance(request, dict)
        kind = request.get("type") if is_object else None
        if kind == "pong":
            session.pinged_s = None
        if not self.request_budget.take(1, now_s):
            return [self._error(session, TOO_MANY_MESSAGES)]
        if kind == "pong":
            return []
        if kind == "ping":
            return [Frame('{"type":"pong"}', PONG)]
        if kind not in ("subscribe", "unsubscribe"):
            code = INVALID_TYPE if is_object else INVALID_JSON
            return [self._error(session, code)]
        topic = topic_of(request.get("channel"), self._perps, self._spots)
        if isinstance(topic, int):
            return [self._error(session, topic)]
        if kind == "unsubscribe":
            return self._unsubscribe(session, topic)
        if self.rejects(topic.channel, self._symbol(topic)):
            return [self._error(session, INVALID_CHANNEL)]
        return self._subscribe(session, topic)

    def _symbol(self, topic: Topic) -> str:
        return (
            self._instruments[int(topic.place)].symbol if topic.place.isdigit() else ""
        )

    def _subscribe(self, session: LighterSession, topic: Topic) -> list[Frame]:
        if topic in session.topics:
            # No new snapshot: a client has to unsubscribe first.
            return [self._error(session, ALREADY_SUBSCRIBED, topic.colon_name)]
        if len(session.topics) > self.allowed.subscriptions_max:
            return [self._error(session, TOO_MANY_SUBSCRIPTIONS)]
        if self.is_deaf:
            return []
        session.topics.add(topic)
        return [self._first(topic)]

    def _unsubscribe(self, session: LighterSession, topic: Topic) -> list[Frame]:
        if topic not in session.topics:
            return [self._error(session, NOT_SUBSCRIBED, topic.colon_name)]
        session.topics.discard(topic)
        answer = {"type": "unsubscribed", "channel": topic.colon_name}
        return [Frame(dump(answer), ACK)]

    def _error(self, session: LighterSession, code: int, name: str = "") -> Frame:
        """An error; both known forms are sent in turn, since neither has a rule."""
        session.error_count += 1
        return error_frame(code, name, is_flat=session.error_count % 2 == 0)

    # REST.

    def rest(self, request: Request) -> Response:
        if not self.rest_budget.take(1, self.clock.monotonic_s()):
            return rest.failure(rest.TOO_MANY, "Too Many Requests!")
        if request.method != "GET":
            return rest.failure(rest.NOT_FOUND, "not found")
        desk = rest.Rest(
            self._instruments,
            self.market.seed,
            self.time.now_ms(),
            self.board.find("wrong_symbol") is not None,
        )
        return desk.answer(request.path, request.query)

    def rest_top(self, request: Request) -> tuple[str, Top] | None:
        if not request.path.endswith("/orderBookOrders"):
            return None
        one = self._instruments[int(request.query["market_id"])]
        most = max((side[0].orders for side in one.book if side), default=0)
        if most > int(request.query["limit"]) or self.board.find("wrong_symbol"):
            return None  # of what was asked for, not the whole touch was told
        image = one.live._replace(book=one.book, nonce=-1, fault="")
        return one.symbol, top_of(one, image)


VENUE = Lighter
