"""The simulated Hyperliquid itself: who gets which frame, and when.

Owns the subscriptions' rules (one object each, complete images, no sequence numbers)
and the cadence of each channel. The JSON is `render`'s, REST's answers are `info`'s.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, ClassVar, Final

from feedhandler.sim.ladder import EMPTY, Book
from feedhandler.sim.market import Trade
from feedhandler.sim.truth import Top
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
    dump,
    fills,
    following,
    parse_json,
)
from feedhandler.sim.venues.hyperliquid import info, recorded
from feedhandler.sim.venues.hyperliquid.listings import LISTINGS, Json, Perp
from feedhandler.sim.venues.hyperliquid.render import (
    Topic,
    bbo_frame,
    context_frame,
    error_frame,
    image_frame,
    mids_frame,
    renamed,
    top_of,
    trade_row,
    trades_frame,
)
from feedhandler.sim.venues.hyperliquid.requests import normalise, topic_of

TRADE_ID_BITS = 50
TRADE_ID_FACTOR = 0x2545F4914F6CD  # odd: ids are unique and in no order
PAST_TRADES = 8
PAST_MS = 45_000  # how far back the first `trades` frame of the 2025 recording went


# A client that was given the endpoint as its host asks there.
INFO_PATHS: Final = ("/info", "/")


class Hyperliquid(Venue[Perp]):
    name = "hyperliquid"
    stream_path = "/ws"
    books = ("bbo", "l2Book")
    # Seen in 2026: slow images every 5 s, fast ones every 0.5 s. Contexts follow the
    # oracle, which changes about every 3 s, and the mark price.
    cadence: ClassVar[Mapping[str, float]] = {
        "l2Book": 5.0,
        "l2Book:fast": 0.5,
        "activeAssetCtx": 2.0,
        "allMids": 2.0,
    }

    def _list(self) -> None:
        self._trade_count = 0
        for listing in LISTINGS:
            perp = Perp(listing, self.market.assets.get(listing.asset))
            self._enter(perp)
            for trade, time_ms in self._history(perp, PAST_TRADES, PAST_MS):
                self._fill(perp, trade, time_ms)

    # The market.

    def _timed(self, channel: str) -> list[Push]:
        return [push for topic in self._topics(channel) for push in self._told(topic)]

    def _told(self, topic: Topic) -> list[Push]:
        """What a topic sends at its time: contexts always, images when they changed."""
        if topic.channel == "l2Book":
            perp = self.listed[topic.symbol]
            if perp.sent_images.get(topic) == perp.shown:
                return []
            if perp.is_replayed and topic == Topic("l2Book", perp.symbol):
                return []  # the recording brings them
            perp.sent_images[topic] = perp.shown
        return [self._push(topic, frame) for frame in self._current(topic)]

    def _push(self, topic: Topic, frame: Frame) -> Push:
        return Push(topic, self._named(frame))

    def _named(self, frame: Frame) -> Frame:
        """The frame, or one of another coin under that fault."""
        fault = self.board.find("wrong_symbol", frame.channel, frame.symbol)
        if fault is None or not frame.symbol:
            return frame
        return renamed(frame, self._other(frame.symbol))

    def _other(self, symbol: str) -> str:
        live = (symbol for symbol, perp in self.listed.items() if perp.asset)
        return following(symbol, live)

    def _topics(self, cadence: str) -> list[Topic]:
        held = (topic for topic in self.held_topics() if topic.cadence == cadence)
        return sorted(held, key=repr)

    def _update(self, perp: Perp, now_ms: int) -> list[Push]:
        if perp.is_replayed:
            return self._look(perp, perp.changed_ms)
        # Times are those of blocks: what follows a block that was told has a later one.
        return self._look(perp, max(now_ms, perp.told_ms + 1))

    def _look(self, perp: Perp, now_ms: int) -> list[Push]:
        """Look at the market anew and tell the touch if it changed."""
        perp.shown, perp.fault = self.look(perp)
        touch = [side[:1] for side in perp.shown]
        if touch == perp.sent_touch:
            return []
        perp.sent_touch = touch
        perp.changed_ms = perp.told_ms = now_ms
        perp.past.append((perp.book, now_ms))
        return [self._push(Topic("bbo", perp.symbol), bbo_frame(perp))]

    def _trade(self, perp: Perp, trade: Trade, now_ms: int) -> list[Push]:
        if perp.is_replayed:
            return []  # the recording has its own
        rows = self._fill(perp, trade, now_ms)
        topic = Topic("trades", perp.symbol)
        return [self._push(topic, trades_frame(perp, rows))] if rows else []

    def _fill(self, perp: Perp, trade: Trade, now_ms: int) -> list[Json]:
        """The rows of a trade against the book as it was before it."""
        found = fills(trade, perp.book)
        if not found:
            return []
        fill_hash = f"0x{self._random.getrandbits(256):064x}"
        taker = self._user()
        rows = []
        for fill in found:
            row = trade_row(perp, trade.buy, fill, now_ms)
            users = [taker, self._user()] if trade.buy else [self._user(), taker]
            self._trade_count += 1
            number = self._trade_count * TRADE_ID_FACTOR % (1 << TRADE_ID_BITS)
            rows.append({**row, "hash": fill_hash, "tid": number, "users": users})
        perp.trades.extend(rows)
        return rows

    def _user(self) -> str:
        return f"0x{self._random.getrandbits(160):040x}"

    def _current(self, topic: Topic) -> list[Frame]:
        """What a new subscriber of the topic gets at once."""
        if topic.channel == "allMids":
            return [mids_frame(info.all_mids(self.listed))]
        perp = self.listed[topic.symbol]
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
        return [self._image(perp, topic)]

    def _image(self, perp: Perp, topic: Topic) -> Frame:
        """The image of now, or what a fault makes of it."""
        place = topic.cadence, perp.symbol
        time_ms = perp.changed_ms
        if not perp.is_replayed:
            time_ms = perp.told_ms = max(perp.told_ms, self.time.now_ms())
        old, old_ms = perp.past[0] if perp.past else (perp.shown, time_ms)
        if self.board.find("old_snapshot", *place) and old != perp.shown:
            return image_frame(perp, old, topic, old_ms).falsified("old_snapshot")
        if self.board.find("corrupt", *place):
            wrong = Book(perp.shown.bids[::-1], perp.shown.asks[::-1])
            return image_frame(perp, wrong, topic, time_ms).falsified("corrupt")
        return image_frame(perp, perp.shown, topic, time_ms)

    # What clients say.

    def greet(self, session: Session) -> list[Frame]:
        return [Frame("Websocket connection established.", HELLO)]

    def receive(self, session: Session, text: str | bytes) -> list[Frame]:
        if not self.request_budget.take(1, self.clock.monotonic_s()):
            return [error_frame("Cannot send more than 2000 messages per minute.")]
        request = parse_json(text)
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
        topic = topic_of(subscription, self.listed)
        is_wanted = method == "subscribe"
        if topic is None or (is_wanted and self.rejects(topic.cadence, topic.symbol)):
            return [error_frame(f"Invalid subscription {dump(subscription)}")]
        refusal = self._change(session, is_wanted, topic)
        if refusal:
            return [error_frame(refusal.format(dump(subscription)))]
        data = {"method": method, "subscription": subscription}
        answer = Frame(dump({"channel": "subscriptionResponse", "data": data}), ACK)
        if topic not in session.topics:
            return [answer]
        return [answer, *map(self._named, self._current(topic))]

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
        body = parse_json(request.body)
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
        symbol = body.get("coin")
        if isinstance(symbol, str) and symbol in self.listed:
            is_old = self.board.find("old_snapshot", "rest", symbol) is not None
            self.listed[symbol].is_rest_old = is_old
            if self.board.find("wrong_symbol", "rest", symbol):
                body = {**body, "coin": self._other(symbol)}
        return info.answer(body, self.listed, self.market.seed, now_ms)

    def rest_top(self, request: Request) -> tuple[str, Top] | None:
        body = parse_json(request.body)
        perp = self.listed.get(str(body.get("coin")))
        if body.get("type") != "l2Book" or body.get("nSigFigs") or perp is None:
            return None
        if self.board.find("wrong_symbol", "rest", perp.symbol):
            perp = self.listed[self._other(perp.symbol)]
            return perp.symbol, top_of(perp, 0, perp.book)._replace(fault="")
        book, time_ms = perp.told_by_rest(self.time.now_ms())
        fault = "old_snapshot" if perp.is_rest_old else ""
        return perp.symbol, top_of(perp, time_ms, book)._replace(fault=fault)

    # Replay.

    def begin_replay(self, messages: list[Json]) -> None:
        for message in messages:
            symbol = recorded.symbol_of(message)
            if symbol not in self.listed:
                raise ValueError(f"recorded coin is not listed: coin={symbol}")
            perp = self.listed[symbol]
            recorded.check(message, perp)
            perp.is_replayed = True
            perp.market_book = EMPTY
            perp.trades.clear()
            self._look(perp, 0)

    def wants_replay(self, session: Session) -> bool:
        topics: set[Any] = session.topics
        named = (self.listed[topic.symbol] for topic in topics if topic.symbol)
        return any(perp.is_replayed for perp in named)

    def replay(self, message: Json, shift_ms: int) -> list[Push]:
        perp = self.listed[recorded.symbol_of(message)]
        message = recorded.shifted(message, shift_ms)
        frame = recorded.apply(message, perp)
        pushes = [Push(Topic(frame.channel, perp.symbol), frame)]
        if frame.channel == "l2Book":
            # The recording has no bbo; its images tell the same touch.
            pushes += self._look(perp, message["data"]["time"])
        return pushes


VENUE = Hyperliquid


def _unreadable(text: str | bytes) -> Frame:
    shown = text if isinstance(text, str) else text.decode("utf-8", "replace")
    return error_frame(f"Error parsing JSON into valid websocket request: {shown}")
