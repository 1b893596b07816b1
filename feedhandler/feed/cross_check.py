"""Two channels of one market compared: the best bid and offer, and the whole book.

    bbo   ──▶ tops by key ─┐
                           ├─ same key, other top ──▶ DISPUTED
    depth ──▶ tops by key ─┘
              never the same for long ─────────────▶ DISPUTED
                                     same again ───▶ AGREED

The key is what the two channels of a venue have in common: the venue's sequence, or
its event time; where they have nothing, only the second test is made. Owns the compare,
for one symbol in one session; what follows from it is decided elsewhere.
"""

from __future__ import annotations

from typing import Final

from feedhandler.events import TIME_NONE, QuoteEvent

# Tops that wait for their counterpart: a second of the fastest channel seen.
WAITING_MAX: Final = 128

SEQUENCE: Final = "sequence"
TIME: Final = "time"
LONG: Final = "long"

Top = tuple[float, float, float, float]


class CrossCheck:
    """The compare of one symbol."""

    __slots__ = (
        "_differs_since_ns",
        "_has_key_differed",
        "_is_long",
        "_key",
        "_long_ns",
        "_tops",
        "_waiting",
        "compared",
    )

    def __init__(self, key: str, long_ns: int) -> None:
        self._key = key
        self._long_ns = long_ns

        # The newest top of each channel, bbo first, and those that wait, by key.
        self._tops: list[Top | None] = [None, None]
        self._waiting: tuple[dict[int, Top], dict[int, Top]] = ({}, {})
        self._differs_since_ns: int | None = None

        # What the two tests say, and how many tops of one key have met.
        self._has_key_differed = False
        self._is_long = False
        self.compared = 0

    @property
    def is_disputed(self) -> bool:
        """Whether the channels contradict each other as far as is known."""
        return self._has_key_differed or self._is_long

    def note(self, quote: QuoteEvent, now_ns: int) -> None:
        """Take a new top of either channel."""
        top = (quote.bid, quote.bid_size, quote.ask, quote.ask_size)
        side = 1 if quote.is_depth else 0
        self._tops[side] = top
        self._note_difference(now_ns)
        key = self._key_of(quote)
        if key is None:
            return
        other = self._waiting[1 - side].get(key)
        if other is not None:
            self.compared += 1
            self._has_key_differed = not _is_same(top, other)
        waiting = self._waiting[side]
        waiting[key] = top  # the last of several with one key counts
        if len(waiting) > WAITING_MAX:
            del waiting[next(iter(waiting))]

    def forget_depth(self) -> None:
        """Let go of the book's tops: a new image was asked for."""
        self._tops[1] = None
        self._waiting[1].clear()
        self._differs_since_ns = None

    def tick(self, now_ns: int) -> None:
        """Look whether the two have differed for too long."""
        since_ns = self._differs_since_ns
        if since_ns is not None and now_ns - since_ns >= self._long_ns:
            self._is_long = True

    def _note_difference(self, now_ns: int) -> None:
        bbo, depth = self._tops
        if bbo is None or depth is None:
            return
        if _is_same(bbo[::2], depth[::2]):
            self._differs_since_ns = None
            self._is_long = False
            # Counterparts may be rare: tops that are wholly the same agree too.
            if _is_same(bbo, depth):
                self._has_key_differed = False
        elif self._differs_since_ns is None:
            self._differs_since_ns = now_ns

    def _key_of(self, quote: QuoteEvent) -> int | None:
        if self._key == SEQUENCE and quote.venue_sequence > 0:
            return quote.venue_sequence
        if self._key == TIME and quote.event_ns != TIME_NONE:
            return quote.event_ns
        return None


def _is_same(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    """Compare numbers, an absent one being equal to itself."""
    return all(a == b or (a != a and b != b) for a, b in zip(one, other, strict=True))
