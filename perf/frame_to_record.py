"""What does a frame cost from the socket's bytes to the record that readers see?

    frame ── decode ──▶ event ── judge ──▶ quote ── publish ──▶ latest + ring
             └────────── Session.receive ───────┘ └─ Publisher.publish ─┘

The canonical workload goes round the frames of a recorded session, through the same
two calls that a feed process makes for each frame, without the socket. Rate and mean
are of CPU time, percentiles of wall time.
"""

from __future__ import annotations

import itertools
import os
import time
from contextlib import ExitStack

from feedhandler.config import VenueConfig
from feedhandler.feed.counters import Counters
from feedhandler.feed.publisher import Publisher
from feedhandler.feed.session import Session
from feedhandler.feed.settings import settle
from feedhandler.venues._base import load_venue
from perf import _frames, _harness
from shm_layout import Writer
from shm_layout.schema import QUOTE

KINDS = {
    "bbo": (_frames.quotes, 100_000, "≤ 3"),
    "l2Book, 20 levels": (_frames.books, 20_000, "≤ 12"),
    "l2Book, 5 levels (fast)": (_frames.fast_books, 50_000, ""),
}


def main(run: _harness.Run) -> None:
    with ExitStack() as stack:
        subjects = []
        for implementation in ("native", "twin"):
            try:
                opened = _harness.open_writer(implementation)
                writer, index = stack.enter_context(opened)
            except ImportError as error:
                run.not_measured(implementation, error)
                continue
            for kind, (frames, calls, _) in KINDS.items():
                name = f"{kind} ({implementation})"
                names = steps(writer, index)
                check(run, name, writer, index, names, frames())
                subject = _harness.Subject(
                    name,
                    "at = clock(); publish(receive(following(), at), at)",
                    {**names, "following": itertools.cycle(frames()).__next__},
                    run.count(calls, calls // 50),
                )
                stack.callback(subject.names.clear)
                stack.callback(names.clear)
                subjects.append(subject)
        _harness.pin(0)
        found = run.measure(subjects, is_cpu=True)
        os.sched_setaffinity(0, _harness.CORES)
        for kind, (_, _, target) in KINDS.items():
            result = found.get(f"{kind} (native)")
            if result and target:
                cpu_us = (result.mean_ns or 0) / 1e3
                run.ratio(f"{kind}: µs of CPU from frame to record", cpu_us, target)


def steps(writer: Writer, index: int) -> dict:
    """Return the two calls of a feed process, and a clock that never stands still.

    The clock only counts: a session takes a pause between two rounds for a stall.
    """
    venue = load_venue("hyperliquid")
    settings = settle(venue, VenueConfig())
    counters = Counters(writer)
    now_ns, wall_ns = time.monotonic_ns(), time.time_ns()
    session = Session(
        venue,
        {_frames.COIN: venue.market_by_name(_frames.COIN)},
        settings.options,
        settings.timing,
        {},
        counters.add,
        now_ns,
        wall_ns,
    )
    session.opened(now_ns, wall_ns)
    publisher = Publisher(writer, counters, outlier_bps=settings.outlier_bps)
    publisher.set_indexes({_frames.COIN: index})
    return {
        "receive": session.receive,
        "publish": publisher.publish,
        "clock": itertools.count(now_ns, 1_000).__next__,
    }


def check(
    run: _harness.Run,
    name: str,
    writer: Writer,
    index: int,
    names: dict,
    frames: list[bytes],
) -> None:
    """Check that each frame becomes one record, with the frame's own best prices."""
    before = writer.head()
    bid, ask = QUOTE.offsets["bid"], QUOTE.offsets["ask"]
    found = []
    for frame in frames:
        recv_ns = names["clock"]()
        names["publish"](names["receive"](frame, recv_ns), recv_ns)
        record = memoryview(writer.read_slot(index) or bytes(QUOTE.size_bytes))
        found.append(
            (record[bid : bid + 8].cast("d")[0], record[ask : ask + 8].cast("d")[0])
        )
    run.check(
        writer.head() - before == len(frames),
        f"{name}: {writer.head() - before} records of {len(frames)} frames",
    )
    run.check(found == _frames.tops(), f"{name}: records differ from their frames")


if __name__ == "__main__":
    _harness.run(main, __doc__)
