"""Why a frame was refused, in one word; JSON's own errors turned into those words.

Owns the list of reasons and the reading of msgspec's messages. Which fields a frame has
is the venue's business.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

import msgspec

# Every reason a frame, or a part of one, can be refused for; each has a counter.
REASONS: Final = (
    "empty",  # no bytes
    "json",  # not JSON, or more than one document
    "utf8",
    "depth",  # nested deeper than the decoder goes
    "shape",  # not an object, or too many elements
    "type",  # a value of another type than the venue documents
    "missing",
    "short",  # binary, and fewer bytes than it says
    "number",  # text that is no decimal number
    "range",  # magnitude, or an integer beyond 64 bits
    "nonpositive",
    "time",  # an event time in another unit
    "time_future",
    "side",
    "unknown_type",  # a channel nobody knows: counted once for each name
    "unsubscribed",  # a symbol nobody asked for
    "symbol",  # an answer about another market than the one asked for
    "venue_error",  # an answer that is the venue's own error
    "handler",  # our own fault while handling it
)

_decode_list = msgspec.json.Decoder(list[msgspec.Raw]).decode

FAILURES: Final = (msgspec.MsgspecError, RecursionError, ValueError)

Item = TypeVar("Item")


class FrameError(ValueError):
    """A frame, or a part of one, cannot be used. `reason` is one of `REASONS`."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail


def refuse(error: Exception, frame: bytes | bytearray | str) -> FrameError:
    """Return the `FrameError` that says what an exception of `FAILURES` meant."""
    if isinstance(error, FrameError):
        return error
    return FrameError(reason_of(error, frame), str(error)[:200])


def reason_of(error: Exception, frame: bytes | bytearray | str = b"?") -> str:
    """Return the reason behind an exception of `FAILURES`."""
    if isinstance(error, FrameError):
        return error.reason
    if isinstance(error, RecursionError):
        return "depth"
    if isinstance(error, UnicodeError):
        return "utf8"
    if not frame:
        return "empty"
    text = str(error)
    if not isinstance(error, msgspec.ValidationError):
        return "utf8" if "utf-8" in text.lower() else "json"
    if "out of range" in text:
        return "range"
    if "missing required field" in text:
        return "missing"
    if text.startswith("Invalid value"):
        return "unknown_type"
    if "of length" in text:
        return "number" if "`str`" in text else "shape"
    if " - at `" not in text:
        return "shape"
    return "range" if "<=" in text or ">=" in text else "type"


def checked(decode: Callable[[bytes], Item], body: bytes) -> Item:
    """Decode a whole body; raise `FrameError` when it cannot be."""
    try:
        return decode(body)
    except FAILURES as error:
        raise refuse(error, body) from error


def keep_good(
    raws: Sequence[msgspec.Raw], convert: Callable[[msgspec.Raw], Item]
) -> tuple[list[Item], list[FrameError]]:
    """Convert items one by one: return the good ones, and an error for each other."""
    items: list[Item] = []
    errors: list[FrameError] = []
    for raw in raws:
        try:
            items.append(convert(raw))
        except FAILURES as error:
            errors.append(refuse(error, bytes(raw)))
    return items, errors


def keep_first(
    raws: Sequence[msgspec.Raw], convert: Callable[[msgspec.Raw], Item]
) -> tuple[list[Item], int]:
    """Convert items one by one: return the good ones and how many were not.

    Raises `FrameError` when the first is bad: in a book it is the touch.
    """
    items, errors = keep_good(raws, convert)
    if errors:
        try:
            convert(raws[0])
        except FAILURES as error:
            raise refuse(error, bytes(raws[0])) from error
    return items, len(errors)


def pack_documents(documents: Sequence[bytes]) -> bytes:
    """Return one JSON document, a list, that holds the bytes of several."""
    return b"[" + b",".join(documents) + b"]"


def unpack_documents(packed: bytes) -> list[bytes]:
    """Return the documents that were packed; raise `FrameError` for anything else."""
    return [bytes(raw) for raw in checked(_decode_list, packed)]


def json_tail(text: str) -> dict[str, Any]:
    """Return the JSON object that a text ends in, an empty one when it has none."""
    start = text.find("{")
    try:
        found = msgspec.json.decode(text[start:]) if start >= 0 else None
    except FAILURES:
        return {}
    return found if isinstance(found, dict) else {}
