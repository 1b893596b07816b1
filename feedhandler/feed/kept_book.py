"""The book that a session keeps of a symbol whose frames only change it.

                  image                     gap, crossed, emptied, checksum
    AWAITING ──────────────▶ WHOLE ─────────────────────────────┐
       ▲ changes ignored,      └─┐ change                       │
       │ or kept by the rule   ◀─┘                              ▼
       └────────────────── a new image was asked for ────── IN DOUBT

Owns one book and one rule of continuity: what a step makes of them, and whether what
was published is in doubt. When a new image is asked for is not decided here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from feedhandler.book import book
from feedhandler.book.book import Book
from feedhandler.book.continuity import (
    APPLY,
    BEFORE_SNAPSHOT,
    DUPLICATE,
    GAP,
    NEED_SNAPSHOT,
    REGRESSED,
    Rule,
)
from feedhandler.book.pu_chain import PuChain
from feedhandler.book.top import ResyncGap
from feedhandler.events import (
    FLAG_SNAPSHOT,
    FLAG_SYNCING,
    TIME_NONE,
    AddEvent,
    BookEvent,
    QuoteEvent,
)


class KeptBook:
    """The book of one symbol in one session."""

    __slots__ = (
        "_book",
        "_chain",
        "_rule",
        "_event_ns",
        "doubt",
        "gap",
        "ignored",
        "is_doubted",
        "is_whole",
    )

    def __init__(self, rule: Rule) -> None:
        self._book = Book()
        self._rule = rule
        # The rule that keeps changes until their image comes, if it is one.
        self._chain = rule if isinstance(rule, PuChain) else None

        # State.
        self._event_ns = TIME_NONE  # the newest step's
        self.gap = ResyncGap()  # where the book is not what is shown
        self.is_whole = False  # there is an image, and every change since
        self.is_doubted = False  # it was whole, and no new image was asked for yet

        # Why the last step made no quote: the counter of it, one of them empty.
        self.doubt = ""  # the reason of a resync
        self.ignored = ""

    @property
    def is_image_fetched(self) -> bool:
        """Whether its image comes by REST and not with a new subscription."""
        return self._rule.is_image_fetched

    @property
    def detail(self) -> str:
        """What exactly raised the doubt, for the log."""
        if self._book.fault != book.UNSYNCED:
            return f"fault={book.FAULT_NAMES[self._book.fault]}"
        return f"expected={self._rule.expected} received={self._rule.received}"

    def apply(self, event: BookEvent | AddEvent) -> QuoteEvent | None:
        """Take one step; return the top, or None when there is none to be believed."""
        self.doubt = self.ignored = ""
        verdict = self._judge(event)
        if verdict != APPLY:
            self._refuse(verdict, event)
            return None
        kept = self._book
        if isinstance(event, AddEvent):
            fault = kept.add(event.bids, event.asks)
        elif event.is_snapshot:
            fault = kept.replace(event.bids, event.asks)
            if self._chain is not None:
                return self._follow(event, fault, self._chain.take_kept())
        else:
            fault = kept.change(event.bids, event.asks)
        return self._quote(event, fault)

    def requested(self) -> None:
        """Note that a new image was asked for: until it comes, nothing is believed."""
        self._book.clear()
        self._rule.await_snapshot()
        self.is_whole = False
        self.is_doubted = False

    def _judge(self, event: BookEvent | AddEvent) -> int:
        rule = self._rule
        if isinstance(event, AddEvent):
            return rule.judge_delta()
        if event.is_snapshot:
            if event.sequence < 0 and self.is_whole and event.event_ns < self._event_ns:
                return REGRESSED  # without a number its time has to tell
            return rule.judge_snapshot(event.sequence)
        if self._chain is not None:
            return self._chain.judge_delta(
                event.sequence, event.previous, event.first, event
            )
        return rule.judge_delta(event.sequence, event.previous)

    def _follow(
        self, image: BookEvent, fault: int, changes: Sequence[BookEvent]
    ) -> QuoteEvent | None:
        """Apply the changes that waited for the image; the last one's top counts."""
        last = image
        is_joined = bool(changes)
        for change in changes:
            if fault < book.UNSYNCED:
                fault = self._book.change(change.bids, change.asks)
                last = change
        quote = self._quote(last, fault)
        if quote is not None and not is_joined:
            # The stream has not said so yet: the price is shown, and not believed.
            quote.flags |= FLAG_SYNCING
        return quote

    def _quote(self, event: BookEvent | AddEvent, fault: int) -> QuoteEvent | None:
        kept = self._book
        if fault >= book.UNSYNCED:
            self._rule.await_snapshot()
            self._raise_doubt(_REASONS.get(fault, self._rule.gap_reason))
            return None
        self.is_whole = True
        self.is_doubted = False
        self._event_ns = event.event_ns
        self.gap.reset()
        is_image = isinstance(event, BookEvent) and event.is_snapshot
        sequence = event.sequence if isinstance(event, BookEvent) else 0
        return QuoteEvent(
            event.symbol,
            event.event_ns,
            max(sequence, 0),
            kept.bid,
            kept.bid_size,
            kept.ask,
            kept.ask_size,
            FLAG_SNAPSHOT if is_image else 0,
            is_depth=True,
        )

    def _refuse(self, verdict: int, event: BookEvent | AddEvent) -> None:
        is_gap = verdict == GAP
        if verdict == DUPLICATE and self.is_whole and isinstance(event, BookEvent):
            # The last step again must say what it said; if not, one of them was wrong.
            is_gap = not self._book.holds(event.bids, event.asks)
        if is_gap:
            self._book.clear()
            self._rule.await_snapshot()
            self._raise_doubt(self._rule.gap_reason)
        else:
            self.ignored = _IGNORED[verdict]

    def _raise_doubt(self, reason: str) -> None:
        self.doubt = reason
        self.is_whole = False
        self.is_doubted = True


# A verdict of the rule -> the counter of what is ignored.
_IGNORED: Final = {
    DUPLICATE: "duplicates",
    REGRESSED: "regressed",
    BEFORE_SNAPSHOT: "before_image",
    NEED_SNAPSHOT: "before_image",
}
# A fault of the book -> the reason of the resync. Any other fault, as an emptied side,
# is that of a change which was lost, though no number tells which.
_REASONS: Final = {book.CROSSED: "crossed", book.CHECKSUM: "checksum"}
