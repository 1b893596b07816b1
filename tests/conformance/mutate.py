"""Makes bad frames out of good ones, without knowing what any of them means.

A place of a frame is a path of keys and indexes. Of the elements of a list the first
and the last stand for all, so that a frame of forty levels costs no more than one of
two.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any, TypeAlias

Path: TypeAlias = tuple[str | int, ...]

MARK = "\ue000mark\ue000"  # stands for raw text until the frame is written
_MARK_TEXT = json.dumps(MARK, ensure_ascii=False)
_TWIN = "\ue001twin"  # stands for a key that is there a second time


# --- Values that no field may be taken for. Name -> JSON text. ---------------------

# Never JSON, wherever they stand.
NOT_JSON = {
    "literal NaN": "NaN",
    "literal Infinity": "Infinity",
    "literal -Infinity": "-Infinity",
    "literal +5": "+5",
    "literal 0x10": "0x10",
    "literal 01": "01",
    "literal 1.": "1.",
    "bare word": "none",
    "single quotes": "'1'",
    "raw newline in text": '"1\n"',
    "lone surrogate": '"\\ud800"',
}

# Text or literals that are no number of a market.
BAD_NUMBERS = {
    "text nan": '"nan"',
    "text NaN": '"NaN"',
    "text inf": '"inf"',
    "text Infinity": '"Infinity"',
    "text -inf": '"-inf"',
    "text with underscore": '"1_000"',
    "text with blanks": '" 1 "',
    "text with plus": '"+5"',
    "text in full-width digits": '"１２"',
    "text in hexadecimal": '"0x10"',
    "text with comma": '"1,5"',
    "text without exponent": '"1e"',
    "text of two numbers": '"1 2"',
    "text with NUL": '"1\\u0000"',
    "text 1e400": '"1e400"',
    "text 1e1000000": '"1e1000000"',
    "text 1e13": '"1e13"',
    "text of 5000 digits": '"' + "9" * 5_000 + '"',
    "text negative": '"-7.5"',
    "literal 1e400": "1e400",
    "literal 1e13": "1e13",
    "literal of 400 digits": "9" * 400,
    "literal negative": "-7.5",
    "true": "true",
    "list": "[]",
    "list of one": '["1"]',
    "object": "{}",
    "any text": '"zz"',
}
# As a price these are refused too; as a size some of them say that there is none.
BAD_PRICES = {
    "text zero": '"0"',
    "text -0.0": '"-0.0"',
    "text 1e-400": '"1e-400"',
    "text 1e-13": '"1e-13"',
    "literal zero": "0",
}
# A side may be told to be empty by these.
ABSENT = {"null": "null", "empty text": '""'}

# For a field that holds an integer.
BAD_INTEGERS = {
    "true": "true",
    "null": "null",
    "float": "1.5",
    "text": '"zz"',
    "list": "[]",
    "object": "{}",
    "-1": "-1",
    "-5": "-5",
    "zero": "0",
    "2^53 + 1": str((1 << 53) + 1),
    "2^63": str(1 << 63),
    "2^64": str(1 << 64),
    "400 digits": "9" * 400,
    "-2^70": str(-(1 << 70)),
    "1e400": "1e400",
}
# For any other field.
BAD_OTHERS = {
    "null": "null",
    "true": "true",
    "false": "false",
    "five": "5",
    "text": '"zz"',
    "empty text": '""',
    "text with NUL and ESC": '"\\u0000\\u001b[31m\\u202e"',
    "list": "[]",
    "object": "{}",
    "nested": "[" * 40 + "]" * 40,
    "long text": '"' + "x" * 5_000 + '"',
}

# What an unknown field may hold.
UNKNOWN = {
    "number": "1",
    "null": "null",
    "text": '"zz \\u0000 1e400"',
    "list": '[1,[2,{"a":null}]]',
    "object": '{"price":"-1","time":[],"type":7}',
}


def wrong_for(held: Any) -> dict[str, str]:
    """Return the raw texts that must not pass for what is held at a place."""
    if is_integer(held):
        return BAD_INTEGERS
    if number_of(held) is not None:
        return {**BAD_NUMBERS, **BAD_PRICES, **ABSENT}
    return BAD_OTHERS


def is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def number_of(value: object) -> float | None:
    """Return the number that a value is, or that its text says."""
    if isinstance(value, bool | dict | list) or value is None:
        return None
    try:
        return float(str(value))
    except ValueError:
        return None


def write(document: Any, raw: str = "null") -> bytes:
    """Return the frame of a document, with `raw` where the mark stands."""
    text = json.dumps(document, separators=(",", ":"), ensure_ascii=False)
    return text.replace(_MARK_TEXT, raw).encode()


def places(document: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Yield every place that stands for others, and what is there; the whole first."""
    yield path, document
    if isinstance(document, dict):
        for key, value in document.items():
            yield from places(value, (*path, key))
    elif isinstance(document, list):
        for index in sorted({0, len(document) - 1} if document else set()):
            yield from places(document[index], (*path, index))


