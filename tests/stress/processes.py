"""The processes that race: writers and readers of one segment, each prints its facts.

    python -m tests.stress.processes COMMAND INSTANCE [NUMBER …]

`FEEDHANDLER_SHM` picks the implementation, so a native writer meets a twin's reader.
Writers run on the first processor, readers on the last, so that they really meet.
"""

from __future__ import annotations

import json
import math
import mmap
import os
import signal
import struct
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from shm_layout import (
    LINK_DOWN,
    LINK_UP,
    Reader,
    Writer,
    _twin,
    _twin_reader,
    schema,
)
from shm_layout.limits import RECORD_BYTES, Capacities
from tests.stress.linked import CAPACITIES, ROLE, Checker, quote
from tests.support import MS, wait_until

Facts = dict[str, Any]

ONE, OTHER = 0x0101_0101_0101_0101, 0xFEFE_FEFE_FEFE_FEFE


def pin(position: int) -> None:
    """Stay on the first (0) or the last (-1) of our processors."""
    os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[position]})


def until_terminated() -> Iterator[None]:
    """Yield until SIGTERM arrives."""
    ended = []
    signal.signal(signal.SIGTERM, lambda *_: ended.append(True))
    while not ended:
        yield


# --- writers --------------------------------------------------------------------------


def publish(instance: str, instruments: int = 4) -> Facts:
    """Publish at full rate until SIGTERM."""
    pin(0)
    writer = Writer.open(instance, ROLE, CAPACITIES)
    publish_quote = writer.publish_quote
    number = 0
    for _ in until_terminated():
        for _ in range(100):
            number += 1
            publish_quote(number % instruments, *quote(number))
    writer.close()
    return {"published": number}


def send(instance: str, count: int, slots: int) -> Facts:
    """Publish that many records once SIGUSR1 says that the readers are there."""
    pin(0)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    writer = Writer.open(instance, ROLE, Capacities(4, slots, 4, 2))
    writer.set_link(LINK_UP, 1)
    print("ready", flush=True)
    signal.sigwait({signal.SIGUSR1})
    publish_quote = writer.publish_quote
    for number in range(1, count + 1):
        publish_quote(number & 3, *quote(number))
    writer.close()  # which takes the link down: this was the last record
    return {"sent": count}


def publish_in_place(instance: str) -> Facts:
    """Be wrong: overwrite the published cell, half by half, until SIGTERM."""
    pin(0)
    writer = Writer.open(instance, ROLE, CAPACITIES)
    writer.publish_quote(0, *quote(1))
    cells = writer.plan.latest_offset + schema.SLOT.offsets["cell"]
    cell = cells + RECORD_BYTES  # the first publish went to cell 1
    half = schema.QUOTE.offsets["bid"]
    number = 1
    for _ in until_terminated():
        number += 1
        record = bytearray(schema.QUOTE.struct.pack(*_fields(number), 1))
        writer._mapping[cell : cell + half] = bytes(record[:half])
        _spin(200_000)
        end = cell + RECORD_BYTES
        writer._mapping[cell + half : end] = bytes(record[half:])
        _spin(200_000)
    writer.close()
    return {"published": number}


def publish_early(instance: str) -> Facts:
    """Be wrong: store the index before the record is whole, until SIGTERM."""
    pin(0)
    writer = Writer.open(instance, ROLE, CAPACITIES)
    slot = writer.plan.latest_offset
    half = schema.QUOTE.offsets["bid"]
    number = 0
    for _ in until_terminated():
        number += 1
        cell = slot + schema.SLOT.offsets["cell"] + (number & 1) * RECORD_BYTES
        record = schema.QUOTE.struct.pack(*_fields(number), number)
        writer._mapping[cell : cell + half] = record[:half]
        stamp = cell + RECORD_BYTES - 8
        writer._mapping[stamp : stamp + 8] = record[-8:]
        writer._writer.store(slot, number)
        _spin(200_000)
        writer._mapping[cell : cell + RECORD_BYTES] = record
        _spin(200_000)
    writer.close()
    return {"published": number}


def _fields(number: int) -> tuple[float, ...]:
    flags, session, event_ns, recv_ns, sequence, *prices = quote(number)
    head = (number, 1, 1, flags, 0, 1, session, event_ns, recv_ns, 1, sequence)
    return (*head, *prices)


def _spin(duration_ns: int) -> None:
    deadline_ns = time.monotonic_ns() + duration_ns
    while time.monotonic_ns() < deadline_ns:
        continue


def toggle(path: str, how: str) -> Facts:
    """Store one of two values in a file's first word, in turn, until SIGTERM."""
    pin(0)
    with open(path, "r+b") as file:
        memory = mmap.mmap(file.fileno(), 0)
    words, values = memoryview(memory).cast("Q"), memoryview(memory).cast("d")
    one, other = (struct.unpack("<d", struct.pack("<Q", n))[0] for n in (ONE, OTHER))
    pack_into = struct.Struct("<Q").pack_into
    stores = 0
    for _ in until_terminated():
        for _ in range(100):
            stores += 2
            if how == "word":
                words[0] = ONE
                words[0] = OTHER
            elif how == "double":
                values[0] = one
                values[0] = other
            elif how == "slice":
                memory[0:8] = b"\x01" * 8
                memory[0:8] = b"\xfe" * 8
            else:
                assert how == "pack_into"
                pack_into(memory, 0, ONE)
                pack_into(memory, 0, OTHER)
    return {"stores": stores}


