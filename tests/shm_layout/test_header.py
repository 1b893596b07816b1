"""`feedhandler_shm.h` as a user runs it: compiled, sanitized, on real memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from shm_layout import SOURCE_REST, Capacities, Writer
from shm_layout.schema import HEADER, LAYOUT_VERSION
from tests.shm_layout.compiler import SANITIZED, STRICT, compiled, output
from tests.shm_layout.memory import linked, load
from tests.support import SHM

ROLE = "feed:venue"
SMALL = Capacities(instruments=4, ring_slots=8, counters=4, histograms=2)

READER = r"""
#define _POSIX_C_SOURCE 200809L
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "feedhandler_shm.h"

static void show(const struct fh_quote *quote)
{
    printf("%llu %u %u %lld %.17g %.17g %.17g %.17g\n",
           (unsigned long long)quote->venue_sequence, (unsigned)quote->flags,
           (unsigned)quote->session, (long long)quote->recv_ns, quote->bid,
           quote->bid_size, quote->ask, quote->ask_size);
}

int main(int count, char **arguments)
{
    struct stat status;
    int fd = open(arguments[1], O_RDONLY | O_NOFOLLOW);
    if (count < 4 || fd < 0 || fstat(fd, &status) != 0)
        return 2;
    void *base = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_SHARED, fd, 0);
    fh_view view;
    int attached = fh_attach(&view, base, (uint64_t)status.st_size);
    printf("attached %d\n", attached);
    if (attached != 0)
        return 0;
    printf("owner %llu head %llu\n", (unsigned long long)fh_owner_of(&view)->pid,
           (unsigned long long)fh_ring_head(&view));
    for (uint64_t instrument = 0; instrument < 6; instrument++) {
        struct fh_quote quote; /* doubles, so a wrong store order would show */
        int found = fh_latest_read(&view, instrument, &quote);
        printf("latest %d\n", found);
        if (found > 0)
            show(&quote);
    }
    struct fh_funding funding;
    if (fh_funding_read(&view, 1, &funding) > 0)
        printf("funding %.17g %u at %lld alive %lld\n", funding.rate_per_hour,
               (unsigned)funding.source, (long long)funding.recv_ns,
               (long long)fh_liveness_ns(&view, 1));
    uint64_t cursor = strtoull(arguments[2], NULL, 10), lost = 0, got;
    uint64_t room = strtoull(arguments[3], NULL, 10);
    struct fh_quote quotes[64];
    do {
        got = fh_ring_read(&view, &cursor, quotes, room, &lost);
        printf("ring %llu lost %llu cursor %llu\n", (unsigned long long)got,
               (unsigned long long)lost, (unsigned long long)cursor);
        for (uint64_t i = 0; i < got; i++)
            show(&quotes[i]);
    } while (got != 0);
    return 0;
}
"""

# Random headers and contents in memory that ends where the sanitizer notices.
HOSTILE = r"""
#include <stdio.h>
#include <stdlib.h>
#include "feedhandler_shm.h"

static uint64_t state = 88172645463325252u;

