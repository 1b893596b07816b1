"""The tables: every byte has one place; struct, numpy, C and picture agree on it."""

from __future__ import annotations

import dataclasses
import itertools
import math
import struct
from pathlib import Path

import numpy as np
import pytest

from shm_layout import codes, limits, picture, schema
from shm_layout.layout import Field, Layout, Reserved, align
from shm_layout.limits import Capacities
from shm_layout.schema import Plan
from tests.shm_layout.compiler import STRICT, compiled, output

LAYOUTS = {layout.name: layout for layout in schema.LAYOUTS}
PICTURE = Path(__file__).parent / "layout.txt"
ADVICE = "run `python -m shm_layout.picture --write` and read the difference"
every_layout = pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)


@every_layout
def test_every_byte_belongs_to_exactly_one_member(layout: Layout) -> None:
    position = 0
    for member in layout.members:
        if isinstance(member, Field):
            assert layout.offsets[member.name] == position, member.name
        assert member.size_bytes > 0
        position += member.size_bytes
    assert position == layout.size_bytes


@every_layout
def test_every_field_is_naturally_aligned(layout: Layout) -> None:
    for field in layout.fields:
        offset = layout.offsets[field.name]
        assert offset % field.alignment == 0, field.name
        if not field.type.startswith("text:"):
            assert field.alignment == field.item_bytes
    assert layout.size_bytes % 8 == 0, "the next entry would not be aligned"


@every_layout
def test_struct_and_numpy_have_the_same_places(layout: Layout) -> None:
    assert layout.struct.size == layout.dtype.itemsize == layout.size_bytes
    assert list(layout.dtype.names or ()) == [field.name for field in layout.fields]
    for field in layout.fields:
        assert layout.dtype.fields is not None
        numpy_type, offset = layout.dtype.fields[field.name][:2]
        assert offset == layout.offsets[field.name]
        assert numpy_type.itemsize == field.size_bytes
        assert numpy_type.base.byteorder in "<|=", "little-endian"


@every_layout
def test_each_field_of_struct_fills_its_own_bytes_alone(layout: Layout) -> None:
    blanks = {
        field.name: b"" if field.type.startswith("text:") else 0
        for field in layout.fields
        if field.count == 1
    }
    for name in blanks:
        field = layout.field(name)
        full: object = b"\xff" * field.size_bytes
        if field.type == "f64":
            full = struct.unpack("<d", b"\x7f" * 8)[0]
        elif not field.type.startswith("text:"):
            full = -1 if field.type == "i64" else (1 << 8 * field.size_bytes) - 1
        values: list[object] = []
        for other in layout.fields:
            if other.count > 1:
                values += [0] * other.count
            else:
                values.append(full if other.name == name else blanks[other.name])
        data = layout.struct.pack(*values)
        offset = layout.offsets[name]
        filled = data[offset : offset + field.size_bytes]
        assert 0 not in filled, name
        assert not data[:offset].strip(b"\0"), name
        assert not data[offset + field.size_bytes :].strip(b"\0"), name


