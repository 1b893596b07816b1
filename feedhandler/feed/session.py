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

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from feedhandler.book.top import ACCEPTED
from feedhandler.book.trades import TradeFilter
from feedhandler.codec.frame import FrameError
from feedhandler.events import (
    AckEvent,
    BookEvent,
    Event,
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
from feedhandler.feed.books import Books, Count
from feedhandler.feed.labels import Ending, ending
from feedhandler.feed.rejects import RejectShare
from feedhandler.feed.subscriptions import Subscriptions
from feedhandler.venues._base import Options, Venue

# A loop that stood still for longer has a backlog in its socket that is not news.
PAUSE_NS_MAX: Final = 1_000_000_000
NOTES_MAX: Final = 64
KINDS_MAX: Final = 64

Note = tuple[str, dict[str, object]]


@dataclass(frozen=True, slots=True)
class Timing:
    """The deadlines of a session, all in ns; an interval of 0 is off."""

    stale_ns: int
    first_data_ns: int
    ack_ns: int
    read_timeout_ns: int
    ping_interval_ns: int
    session_limit_ns: int
    subscribe_gap_ns: int


class Session:
    """What is known about one connection; made before it is opened."""

    def __init__(
        self,
        venue: Venue,
        symbols: Iterable[str],
        options: Options,
        timing: Timing,
        trades: Mapping[str, TradeFilter],
        count: Count,
        now_ns: int,
        wall_ns: int,
    ) -> None:
        self._venue = venue
        self._options = options
        self._timing = timing
        self._trades = trades
        self._count = count
        self._decode = venue.decoder()
        self._ping = venue.ping() if timing.ping_interval_ns else None

        # Books and requests.
        self._subscriptions = Subscriptions((), timing.subscribe_gap_ns, timing.ack_ns)
        kind = options.feed_kind
        rule = venue.continuity.get(kind)
        self._books = Books(
            rule, kind, timing.first_data_ns, self._subscriptions, count, self._note
        )
        self._tops = self._books.tops
        self._first_data_due = self._books.first_data_due

        # Clocks: what was last heard of, and what is due.
        self._wall_offset_ns = wall_ns - now_ns
        self._alive_ns = now_ns  # our own loop
        self._heard_ns = now_ns  # any byte
        self._fresh_ns = now_ns  # book data or liveness
        self._opened_ns: int | None = None
        self._ping_due_ns = 0

        # What comes out.
        self.ending: Ending | None = None
        self.notes: list[Note] = []
        self._outgoing: list[str] = []

        # Facts for counters and logs.
        self.frames = 0
        self.has_quote = False
        self.is_subscribed = False
        self._rejects = RejectShare()
        self._seen_kinds: set[str] = set()

        self.follow(symbols)

    @property
    def next_due_ns(self) -> int | None:
        """When a request is due before the next regular tick, if one is."""
        if self._opened_ns is None or self.ending is not None:
            return None
        return self._subscriptions.next_send_ns

    def follow(self, symbols: Iterable[str]) -> None:
        """Subscribe symbols that are not subscribed yet."""
        for symbol in symbols:
            if self._books.follow(symbol, self._alive_ns):
                self._subscriptions.add(
                    self._venue.subscriptions(symbol, self._options)
                )

    def opened(self, now_ns: int, wall_ns: int) -> Sequence[Event]:
        """Start every deadline: the handshake is done."""
        self._opened_ns = now_ns
        self._alive_ns = self._heard_ns = self._fresh_ns = now_ns
        self._ping_due_ns = now_ns + self._timing.ping_interval_ns
        self._books.opened(now_ns)
        return self.tick(now_ns, wall_ns)

    def heard(self, recv_ns: int) -> None:
        """Note that bytes arrived, even if no frame was complete."""
        if recv_ns > self._heard_ns:
            self._heard_ns = recv_ns

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
            self._reject(error.reason, error.detail)
            return ()
        kept: list[Event] = []
        # One quote in a frame is the rule: it is judged without a detour.
        event = events[0] if len(events) == 1 else None
        if type(event) is QuoteEvent:
            top = self._tops.get(event.symbol)
            if top is not None:
                verdict = top.judge(event, recv_ns)
                if verdict == ACCEPTED:
                    self._fresh_ns = recv_ns
                    self.has_quote = True
                    if self._first_data_due:
                        self._books.note_data(event.symbol)
                    return events
                self._books.drop(top, verdict, recv_ns, kept)
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
        if self._first_data_due and (lost := self._books.chase_silent(now_ns, kept)):
            self._end(ending("seq_gap", f"no new image: symbol={lost}"))
        self._send_due(now_ns, wall_ns)
        return kept

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
        if not self.has_quote:
            if open_ns >= timing.first_data_ns:
                return ending("first_data_timeout")
        elif now_ns - self._fresh_ns >= timing.stale_ns:
            silent_ms = (now_ns - self._fresh_ns) // 1_000_000
            return ending("stale_watchdog", f"silent_ms={silent_ms}")
        if now_ns - self._heard_ns >= timing.read_timeout_ns:
            return ending("read_timeout")
        if self._rejects.is_exceeded(now_ns, self.frames):
            return ending("decode_fail_loop", f"rejects={self._rejects.rejects}")
        return None

    def _send_due(self, now_ns: int, wall_ns: int) -> None:
        if self._ping is not None and now_ns >= self._ping_due_ns:
            self._outgoing.append(self._ping)
            self._ping_due_ns = now_ns + self._timing.ping_interval_ns
        text, subscription = self._subscriptions.take_due(now_ns)
        if text:
            self._outgoing.append(text)
        if subscription is not None and subscription.is_trades:
            if (seen := self._trades.get(subscription.symbol)) is not None:
                seen.subscribed(wall_ns)

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

    def _judge(self, event: Event, recv_ns: int, kept: list[Event]) -> None:
        if type(event) is BookEvent:
            if self._books.judge_book(event, recv_ns, kept):
                self._note_fresh(recv_ns)
        elif isinstance(event, QuoteEvent | TradeEvent | FundingEvent | TickEvent):
            top = self._tops.get(event.symbol)
            if top is None:
                self._reject("unsubscribed", event.symbol)
            elif isinstance(event, QuoteEvent):
                if self._books.judge(event, recv_ns, kept):
                    self._note_fresh(recv_ns)
            elif isinstance(event, TradeEvent):
                self._judge_trade(event, kept)
            else:
                self._fresh_ns = recv_ns
                if isinstance(event, FundingEvent):
                    kept.append(event)
        elif isinstance(event, RejectEvent):
            self._reject(event.reason, event.detail)
        elif isinstance(event, NoticeEvent):
            self._notice(event)
        elif isinstance(event, AckEvent):
            self._acked(event.key)
        elif isinstance(event, RefusalEvent):
            self._refused(event)
        elif isinstance(event, StandingEvent):
            self._standing(event.key)
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

    def _standing(self, key: str) -> None:
        """Take it for an ack; a book that waits for its image is subscribed anew."""
        self._acked(key)
        subscription = self._subscriptions.find(key)
        if subscription is not None and subscription.is_book:
            self._books.standing(subscription.symbol)

    def _acked(self, key: str) -> None:
        if not self._subscriptions.acked(key):
            self._count("acks.unknown", 1)
            return
        self._count("acks", 1)
        self.is_subscribed = self.is_subscribed or self._subscriptions.is_complete

    def _refused(self, event: RefusalEvent) -> None:
        subscription = self._subscriptions.refused(event.key)
        if subscription is None:
            self._count("venue_error", 1)
            self._note("venue_error", text=event.text)
            return
        self._count("subscriptions.rejected", 1)
        self._first_data_due.pop(subscription.symbol, None)
        self._note(
            "subscription_refused",
            key=subscription.key,
            reason=event.reason,
            text=event.text,
        )
        self.is_subscribed = self.is_subscribed or self._subscriptions.is_complete

    def _notice(self, event: NoticeEvent) -> None:
        if event.name != "unknown_type":
            self._count(event.name, event.count)
            if event.detail:
                self._note(event.name, detail=event.detail)
        elif event.detail not in self._seen_kinds and len(self._seen_kinds) < KINDS_MAX:
            self._seen_kinds.add(event.detail)
            self._count("rejected.unknown_type", 1)
            self._note("unknown_type", channel=event.detail)

    def _reject(self, reason: str, detail: str) -> None:
        self._rejects.rejects += 1
        self._count(f"rejected.{reason}", 1)
        self._note("rejected", reason=reason, detail=detail)

    def _note(self, name: str, **facts: object) -> None:
        """Keep a fact for the log; the process takes them with its next tick."""
        if len(self.notes) < NOTES_MAX:
            self.notes.append((name, facts))
