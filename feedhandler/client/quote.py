"""One quote as a reader gets it: prices, sizes, stamps, state, and the verdict."""

from __future__ import annotations

import time

from shm_layout.codes import REASON_NAMES, SOURCE_NAMES, STATE_NAMES, TIME_NONE
from shm_layout.core import JudgedQuote

# The words of the codes, at the codes' places.
_STATES, _REASONS, _SOURCES = (
    tuple(names.get(code, unknown) for code in range(256))
    for names, unknown in (
        (STATE_NAMES, "UNKNOWN"),
        (REASON_NAMES, "unknown"),
        (SOURCE_NAMES, "UNKNOWN"),
    )
)


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

    def __init__(self, names: tuple[str, str, str], fields: JudgedQuote) -> None:
        self.venue, self.instrument, self.symbol = names
        (
            self.sequence,
            source,
            self.flags,
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
            self.read_ns,
            self.apply_ns,
            state,
            reason,
            self.tradable,
        ) = fields
        self.source = _SOURCES[source]
        self.state = _STATES[state]
        self.reason = _REASONS[reason]

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

    def __repr__(self) -> str:
        return (
            f"Quote({self.venue} {self.instrument} {self.bid_size} @ {self.bid} × "
            f"{self.ask} @ {self.ask_size} {self.state} {self.reason} "
            f"tradable={self.tradable} recv_age_ns={self.recv_age_ns})"
        )