@every_layout
def test_numpy_reads_what_struct_wrote(layout: Layout) -> None:
    data = bytes(range(1, 127)) * (layout.size_bytes // 126 + 1)
    values = iter(layout.struct.unpack(data[: layout.size_bytes]))
    row = np.frombuffer(data[: layout.size_bytes], layout.dtype)[0]
    for field in layout.fields:
        mine = list(itertools.islice(values, field.count))
        theirs = row[field.name]
        assert mine == (theirs.tolist() if field.count > 1 else [theirs]), field.name


def test_records_are_of_one_size_and_share_their_ends() -> None:
    for kind, layout in schema.RECORDS.items():
        assert layout.size_bytes == 128 == limits.RECORD_BYTES
        assert layout.offsets["stamp"] == 120
        assert codes.KIND_NAMES[kind] == layout.name
        head = layout.fields[: len(schema.RECORD_HEADER.fields)]
        assert head == schema.RECORD_HEADER.fields
        assert layout.dtype == schema.RECORD_DTYPES[kind]


def test_words_of_different_use_do_not_share_a_line() -> None:
    line = limits.LINE_BYTES
    ring, slot, owner = (schema.RING, schema.SLOT, schema.OWNER)
    assert ring.offsets["intent"] // line != ring.offsets["tail"] // line
    assert ring.size_bytes % line == slot.size_bytes % line == 0
    assert slot.offsets["cell"] % line == 0
    hot = [owner.offsets[name] // line for name in ("epoch", "link", "heartbeat_ns")]
    assert len(set(hot)) == 3


def test_absent_values_have_sentinels_that_no_value_can_be() -> None:
    assert struct.pack("<q", codes.TIME_NONE) == bytes(7) + b"\x80"
    data = schema.QUOTE.struct.pack(*[0] * 11, *[math.nan] * 4, 0)
    row = np.frombuffer(data, schema.QUOTE.dtype)[0]
    assert all(np.isnan(row[name]) for name in ("bid", "bid_size", "ask", "ask_size"))


def test_codes_are_distinct_and_named() -> None:
    kinds = ("KIND", "SOURCE", "LINK", "STATE", "REASON", "FLAG", "FEED_KIND")
    for prefix in (*kinds, "COMMAND", "RESULT"):
        named: dict[int, str] = getattr(codes, f"{prefix}_NAMES")
        values = [
            value
            for name, value in vars(codes).items()
            if name.startswith(f"{prefix}_") and isinstance(value, int)
        ]
        assert sorted(values) == sorted(named), prefix
        assert len(set(named.values())) == len(named), prefix
    flags = list(codes.FLAG_NAMES)
    assert all(flag.bit_count() == 1 for flag in flags)
    assert sum(flags) < 1 << 16


# --- a table that is wrong stops the import -------------------------------------------


@pytest.mark.parametrize(
    "members",
    [
        (Field("a", "u8"), Field("b", "u64")),
        (Field("a", "u16"), Field("b", "u32")),
        (Reserved(4), Field("a", "f64")),
        (Field("a", "text:3"), Field("b", "u16")),
        (Field("a", "u64"), Field("a", "u64")),
    ],
)
def test_unaligned_or_repeated_field_is_refused(
    members: tuple[Field | Reserved, ...],
) -> None:
    with pytest.raises(AssertionError):
        Layout("wrong", *members)


@pytest.mark.parametrize(
    "changed",
    [
        Layout("t", Field("a", "u32"), Field("b", "u32")),
        Layout("t", Field("b", "u64"), Field("a", "u64")),
        Layout("t", Field("a", "i64"), Field("b", "u64")),
        Layout("t", Field("a", "u64"), Reserved(8), Field("b", "u64")),
        Layout("t", Field("a", "u64"), Field("b", "u64"), Reserved(8)),
        Layout("t", Field("a", "u64"), Field("b", "u64", count=2)),
        Layout("u", Field("a", "u64"), Field("b", "u64")),
    ],
)
def test_digest_input_changes_with_any_byte(changed: Layout) -> None:
    assert (
        changed.describe()
        != Layout("t", Field("a", "u64"), Field("b", "u64")).describe()
    )


def test_digest_ignores_what_only_people_read() -> None:
    tables = [Layout("t", Field("a", "u64", text)) for text in ("one", "other")]
    assert tables[0].describe() == tables[1].describe()


# --- the plan of a segment ------------------------------------------------------------


@pytest.mark.parametrize(
    "capacities",
    [
        Capacities(),
        Capacities(1, 8, 1, 1),
        Capacities(limits.INSTRUMENTS_MAX, 1 << 10, 4_096, 1_024),
        Capacities(7, limits.RING_SLOTS_MAX, 3, 5),
    ],
    ids=repr,
)
def test_sections_follow_each_other_without_overlap(capacities: Capacities) -> None:
    plan = Plan(capacities)
    ends = {
        "owner": plan.owner_offset + schema.OWNER.size_bytes,
        "counters": plan.counters_offset
        + schema.COUNTERS.size_bytes
        + capacities.counters * schema.COUNTER.size_bytes,
        "directory": plan.directory_offset
        + schema.DIRECTORY.size_bytes
        + capacities.instruments * schema.INSTRUMENT.size_bytes,
        "latest": plan.latest_offset + capacities.instruments * schema.SLOT.size_bytes,
        "funding": plan.funding_offset
        + capacities.instruments * schema.SLOT.size_bytes,
        "liveness": plan.liveness_offset + capacities.instruments * 8,
        "commands": plan.commands_offset
        + schema.COMMANDS.size_bytes
        + limits.COMMANDS_MAX * schema.REGISTER.size_bytes,
        "ring": plan.ring_offset
        + schema.RING.size_bytes
        + capacities.ring_slots * limits.RECORD_BYTES,
        "histograms": plan.histograms_offset
        + schema.HISTOGRAMS.size_bytes
        + capacities.histograms * schema.HISTOGRAM.size_bytes,
    }
    starts = list(plan.offsets().values())
    assert list(ends) == list(schema.SECTIONS)
    assert starts[0] == schema.HEADER.size_bytes
    for name, following in zip(
        schema.SECTIONS, [*starts[1:], plan.segment_bytes], strict=True
    ):
        assert ends[name] <= following < ends[name] + limits.SECTION_ALIGNMENT
    for start in starts[1:]:
        assert start % limits.SECTION_ALIGNMENT == 0, "a page and its lines"


@pytest.mark.parametrize(
    ("name", "minimum", "maximum"),
    [
        ("instruments", 1, limits.INSTRUMENTS_MAX),
        ("ring_slots", limits.RING_SLOTS_MIN, limits.RING_SLOTS_MAX),
        ("counters", 1, limits.COUNTERS_MAX),
        ("histograms", 1, limits.HISTOGRAMS_MAX),
    ],
)
def test_capacity_outside_its_limits_is_refused(
    name: str, minimum: int, maximum: int
) -> None:
    for value in (minimum, maximum):
        assert (
            getattr(dataclasses.replace(Capacities(), **{name: value}), name) == value
        )
    for value in (minimum - 1, maximum + 1, 0, -1, 1 << 64):
        with pytest.raises(ValueError, match=f"out of range.*{name}={value}"):
            dataclasses.replace(Capacities(), **{name: value})


def test_ring_is_a_power_of_two() -> None:
    for value in (9, 12, 100, 65_535):
        with pytest.raises(ValueError, match="not a power of two"):
            Capacities(ring_slots=value)


def test_align_rounds_up_to_a_multiple() -> None:
    assert [align(offset, 8) for offset in (0, 1, 7, 8, 9)] == [0, 8, 8, 8, 16]


# --- picture and header ---------------------------------------------------------------


def test_picture_of_the_bytes_is_the_committed_one() -> None:
    assert PICTURE.read_text() == picture.picture(), (
        f"the layout has changed: raise LAYOUT_VERSION, add a line to the changelog, "
        f"{ADVICE}"
    )


def test_generated_part_of_the_header_is_up_to_date() -> None:
    current = picture.HEADER_PATH.read_text()
    assert current == picture.header_text(current), f"feedhandler_shm.h: {ADVICE}"


def test_header_keeps_what_people_wrote(tmp_path: Path) -> None:
    current = picture.HEADER_PATH.read_text()
    stale = current.replace("#define FH_LAYOUT_VERSION", "#define FH_OLD_VERSION")
    assert stale != current
    assert picture.header_text(stale) == current


@pytest.mark.parametrize("language", ["c", "c++"])
def test_compiled_structs_have_every_offset_of_the_tables(
    tmp_path: Path, language: str
) -> None:
    expected = []
    lines = []
    for layout in schema.LAYOUTS:
        name = f"struct fh_{layout.name}"
        lines.append(f'printf("{layout.name} %zu\\n", sizeof({name}));')
        expected.append(f"{layout.name} {layout.size_bytes}")
        for field in layout.fields:
            member = f"(({name} *)0)->{field.name}"
            lines.append(
                f'printf("{layout.name}.{field.name} %zu %zu\\n",'
                f" offsetof({name}, {field.name}), sizeof({member}));"
            )
            offset = layout.offsets[field.name]
            expected.append(f"{layout.name}.{field.name} {offset} {field.size_bytes}")
    for name, value in vars(codes).items():
        if isinstance(value, int) and name.startswith(picture._CONSTANTS):
            lines.append(f'printf("{name} %lld\\n", (long long)FH_{name});')
            expected.append(f"{name} {value}")
    lines.append('printf("%d\\n", FH_TIME_NONE == INT64_MIN);')
    lines.append('printf("%llu\\n", (unsigned long long)FH_LAYOUT_DIGEST);')
    expected += ["1", str(schema.LAYOUT_DIGEST)]
    source = (
        "#include <stddef.h>\n#include <stdio.h>\n"
        '#include "feedhandler_shm.h"\n'
        "int main(void)\n{\n    " + "\n    ".join(lines) + "\n    return 0;\n}\n"
    )
    program = compiled(tmp_path, source, *STRICT, language=language)
    assert output(program) == expected
    assert len(expected) > 150, "every table and every code"
