"""The simulated Paradex itself: who gets which frame, and when.

Owns the counter that all streams of a market share, the rules of subscribing, and the
cadence of what is timed. Frames are `render`'s, REST's answers are `rest`'s.

    market event ─▶ seq + 1 ─▶ trades, bbo if the touch changed, a delta always

Where the venue is not known: bbo tells nothing before its first change (so it looked on
2026-10-08), trades are not replayed, several fills of one taker share a number, and a
connection beyond 20 in a second is answered 429.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from functools import partial
from typing import ClassVar

from feedhandler.sim.limits import Budget, Limits
from feedhandler.sim.market import Event, Trade
from feedhandler.sim.truth import Top
from feedhandler.sim.venues._base import (
    Frame,
    Push,
    Request,
    Response,
    Session,
    Venue,
    fills,
    following,
)
from feedhandler.sim.venues.paradex import channels, control, render, rest, sbe
from feedhandler.sim.venues.paradex.books import is_on_grid, miscounted, touch
from feedhandler.sim.venues.paradex.channels import Channel, Topic
from feedhandler.sim.venues.paradex.listings import LISTINGS, Fill, Image, Perp
from feedhandler.sim.venues.paradex.sessions import Beat, Client, version_of

CONNECTS_PER_SECOND = 20
BEAT_CHECK_S = 0.25  # of the time a heartbeat is due after
FIRST_SEQ = 7_600_000_000  # as in the captures of 2026
TRADE_ID_TAIL = 201_709_233_240_000  # fifteen digits after those of the time
LIQUIDATIONS = 0.02  # share of the trades
PAST_TRADES = 8
PAST_MS = 45_000


class Paradex(Venue[Perp]):
    name = "paradex"
    stream_path = "/v1"  # clients add the schema they want
    rest_path = rest.ROOT
    books = (channels.BBO, "order_book")
    # The venue documents no limit of sessions or subscriptions; ours protect us.
    limits: ClassVar[Limits] = Limits(
        connections_max=600,
        connects_per_minute=600,
        rest_weight_per_minute=1500,
        queue_frames_max=2000,
        ping_s=55.0,
        pong_s=5.0,
    )
    cadence: ClassVar[Mapping[str, float]] = {
        "order_book.snapshot@50ms": 0.05,
        "order_book.snapshot@100ms": 0.1,
        "order_book.interactive@100ms": 0.1,
        "order_book.interactive@200ms": 0.2,
        "order_book.interactive@400ms": 0.4,
        channels.FUNDING: 1.0,
        channels.SUMMARY: 1.0,
        "heartbeat": 20.0,  # after so long without a frame
    }

    def _list(self) -> None:
        now_s, now_ms = self.clock.monotonic_s(), self.time.now_ms()
        # Sessions and what they may ask.
        self._numbers = itertools.count(1)
        self._connects = Budget(CONNECTS_PER_SECOND, 1.0)
        self._bucket = rest.Bucket(self.allowed.rest_weight_per_minute, now_s)
        # Timed channels: which image each topic has.
        self._sent_seqs: dict[Topic, int] = {}
        self._accrued_s = now_s
        # The markets.
        self._trade_count = 0
        for listing in LISTINGS:
            seq = FIRST_SEQ + self._random.randrange(10**8)
            perp = Perp(listing, self.market.assets[listing.asset], seq, now_ms)
            self._enter(perp)
            for trade, time_ms in self._history(perp, PAST_TRADES, PAST_MS):
                self._fill(perp, trade, time_ms)

    # The market.

    def on_event(self, event: Event) -> list[Push]:
        return self._sent(super().on_event(event))

    def refresh(self) -> list[Push]:
        self._arm_gaps()
        now_ms = self.time.now_ms()
        pushes: list[Push] = []
        for perp in self.listed.values():
            pushes += self._update(perp, now_ms, is_event=False)
        return self._sent(pushes)

    def _trade(self, perp: Perp, trade: Trade, now_ms: int) -> list[Push]:
        filled = self._fill(perp, trade, now_ms)
        return [push for fill in filled for push in self._told(perp, fill, now_ms)]

    def _update(self, perp: Perp, now_ms: int, is_event: bool = True) -> list[Push]:
        """Look at the market anew; an event is counted even if it changed nothing."""
        old, old_shown = perp.told, perp.shown
        shown, fault = self.look(perp)
        told, told_fault = shown, fault
        if self.board.find("corrupt", channels.DELTAS, perp.symbol):
            told, told_fault = miscounted(shown), "corrupt"
        if not is_event and (shown, told) == (old_shown, old.book):
            return []
        perp.shown, perp.fault = shown, fault
        perp.told = Image(old.seq + 1, told, now_ms, told_fault)
        perp.images.append(Image(old.seq + 1, perp.book, now_ms, "old_snapshot"))
        pushes: list[Push] = []
        if touch(shown, perp.grid) != touch(old_shown, perp.grid):
            pushes += self._touched(perp)
        return pushes + self._changed(perp, old)

    def _touched(self, perp: Perp) -> list[Push]:
        api, retail = (
            partial(render.bbo_frame, perp, is_interactive=flag)
            for flag in (False, True)
        )
        symbol = perp.symbol
        return [
            *self._each(perp, Channel(channels.BBO, symbol), api),
            *self._each(perp, Channel(channels.BBO, ""), api),
            *self._each(perp, Channel(channels.BBO_INTERACTIVE, symbol), retail),
        ]

    def _changed(self, perp: Perp, old: Image) -> list[Push]:
        pushes = []
        for kind in (channels.DELTAS, channels.DELTAS_INTERACTIVE):
            flag = kind == channels.DELTAS_INTERACTIVE
            build = partial(render.delta_frame, perp, old, is_interactive=flag)
            pushes += self._each(perp, Channel(kind, perp.symbol), build)
        return [] if pushes and self._is_lost(perp) else pushes

    def _told(self, perp: Perp, fill: Fill, now_ms: int) -> list[Push]:
        build = partial(render.trade_frame, perp, fill, now_ms=now_ms)
        return [
            *self._each(perp, Channel(channels.TRADES, perp.symbol), build),
            *self._each(perp, Channel(channels.TRADES, ""), build),
        ]

    def _each(
        self, perp: Perp, channel: Channel, build: Callable[[int, str], Frame]
    ) -> list[Push]:
        """A frame in each version of the schema in which somebody holds the channel."""
        pushes = []
        for version in sbe.VERSIONS:
            topic = Topic(channel, version)
            if self.is_held(topic):
                symbol = self._symbol(perp, channel.kind)
                pushes.append(Push(topic, build(version, symbol)))
        return pushes

    def _sent(self, pushes: list[Push]) -> list[Push]:
        """Note which sessions are not idle, and return what they are sent."""
        now_s = self.clock.monotonic_s()
        for topic, frame in pushes:
            if not self.is_muted(frame.channel, frame.symbol):
                for client in self._clients():
                    if topic in client.topics:
                        client.active_s = now_s
        return pushes

    def _fill(self, perp: Perp, trade: Trade, now_ms: int) -> list[Fill]:
        """The rows of a trade against the book as it was before it."""
        found = fills(trade, perp.book)
        if not found:
            return []
        is_forced = self._random.random() < LIQUIDATIONS
        seq = 0 if is_forced else perp.seq + 1  # that of the book after the trade
        rows = []
        for price, size, _ in found:
            self._trade_count += 1
            trade_id = f"{now_ms}{TRADE_ID_TAIL + self._trade_count}"
            rows.append(Fill(trade_id, seq, trade.buy, price, size, now_ms, is_forced))
        perp.fills.extend(rows)
        perp.last_price = found[0].price
        return rows

    # What is timed.

    def on_tick(self) -> list[Push]:
        return self._sent(super().on_tick())

    def _timed(self, channel: str) -> list[Push]:
        now_s, now_ms = self.clock.monotonic_s(), self.time.now_ms()
        if channel == "heartbeat":
            self._due_s[channel] = now_s + self.every_s[channel] * BEAT_CHECK_S
            return self._beats(now_s, now_ms)
        if channel == channels.FUNDING:
            self._accrue(now_s)
        topics = self._held(channel)
        return [push for topic in topics for push in self._filled(topic, now_ms)]

    def _accrue(self, now_s: float) -> None:
        for perp in self.listed.values():
            perp.accrue(now_s - self._accrued_s)
        self._accrued_s = now_s

    def _beats(self, now_s: float, now_ms: int) -> list[Push]:
        """A heartbeat for each session to which nothing was sent for long."""
        held = self.held_topics()
        self._sent_seqs = {
            topic: seq for topic, seq in self._sent_seqs.items() if topic in held
        }
        idle_s = now_s - self.every_s["heartbeat"]
        pushes = []
        for client in self._clients():
            if client.active_s <= idle_s:
                frame = render.heartbeat_frame(client.version, now_ms)
                pushes.append(Push(Beat(client.number), frame))
        return pushes

    def _filled(self, topic: Topic, now_ms: int) -> list[Push]:
        """What a topic sends at its time; an image only if the book moved on."""
        channel, version = topic
        if channel.market and channel.market not in self.listed:
            return []
        if channel.rate_ms:
            perp = self.listed[channel.market]
            frames = []
            if self._sent_seqs.get(topic) != perp.seq:
                frames = self._image(channel, version)
            return [Push(topic, frame) for frame in frames]
        is_funding = channel.kind == channels.FUNDING
        build = render.funding_frame if is_funding else render.summary_frame
        chosen = [channel.market] if channel.market else list(self.listed)
        perps = [self.listed[symbol] for symbol in chosen]
        return [
            Push(topic, build(perp, version, self._symbol(perp, channel.kind), now_ms))
            for perp in perps
        ]

    def _image(self, channel: Channel, version: int) -> list[Frame]:
        """The book that opens or refreshes a channel; none for a channel of nothing."""
        perp = self.listed.get(channel.market)
        if perp is None or not is_on_grid(channel.tick, perp.grid):
            return []
        self._sent_seqs[Topic(channel, version)] = perp.seq
        image = perp.told
        if self.board.find("old_snapshot", channel.kind, perp.symbol):
            image = perp.images[0]
        symbol = self._symbol(perp, channel.kind)
        return [render.image_frame(perp, image, channel, version, symbol)]

    def _held(self, cadence: str) -> list[Topic]:
        found = {
            Topic(channel, client.version)
            for client in self._clients()
            for channel in client.names
            if channel.cadence == cadence
        }
        return sorted(found)

    # What clients say.

    def open(self, path: str, query: Mapping[str, str]) -> Session | Response | None:
        """A session of the version of the schema that is asked for."""
        if path != self.stream_path:
            return None
        now_s = self.clock.monotonic_s()
        if not self._connects.take(1, now_s):
            return Response(429, "", "text/plain")
        version = version_of(query)
        if version is None:
            return Response(400, "unsupported SBE schema", "text/plain")
        number = next(self._numbers)
        return Client(path, query, version=version, number=number, active_s=now_s)

    def receive(self, session: Session, text: str | bytes) -> list[Frame]:
        assert isinstance(session, Client)
        session.active_s = self.clock.monotonic_s()
        has_room = self.subscription_count() < self.allowed.subscriptions_max
        number, body, opened = control.handle(
            session, text, has_room, self.is_deaf, self.rejects
        )
        in_us, took_us = self.time.now_ms() * 1000, self._random.randint(29, 130)
        frames = [render.answer_frame(number, body, in_us, took_us)]
        if opened is not None and opened.kind.startswith("order_book"):
            frames += self._image(opened, session.version)
        return frames

    def subscription_count(self) -> int:
        return sum(len(client.names) for client in self._clients())

    def _clients(self) -> list[Client]:
        return [session for session in self.sessions if isinstance(session, Client)]

    # REST.

    def rest(self, request: Request) -> Response:
        """The answer to a request; its headers tell what is left of the limit."""
        now_ms = self.time.now_ms()
        if not self._bucket.take(self.clock.monotonic_s()):
            refusal = rest.refusal(429, "RATE_LIMITED", "too many requests")
            return refusal._replace(headers=self._bucket.headers(now_ms))
        is_old = self.board.find("old_snapshot") is not None
        for perp in self.listed.values():
            perp.rest_image = perp.images[0 if is_old else -1]
            perp.rest_symbol = self._symbol(perp, "")
        answer = rest.answer(request, self.listed, now_ms)
        return answer._replace(headers=self._bucket.headers(now_ms))

    def rest_top(self, request: Request) -> tuple[str, Top] | None:
        what, _, symbol = request.path.removeprefix(f"{rest.ROOT}/").partition("/")
        if what not in ("orderbook", "bbo") or request.query.get("price_tick"):
            return None
        perp = self.listed.get(symbol)
        if perp is None:
            return None  # the interactive book, which has orders of its own
        image = perp.rest_image
        is_old = image is not perp.images[-1]
        fault = "old_snapshot" if is_old else ""
        if perp.rest_symbol != symbol:
            fault = render.WRONG_SYMBOL
        top = render.top_of(perp, image.book, image.changed_ms, fault)
        return perp.rest_symbol, top._replace(sequence=image.seq)

    # Faults.

    def _symbol(self, perp: Perp, channel: str) -> str:
        """The name that frames tell, which is another market's under a fault."""
        if self.board.find("wrong_symbol", channel, perp.symbol) is None:
            return perp.symbol
        return following(perp.symbol, self.listed)

    def _arm_gaps(self) -> None:
        """Let each market lose one delta for a gap of a moment, which ends at once."""
        for perp in self.listed.values():
            gap = self.board.find("gap", channels.DELTAS, perp.symbol)
            if gap is not None and gap.duration_s is None:
                perp.gaps += 1

    def _is_lost(self, perp: Perp) -> bool:
        """True if the delta of now is lost: one for a moment, else every second one."""
        if perp.gaps:
            perp.gaps -= 1
            return True
        gap = self.board.find("gap", channels.DELTAS, perp.symbol)
        perp.is_losing = gap is not None and not perp.is_losing
        return perp.is_losing


VENUE = Paradex
