"""The quotes of a session, symbol by symbol: guarded, kept as books, compared, chased.

    QuoteEvent ─▶ top ──────────────▶ accepted, or dropped and counted
    BookEvent ──▶ kept book ─▶ top ─▶ accepted, ignored, or SYNCING and a resync
    both kinds ─▶ compare ──────────▶ the best bid and offer is shown, and disputed
    silence ────▶ subscribed again, twice

Owns what is known of each symbol, and every reason to ask for a book anew. A doubt is
told before anything else of the symbol is. An image is asked for at most once in a
growing gap; until it comes, changes are ignored, or kept where it comes by REST.
"""

from __future__ import annotations

from typing import Final

from feedhandler.book.continuity import SnapshotOnly
from feedhandler.book.top import (
    ACCEPTED,
    CROSSED,
    DOUBT,
    DUPLICATE,
    REGRESSED,
    RESYNC,
    TopOfBook,
)
from feedhandler.events import (
    FLAG_DISPUTED,
    FLAG_SNAPSHOT,
    AddEvent,
    BookEvent,
    DisputeEvent,
    Event,
    QuoteEvent,
    SyncingEvent,
)
from feedhandler.feed.cross_check import CrossCheck
from feedhandler.feed.images import Images
from feedhandler.feed.kept_book import KeptBook
from feedhandler.feed.remarks import Count, Remarks
from feedhandler.feed.settings import Timing
from feedhandler.feed.subscriptions import Subscriptions
from feedhandler.venues._base import DEPTH, Options, Venue

RESUBSCRIBES_MAX: Final = 2
NEVER_NS: Final = 1 << 62  # the deadline of what was not asked for yet


