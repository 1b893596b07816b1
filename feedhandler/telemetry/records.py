"""Every record of `telemetry.jsonl`: its fields, and what each of them means.

    start ─▶ sample, sample, move, totals, sample … ─▶ stop

One JSON object a line, told apart by `kind`. Each file begins with a `start`, and each
record can be read by itself. Lists named after venues are in the order of `venues`,
those after instruments in the order of `instruments`. Counters are cumulative and are
never reset by a reader; those of a feed outlive its restarts. An unknown age is -1
where an age cannot be negative, and null elsewhere: never 0.

`SCHEMA` goes up when a field goes or changes its meaning; fields may be added. A test
holds `ops/telemetry.schema.json` equal to these tables.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct

SCHEMA: Final = 1
AGE_UNKNOWN: Final = -1
SCHEMA_ID: Final = f"telemetry.schema.json/{SCHEMA}"

Flag = Annotated[int, Meta(ge=0, le=1)]
Count = Annotated[int, Meta(ge=0)]
Age = Annotated[int, Meta(ge=AGE_UNKNOWN, description="-1: unknown")]
AgeMs = Annotated[float, Meta(ge=AGE_UNKNOWN, description="-1: unknown")]
Counts = Annotated[dict[str, Count], Meta(description="zeros are left out")]
WallMs = Annotated[int, Meta(ge=0, description="wall clock, ms since 1970")]
MonoNs = Annotated[int, Meta(ge=0, description="monotonic clock of this boot, ns")]
SchemaNumber = Annotated[int, Meta(ge=1, description="version of these tables")]


class Start(Struct, tag_field="kind", tag="start", frozen=True, kw_only=True):
    """Opens every file: who writes it, and with which settings."""

    schema: SchemaNumber
    ts_ms: WallMs
    ts_mono_ns: MonoNs
    instance: str
    pid: Count
    version: Annotated[str, Meta(description="of feedhandler")]
    boot_id: Annotated[str, Meta(description="boot that monotonic stamps belong to")]
    file_number: Annotated[Count, Meta(description="0: a process began with this file")]
    venues: Annotated[list[str], Meta(description="that are expected to run")]
    sample_ms: Count
    totals_ms: Count
    heartbeat_limit_ms: Count
    quiet_confirm_ms: Count


class Sample(Struct, tag_field="kind", tag="sample", frozen=True, kw_only=True):
    """Everything that moves, at one instant."""

    schema: SchemaNumber
    number: Annotated[Count, Meta(description="+1 a sample; a gap is a lost record")]
    ts_ms: WallMs
    ts_mono_ns: MonoNs

    # One item a venue.
    venues: list[str]
    feed_kind: Annotated[
        list[str],
        Meta(description="whose top: bbo (also of both) or depth; empty: unknown"),
    ]
    venue_state: Annotated[list[str], Meta(description="the worst instrument's")]
    link: Annotated[list[str], Meta(description="UP CONNECTING DOWN DEAD ABSENT")]
    session: list[int | None]
    epoch: list[int | None]
    venue_age_ms: Annotated[
        list[AgeMs], Meta(description="apply-age of its youngest stream quote")
    ]
    venue_age_event_ms: Annotated[
        list[float | None], Meta(description="wall now - newest event; may be negative")
    ]
    liveness_age_ms: Annotated[
        list[AgeMs], Meta(description="since its liveness channel ticked")
    ]
    exchange_skew_ms: Annotated[
        list[float | None],
        Meta(
            description="least (receipt - event), wall, of the quotes since the sample"
            " before: way + clock offset; null: none came"
        ),
    ]
    reconnects: Annotated[list[Counts], Meta(description="session ends by label")]
    resyncs: Annotated[list[Counts], Meta(description="by reason")]
    frames: list[int | None]
    frames_hz: Annotated[list[float | None], Meta(description="since the last sample")]
    published: list[int | None]
    unchanged: list[int | None]
    rejected: Annotated[list[int | None], Meta(description="all reasons; see totals")]
    ring_head: Annotated[list[int | None], Meta(description="records ever published")]
    ring_lag: Annotated[list[int | None], Meta(description="left by the runner")]
    ring_laps: list[int | None]
    ring_lost: list[int | None]
    ring_drained: list[int | None]
    budget_hits: list[int | None]
    follow_lost: Annotated[
        list[Count], Meta(description="records that telemetry itself was too late for")
    ]

    # One item an instrument.
    instruments: Annotated[list[str], Meta(description="venue:instrument")]
    states: list[str]
    reasons: list[str]
    sources: Annotated[
        list[str], Meta(description="STREAM; REST where only REST is fresh; or NONE")
    ]
    tradable: list[Flag]
    apply_age_ns: list[Age]
    recv_age_ns: list[Age]
    event_age_ms: Annotated[
        list[float | None], Meta(description="wall now - event; may be negative")
    ]
    rest_age_ms: Annotated[list[AgeMs], Meta(description="of the newest REST quote")]
    confirmed_age_ms: Annotated[
        list[AgeMs], Meta(description="since REST last agreed with the stream")
    ]
    quotes: Annotated[list[Count], Meta(description="stream, since the last sample")]
    gap_max_ns: Annotated[
        list[Count], Meta(description="longest silence that a quote of these ended")
    ]
    funding_rate: Annotated[list[float | None], Meta(description="fraction an hour")]
    funding_age_ms: list[AgeMs]


class Move(Struct, tag_field="kind", tag="move", frozen=True, kw_only=True):
    """One change of an instrument's state, as the runner made it."""

    schema: SchemaNumber
    ts_ms: WallMs
    ts_mono_ns: Annotated[MonoNs, Meta(description="when the runner wrote it")]
    venue: str
    instrument: str
    state: str
    reason: str
    previous: str
    since_ns: Annotated[int, Meta(description="monotonic entry into the state")]
    moves: Annotated[Count, Meta(description="changes of state so far")]
    session: Count


