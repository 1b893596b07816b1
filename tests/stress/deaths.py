"""A writer that dies or is interrupted, again and again; each time all is checked.

    python -m tests.stress.deaths kills INSTANCE COUNT SEED
    python -m tests.stress.deaths interrupts INSTANCE COUNT SEED

`kills` forks from a process without threads: each child adopts the segment, publishes
at full rate and is killed after up to 5 ms. `interrupts` raises a KeyboardInterrupt at
random points of a publish. Both print one JSON object.
"""

from __future__ import annotations

import gc
import json
import os
import random
import select
import signal
import sys
import traceback
from typing import Any

import numpy as np

from shm_layout import Reader, Writer, core, schema
from shm_layout.limits import RECORD_BYTES
from tests.stress.linked import CAPACITIES, ROLE, Checker, quote
from tests.support import MS, wait_until

Facts = dict[str, Any]

PAUSE_MAX_S = 0.005
_WORDS = RECORD_BYTES // 8


class Inspector:
    """Checks a whole segment with both readers, and counts what it finds."""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        geometry = reader.plan.geometry()
        self.readers = [
            core.load_implementation(name).Reader(reader._mapping, geometry)
            for name in ("native", "twin")
        ]
        self.checkers = [Checker() for _ in self.readers]
        self.wrong = 0
        self.mid_ring = 0
        self.mid_slot = 0
        self.received = 0
        self.lost = 0
        self._cursor = reader.head()
        self._out = np.zeros(4 * CAPACITIES.ring_slots, "V128")

    def inspect(self) -> None:
        """Read every slot and what is new in the ring; nobody is writing now."""
        for reader, checker in zip(self.readers, self.checkers, strict=True):
            checker.look(reader.read_slot, CAPACITIES.instruments)
        answers = [reader.drain(self._cursor, self._out) for reader in self.readers]
        self.wrong += answers[0] != answers[1]
        count, lost, cursor = answers[0]
        self.received += count
        self.lost += lost
        # The sequence goes on over deaths: nothing missing, nothing twice.
        sequences = [
            self.checkers[0].in_ring(bytes(record)) for record in self._out[:count]
        ]
        self.wrong += sequences != list(range(cursor - count + 1, cursor + 1))
        self.wrong += count + lost != cursor - self._cursor
        self.wrong += cursor != self.reader.head()
        self._cursor = cursor
        self._see_where_it_died()

    def _see_where_it_died(self) -> None:
        plan = self.reader.plan
        ring = plan.ring_offset
        load = self.readers[0].load
        begun = load(ring + schema.RING.offsets["intent"])
        whole = load(ring + schema.RING.offsets["tail"])
        self.wrong += begun - whole not in (0, 1)
        self.mid_ring += begun != whole
        for instrument in range(CAPACITIES.instruments):
            slot = plan.latest_offset + instrument * schema.SLOT.size_bytes
            index = load(slot)
            cell = slot + schema.SLOT.offsets["cell"]
            other = cell + ((index + 1) & 1) * RECORD_BYTES
            stamp = load(other + RECORD_BYTES - 8)
            sequence = load(other)
            is_next = sequence > load(cell + (index & 1) * RECORD_BYTES)
            # A cell that was begun for the next index, or finished but not published.
            self.mid_slot += index > 1 and (is_next or stamp == index + 1)

    def facts(self) -> Facts:
        """Return what was found."""
        return {
            "unreadable": sum(checker.busy for checker in self.checkers),
            "torn": sum(checker.torn for checker in self.checkers),
            "reversed": sum(checker.reversed for checker in self.checkers),
            "read": sum(checker.read for checker in self.checkers),
            "wrong": self.wrong,
            "received": self.received,
            "lost": self.lost,
            "mid_ring": self.mid_ring,
            "mid_slot": self.mid_slot,
        }


def kills(instance: str, count: int, seed: int) -> Facts:
    """Kill that many writers; each third at any time, even while it still opens."""
    chance = random.Random(seed)
    Writer.open(instance, ROLE, CAPACITIES).close()
    reader = Reader.attach(instance, ROLE)
    inspector = Inspector(reader)
    gc.freeze()  # or each child would copy what it merely counts
    for number in range(count):
        head = reader.head()
        pid = os.fork()
        if pid == 0:
            _publish_for_ever(instance)
        if number % 3:
            wait_until(lambda head=head: reader.head() > head, 30_000 * MS)  # type: ignore[misc]
        select.select([], [], [], chance.random() * PAUSE_MAX_S)
        os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        inspector.wrong += os.WTERMSIG(status) != signal.SIGKILL
        inspector.inspect()
    with Writer.open(instance, ROLE, CAPACITIES) as writer:
        epoch = writer.epoch()
    return {"kills": count, "epoch": epoch, "head": reader.head(), **inspector.facts()}


def _publish_for_ever(instance: str) -> None:
    try:
        writer = Writer.open(instance, ROLE, CAPACITIES)
        publish_quote = writer.publish_quote
        # Later writers continue with greater numbers; a double still holds them all.
        number = writer.epoch() << 32
        while True:
            number += 1
            publish_quote(number & 3, *quote(number))
    except BaseException:  # noqa: BLE001 - a child must not run its parent's code
        traceback.print_exc()
    finally:
        os._exit(70)


def interrupts(instance: str, count: int, seed: int) -> Facts:
    """Interrupt that many publishes by an exception from a signal handler."""
    chance = random.Random(seed)
    signal.signal(signal.SIGALRM, signal.default_int_handler)
    writer = Writer.open(instance, ROLE, CAPACITIES)
    inspector = Inspector(Reader.attach(instance, ROLE))
    number = inside = 0
    for _ in range(count):
        try:
            signal.setitimer(signal.ITIMER_REAL, 1e-6 + chance.random() * 1e-4)
            while True:
                number += 1
                writer.publish_quote(number & 3, *quote(number))
        except KeyboardInterrupt as error:
            frames = traceback.extract_tb(error.__traceback__)
            inside += any(frame.filename.endswith("_twin.py") for frame in frames)
        inspector.inspect()
    published = writer.publish_quote(0, *quote(number + 1))
    inspector.inspect()
    writer.close()
    return {"inside": inside, "published": published, **inspector.facts()}


if __name__ == "__main__":
    command = {"kills": kills, "interrupts": interrupts}[sys.argv[1]]
    print(json.dumps(command(sys.argv[2], *map(int, sys.argv[3:]))))
