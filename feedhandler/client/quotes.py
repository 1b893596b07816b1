"""Every instrument's quote and verdict at once, as a numpy structured array."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from feedhandler import verdict
from shm_layout import Reader
from shm_layout.codes import (
    KIND_QUOTE,
    REASON_NAMES,
    SOURCE_NAMES,
    STATE_NAMES,
    TIME_NONE,
)
from shm_layout.directory import Instrument
from shm_layout.schema import QUOTE, STATUS

AGE_UNKNOWN = -1
MS: Final = 1_000_000

DTYPE = np.dtype(
    [
        ("venue", "U32"),
        ("instrument", "U32"),
        ("symbol", "U32"),
        ("feed_kind", "U8"),
        ("bid", "f8"),
        ("bid_size", "f8"),
        ("ask", "f8"),
        ("ask_size", "f8"),
        ("event_ns", "i8"),
        ("recv_ns", "i8"),
        ("publish_ns", "i8"),
        ("apply_ns", "i8"),
        ("apply_age_ns", "i8"),
        ("recv_age_ns", "i8"),
        ("event_age_ns", "i8"),
        ("session", "u4"),
        ("epoch", "u4"),
        ("sequence", "u8"),
        ("flags", "u2"),
        ("state", "U12"),
        ("reason", "U24"),
        ("source", "U8"),
        ("tradable", "?"),
    ]
)

_COPIED = (
    "bid",
    "bid_size",
    "ask",
    "ask_size",
    "event_ns",
    "recv_ns",
    "publish_ns",
    "session",
    "epoch",
    "sequence",
    "flags",
)


# The words of the codes, at the codes' places: one look-up for all rows.
_STATES, _REASONS, _SOURCES = (
    np.array([names.get(code, unknown) for code in range(256)])
    for names, unknown in (
        (STATE_NAMES, "UNKNOWN"),
        (REASON_NAMES, "unknown"),
        (SOURCE_NAMES, ""),
    )
)


class Quotes:
    """Reads all feeds and the runner of one instance.

    What only changes with a directory is kept between two reads.
    """

    def __init__(
        self,
        feeds: Mapping[str, Reader],
        heartbeat_limit_ns: int,
        confirm_limit_ns: int = verdict.QUIET_CONFIRM_LIMIT_NS,
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._feeds = feeds
        self._heartbeat_limit_ns = heartbeat_limit_ns
        self._confirm_limit_ns = confirm_limit_ns
        self._clock = clock
        self._blanks: dict[str, _Blank] = {}

    def read(
        self, runner: Reader | None, now_ns: int, wall_ns: int
    ) -> npt.NDArray[np.void]:
        """Return one row an active instrument, venues in order of their names."""
        judges = () if runner is None else runner.instruments()
        # The last one is of what the runner does not know.
        verdicts = np.zeros(len(judges) + 1, STATUS.dtype)
        beat_ns = 0
        if runner is not None:
            runner.read_slots(verdicts[:-1])
            beat_ns = runner.heartbeat_ns()
        rows = [
            self._read_venue(venue, judges, verdicts, beat_ns, now_ns, wall_ns)
            for venue in sorted(self._feeds)
        ]
        return np.concatenate(rows) if rows else np.zeros(0, DTYPE)

    def _blank(self, venue: str, judges: Sequence[Instrument]) -> _Blank:
        entries = self._feeds[venue].instruments()
        blank = self._blanks.get(venue)
        if blank is None or blank.entries is not entries or blank.judges is not judges:
            blank = self._blanks[venue] = _Blank(venue, entries, judges)
        return blank

    def _read_venue(
        self,
        venue: str,
        judges: Sequence[Instrument],
        verdicts: npt.NDArray[np.void],
        runner_beat_ns: int,
        now_ns: int,
        wall_ns: int,
    ) -> npt.NDArray[np.void]:
        reader = self._feeds[venue]
        blank = self._blank(venue, judges)
        records = np.zeros(len(blank.entries), QUOTE.dtype)
        reader.read_slots(records)
        records = records[blank.active]
        judged = verdicts[blank.judged_by]
        link, session = reader.link()
        beat_ns = reader.heartbeat_ns()
        # The words were read after `now_ns` was taken and may be younger than it, but
        # not than the clock: a stamp of the future proves nothing.
        newest_ns = int(records["recv_ns"].max(initial=max(beat_ns, runner_beat_ns)))
        now_ns = max(now_ns, min(newest_ns, self._clock()))
        states, reasons = verdict.assess(
            records,
            blank.fresh_ns,
            now_ns,
            writer_beats=self._beats(beat_ns, now_ns),
            link=link,
            session=session,
        )
        states, reasons = verdict.overlay(
            states,
            reasons,
            judged,
            records,
            now_ns,
            runner_beats=self._beats(runner_beat_ns, now_ns),
            confirm_limit_ns=self._confirm_limit_ns,
        )
        rows = _copy(blank.rows, records, judged, now_ns, wall_ns)
        rows["tradable"] = verdict.is_tradable(states, reasons, records["source"])
        rows["state"] = _STATES[states]
        rows["reason"] = _REASONS[reasons]
        return rows

    def _beats(self, beat_ns: int, now_ns: int) -> bool:
        return verdict.is_beating(beat_ns, now_ns, self._heartbeat_limit_ns)


class _Blank:
    """The rows of a venue before anything is read, and where their verdicts stand."""

    def __init__(
        self, venue: str, entries: Sequence[Instrument], judges: Sequence[Instrument]
    ) -> None:
        self.entries, self.judges = entries, judges
        places = {
            entry.instrument: place
            for place, entry in enumerate(judges)
            if entry.venue == venue
        }
        active = [index for index, entry in enumerate(entries) if entry.is_active]
        listed = [entries[index] for index in active]
        self.active = np.array(active, np.intp)
        self.judged_by = np.array(
            [places.get(entry.instrument, len(judges)) for entry in listed], np.intp
        )
        self.fresh_ns = np.array([entry.fresh_ms for entry in listed], np.int64) * MS
        self.rows = np.zeros(len(listed), DTYPE)
        self.rows["venue"] = venue
        for name in ("instrument", "symbol", "feed_kind"):
            self.rows[name] = [getattr(entry, name) for entry in listed]


def _copy(
    blank: npt.NDArray[np.void],
    records: npt.NDArray[np.void],
    judged: npt.NDArray[np.void],
    now_ns: int,
    wall_ns: int,
) -> npt.NDArray[np.void]:
    rows = blank.copy()
    for name in _COPIED:
        rows[name] = records[name]
    rows["source"] = _SOURCES[records["source"]]
    is_spoken = records["kind"] == KIND_QUOTE
    for name in ("bid", "bid_size", "ask", "ask_size"):
        rows[name][~is_spoken] = np.nan
    for name in ("event_ns", "recv_ns", "publish_ns"):
        rows[name][~is_spoken] = TIME_NONE

    is_judged = (judged["kind"] != 0) & is_spoken
    rows["apply_ns"] = np.where(is_judged, judged["apply_ns"], TIME_NONE)
    rows["apply_age_ns"] = _age(now_ns, rows["apply_ns"])
    rows["recv_age_ns"] = _age(now_ns, rows["recv_ns"])
    has_event = rows["event_ns"] != TIME_NONE
    rows["event_age_ns"] = TIME_NONE
    rows["event_age_ns"][has_event] = wall_ns - rows["event_ns"][has_event]
    return rows


def _age(now_ns: int, stamps: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    known = stamps != TIME_NONE
    ages = np.full(len(stamps), AGE_UNKNOWN, np.int64)
    ages[known] = np.maximum(now_ns - stamps[known], 0)
    return ages
