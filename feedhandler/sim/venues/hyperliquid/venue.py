"""The simulated Hyperliquid itself: who gets which frame, and when.

Owns the subscriptions' rules (one object each, complete images, no sequence numbers)
and the cadence of each channel. The JSON is `render`'s, REST's answers are `info`'s.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from random import Random
from typing import Any, ClassVar, Final

from feedhandler.sim.clock import Clock
from feedhandler.sim.ladder import EMPTY
from feedhandler.sim.limits import Limits
from feedhandler.sim.market import Event, Market, Trade
from feedhandler.sim.venues._base import (
    ACK,
    HELLO,
    PONG,
    REPLY,
    Frame,
    Push,
    Request,
    Response,
    Session,
    Venue,
)
from feedhandler.sim.venues.hyperliquid import info, recorded
from feedhandler.sim.venues.hyperliquid.listings import LISTINGS, Json, Perp
from feedhandler.sim.venues.hyperliquid.render import (
    Topic,
    bbo_frame,
    context_frame,
    dump,
    error_frame,
    image_frame,
    mids_frame,
    trade_row,
    trades_frame,
)
from feedhandler.sim.venues.hyperliquid.requests import normalise, parse, topic_of

TRADE_ID_BITS = 50
TRADE_ID_FACTOR = 0x2545F4914F6CD  # odd: ids are unique and in no order
PAST_TRADES = 8
PAST_MS = 45_000  # how far back the first `trades` frame of the 2025 recording went


# A client that was given the endpoint as its host asks there.
INFO_PATHS: Final = ("/info", "/")


class Hyperliquid(Venue):
    name = "hyperliquid"
    stream_path = "/ws"
    rest_path = ""  # clients are told the host, and add the path themselves
    limits: ClassVar[Limits] = Limits()
    # Seen in 2026: slow images every 5 s, fast ones every 0.5 s. Contexts follow the
    # oracle, which changes about every 3 s, and the mark price.
    cadence: ClassVar[Mapping[str, float]] = {
        "l2Book": 5.0,
        "l2Book:fast": 0.5,
        "activeAssetCtx": 2.0,
        "allMids": 2.0,
    }

    def __init__(
        self,
        market: Market,
        clock: Clock,
        limits: Limits | None = None,
        cadence: Mapping[str, float] | None = None,
    ) -> None:
        super().__init__(market, clock, limits, cadence)
        self._random = Random(f"{market.seed}:{self.name}")  # hashes and users
        self._trade_count = 0
        self._due_s = dict.fromkeys(self.every_s, clock.monotonic_s())
        self._perps: dict[str, Perp] = {}
        self._by_asset: dict[str, Perp] = {}
        for listing in LISTINGS:
            perp = Perp(listing, market.assets.get(listing.asset))
            self._perps[listing.symbol] = perp
            self._update(perp, self.time.now_ms())
            if listing.asset:
                self._by_asset[listing.asset] = perp
                self._invent_past(perp)

    # The market.

    def on_event(self, event: Event) -> list[Push]:
        perp = self._by_asset.get(event.asset)
        if perp is None or perp.is_replayed:
            return []
        now_ms = self.time.now_ms()
        pushes = []
        if event.trade is not None:
            rows = self._fill(perp, event.trade, now_ms)
            if rows:
                push = Push(Topic("trades", perp.symbol), trades_frame(perp, rows))
                pushes.append(push)
        return pushes + self._update(perp, now_ms)

    def refresh(self) -> list[Push]:
        now_ms = self.time.now_ms()
        pushes = []
        for perp in self._perps.values():
            time_ms = perp.changed_ms if perp.is_replayed else now_ms
            pushes += self._update(perp, time_ms)
        return pushes

    def next_tick_s(self) -> float:
        return min(self._due_s.values())

    def on_tick(self) -> list[Push]:
        now_s = self.clock.monotonic_s()
        pushes: list[Push] = []
        for channel, due_s in self._due_s.items():
            if due_s <= now_s:
                self._due_s[channel] = now_s + self.every_s[channel]
                for topic in self._topics(channel):
                    pushes += self._timed(topic)
        return pushes

    def _timed(self, topic: Topic) -> list[Push]:
        """What a topic sends at its time: contexts always, images when they changed."""
        if topic.channel == "l2Book":
            perp = self._perps[topic.symbol]
            if perp.sent_images.get(topic) == perp.shown:
                return []
            if perp.is_replayed and topic == Topic("l2Book", perp.symbol):
                return []  # the recording brings them
            perp.sent_images[topic] = perp.shown
        return [Push(topic, frame) for frame in self._current(topic)]

    def _topics(self, cadence: str) -> list[Topic]:
        held: set[Any] = set()
        for session in self.sessions:
            held |= session.topics
        return sorted((topic for topic in held if topic.cadence == cadence), key=repr)

    def _update(self, perp: Perp, now_ms: int) -> list[Push]:
        """Look at the market anew and tell the touch if it changed."""
        if not self.is_quiet:
            perp.follow_market()
        perp.book = self.of_market(perp.market_book)
        perp.shown, perp.fault = self.of_stream(perp.book)
        touch = [side[:1] for side in perp.shown]
        if touch == perp.sent_touch:
            return []
        perp.sent_touch = touch
        perp.changed_ms = now_ms
        return [Push(Topic("bbo", perp.symbol), bbo_frame(perp))]

    def _fill(self, perp: Perp, trade: Trade, now_ms: int) -> list[Json]:
        """The rows of a trade against the book as it was before it."""
        side = perp.book.asks if trade.buy else perp.book.bids
        if not side:
            return []
        size = max(1, round(side[0].size * trade.share))
        count = min(trade.fills, size)
        shares = [size // count] * (count - 1)
        shares.append(size - sum(shares))
        fill_hash = f"0x{self._random.getrandbits(256):064x}"
        taker = self._user()
        rows = []
        for share in shares:
            row = trade_row(perp, trade.buy, side[0], share, now_ms)
            users = [taker, self._user()] if trade.buy else [self._user(), taker]
            self._trade_count += 1
            number = self._trade_count * TRADE_ID_FACTOR % (1 << TRADE_ID_BITS)
            rows.append({**row, "hash": fill_hash, "tid": number, "users": users})
        perp.trades.extend(rows)
        return rows

    def _user(self) -> str:
        return f"0x{self._random.getrandbits(160):040x}"

    def _invent_past(self, perp: Perp) -> None:
        """Trades from before the start, so that the first frame can replay some."""
        now_ms = self.time.now_ms()
        ages_ms = self._random.sample(range(500, PAST_MS), PAST_TRADES)
        for age_ms in sorted(ages_ms, reverse=True):
            trade = Trade(self._random.random() < 0.5, self._random.uniform(0, 0.3), 1)
            self._fill(perp, trade, now_ms - age_ms)

    def _current(self, topic: Topic) -> list[Frame]:
        """What a new subscriber of the topic gets at once."""
        if topic.channel == "allMids":
            return [mids_frame(info.all_mids(self._perps))]
        perp = self._perps[topic.symbol]
        if topic.channel == "activeAssetCtx":
            return [context_frame(perp)]
        if topic.channel == "trades":
            return [trades_frame(perp, list(perp.trades))] if perp.trades else []
        if perp.is_replayed and perp.recorded_image is None:
            return []  # nothing was recorded before the first frame
        if topic.channel == "bbo":
            return [bbo_frame(perp)]
        if perp.recorded_image is not None and topic == Topic("l2Book", perp.symbol):
            return [perp.recorded_image]
        time_ms = perp.changed_ms if perp.is_replayed else self.time.now_ms()
        return [image_frame(perp, topic, time_ms)]

    # What clients say.

    def greet(self, session: Session) -> list[Frame]:
        return [Frame("Websocket connection established.", HELLO)]

    def receive(self, session: Session, text: str | bytes) -> list[Frame]:
        if not self.request_budget.take(1, self.clock.monotonic_s()):
            return [error_frame("Cannot send more than 2000 messages per minute.")]
        request = parse(text)
        if not isinstance(request, dict):
            return [_unreadable(text)]
        method = request.get("method")
        if method == "ping":
            return [Frame('{"channel":"pong"}', PONG)]
        if method == "post":
            return [self._post(request) or _unreadable(text)]
        subscription = normalise(request.get("subscription"))
        if method not in ("subscribe", "unsubscribe") or subscription is None:
            return [_unreadable(text)]
        topic = topic_of(subscription, self._perps)
        if topic is None:
            return [error_frame(f"Invalid subscription {dump(subscription)}")]
        refusal = self._change(session, method == "subscribe", topic)
        if refusal:
            return [error_frame(refusal.format(dump(subscription)))]
        data = {"method": method, "subscription": subscription}
        answer = Frame(dump({"channel": "subscriptionResponse", "data": data}), ACK)
        if topic not in session.topics:
            return [answer]
        return [answer, *self._current(topic)]

    def _change(self, session: Session, add: bool, topic: Topic) -> str:
        """Add or remove a topic; returns why it was refused, or nothing."""
        if not add:
            if topic not in session.topics:
                return "Already unsubscribed: {}"
            session.topics.discard(topic)
        elif topic in session.topics:
            return "Already subscribed: {}"
        elif self.subscription_count() >= self.allowed.subscriptions_max:
            return "Cannot subscribe to more than 1000 channels."
        elif not self.is_deaf:
            session.topics.add(topic)
        return ""

    def _post(self, request: Json) -> Frame | None:
        """The answer to an info request over the stream, or None if it is malformed.

        Whether the real venue counts it as REST weight is unknown; we do not.
        """
        number, inner = request.get("id"), request.get("request")
        payload = inner.get("payload") if isinstance(inner, dict) else None
        if type(number) is not int or not isinstance(payload, dict):
            return None
        answer = info.UNREADABLE
        if request["request"].get("type") == "info":
            answer = self._info(payload)
        response: Json = {
            "type": "error",
            "payload": f"{answer.status} Unprocessable Entity: {answer.body}",
        }
        if answer.status == 200:
            data = json.loads(answer.body)
            payload = {"type": payload["type"], "data": data}
            response = {"type": "info", "payload": payload}
        data = {"id": number, "response": response}
        return Frame(dump({"channel": "post", "data": data}), REPLY)

    # REST.

    def rest(self, request: Request) -> Response:
        if request.path not in INFO_PATHS:
            return Response(404, "", "text/plain")
        if request.method != "POST":
            return Response(405, "", "text/plain")
        body = parse(request.body)
        if not isinstance(body, dict):
            return info.UNREADABLE
        now_s = self.clock.monotonic_s()
        if not self.rest_budget.take(info.weight(body), now_s):
            return info.TOO_MANY
        answer = self._info(body)
        # Rows are charged when they are known, as far as the budget still allows.
        self.rest_budget.take(info.row_weight(body, answer), now_s)
        return answer

    def _info(self, body: Json) -> Response:
        now_ms = self.time.now_ms()
        return info.answer(body, self._perps, self.market.seed, now_ms)

    # Replay.

    def begin_replay(self, messages: list[Json]) -> None:
        for message in messages:
            symbol = recorded.symbol_of(message)
            if symbol not in self._perps:
                raise ValueError(f"recorded coin is not listed: coin={symbol}")
            perp = self._perps[symbol]
            recorded.check(message, perp)
            perp.is_replayed = True
            perp.market_book = EMPTY
            perp.trades.clear()
            self._update(perp, 0)

    def wants_replay(self, session: Session) -> bool:
        topics: set[Any] = session.topics
        named = (self._perps[topic.symbol] for topic in topics if topic.symbol)
        return any(perp.is_replayed for perp in named)

    def replay(self, message: Json, shift_ms: int) -> list[Push]:
        perp = self._perps[recorded.symbol_of(message)]
        message = recorded.shifted(message, shift_ms)
        frame = recorded.apply(message, perp)
        pushes = [Push(Topic(frame.channel, perp.symbol), frame)]
        if frame.channel == "l2Book":
            # The recording has no bbo; its images tell the same touch.
            pushes += self._update(perp, message["data"]["time"])
        return pushes


VENUE = Hyperliquid


def _unreadable(text: str | bytes) -> Frame:
    shown = text if isinstance(text, str) else text.decode("utf-8", "replace")
    return error_frame(f"Error parsing JSON into valid websocket request: {shown}")
