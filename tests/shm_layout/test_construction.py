"""Binding to memory: sections that do not fit are refused before anything is read."""

from __future__ import annotations

import mmap
from collections.abc import Callable
from typing import Any

import pytest

from shm_layout import schema
from tests.shm_layout.memory import EPOCH, SMALL, Memory, linked, load

WORD_MAX = (1 << 64) - 1
Call = Callable[[Any], object]


def geometry_with(memory: Memory, position: int, value: Any) -> tuple[int, ...]:
    geometry = memory.plan.geometry()
    return (*geometry[:position], value, *geometry[position + 1 :])


@pytest.mark.parametrize("kind", ["Reader", "Writer"])
@pytest.mark.parametrize(
    ("position", "value", "error"),
    [
        *[(offset, 1 << 62, ValueError) for offset in range(10)],
        *[(offset, WORD_MAX, ValueError) for offset in range(10)],
        *[(offset, WORD_MAX - 7, ValueError) for offset in range(10)],
        *[(offset, -1, OverflowError) for offset in range(10)],
        *[(offset, 1 << 64, OverflowError) for offset in range(10)],
        *[(offset, (1 << 64) + 512, OverflowError) for offset in range(10)],
        *[(offset, 4.0, TypeError) for offset in range(10)],
        *[(offset, 4_097, ValueError) for offset in (0, 1, 3, 5, 7, 9)],
        (2, SMALL.counters + 4096, ValueError),
        (4, SMALL.instruments + 4096, ValueError),
        (6, 0, ValueError),
        (6, 4, ValueError),
        (6, 12, ValueError),
        (6, 4096, ValueError),
        (8, SMALL.histograms + 4096, ValueError),
    ],
)
def test_geometry_that_does_not_fit_is_refused(
    name: str,
    memory: Memory,
    kind: str,
    position: int,
    value: Any,
    error: type[Exception],
) -> None:
    rest = (EPOCH, 1) if kind == "Writer" else ()
    with pytest.raises(error):
        getattr(load(name), kind)(
            memory.bytes, geometry_with(memory, position, value), *rest
        )


def test_memory_one_byte_short_is_refused(name: str, memory: Memory) -> None:
    plan = memory.plan
    end = (
        plan.histograms_offset
        + schema.HISTOGRAMS.size_bytes
        + SMALL.histograms * schema.HISTOGRAM.size_bytes
    )
    view = memoryview(memory.bytes)
    load(name).Reader(view[: -(-end // 8) * 8], plan.geometry())
    with pytest.raises(ValueError, match="do not fit"):
        load(name).Reader(view[: end - 8], plan.geometry())


@pytest.mark.parametrize(("position", "count"), [(2, 4), (4, 4), (8, 2)])
def test_empty_table_has_no_entry(
    name: str, memory: Memory, position: int, count: int
) -> None:
    writer = load(name).Writer(
        memory.bytes, geometry_with(memory, position, 0), EPOCH, 1
    )
    calls: dict[int, Call] = {
        2: lambda w: w.count(0, 1),
        4: lambda w: w.publish_quote(0, *linked(1)),
        8: lambda w: w.record(0, 1),
    }
    before = bytes(memory.bytes)
    for value in range(count):
        with pytest.raises(ValueError, match=r"table is empty|above its limit"):
            calls[position](writer)
        assert bytes(memory.bytes) == before, value


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ((), TypeError),
        (((1, 2, 3),), TypeError),
        (([0] * 10,), TypeError),
        ((None,), TypeError),
        (((0,) * 9,), TypeError),
        (((0,) * 11,), TypeError),
    ],
)
def test_geometry_is_ten_numbers(
    name: str, memory: Memory, arguments: tuple[Any, ...], error: type[Exception]
) -> None:
    with pytest.raises(error):
        load(name).Reader(memory.bytes, *arguments)


@pytest.mark.parametrize(
    ("epoch", "source", "error"),
    [
        (-1, 1, OverflowError),
        (1 << 64, 1, OverflowError),
        ("1", 1, TypeError),
        (1, 256, ValueError),
        (1, -1, OverflowError),
        (1, 1.0, TypeError),
    ],
)
def test_epoch_and_source_are_checked(
    name: str, memory: Memory, epoch: Any, source: Any, error: type[Exception]
) -> None:
    with pytest.raises(error):
        load(name).Writer(memory.bytes, memory.plan.geometry(), epoch, source)


def test_writer_refuses_memory_it_may_not_write(name: str, memory: Memory) -> None:
    read_only: list[Any] = [
        memoryview(memory.bytes).toreadonly(),
        bytes(memory.plan.segment_bytes),
        mmap.mmap(-1, memory.plan.segment_bytes, prot=mmap.PROT_READ),
    ]
    for buffer in read_only:
        load(name).Reader(buffer, memory.plan.geometry())
        with pytest.raises(BufferError):
            load(name).Writer(buffer, memory.plan.geometry(), EPOCH, 1)


def test_reader_cannot_write(name: str, memory: Memory) -> None:
    reader = memory.reader(name)
    for method in ("publish", "publish_quote", "count", "record", "beat", "store"):
        assert not hasattr(reader, method)


def test_memory_stays_mapped_while_a_reader_lives(name: str, memory: Memory) -> None:
    buffer = mmap.mmap(-1, memory.plan.segment_bytes)
    reader = load(name).Reader(buffer, memory.plan.geometry())
    with pytest.raises(BufferError):
        buffer.close()
    del reader
    buffer.close()


def test_refused_construction_lets_go_of_the_memory(name: str, memory: Memory) -> None:
    buffer = mmap.mmap(-1, memory.plan.segment_bytes)
    with pytest.raises(ValueError, match="do not fit"):
        load(name).Writer(buffer, geometry_with(memory, 6, 1 << 20), EPOCH, 1)
    buffer.close()
