"""What does it cost to understand a frame?

    frame (bytes of JSON) ── venue.decode ──▶ events (numbers, checked)

The canonical workload goes round the frames of a recorded session. Rate and mean are
of CPU time, percentiles of wall time. `json.loads` beside it is the standard library
reading the same bytes: no check, no number, no event yet.
"""

from __future__ import annotations

import itertools
import json
import os
import time

from feedhandler.events import QuoteEvent
from feedhandler.venues._base import load_venue
from perf import _frames, _harness

VENUE = "hyperliquid"


def main(run: _harness.Run) -> None:
    decode = load_venue(VENUE).decoder({})
    wall_ns = time.time_ns()
    kinds = {
        "bbo": (_frames.quotes(), 100_000),
        "l2Book, 20 levels": (_frames.books(), 20_000),
        "l2Book, 5 levels (fast)": (_frames.fast_books(), 50_000),
        "activeAssetCtx": (_frames.sample("ws_active_asset_ctx_sol.json"), 50_000),
        "trades, 1 row": (_frames.sample("ws_trades_sol.json"), 50_000),
    }
    subjects = []
    for name, (frames, calls) in kinds.items():
        names = {"decode": decode, "wall_ns": wall_ns, "loads": json.loads}
        for suffix, statement in (
            ("", "decode(following(), wall_ns)"),
            (", json.loads", "loads(following())"),
        ):
            subject = _harness.Subject(
                name + suffix,
                statement,
                {**names, "following": itertools.cycle(frames).__next__},
                run.count(calls, calls // 50),
            )
            subjects.append(subject)
        check(run, name, [decode(frame, wall_ns) for frame in frames])
    _harness.pin(0)
    run.measure(subjects, is_cpu=True)
    os.sched_setaffinity(0, _harness.CORES)


def check(run: _harness.Run, name: str, decoded: list) -> None:
    """Check that frames became events, and quotes the tops of their books."""
    run.check(all(decoded), f"{name}: a frame without an event")
    if not isinstance(decoded[0][0], QuoteEvent):
        return
    found = [(events[0].bid, events[0].ask) for events in decoded]
    run.check(found == _frames.tops(), f"{name}: decoded tops differ from the frames'")


if __name__ == "__main__":
    _harness.run(main, __doc__)
