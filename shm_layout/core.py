"""Picks the implementation of the stores that order: native if built, else the twin.

`FEEDHANDLER_SHM=twin` or `=native` forces one; a native module that was built from
another layout is never used.
"""

from __future__ import annotations

import importlib
import os
from types import ModuleType
from typing import Any, Protocol

from shm_layout.errors import SegmentRefused
from shm_layout.schema import LAYOUT_DIGEST

# A quote and its verdict.
JudgedQuote = tuple[
    int,  # sequence
    int,  # source
    int,  # flags
    int,  # epoch
    int,  # session
    int,  # event_ns
    int,  # recv_ns
    int,  # publish_ns
    int,  # venue_sequence
    float,  # bid
    float,  # bid_size
    float,  # ask
    float,  # ask_size
    int,  # read_ns
    int,  # apply_ns
    int,  # state
    int,  # reason
    bool,  # tradable
]


class CoreReader(Protocol):
    """What both implementations can read."""

    def load(self, offset: int, /) -> int: ...
    def load_words(self, offset: int, out: Any, /) -> None: ...
    def head(self) -> int: ...
    def read_slot(self, instrument: int, /) -> bytes | None: ...
    def read_judged(
        self,
        instrument: int,
        runner: Any,  # a reader of the same implementation, None when there is none
        place: int | None,  # the instrument's in the runner's directory
        fresh_ns: int,
        heartbeat_limit_ns: int,
        confirm_limit_ns: int,
        /,
    ) -> JudgedQuote | None: ...
    def read_slots(self, out: Any, /) -> int: ...
    def read_funding(self, instrument: int, /) -> bytes | None: ...
    def read_fundings(self, out: Any, /) -> int: ...
    def drain(self, cursor: int, out: Any, /) -> tuple[int, int, int]: ...


class CoreWriter(CoreReader, Protocol):
    """What both implementations can write. Publishing returns None only in tests."""

    def publish_quote(
        self,
        instrument: int,
        flags: int,
        session: int,
        event_ns: int,
        recv_ns: int,
        venue_sequence: int,
        bid: float,
        bid_size: float,
        ask: float,
        ask_size: float,
        /,
    ) -> int | None: ...
    def publish(
        self,
        kind: int,
        where: int,
        instrument: int,
        flags: int,
        session: int,
        event_ns: int,
        recv_ns: int,
        venue_sequence: int,
        payload: bytes,
        source: int,  # 0 for the writer's own
        /,
    ) -> int | None: ...
    def count(self, index: int, amount: int, /) -> None: ...
    def record(self, index: int, value_ns: int, /) -> None: ...
    def beat(self, now_ns: int, progress: int, /) -> None: ...
    def store(self, offset: int, value: int, /) -> None: ...
    def disown(self) -> None: ...
    def abandon_after(self, stores: int, /) -> None: ...


TO_LATEST = 1
TO_RING = 2
TO_FUNDING = 4

_MODULES = {"native": "shm_layout._native", "twin": "shm_layout._twin"}


def load_implementation(name: str) -> ModuleType:
    """Return the module of that name, `native` or `twin`.

    Raises `ImportError` when it is not built, `SegmentRefused` when it does not fit
    this machine or this layout.
    """
    module = importlib.import_module(_MODULES[name])
    if module.LAYOUT_DIGEST != LAYOUT_DIGEST:
        raise SegmentRefused(
            "digest",
            "the native module was built from another layout: reinstall the project; "
            f"found={module.LAYOUT_DIGEST:x} expected={LAYOUT_DIGEST:x}",
        )
    return module


def _choose() -> tuple[str, ModuleType]:
    forced = os.environ.get("FEEDHANDLER_SHM")
    if forced is not None:
        if forced not in _MODULES:
            raise SegmentRefused(
                "platform", f"native or twin expected: FEEDHANDLER_SHM={forced}"
            )
        return forced, load_implementation(forced)
    try:
        return "native", load_implementation("native")
    except (ImportError, SegmentRefused):
        return "twin", load_implementation("twin")


IMPLEMENTATION, _module = _choose()


def make_reader(buffer: Any, geometry: tuple[int, ...]) -> CoreReader:
    """Return a reader of a mapped segment."""
    reader: CoreReader = _module.Reader(buffer, geometry)
    return reader


def make_writer(
    buffer: Any, geometry: tuple[int, ...], epoch: int, source: int
) -> CoreWriter:
    """Return a writer of a mapped segment."""
    writer: CoreWriter = _module.Writer(buffer, geometry, epoch, source)
    return writer
