"""How many records can the runner take, and what does a burst do to a pass?

    feed's ring ── burst of N records ──▶ step(): drain ≤ budget ─▶ stamp ─▶ judge ─▶ …
                                            └─ pass after pass until the ring is empty

The canonical workload: eight instruments; bursts of 1,000 to 60,000 records, more than
any venue sends in a second, taken with budgets of 256 to 16,384. The rate is a burst's
records over the time of its passes; p50, p99 and max are of single passes. What a burst
costs in freshness is the time until its last record is applied; what it costs everyone
else is the longest pass. A last line is a pass and a tick with nothing to do, of 1,024
instruments.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from feedhandler.config import (
    Config,
    LadderConfig,
    RunnerConfig,
    ShmConfig,
    VenueConfig,
)
from feedhandler.runner.process import Runner
from perf import _harness
from shm_layout import (
    LINK_UP,
    TIME_NONE,
    Capacities,
    Instrument,
    Reader,
    Writer,
    segment,
)

VENUE = "hyperliquid"
BUDGETS = (256, 1_024, 4_096, 16_384)
BURSTS = (1_000, 10_000, 60_000)
RING_SLOTS = 131_072  # twice the default, so that no burst laps the reader
REPEATS = 7


@dataclass
class Sides:
    """A feed that bursts, and the runner that takes it."""

    writer: Writer
    runner: Runner

    def burst(self, count: int, instruments: int) -> None:
        """Publish `count` quotes as fast as one process can."""
        publish, now_ns = self.writer.publish_quote, time.monotonic_ns()
        self.writer.beat(now_ns, 0)
        for number in range(count):
            index = number % instruments
            publish(index, 0, 1, TIME_NONE, now_ns, 0, 100.0, 1.0, 101.0, 1.0)

    def take(self, count: int) -> list[int]:
        """Step until the burst is applied; return what each pass took."""
        passes = []
        left = count
        while left > 0:
            before_ns = time.perf_counter_ns()
            drained = self.runner._drained_count
            self.runner.step(time.monotonic_ns())
            passes.append(time.perf_counter_ns() - before_ns)
            left -= self.runner._drained_count - drained
        return passes


def main(run: _harness.Run) -> None:
    _harness.pin(0)
    bursts = BURSTS[:1] if run.is_small else BURSTS
    budgets = BUDGETS[2:3] if run.is_small else BUDGETS
    for budget in budgets:
        for burst in bursts:
            with open_sides(budget, instruments=8) as sides:
                measure_burst(run, sides, burst, budget)
    with open_sides(4_096, instruments=run.count(1_024, 64)) as sides:
        measure_idle(run, sides)
    os.sched_setaffinity(0, _harness.CORES)


def measure_burst(run: _harness.Run, sides: Sides, burst: int, budget: int) -> None:
    passes: list[int] = []
    totals = []
    for _ in range(run.count(REPEATS, 2)):
        sides.burst(burst, 8)
        taken = sides.take(burst)
        passes += taken
        totals.append(sum(taken))
    total_ns = float(np.median(totals))
    times = np.array(passes, np.float64)
    counters = read_counters()
    lost = counters[f"lost.{VENUE}"]
    run.check(lost == 0, f"burst={burst} budget={budget} lost={lost}")
    drained = counters[f"drained.{VENUE}"]
    run.check(drained == burst * len(totals), f"drained={drained}")
    run.add(
        _harness.Result(
            f"burst {burst:,} budget {budget:,}",
            rate=burst / total_ns * 1e9,
            mean_ns=total_ns / burst,
            p50_ns=float(np.percentile(times, 50)),
            p99_ns=float(np.percentile(times, 99)),
            p999_ns=float(np.percentile(times, 99.9)),
            max_ns=float(times.max()),
            note=f"applied in {total_ns / 1e6:.1f} ms; percentiles are of passes",
        )
    )


def measure_idle(run: _harness.Run, sides: Sides) -> None:
    """Time passes with nothing in the ring; every one judges all instruments."""
    times = []
    for _ in range(run.count(2_000, 50)):
        sides.writer.beat(time.monotonic_ns(), 0)
        sides.runner._next_tick_ns = 0
        before_ns = time.perf_counter_ns()
        sides.runner.step(time.monotonic_ns())
        times.append(time.perf_counter_ns() - before_ns)
    count = len(sides.writer.instruments())
    result = _harness.summarise(f"idle tick, {count:,} instruments", np.array(times))
    run.add(result)


@contextmanager
def open_sides(budget: int, instruments: int) -> Iterator[Sides]:
    """Yield a feed's segment with instruments, and a runner attached to it."""
    instance = f"perf-{os.getpid()}"
    with tempfile.TemporaryDirectory() as state_dir:
        writer = Writer.open(instance, f"feed:{VENUE}", Capacities(1_024, RING_SLOTS))
        config = Config(
            instance=instance,
            state_dir=state_dir,
            venue={VENUE: VenueConfig()},
            runner=RunnerConfig(budget=budget),
            ladder=LadderConfig(enabled=False),
            shm=ShmConfig(instruments=1_024, ring_slots=RING_SLOTS),
        )
        runner = None
        try:
            for number in range(instruments):
                writer.add_instrument(
                    Instrument(VENUE, f"I{number}-PERP", f"I{number}")
                )
            writer.set_link(LINK_UP, 1)
            runner = Runner(config)
            runner.step(time.monotonic_ns())
            yield Sides(writer, runner)
        finally:
            if runner is not None:
                runner.close()
            writer.close(unlink=True)
            for name in segment.list_segments(instance):
                segment.remove_leftover(name)


def read_counters() -> dict[str, int]:
    """Return the runner's counters."""
    with Reader.attach(f"perf-{os.getpid()}", "runner") as reader:
        return reader.counters()


if __name__ == "__main__":
    _harness.run(main, __doc__)
