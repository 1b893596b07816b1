"""What does a client's whole question cost: the quote, its age, may I trade on it?

    feed's slot ─┐
                 ├─ Feed.quote(venue, instrument) ─▶ Quote with state, reason, tradable
    runner's ────┘
    all slots ───── Feed.quotes() ─▶ one structured array

The canonical workload is 1,024 instruments with a LIVE verdict each. The second line is
of all in one call, and its figures are of one instrument.
"""

from __future__ import annotations

import os
import time
from contextlib import ExitStack
from dataclasses import replace

import feedhandler
from perf import _harness
from shm_layout import LINK_UP, Capacities, Reader, Writer
from shm_layout.codes import REASON_NONE, STATE_LIVE, STATE_SYNCING

INSTRUMENTS = 1_024
LONG_MS = 3_600_000  # no quote and no heartbeat ages while this is measured
SESSION = 1
MIDDLE = "I512-PERP"


def main(run: _harness.Run) -> None:
    with ExitStack() as stack:
        subjects = []
        for implementation, share in (("native", 1), ("twin", 20)):
            try:
                opened = _harness.open_writer(implementation)
                writer, _ = stack.enter_context(opened)
            except ImportError as error:
                run.not_measured(implementation, error)
                continue
            feed = stack.enter_context(live(writer, stack))
            check(run, implementation, feed)
            for name, statement, calls, items in (
                ("one quote", "quote('hyperliquid', name)", 300_000, 1),
                ("a quote among all", "quotes()", 300, INSTRUMENTS),
            ):
                subject = _harness.Subject(
                    f"{name} ({implementation})",
                    statement,
                    {"quote": feed.quote, "quotes": feed.quotes, "name": MIDDLE},
                    max(run.count(calls, calls // 50) // share, 5),
                    items_per_call=items,
                )
                stack.callback(subject.names.clear)
                subjects.append(subject)
        _harness.pin(0)
        found = run.measure(subjects, is_cpu=True)
        os.sched_setaffinity(0, _harness.CORES)
        one = found.get("one quote (native)")
        if one:
            run.ratio("µs of one Feed.quote", (one.mean_ns or 0) / 1e3, "≤ 2")


def live(writer: Writer, stack: ExitStack) -> feedhandler.Feed:
    """Publish quotes and verdicts that stay LIVE; return a client of them."""
    runner = Writer.open(
        instance=writer.instance, role="runner", capacities=Capacities(1_024, 8_192)
    )
    stack.callback(runner.close, unlink=True)
    now_ns = time.monotonic_ns()
    writer.set_link(LINK_UP, SESSION)
    for number in range(1, INSTRUMENTS):
        entry = replace(
            _harness.INSTRUMENT,
            instrument=f"I{number}-PERP",
            symbol=f"I{number}",
            fresh_ms=LONG_MS,
        )
        index = writer.add_instrument(entry)
        writer.publish_quote(
            index, 0, SESSION, 0, now_ns, number, 100.0 + number, 1.0, 2_000.0, 1.0
        )
        with Reader.attach(writer.instance, writer.role) as reader:
            sequence, epoch = reader.head() - 1, reader.owner().epoch
        runner.publish_status(
            runner.add_instrument(entry),
            session=SESSION,
            event_ns=0,
            recv_ns=now_ns,
            apply_ns=now_ns,
            since_ns=now_ns,
            confirmed_ns=0,
            applied_sequence=sequence,
            moves=1,
            applied_epoch=epoch,
            state=STATE_LIVE,
            reason=REASON_NONE,
            previous=STATE_SYNCING,
            moved=True,
        )
    for one in (writer, runner):
        one.beat(now_ns, 1)
    return feedhandler.attach(writer.instance, heartbeat_limit_ms=LONG_MS)


def check(run: _harness.Run, implementation: str, feed: feedhandler.Feed) -> None:
    """Check that every quote has its own price and may be traded on."""
    rows = feed.quotes()
    run.check(
        int(rows["tradable"].sum()) == INSTRUMENTS - 1,
        f"{implementation}: {rows['tradable'].sum()} tradable",
    )
    quote = feed.quote("hyperliquid", MIDDLE)
    run.check(
        quote is not None and quote.tradable and quote.bid == 612.0,
        f"{implementation}: {quote}",
    )


if __name__ == "__main__":
    _harness.run(main, __doc__)
