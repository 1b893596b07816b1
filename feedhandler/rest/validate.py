"""May this answer be shown, and is it news?

    image ─▶ levels positive ─▶ a side ─▶ not crossed ─▶ not older ─▶ not frozen

An answer is *older* than the last one of its own source by its time, or by its number
where the times are equal; and older than the stream by the venue's time alone, because
numbers of two sources cannot be compared. It is *frozen* when nothing tells it apart
from the last one: the same number and time, or where the venue sends neither, the same
levels. A quiet market answers so too. So:

    fallback            a frozen answer is not published: the last one keeps its age
    anything else       the runner has the stream to compare it with; it is published
                        unless the host's own Date says that it is a stored answer

Owns the judgement of one instrument's answers; a wrong symbol is refused before, by the
venue's decoder. Reads no clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, nan
from typing import Final

from feedhandler.events import (
    FLAG_LOCKED,
    FLAG_ONE_SIDED,
    FLAG_SNAPSHOT,
    TIME_NONE,
    BookEvent,
)
from feedhandler.rest.due import FALLBACK

SECOND_NS: Final = 1_000_000_000

# REST and stream are stamped at different places of a venue.
STREAM_SLACK_NS: Final = SECOND_NS
# A Date has whole seconds, and hosts of one name need not agree to the second.
DATE_SLACK_S: Final = 2

# Why an answer was not published; each has a counter.
REASONS: Final = (
    "symbol",  # it is another market's
    "level",  # a price or size that cannot be
    "empty",  # no side at all
    "crossed",
    "older",
    "frozen",
    "late",  # the stream was back before it
)


class Discard(Exception):
    """An answer is not published; `reason` is one of `REASONS`."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Top:
    """Best bid and ask of an image; NaN for an absent side."""

    bid: float
    bid_size: float
    ask: float
    ask_size: float
    flags: int


def top_of(image: BookEvent) -> Top:
    """Return the top of an image; raise `Discard`."""
    bid, bid_size = _best(image.bids, is_bid=True)
    ask, ask_size = _best(image.asks, is_bid=False)
    flags = FLAG_SNAPSHOT
    if bid != bid or ask != ask:
        if bid != bid and ask != ask:
            raise Discard("empty")
        flags |= FLAG_ONE_SIDED
    elif bid > ask:
        raise Discard("crossed", f"bid={bid} ask={ask}")
    elif bid == ask:
        flags |= FLAG_LOCKED
    return Top(bid, bid_size, ask, ask_size, flags)


class History:
    """What one instrument's last published answer was, to judge the next by."""

    def __init__(self, event_ns: int = TIME_NONE, sequence: int = -1) -> None:
        self._event_ns = event_ns
        self._sequence = sequence
        self._levels = 0  # a digest, where the answer has neither
        self._start_ns: int | None = None
        self._date_s: int | None = None

    def check(
        self,
        image: BookEvent,
        purpose: str,
        start_ns: int,
        date_s: int | None,
        stream_event_ns: int,
    ) -> None:
        """Raise `Discard` for an answer that is no news.

        `start_ns` is when its request began, `stream_event_ns` the venue's time of what
        the stream had shown by then.
        """
        if self._is_older(image):
            raise Discard("older", "than the last answer")
        if (
            TIME_NONE not in (image.event_ns, stream_event_ns)
            and image.event_ns < stream_event_ns - STREAM_SLACK_NS
        ):
            raise Discard("older", "than the stream")
        if self._is_same(image) and (
            purpose == FALLBACK or self._is_stored(start_ns, date_s)
        ):
            raise Discard("frozen")

    def note(self, image: BookEvent, start_ns: int, date_s: int | None) -> None:
        """Remember an answer that was published."""
        self._event_ns = image.event_ns
        self._sequence = image.sequence
        self._levels = _digest(image)
        self._start_ns = start_ns
        self._date_s = date_s

    def _is_older(self, image: BookEvent) -> bool:
        if TIME_NONE not in (image.event_ns, self._event_ns):
            if image.event_ns != self._event_ns:
                return image.event_ns < self._event_ns
        return 0 <= image.sequence < self._sequence

    def _is_same(self, image: BookEvent) -> bool:
        if image.sequence >= 0 or image.event_ns != TIME_NONE:
            return (image.sequence, image.event_ns) == (self._sequence, self._event_ns)
        return self._start_ns is not None and _digest(image) == self._levels

    def _is_stored(self, start_ns: int, date_s: int | None) -> bool:
        """Say whether the host's clock stood still since the last answer."""
        if date_s is None or self._date_s is None or self._start_ns is None:
            return False  # it does not tell
        passed_s = (start_ns - self._start_ns) // SECOND_NS
        return date_s - self._date_s < passed_s - DATE_SLACK_S


def _best(levels: list[tuple[float, float]], *, is_bid: bool) -> tuple[float, float]:
    best, best_size = nan, nan
    for price, size in levels:
        if not (0 < price < inf and 0 <= size < inf):
            raise Discard("level", f"price={price} size={size}")
        if size == 0:
            continue  # absent
        if best != best or (price > best if is_bid else price < best):
            best, best_size = price, size
    return best, best_size


def _digest(image: BookEvent) -> int:
    return hash((tuple(image.bids), tuple(image.asks)))
