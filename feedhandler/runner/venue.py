"""One venue as the runner sees it: its ring drained, its instruments judged.

Reads the feed's segment, keeps what it applied in arrays, and says which verdicts are
to be written. Writes nothing and reads no clock: time is passed in.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from feedhandler import verdict
from feedhandler.runner.states import next_state
from shm_layout import Reader
from shm_layout.codes import (
    FLAG_RESTARTED,
    FLAG_SYNCING,
    KIND_QUOTE,
    REASON_LINK_DOWN,
    REASON_NEVER_SPOKEN,
    REASON_RUNNER_PAUSED,
    SOURCE_STREAM,
    STATE_DOWN,
    STATE_LIVE,
    STATE_SYNCING,
    STATE_UNKNOWN,
    TIME_NONE,
)
from shm_layout.directory import Instrument
from shm_layout.schema import QUOTE


@dataclass(slots=True)
class Drained:
    """What one pass over a ring brought."""

    count: int
    lost: int
    hit_budget: bool
    applied: npt.NDArray[np.intp]  # indexes of instruments with a new record
    hops_ns: npt.NDArray[np.int64]  # publish to apply, one a record


@dataclass(slots=True)
class Verdict:
    """What is known of one instrument; times are monotonic nanoseconds."""

    apply_ns: int = TIME_NONE
    since_ns: int = TIME_NONE
    applied_sequence: int = 0
    moves: int = 0
    state: int = STATE_UNKNOWN
    reason: int = REASON_NEVER_SPOKEN
    previous: int = STATE_UNKNOWN


class VenueView:
    """The runner's side of one feed's segment."""

    def __init__(self, reader: Reader, budget: int) -> None:
        self.reader = reader
        self.cursor = 0
        self.lag = 0
        self.instruments: list[Instrument] = []
        self.verdicts: list[Verdict] = []

        self._records = np.zeros(budget, QUOTE.dtype)
        # The last record applied, for each instrument, as the feed published it.
        self._applied = np.zeros(reader.capacities.instruments, QUOTE.dtype)
        self._apply_ns = np.full(reader.capacities.instruments, TIME_NONE, np.int64)
        self._fresh_ns = np.zeros(reader.capacities.instruments, np.int64)

    def start(self, now_ns: int) -> None:
        """Take over what the feed published before: ring position, then latest slots.

        What is found counts as applied when it was received, never as applied now: a
        restart of the runner makes nothing look fresher.
        """
        self.cursor = self.reader.head()
        self.reader.read_slots(self._applied)
        two_sided = _is_sound(self._applied)
        received = np.minimum(self._applied["recv_ns"], now_ns)
        self._apply_ns[two_sided] = received[two_sided]
        self.refresh_instruments(now_ns)

    def refresh_instruments(self, now_ns: int) -> None:
        """Read the directory again: instruments are added while we run."""
        self.instruments = self.reader.instruments()
        for index, entry in enumerate(self.instruments):
            self._fresh_ns[index] = entry.fresh_ms * 1_000_000
        while len(self.verdicts) < len(self.instruments):
            self.verdicts.append(Verdict(since_ns=now_ns))

    def drain(self, apply_ns: int) -> Drained:
        """Apply at most one budget of records, stamping them with `apply_ns`."""
        count, lost, self.cursor = self.reader.drain(self.cursor, self._records)
        records = self._records[:count]
        quotes = records[
            (records["kind"] == KIND_QUOTE)
            & (records["instrument"] < len(self._applied))
        ]
        indexes = quotes["instrument"].astype(np.intp)
        self._applied[indexes] = quotes  # of a repeated index the last one stays
        sound = _is_sound(quotes)
        self._apply_ns[indexes[sound]] = apply_ns
        self.lag = (self.reader.head() - self.cursor) & 0xFFFF_FFFF_FFFF_FFFF
        return Drained(
            count=count,
            lost=lost,
            hit_budget=count == len(self._records),
            applied=np.unique(indexes),
            hops_ns=apply_ns - records["publish_ns"],
        )

    def judge(
        self, now_ns: int, heartbeat_limit_ns: int, is_suspended: bool
    ) -> list[int]:
        """Move every instrument to the state its evidence shows; return who moved."""
        count = len(self.instruments)
        link, session = self.reader.link()
        states, reasons = verdict.assess(
            self._applied[:count],
            self._fresh_ns[:count],
            now_ns,
            writer_beats=verdict.is_beating(
                self.reader.heartbeat_ns(), now_ns, heartbeat_limit_ns
            ),
            link=link,
            session=session,
        )
        if is_suspended:
            paused = states == STATE_LIVE
            states[paused] = STATE_SYNCING
            reasons[paused] = REASON_RUNNER_PAUSED
        return [
            index
            for index in range(count)
            if self._move(
                self.verdicts[index], int(states[index]), int(reasons[index]), now_ns
            )
        ]

    def status_of(self, index: int) -> dict[str, int]:
        """Return the fields of an instrument's STATUS record."""
        known = self.verdicts[index]
        record = self._applied[index]
        return {
            "session": int(record["session"]),
            "event_ns": int(record["event_ns"]),
            "recv_ns": int(record["recv_ns"]),
            "apply_ns": int(self._apply_ns[index]),
            "since_ns": known.since_ns,
            "confirmed_ns": TIME_NONE,
            "applied_sequence": int(record["sequence"]),
            "moves": known.moves,
            "applied_epoch": int(record["epoch"]),
            "state": known.state,
            "reason": known.reason,
            "previous": known.previous,
        }

    @staticmethod
    def _move(known: Verdict, state: int, reason: int, now_ns: int) -> bool:
        target = next_state(known.state, state)
        if target == STATE_DOWN and state == STATE_UNKNOWN:
            reason = REASON_LINK_DOWN
        if target == known.state and reason == known.reason:
            return False
        if target != known.state:
            known.previous, known.state = known.state, target
            known.since_ns = now_ns
            known.moves += 1
        known.reason = reason
        return True


def _is_sound(quotes: npt.NDArray[np.void]) -> npt.NDArray[np.bool_]:
    """Say which quotes renew the apply stamp: whole, undoubted, from the stream."""
    result: npt.NDArray[np.bool_] = (
        (quotes["kind"] == KIND_QUOTE)
        & (quotes["source"] == SOURCE_STREAM)
        & ((quotes["flags"] & (FLAG_RESTARTED | FLAG_SYNCING)) == 0)
        & ~np.isnan(quotes["bid"])
        & ~np.isnan(quotes["ask"])
    )
    return result
