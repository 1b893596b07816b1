"""What does a record cost that a reader drains from the ring?

    ring of 65,536:  … │ r │ r │ r │ r │ r │ r │ ▶ head
                         └── drain(cursor, batch) ──┘   numpy array of 128-byte records

The canonical workload drains the newest 1, 64, 1,024 and 16,384 records again and
again; figures are of one record. Larger batches share the cost of the call; the
largest is what a runner needs after a pause.
"""

from __future__ import annotations

import os
from contextlib import ExitStack

import numpy as np

from perf import _harness
from shm_layout import KIND_QUOTE, RECORD_DTYPES, Reader, Writer

RING_SLOTS = 65_536
BATCHES = (1, 64, 1_024, 16_384)
RECORDS_A_ROUND = 2_000_000


def main(run: _harness.Run) -> None:
    with ExitStack() as stack:
        subjects = []
        for implementation, share in (("native", 1), ("twin", 50)):
            try:
                opened = _harness.open_writer(implementation, ring_slots=RING_SLOTS)
                writer, index = stack.enter_context(opened)
            except ImportError as error:
                run.not_measured(implementation, error)
                continue
            reader = fill(writer, index)
            stack.callback(reader.close)
            for count in BATCHES:
                batch = np.zeros(count, dtype=RECORD_DTYPES[KIND_QUOTE])
                cursor = reader.head() - count
                check(run, implementation, reader, batch)
                records = run.count(RECORDS_A_ROUND, 20_000) // share
                subject = _harness.Subject(
                    f"{count:,} at once ({implementation})",
                    "drain(cursor, batch)",
                    {"drain": reader.drain, "cursor": cursor, "batch": batch},
                    max(min(records // count, 200_000 // share), 5),
                    items_per_call=count,
                )
                stack.callback(subject.names.clear)
                subjects.append(subject)
        _harness.pin(0)
        run.measure(subjects)
        os.sched_setaffinity(0, _harness.CORES)


def fill(writer: Writer, index: int) -> Reader:
    """Write more than a lap, each record with its number, and attach to it."""
    for number in range(RING_SLOTS + RING_SLOTS // 4):
        writer.publish_quote(index, 0, 1, 0, 1, number, 100.0, 1.0, 101.0, 1.0)
    return Reader.attach(writer.instance, writer.role)


def check(
    run: _harness.Run, implementation: str, reader: Reader, batch: np.ndarray
) -> None:
    """Check that a batch holds the newest records, in order and complete."""
    head = reader.head()
    count, lost, cursor = reader.drain(head - len(batch), batch)
    run.check(
        (count, lost, cursor) == (len(batch), 0, head),
        f"{implementation}: count={count} lost={lost} cursor={cursor}",
    )
    numbers = head - len(batch) + np.arange(len(batch))
    run.check(
        bool((batch["venue_sequence"] == numbers).all()),
        f"{implementation}: records are not those that were written",
    )


if __name__ == "__main__":
    _harness.run(main, __doc__)
