"""The bytes that processes share: quotes, stamps and counters in lock-free memory.

Knows nothing of venues. `Writer` owns one segment, `Reader` attaches read-only.
"""

from shm_layout.codes import (
    FLAG_LOCKED,
    FLAG_NAMES,
    FLAG_ONE_SIDED,
    FLAG_REPLAYED,
    FLAG_RESTARTED,
    FLAG_SNAPSHOT,
    FLAG_SYNCING,
    FLAG_UNCHANGED,
    KIND_FUNDING,
    KIND_NAMES,
    KIND_QUOTE,
    KIND_STATUS,
    KIND_TRADE,
    LINK_CONNECTING,
    LINK_DOWN,
    LINK_NAMES,
    LINK_UP,
    SIDE_ASK,
    SIDE_BID,
    SIDE_NONE,
    SOURCE_NAMES,
    SOURCE_REST,
    SOURCE_RUNNER,
    SOURCE_STREAM,
    TIME_NONE,
)
from shm_layout.core import IMPLEMENTATION
from shm_layout.directory import Histogram, Instrument
from shm_layout.errors import (
    CapacityExceeded,
    OwnershipLost,
    SegmentBusy,
    SegmentError,
    SegmentMissing,
    SegmentNotReady,
    SegmentRefused,
    SegmentSpace,
    SlotUnreadable,
)
from shm_layout.limits import Capacities
from shm_layout.reader import Owner, Reader
from shm_layout.schema import RECORD_DTYPES
from shm_layout.writer import Writer

__all__ = [
    "FLAG_LOCKED",
    "FLAG_NAMES",
    "FLAG_ONE_SIDED",
    "FLAG_REPLAYED",
    "FLAG_RESTARTED",
    "FLAG_SNAPSHOT",
    "FLAG_SYNCING",
    "FLAG_UNCHANGED",
    "IMPLEMENTATION",
    "KIND_FUNDING",
    "KIND_NAMES",
    "KIND_QUOTE",
    "KIND_STATUS",
    "KIND_TRADE",
    "LINK_CONNECTING",
    "LINK_DOWN",
    "LINK_NAMES",
    "LINK_UP",
    "RECORD_DTYPES",
    "SIDE_ASK",
    "SIDE_BID",
    "SIDE_NONE",
    "SOURCE_NAMES",
    "SOURCE_REST",
    "SOURCE_RUNNER",
    "SOURCE_STREAM",
    "TIME_NONE",
    "Capacities",
    "CapacityExceeded",
    "Histogram",
    "Instrument",
    "OwnershipLost",
    "Owner",
    "Reader",
    "SegmentBusy",
    "SegmentError",
    "SegmentMissing",
    "SegmentNotReady",
    "SegmentRefused",
    "SegmentSpace",
    "SlotUnreadable",
    "Writer",
]
