"""Every byte that two processes share, declared once.

    segment  ┌────────┬───────┬──────────┬───────────┬────────┬─────────┐
             │ header │ owner │ counters │ directory │ latest │ funding │ ─┐
             └────────┴───────┴──────────┴───────────┴────────┴─────────┘  │
          ┌────────────────────────────────────────────────────────────────┘
          │  ┌──────────┬──────────┬──────┬────────────┐
          └─ │ liveness │ commands │ ring │ histograms │
             └──────────┴──────────┴──────┴────────────┘

Every segment has every section; what its role does not use stays zero. Each word has
one writer: the process that holds the segment's lock. Readers map the
segment read-only. It holds timestamps, never ages. Little-endian, naturally aligned, no
hidden padding; every word that orders others has eight bytes.

A changed table is a new `LAYOUT_VERSION`, a new picture in
`tests/shm_layout/layout.txt`, and a line in the changelog.
"""

from __future__ import annotations

import hashlib

import numpy as np

from shm_layout.codes import KIND_FUNDING, KIND_QUOTE, KIND_STATUS, KIND_TRADE
from shm_layout.layout import Field, Layout, Reserved, align
from shm_layout.limits import (
    BUCKETS,
    COMMANDS_MAX,
    LINE_BYTES,
    RECORD_BYTES,
    SECTION_ALIGNMENT,
    Capacities,
)

MAGIC = b"FEEDHNDL"
LAYOUT_VERSION = 2

# --- Header ------------------------------------------------------------------------

HEADER = Layout(
    "header",
    Field("magic", "text:8", "FEEDHNDL"),
    Field("layout_version", "u32", "this table's version"),
    Field("header_bytes", "u32", "size of this header"),
    Field("layout_digest", "u64", "digest of every table"),
    Field("segment_bytes", "u64", "size of the whole segment"),
    Field("created_ns", "i64", "wall clock, for people only"),
    Field("time_namespace", "u64", "inode of the writer's time namespace; 0 unknown"),
    Field("boot_id", "text:40", "boot that the monotonic stamps belong to"),
    Field("instance", "text:40", "name of the group of processes"),
    Field("role", "text:40", "feed:<venue>, reader:<name>, runner, rest, …"),
    Field("instruments_max", "u32", "entries of directory, latest, funding, liveness"),
    Field("ring_slots", "u32", "records of the ring, a power of two"),
    Field("counters_max", "u32", "entries of the counters"),
    Field("histograms_max", "u32", "entries of the histograms"),
    Field("owner_offset", "u64", ""),
    Field("counters_offset", "u64", ""),
    Field("directory_offset", "u64", ""),
    Field("latest_offset", "u64", ""),
    Field("ring_offset", "u64", ""),
    Field("histograms_offset", "u64", ""),
    Field("funding_offset", "u64", ""),
    Field("liveness_offset", "u64", ""),
    Field("commands_offset", "u64", ""),
    Reserved(128),
    Field("ready", "u64", "1 once everything else is filled; stored last"),
    Reserved(56),
    Field("superseded", "u64", "1 once a newer segment or none takes this one's place"),
    Reserved(56),
)

# --- Owner: who writes, and how it is doing ----------------------------------------

STAGES = (
    "started",
    "configured",
    "segment",
    "connected",
    "subscribed",
    "first_quote",
)

OWNER = Layout(
    "owner",
    Field("pid", "u64", "process that writes"),
    Field("start_ticks", "u64", "its start, field 22 of /proc/PID/stat"),
    Field("epoch", "u64", "+1 for each writer; a foreign value ends a writer"),
    Reserved(104),
    Field("link", "u64", "session << 32 | LINK_*: both change in one store"),
    Reserved(120),
    Field("heartbeat_ns", "i64", "monotonic; stored by the event loop itself"),
    Field("progress", "u64", "work done; a heartbeat without it is a hang"),
    Field("liveness_ns", "i64", "monotonic; newest tick of the liveness channel"),
    Field("command_number", "u64", "last command acknowledged; stored after the next"),
    Field("command_result", "u64", "RESULT_* of that command"),
    Field("command_ns", "i64", "monotonic time of that acknowledgement"),
    Reserved(80),
    *(Field(f"{stage}_ns", "i64", f"monotonic time of {stage}") for stage in STAGES),
    Reserved(80),
)

# --- Counters ----------------------------------------------------------------------

COUNTERS = Layout(
    "counters",
    Field("count", "u64", "entries in use; stored after the entry's name"),
    Reserved(120),
)

COUNTER = Layout(
    "counter",
    Field("value", "u64", "cumulative, also over restarts"),
    Field("name", "text:56", "dotted: rejected.json"),
)

# --- Directory ---------------------------------------------------------------------

DIRECTORY = Layout(
    "directory",
    Field("count", "u64", "entries in use; stored after the entry"),
    Reserved(120),
)

