"""What every benchmark shares: arguments, measuring, the printed table.

Owns no workload. A benchmark is a module with a picture on top, a `main(run)` and

    if __name__ == "__main__":
        _harness.run(main, __doc__)

and is started as `python -m perf.publish [--small] [--json]` from the checkout.

How a call is measured: its rate comes from tight loops without a clock in them
(the median of several rounds; rounds of all subjects alternate, so that a slow
moment of the machine hits all of them). Its percentiles come from calls timed one
by one, less what reading the clock costs.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.metadata
import json
import os
import platform
import statistics
import sys
import time
import timeit
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from shm_layout import Capacities, Instrument, Writer, core

ROUNDS = 7
ROUNDS_SMALL = 3
TIMED_CALLS_MAX = 200_000

INSTRUMENT = Instrument(
    venue="hyperliquid",
    instrument="BTC-PERP",
    symbol="BTC",
    feed_kind="bbo",
    tick=1.0,
    lot=1e-5,
    multiplier=1.0,
    fresh_ms=3000,
)


@dataclass
class Result:
    """One line of the table; times in nanoseconds, None where not measured."""

    name: str
    rate: float | None = None
    mean_ns: float | None = None
    p50_ns: float | None = None
    p99_ns: float | None = None
    p999_ns: float | None = None
    max_ns: float | None = None
    note: str = ""

    @property
    def is_measured(self) -> bool:
        """Whether there are figures."""
        return self.rate is not None or self.p50_ns is not None


@dataclass
class Subject:
    """A statement to measure, compiled with `names` and nothing around it."""

    name: str
    statement: str
    names: dict[str, Any]
    calls: int
    items_per_call: int = 1  # the rate and the times are of one item
    note: str = ""
    rounds_ns: list[float] = field(default_factory=list)


class Run:
    """One run of one benchmark: what it measured and what it checked."""

    def __init__(self, title: str, is_small: bool) -> None:
        self.title = title
        self.is_small = is_small
        self.results: list[Result] = []
        self.ratios: list[dict[str, Any]] = []
        self.failed: list[str] = []

    def count(self, canonical: int, small: int) -> int:
        """Return the size of the workload in this mode."""
        return small if self.is_small else canonical

    def measure(
        self, subjects: Sequence[Subject], *, is_cpu: bool = False
    ) -> dict[str, Result]:
        """Measure subjects in alternating rounds; `is_cpu` counts CPU time alone."""
        timer = time.process_time if is_cpu else time.perf_counter
        for _ in range(self.count(ROUNDS, ROUNDS_SMALL)):
            for subject in subjects:
                loop = timeit.Timer(
                    subject.statement, globals={**subject.names}, timer=timer
                )
                items = subject.calls * subject.items_per_call
                subject.rounds_ns.append(loop.timeit(subject.calls) / items * 1e9)
        found = {}
        for subject in subjects:
            mean_ns = statistics.median(subject.rounds_ns)
            result = summarise(subject.name, time_each(subject), subject.note)
            result.mean_ns = mean_ns
            result.rate = 1e9 / mean_ns
            found[subject.name] = result
            self.results.append(result)
        return found

    def add(self, result: Result) -> Result:
        """Take over a line that was measured elsewhere."""
        self.results.append(result)
        return result

    def not_measured(self, name: str, reason: object) -> Result:
        """Say that a line is missing, and why; a rival is never left out silently."""
        return self.add(Result(name, note=f"not measured: {reason}"))

    def ratio(self, text: str, value: float, target: str) -> None:
        """Report a ratio of two lines of this run beside what it should be."""
        self.ratios.append({"name": text, "value": value, "target": target})

    def check(self, is_right: bool, text: str) -> None:
        """Note a result that is wrong; the run then ends with exit code 1."""
        if not is_right:
            self.failed.append(text)


def run(main: Callable[[Run], None], document: str | None) -> None:
    """Run a benchmark as a program; exits with 1 when a check failed."""
    title = (document or "").strip().splitlines()[0]
    parser = argparse.ArgumentParser(description=title)
    parser.add_argument("--small", action="store_true", help="a short run, for tests")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    this = Run(title, options.small)
    main(this)
    if options.json:
        print(json.dumps(as_json(this), indent=2))
    else:
        print_table(this)
    if this.failed:
        sys.exit("WRONG RESULT: " + "; ".join(this.failed))


# --- measuring -----------------------------------------------------------------


def time_each(subject: Subject) -> np.ndarray:
    """Return the time of single calls, less the cost of reading the clock."""
    calls = min(subject.calls, TIMED_CALLS_MAX)
    names = {"_clock": time.perf_counter_ns, **subject.names}
    body = "_start = _clock(); {}; _keep(_clock() - _start)"
    empty: list[int] = []
    filled: list[int] = []
    for statement, samples in (("0", empty), (subject.statement, filled)):
        timeit.Timer(
            body.format(statement), globals={**names, "_keep": samples.append}
        ).timeit(calls)
    clock_ns = statistics.median(empty)
    times = np.maximum(np.array(filled, dtype=np.float64) - clock_ns, 0.0)
    return times / subject.items_per_call


def summarise(name: str, samples: np.ndarray, note: str = "") -> Result:
    """Return the percentiles of samples in nanoseconds."""
    p50, p99, p999 = np.percentile(samples, [50, 99, 99.9])
    return Result(
        name,
        p50_ns=float(p50),
        p99_ns=float(p99),
        p999_ns=float(p999),
        max_ns=float(samples.max()),
        note=note,
    )


def pin(position: int) -> str:
    """Keep this process on one core; return which, for the table."""
    cores = sorted(CORES)
    os.sched_setaffinity(0, {cores[position % len(cores)]})
    return f"core {cores[position % len(cores)]}"


CORES = frozenset(os.sched_getaffinity(0))
LOAD_BEFORE = os.getloadavg()[0]  # of the last minute; above 1 others were at work


@contextlib.contextmanager
def open_writer(
    implementation: str, ring_slots: int = 65_536, instruments: int = 1_024
) -> Iterator[tuple[Writer, int]]:
    """Yield a writer of its own segment and the index of one instrument in it.

    Raises `ImportError` when the implementation is not built.
    """
    chosen = core._module
    core._module = core.load_implementation(implementation)
    try:
        writer = Writer.open(
            instance=f"perf-{os.getpid()}-{implementation}",
            role="feed:hyperliquid",
            capacities=Capacities(instruments=instruments, ring_slots=ring_slots),
        )
        try:
            yield writer, writer.add_instrument(INSTRUMENT)
        finally:
            writer.close(unlink=True)
    finally:
        core._module = chosen


# --- printing ------------------------------------------------------------------


def machine() -> dict[str, str]:
    """Return what the figures depend on."""
    cpu = "unknown"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith(("model name", "CPU part")):
            cpu = line.partition(":")[2].strip()
            break
    return {
        "cpu": cpu,
        "cores": str(len(CORES)),
        "kernel": f"{platform.release()} {platform.machine()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "shm_layout": core.IMPLEMENTATION,
        "load": f"{LOAD_BEFORE:.1f} before, {os.getloadavg()[0]:.1f} after",
    }


def versions() -> dict[str, str]:
    """Return the versions of what is measured and compared."""
    found = {}
    for name in (
        "feedhandler",
        "numpy",
        "msgspec",
        "iceoryx2",
        "pyzmq",
        "sortedcontainers",
    ):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def as_json(this: Run) -> dict[str, Any]:
    """Return everything a run found, for a program to read."""
    return {
        "benchmark": this.title,
        "small": this.is_small,
        "machine": machine(),
        "versions": versions(),
        "results": [asdict(result) for result in this.results],
        "ratios": this.ratios,
        "failed": this.failed,
    }


def print_table(this: Run) -> None:
    """Print everything a run found, for a person to read."""
    print(this.title + (" (small run: the figures mean little)" * this.is_small))
    print("  " + "   ".join(f"{key}: {value}" for key, value in machine().items()))
    print("  " + "   ".join(f"{key} {value}" for key, value in versions().items()))
    width = max([len(result.name) for result in this.results], default=0) + 1
    columns = ("rate/s", "mean", "p50", "p99", "p99.9", "max")
    print(f"\n  {'':{width}}" + "".join(f"{column:>11}" for column in columns))
    for result in this.results:
        line = f"  {result.name:{width}}"
        if result.is_measured:
            line += f"{result.rate:>11,.0f}" if result.rate else " " * 11
            for value in (
                result.mean_ns,
                result.p50_ns,
                result.p99_ns,
                result.p999_ns,
                result.max_ns,
            ):
                line += f"{as_time(value):>11}"
        print(line + (f"   {result.note}" if result.note else ""))
    for ratio in this.ratios:
        value = f"{ratio['value']:.3g}"
        print(f"\n  {ratio['name']}: {value} (to reach: {ratio['target']})")
    print()


def as_time(value_ns: float | None) -> str:
    """Return a time in the unit that suits it."""
    if value_ns is None:
        return ""
    if value_ns < 1e4:
        return f"{value_ns:.0f} ns"
    if value_ns < 1e7:
        return f"{value_ns / 1e3:.1f} µs"
    return f"{value_ns / 1e6:.1f} ms"
