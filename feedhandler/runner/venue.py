"""One venue as the runner sees it: its ring drained, its instruments judged.

    ring ─▶ applied records ─┐
    liveness words ──────────┼─▶ evidence ─▶ health ─▶ STATUS records
    REST checks ─▶ audit ────┘       └─▶ the ladder

Reads the feed's segment, keeps what it applied in arrays, and says which verdicts are
to be written. Writes nothing; time, and the clock, are passed in.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from feedhandler.runner.audit import Audit
from feedhandler.runner.evidence import Evidence, Limits
from feedhandler.runner.states import Health
from shm_layout import Reader
from shm_layout.codes import (
    FLAG_RESTARTED,
    FLAG_SYNCING,
    KIND_QUOTE,
    REASON_LADDER,
    REASON_NONE,
    REASON_ONE_SIDED,
    REASON_OUTLIER,
    SOURCE_STREAM,
    STATE_LIVE,
    STATE_QUARANTINED,
    STATE_QUIET,
    STATE_SUSPECT,
    TIME_NONE,
)
from shm_layout.directory import Instrument
from shm_layout.schema import QUOTE

# Nothing that we could do would mend it.
_OF_MARKET: Final = (REASON_ONE_SIDED, REASON_OUTLIER)


@dataclass(slots=True)
class Drained:
    """What one pass over a ring brought."""

    count: int
    lost: int
    hit_budget: bool
    applied: npt.NDArray[np.intp]  # indexes of instruments with a new record
    records: npt.NDArray[np.void]  # valid until the next pass


class VenueView:
    """The runner's side of one feed's segment."""

    def __init__(self, reader: Reader, budget: int, limits: Limits) -> None:
        self.reader = reader
        self.cursor = 0
        self.lag = 0
        self.instruments: tuple[Instrument, ...] = ()
        self.verdicts: list[Health] = []

        size = reader.capacities.instruments
        self.audit = Audit(
            size, limits.tolerance_bps, limits.audit_misses, limits.outlier_wait_ns
        )
        self.ticks = np.full(size, np.nan)
        self._limits = limits
        self._records = np.zeros(budget, QUOTE.dtype)
        # The last record applied, for each instrument, as the feed published it.
        self._applied = np.zeros(size, QUOTE.dtype)
        self._apply_ns = np.full(size, TIME_NONE, np.int64)
        self._fresh_ns = np.zeros(size, np.int64)
        self._active = np.zeros(size, np.bool_)
        self._quarantined = np.zeros(size, np.bool_)
        self._evidence = Evidence(size, limits)

        # What was last judged, so that only what changed is looked at one by one.
        self._states = np.zeros(size, np.uint8)
        self._reasons = np.zeros(size, np.uint8)
        self._found = (np.zeros(0, np.uint8), np.zeros(0, np.uint8))
        self._pending: set[int] = set()

    def start(self, now_ns: int) -> None:
        """Take over what the feed published before: ring position, then latest slots.

        What is found counts as applied when it was received, never as applied now: a
        restart of the runner makes nothing look fresher.
        """
        self.cursor = self.reader.head()
        self._take_slots(now_ns)
        self.refresh_instruments(now_ns)

    def refresh_instruments(self, now_ns: int) -> None:
        """Read the directory again: instruments are added while we run."""
        self.instruments = self.reader.instruments()
        for index, entry in enumerate(self.instruments):
            self._fresh_ns[index] = entry.fresh_ms * 1_000_000
            self.ticks[index] = entry.tick
            self._active[index] = entry.is_active
        while len(self.verdicts) < len(self.instruments):
            self._pending.add(len(self.verdicts))
            self.verdicts.append(Health(now_ns))

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
        applied = np.unique(indexes)
        if lost:
            # What was overwritten may have been the last word on an instrument.
            applied = np.union1d(applied, self._take_slots(apply_ns))
        self.lag = (self.reader.head() - self.cursor) & 0xFFFF_FFFF_FFFF_FFFF
        return Drained(
            count=count,
            lost=lost,
            hit_budget=count == len(self._records),
            applied=applied[applied < len(self.verdicts)],
            records=records,
        )

    def judge(
        self,
        now_ns: int,
        heartbeat_limit_ns: int,
        is_suspended: bool,
        clock: Callable[[], int],
    ) -> list[int]:
        """Move every instrument to the state its evidence shows; return who moved.

        `clock` is read once, after the words of the segment.
        """
        count = len(self.instruments)
        if self._evidence.session != self.reader.link()[1]:
            self.audit.forget()
        self.audit.sample(self._applied[:count], now_ns)
        states, reasons = self._evidence.judge(
            self._applied[:count],
            self._fresh_ns[:count],
            self.reader,
            self.audit,
            lambda: max(now_ns, clock()),
            heartbeat_limit_ns,
            is_suspended,
        )
        self._found = (states.copy(), reasons.copy())  # before the ladder's word
        taken_out = self._quarantined[:count]
        states[taken_out] = STATE_QUARANTINED
        reasons[taken_out] = REASON_LADDER
        changed = (states != self._states[:count]) | (reasons != self._reasons[:count])
        self._states[:count], self._reasons[:count] = states, reasons
        moved = []
        for index in sorted(self._pending.union(np.flatnonzero(changed).tolist())):
            health = self.verdicts[index]
            state, reason = int(states[index]), int(reasons[index])
            if health.judge(state, reason, now_ns, self._limits.recovery):
                moved.append(index)
            if health.is_pending:
                self._pending.add(index)
            else:
                self._pending.discard(index)
        return moved

    def faults(self) -> dict[str, int]:
        """Return what speaks against each active instrument; NONE when nothing does.

        A one-sided book, and a price that jumps, are the market's business.
        """
        states, reasons = self._found
        found = {}
        for index, entry in enumerate(self.instruments[: len(states)]):
            if not self._active[index]:
                continue
            state, reason = int(states[index]), int(reasons[index])
            is_market = state == STATE_SUSPECT and reason in _OF_MARKET
            if state in (STATE_LIVE, STATE_QUIET) or is_market:
                reason = REASON_NONE
            found[entry.instrument] = reason
        return found

    def index_of(self, instrument: str) -> int | None:
        """Return the feed's index of an instrument."""
        for index, entry in enumerate(self.instruments):
            if entry.instrument == instrument:
                return index
        return None

    def set_quarantined(self, names: set[str]) -> None:
        """Take instruments out, and let all others go."""
        for index, entry in enumerate(self.instruments):
            self._quarantined[index] = entry.instrument in names

    def wake(self, now_ns: int) -> None:
        """The machine slept: what came before is older than its stamps say."""
        self._evidence.not_before_ns = now_ns

    def settle_checks(self, now_ns: int) -> list[tuple[int, str]]:
        """Compare the REST quotes that are due with what the stream showed."""
        count = len(self.instruments)
        return self.audit.settle(self._applied[:count], self.ticks, now_ns)

    def status_of(self, index: int) -> dict[str, int]:
        """Return the fields of an instrument's STATUS record."""
        known = self.verdicts[index]
        record = self._applied[index]
        return {
            "session": int(record["session"]),
            "event_ns": int(record["event_ns"]) if record["kind"] else TIME_NONE,
            "recv_ns": int(record["recv_ns"]) if record["kind"] else TIME_NONE,
            "apply_ns": int(self._apply_ns[index]),
            "since_ns": known.since_ns,
            "confirmed_ns": self.audit.confirmed_of(index, int(record["sequence"])),
            "applied_sequence": int(record["sequence"]),
            "moves": known.moves,
            "applied_epoch": int(record["epoch"]),
            "state": known.state,
            "reason": known.reason,
            "previous": known.previous,
        }

    def _take_slots(self, now_ns: int) -> npt.NDArray[np.intp]:
        """Take the newest quotes where they are newer; return which those are."""
        slots = np.zeros(len(self._applied), QUOTE.dtype)
        self.reader.read_slots(slots)
        newer = (slots["kind"] == KIND_QUOTE) & (
            slots["sequence"] > self._applied["sequence"]
        )
        self._applied[newer] = slots[newer]
        sound = newer & _is_sound(slots)
        received = np.minimum(slots["recv_ns"], now_ns)
        self._apply_ns[sound] = received[sound]
        result: npt.NDArray[np.intp] = np.flatnonzero(newer)
        return result


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