INSTRUMENT = Layout(
    "instrument",
    Field("venue", "text:32", "hyperliquid"),
    Field("instrument", "text:32", "our name on every venue: BTC-PERP"),
    Field("symbol", "text:32", "the venue's own: BTC"),
    Field("tick", "f64", "price step, NaN unknown or not constant"),
    Field("lot", "f64", "size step, NaN unknown"),
    Field("multiplier", "f64", "units of the instrument in one of the symbol's"),
    Field("fresh_ns", "i64", "recv-age above which a quote is stale"),
    Field("active", "u64", "0 once the configuration no longer names it"),
    Field("feed_kind", "u8", "FEED_KIND_*"),
    Reserved(119),
)

# --- Records -----------------------------------------------------------------------

RECORD_HEADER = Layout(
    "record_header",
    Field("sequence", "u64", "number in the ring, from 1"),
    Field("kind", "u8", "KIND_*"),
    Field("source", "u8", "SOURCE_*"),
    Field("flags", "u16", "FLAG_*"),
    Field("instrument", "u32", "index in the directory"),
    Field("epoch", "u32", "writer"),
    Field("session", "u32", "connection of that writer"),
    Field("event_ns", "i64", "venue's clock, wall; TIME_NONE absent"),
    Field("recv_ns", "i64", "socket read, monotonic"),
    Field("publish_ns", "i64", "store, monotonic"),
    Field("venue_sequence", "u64", "the venue's own number; 0 when it has none"),
)

# Closes every record: the ring's sequence again, or in a slot the index it was written
# for. A record whose ends disagree is damaged.
_STAMP = Field("stamp", "u64", "closes the record: sequence, or index of a slot")

QUOTE = Layout(
    "quote",
    RECORD_HEADER,
    Field("bid", "f64", "NaN when the side is absent"),
    Field("bid_size", "f64", ""),
    Field("ask", "f64", ""),
    Field("ask_size", "f64", ""),
    Reserved(32),
    _STAMP,
)

TRADE = Layout(
    "trade",
    RECORD_HEADER,
    Field("price", "f64", ""),
    Field("size", "f64", ""),
    Field("trade_id", "u64", "the venue's; 0 when it has none"),
    Field("aggressor", "u8", "SIDE_*"),
    Reserved(39),
    _STAMP,
)

FUNDING = Layout(
    "funding",
    RECORD_HEADER,
    Field("rate_per_hour", "f64", "fraction an hour; NaN unknown"),
    Field("interval_ns", "i64", "time between payments"),
    Field("next_funding_ns", "i64", "wall; TIME_NONE unknown"),
    Field("mark_price", "f64", ""),
    Field("oracle_price", "f64", ""),
    Field("mid_price", "f64", ""),
    Field("open_interest", "f64", "in units of the symbol"),
    Reserved(8),
    _STAMP,
)

STATUS = Layout(
    "status",
    RECORD_HEADER,
    Field("apply_ns", "i64", "runner took the last two-sided record; TIME_NONE never"),
    Field("since_ns", "i64", "monotonic entry into this state"),
    Field("confirmed_ns", "i64", "last agreeing REST check; TIME_NONE never"),
    Field("applied_sequence", "u64", "ring number of the last applied record"),
    Field("moves", "u64", "state changes so far"),
    Field("applied_epoch", "u32", "the feed's epoch of that record"),
    Field("state", "u8", "STATE_*"),
    Field("reason", "u8", "REASON_*"),
    Field("previous", "u8", "STATE_* before"),
    Reserved(17),
    _STAMP,
)

RECORDS = {
    KIND_QUOTE: QUOTE,
    KIND_TRADE: TRADE,
    KIND_FUNDING: FUNDING,
    KIND_STATUS: STATUS,
}
RECORD_DTYPES: dict[int, np.dtype[np.void]] = {
    kind: layout.dtype for kind, layout in RECORDS.items()
}

# --- Latest and funding: a two-copy latch for each instrument ----------------------

SLOT = Layout(
    "slot",
    Field("index", "u64", "the only word that publishes; its low bit picks the cell"),
    Reserved(120),
    Field("cell", "u64", "two records, filled in turn", count=32),
)

# --- Liveness: one word for each instrument ----------------------------------------

LIVENESS = Layout(
    "liveness",
    Field("tick_ns", "i64", "monotonic; newest tick of its liveness channel; 0 never"),
)

# --- Commands: a register for each venue, written by the runner --------------------

COMMANDS = Layout(
    "commands",
    Field("count", "u64", "entries in use; stored after the entry's name"),
    Reserved(120),
)

COMMAND = Layout(
    "command",
    Field("verb", "u8", "COMMAND_*"),
    Field("reason", "u8", "REASON_*"),
    Reserved(2),
    Field("instrument", "u32", "index in the feed's directory, or INSTRUMENT_ALL"),
    Field("issued_ns", "i64", "monotonic"),
    Reserved(8),
    Field("stamp", "u64", "the number it was written for"),
)

