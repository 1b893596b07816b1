"""Every interleaving, one by one: a writer advances between any two loads of a reader.

    reader   load ── load ── load ── load …        each load may be preceded by
    writer         ▲ any number of stores ▲        stores, at two places of a read

Timing never reaches most of these; here each is visited. The C reader's loads are
counted by a macro, the twin's by what stands in for its memory.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from shm_layout import _twin
from shm_layout.limits import RECORD_BYTES
from tests.shm_layout.compiler import STRICT, compiled, output
from tests.shm_layout.memory import IMPLEMENTATIONS, Memory, linked, number_of

PROGRAM = r"""
#include <stdio.h>
#include <stdlib.h>
#include <stdint.h>

static uint64_t counted_load(const uint64_t *address);
#define __atomic_load_n(address, order) counted_load((const uint64_t *)(address))
#include "feedhandler_shm.h"

#define SLOTS 8
#define STORES_MAX 600

static struct { struct fh_slot slot; struct fh_ring ring;
                uint64_t record[SLOTS][FH_RECORD_BYTES / 8]; } memory;
static struct { uint64_t *address; uint64_t value; } stores[STORES_MAX];
static unsigned store_count, stored, loads, first_at, first_stores, second_at,
    second_stores;

static void advance(unsigned count)
{
    for (; count > 0 && stored < store_count; count--, stored++)
        *stores[stored].address = stores[stored].value;
}

static uint64_t counted_load(const uint64_t *address)
{
    if (loads == first_at)
        advance(first_stores);
    if (loads == second_at)
        advance(second_stores);
    loads++;
    return *(const volatile uint64_t *)address;
}

static void plan(uint64_t *address, uint64_t value)
{
    if (store_count == STORES_MAX)
        exit(4);
    stores[store_count].address = address;
    stores[store_count++].value = value;
}

/* The stores of slot_write and ring_write, in their order. */
static void plan_latest(uint64_t number)
{
    for (unsigned i = 0; i < 16; i++)
        plan(&memory.slot.cell[(number & 1) * 16 + i], number);
    plan(&memory.slot.index, number);
}

static void plan_ring(uint64_t number)
{
    plan(&memory.ring.intent, number);
    for (unsigned i = 0; i < 16; i++)
        plan(&memory.record[(number - 1) % SLOTS][i], number);
    plan(&memory.ring.tail, number);
}

static int is_whole(const uint64_t *record, uint64_t number)
{
    for (unsigned i = 0; i < 16; i++)
        if (record[i] != number)
            return 0;
    return 1;
}

static void start(const fh_view *view, unsigned done, unsigned at, unsigned count,
                  unsigned then_at, unsigned then_count)
{
    (void)view;
    memset(&memory, 0, sizeof memory);
    stored = 0;
    advance(done);
    loads = 0;
    first_at = at;
    first_stores = count;
    second_at = then_at;
    second_stores = then_count;
}

static unsigned long latest(fh_view *view)
{
    unsigned long cases = 0;
    store_count = 0;
    for (uint64_t number = 1; number <= 8; number++)
        plan_latest(number);
    for (unsigned done = 0; done <= 3 * 17; done += done < 17 ? 17 : 1)
        for (unsigned at = 0; at < 40; at++)
            for (unsigned count = 0; count <= 3 * 17; count++)
                for (unsigned next = at + 1; next < 41; next += 3)
                    for (unsigned more = 0; more <= 35; more += 7) {
                        uint64_t record[16];
                        start(view, done, at, count, next, more);
                        uint64_t before = done / 17;
                        int found = fh_latest_read(view, 0, record);
                        uint64_t after = stored / 17;
                        cases++;
                        if (found < 0 || (found == 0 && before != 0))
                            return 0;
                        if (found == 1 && (!is_whole(record, record[0]) ||
                                           record[0] < before || record[0] > after))
                            return 0;
                    }
    return cases;
}

static unsigned long ring(fh_view *view)
{
    unsigned long cases = 0;
    store_count = 0;
    for (uint64_t number = 1; number <= 32; number++)
        plan_ring(number);
    for (unsigned done = 18; done <= 10 * 18; done += 7)
        for (uint64_t from = 0; from < 3; from++)
            for (unsigned at = 0; at < 37; at++)
                for (unsigned count = 0; count <= 13 * 18; count += 5)
                    for (unsigned next = at + 1; next < 38; next += 9)
                        for (unsigned more = 0; more <= 160; more += 53) {
                            uint64_t out[SLOTS][16], cursor = from, lost = 0;
                            if (from > done / 18)
                                continue;
                            start(view, done, at, count, next, more);
                            uint64_t got = fh_ring_read(view, &cursor, out, 2, &lost);
                            cases++;
                            if (cursor - from != got + lost || cursor > stored / 18)
                                return 0;
                            for (uint64_t i = 0; i < got; i++)
                                if (!is_whole(out[i], cursor - got + i + 1))
                                    return 0;
                        }
    return cases;
}

