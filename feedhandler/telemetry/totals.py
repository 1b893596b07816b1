"""Totals: everything that only adds up, read from every segment of the instance."""

from __future__ import annotations

import math
from collections.abc import Mapping

from feedhandler.telemetry.buckets import Spread, shrink
from feedhandler.telemetry.follow import Cadence
from feedhandler.telemetry.look import shown_kind
from feedhandler.telemetry.readers import living_readers
from feedhandler.telemetry.records import (
    AGE_UNKNOWN,
    SCHEMA,
    Histogram,
    Market,
    Process,
    Totals,
)
from feedhandler.telemetry.sample import MS, to_ms
from feedhandler.telemetry.sources import FEED, READER
from feedhandler.telemetry.usage import usage_of
from feedhandler.verdict import is_beating
from shm_layout import Reader


def collect(
    readers: Mapping[str, Reader],
    counters: Mapping[str, Mapping[str, int]],
    cadence: Cadence,
    now_ns: int,
    wall_ns: int,
    heartbeat_limit_ns: int,
) -> Totals:
    """Read every segment once; `counters` are theirs by role."""
    roles = sorted(role for role in readers if not role.startswith(READER))
    return Totals(
        schema=SCHEMA,
        ts_ms=wall_ns // MS,
        ts_mono_ns=now_ns,
        processes=[
            _process(role, readers[role], counters[role], now_ns, heartbeat_limit_ns)
            for role in roles
        ],
        markets=[
            market
            for role in roles
            if role.startswith(FEED)
            for market in _markets(readers[role])
        ],
        readers=living_readers(readers, now_ns),
        histograms=[
            shrink(role, histogram)
            for role in roles
            for histogram in readers[role].histograms()
        ],
        cadence=_spreads(cadence.quotes),
        ticks=_spreads(cadence.ticks),
        signs=_spreads(cadence.signs),
    )


def _spreads(spreads: Mapping[str, Spread]) -> list[Histogram]:
    return [spread.record(name) for name, spread in sorted(spreads.items())]


def _process(
    role: str,
    reader: Reader,
    counters: Mapping[str, int],
    now_ns: int,
    heartbeat_limit_ns: int,
) -> Process:
    owner = reader.owner()
    usage = usage_of(owner.pid, owner.start_ticks)
    # The stamp may be younger than `now_ns`, which was taken before it was read.
    age_ns = max(0, now_ns - owner.heartbeat_ns) if owner.heartbeat_ns else AGE_UNKNOWN
    beats = is_beating(min(owner.heartbeat_ns, now_ns), now_ns, heartbeat_limit_ns)
    return Process(
        role=role,
        pid=owner.pid,
        epoch=owner.epoch,
        up=int(beats),
        heartbeat_age_ms=to_ms(age_ns),
        progress=owner.progress,
        rss_bytes=usage.rss_bytes,
        cpu_s=usage.cpu_s,
        threads=usage.threads,
        descriptors=usage.descriptors,
        counters={name: value for name, value in counters.items() if value},
    )


def _markets(reader: Reader) -> list[Market]:
    return [
        Market(
            venue=entry.venue,
            instrument=entry.instrument,
            symbol=entry.symbol,
            feed_kind=shown_kind(entry.feed_kind),
            fresh_ms=entry.fresh_ms,
            tick=entry.tick if math.isfinite(entry.tick) else None,
        )
        for entry in reader.instruments()
        if entry.is_active
    ]
