"""Tables of bytes: what a field is, and how a table of fields becomes a format.

Owns the mechanism only: `Field`, `Reserved`, `Layout`. Which tables exist is said in
`schema.py`. From one table come the offsets, the `struct.Struct`, the numpy dtype, the
C struct and the printed picture, so that nobody writes an offset by hand.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np

# name -> (struct character, numpy format, C type, size in bytes)
_SCALARS: dict[str, tuple[str, str, str, int]] = {
    "u8": ("B", "<u1", "uint8_t", 1),
    "u16": ("H", "<u2", "uint16_t", 2),
    "u32": ("I", "<u4", "uint32_t", 4),
    "u64": ("Q", "<u8", "uint64_t", 8),
    "i64": ("q", "<i8", "int64_t", 8),
    "f64": ("d", "<f8", "double", 8),
}


@dataclass(frozen=True, slots=True)
class Field:
    """One named value of a table.

    `type` is u8, u16, u32, u64, i64, f64, or `text:N` for N bytes of UTF-8 padded with
    zeros. `count` above 1 makes it an array.
    """

    name: str
    type: str
    meaning: str = ""
    count: int = 1

    @property
    def item_bytes(self) -> int:
        """Size of one item."""
        if self.type.startswith("text:"):
            return int(self.type[5:])
        return _SCALARS[self.type][3]

    @property
    def size_bytes(self) -> int:
        """Size of all items together."""
        return self.item_bytes * self.count

    @property
    def alignment(self) -> int:
        """What the offset must be a multiple of."""
        return 1 if self.type.startswith("text:") else self.item_bytes

    @property
    def struct_format(self) -> str:
        """The field as characters of the `struct` module."""
        if self.type.startswith("text:"):
            return f"{self.item_bytes}s"
        character = _SCALARS[self.type][0]
        return character if self.count == 1 else f"{self.count}{character}"

    @property
    def numpy_format(self) -> str | tuple[str, tuple[int, ...]]:
        """The field as a numpy format."""
        if self.type.startswith("text:"):
            return f"S{self.item_bytes}"
        kind = _SCALARS[self.type][1]
        return kind if self.count == 1 else (kind, (self.count,))

    @property
    def c_declaration(self) -> str:
        """The field as a member of a C struct."""
        if self.type.startswith("text:"):
            return f"char {self.name}[{self.item_bytes}]"
        array = "" if self.count == 1 else f"[{self.count}]"
        return f"{_SCALARS[self.type][2]} {self.name}{array}"


@dataclass(frozen=True, slots=True)
class Reserved:
    """Bytes without a meaning yet: zero on write, ignored on read."""

    size_bytes: int


class Layout:
    """An ordered table of fields, naturally aligned and without hidden padding.

    A member is a `Field`, a `Reserved`, or another `Layout` whose members are taken
    over in place. A member at an unaligned offset is our own bug and stops the import.
    """

    def __init__(self, name: str, *members: Field | Reserved | Layout) -> None:
        self.name = name
        self.members: tuple[Field | Reserved, ...] = tuple(_flatten(members))
        self.fields: tuple[Field, ...] = tuple(
            member for member in self.members if isinstance(member, Field)
        )
        self.offsets: dict[str, int] = {}

        position = 0
        formats = ["<"]
        for member in self.members:
            if isinstance(member, Field):
                assert position % member.alignment == 0, (name, member.name, position)
                assert member.name not in self.offsets, (name, member.name)
                self.offsets[member.name] = position
                formats.append(member.struct_format)
            else:
                formats.append(f"{member.size_bytes}x")
            position += member.size_bytes
        self.size_bytes = position

        self.struct = struct.Struct("".join(formats))
        assert self.struct.size == self.size_bytes, name
        self.dtype = np.dtype(
            {
                "names": [field.name for field in self.fields],
                "formats": [field.numpy_format for field in self.fields],
                "offsets": [self.offsets[field.name] for field in self.fields],
                "itemsize": self.size_bytes,
            }
        )

    def field(self, name: str) -> Field:
        """Return the field of that name."""
        return next(field for field in self.fields if field.name == name)

    def struct_of(self, *names: str) -> struct.Struct:
        """Return what unpacks these fields alone, in their order in the table."""
        formats = (
            member.struct_format
            if isinstance(member, Field) and member.name in names
            else f"{member.size_bytes}x"
            for member in self.members
        )
        return struct.Struct("<" + "".join(formats))

    def describe(self) -> str:
        """Return the table as text: the input of the layout digest."""
        lines = [f"{self.name} {self.size_bytes}"]
        lines += [
            f"{self.offsets[field.name]} {field.type} {field.count} {field.name}"
            for field in self.fields
        ]
        return "\n".join(lines)


def _flatten(
    members: tuple[Field | Reserved | Layout, ...],
) -> list[Field | Reserved]:
    flat: list[Field | Reserved] = []
    for member in members:
        if isinstance(member, Layout):
            flat.extend(member.members)
        else:
            flat.append(member)
    return flat


def align(offset: int, alignment: int) -> int:
    """Return the first multiple of `alignment` that is not below `offset`."""
    return -(-offset // alignment) * alignment
