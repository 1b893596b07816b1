"""What does one Python call that publishes a quote cost?

    ten numbers ── publish_quote ──▶ latest slot + ring, publish stamp   (one call)
    ten numbers ── pack, send_copy ──▶ iceoryx2, one subscriber attached
    ten numbers ── pack, send ──▶ pyzmq PUB over ipc, one subscriber draining
    ten numbers ── pack, put ──▶ multiprocessing.Queue, one process draining

The canonical workload is 200,000 calls a round for ours and 20,000 for the others.
Every line starts from the same Python numbers and ends with the same record of 128
bytes, stamped with the time, where a reader finds it. Two more lines of iceoryx2:
"as documented" fills a ctypes structure by its field names, as its examples do, and
"prepared" sends the same bytes again and again without numbers and stamp, which is the
least that its call can cost. Ours stores the record twice, in the slot and in the ring.
"""

from __future__ import annotations

import contextlib
import ctypes
import multiprocessing
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, ClassVar

from perf import _channels, _harness
from shm_layout import schema

QUOTE = schema.QUOTE.struct
NUMBERS: dict[str, Any] = {
    "clock": time.monotonic_ns,
    "event": 1_760_000_000_123_000_000,
    "recv": 1_234_567_890_123_456,
    "bid": 97_123.0,
    "bid_size": 1.25,
    "ask": 97_124.0,
    "ask_size": 0.75,
}
PACK = "0, 1, 1, 0, 0, 1, 1, event, recv, clock(), 7, bid, bid_size, ask, ask_size, 0"
FILL = (
    "kind=1, source=1, epoch=1, session=1, event_ns=event, recv_ns=recv, "
    "publish_ns=clock(), venue_sequence=7, bid=bid, bid_size=bid_size, ask=ask, "
    "ask_size=ask_size"
)
WAIT_S = 60.0

_TYPES = {
    "u8": ctypes.c_uint8,
    "u16": ctypes.c_uint16,
    "u32": ctypes.c_uint32,
    "u64": ctypes.c_uint64,
    "i64": ctypes.c_int64,
    "f64": ctypes.c_double,
}


class Structure(ctypes.Structure):
    """The same record as ctypes declares it, for a library that wants it so."""

    _fields_: ClassVar = [
        *((field.name, _TYPES[field.type]) for field in schema.QUOTE.fields[:-1]),
        ("reserved", ctypes.c_uint8 * 32),
        ("stamp", ctypes.c_uint64),
    ]


assert ctypes.sizeof(Structure) == QUOTE.size


def main(run: _harness.Run) -> None:
    calls = run.count(200_000, 2_000)
    found: dict[str, _harness.Result] = {}
    # Side by side those that need no other process; the rest one by one, because
    # their threads and readers would disturb whoever is measured beside them.
    for group in ((ours, iceoryx2_subjects), (zmq_subjects,), (queue_subjects,)):
        with ExitStack() as stack:
            subjects: list[_harness.Subject] = []
            for make in group:
                name = make.__name__.removesuffix("_subjects")
                try:
                    subjects += stack.enter_context(make(run, calls))
                except Exception as error:  # noqa: BLE001 - a rival's reason, any
                    run.not_measured(name, f"{type(error).__name__}: {error}")
            _harness.pin(0)
            found |= run.measure(subjects)
            os.sched_setaffinity(0, _harness.CORES)
    native = found.get("feedhandler (native)")
    for name, result in found.items():
        if native and name.startswith("iceoryx2"):
            run.ratio(
                f"median: {name} / feedhandler (native)",
                (result.p50_ns or 0) / (native.p50_ns or 1),
                "≥ 30",
            )


