"""The book that a session keeps of a symbol whose frames only change it.

                  image                     gap, crossed, emptied, checksum
    AWAITING ──────────────▶ WHOLE ─────────────────────────────┐
       ▲ changes ignored       └─┐ change                       │
       │                       ◀─┘                              ▼
       └──────────── a new subscription was requested ────── IN DOUBT

Owns one book and one rule of continuity: what a step makes of them, and whether what
was published is in doubt. When a new image is asked for is not decided here.
"""

from __future__ import annotations

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
from feedhandler.events import FLAG_SNAPSHOT, BookEvent, QuoteEvent


class KeptBook:
    """The book of one symbol in one session."""

    __slots__ = ("_book", "_rule", "doubt", "ignored", "is_doubted", "is_whole")

    def __init__(self, rule: Rule) -> None:
        self._book = Book()
        self._rule = rule

        # State.
        self.is_whole = False  # there is an image, and every change since
        self.is_doubted = False  # it was whole, and no new image was asked for yet

        # Why the last step made no quote: the counter of it, one of them empty.
        self.doubt = ""  # the reason of a resync
        self.ignored = ""

    @property
    def detail(self) -> str:
        """What exactly raised the doubt, for the log."""
        if self._book.fault != book.UNSYNCED:
            return f"fault={book.FAULT_NAMES[self._book.fault]}"
        return f"expected={self._rule.expected} received={self._rule.received}"

    def apply(self, event: BookEvent) -> QuoteEvent | None:
        """Take one step; return the top, or None when there is none to be believed."""
        self.doubt = self.ignored = ""
        rule = self._rule
        if event.is_snapshot:
            verdict = rule.judge_snapshot(event.sequence)
        else:
            verdict = rule.judge_delta(event.sequence, event.previous)
        if verdict != APPLY:
            self._refuse(verdict)
            return None
        kept = self._book
        if event.is_snapshot:
            fault = kept.replace(event.bids, event.asks)
        else:
            fault = kept.change(event.bids, event.asks)
        if fault >= book.UNSYNCED:
            rule.await_snapshot()
            self._raise_doubt(_REASONS.get(fault, rule.gap_reason))
            return None
        self.is_whole = True
        self.is_doubted = False
        return QuoteEvent(
            event.symbol,
            event.event_ns,
            event.sequence,
            kept.bid,
            kept.bid_size,
            kept.ask,
            kept.ask_size,
            FLAG_SNAPSHOT if event.is_snapshot else 0,
        )

    def requested(self) -> None:
        """Note that a new image was asked for: until it comes, changes are ignored."""
        self._book.clear()
        self._rule.await_snapshot()
        self.is_whole = False
        self.is_doubted = False

    def _refuse(self, verdict: int) -> None:
        if verdict == GAP:
            self._book.clear()
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