int main(void)
{
    fh_view view;
    memset(&view, 0, sizeof view);
    view.base = (const uint8_t *)&memory;
    view.size_bytes = sizeof memory;
    view.latest_offset = offsetof(__typeof__(memory), slot);
    view.ring_offset = offsetof(__typeof__(memory), ring);
    view.instruments_max = 1;
    view.ring_slots = SLOTS;
    printf("%lu %lu\n", latest(&view), ring(&view));
    return 0;
}
"""


def test_reader_in_c_is_right_in_every_interleaving(tmp_path: Path) -> None:
    strict = [option for option in STRICT if option != "-pedantic"]
    program = compiled(tmp_path, PROGRAM, "-O2", "-include", "stddef.h", *strict)
    latest, ring = map(int, output(program)[0].split())
    assert latest > 100_000, "a record was torn, old, or from nowhere"
    assert ring > 100_000, "a record was torn, missing, or not counted"


class Stepping:
    """Stands in for memory: before its n-th access the writer does something."""

    def __init__(self, memory: Any, step: Callable[[], None]) -> None:
        self._memory = memory
        self._step = step

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, slice):
            return Stepping(self._memory[key], self._step)
        self._step()
        return self._memory[key]

    def tobytes(self) -> bytes:
        self._step()
        data: bytes = self._memory.tobytes()
        return data


def publish(memory: Memory, writer_name: str, numbers: range, stores: int) -> None:
    """Publish whole records, then the next only as far as that many stores."""
    writer = memory.writer(writer_name)
    for number in numbers:
        writer.publish_quote(0, *linked(number))
    writer.abandon_after(stores)
    writer.publish_quote(0, *linked(numbers.stop))


@pytest.mark.parametrize("writer_name", IMPLEMENTATIONS)
@pytest.mark.parametrize("whole", [0, 1, 2, 3])
def test_slot_of_the_twin_is_right_in_every_interleaving(
    writer_name: str, whole: int
) -> None:
    for at in range(9):
        for stores in range(RECORD_BYTES // 8 + 2):
            memory = Memory()
            publish(memory, writer_name, range(1, 4), 0)
            accesses = 0

            def step(
                memory: Memory = memory, at: int = at, stores: int = stores
            ) -> None:
                nonlocal accesses
                accesses += 1
                if accesses == at:
                    publish(memory, writer_name, range(4, 4 + whole), stores)

            reader = _twin.Reader(memory.bytes, memory.plan.geometry())
            reader._words = Stepping(reader._words, step)  # type: ignore[assignment]
            reader._bytes = Stepping(reader._bytes, step)  # type: ignore[assignment]
            record = reader.read_slot(0)
            assert record is not None
            newest = 3 + whole + (stores == RECORD_BYTES // 8 + 1)
            assert 3 <= number_of(record) <= newest


@pytest.mark.parametrize("writer_name", IMPLEMENTATIONS)
@pytest.mark.parametrize("whole", [0, 1, 5, 6, 7, 8, 9, 20])
def test_ring_of_the_twin_is_right_in_every_interleaving(
    writer_name: str, whole: int
) -> None:
    sent = 4
    for at in range(1, 8):
        for stores in range(17, 36):  # from the index on: intent, record, tail
            memory = Memory()
            publish(memory, writer_name, range(1, sent + 1), 0)
            accesses = 0

            def step(
                memory: Memory = memory, at: int = at, stores: int = stores
            ) -> None:
                nonlocal accesses
                accesses += 1
                if accesses == at:
                    numbers = range(sent + 1, sent + 1 + whole)
                    publish(memory, writer_name, numbers, stores)

            reader = _twin.Reader(memory.bytes, memory.plan.geometry())
            reader._words = Stepping(reader._words, step)  # type: ignore[assignment]
            copy = reader._copy_records

            def copy_late(*arguments: Any, copy: Any = copy, step: Any = step) -> None:
                step()
                copy(*arguments)
                step()

            vars(reader)["_copy_records"] = copy_late
            out = bytearray(64 * RECORD_BYTES)
            count, lost, cursor = reader.drain(0, out)
            assert count + lost == cursor
            assert cursor <= memory[memory.ring("tail")]
            starts = range(0, count * RECORD_BYTES, RECORD_BYTES)
            numbers = [number_of(bytes(out[i : i + RECORD_BYTES])) for i in starts]
            assert numbers == sorted(set(numbers))
            assert not numbers or numbers[-1] <= cursor