# --- readers --------------------------------------------------------------------------


def attached(instance: str) -> Reader:
    """Return a reader of the segment, once it is there, on the last processor."""
    pin(-1)
    return Reader.attach(instance, ROLE, 30_000 * MS)


def watched(
    read: Callable[[int], bytes | None],
    milliseconds: int,
    instruments: int,
    torn_max: float = math.inf,
) -> Facts:
    """Read the newest records in turn, from the first on, for that long.

    So many torn records end it before.
    """
    wait_until(lambda: read(0), 30_000 * MS, "the first record")
    checker = Checker()
    deadline_ns = time.monotonic_ns() + milliseconds * 1_000_000
    while checker.torn < torn_max and time.monotonic_ns() < deadline_ns:
        checker.look(read, instruments)
    return checker.facts()


def watch(instance: str, milliseconds: int, instruments: int = 4) -> Facts:
    """Read the slots in turn for that long."""
    return watched(attached(instance).read_slot, milliseconds, instruments)


def watch_for_torn(instance: str, milliseconds: int) -> Facts:
    """Read slot 0 until a torn record is seen, or for that long."""
    return watched(attached(instance).read_slot, milliseconds, 1, torn_max=1)


def follow(instance: str, budget: int, pause: int) -> Facts:
    """Drain the ring from its start to its end; a slow one first lets `pause` go by."""
    reader = attached(instance)
    out = np.zeros(budget, "V128")
    checker = Checker()
    cursor = received = lost = laps = wrong = last = 0

    def is_worth_it() -> bool:
        return reader.head() - cursor > pause or reader.link()[0] == LINK_DOWN

    while True:
        wait_until(is_worth_it, 60_000 * MS, "more records")
        is_last = reader.link()[0] == LINK_DOWN  # before the drain: it sees them all
        count, lost_now, following = reader.drain(cursor, out)
        received += count
        lost += lost_now
        laps += lost_now > 0
        wrong += following - cursor != count + lost_now
        for record in out[:count]:
            sequence = checker.in_ring(bytes(record))
            wrong += not max(last, cursor) < sequence <= following
            last = sequence
        if count:  # records that are missing between two are those counted as lost
            wrong += following - last > lost_now
        cursor = following
        if is_last and count == 0:
            break
    return {
        "received": received,
        "lost": lost,
        "laps": laps,
        "cursor": cursor,
        "torn": checker.torn,
        "wrong": wrong,
    }


class Slow(_twin.Reader):
    """A reader that is overtaken by a whole ring in the middle of each record."""

    def _copy_records(self, cursor: int, count: int, out: memoryview) -> None:
        start = self._records + (cursor & (self._ring_slots - 1)) * RECORD_BYTES
        half = RECORD_BYTES // 2
        out[:half] = self._bytes[start : start + half]
        goal = self.head() + 2 * self._ring_slots
        wait_until(lambda: self.head() >= goal, 30_000 * MS, "a lap")
        out[half:RECORD_BYTES] = self._bytes[start + half : start + RECORD_BYTES]


class Careless(Slow):
    """The same reader without the look at the intent after its copy."""

    def _ring_read(
        self, cursor: int, out: memoryview, room: int
    ) -> tuple[int, int, int]:
        self._copy_records(cursor, 1, out)
        return 1, 0, cursor + 1


def overtaken(instance: str, rounds: int, is_careless: int) -> Facts:
    """Read the ring with a reader that is always overtaken; count the torn."""
    reader = attached(instance)
    wait_until(lambda: reader.head() > 0, 30_000 * MS, "the first record")
    vars(_twin_reader)["SLOT_RETRIES_MAX"] = 8  # each of its tries waits for a lap here
    kind = Careless if is_careless else Slow
    slow = kind(reader._mapping, reader.plan.geometry())
    checker = Checker()
    lost = 0
    for _ in range(rounds):
        out = bytearray(RECORD_BYTES)
        count, lost_now, _ = slow._ring_read(reader.head() - 1, memoryview(out), 1)
        lost += lost_now
        if count:
            checker.in_ring(bytes(out))
    return {**checker.facts(), "lost": lost}


COMMANDS: dict[str, Callable[..., Facts]] = {
    command.__name__: command
    for command in (
        *(publish, publish_in_place, publish_early, send, toggle),
        *(watch, watch_for_torn, follow, overtaken),
    )
}

if __name__ == "__main__":
    arguments = [int(text) if text.isdigit() else text for text in sys.argv[3:]]
    print(json.dumps(COMMANDS[sys.argv[1]](sys.argv[2], *arguments)))
