"""The quotes of a session, symbol by symbol: guarded, kept as books, chased.

    QuoteEvent ─▶ top ──────────────▶ accepted, or dropped and counted
    BookEvent ──▶ kept book ─▶ top ─▶ accepted, ignored, or SYNCING and a resync
    silence ────▶ subscribed again, twice

Owns what is known of each symbol, and every reason to subscribe one anew. A doubt is
told before anything else of the symbol is. An image is asked for at most once in a
growing gap; until it comes, changes are ignored.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from feedhandler.book.continuity import OrderingGuard, Rule
from feedhandler.book.top import (
    ACCEPTED,
    CROSSED,
    DUPLICATE,
    REGRESSED,
    RESYNC,
    TopOfBook,
)
from feedhandler.events import BookEvent, Event, QuoteEvent, SyncingEvent
from feedhandler.feed.kept_book import KeptBook
from feedhandler.feed.subscriptions import Subscriptions

RESUBSCRIBES_MAX: Final = 2

Count = Callable[[str, int], None]


class Books:
    """What is known of each symbol in one session."""

    def __init__(
        self,
        rule: type[Rule] | None,
        feed_kind: str,
        first_data_ns: int,
        subscriptions: Subscriptions,
        count: Count,
        note: Callable[..., None],
    ) -> None:
        self._rule = rule
        self._is_kept = rule is not None and feed_kind == "depth"
        self._first_data_ns = first_data_ns
        self._subscriptions = subscriptions
        self._count = count
        self._note = note

        # Symbol -> its guard, and its book where frames only change one.
        self.tops: dict[str, TopOfBook] = {}
        self._kept: dict[str, KeptBook] = {}

        # Symbols that owe us data -> until when, and how often they were asked again.
        self.first_data_due: dict[str, int] = {}
        self._resubscribes: dict[str, int] = {}

    def follow(self, symbol: str, now_ns: int) -> bool:
        """Start with a symbol; False when it is there already."""
        if symbol in self.tops:
            return False
        order = None if self._rule is None else self._rule()
        if order is not None and self._is_kept:
            # The rule orders the changes; the tops they lead to have their numbers.
            self._kept[symbol] = KeptBook(order)
            order = OrderingGuard()
        self.tops[symbol] = TopOfBook(symbol, order)
        self.first_data_due[symbol] = now_ns + self._first_data_ns
        return True

    def opened(self, now_ns: int) -> None:
        """Start the deadline of every symbol."""
        for symbol in self.first_data_due:
            self.first_data_due[symbol] = now_ns + self._first_data_ns

    def judge(self, quote: QuoteEvent, recv_ns: int, kept: list[Event]) -> bool:
        """Keep a quote of a followed symbol if it is good, and say whether it is."""
        top = self.tops[quote.symbol]
        verdict = top.judge(quote, recv_ns)
        if verdict != ACCEPTED:
            self.drop(top, verdict, recv_ns, kept)
            return False
        self.note_data(quote.symbol)
        kept.append(quote)
        return True

    def judge_book(self, event: BookEvent, recv_ns: int, kept: list[Event]) -> bool:
        """Take a step of a book; keep the top that it leads to, if it leads to one."""
        book = self._kept.get(event.symbol)
        if book is None:
            self._count("rejected.unsubscribed", 1)
            return False
        quote = book.apply(event)
        if quote is not None:
            return self.judge(quote, recv_ns, kept)
        if not book.doubt:
            self._count(book.ignored, 1)
            return False
        top = self.tops[event.symbol]
        self._doubt(top, book.doubt, kept, detail=book.detail)
        top.is_syncing = True
        if top.may_resync(recv_ns):
            self._request_image(top, recv_ns)
        return False

    def drop(
        self, top: TopOfBook, verdict: int, now_ns: int, kept: list[Event]
    ) -> None:
        """Count a quote that a top refused, and begin a resync if it asks for one."""
        if verdict in (REGRESSED, DUPLICATE):
            self._count("regressed" if verdict == REGRESSED else "duplicates", 1)
            return
        self._count("crossed", 1)
        if verdict == RESYNC:
            self._resync(top, "crossed", now_ns, kept)
        else:
            assert verdict == CROSSED

    def note_data(self, symbol: str) -> None:
        """Note that a symbol has spoken."""
        self.first_data_due.pop(symbol, None)
        self._resubscribes.pop(symbol, None)

    def standing(self, symbol: str) -> None:
        """Subscribe a book anew that waits for an image which will not come."""
        book = self._kept.get(symbol)
        if book is not None and not book.is_whole:
            book.is_doubted = True

    def tick(self, now_ns: int, kept: list[Event]) -> None:
        """Resync what was left crossed, and ask for the images that had to wait."""
        for top in self.tops.values():
            if top.is_crossed and top.crossed_too_long(now_ns):
                self._resync(top, "crossed", now_ns, kept)
        for symbol, book in self._kept.items():
            if book.is_doubted and self.tops[symbol].may_resync(now_ns):
                self._request_image(self.tops[symbol], now_ns)

    def chase_silent(self, now_ns: int, kept: list[Event]) -> str:
        """Subscribe again what has not spoken at all while the session has data.

        Returns a symbol whose book was good and got no new image: only a new session
        can help it.
        """
        lost = ""
        due = [symbol for symbol, ns in self.first_data_due.items() if now_ns >= ns]
        for symbol in due:
            tries = self._resubscribes.get(symbol, 0)
            if tries >= RESUBSCRIBES_MAX:
                del self.first_data_due[symbol]
                self._note("silent", symbol=symbol, resubscribes=tries)
                if symbol in self._kept and self.tops[symbol].is_seen:
                    lost = symbol
                continue
            self._resubscribes[symbol] = tries + 1
            self.first_data_due[symbol] = now_ns + self._first_data_ns
            self._resync(self.tops[symbol], "stale_instrument", now_ns, kept)
        return lost

    def _resync(
        self, top: TopOfBook, reason: str, now_ns: int, kept: list[Event]
    ) -> None:
        self._doubt(top, reason, kept)
        self._request_image(top, now_ns)

    def _doubt(
        self, top: TopOfBook, reason: str, kept: list[Event], **facts: object
    ) -> None:
        self._count(f"resyncs.{reason}", 1)
        self._note("resync", symbol=top.symbol, reason=reason, **facts)
        kept.append(SyncingEvent(top.symbol, reason))

    def _request_image(self, top: TopOfBook, now_ns: int) -> None:
        """Subscribe the quotes anew; a kept book has a deadline for its image."""
        top.restart()
        self._subscriptions.resubscribe_book(top.symbol)
        book = self._kept.get(top.symbol)
        if book is not None:
            book.requested()
            self.first_data_due[top.symbol] = now_ns + self._first_data_ns
