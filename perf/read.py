"""What does it cost to read the newest quote of one instrument, or of all?

    latest:  slot 0 │ slot 1 │ … │ slot 1023
             └read_slot┘                       one quote, 128 bytes
             └────────── read_slots ────────┘  all of them into one numpy array

The canonical workload is 1,024 instruments, each with a quote. The second line is of
one slot among all, so that both can be set side by side. Nobody writes meanwhile:
a reader that meets a writer copies the slot once more.
"""

from __future__ import annotations

import os
from contextlib import ExitStack

import numpy as np

from perf import _harness
from shm_layout import KIND_QUOTE, RECORD_DTYPES, Reader

INSTRUMENTS = 1_024


def main(run: _harness.Run) -> None:
    with ExitStack() as stack:
        subjects = []
        for implementation, share in (("native", 1), ("twin", 50)):
            try:
                opened = _harness.open_writer(implementation, instruments=INSTRUMENTS)
                writer, _ = stack.enter_context(opened)
            except ImportError as error:
                run.not_measured(implementation, error)
                continue
            for index in range(INSTRUMENTS):
                writer.publish_quote(index, 0, 1, 0, 1, 7, 100.0 + index, 1, 2000, 1)
            reader = Reader.attach(writer.instance, writer.role)
            stack.callback(reader.close)
            table = np.zeros(INSTRUMENTS, dtype=RECORD_DTYPES[KIND_QUOTE])
            names = {"read_slot": reader.read_slot, "read_slots": reader.read_slots}
            stack.callback(names.clear)
            one = _harness.Subject(
                f"one slot ({implementation})",
                "read_slot(513)",
                names,
                run.count(500_000, 5_000) // share,
            )
            every = _harness.Subject(
                f"a slot among all ({implementation})",
                "read_slots(table)",
                {**names, "table": table},
                run.count(2_000, 50) // share + 1,
                items_per_call=INSTRUMENTS,
            )
            stack.callback(every.names.clear)
            subjects += [one, every]
            check(run, implementation, reader, table)
        _harness.pin(0)
        run.measure(subjects)
        os.sched_setaffinity(0, _harness.CORES)
        for subject in subjects:
            subject.names.clear()


def check(
    run: _harness.Run, implementation: str, reader: Reader, table: np.ndarray
) -> None:
    """Check that both ways return what was written."""
    unreadable = reader.read_slots(table)
    run.check(unreadable == 0, f"{implementation}: {unreadable} slots unreadable")
    expected = 100.0 + np.arange(INSTRUMENTS)
    run.check(bool((table["bid"] == expected).all()), f"{implementation}: wrong bids")
    run.check(
        reader.read_slot(513) == table[513].tobytes(),
        f"{implementation}: one slot and the table differ",
    )


if __name__ == "__main__":
    _harness.run(main, __doc__)
