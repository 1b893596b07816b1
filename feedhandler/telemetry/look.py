"""One look at every segment: the words first, then the clock, then what they mean.

No stamp that was read can be younger than the clock, so every age is right and none is
clamped to hide that it is not. States are those that any reader computes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from feedhandler import verdict
from shm_layout import Reader
from shm_layout.codes import (
    REASON_NAMES,
    SOURCE_NAMES,
    STATE_NAMES,
    TIME_NONE,
)
from shm_layout.directory import Instrument
from shm_layout.layout import Layout
from shm_layout.schema import FUNDING, QUOTE, STATUS

Key = tuple[str, str]  # venue, instrument
Records = npt.NDArray[np.void]


@dataclass(frozen=True, slots=True)
class FeedLook:
    """What one feed's segment held; `quotes` and `fundings` are by index."""

    reader: Reader
    instruments: tuple[Instrument, ...]
    quotes: Records
    fundings: Records
    link: int
    session: int
    epoch: int
    heartbeat_ns: int
    liveness_ns: int
    head: int
    counters: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class SlotsLook:
    """The slots of the runner's or the rest segment, by instrument."""

    heartbeat_ns: int
    slots: Mapping[Key, np.void]
    counters: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class QuoteLook:
    """One quote with its verdict; a stamp that is absent is None."""

    instrument: str
    index: int | None  # in the feed's directory
    feed_kind: str
    state: str
    reason: str
    source: str
    tradable: bool = False
    apply_ns: int | None = None
    recv_ns: int | None = None
    event_ns: int | None = None


NO_SLOTS = SlotsLook(0, {}, {})


def shown_kind(feed_kind: str) -> str:
    """Return whose top a feed of that kind shows: cadence and limits are that one's."""
    return "bbo" if feed_kind == "both" else feed_kind


def look_at_feed(reader: Reader) -> FeedLook:
    """Read one feed's segment."""
    instruments = reader.instruments()
    quotes = np.zeros(len(instruments), QUOTE.dtype)
    fundings = np.zeros(len(instruments), FUNDING.dtype)
    if instruments:
        reader.read_slots(quotes)
        reader.read_fundings(fundings)
    link, session = reader.link()
    return FeedLook(
        reader=reader,
        instruments=instruments,
        quotes=quotes,
        fundings=fundings,
        link=link,
        session=session,
        epoch=reader.epoch(),
        heartbeat_ns=reader.heartbeat_ns(),
        liveness_ns=reader.liveness_ns(),
        head=reader.head(),
        counters=reader.counters(),
    )


def look_at_slots(reader: Reader | None, layout: Layout) -> SlotsLook:
    """Read the slots of a segment that holds the instruments of all venues."""
    if reader is None:
        return NO_SLOTS
    entries = reader.instruments()
    records = np.zeros(len(entries), layout.dtype)
    if entries:
        reader.read_slots(records)
    slots = {
        (entry.venue, entry.instrument): record
        for entry, record in zip(entries, records, strict=True)
        if record["kind"] != 0
    }
    return SlotsLook(reader.heartbeat_ns(), slots, reader.counters())


def judge(
    venue: str,
    feed: FeedLook,
    runner: SlotsLook,
    now_ns: int,
    heartbeat_limit_ns: int,
    confirm_limit_ns: int,
) -> list[QuoteLook]:
    """Return the quotes of a feed's active instruments, as any reader judges them."""
    judged = _verdicts(venue, feed, runner)
    fresh_ms = [entry.fresh_ms for entry in feed.instruments]
    states, reasons = verdict.assess(
        feed.quotes,
        np.array(fresh_ms, np.int64) * 1_000_000,
        now_ns,
        writer_beats=verdict.is_beating(feed.heartbeat_ns, now_ns, heartbeat_limit_ns),
        link=feed.link,
        session=feed.session,
    )
    states, reasons = verdict.overlay(
        states,
        reasons,
        judged,
        feed.quotes,
        now_ns,
        runner_beats=verdict.is_beating(
            runner.heartbeat_ns, now_ns, heartbeat_limit_ns
        ),
        confirm_limit_ns=confirm_limit_ns,
    )
    tradable = verdict.is_tradable(states, reasons, feed.quotes["source"])
    return [
        QuoteLook(
            instrument=entry.instrument,
            index=index,
            feed_kind=shown_kind(entry.feed_kind),
            state=STATE_NAMES.get(int(states[index]), "UNKNOWN"),
            reason=REASON_NAMES.get(int(reasons[index]), "unknown"),
            source=SOURCE_NAMES.get(int(feed.quotes["source"][index]), ""),
            tradable=bool(tradable[index]),
            apply_ns=stamp(judged[index], "apply_ns"),
            recv_ns=stamp(feed.quotes[index], "recv_ns"),
            event_ns=stamp(feed.quotes[index], "event_ns"),
        )
        for index, entry in enumerate(feed.instruments)
        if entry.is_active
    ]


def _verdicts(venue: str, feed: FeedLook, runner: SlotsLook) -> Records:
    judged = np.zeros(len(feed.instruments), STATUS.dtype)
    for index, entry in enumerate(feed.instruments):
        known = runner.slots.get((venue, entry.instrument))
        if known is not None:
            judged[index] = known
    return judged


def stamp(record: Any, field: str) -> int | None:
    """Return a stamp of a record, None when there is no record or no such stamp."""
    if record is None or record["kind"] == 0 or record[field] == TIME_NONE:
        return None
    return int(record[field])
