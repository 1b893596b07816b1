"""Whether a step of a book follows the one before it: a small set of rules.

    rule              an image                  a change is applied when
    SnapshotOnly      always replaces           never: the feed has none
    OrderingGuard     newer than the last       never: every frame is an image
    NonceChain        starts the chain          it begins where the last one ended
    ImageFirst        always replaces           an image has come: order is proven
                                                elsewhere, by the frames' numbers
    SequencePlusOne   starts the sequence       its number is the next
    FrameSequence     its number is the next    its number is the next
    PuChain           joins kept changes        it names the last (module `pu_chain`)

                  image                  does not follow: GAP
    awaiting ──────────────▶ following ─────────────────────▶ awaiting
       │ ▲                     │ ▲
       └─┘ changes ignored     └─┘ APPLY; what was seen before is ignored
           (PuChain keeps them)

Owns order, and no levels. Numbers compare only within one session and one source: one
object serves one source and one scope (a symbol; for `FrameSequence` the socket), and
`reset` is called for a new session. They are the venue's 64-bit numbers; only order and
equality matter, so a jump of any width is one gap. What is ignored is no freshness: a
venue that starts its numbers anew within a session meets the watchdog, not silence.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Final

SEQUENCE_NONE: Final = -1  # the venue sent none

APPLY: Final = 0
DUPLICATE: Final = 1  # ignored: the last step again
REGRESSED: Final = 2  # ignored: older than the last step
BEFORE_SNAPSHOT: Final = 3  # ignored: there is no image it could change
GAP: Final = 4  # steps are missing: what is held is in doubt, and an image is needed
NEED_SNAPSHOT: Final = 5  # an image, or a newer one, is needed first

VERDICT_NAMES: Final = (
    "apply",
    "duplicate",
    "regressed",
    "before_snapshot",
    "gap",
    "need_snapshot",
)
IGNORED: Final = frozenset({DUPLICATE, REGRESSED, BEFORE_SNAPSHOT})


class Rule(ABC):
    """What every rule remembers. After a `GAP`, `expected` and `received` are told."""

    __slots__ = ("expected", "is_following", "last", "received", "unlinked")

    # What a gap is called where resyncs are counted.
    gap_reason: ClassVar[str] = "seq_gap"
    # Whether images come by REST, while the changes go on.
    is_image_fetched: ClassVar[bool] = False

    def __init__(self) -> None:
        # The last step that was applied, and whether changes may follow it.
        self.last = SEQUENCE_NONE
        self.is_following = False

        # The last gap, and steps taken on trust because the venue sent no link.
        self.expected = SEQUENCE_NONE
        self.received = SEQUENCE_NONE
        self.unlinked = 0

    def reset(self) -> None:
        """Forget every number: a new session, or another source, begins."""
        self.last = SEQUENCE_NONE
        self.is_following = False

    def await_snapshot(self) -> None:
        """Take no change before the next image of this session, nor an older image."""
        self.is_following = False

    def judge_snapshot(self, sequence: int = SEQUENCE_NONE) -> int:
        """Judge an image. One as old as the last step is the same book, and heals."""
        if sequence < self.last:
            return REGRESSED
        self.last = sequence
        self.is_following = True
        return APPLY

    @abstractmethod
    def judge_delta(
        self, sequence: int = SEQUENCE_NONE, previous: int = SEQUENCE_NONE
    ) -> int:
        """Judge a change that ends at `sequence` and says it follows `previous`."""

    def _seen(self, sequence: int) -> int:
        return DUPLICATE if sequence == self.last else REGRESSED

    def _gap(self, expected: int, received: int) -> int:
        self.expected = expected
        self.received = received
        self.is_following = False
        return GAP


class SnapshotOnly(Rule):
    """Every frame is an image, and none has a number."""

    __slots__ = ()

    def judge_snapshot(self, sequence: int = SEQUENCE_NONE) -> int:
        """Apply: an image needs nothing before it."""
        return APPLY

    def judge_delta(
        self, sequence: int = SEQUENCE_NONE, previous: int = SEQUENCE_NONE
    ) -> int:
        """Refuse: nothing tells what was before the change."""
        return NEED_SNAPSHOT


class OrderingGuard(SnapshotOnly):
    """Every frame is an image whose number grows, in steps of any size.

    An image without a number cannot be older than one that has a number.
    """

    __slots__ = ()

    def judge_snapshot(self, sequence: int = SEQUENCE_NONE) -> int:
        """Apply what is newer than the last."""
        if sequence > self.last:
            self.last = sequence
            return APPLY
        if sequence == SEQUENCE_NONE:
            self.unlinked += 1
            return APPLY
        return self._seen(sequence)


class ImageFirst(Rule):
    """Steps of one symbol without numbers, in the order that `FrameSequence` proves."""

    __slots__ = ()

    def judge_delta(
        self, sequence: int = SEQUENCE_NONE, previous: int = SEQUENCE_NONE
    ) -> int:
        """Apply what comes after an image."""
        return APPLY if self.is_following else BEFORE_SNAPSHOT


class NonceChain(Rule):
    """Each change names the step it begins at; that must be the last one (Lighter).

    A change that names none, as old servers sent them, is applied when it is newer.
    """

    __slots__ = ()

    gap_reason = "nonce_gap"

    def judge_delta(
        self, sequence: int = SEQUENCE_NONE, previous: int = SEQUENCE_NONE
    ) -> int:
        """Apply what begins where the last step ended."""
        if not self.is_following:
            return BEFORE_SNAPSHOT
        if sequence <= self.last:
            return self._seen(sequence)
        if previous != self.last:
            if previous != SEQUENCE_NONE:
                return self._gap(self.last, previous)
            self.unlinked += 1
        self.last = sequence
        return APPLY


class SequencePlusOne(Rule):
    """Each change has the number after the last step's (Paradex, each market)."""

    __slots__ = ()

    def judge_delta(
        self, sequence: int = SEQUENCE_NONE, previous: int = SEQUENCE_NONE
    ) -> int:
        """Apply the next number."""
        if not self.is_following:
            return BEFORE_SNAPSHOT
        if sequence == self.last + 1:
            self.last = sequence
            return APPLY
        if sequence <= self.last:
            return self._seen(sequence)
        return self._gap(self.last + 1, sequence)


class FrameSequence(Rule):
    """Every frame of a socket is numbered, whatever it carries (Extended).

    The first may have any number (0 and 1 were seen). Which symbol a gap has hurt is
    unknown, so that nothing follows it but a new session. Whether a symbol has had its
    image is not this rule's business: the book knows.
    """

    __slots__ = ()

    def judge_snapshot(self, sequence: int = SEQUENCE_NONE) -> int:
        """Judge an image as any other frame: it heals no gap."""
        return self.judge_delta(sequence)

    def judge_delta(
        self, sequence: int = SEQUENCE_NONE, previous: int = SEQUENCE_NONE
    ) -> int:
        """Apply the first frame and each next number."""
        if sequence == self.last + 1 and self.is_following:
            self.last = sequence
            return APPLY
        if self.last == SEQUENCE_NONE:
            self.last = sequence
            self.is_following = True
            return APPLY
        if not self.is_following:
            return NEED_SNAPSHOT
        if sequence <= self.last:
            return self._seen(sequence)
        return self._gap(self.last + 1, sequence)
