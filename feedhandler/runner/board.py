"""The runner's own segment: where its verdicts stand for every reader.

One slot an instrument of every venue, filled with STATUS records; the ring carries only
the moves. Counters tell what was drained, overwritten, left for later, checked and
done, by venue. A signed number is two counters, one of which is 0.

    passes pauses clock_steps suspends                          of the runner
    asleep_ns woke_ns                                           for the next runner
    drained lost laps budget_hits lag moves         .<venue>    of its ring
    audit.agreed audit.disagreed audit.discarded    .<venue>    of its REST checks
    agreement_ppm                       .<venue>.<instrument>   1,000,000: all agreed
    ladder.<step> command.<result>                  .<venue>    of the ladder
    venue_ahead_us venue_behind_us                  .<venue>    its clock beside ours
    drift_behind_ppm drift_ahead_ppm clock_certain  .<venue>

Histograms: pass_time, records_a_pass; by venue publish_to_apply, and venue_to_recv,
which subtracts one clock from another: see clock_certain, and its negative values.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from feedhandler import log
from feedhandler.runner import ladder
from feedhandler.runner.audit import AGREED, DISAGREED, DISCARDED
from feedhandler.runner.skew import Skew
from feedhandler.runner.venue import Drained, VenueView
from shm_layout import (
    LINK_UP,
    RESULT_NAMES,
    SOURCE_RUNNER,
    Capacities,
    CapacityExceeded,
    Writer,
)
from shm_layout.codes import REASON_AUDIT, STATE_SUSPECT
from shm_layout.schema import STATUS

_CLOCKS: Final = (
    "venue_ahead_us",
    "venue_behind_us",
    "drift_ahead_ppm",
    "drift_behind_ppm",
    "clock_certain",
)
_COUNTERS: Final = (
    *("drained", "lost", "laps", "budget_hits", "lag", "moves"),
    *(f"audit.{result}" for result in (AGREED, DISAGREED, DISCARDED)),
    *(f"ladder.{step}" for step in ladder.STEPS),
    *(f"command.{name}" for name in (*RESULT_NAMES.values(), "unanswered")),
    *_CLOCKS,
)
_STATUS_FIELDS: Final = [field.name for field in STATUS.fields]
_RING_SLOTS: Final = 4_096  # state moves only: hours of a flapping venue
_COUNTERS_MAX: Final = 4_096  # 32 venues, and the agreement of 3,000 instruments
_HISTOGRAMS_MAX: Final = 80
_MASK: Final = (1 << 64) - 1


class Board:
    """Writes what the runner knows. One for each runner process."""

    def __init__(self, instance: str, instruments_max: int) -> None:
        capacities = Capacities(
            instruments=instruments_max,
            ring_slots=_RING_SLOTS,
            counters=_COUNTERS_MAX,
            histograms=_HISTOGRAMS_MAX,
        )
        self.writer = Writer.open(instance, "runner", capacities, source=SOURCE_RUNNER)
        self.writer.set_link(LINK_UP, self.writer.session + 1)
        self._indexes: dict[tuple[str, int], int] = {}  # (venue, its index) -> ours
        self._counters: dict[tuple[str, str], int] = {}
        self._applies: dict[str, int] = {}
        self._arrivals: dict[str, int] = {}
        self._agreements: dict[tuple[str, str], int | None] = {}
        self._passes = self.writer.counter("passes")
        self._pauses = self.writer.counter("pauses")
        self._clock_steps = self.writer.counter("clock_steps")
        self._suspends = self.writer.counter("suspends")
        self._asleep = self.writer.counter("asleep_ns")
        self._woke = self.writer.counter("woke_ns")
        self._pass_time = self.writer.histogram("pass_time")
        self._pass_records = self.writer.histogram("records_a_pass")

    def enter_venue(self, venue: str, view: VenueView, has_rest: bool) -> None:
        """Enter a venue's instruments and counters, or those that are new.

        What a runner before us left suspect by REST is so for us too, where REST can
        end it.
        """
        writer = self.writer
        for index, entry in enumerate(view.instruments):
            if (venue, index) not in self._indexes:
                entered = writer.add_instrument(entry)
                self._indexes[venue, index] = entered
                if has_rest and self._was_suspect(entered):
                    view.audit.suspect(index)
        if venue not in self._applies:
            for name in _COUNTERS:
                self._counters[venue, name] = writer.counter(f"{name}.{venue}")
            self._applies[venue] = writer.histogram(f"publish_to_apply.{venue}")
            self._arrivals[venue] = writer.histogram(f"venue_to_recv.{venue}")

    def forget_venue(self, venue: str) -> None:
        """Forget which index meant what: the venue's segment was replaced."""
        for key in [key for key in self._indexes if key[0] == venue]:
            del self._indexes[key]

    def count_drained(
        self,
        venue: str,
        drained: Drained,
        lag: int,
        apply_ns: int,
        delays: npt.NDArray[np.int64],
    ) -> None:
        """Count one pass over a venue's ring; all but the lag is cumulative."""
        writer = self.writer
        if drained.count:
            self._add(venue, "drained", drained.count)
        if drained.lost:
            self._add(venue, "lost", drained.lost)
            self._add(venue, "laps")
        if drained.hit_budget:
            self._add(venue, "budget_hits")
        writer.set_counter(self._counters[venue, "lag"], lag)
        record, hop = writer.record, self._applies[venue]
        for value_ns in (apply_ns - drained.records["publish_ns"]).tolist():
            record(hop, value_ns)
        hop = self._arrivals[venue]
        for value_ns in delays.tolist():
            record(hop, value_ns)

    def count_pass(self, time_ns: int, records: int) -> None:
        """Count one pass over all rings, and what it took and brought."""
        self.writer.count(self._passes)
        self.writer.record(self._pass_time, time_ns)
        self.writer.record(self._pass_records, records)

    def count_pause(self) -> None:
        """Count that this process found itself stopped."""
        self.writer.count(self._pauses)

    def count_clock_step(self) -> None:
        """Count that the wall clock was set."""
        self.writer.count(self._clock_steps)

    def count_suspend(self) -> None:
        """Count that the machine slept."""
        self.writer.count(self._suspends)

    def sleeps(self) -> tuple[int, int] | None:
        """Return what the runner before knew: time asleep, last wake; None if none."""
        if not self.writer.adopted:
            return None
        counters = self.writer.counters()
        asleep_ns, woke_ns = counters["asleep_ns"], counters["woke_ns"]
        return asleep_ns - (asleep_ns >> 63 << 64), woke_ns

    def remember_sleeps(self, asleep_ns: int, woke_ns: int) -> None:
        """Keep for the next runner how long this boot slept, and when it woke last."""
        self.writer.set_counter(self._asleep, asleep_ns & _MASK)
        self.writer.set_counter(self._woke, woke_ns)

    def count_step(self, venue: str, kind: str) -> None:
        """Count a step of the ladder."""
        self._add(venue, f"ladder.{kind}")

    def count_command(self, venue: str, result: str) -> None:
        """Count what became of a command."""
        self._add(venue, f"command.{result}")

    def count_check(
        self, venue: str, instrument: str, result: str, score: float
    ) -> None:
        """Count a REST check, and show how often the instrument's agree."""
        self._add(venue, f"audit.{result}")
        key = (venue, instrument)
        if key not in self._agreements:
            name = f"agreement_ppm.{venue}.{instrument}"
            try:
                self._agreements[key] = self.writer.counter(name)
            except (CapacityExceeded, ValueError) as error:
                log.event("agreement_not_shown", name=name, error=error)
                self._agreements[key] = None
        index = self._agreements[key]
        if index is not None and score == score:
            self.writer.set_counter(index, round(score * 1_000_000))

    def show_skew(self, venue: str, skew: Skew, now_ns: int) -> None:
        """Show how far the venue's clock is from ours, as far as that is known."""
        behind_us = (skew.skew_ns or 0) // 1_000
        drift = round(skew.drift_ppm or 0.0)
        values = {
            "venue_ahead_us": max(0, -behind_us),
            "venue_behind_us": max(0, behind_us),
            "drift_ahead_ppm": max(0, -drift),
            "drift_behind_ppm": max(0, drift),
            "clock_certain": int(skew.is_certain(now_ns)),
        }
        for name, value in values.items():
            self.writer.set_counter(self._counters[venue, name], value)

    def post(self, venue: str, view: VenueView, index: int, moved: bool) -> None:
        """Publish one instrument's verdict."""
        if moved:
            self._add(venue, "moves")
        self.writer.publish_status(
            self._indexes[venue, index], **view.status_of(index), moved=moved
        )

    def _was_suspect(self, index: int) -> bool:
        record = self.writer.read_slot(index)
        if record is None:
            return False
        status = dict(zip(_STATUS_FIELDS, STATUS.struct.unpack(record), strict=True))
        return (status["state"], status["reason"]) == (STATE_SUSPECT, REASON_AUDIT)

    def _add(self, venue: str, name: str, amount: int = 1) -> None:
        self.writer.count(self._counters[venue, name], amount)