def replaced(document: Any, path: Path, raw: str) -> bytes:
    """Return the frame with raw text at a place."""
    return write(_edited(document, path, MARK), raw)


def removed(document: Any, path: Path) -> bytes:
    """Return the frame without a key."""
    return write(_edited(document, path, None, is_removed=True))


def extended(document: Any, path: Path, raw: str, *, is_first: bool) -> bytes:
    """Return the frame with an unknown key in the object at a path."""
    held = _at(document, path)
    extra = {"zz_unknown": MARK}
    return write(
        _edited(document, path, {**extra, **held} if is_first else {**held, **extra}),
        raw,
    )


def doubled(document: Any, path: Path, raw: str, *, is_first: bool) -> bytes:
    """Return the frame with a key twice, one of them holding raw text."""
    *parents, key = path
    both: dict[Any, Any] = {}
    for name, value in _at(document, tuple(parents)).items():
        if name == key and is_first:
            both |= {_TWIN: MARK, key: value}
        elif name == key:
            both |= {key: value, _TWIN: MARK}
        else:
            both[name] = value
    text = write(_edited(document, tuple(parents), both), raw).decode()
    return text.replace(json.dumps(_TWIN, ensure_ascii=False), json.dumps(key)).encode()


def shuffled(document: Any, rng: random.Random) -> Any:
    """Return the same document with the keys of each object in another order."""
    if isinstance(document, dict) and not is_map(document):
        rows = [(key, shuffled(value, rng)) for key, value in document.items()]
        rng.shuffle(rows)
        return dict(rows)
    if isinstance(document, list):
        return [shuffled(value, rng) for value in document]
    return document


def is_map(value: dict[str, Any]) -> bool:
    """Tell an object of rows by their ids from one of fields: each key is a row."""
    return bool(value) and all(key.isdigit() for key in value)


def whole_frames(frame: bytes) -> Iterator[tuple[str, bytes, str]]:
    """Yield what is wrong with a whole frame: its name, the frame, the reason."""
    yield "empty", b"", "empty"
    yield "blanks", b" \n\t ", "json"
    yield "one NUL", b"\0", "json"
    yield "NUL behind", frame + b"\0", "json"
    yield "NUL before", b"\0" + frame, "json"
    yield "garbage behind", frame + b"x", "json"
    yield "two documents", frame + frame, "json"
    yield "two lines", frame + b"\n" + frame, "json"
    yield "comment", b"/* */" + frame, "json"
    yield "trailing comma", frame[:-1] + b"," + frame[-1:], "json"
    yield "single quotes", frame.replace(b'"', b"'"), "json"
    yield "byte-order mark", b"\xef\xbb\xbf" + frame, "json"
    yield "UTF-16", frame.decode().encode("utf-16"), "json"
    yield "HTML", b"<html><body>502 Bad Gateway</body></html>", "json"
    yield "gzip", b"\x1f\x8b\x08\x00\x00\x00\x00\x00", "json"
    for text in (b"null", b"true", b"5", b'"zz"', b"-1.5"):
        yield text.decode(), text, "shape"


def texts_broken(frame: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield the frame with bytes in one of its texts that are no UTF-8."""
    starts = [index + 1 for index, byte in enumerate(frame) if byte == ord('"')]
    for name, bad in {
        "invalid UTF-8": b"\xff",
        "overlong UTF-8": b"\xc0\xaf",
        "raw surrogate": b"\xed\xa0\x80",
        "cut character": b"\xe2\x82",
    }.items():
        for at in starts[::2][:100]:
            yield f"{name} at {at}", frame[:at] + bad + frame[at:]


def flipped(frame: bytes, rng: random.Random, count: int) -> Iterator[bytes]:
    """Yield the frame with one bit wrong: of each byte, or of so many at random."""
    where = range(len(frame))
    if len(frame) > count:
        where = sorted(rng.sample(where, count))  # type: ignore[assignment]
    for index in where:
        wrong = bytearray(frame)
        wrong[index] ^= 1 << rng.randrange(8)
        yield bytes(wrong)


def overwritten(frame: bytes) -> Iterator[bytes]:
    """Yield a binary frame with extreme integers at every place."""
    for width in (1, 2, 8):
        extremes = {0, 1, (1 << 8 * width) - 1, 1 << (8 * width - 1)}
        extremes.add((1 << (8 * width - 1)) - 1)
        for index in range(len(frame) - width + 1):
            for value in extremes:
                raw = value.to_bytes(width, "little")
                yield frame[:index] + raw + frame[index + width :]


def _at(document: Any, path: Path) -> Any:
    for key in path:
        document = document[key]
    return document


def _edited(document: Any, path: Path, value: Any, *, is_removed: bool = False) -> Any:
    """Return a copy, as deep as needed, with another value at a path."""
    if not path:
        return value
    key, *rest = path
    copy: Any = dict(document) if isinstance(document, dict) else list(document)
    if is_removed and not rest:
        del copy[key]
    else:
        copy[key] = _edited(copy[key], tuple(rest), value, is_removed=is_removed)
    return copy
