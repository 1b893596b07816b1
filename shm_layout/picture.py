"""The schema as text: the picture of the bytes, and the structs of the C header.

`python -m shm_layout.picture` prints the picture; with `--header` it prints the
generated part of `feedhandler_shm.h`; with `--write` it puts both in their places.
"""

from __future__ import annotations

import sys
from pathlib import Path

from shm_layout import codes, limits, schema
from shm_layout.layout import Field, Layout

_HERE = Path(__file__).parent
HEADER_PATH = _HERE / "feedhandler_shm.h"
_BEGIN = "/* --- begin generated: python -m shm_layout.picture --write --- */\n"
_END = "/* --- end generated --- */\n"

_CONSTANTS = (
    *("KIND_", "SOURCE_", "SIDE_", "FLAG_", "LINK_", "STATE_", "REASON_"),
    *("INSTRUMENT_", "COMMAND_", "RESULT_"),
)


def picture() -> str:
    """Return every table with offsets, sizes and meanings, and the default plan."""
    lines = [
        f"layout version {schema.LAYOUT_VERSION}",
        f"layout digest  {schema.LAYOUT_DIGEST:016x}",
        "",
    ]
    for layout in schema.LAYOUTS:
        lines.append(f"{layout.name}: {layout.size_bytes} bytes")
        lines += [_field_line(layout, field) for field in layout.fields]
        lines.append("")
    plan = schema.Plan(limits.Capacities())
    lines.append("segment with default capacities:")
    for section in schema.SECTIONS:
        lines.append(f"  {getattr(plan, f'{section}_offset'):>9}  {section}")
    lines.append(f"  {plan.segment_bytes:>9}  end")
    return "\n".join(lines) + "\n"


def c_structs() -> str:
    """Return the constants and packed-by-nature structs of the C header."""
    lines = [
        f"#define FH_LAYOUT_VERSION {schema.LAYOUT_VERSION}u",
        f"#define FH_LAYOUT_DIGEST UINT64_C(0x{schema.LAYOUT_DIGEST:016x})",
        f'#define FH_MAGIC "{schema.MAGIC.decode()}"',
        "#define FH_TIME_NONE INT64_MIN",
        f"#define FH_RECORD_BYTES {limits.RECORD_BYTES}",
        f"#define FH_RING_SLOTS_MIN {limits.RING_SLOTS_MIN}",
        f"#define FH_SLOT_RETRIES_MAX {limits.SLOT_RETRIES_MAX}",
        f"#define FH_COMMANDS_MAX {limits.COMMANDS_MAX}",
        f"#define FH_OUTLIER_HOLD_NS {limits.OUTLIER_HOLD_NS}",
        f"#define FH_BUCKETS {limits.BUCKETS}",
        f"#define FH_BUCKET_BITS {limits.BUCKETS_PER_OCTAVE_BITS}",
        f"#define FH_BUCKET_EXPONENT_MAX {limits.BUCKET_EXPONENT_MAX}",
        "",
    ]
    for name, value in vars(codes).items():
        if name.startswith(_CONSTANTS) and isinstance(value, int):
            lines.append(f"#define FH_{name} {value}")
    lines.append("")
    for layout in schema.LAYOUTS:
        lines += [*_c_struct(layout), ""]
    return "\n".join(lines)


def header_text(current: str) -> str:
    """Return the C header with its generated part brought up to date."""
    before, _, rest = current.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    return before + _BEGIN + c_structs() + _END + after


def _field_line(layout: Layout, field: Field) -> str:
    kind = field.type if field.count == 1 else f"{field.type}[{field.count}]"
    line = f"  {layout.offsets[field.name]:>5}  {kind:<9} {field.name:<18}"
    return f"{line} {field.meaning}".rstrip()


def _c_struct(layout: Layout) -> list[str]:
    lines = [f"struct fh_{layout.name} {{"]
    position = 0
    reserved = 0
    for field in layout.fields:
        gap = layout.offsets[field.name] - position
        if gap:
            lines.append(f"    uint8_t reserved_{reserved}[{gap}];")
            reserved += 1
        lines.append(f"    {field.c_declaration};")
        position = layout.offsets[field.name] + field.size_bytes
    rest = layout.size_bytes - position
    if rest:
        lines.append(f"    uint8_t reserved_{reserved}[{rest}];")
    lines.append("};")
    return lines


def main(arguments: list[str]) -> int:
    """Print or write; return the exit code."""
    if arguments == ["--header"]:
        sys.stdout.write(c_structs())
    elif arguments == ["--write"]:
        HEADER_PATH.write_text(header_text(HEADER_PATH.read_text()))
        (_HERE.parent / "tests" / "shm_layout" / "layout.txt").write_text(picture())
    else:
        sys.stdout.write(picture())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