class Process(Struct, frozen=True, kw_only=True):
    """One process, by its segment; what is null is not known."""

    role: str
    pid: Count
    epoch: Count
    up: Annotated[Flag, Meta(description="its heartbeat is young")]
    heartbeat_age_ms: AgeMs
    progress: Count
    rss_bytes: int | None
    cpu_s: Annotated[float | None, Meta(description="user + system, cumulative")]
    threads: int | None
    descriptors: int | None
    counters: Counts


class Market(Struct, frozen=True, kw_only=True):
    """One entry of a venue's directory."""

    venue: str
    instrument: str
    symbol: str
    feed_kind: str
    fresh_ms: Count
    tick: float | None


class Histogram(Struct, frozen=True, kw_only=True):
    """Log-linear buckets, 16 a power of two, of nanoseconds; of records in
    `runner/records_a_pass`."""

    name: str
    count: Count
    sum_ns: Count
    max_ns: Count
    negative: Annotated[Count, Meta(description="below zero, in no bucket")]
    buckets: Annotated[
        list[int], Meta(description="index, count, index, count …; zeros left out")
    ]


class ReaderRing(Struct, frozen=True, kw_only=True):
    """How a registered reader keeps up with one ring; counters outlive its restarts."""

    ring: Annotated[str, Meta(description="feed:<venue> or runner")]
    read: Count
    lost: Annotated[Count, Meta(description="overwritten before it came")]
    laps: Annotated[Count, Meta(description="times it was overtaken")]
    lag: Annotated[Count, Meta(description="published and not yet read")]
    lag_max: Annotated[Count, Meta(description="the most, since it registered")]


class RegisteredReader(Struct, frozen=True, kw_only=True):
    """A living program that reads under a name of its own."""

    name: str
    pid: Count
    poll_age_ms: Annotated[AgeMs, Meta(description="since it last read")]
    rings: list[ReaderRing]


class Totals(Struct, tag_field="kind", tag="totals", frozen=True, kw_only=True):
    """Everything that only adds up, and what the processes use."""

    schema: SchemaNumber
    ts_ms: WallMs
    ts_mono_ns: MonoNs
    processes: list[Process]
    markets: list[Market]
    readers: Annotated[
        list[RegisteredReader], Meta(description="they are in no other list")
    ] = []
    histograms: Annotated[list[Histogram], Meta(description="name: <role>/<name>")]
    cadence: Annotated[
        list[Histogram],
        Meta(
            description="time between stream quotes of one session, by"
            " venue:instrument, since the process began that wrote file_number 0"
        ),
    ]
    ticks: Annotated[
        list[Histogram],
        Meta(
            description="as cadence, of its liveness channel; the newest tick is seen"
            " at each sample, so a value may be longer by sample_ms, never shorter"
        ),
    ] = []
    signs: Annotated[
        list[Histogram],
        Meta(description="as ticks, of quotes and ticks together, by venue"),
    ] = []


class Stop(Struct, tag_field="kind", tag="stop", frozen=True, kw_only=True):
    """Closes a run that was ended in order."""

    schema: SchemaNumber
    ts_ms: WallMs
    ts_mono_ns: MonoNs
    reason: str
    samples: Count
    dropped: Annotated[Count, Meta(description="records that were never written")]


Record = Start | Sample | Move | Totals | Stop


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of one line."""
    (reference,), components = msgspec.json.schema_components(
        [Record], ref_template="#/$defs/{name}"
    )
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": SCHEMA_ID,
        "title": "One line of telemetry.jsonl",
        **reference,
        "$defs": components,
    }
