"""What a frame means, in words that every venue shares.

A venue's decoder makes events, the session judges them, the publisher turns what is
left into records. Owns the vocabulary only. Numbers are already doubles, times already
nanoseconds; an absent price or size is NaN, an absent time is `TIME_NONE`.

Flags and sides have the values that the records give them; the publisher asserts it,
so that this module need not know what a record is.
"""

from __future__ import annotations

from typing import Final, TypeAlias

from msgspec import Struct

TIME_NONE: Final = -(1 << 63)

SIDE_NONE: Final = 0
SIDE_BID: Final = 1  # the aggressor bought
SIDE_ASK: Final = 2  # the aggressor sold

FLAG_UNCHANGED: Final = 1 << 0
FLAG_ONE_SIDED: Final = 1 << 1
FLAG_SNAPSHOT: Final = 1 << 2
FLAG_SYNCING: Final = 1 << 4
FLAG_LOCKED: Final = 1 << 5
FLAG_REPLAYED: Final = 1 << 6
FLAG_DISPUTED: Final = 1 << 7
FLAG_OUTLIER: Final = 1 << 8


class QuoteEvent(Struct, gc=False):
    """The best bid and ask of one symbol; a full image reduced to its top is one too.

    `flags` starts as what the frame itself tells; the session adds the rest.
    """

    symbol: str
    event_ns: int
    venue_sequence: int
    bid: float
    bid_size: float
    ask: float
    ask_size: float
    flags: int = 0
    is_depth: bool = False  # the top of a whole image of the book


class BookEvent(Struct, gc=False):
    """A whole image of a depth book, or a change that sets absolute sizes, 0 for none.

    Levels are (price, size). `sequence` is the venue's number of this step, `previous`
    that of the step it follows, `first` the first one it contains; -1 where the venue
    sent none.
    """

    symbol: str
    event_ns: int
    is_snapshot: bool
    bids: list[tuple[float, float]]
    asks: list[tuple[float, float]]
    sequence: int = -1
    previous: int = -1
    first: int = -1


class AddEvent(Struct, gc=False):
    """A change of a depth book that adds to the sizes held.

    Levels are (price, signed change, size that results; NaN where it was not sent).
    """

    symbol: str
    event_ns: int
    bids: list[tuple[float, float, float]]
    asks: list[tuple[float, float, float]]


class FrameEvent(Struct, gc=False):
    """The number of this frame among all of its connection; first of its events."""

    sequence: int


class TradeEvent(Struct, gc=False):
    """One execution. `trade_id` is 0 when the venue gave none."""

    symbol: str
    event_ns: int
    price: float
    size: float
    aggressor: int
    trade_id: int
    flags: int = 0


class FundingEvent(Struct, gc=False):
    """Funding and the reference prices of one symbol; each value may be absent.

    It proves that the venue's data for the symbol is alive even when its book is quiet.
    """

    symbol: str
    event_ns: int
    rate_per_hour: float
    interval_ns: int
    next_funding_ns: int
    mark_price: float
    oracle_price: float
    mid_price: float
    open_interest: float
    is_rest: bool = False  # asked for, not streamed


class TickEvent(Struct, gc=False):
    """The liveness channel of a symbol ticked and said nothing else."""

    symbol: str


class SyncingEvent(Struct, gc=False):
    """What was published of this symbol is in doubt; a resync has begun."""

    symbol: str
    reason: str


class DisputeEvent(Struct, gc=False):
    """The venue's other channel shows another top than what was published."""

    symbol: str


class AckEvent(Struct, gc=False):
    """The venue accepted a subscription, or said that it stands already.

    `key` is the subscription's, or `#` and the id of the request that is answered.
    """

    key: str


class UnsubscribedEvent(Struct, gc=False):
    """The venue ended a subscription because we asked for it."""

    key: str


class RefusalEvent(Struct, gc=False):
    """The venue refused a request. An empty `key` means that it did not say which.

    `key` is the subscription's, or `#` and the id of the request that is answered.
    """

    reason: str
    key: str
    text: str


class StandingEvent(Struct, gc=False):
    """The venue says that a subscription stands already: no image will come for it."""

    key: str


class ReplyEvent(Struct, gc=False):
    """The venue pinged us by a frame of its own, which `text` answers."""

    text: str


class PongEvent(Struct, gc=False):
    """The venue answered a ping: the link works, which says nothing about its data."""


class RejectEvent(Struct, gc=False):
    """Part of a frame was refused; the rest of the frame stands beside it."""

    reason: str
    detail: str


class NoticeEvent(Struct, gc=False):
    """Something tolerated but odd: it is counted, and nothing is lost by it.

    `name` is the counter, `detail` tells kinds of it apart where that matters.
    """

    name: str
    count: int = 1
    detail: str = ""


Event: TypeAlias = (
    QuoteEvent
    | BookEvent
    | AddEvent
    | FrameEvent
    | TradeEvent
    | FundingEvent
    | TickEvent
    | SyncingEvent
    | DisputeEvent
    | AckEvent
    | UnsubscribedEvent
    | RefusalEvent
    | StandingEvent
    | ReplyEvent
    | PongEvent
    | RejectEvent
    | NoticeEvent
)
