"""Frames that no decoder may take for the truth, made of the one they stand for.

Owns how a frame is spoilt. Every venue's garbage has that venue's shape: its own names
with wrong types and numbers in them, its own frame cut short, text where it is binary.
"""

from __future__ import annotations

import itertools
import json
import struct
from collections.abc import Callable, Iterator
from typing import Any

Text = str | bytes

# What stands where a number was, in words (decimal text) and in JSON's own numbers.
_WRONG: tuple[Any, ...] = (None, [], {}, True, "NaN", "1e999", "-1", "now", "", -1)
_TEXTS: tuple[Text, ...] = ("", "null", "[]", "{}", b"", b"\x00\xff\xfe binary")
_DEEP = 5000
_HEADER = struct.Struct(
    "<4H"
)  # of a binary frame: block length, template, schema, version
_ODD = 0xFFFF


def garbage() -> Iterator[Callable[[Text], Text]]:
    """Ways to spoil a frame, in turn and for ever."""
    return itertools.cycle(_WAYS)


def _cut(frame: Text) -> Text:
    return frame[: len(frame) // 2]


def _cut_at_end(frame: Text) -> Text:
    return frame.rstrip()[:-1] if isinstance(frame, str) else frame[:-1]


def _other_opcode(frame: Text) -> Text:
    """Text as a binary frame, or a binary one as text."""
    if isinstance(frame, str):
        return b"\x00\xff\xfe" + frame.encode()
    return frame.hex()


def _spoilt(wrong: Any) -> Callable[[Text], Text]:
    """A frame with `wrong` for every number, in words or not, and names as they were.

    A frame without a number is cut short instead, for it would be as good as before.
    """

    def spoil(frame: Text) -> Text:
        if isinstance(frame, bytes):
            return _struct(frame)
        try:
            message = json.loads(frame)
        except ValueError:
            return _cut(frame)
        spoilt = _replaced(message, wrong)
        if spoilt == message:
            return _cut(frame)
        return json.dumps(spoilt, separators=(",", ":"))

    def _struct(frame: bytes) -> bytes:
        """A binary frame under a header that lies: about its length or its kind."""
        fields = list(_HEADER.unpack_from(frame))
        # Not about its version: a later one may be read as far as it is known.
        fields[_WRONG.index(wrong) % 3] ^= _ODD
        return _HEADER.pack(*fields) + frame[_HEADER.size :]

    return spoil


def _replaced(value: Any, wrong: Any) -> Any:
    if isinstance(value, dict):
        return {key: _replaced(inner, wrong) for key, inner in value.items()}
    if isinstance(value, list):
        return [_replaced(inner, wrong) for inner in value]
    return wrong if _is_number(value) else value


def _is_number(value: Any) -> bool:
    if not isinstance(value, str):
        return isinstance(value, int | float) and not isinstance(value, bool)
    try:
        float(value)
    except ValueError:
        return False
    return True


def _constant(text: Text) -> Callable[[Text], Text]:
    return lambda frame: text


_WAYS: tuple[Callable[[Text], Text], ...] = (
    _cut,
    _other_opcode,
    _constant("garbage, not JSON"),
    _cut_at_end,
    *(_spoilt(wrong) for wrong in _WRONG),
    *(_constant(text) for text in _TEXTS),
    _constant("[" * _DEEP),
    _constant('{"\\ud800":' + "9" * 400 + "}"),
)