# A latch like a slot: a runner that dies between two stores leaves the last command.
REGISTER = Layout(
    "register",
    Field("number", "u64", "of the newest command, stored last; its low bit picks"),
    Field("name", "text:32", "the venue"),
    Reserved(24),
    Field("cell", "u64", "two commands, filled in turn", count=8),
)

# --- Ring --------------------------------------------------------------------------

RING = Layout(
    "ring",
    Field("intent", "u64", "records begun; stored before the record"),
    Reserved(120),
    Field("tail", "u64", "records whole; stored after the record"),
    Reserved(120),
)

# --- Histograms --------------------------------------------------------------------

HISTOGRAMS = Layout(
    "histograms",
    Field("count", "u64", "entries in use; stored after the entry's name"),
    Reserved(120),
)

HISTOGRAM = Layout(
    "histogram",
    Field("name", "text:64", "recv_to_publish"),
    Field("count", "u64", "values recorded"),
    Field("sum_ns", "u64", "of the values that are not negative"),
    Field("max_ns", "u64", ""),
    Field("negative", "u64", "values below zero, in no bucket"),
    Reserved(32),
    Field("buckets", "u64", "log-linear, 16 a power of two", count=BUCKETS),
)

LAYOUTS = (
    HEADER,
    OWNER,
    COUNTERS,
    COUNTER,
    DIRECTORY,
    INSTRUMENT,
    QUOTE,
    TRADE,
    FUNDING,
    STATUS,
    SLOT,
    LIVENESS,
    COMMANDS,
    COMMAND,
    REGISTER,
    RING,
    HISTOGRAMS,
    HISTOGRAM,
)

assert HEADER.size_bytes == 512
assert OWNER.size_bytes == 4 * LINE_BYTES
assert INSTRUMENT.size_bytes == 256
assert SLOT.size_bytes == LINE_BYTES + 2 * RECORD_BYTES
assert all(layout.size_bytes == RECORD_BYTES for layout in RECORDS.values())
assert all(layout.offsets["stamp"] == RECORD_BYTES - 8 for layout in RECORDS.values())
assert REGISTER.size_bytes == 64 + 2 * COMMAND.size_bytes == LINE_BYTES
assert RING.size_bytes % LINE_BYTES == 0

LAYOUT_DIGEST = int.from_bytes(
    hashlib.blake2b(
        "\n".join(layout.describe() for layout in LAYOUTS).encode(), digest_size=8
    ).digest(),
    "little",
)


SECTIONS = (
    *("owner", "counters", "directory", "latest", "funding", "liveness"),
    *("commands", "ring", "histograms"),
)


class Plan:
    """Where each section of a segment with given capacities lies. All in bytes."""

    def __init__(self, capacities: Capacities) -> None:
        self.capacities = capacities
        instruments = capacities.instruments
        self.owner_offset = HEADER.size_bytes
        self.counters_offset = _behind(self.owner_offset, OWNER.size_bytes)
        self.directory_offset = _behind(
            self.counters_offset,
            COUNTERS.size_bytes + capacities.counters * COUNTER.size_bytes,
        )
        self.latest_offset = _behind(
            self.directory_offset,
            DIRECTORY.size_bytes + instruments * INSTRUMENT.size_bytes,
        )
        slots_bytes = instruments * SLOT.size_bytes
        self.funding_offset = _behind(self.latest_offset, slots_bytes)
        self.liveness_offset = _behind(self.funding_offset, slots_bytes)
        self.commands_offset = _behind(
            self.liveness_offset, instruments * LIVENESS.size_bytes
        )
        self.ring_offset = _behind(
            self.commands_offset,
            COMMANDS.size_bytes + COMMANDS_MAX * REGISTER.size_bytes,
        )
        self.histograms_offset = _behind(
            self.ring_offset, RING.size_bytes + capacities.ring_slots * RECORD_BYTES
        )
        self.segment_bytes = _behind(
            self.histograms_offset,
            HISTOGRAMS.size_bytes + capacities.histograms * HISTOGRAM.size_bytes,
        )

    def geometry(self) -> tuple[int, ...]:
        """Return what the native module and its twin need to find the sections."""
        return (
            self.owner_offset,
            self.counters_offset,
            self.capacities.counters,
            self.latest_offset,
            self.capacities.instruments,
            self.ring_offset,
            self.capacities.ring_slots,
            self.histograms_offset,
            self.capacities.histograms,
            self.funding_offset,
        )

    def offsets(self) -> dict[str, int]:
        """Return where each section starts, by its word in the header."""
        words = [f"{section}_offset" for section in SECTIONS]
        return {word: getattr(self, word) for word in words}


def _behind(offset: int, size_bytes: int) -> int:
    return align(offset + size_bytes, SECTION_ALIGNMENT)
