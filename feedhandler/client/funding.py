"""The newest funding of one instrument as a reader gets it."""

from __future__ import annotations

from dataclasses import dataclass

from shm_layout.codes import SOURCE_NAMES
from shm_layout.schema import FUNDING

STALE_AFTER_S = 600.0  # no venue pays more often than hourly; most send each second

_NAMES = tuple(field.name for field in FUNDING.fields)


@dataclass(frozen=True, slots=True)
class Funding:
    """Funding and the reference prices that came with it, at one read.

    Rates are fractions, NaN unknown. `next_funding_ns` and `event_ns` are wall clock of
    the venue, `recv_ns` and `read_ns` monotonic; TIME_NONE means unknown. Prices are in
    the venue's units, NaN for what the venue did not send. `source` is STREAM or REST.
    """

    venue: str
    instrument: str
    symbol: str
    rate_per_hour: float
    interval_ns: int
    next_funding_ns: int
    mark_price: float
    oracle_price: float
    mid_price: float
    open_interest: float
    source: str
    session: int
    epoch: int
    sequence: int
    event_ns: int
    recv_ns: int
    read_ns: int
    stale_after_ns: int

    @property
    def rate_per_8h(self) -> float:
        """The rate over eight hours: what most venues quote."""
        return 8 * self.rate_per_hour

    @property
    def recv_age_ns(self) -> int:
        """Nanoseconds from the socket read, or the REST answer, to this read."""
        return self.read_ns - self.recv_ns

    @property
    def is_stale(self) -> bool:
        """Say whether it is too old to rely on."""
        return not 0 <= self.recv_age_ns <= self.stale_after_ns


def unpack_funding(
    record: bytes, names: tuple[str, str, str], read_ns: int, stale_after_ns: int
) -> Funding:
    """Return the funding that a FUNDING record of that instrument holds."""
    fields = dict(zip(_NAMES, FUNDING.struct.unpack(record), strict=True))
    venue, instrument, symbol = names
    return Funding(
        venue=venue,
        instrument=instrument,
        symbol=symbol,
        rate_per_hour=fields["rate_per_hour"],
        interval_ns=fields["interval_ns"],
        next_funding_ns=fields["next_funding_ns"],
        mark_price=fields["mark_price"],
        oracle_price=fields["oracle_price"],
        mid_price=fields["mid_price"],
        open_interest=fields["open_interest"],
        source=SOURCE_NAMES.get(fields["source"], "UNKNOWN"),
        session=fields["session"],
        epoch=fields["epoch"],
        sequence=fields["sequence"],
        event_ns=fields["event_ns"],
        recv_ns=fields["recv_ns"],
        read_ns=read_ns,
        stale_after_ns=stale_after_ns,
    )
