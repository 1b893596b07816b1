"""Named entries of a segment: instruments, counters, histograms.

Each table is append-only: an entry is written whole, then the count word is stored, so
that a reader never sees half a name. An index once given keeps its meaning for the
segment's life, also over restarts of its writer.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from shm_layout import codes, schema
from shm_layout.layout import Layout
from shm_layout.limits import BUCKETS_PER_OCTAVE_BITS

_FEED_KINDS = {name: code for code, name in codes.FEED_KIND_NAMES.items()}
_NS_PER_MS = 1_000_000


@dataclass(frozen=True, slots=True)
class Instrument:
    """One entry of the directory.

    `fresh_ms` is the recv-age in milliseconds above which its quote is stale. `tick`
    and `lot` are in the venue's units, NaN when unknown. `multiplier` is how many units
    of the instrument one unit of the symbol is (1000 for `kPEPE`).
    """

    venue: str
    instrument: str
    symbol: str
    feed_kind: str = "bbo"
    tick: float = math.nan
    lot: float = math.nan
    multiplier: float = 1.0
    fresh_ms: int = 3_000
    is_active: bool = True

    def pack(self) -> bytes:
        """Return the entry's bytes. `ValueError` when a text does not fit."""
        return schema.INSTRUMENT.struct.pack(
            _text("venue", self.venue, schema.INSTRUMENT),
            _text("instrument", self.instrument, schema.INSTRUMENT),
            _text("symbol", self.symbol, schema.INSTRUMENT),
            self.tick,
            self.lot,
            self.multiplier,
            self.fresh_ms * _NS_PER_MS,
            int(self.is_active),
            _FEED_KINDS[self.feed_kind],
        )

    @classmethod
    def unpack(cls, data: bytes) -> Instrument:
        """Return the entry that those bytes describe."""
        fields = schema.INSTRUMENT.struct.unpack(data)
        venue, instrument, symbol = (decode_text(text) for text in fields[:3])
        tick, lot, multiplier, fresh_ns, active, feed_kind = fields[3:]
        return cls(
            venue=venue,
            instrument=instrument,
            symbol=symbol,
            feed_kind=codes.FEED_KIND_NAMES.get(feed_kind, "bbo"),
            tick=tick,
            lot=lot,
            multiplier=multiplier,
            fresh_ms=fresh_ns // _NS_PER_MS,
            is_active=bool(active),
        )


@dataclass(frozen=True, slots=True)
class Histogram:
    """One histogram as read: counts per bucket, and what they sum to.

    Buckets are log-linear, so a percentile is right to 1/16 of its value.
    """

    name: str
    count: int
    sum_ns: int
    max_ns: int
    negative: int
    buckets: tuple[int, ...]

    def percentile_ns(self, percent: float) -> int | None:
        """Return the upper bound of that percentile's bucket, None when empty."""
        total = sum(self.buckets)
        if total == 0:
            return None
        wanted = max(1, math.ceil(total * percent / 100))
        seen = 0
        for bucket, count in enumerate(self.buckets):
            seen += count
            if seen >= wanted:
                # The last bucket also holds whatever is above its limit.
                is_last = bucket == len(self.buckets) - 1
                limit_ns = self.max_ns if is_last else bucket_limit_ns(bucket)
                return min(limit_ns, self.max_ns)
        raise AssertionError("the buckets sum to their total")


def bucket_limit_ns(bucket: int) -> int:
    """Return the largest value that falls into a bucket."""
    bits = BUCKETS_PER_OCTAVE_BITS
    octave = 1 << bits
    if bucket < octave:
        return bucket
    below = (bucket >> bits) - 1
    return (((bucket & (octave - 1)) + octave + 1) << below) - 1


def decode_text(value: bytes) -> str:
    """Return a zero-padded field as text; damaged bytes become U+FFFD."""
    return value.rstrip(b"\0").decode("utf-8", "replace")


def encode_name(layout: Layout, name: str) -> bytes:
    """Return the bytes of an entry's name. Raises `ValueError` when it does not fit."""
    return _text("name", name, layout)


def _text(field: str, value: str, layout: Layout) -> bytes:
    data = value.encode()
    limit = layout.field(field).size_bytes
    if not data or len(data) > limit or b"\0" in data:
        raise ValueError(f"1 to {limit} bytes without NUL expected: {field}={value!r}")
    return data
