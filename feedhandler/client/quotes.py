"""Every instrument's quote and verdict at once, as a numpy structured array."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

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


class Quotes:
    """Reads all feeds and the runner of one instance. Time is passed in."""

    def __init__(
        self,
        feeds: Mapping[str, Reader],
        runner: Reader | None,
        heartbeat_limit_ns: int,
        confirm_limit_ns: int = verdict.QUIET_CONFIRM_LIMIT_NS,
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._feeds = feeds
        self._runner = runner
        self._heartbeat_limit_ns = heartbeat_limit_ns
        self._confirm_limit_ns = confirm_limit_ns
        self._clock = clock

    def read(self, now_ns: int, wall_ns: int) -> npt.NDArray[np.void]:
        """Return one row an active instrument, venues in order of their names."""
        verdicts = self._read_verdicts()
        beat_ns = 0 if self._runner is None else self._runner.heartbeat_ns()
        rows = [
            self._read_venue(venue, verdicts, beat_ns, now_ns, wall_ns)
            for venue in sorted(self._feeds)
        ]
        return np.concatenate(rows) if rows else np.zeros(0, DTYPE)

    def _read_verdicts(self) -> dict[tuple[str, str], np.void]:
        if self._runner is None:
            return {}
        entries = self._runner.instruments()
        records = np.zeros(len(entries), STATUS.dtype)
        self._runner.read_slots(records)
        return {
            (entry.venue, entry.instrument): record
            for entry, record in zip(entries, records, strict=True)
        }

    def _read_venue(
        self,
        venue: str,
        verdicts: Mapping[tuple[str, str], np.void],
        runner_beat_ns: int,
        now_ns: int,
        wall_ns: int,
    ) -> npt.NDArray[np.void]:
        reader = self._feeds[venue]
        entries = reader.instruments()
        records = np.zeros(len(entries), QUOTE.dtype)
        reader.read_slots(records)
        active = [index for index, entry in enumerate(entries) if entry.is_active]
        entries = [entries[index] for index in active]
        records = records[active]
        judged = np.zeros(len(entries), STATUS.dtype)
        for row, entry in enumerate(entries):
            known = verdicts.get((venue, entry.instrument))
            if known is not None:
                judged[row] = known
        link, session = reader.link()
        beat_ns = reader.heartbeat_ns()
        # The words were read after `now_ns` was taken and may be younger than it, but
        # not than the clock: a stamp of the future proves nothing.
        newest_ns = int(records["recv_ns"].max(initial=max(beat_ns, runner_beat_ns)))
        now_ns = max(now_ns, min(newest_ns, self._clock()))
        states, reasons = verdict.assess(
            records,
            np.array([entry.fresh_ms * 1_000_000 for entry in entries], np.int64),
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
        rows = _copy(venue, entries, records, judged, now_ns, wall_ns)
        rows["tradable"] = verdict.is_tradable(states, reasons, records["source"])
        rows["state"] = [STATE_NAMES.get(state, "UNKNOWN") for state in states.tolist()]
        rows["reason"] = [
            REASON_NAMES.get(code, "unknown") for code in reasons.tolist()
        ]
        return rows

    def _beats(self, beat_ns: int, now_ns: int) -> bool:
        return verdict.is_beating(beat_ns, now_ns, self._heartbeat_limit_ns)


def _copy(
    venue: str,
    entries: list[Instrument],
    records: npt.NDArray[np.void],
    judged: npt.NDArray[np.void],
    now_ns: int,
    wall_ns: int,
) -> npt.NDArray[np.void]:
    rows = np.zeros(len(entries), DTYPE)
    rows["venue"] = venue
    rows["instrument"] = [entry.instrument for entry in entries]
    rows["symbol"] = [entry.symbol for entry in entries]
    rows["feed_kind"] = [entry.feed_kind for entry in entries]
    for name in _COPIED:
        rows[name] = records[name]
    rows["source"] = [
        SOURCE_NAMES.get(source, "") for source in records["source"].tolist()
    ]
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
