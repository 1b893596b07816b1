"""The ways from one Python process to another that are compared, each used its
fastest public way for a record of 128 bytes.

Owns how each is opened, written and read; measures nothing but the time between a
record's due time, which it carries, and the moment its reader holds that number.

    Ring       ours: one publish_quote a record; polls the head, then drains
    Slot       ours: the same, but polls the latest quote, as a strategy does; what
               was replaced before it was read is never seen
    Iceoryx2   publish-subscribe over shared memory, send_copy of a prepared struct,
               polls receive(); the newest records win (safe overflow, its default)
    Pyzmq      PUB/SUB over an ipc socket, no limit on its queues; the reader blocks
               in recv(): polling takes the core from its own threads
    Queue      multiprocessing.Queue, made to be blocked on: put() and get()

A channel is made by the reading process and sent to the writing one by pickle, so it
holds names alone until `open_writer` or `open_reader` is called. `is_writer_first` says
which of them comes first.
"""

from __future__ import annotations

import ctypes
import struct
import time
from collections.abc import Callable
from multiprocessing.context import SpawnContext
from typing import Any

from perf import _harness
from shm_layout import Reader, Writer, core
from shm_layout.schema import QUOTE

RECORD = struct.Struct("<qq112x")  # due time, number, and the rest of 128 bytes
# The same two in a record of ours: recv_ns, then venue_sequence.
_DUE, _NUMBER = QUOTE.offsets["recv_ns"], QUOTE.offsets["venue_sequence"]
DUE_AND_NUMBER = struct.Struct(f"<{_DUE}xq{_NUMBER - _DUE - 8}xq")
BUFFER_RECORDS = 4_096
ATTACH_S = 10.0

Record = ctypes.c_uint64 * 16


def paced(
    count: int,
    interval_ns: int,
    send: Callable[[int, int], object],
    *,
    yields: bool = False,
) -> None:
    """Call `send(due_ns, number)` at each due time, never waiting for the reader.

    A late record keeps the time at which it was due, so that a stall of the writer is
    in the figures of every record that it delayed. `yields` lets other threads of the
    writer run while it waits: Queue sends from one.
    """
    clock = time.monotonic_ns
    if yields:
        due_ns = clock()
        for number in range(count):
            due_ns += interval_ns
            while clock() < due_ns:
                time.sleep(0)
            send(due_ns, number)
        return
    due_ns = clock()
    for number in range(count):
        due_ns += interval_ns
        while clock() < due_ns:
            pass
        send(due_ns, number)


class Ring:
    """Ours; `implementation` is native or twin, on both sides."""

    is_writer_first = True

    def __init__(self, key: str, context: SpawnContext, implementation: str) -> None:
        self.implementation = implementation
        self.instance = f"perf-{key}-{implementation}"
        core.load_implementation(implementation)  # raises when it is not built

    def open_writer(self) -> None:
        core._module = core.load_implementation(self.implementation)
        self.writer = Writer.open(instance=self.instance, role="feed:hyperliquid")
        self.index = self.writer.add_instrument(_harness.INSTRUMENT)

    def write(self, count: int, interval_ns: int) -> None:
        publish, index = self.writer.publish_quote, self.index

        def send(due_ns: int, number: int) -> None:
            publish(index, 0, 1, 0, due_ns, number, 100.0, 1.0, 101.0, 1.0)

        paced(count, interval_ns, send)

    def close_writer(self) -> None:
        self.writer.close(unlink=True)

    def open_reader(self) -> None:
        core._module = core.load_implementation(self.implementation)
        self.reader = Reader.attach(self.instance, "feed:hyperliquid", ATTACH_S)
        self.cursor = 0

    def read(self, count: int) -> list[tuple[int, int]]:
        head, drain, clock = self.reader.head, self.reader.drain, time.monotonic_ns
        batch = bytearray(QUOTE.size_bytes)
        cursor, found = self.cursor, []
        for _ in range(count):
            while head() == cursor:
                pass
            _, _, cursor = drain(cursor, batch)
            due_ns, number = DUE_AND_NUMBER.unpack_from(batch)
            found.append((clock() - due_ns, number))
        self.cursor = cursor
        return found

    def close_reader(self) -> None:
        self.reader.close()


class Slot(Ring):
    """Ours, by the latest slot."""

    def read(self, count: int) -> list[tuple[int, int]]:
        read_slot, clock = self.reader.read_slot, time.monotonic_ns
        unpack, found, number = DUE_AND_NUMBER.unpack_from, [], -1
        previous = None
        while number < count - 1:
            while (record := read_slot(0)) == previous:
                pass
            assert record is not None
            due_ns, number = unpack(record)
            found.append((clock() - due_ns, number))
            previous = record
        return found


