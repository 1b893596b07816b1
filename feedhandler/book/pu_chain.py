"""Changes that wait for an image, then follow each other: the `pu` chain (Aster).

    changes   [U … u] [U … u] [U … u] ─▶       `pu` of each is the `u` before it
                    ▲
    image      lastUpdateId                    from REST, later than the first changes

    what ends before the image        is in it, and goes
    the first that ends at or after   must follow a step that the image contains: it
                                      overlaps the image or starts right after it
    each one after that               has `pu` equal to the last `u`, or is a gap

Numbers are shared by all symbols: `U` need not be `pu` + 1, and an image may fall
between two changes, where the later one still follows it. Owns the changes that wait,
without looking into them. A gap begins again: the change that showed it waits first.
"""

from __future__ import annotations

from collections import deque
from typing import Final, Generic, TypeVar

from feedhandler.book.continuity import (
    APPLY,
    DUPLICATE,
    NEED_SNAPSHOT,
    REGRESSED,
    SEQUENCE_NONE,
    Rule,
)

# Changes kept for an image under way: 100 s of the fastest feed that needs it (100 ms).
KEPT_MAX: Final = 1_024

Item = TypeVar("Item")


class PuChain(Rule, Generic[Item]):
    """The chain of one symbol, and the changes that wait for an image.

    A change that is judged `GAP` or `NEED_SNAPSHOT` is kept. What is kept has no hole:
    a change that does not follow replaces all before it, which no image can use.
    """

    __slots__ = ("_is_joined", "_kept", "discarded")

    is_image_fetched = True

    def __init__(self) -> None:
        super().__init__()
        self._is_joined = False  # a change has followed the image
        self._kept: deque[tuple[int, int, int, Item]] = deque()
        self.discarded = 0  # kept changes that no image can reach any more

    def reset(self) -> None:
        """Forget every number and every kept change."""
        super().reset()
        self._kept.clear()

    def judge_snapshot(self, sequence: int = SEQUENCE_NONE) -> int:
        """Judge a REST image: `NEED_SNAPSHOT` when it is older than what is kept.

        After `APPLY` the caller replaces the book and applies `take_kept`.
        """
        if sequence < self.last:
            return REGRESSED
        kept = self._kept
        while kept and kept[0][0] < sequence:
            kept.popleft()
        if kept and not _joins(sequence, kept[0][1], kept[0][2]):
            self._gap(sequence, kept[0][1])
            return NEED_SNAPSHOT
        self._is_joined = bool(kept)
        self.last = kept[-1][0] if kept else sequence
        self.is_following = True
        return APPLY

    def take_kept(self) -> list[Item]:
        """Return the changes that follow the image just applied, in their order."""
        items = [item for _, _, _, item in self._kept]
        self._kept.clear()
        return items

    def judge_delta(
        self,
        sequence: int = SEQUENCE_NONE,
        previous: int = SEQUENCE_NONE,
        first: int = SEQUENCE_NONE,
        item: Item | None = None,
    ) -> int:
        """Apply what follows; `item` is what is kept of a change that cannot yet.

        `first` is the first step that the change contains.
        """
        if not self.is_following:
            return self._keep(sequence, previous, first, item)
        assert not self._kept, "kept changes were not taken after the image"
        if self._is_joined:
            if sequence <= self.last:
                return self._seen(sequence)
            is_next = previous == self.last
        else:
            # One that ends with the image is in it, and starts the chain all the same.
            if sequence < self.last:
                return REGRESSED
            is_next = _joins(self.last, previous, first)
        if is_next:
            self._is_joined = True
            self.last = sequence
            return APPLY
        self._keep(sequence, previous, first, item)
        return self._gap(self.last, previous)

    def _keep(self, sequence: int, previous: int, first: int, item: Item | None) -> int:
        assert item is not None, "a change that may have to wait needs its item"
        kept = self._kept
        if kept:
            newest = kept[-1][0]
            if sequence <= newest:
                return DUPLICATE if sequence == newest else REGRESSED
            if previous != newest:
                self.discarded += len(kept)
                kept.clear()
            elif len(kept) >= KEPT_MAX:
                self.discarded += 1
                kept.popleft()
        kept.append((sequence, previous, first, item))
        return NEED_SNAPSHOT


def _joins(snapshot: int, previous: int, first: int) -> bool:
    """Tell whether a change that ends at or after an image loses nothing against it.

    One without `pu` (or 0, which would follow anything) is judged by its `U`.
    """
    return 0 < previous <= snapshot or SEQUENCE_NONE < first <= snapshot + 1
