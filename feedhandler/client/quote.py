"""One quote as a reader gets it: prices, sizes, stamps, state, and the verdict."""

from __future__ import annotations

import struct
import time

from feedhandler.verdict import is_tradable
from shm_layout.codes import (
    REASON_NAMES,
    SOURCE_NAMES,
    SOURCE_STREAM,
    STATE_NAMES,
    STATE_UNKNOWN,
    TIME_NONE,
)
from shm_layout.schema import QUOTE, STATUS

_unpack = QUOTE.struct.unpack
# Only what a verdict needs of a STATUS record, by its declared offsets.
_SESSION, _APPLY, _CONFIRMED, _SEQUENCE, _EPOCH = (
    STATUS.offsets[name]
    for name in (
        *("session", "apply_ns", "confirmed_ns"),
        *("applied_sequence", "applied_epoch"),
    )
)
_STATUS = struct.Struct(
    f"<{_SESSION}xI{_APPLY - _SESSION - 4}xq{_CONFIRMED - _APPLY - 8}xq"
    f"{_SEQUENCE - _CONFIRMED - 8}xQ{_EPOCH - _SEQUENCE - 8}xIBB"
)
_STREAM = SOURCE_NAMES[SOURCE_STREAM]
# By state and reason: their words, and whether the stream may be traded on then.
_WORDS = {
    state << 8 | reason: (word, why, bool(is_tradable(state, reason, SOURCE_STREAM)))
    for state, word in STATE_NAMES.items()
    for reason, why in REASON_NAMES.items()
}
_UNKNOWN = (STATE_NAMES[STATE_UNKNOWN], "unknown", False)


class Quote:
    """The top of book of one instrument at one read.

    Prices and sizes are in the venue's units, NaN for an absent side. `event_ns` is the
    venue's wall clock, `recv_ns`, `publish_ns`, `apply_ns` and `read_ns` are monotonic;
    TIME_NONE means unknown. `state`, `reason` and `source` are words; `tradable` is the
    answer: fresh, two-sided, from the stream, judged LIVE by a living runner; or QUIET
    and just confirmed by REST.
    """

    __slots__ = (
        "apply_ns",
        "ask",
        "ask_size",
        "bid",
        "bid_size",
        "epoch",
        "event_ns",
        "flags",
        "instrument",
        "publish_ns",
        "read_ns",
        "reason",
        "recv_ns",
        "sequence",
        "session",
        "source",
        "state",
        "symbol",
        "tradable",
        "venue",
        "venue_sequence",
    )

    venue: str
    instrument: str
    symbol: str
    sequence: int
    flags: int
    epoch: int
    session: int
    event_ns: int
    recv_ns: int
    publish_ns: int
    venue_sequence: int
    bid: float
    bid_size: float
    ask: float
    ask_size: float
    read_ns: int
    apply_ns: int
    state: str
    reason: str
    source: str
    tradable: bool

    def __init__(
        self, record: bytes, read_ns: int, names: tuple[str, str, str]
    ) -> None:
        (
            self.sequence,
            _,
            source,
            self.flags,
            _,
            self.epoch,
            self.session,
            self.event_ns,
            self.recv_ns,
            self.publish_ns,
            self.venue_sequence,
            self.bid,
            self.bid_size,
            self.ask,
            self.ask_size,
            _,
        ) = _unpack(record)
        self.venue, self.instrument, self.symbol = names
        self.source = SOURCE_NAMES.get(source, "UNKNOWN")
        self.read_ns = read_ns
        self.apply_ns = TIME_NONE

    @property
    def is_two_sided(self) -> bool:
        """Say whether both sides are there."""
        return self.bid == self.bid and self.ask == self.ask  # NaN is never equal

    @property
    def recv_age_ns(self) -> int:
        """Nanoseconds from the socket read to this read."""
        return self.read_ns - self.recv_ns

    @property
    def apply_age_ns(self) -> int | None:
        """Nanoseconds since the runner applied a two-sided record; None unknown."""
        return None if self.apply_ns == TIME_NONE else self.read_ns - self.apply_ns

    @property
    def event_age_ns(self) -> int | None:
        """Our wall clock minus the venue's, negative if it is ahead; None unknown.

        For diagnosis only: two clocks that nobody compared take part in it.
        """
        if self.event_ns == TIME_NONE:
            return None
        wall_at_read_ns = time.time_ns() - (time.monotonic_ns() - self.read_ns)
        return wall_at_read_ns - self.event_ns

    def set_verdict(self, state: int, reason: int) -> None:
        """Enter the verdict; whoever reads a quote gets it already entered."""
        self.state, self.reason, is_trusted = _WORDS.get(state << 8 | reason, _UNKNOWN)
        self.tradable = is_trusted and self.source == _STREAM

    def __repr__(self) -> str:
        return (
            f"Quote({self.venue} {self.instrument} {self.bid_size} @ {self.bid} × "
            f"{self.ask} @ {self.ask_size} {self.state} {self.reason} "
            f"tradable={self.tradable} recv_age_ns={self.recv_age_ns})"
        )


def unpack_status(record: bytes) -> tuple[int, int, int, int, int, int, int]:
    """Return what a verdict needs of a STATUS record.

    In order: session, apply_ns, confirmed_ns, applied_sequence, epoch, state, reason.
    """
    fields: tuple[int, int, int, int, int, int, int] = _STATUS.unpack_from(record)
    return fields