class Books:
    """What is known of each symbol in one session."""

    def __init__(
        self,
        venue: Venue,
        options: Options,
        timing: Timing,
        subscriptions: Subscriptions,
        count: Count,
        remarks: Remarks,
    ) -> None:
        self._venue = venue
        self._kinds = options.kinds
        self._shown = options.kinds[0]
        self._timing = timing
        self._subscriptions = subscriptions
        self._count = count
        self._note = remarks.note

        # Symbol -> its guard, its book where frames only change one, and the compare
        # of two kinds.
        self.tops: dict[str, TopOfBook] = {}
        self._kept: dict[str, KeptBook] = {}
        self._checks: dict[str, CrossCheck] = {}
        self._last: dict[str, QuoteEvent] = {}
        self.images = Images()

        # (symbol, kind) that owes us data -> until when, and how often it was asked
        # again.
        self.first_data_due: dict[tuple[str, str], int] = {}
        self._resubscribes: dict[tuple[str, str], int] = {}

    def follow(self, symbol: str) -> bool:
        """Start with a symbol; False when it is there already."""
        if symbol in self.tops:
            return False
        continuity = self._venue.continuity
        order = continuity.get(self._shown)
        depth_rule = continuity.get(DEPTH)
        if DEPTH in self._kinds and depth_rule is not None:
            self._kept[symbol] = KeptBook(depth_rule())
            if self._shown == DEPTH:
                order = SnapshotOnly  # the book has proven it
        if len(self._kinds) == 2:
            self._checks[symbol] = CrossCheck(
                self._venue.cross_check, self._timing.stale_ns
            )
        self.tops[symbol] = TopOfBook(symbol, None if order is None else order())
        for kind in self._kinds:
            self.first_data_due[symbol, kind] = NEVER_NS
        return True

    def unfollow(self, symbol: str) -> None:
        """Forget a symbol: it has another name now, or none."""
        for known in (self.tops, self._kept, self._checks, self._last):
            known.pop(symbol, None)
        for kind in self._kinds:
            self.note_data(symbol, kind)
        self.images.forget(symbol)

    def requested(self, symbol: str, kind: str, now_ns: int) -> None:
        """Start the deadline of quotes that were asked for just now."""
        if (symbol, kind) in self.first_data_due:
            self.first_data_due[symbol, kind] = now_ns + self._timing.first_data_ns

    def acked(self, symbol: str, now_ns: int) -> None:
        """Ask for the image that the symbol's changes have to follow."""
        book = self._kept.get(symbol)
        if book is not None and book.is_image_fetched and not book.is_whole:
            self.images.ask(symbol, now_ns)

    def is_asked(self, symbol: str, kind: str) -> bool:
        """Tell whether quotes were asked for: what comes before is another market's."""
        return self.first_data_due.get((symbol, kind)) != NEVER_NS

    def judge(self, quote: QuoteEvent, recv_ns: int, kept: list[Event]) -> bool:
        """Keep a quote of a followed symbol if it is good, and say whether it is."""
        check = self._checks.get(quote.symbol)
        if check is not None and quote.is_depth:
            self.note_data(quote.symbol, DEPTH)
            self._compare(check, quote, recv_ns, kept)
            return True
        if not self.is_asked(quote.symbol, self._shown):
            self._count("rejected.unsubscribed", 1)
            return False
        top = self.tops[quote.symbol]
        verdict = top.judge(quote, recv_ns)
        if verdict != ACCEPTED:
            self.drop(top, verdict, recv_ns, kept)
            return False
        self.note_data(quote.symbol, self._shown)
        kept.append(quote)
        if check is not None:
            self._last[quote.symbol] = quote
            self._compare(check, quote, recv_ns, kept)
        return True

    def judge_book(
        self, event: BookEvent | AddEvent, recv_ns: int, kept: list[Event]
    ) -> bool:
        """Take a step of a book; keep the top that it leads to, if it leads to one."""
        book = self._kept.get(event.symbol)
        if book is None or not self.is_asked(event.symbol, DEPTH):
            self._count("rejected.unsubscribed", 1)
            return False
        quote = book.apply(event)
        if quote is not None:
            if book.is_image_fetched:
                self.images.arrived(event.symbol, recv_ns)
            return self.judge(quote, recv_ns, kept)
        if not book.doubt:
            self._count(book.ignored, 1)
            if book.is_image_fetched and not book.is_whole:
                # The stream speaks: what it waits for is not its own silence.
                self.note_data(event.symbol, DEPTH)
                self.images.ask(event.symbol, recv_ns)
            return False
        self._doubt(event.symbol, DEPTH, book.doubt, kept, detail=book.detail)
        self._renew_book(event.symbol, book, recv_ns)
        return False

    def take_image(self, image: BookEvent, recv_ns: int, kept: list[Event]) -> bool:
        """Take an image that came by REST; one that does not serve is asked for again.

        It is freshness only together with the changes that follow it.
        """
        is_good = self.judge_book(image, recv_ns, kept)
        book = self._kept.get(image.symbol)
        if book is not None and not book.is_whole:
            self.images.failed(image.symbol, recv_ns)
        return is_good

    def drop(
        self, top: TopOfBook, verdict: int, now_ns: int, kept: list[Event]
    ) -> None:
        """Count a quote that a top refused, and begin a resync if it asks for one."""
        if verdict in (REGRESSED, DUPLICATE):
            self._count("regressed" if verdict == REGRESSED else "duplicates", 1)
            return
        self._count("crossed", 1)
        if verdict == RESYNC:
            self._resync(top.symbol, self._shown, "crossed", now_ns, kept)
        elif verdict == DOUBT:
            kept.append(SyncingEvent(top.symbol, "crossed"))
        else:
            assert verdict == CROSSED

    def note_data(self, symbol: str, kind: str) -> None:
        """Note that quotes of a kind have come, or that none are to be waited for."""
        self.first_data_due.pop((symbol, kind), None)
        self._resubscribes.pop((symbol, kind), None)

    def standing(self, symbol: str) -> None:
        """Subscribe a book anew that waits for an image which will not come."""
        book = self._kept.get(symbol)
        if book is not None and not book.is_whole:
            book.is_doubted = True

    def tick(self, now_ns: int, kept: list[Event]) -> None:
        """Resync what was left crossed, and ask for the images that had to wait."""
        for top in self.tops.values():
            if top.is_crossed and top.crossed_too_long(now_ns):
                self._resync(top.symbol, self._shown, "crossed", now_ns, kept)
        for symbol, book in self._kept.items():
            if book.is_doubted:
                self._renew_book(symbol, book, now_ns)
        for symbol, check in self._checks.items():
            was_disputed = check.is_disputed
            check.tick(now_ns)
            if check.is_disputed and not was_disputed:
                self._dispute(symbol, now_ns, kept)

    def chase_silent(self, now_ns: int, kept: list[Event]) -> str:
        """Subscribe again what has not spoken at all while the session has data.

        Returns a symbol whose book was good and got no new image: only a new session
        can help it.
        """
        lost = ""
        for due in [due for due, ns in self.first_data_due.items() if now_ns >= ns]:
            symbol, kind = due
            tries = self._resubscribes.get(due, 0)
            if tries >= RESUBSCRIBES_MAX:
                del self.first_data_due[due]
                self._note("silent", symbol=symbol, kind=kind, resubscribes=tries)
                if symbol in self._kept and self._shown == DEPTH:
                    lost = symbol if self.tops[symbol].is_seen else lost
                continue
            self._resubscribes[due] = tries + 1
            self._doubt(symbol, kind, "stale_instrument", kept)
            self._renew(symbol, kind, now_ns, is_subscribed_anew=True)
            self.first_data_due[due] = now_ns + self._timing.first_data_ns
        return lost

    def resubscribe(self, symbol: str, now_ns: int, kept: list[Event]) -> None:
        """Begin all quotes of a symbol anew, because it was ordered."""
        for kind in self._kinds:
            self._doubt(symbol, kind, "stale_instrument", kept)
            self._renew(symbol, kind, now_ns, is_subscribed_anew=True)

    def _resync(
        self, symbol: str, kind: str, reason: str, now_ns: int, kept: list[Event]
    ) -> None:
        self._doubt(symbol, kind, reason, kept)
        self._renew(symbol, kind, now_ns)

    def _doubt(
        self, symbol: str, kind: str, reason: str, kept: list[Event], **facts: object
    ) -> None:
        """Count a resync; what was published is in doubt if it was of that kind."""
        self._count(f"resyncs.{reason}", 1)
        self._note("resync", symbol=symbol, kind=kind, reason=reason, **facts)
        if kind == self._shown:
            self.tops[symbol].is_syncing = True
            kept.append(SyncingEvent(symbol, reason))

    def _renew_book(self, symbol: str, book: KeptBook, now_ns: int) -> None:
        """Ask for an image unless one was asked for just now."""
        if book.is_image_fetched:
            is_allowed = True  # images have a gap of their own
        elif self._shown == DEPTH:
            is_allowed = self.tops[symbol].may_resync(now_ns)
        else:
            is_allowed = book.gap.take(now_ns)
        if is_allowed:
            self._renew(symbol, DEPTH, now_ns)

    def _renew(
        self, symbol: str, kind: str, now_ns: int, *, is_subscribed_anew: bool = False
    ) -> None:
        """Ask for the quotes of a kind anew; a kept book has a deadline for them."""
        if kind == self._shown:
            self.tops[symbol].restart()
        book = self._kept.get(symbol) if kind == DEPTH else None
        if book is not None:
            book.requested()
            if (check := self._checks.get(symbol)) is not None:
                check.forget_depth()
            if book.is_image_fetched:
                self.images.ask(symbol, now_ns)
                if not is_subscribed_anew:
                    return
            self.first_data_due[symbol, kind] = now_ns + self._timing.first_data_ns
        self._subscriptions.resubscribe(symbol, (kind,))

    # --- Both kinds at once ---------------------------------------------------------

    def _compare(
        self, check: CrossCheck, quote: QuoteEvent, now_ns: int, kept: list[Event]
    ) -> None:
        was_disputed = check.is_disputed
        check.note(quote, now_ns)
        shown = self._last.get(quote.symbol)
        if not quote.is_depth and check.is_disputed:
            quote.flags |= FLAG_DISPUTED
        if check.is_disputed and not was_disputed:
            self._dispute(quote.symbol, now_ns, kept)
        elif was_disputed and not check.is_disputed and shown is not None:
            # They agree again: say so, though the price may not have moved.
            self._note("agreed", symbol=quote.symbol)
            shown.flags = FLAG_SNAPSHOT
            if shown not in kept:
                kept.append(shown)

    def _dispute(self, symbol: str, now_ns: int, kept: list[Event]) -> None:
        """Tell that the kinds contradict each other, and ask for a new image."""
        self._count("disputes", 1)
        self._note("disputed", symbol=symbol)
        kept.append(DisputeEvent(symbol))
        if symbol in self._kept:
            self._kept[symbol].is_doubted = True