class Iceoryx2:
    """Eclipse iceoryx2 by its Python package."""

    name = "iceoryx2, Python polls"
    is_writer_first = False

    def __init__(
        self,
        key: str,
        context: SpawnContext,
        payload: type[ctypes.Structure] | None = None,
    ) -> None:
        import iceoryx2

        iceoryx2.set_log_level(iceoryx2.LogLevel.Error)
        self.service_name = f"feedhandler-perf-{key}"
        self.payload = payload

    def _service(self) -> Any:
        import iceoryx2

        iceoryx2.set_log_level(iceoryx2.LogLevel.Error)
        self.node = iceoryx2.NodeBuilder.new().create(iceoryx2.ServiceType.Ipc)
        builder = self.node.service_builder(iceoryx2.ServiceName.new(self.service_name))
        return (
            builder.publish_subscribe(self.payload or Record)
            .subscriber_max_buffer_size(BUFFER_RECORDS)
            .open_or_create()
        )

    def open_writer(self) -> None:
        self.service = self._service()
        self.publisher = self.service.publisher_builder().create()

    def write(self, count: int, interval_ns: int) -> None:
        send_copy, record = self.publisher.send_copy, Record()
        pack = RECORD.pack_into

        def send(due_ns: int, number: int) -> None:
            pack(record, 0, due_ns, number)
            send_copy(record)

        paced(count, interval_ns, send)

    def close_writer(self) -> None:
        self.publisher.delete()
        del self.publisher, self.service, self.node

    def open_reader(self) -> None:
        self.service = self._service()
        builder = self.service.subscriber_builder()
        self.subscriber = builder.buffer_size(BUFFER_RECORDS).create()

    def read(self, count: int) -> list[tuple[int, int]]:
        receive, clock = self.subscriber.receive, time.monotonic_ns
        at, found = Record.from_address, []
        for _ in range(count):
            while (sample := receive()) is None:
                pass
            record = at(sample.payload_ptr)
            due_ns, number = record[0], record[1]
            found.append((clock() - due_ns, number))
            sample.delete()
        return found

    def close_reader(self) -> None:
        self.subscriber.delete()
        del self.subscriber, self.service, self.node


class Pyzmq:
    """ZeroMQ by its Python binding."""

    name = "pyzmq PUB/SUB over ipc, recv() blocks"
    is_writer_first = True

    def __init__(self, key: str, context: SpawnContext) -> None:
        import zmq

        self.version = zmq.__version__
        self.address = f"ipc://@feedhandler-perf-{key}"  # abstract: no file to leave

    def open_writer(self) -> None:
        import zmq

        self.context = zmq.Context()
        self.socket = self.context.socket(zmq.XPUB)
        self.socket.setsockopt(zmq.SNDHWM, 0)
        self.socket.setsockopt(zmq.RCVTIMEO, int(ATTACH_S * 1000))
        self.socket.bind(self.address)

    def write(self, count: int, interval_ns: int) -> None:
        transmit, pack = self.socket.send, RECORD.pack
        self.socket.recv()  # the subscription of the reader has arrived

        def send(due_ns: int, number: int) -> None:
            transmit(pack(due_ns, number))

        paced(count, interval_ns, send)

    def close_writer(self) -> None:
        self.socket.close()
        self.context.term()

    def open_reader(self) -> None:
        import zmq

        self.context = zmq.Context()
        self.socket = self.context.socket(zmq.SUB)
        self.socket.setsockopt(zmq.RCVHWM, 0)
        self.socket.setsockopt(zmq.RCVTIMEO, int(ATTACH_S * 1000))
        self.socket.connect(self.address)
        self.socket.setsockopt(zmq.SUBSCRIBE, b"")

    def read_one(self) -> bytes:
        record: bytes = self.socket.recv()
        return record

    def read(self, count: int) -> list[tuple[int, int]]:
        receive, unpack, clock = self.socket.recv, RECORD.unpack, time.monotonic_ns
        found = []
        for _ in range(count):
            due_ns, number = unpack(receive())
            found.append((clock() - due_ns, number))
        return found

    def close_reader(self) -> None:
        self.socket.close()
        self.context.term()


class Queue:
    """The standard library's queue between processes: pickle, a pipe, a thread."""

    name = "multiprocessing.Queue, get() blocks"
    is_writer_first = True

    def __init__(self, key: str, context: SpawnContext) -> None:
        self.queue = context.Queue()

    def open_writer(self) -> None:
        self.queue.put(b"")  # starts its thread

    def write(self, count: int, interval_ns: int) -> None:
        put, pack = self.queue.put, RECORD.pack

        def send(due_ns: int, number: int) -> None:
            put(pack(due_ns, number))

        paced(count, interval_ns, send, yields=True)

    def close_writer(self) -> None:
        self.queue.close()
        self.queue.join_thread()

    def open_reader(self) -> None:
        self.queue.get(True, ATTACH_S)

    def read_one(self) -> bytes:
        record: bytes = self.queue.get()
        return record

    def read(self, count: int) -> list[tuple[int, int]]:
        get, unpack, clock = self.queue.get, RECORD.unpack, time.monotonic_ns
        found = []
        for _ in range(count):
            due_ns, number = unpack(get(True, ATTACH_S))
            found.append((clock() - due_ns, number))
        return found

    def close_reader(self) -> None:
        self.queue.close()


Channel = Ring | Iceoryx2 | Pyzmq | Queue