static uint64_t any(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static uint64_t word(uint64_t size)
{
    switch (any() % 8) {
    case 0: return 0;
    case 1: return size - 8 * (any() % 64);
    case 2: return UINT64_MAX - any() % 1024;
    case 3: return UINT64_C(1) << (any() % 64);
    case 4: return any();
    case 5: return any() % size;
    default: return any() % size / 4096 * 4096;
    }
}

int main(void)
{
    unsigned attached = 0, read = 0, followed = 0;
    for (unsigned round = 0; round < 20000; round++) {
        uint64_t size = 512 + any() % 8192 / 8 * 8;
        uint8_t *base = (uint8_t *)malloc(size);
        for (uint64_t i = 0; i + 8 <= size; i += 8) {
            uint64_t value = any() % 3 ? any() % 5 : word(size);
            memcpy(base + i, &value, 8);
        }
        struct fh_header *header = (struct fh_header *)base;
        memcpy(header->magic, FH_MAGIC, 8);
        header->layout_version = FH_LAYOUT_VERSION;
        header->layout_digest = FH_LAYOUT_DIGEST;
        header->segment_bytes = size;
        header->ready = 1;
        header->ring_slots = any() % 4 ? 8u << (any() % 4) : (uint32_t)word(size);
        header->instruments_max = any() % 4 ? any() % 8 : (uint32_t)word(size);
        header->owner_offset = any() % 2 ? 512 : word(size);
        header->latest_offset = any() % 2 ? 1024 : word(size);
        header->funding_offset = any() % 4 ? 1024 : word(size);
        header->liveness_offset = any() % 4 ? 1024 : word(size);
        header->ring_offset = any() % 2 ? 2048 : word(size);
        fh_view view;
        if (fh_attach(&view, base, size) == 0) {
            attached++;
            uint8_t out[64 * FH_RECORD_BYTES];
            for (unsigned i = 0; i < 8; i++)
                read += fh_latest_read(&view, any() % 2 ? i : word(size), out) == 1;
            for (unsigned i = 0; i < 8; i++) {
                read += fh_funding_read(&view, any() % 2 ? i : word(size), out) == 1;
                read += fh_liveness_ns(&view, any() % 2 ? i : word(size)) == 1;
            }
            uint64_t cursor = word(size), lost;
            for (unsigned i = 0; i < 8; i++) {
                uint64_t got = fh_ring_read(&view, &cursor, out, any() % 65, &lost);
                if (got > 64)
                    return 3;
                followed += got != 0;
            }
            read += fh_owner_of(&view)->pid == 1;
        }
        free(base);
    }
    printf("%u %u %u\n", attached, read, followed);
    return 0;
}
"""


def shown(number: int) -> str:
    flags, session, _, recv_ns, sequence, *prices = linked(number)
    texts = " ".join(f"{price:.17g}" for price in prices)
    return f"{sequence} {flags} {session} {recv_ns} {texts}"


@pytest.fixture(scope="module", params=["optimized", "sanitized"])
def reader(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The program of a user who reads in C."""
    options = ("-O3",) if request.param == "optimized" else ("-O1", *SANITIZED)
    folder = tmp_path_factory.mktemp(request.param)
    return compiled(folder, READER, *STRICT, *options)


def test_program_in_c_reads_what_python_published(instance: str, reader: Path) -> None:
    writer = Writer.open(instance, ROLE, SMALL)
    for number in range(1, 8):
        writer.publish_quote(number % 3, *linked(number))
    lines = output(reader, SHM / f"fh.{instance}.venue", 0, 5)
    assert lines[:2] == ["attached 0", f"owner {writer.owner().pid} head 7"]
    assert lines[2:8] == [
        *["latest 1", shown(6), "latest 1", shown(7), "latest 1", shown(5)],
    ]
    assert lines[8:11] == ["latest 0", "latest -1", "latest -1"]
    # A read is cut to a quarter of the ring, or it would be lapped while it runs.
    expected = []
    for cursor in (2, 4, 6):
        expected.append(f"ring 2 lost 0 cursor {cursor}")
        expected += [shown(cursor - 1), shown(cursor)]
    expected += ["ring 1 lost 0 cursor 7", shown(7), "ring 0 lost 0 cursor 7"]
    assert lines[11:] == expected
    writer.close(unlink=True)


def test_program_in_c_reads_funding_and_liveness(instance: str, reader: Path) -> None:
    writer = Writer.open(instance, ROLE, SMALL)
    prices = (1.25e-5, 3_600, 0, 3.0, 3.1, 3.2, 7.0)
    writer.publish_funding(1, 0, 0, 0, 77, *prices, source=SOURCE_REST)
    writer.stamp_liveness(1, 99)
    lines = output(reader, SHM / f"fh.{instance}.venue", 0, 5)
    assert f"funding {1.25e-5:.17g} 2 at 77 alive 99" in lines
    writer.close(unlink=True)


@pytest.mark.parametrize("sent", [9, 16, 100])
def test_lapped_program_in_c_counts_like_python(
    instance: str, reader: Path, sent: int
) -> None:
    writer = Writer.open(instance, ROLE, SMALL)
    for number in range(1, sent + 1):
        writer.publish_quote(0, *linked(number))
    lines = output(reader, SHM / f"fh.{instance}.venue", 0, 64)
    ring = lines[lines.index(f"ring 2 lost {sent - 4} cursor {sent - 2}") :]
    assert ring[1:3] == [shown(sent - 3), shown(sent - 2)]
    assert ring[3] == f"ring 2 lost 0 cursor {sent}"
    assert ring[4:6] == [shown(sent - 1), shown(sent)]
    writer.close(unlink=True)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("magic", b"FEEDHNDX"),
        ("layout_version", LAYOUT_VERSION - 1),
        ("layout_version", LAYOUT_VERSION + 1),
        ("layout_digest", 3),
        ("segment_bytes", 4096),
        ("ready", 0),
        ("ready", 2),
        ("ring_slots", 0),
        ("ring_slots", 4),
        ("ring_slots", 12),
        ("ring_slots", 1 << 31),
        ("instruments_max", 0xFFFF_FFFF),
        ("owner_offset", (1 << 64) - 8),
        ("owner_offset", 516),
        ("latest_offset", (1 << 64) - 384),
        ("funding_offset", (1 << 64) - 384),
        ("funding_offset", 4),
        ("liveness_offset", (1 << 64) - 8),
        ("liveness_offset", 12),
        ("ring_offset", (1 << 64) - 256),
        ("ring_offset", 1 << 63),
    ],
)
def test_program_in_c_attaches_to_nothing_wrong(
    instance: str, reader: Path, field: str, value: int | bytes
) -> None:
    writer = Writer.open(instance, ROLE, SMALL)
    path = SHM / f"fh.{instance}.venue"
    size = HEADER.field(field).size_bytes
    with path.open("r+b") as file:
        file.seek(HEADER.offsets[field])
        file.write(
            value if isinstance(value, bytes) else value.to_bytes(size, "little")
        )
    assert output(reader, path, 0, 1) == ["attached -1"]
    writer.close(unlink=True)


def test_hostile_memory_is_never_left(tmp_path: Path) -> None:
    program = compiled(tmp_path, HOSTILE, *STRICT, "-O1", *SANITIZED)
    attached, read, followed = map(int, output(program)[0].split())
    # A fuzzer that never gets past the door proves nothing.
    assert attached > 300
    assert read > 100
    assert followed > 100


def test_native_module_was_built_from_this_header() -> None:
    assert load("native").LAYOUT_DIGEST == load("twin").LAYOUT_DIGEST