@contextlib.contextmanager
def ours(run: _harness.Run, calls: int) -> Iterator[list[_harness.Subject]]:
    """Yield both implementations, or say that one of them is not built."""
    with ExitStack() as stack:
        subjects = []
        for implementation, share in (("native", 1), ("twin", 10)):
            name = f"feedhandler ({implementation})"
            opened = published(run, name, implementation, calls // share)
            try:
                subjects.append(stack.enter_context(opened))
            except ImportError as error:
                run.not_measured(name, error)
        yield subjects


@contextlib.contextmanager
def published(
    run: _harness.Run, name: str, implementation: str, calls: int
) -> Iterator[_harness.Subject]:
    """Yield ours, and check afterwards that every call is in the ring and the slot."""
    with _harness.open_writer(implementation) as (writer, index):
        subject = _harness.Subject(
            name,
            "publish(index, 0, 1, event, recv, 7, bid, bid_size, ask, ask_size)",
            {"publish": writer.publish_quote, "index": index, **NUMBERS},
            calls,
        )
        yield subject
        made = subject.calls * len(subject.rounds_ns)
        made += min(subject.calls, _harness.TIMED_CALLS_MAX)
        run.check(writer.head() == made, f"{name}: {writer.head()} of {made} in ring")
        prices = QUOTE.unpack(writer.read_slot(index) or bytes(128))[11:15]
        expected = tuple(NUMBERS[key] for key in ("bid", "bid_size", "ask", "ask_size"))
        run.check(prices == expected, f"{name}: the slot holds {prices}")
        subject.names.clear()  # lets go of the mapping


@contextlib.contextmanager
def iceoryx2_subjects(
    run: _harness.Run, calls: int
) -> Iterator[list[_harness.Subject]]:
    """Yield its documented ways, and check that the last record arrived."""
    context = multiprocessing.get_context("spawn")
    key = f"{os.getpid()}-publish"
    writer = _channels.Iceoryx2(key, context, Structure)
    reader = _channels.Iceoryx2(key, context, Structure)
    reader.open_reader()
    writer.open_writer()
    names = {
        "Structure": Structure,
        "send_copy": writer.publisher.send_copy,
        "record": Structure(),
        "pack": QUOTE.pack_into,
        **NUMBERS,
    }
    ways = {
        "iceoryx2": f"pack(record, 0, {PACK}); send_copy(record)",
        "iceoryx2 (as documented)": f"send_copy(Structure({FILL}))",
        "iceoryx2 (prepared)": "send_copy(record)",
    }
    yield [
        _harness.Subject(name, way, names, calls // 10) for name, way in ways.items()
    ]
    last = None
    while (sample := reader.subscriber.receive()) is not None:
        last = bytes(Structure.from_address(sample.payload_ptr))
        sample.delete()
    is_right = last is not None and QUOTE.unpack(last)[11] == NUMBERS["bid"]
    run.check(is_right, "iceoryx2: the last record did not arrive")
    reader.close_reader()
    names.clear()
    writer.close_writer()


@contextlib.contextmanager
def zmq_subjects(run: _harness.Run, calls: int) -> Iterator[list[_harness.Subject]]:
    """Yield its one way; a process drains, so that nothing piles up."""
    context = multiprocessing.get_context("spawn")
    channel = _channels.Pyzmq(f"{os.getpid()}-publish", context)
    with draining(run, channel, context) as drained:
        channel.socket.recv()  # the subscription has arrived
        subject = _harness.Subject(
            "pyzmq",
            f"send(pack({PACK}))",
            {"send": channel.socket.send, "pack": QUOTE.pack, **NUMBERS},
            calls // 10,
        )
        yield [subject]
        drained.append(subject)
        channel.socket.send(b"")


@contextlib.contextmanager
def queue_subjects(run: _harness.Run, calls: int) -> Iterator[list[_harness.Subject]]:
    """Yield its one way; a process drains, so that nothing piles up."""
    context = multiprocessing.get_context("spawn")
    channel = _channels.Queue(f"{os.getpid()}-publish", context)
    with draining(run, channel, context) as drained:
        subject = _harness.Subject(
            "multiprocessing.Queue",
            f"put(pack({PACK}))",
            {"put": channel.queue.put, "pack": QUOTE.pack, **NUMBERS},
            calls // 10,
        )
        yield [subject]
        drained.append(subject)
        channel.queue.put(b"")


@contextlib.contextmanager
def draining(
    run: _harness.Run,
    channel: _channels.Pyzmq | _channels.Queue,
    context: multiprocessing.context.SpawnContext,
) -> Iterator[list[_harness.Subject]]:
    """Yield with a process that reads until an empty record; check its count."""
    receiving, sending = context.Pipe(duplex=False)
    reader = context.Process(target=drain, args=(channel, sending), daemon=True)
    reader.start()
    channel.open_writer()
    drained: list[_harness.Subject] = []
    yield drained
    made = sum(
        subject.calls * len(subject.rounds_ns)
        + min(subject.calls, _harness.TIMED_CALLS_MAX)
        for subject in drained
    )
    count = receiving.recv() if receiving.poll(WAIT_S) else -1
    run.check(count == made, f"{channel.name}: {count} of {made} records arrived")
    reader.join(WAIT_S)
    channel.close_writer()


def drain(
    channel: _channels.Pyzmq | _channels.Queue,
    sending: multiprocessing.connection.Connection,
) -> None:
    """Be the draining process: count records until an empty one."""
    channel.open_reader()
    count = 0
    while channel.read_one():
        count += 1
    sending.send(count)
    channel.close_reader()


if __name__ == "__main__":
    _harness.run(main, __doc__)
