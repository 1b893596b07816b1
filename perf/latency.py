"""How long does a record take from one process to another?

    core 0                                   core 1
    writer ── every 100 µs: due ──▶ publish ──▶ reader sees it ──▶ holds the number
              └──────────────────── measured ─────────────────────────┘

The canonical workload is five rounds of 10,000 records, one each 100 µs. The writer
never waits for the reader. Each record carries the time at which it was due, not the
time at which it was sent, so a stall of the writer counts for every record it delayed,
and a stall of the reader for every record that waited: nothing is omitted by going
together. The first 1 % of a round warm up and are left out. All readers poll but those
of pyzmq and Queue; the C reader uses `feedhandler_shm.h`. Both processes read
CLOCK_MONOTONIC. It needs two idle cores: look at the load that is printed.
"""

from __future__ import annotations

import multiprocessing
import multiprocessing.process
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from perf import _channels, _compiled, _harness
from shm_layout.segment import segment_name

INTERVAL_NS = 100_000
WATCHDOG_S = 60.0
CONTEXT = multiprocessing.get_context("spawn")
RING = "feedhandler (native), Python polls the ring"
SLOT = "feedhandler (native), Python polls the slot"

Samples = list[tuple[int, int]]  # latency in ns, number of the record


def main(run: _harness.Run) -> None:
    if len(_harness.CORES) < 2:
        run.not_measured("all", "one core: reader and writer would take turns")
        return
    with tempfile.TemporaryDirectory() as folder:
        compare(run, Path(folder))


def compare(run: _harness.Run, folder: Path) -> None:
    """Measure every channel in alternating rounds and pool the rounds of each."""
    count = run.count(10_000, 1_000)
    pooled: dict[str, list[Samples]] = {name: [] for name in MAKERS}
    reasons: dict[str, str] = {}
    for number in range(run.count(5, 1)):
        for name, make in MAKERS.items():
            if name in reasons:
                continue
            try:
                channel = make(f"{os.getpid()}-{number}", folder)
                pooled[name].append(measure(run, name, channel, count))
            except Exception as error:  # noqa: BLE001 - what a rival raises is its reason
                reasons[name] = f"{type(error).__name__}: {error}"
    found = {}
    for name, rounds in pooled.items():
        if name in reasons:
            run.not_measured(name, reasons[name])
            continue
        latencies = [
            latency
            for samples in rounds
            for latency, number in samples
            if number >= count // 100
        ]
        replaced = sum(count - len(samples) for samples in rounds)
        note = f"{replaced} replaced before they were read" if replaced else ""
        found[name] = run.add(_harness.summarise(name, np.array(latencies), note))
    theirs = found.get(_channels.Iceoryx2.name)
    for name in (RING, SLOT):
        if theirs and (ours := found.get(name)):
            run.ratio(
                f"median: {name} / {theirs.name}",
                (ours.p50_ns or 0) / (theirs.p50_ns or 1),
                "≤ 0.167",
            )


def measure(
    run: _harness.Run, name: str, channel: _channels.Channel, count: int
) -> Samples:
    """Run one channel between two processes, this one being the reader."""
    to_writer, from_reader = CONTEXT.Pipe()
    writer = CONTEXT.Process(
        target=write, args=(channel, from_reader, count), daemon=True
    )
    writer.start()
    if channel.is_writer_first:
        receive(to_writer)
    channel.open_reader()
    if not channel.is_writer_first:
        to_writer.send("reader is open")
        receive(to_writer)
    _harness.pin(1)  # after the opening: a rival's own threads stay free
    to_writer.send("go")
    timer = threading.Timer(WATCHDOG_S, give_up, (writer,))
    timer.start()
    samples = channel.read(count)
    timer.cancel()
    to_writer.send("end")
    writer.join(WATCHDOG_S)
    channel.close_reader()
    os.sched_setaffinity(0, _harness.CORES)
    run.check(writer.exitcode == 0, f"{name}: exit of the writer {writer.exitcode}")
    numbers = [number for _, number in samples]
    if isinstance(channel, _channels.Slot):
        is_right = numbers == sorted(set(numbers)) and numbers[-1] == count - 1
    else:
        is_right = numbers == list(range(count))
    run.check(is_right, f"{name}: records lost or out of order")
    return samples


def write(channel: _channels.Channel, pipe: Connection, count: int) -> None:
    """Be the writing process."""
    if not channel.is_writer_first:
        receive(pipe)
    channel.open_writer()
    _harness.pin(0)
    pipe.send("writer is open")
    receive(pipe)
    channel.write(count, INTERVAL_NS)
    receive(pipe)
    channel.close_writer()


def receive(pipe: Connection) -> None:
    """Wait for the other process, not for ever."""
    if not pipe.poll(WATCHDOG_S):
        raise TimeoutError("the other process says nothing")
    pipe.recv()


def give_up(writer: multiprocessing.process.BaseProcess) -> None:
    """End both processes: a polling reader without a writer never ends by itself."""
    writer.kill()
    print("latency: no end in sight, giving up", file=sys.stderr)
    os._exit(1)


class CompiledReader(_channels.Ring):
    """Our segment, read by a C program that polls the ring."""

    def __init__(self, key: str, folder: Path) -> None:
        super().__init__(key, CONTEXT, "native")
        self.program = _compiled.build("latency_reader.c", folder)

    def read(self, count: int) -> list[tuple[int, int]]:
        path = "/dev/shm" + segment_name(self.instance, "feed:hyperliquid")
        self.process = subprocess.run(
            [self.program, path, str(count)], stdout=subprocess.PIPE, check=True
        )
        pairs = np.frombuffer(self.process.stdout, dtype=np.int64).reshape(-1, 2)
        return [(int(latency), int(number)) for latency, number in pairs]


MAKERS: dict[str, Callable[[str, Path], _channels.Channel]] = {
    "feedhandler (native), C polls the ring": lambda key, folder: CompiledReader(
        f"{key}-c", folder
    ),
    RING: lambda key, _: _channels.Ring(f"{key}-r", CONTEXT, "native"),
    SLOT: lambda key, _: _channels.Slot(f"{key}-s", CONTEXT, "native"),
    "feedhandler (twin), Python polls the ring": lambda key, _: _channels.Ring(
        f"{key}-t", CONTEXT, "twin"
    ),
    "feedhandler (twin), Python polls the slot": lambda key, _: _channels.Slot(
        f"{key}-u", CONTEXT, "twin"
    ),
    _channels.Iceoryx2.name: lambda key, _: _channels.Iceoryx2(key, CONTEXT),
    _channels.Pyzmq.name: lambda key, _: _channels.Pyzmq(key, CONTEXT),
    _channels.Queue.name: lambda key, _: _channels.Queue(key, CONTEXT),
}


if __name__ == "__main__":
    sys.exit(_harness.run(main, __doc__))
