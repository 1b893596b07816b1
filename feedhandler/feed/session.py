"""One connection's life, without a socket and without a clock.

    (frame, recv_ns) ──▶ receive ──▶ events to publish
    (now_ns, wall_ns) ─▶ tick ─────▶ events to publish
                                     take_outgoing(): frames to send
                                     ending: None, or why the connection must end

Owns every deadline between an open socket and its end, and the judgement of each event.
A deadline is looked at in `tick`, which the event loop calls every 100 ms; pings and
requests are due by the clock, never by what was read.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

from feedhandler.book.continuity import APPLY, GAP, NEED_SNAPSHOT
from feedhandler.book.top import ACCEPTED
from feedhandler.book.trades import TradeFilter
from feedhandler.codec.frame import FrameError
from feedhandler.events import (
    AckEvent,
    AddEvent,
    BookEvent,
    Event,
    FrameEvent,
    FundingEvent,
    NoticeEvent,
    PongEvent,
    QuoteEvent,
    RefusalEvent,
    RejectEvent,
    ReplyEvent,
    StandingEvent,
    SyncingEvent,
    TickEvent,
    TradeEvent,
)
from feedhandler.feed import streams
from feedhandler.feed.books import Books
from feedhandler.feed.labels import Ending, ending
from feedhandler.feed.remarks import Count, Note, Remarks
from feedhandler.feed.settings import Timing
from feedhandler.feed.subscriptions import Pace, Subscriptions
from feedhandler.venues._base import TRADES, Market, Options, Subscription, Venue

# A loop that stood still for longer has a backlog in its socket that is not news.
PAUSE_NS_MAX: Final = 1_000_000_000
PATIENCE: Final = 6  # first-data deadlines, while only the liveness channel speaks


class Session:
    """What is known about one connection; made before it is opened."""

    def __init__(
        self,
        venue: Venue,
        markets: Mapping[str, Market],
        options: Options,
        timing: Timing,
        trades: Mapping[str, TradeFilter],
        count: Count,
        now_ns: int,
        wall_ns: int,
        *,
        pace: Pace | None = None,
    ) -> None:
        self._venue = venue
        self._options = options
        self._timing = timing
        self._trades = trades
        self._count = count
        self._remarks = Remarks(count)
        self._ping = venue.ping() if timing.ping_interval_ns else None

        # Books and requests.
        requests = self._subscriptions = Subscriptions(venue, timing, pace)
        self._books = Books(venue, options, timing, requests, count, self._remarks)
        self._tops = self._books.tops
        self._first_data_due = self._books.first_data_due
        self._shown = options.kinds[0]
        self._is_one_kind = len(options.kinds) == 1
        self._decode, self._frame_rule = streams.whole(venue, markets)

        # Clocks: what was last heard of, and what is due.
        self._wall_offset_ns = wall_ns - now_ns
        # Our own loop, any byte, and book data or liveness.
        self._alive_ns = self._heard_ns = self._fresh_ns = now_ns
        self._opened_ns: int | None = None
        self._ping_due_ns = 0
        self._asked_ns: int | None = None  # the first request

        # What comes out.
        self.ending: Ending | None = None
        self._outgoing: list[str] = []

        # Facts for counters and logs.
        self.frames = 0
        self.has_quote = self.is_subscribed = False

        self.follow(markets)
        # What needs a socket for each topic speaks before the last of them is open.
        self.streams = streams.by_topic(venue, markets, requests.all())
        self._note_asked(requests.all() if self.streams else (), now_ns)

    @property
    def is_whole(self) -> bool:
        """Whether every symbol has its quotes, or is known to get none."""
        return self.has_quote and not self._first_data_due

    @property
    def next_due_ns(self) -> int | None:
        """When a request is due before the next regular tick, if one is."""
        if self._opened_ns is None or self.ending is not None:
            return None
        return self._subscriptions.next_send_ns

    def follow(self, symbols: Collection[str]) -> None:
        """Subscribe symbols that are not subscribed yet, and end all others."""
        if not self._venue.has_requests and self._tops:
            if {*symbols} != {*self._tops}:
                self._end(ending("session_timeout", "other symbols need other sockets"))
            return
        for symbol in [symbol for symbol in self._tops if symbol not in symbols]:
            self._books.unfollow(symbol)
            self._subscriptions.remove(symbol)
        for symbol in symbols:
            if self._books.follow(symbol):
                self._subscriptions.add(
                    self._venue.subscriptions(symbol, self._options)
                )

    def opened(self, now_ns: int, wall_ns: int) -> Sequence[Event]:
        """Start every deadline: the handshake is done."""
        self._opened_ns = now_ns
        self._alive_ns = self._heard_ns = self._fresh_ns = now_ns
        self._ping_due_ns = now_ns + self._timing.ping_interval_ns
        if self.streams:
            self._asked_ns = now_ns
            self.is_subscribed = True
            self._note_asked(self._subscriptions.all(), now_ns)
        return self.tick(now_ns, wall_ns)

    def heard(self, recv_ns: int) -> None:
        """Note that bytes arrived, even if no frame was complete."""
        if recv_ns > self._heard_ns:
            self._heard_ns = recv_ns

    def turn_to(self, topic: str) -> None:
        """Read the next frame as one of that topic's socket."""
        self._decode, self._frame_rule = self.streams[topic]

    def receive(self, frame: bytes | bytearray | str, recv_ns: int) -> Sequence[Event]:
        """Return what of a frame may be published."""
        if recv_ns - self._alive_ns > PAUSE_NS_MAX:
            return self._paused(recv_ns)
        if self.ending is not None:
            return ()
        self._alive_ns = self._heard_ns = recv_ns
        self.frames += 1
        try:
            events = self._decode(frame, recv_ns + self._wall_offset_ns)
        except FrameError as error:
            self._remarks.reject(error.reason, error.detail)
            return ()
        kept: list[Event] = []
        # One quote in a frame is the rule: it is judged without a detour.
        event = events[0] if len(events) == 1 else None
        if type(event) is QuoteEvent and self._is_one_kind:
            top = self._tops.get(event.symbol)
            if top is not None and not self._first_data_due:
                verdict = top.judge(event, recv_ns)
                if verdict == ACCEPTED:
                    self._fresh_ns = recv_ns
                    self.has_quote = True
                    return events
                self._books.drop(top, verdict, recv_ns, kept)
                return kept
        if events and type(event := events[0]) is FrameEvent:
            if not self._follows(event, kept):
                return kept
        for event in events:
            self._judge(event, recv_ns, kept)
        return kept

    def tick(self, now_ns: int, wall_ns: int) -> Sequence[Event]:
        """Look at every deadline and collect what must be sent."""
        if self.ending is not None:
            return ()
        if now_ns - self._alive_ns > PAUSE_NS_MAX:
            return self._paused(now_ns)
        self._alive_ns = now_ns
        self._wall_offset_ns = wall_ns - now_ns
        if self._opened_ns is None:
            return ()
        self.ending = self._find_ending(now_ns, now_ns - self._opened_ns)
        if self.ending is not None:
            return ()
        kept: list[Event] = []
        self._books.tick(now_ns, kept)
        lost = self._subscriptions.stuck
        if self._first_data_due:
            lost = self._books.chase_silent(now_ns, kept) or lost
            self._subscriptions.stuck = ""  # it never spoke, and would not then either
        if lost:
            self._end(ending("seq_gap", f"no new image: symbol={lost}"))
        self._send_due(now_ns)
        return kept

    def take_wanted_images(self, now_ns: int) -> list[str]:
        """Return the symbols whose image is to be asked for by REST now."""
        if self._opened_ns is None or self.ending is not None:
            return []
        return self._books.images.take_due(now_ns)

    def take_image(self, image: BookEvent, recv_ns: int) -> Sequence[Event]:
        """Return what an image that came by REST lets be published."""
        kept: list[Event] = []
        if self.ending is None and image.symbol in self._tops:
            if self._books.take_image(image, recv_ns, kept):
                self.has_quote = True  # but no freshness: the stream has not spoken
        return kept

    def miss_image(self, symbol: str, now_ns: int, wait_ns: int) -> None:
        """Note that an image could not be had; the next try is no sooner than that."""
        self._books.images.failed(symbol, now_ns, wait_ns)

    def resubscribe(self, symbol: str, now_ns: int) -> Sequence[Event]:
        """Begin a symbol's quotes anew because it was ordered."""
        kept: list[Event] = []
        if self.ending is None and symbol in self._tops:
            self._books.resubscribe(symbol, now_ns, kept)
        return kept

    def take_notes(self) -> list[Note]:
        """Return what is to be said in the log since the last call."""
        return self._remarks.take()

    def take_outgoing(self) -> list[str]:
        """Return the frames to send, in order; they are handed out once."""
        if not self._outgoing:
            return []
        outgoing, self._outgoing = self._outgoing, []
        return outgoing

    def send_failed(self, text: str) -> None:
        """End the session: the frame could not be written."""
        label = "ping_send_fail" if text == self._ping else "stream_end"
        self._end(ending(label, "write refused or buffer full"))

    def _find_ending(self, now_ns: int, open_ns: int) -> Ending | None:
        """Return the first deadline that has passed."""
        timing = self._timing
        if open_ns >= timing.session_limit_ns:
            return ending("session_timeout")
        if self._subscriptions.is_book_refused:
            return ending("subscribe_error", "every request for quotes was refused")
        if exhausted := self._subscriptions.repeat_overdue(now_ns):
            return ending("subscribe_error", f"not acknowledged: key={exhausted}")
        if not self.has_quote and not self._books.images.is_waiting:
            asked_ns = now_ns if self._asked_ns is None else self._asked_ns
            # While it shows signs of life, a market may be asked for its quotes again.
            is_alive = asked_ns < self._fresh_ns > now_ns - timing.stale_ns
            allowed_ns = timing.first_data_ns * (PATIENCE if is_alive else 1)
            if now_ns - asked_ns >= allowed_ns:
                return ending("first_data_timeout")
        elif now_ns - self._fresh_ns >= timing.stale_ns:
            silent_ms = (now_ns - self._fresh_ns) // 1_000_000
            return ending("stale_watchdog", f"silent_ms={silent_ms}")
        if now_ns - self._heard_ns >= timing.read_timeout_ns:
            return ending("read_timeout")
        share = self._remarks.rejects
        if share.is_exceeded(now_ns, self.frames):
            return ending("decode_fail_loop", f"rejects={share.rejects}")
        return None

    def _send_due(self, now_ns: int) -> None:
        if self._ping is not None and now_ns >= self._ping_due_ns:
            self._outgoing.append(self._ping)
            self._ping_due_ns = now_ns + self._timing.ping_interval_ns
        text, subscribed = self._subscriptions.take_due(now_ns)
        if text:
            self._outgoing.append(text)
            self._asked_ns = now_ns if self._asked_ns is None else self._asked_ns
        self._note_asked(subscribed, now_ns)

    def _note_asked(self, asked: Iterable[Subscription], now_ns: int) -> None:
        for subscription in asked:
            if subscription.carries == TRADES:
                if (seen := self._trades.get(subscription.symbol)) is not None:
                    seen.subscribed(now_ns + self._wall_offset_ns)
            elif subscription.is_book:
                self._books.requested(subscription.symbol, subscription.carries, now_ns)

    def _paused(self, now_ns: int) -> Sequence[Event]:
        """End a session whose process stood still: its backlog is not news."""
        if self.ending is None:
            paused_ms = (now_ns - self._alive_ns) // 1_000_000
            self._count("self_stalls", 1)
            self._end(ending("stale_watchdog", f"process_paused_ms={paused_ms}"))
        self._alive_ns = now_ns
        return [SyncingEvent(symbol, "paused") for symbol in self._tops]

    def _end(self, why: Ending) -> None:
        if self.ending is None:
            self.ending = why

    def _follows(self, event: FrameEvent, kept: list[Event]) -> bool:
        """Tell whether a frame is the next of its socket; a gap ends the session.

        Which symbol has lost something by a gap is unknown: all are in doubt.
        """
        if self._frame_rule is None:
            return True
        verdict = self._frame_rule.judge_delta(event.sequence)
        if verdict in (GAP, NEED_SNAPSHOT):
            detail = f"expected={self._frame_rule.expected} received={event.sequence}"
            self._end(ending("seq_gap", detail))
            kept.extend(SyncingEvent(symbol, "seq_gap") for symbol in self._tops)
        elif verdict != APPLY:
            self._count("duplicates", 1)
        return verdict == APPLY

    def _judge(self, event: Event, recv_ns: int, kept: list[Event]) -> None:
        if isinstance(event, BookEvent | AddEvent):
            if self._books.judge_book(event, recv_ns, kept):
                self._note_fresh(recv_ns)
        elif isinstance(event, QuoteEvent | TradeEvent | FundingEvent | TickEvent):
            top = self._tops.get(event.symbol)
            if top is None:
                self._remarks.reject("unsubscribed", event.symbol)
            elif isinstance(event, QuoteEvent):
                if self._books.judge(event, recv_ns, kept):
                    self._note_fresh(recv_ns)
            elif isinstance(event, TradeEvent):
                self._judge_trade(event, kept)
            else:
                self._fresh_ns = recv_ns
                kept.append(event)
        elif isinstance(event, RejectEvent):
            self._remarks.reject(event.reason, event.detail)
        elif isinstance(event, NoticeEvent):
            self._remarks.notice(event)
        elif isinstance(event, AckEvent):
            self._acked(event.key, recv_ns)
        elif isinstance(event, RefusalEvent):
            self._refused(event)
        elif isinstance(event, StandingEvent):
            self._standing(event.key, recv_ns)
        elif isinstance(event, ReplyEvent):
            if event.text not in self._outgoing:  # one answer a tick will do
                self._outgoing.append(event.text)
        elif isinstance(event, PongEvent):
            self._count("pongs", 1)

    def _judge_trade(self, event: TradeEvent, kept: list[Event]) -> None:
        seen = self._trades.get(event.symbol)
        if seen is None or seen.admit(event):
            kept.append(event)
        else:
            self._count("duplicates", 1)

    def _note_fresh(self, recv_ns: int) -> None:
        self._fresh_ns = recv_ns
        self.has_quote = True

    def _standing(self, key: str, now_ns: int) -> None:
        """Take it for an ack; a book that waits for its image is subscribed anew."""
        self._acked(key, now_ns)
        for subscription in self._subscriptions.find(key):
            if subscription.is_book:
                self._books.standing(subscription.symbol)

    def _acked(self, key: str, now_ns: int) -> None:
        if not self._subscriptions.acked(key):
            self._count("acks.unknown", 1)
            return
        self._count("acks", 1)
        for subscription in self._subscriptions.find(key):
            if subscription.is_book:
                self._books.acked(subscription.symbol, now_ns)
        self.is_subscribed = self.is_subscribed or self._subscriptions.is_complete

    def _refused(self, event: RefusalEvent) -> None:
        refused = self._subscriptions.refused(event.key)
        if not refused:
            self._count("venue_error", 1)
            self._remarks.note("venue_error", key=event.key, text=event.text)
        for subscription in refused:
            self._count("subscriptions.rejected", 1)
            if subscription.is_book:
                self._books.note_data(subscription.symbol, subscription.carries)
            self._remarks.note(
                "subscription_refused",
                key=subscription.key,
                reason=event.reason,
                text=event.text,
            )
        self.is_subscribed = self.is_subscribed or self._subscriptions.is_complete
