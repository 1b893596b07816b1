"""The simulated Extended itself: who gets which frame, and when.

Owns the cadence of each channel and the requests of v2. What a frame says under which
number is `stream`'s, REST's answers are `info`'s.

    v1   the path is the subscription; a snapshot at once, then deltas, and from time to
         time a fresh snapshot; what the client says is not listened to
    v2   subscriptions by JSON-RPC, many on one connection
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar, Final

from feedhandler.sim.limits import Limits
from feedhandler.sim.market import Trade
from feedhandler.sim.truth import Top
from feedhandler.sim.venues._base import (
    ACK,
    ERROR,
    PONG,
    REPLY,
    Ending,
    Frame,
    Push,
    Request,
    Response,
    Session,
    Venue,
    dump,
    fills,
    invented,
    parse_json,
)
from feedhandler.sim.venues.extended import info, requests
from feedhandler.sim.venues.extended.listings import LISTINGS, RECENT_TRADES, Json, Perp
from feedhandler.sim.venues.extended.render import (
    SNAPSHOT,
    funding_data,
    price_data,
    price_text,
    size_text,
    top_of,
)
from feedhandler.sim.venues.extended.requests import Refused, Topic, request_id
from feedhandler.sim.venues.extended.stream import (
    Content,
    Stream,
    Subscription,
    Writer,
)

# Recorded ids are milliseconds since this epoch (2010-11-04), shifted, plus a number.
TRADE_EPOCH_MS = 1_288_834_974_657
TRADE_ID_SHIFT = 22
PAST_MS = 240_000  # how far back the 50 trades of the recording went
DATA_FIRST_EVERY = 3  # so often a v2 subscription's data comes before its answer


class Extended(Venue[Perp]):
    name = "extended"
    stream_path = requests.V2  # clients of v1 put its paths in the place of this
    rest_path = info.ROOT
    books = ("orderbooks",)
    # No limit of streams is documented: these protect us. REST counts requests.
    limits: ClassVar[Limits] = Limits(
        connections_max=500,
        connects_per_minute=3000,
        rest_weight_per_minute=1000,
        silence_s=86_400.0,
        ping_s=15.0,
        pong_s=10.0,
    )
    no_pong: ClassVar[Ending] = Ending(1011, "Ping timeout")  # as an operator saw it
    # Documented for the books; prices came about once a second in the recording.
    # Funding is charged hourly, on the hour of the wall clock.
    cadence: ClassVar[Mapping[str, float]] = {
        "orderbooks": 0.1,
        "orderbooks.1": 0.01,
        "snapshot": 60.0,
        "prices.mark": 1.0,
        "prices.index": 1.0,
        "funding-rates": 3600.0,
    }

    def _list(self) -> None:
        self._trade_ms = 0
        self._trade_number = 0
        for listing in LISTINGS:
            asset = self.market.assets.get(listing.asset)
            self._enter(Perp(listing, asset, self.market.seed))
        self._live = {
            symbol: perp for symbol, perp in self.listed.items() if perp.asset
        }
        self._invent_past()
        self._writer = Writer(self.board.find, list(self._live))
        del self._due_s["snapshot"]  # each subscription has its own
        self._due_s["funding-rates"] = self._next_funding_s()

    # The market.

    def refresh(self) -> list[Push]:
        """Look at every book anew; a gap that happens once waits for its frame."""
        for _, subscription in self._subscriptions():
            for perp in subscription.perps:
                gap = self.board.find("gap", subscription.topic.channel, perp.symbol)
                if gap is not None and gap.duration_s is None:
                    subscription.losing.add(perp.symbol)
        return super().refresh()

    def next_tick_s(self) -> float:
        """The next due time; the 10 ms of the touch count while somebody listens."""
        is_heard = any(one.topic.option == "1" for _, one in self._subscriptions())
        return min(
            due_s
            for channel, due_s in self._due_s.items()
            if is_heard or channel != "orderbooks.1"
        )

    def _timed(self, channel: str) -> list[Push]:
        if channel.startswith("orderbooks"):
            return self._books(channel)
        if channel == "funding-rates":
            self._due_s[channel] = self._next_funding_s()
        pushes: list[Push] = []
        for perp in self._live.values():
            pushes += self._tell(channel, perp, self._content(channel, perp))
        return pushes

    def _books(self, channel: str) -> list[Push]:
        """The changes of a tick, and on v1 the fresh snapshots that are due."""
        now_s, now_ms = self.clock.monotonic_s(), self.time.now_ms()
        pushes: list[Push] = []
        for stream, subscription in self._subscriptions():
            if subscription.topic.channel != channel:
                continue
            write: Callable[..., Frame | None] = self._writer.change
            if subscription.snapshot_due_s <= now_s:
                subscription.snapshot_due_s = now_s + self.every_s["snapshot"]
                write = self._writer.snapshot
            for perp in subscription.perps:
                if self.is_muted(channel, perp.symbol):
                    continue  # before it gets a number: silence is no gap
                frame = write(stream, subscription, perp, now_ms)
                if frame is not None:
                    pushes.append(Push(stream.key, frame))
        return pushes

    def _tell(self, channel: str, perp: Perp, content: Content) -> list[Push]:
        """One frame for each connection that listens to a channel of a market."""
        pushes: list[Push] = []
        if self.is_muted(channel, perp.symbol):
            return []
        for stream, subscription in self._subscriptions():
            if subscription.topic.channel == channel and perp in subscription.perps:
                frame = self._writer.frame(stream, subscription, perp.symbol, content)
                pushes.append(Push(stream.key, frame))
        return pushes

    def _subscriptions(self) -> list[tuple[Stream, Subscription]]:
        return [
            (session, subscription)
            for session in self.sessions
            if isinstance(session, Stream)
            for subscription in session.subscriptions.values()
        ]

    def _content(self, channel: str, perp: Perp) -> Content:
        now_ms = self.time.now_ms()
        if channel == "funding-rates":
            return Content(funding_data(perp, now_ms), now_ms)
        option = channel.partition(".")[2]
        return Content(price_data(perp, option, now_ms), now_ms)

    def _next_funding_s(self) -> float:
        """Monotonic time of the next whole period of the venue's wall clock."""
        period_ms = max(1, round(self.every_s["funding-rates"] * 1000))
        left_ms = period_ms - self.time.now_ms() % period_ms
        return self.clock.monotonic_s() + left_ms / 1000

    def _update(self, perp: Perp, now_ms: int) -> list[Push]:
        """Look at the market anew; what changed leaves at the next tick."""
        before = perp.book
        perp.shown, perp.fault = self.look(perp)
        if perp.book != before:
            perp.past.append((before, now_ms))
        return []

    def _trade(self, perp: Perp, trade: Trade, now_ms: int) -> list[Push]:
        rows = self._fill(perp, trade, now_ms)
        return self._tell("trades", perp, Content(rows, now_ms)) if rows else []

    def _fill(self, perp: Perp, trade: Trade, now_ms: int) -> list[Json]:
        """The rows of a trade against the book as it was before it."""
        rows = [
            {
                "i": self._trade_id(now_ms),
                "m": perp.symbol,
                "S": "BUY" if trade.buy else "SELL",
                "tT": "TRADE",
                "T": now_ms,
                "p": price_text(perp, fill.price),
                "q": size_text(perp, fill.size),
            }
            for fill in fills(trade, perp.book)
        ]
        perp.trades.extend(rows)
        return rows

    def _trade_id(self, now_ms: int) -> int:
        """An id beyond 2^53 that grows with time, not by one."""
        if now_ms > self._trade_ms:
            self._trade_ms, self._trade_number = now_ms, 0
        self._trade_number += self._random.randrange(1, 5)
        age_ms = self._trade_ms - TRADE_EPOCH_MS
        return (age_ms << TRADE_ID_SHIFT) + self._trade_number

    def _invent_past(self) -> None:
        """Trades from before the start, so that the first frame can replay some."""
        now_ms = self.time.now_ms()
        past = [
            (now_ms - self._random.randrange(500, PAST_MS), perp)
            for perp in self._live.values()
            for _ in range(RECENT_TRADES)
        ]
        for time_ms, perp in sorted(past, key=lambda one: one[0]):
            self._fill(perp, invented(self._random), time_ms)

    # What clients say.

    def refusal(self, headers: Mapping[str, str]) -> Response | None:
        """Turn away whoever does not name its program."""
        given = {name.lower() for name, value in headers.items() if value}
        return None if "user-agent" in given else Response(403, "", "text/plain")

    def open(self, path: str, query: Mapping[str, str]) -> Session | None:
        if path == requests.V2:
            return Stream(path, query, version=2, seq=0)
        topic = requests.of_path(path, query, self._live)
        if topic is None or self._rejects(topic):
            return None
        return Stream(path, query)

    def greet(self, session: Session) -> list[Frame]:
        topic = requests.of_path(session.path, session.query, self._live)
        if topic is None or not isinstance(session, Stream):
            return []
        return self._subscribe(session, topic)

    def _rejects(self, topic: Topic) -> bool:
        return self.rejects(topic.channel, topic.symbol)

    def receive(self, session: Session, text: str | bytes) -> list[Frame]:
        if not isinstance(session, Stream) or session.version == 1:
            return []
        request = parse_json(text)
        if request is None:
            return [_error({}, *requests.PARSE_ERROR)]
        if not isinstance(request, dict):
            return [_error({}, *requests.INVALID_REQUEST)]
        method = request.get("method")
        if method == "ping":
            return [_result(request, PONG)]
        if method == "list-subscriptions":
            held = sorted(topic.id for topic in session.subscriptions)
            return [_result(request, REPLY, subscriptions=held)]
        if method not in ("subscribe", "unsubscribe"):
            return [_error(request, *requests.UNKNOWN_METHOD)]
        topic = requests.of_params(request.get("params"), self._live)
        if isinstance(topic, Refused):
            return [_error(request, *topic)]
        if topic is None:
            return []
        if method == "unsubscribe":
            session.subscriptions.pop(topic, None)
            return [_result(request, ACK)]
        if self._rejects(topic):
            return [_error(request, *requests.UNKNOWN_MARKET)]
        data = self._subscribe(session, topic)
        answer = _result(request, ACK, subscription=topic.id)
        session.asked += 1
        if session.asked % DATA_FIRST_EVERY == 0:
            return [*data, answer]
        return [answer, *data]

    def _subscribe(self, stream: Stream, topic: Topic) -> list[Frame]:
        """Begin a topic, anew if it is held, and return its first frames."""
        stream.subscriptions.pop(topic, None)
        if self.is_deaf:
            return []
        now_s, now_ms = self.clock.monotonic_s(), self.time.now_ms()
        perps = [self._live[topic.symbol]] if topic.symbol else [*self._live.values()]
        if topic.option == "rfq":
            perps = []  # no market here is one for quotes on request
        is_renewed = stream.version == 1 and topic.option == "full"
        due_s = now_s + self.every_s["snapshot"] if is_renewed else float("inf")
        subscription = Subscription(topic, perps, due_s, now_ms)
        stream.subscriptions[topic] = subscription
        if topic.scope == "trades":
            return self._past_trades(stream, subscription, now_ms)
        frames: list[Frame] = []
        for perp in perps:
            if self.is_muted(topic.channel, perp.symbol):
                continue
            if topic.scope == "orderbooks":
                frame = self._writer.snapshot(stream, subscription, perp, now_ms)
            else:
                content = self._content(topic.channel, perp)
                frame = self._writer.frame(stream, subscription, perp.symbol, content)
            frames.append(frame)
        return frames

    def _past_trades(
        self, stream: Stream, subscription: Subscription, now_ms: int
    ) -> list[Frame]:
        """The replay of v2: the last trades, oldest first."""
        rows = [row for perp in subscription.perps for row in perp.trades]
        symbol = subscription.topic.symbol
        if stream.version == 1 or not rows or self.is_muted("trades", symbol):
            return []
        content = Content(sorted(rows, key=_number)[-RECENT_TRADES:], now_ms)
        return [self._writer.frame(stream, subscription, symbol, content)]

    # REST.

    def rest(self, request: Request) -> Response:
        if not self.rest_budget.take(1, self.clock.monotonic_s()):
            return info.TOO_MANY
        if self.board.find("wrong_symbol", "rest") is not None:
            request = info.about_next_market(request, list(self._live))
        now_ms = self.time.now_ms()
        return info.answer(request, self.listed, self.market.seed, now_ms)

    def rest_top(self, request: Request) -> tuple[str, Top] | None:
        *_, symbol, what = ("", *request.path.split("/"))
        perp = self._live.get(symbol)
        if what != "orderbook" or perp is None:
            return None
        if self.board.find("wrong_symbol", "rest"):
            return None
        return symbol, top_of(perp, perp.book, SNAPSHOT, self.time.now_ms(), "")


VENUE: Final = Extended


def _number(row: Json) -> int:
    number: int = row["i"]
    return number


def _result(request: Json, kind: int, **facts: object) -> Frame:
    result = {"method": request["method"], "status": "OK", **facts}
    body = {"id": request_id(request), "result": result, "jsonrpc": "2.0"}
    return Frame(dump(body), kind)


def _error(request: Json, code: int, message: str) -> Frame:
    error = {"code": code, "message": message}
    body = {"id": request_id(request), "error": error, "jsonrpc": "2.0"}
    return Frame(dump(body), ERROR)
