"""Quotes of the REST process, shown where a stream's quote cannot be trusted.

    stream LIVE or QUIET       ─▶ the stream's quote
    else, REST has a newer one ─▶ that one: the stream's state, not tradable

Owns the attachment to the segment `rest`. Both ages stay apart: `recv_age_ns` is that
of the answer, from the start of its request; `apply_age_ns` is the stream's.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from feedhandler.client.feed import Feed
from feedhandler.client.quote import Quote
from shm_layout import Reader, SegmentError, SlotUnreadable
from shm_layout.codes import (
    REASON_NAMES,
    REASON_NEVER_SPOKEN,
    SOURCE_NAMES,
    SOURCE_REST,
    STATE_NAMES,
    STATE_UNKNOWN,
    TIME_NONE,
)
from shm_layout.schema import QUOTE

_ROLE = "rest"
_TRUSTED = ("LIVE", "QUIET")
_UNJUDGED = STATE_NAMES[STATE_UNKNOWN], REASON_NAMES[REASON_NEVER_SPOKEN]
_COPIED = (
    *("bid", "bid_size", "ask", "ask_size", "event_ns", "recv_ns", "publish_ns"),
    *("session", "epoch", "sequence", "flags"),
)
_RECV_OFFSET = QUOTE.offsets["recv_ns"]


class FeedWithRest(Feed):
    """A `Feed` that falls back on REST. Use `attach(rest=True)`."""

    def __init__(
        self,
        instance: str,
        *,
        heartbeat_limit_ms: int = 500,
        quiet_confirm_ms: int = 15_000,
    ) -> None:
        super().__init__(
            instance,
            heartbeat_limit_ms=heartbeat_limit_ms,
            quiet_confirm_ms=quiet_confirm_ms,
        )
        self._rest: Reader | None = None
        # (venue, instrument) -> index in the segment, symbol
        self._places: dict[tuple[str, str], tuple[int, str]] = {}

    def quote(self, venue: str, instrument: str) -> Quote | None:
        """Return what `Feed.quote` does, or what REST has where that is no use."""
        quote = super().quote(venue, instrument)
        if quote is not None and quote.state in _TRUSTED:
            return quote
        answered = self._answered(venue, instrument)
        if quote is None or answered is None:
            return quote or answered
        if answered.recv_ns <= quote.recv_ns:
            return quote
        answered.state, answered.reason = quote.state, quote.reason
        answered.apply_ns = quote.apply_ns
        return answered

    def quotes(self) -> npt.NDArray[np.void]:
        """Return what `Feed.quotes` does, with REST in rows where it is newer."""
        table = super().quotes()
        read_ns, wall_ns = time.monotonic_ns(), time.time_ns()
        for row in table:
            if row["state"] in _TRUSTED:
                continue
            record = self._record(str(row["venue"]), str(row["instrument"]))
            if record is None or _recv_ns(record) <= row["recv_ns"]:
                continue
            answered = np.frombuffer(record, QUOTE.dtype)[0]
            for name in _COPIED:
                row[name] = answered[name]
            row["source"] = SOURCE_NAMES[SOURCE_REST]
            row["recv_age_ns"] = read_ns - row["recv_ns"]
            has_event = row["event_ns"] != TIME_NONE
            row["event_age_ns"] = wall_ns - row["event_ns"] if has_event else TIME_NONE
            row["tradable"] = False
        return table

    def refresh(self) -> bool:
        """Attach what has appeared, let go of what was replaced; say if any feed is."""
        found = super().refresh()
        if self._rest is not None and not self._rest.is_current():
            self._rest.close()
            self._rest = None
        if self._rest is None:
            self._rest = _attach(self.instance)
        self._places = {} if self._rest is None else dict(_places(self._rest))
        return found

    def close(self) -> None:
        """Let go of every segment."""
        super().close()
        self._places = {}
        if self._rest is not None:
            self._rest.close()
            self._rest = None

    def _answered(self, venue: str, instrument: str) -> Quote | None:
        """Return what REST has, as nobody judged it."""
        index, symbol = self._place(venue, instrument)
        if self._rest is None or index < 0:
            return None
        read = self._rest.quote_reader(
            index, None, None, fresh_ns=0, heartbeat_limit_ns=0, confirm_limit_ns=0
        )
        try:
            fields = read()
        except SlotUnreadable:
            return None
        if fields is None:
            return None
        quote = Quote((venue, instrument, symbol), fields)
        quote.state, quote.reason, quote.tradable = *_UNJUDGED, False
        return quote

    def _record(self, venue: str, instrument: str) -> bytes | None:
        index, _ = self._place(venue, instrument)
        if self._rest is None or index < 0:
            return None
        try:
            return self._rest.read_slot(index)
        except SlotUnreadable:
            return None

    def _place(self, venue: str, instrument: str) -> tuple[int, str]:
        self._look(time.monotonic_ns())  # a late start, or another segment
        return self._places.get((venue, instrument), (-1, ""))


def _attach(instance: str) -> Reader | None:
    try:
        return Reader.attach(instance, _ROLE)
    except SegmentError:
        return None  # none runs, or it is not ours: `doctor` tells why


def _places(reader: Reader) -> Iterator[tuple[tuple[str, str], tuple[int, str]]]:
    for index, entry in enumerate(reader.instruments()):
        if entry.is_active:
            yield (entry.venue, entry.instrument), (index, entry.symbol)


def _recv_ns(record: bytes) -> int:
    return int.from_bytes(
        record[_RECV_OFFSET : _RECV_OFFSET + 8], "little", signed=True
    )
