"""What the tests of all venues share: fixtures, a clock, events that can be compared.

Owns no expectation of its own.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from feedhandler.codec.frame import FrameError
from feedhandler.events import Event

US: Final = 1_000
MS: Final = 1_000_000
HOUR_NS: Final = 3_600_000_000_000
# 2026-07-25 17:20:09 UTC: after every recorded frame, and not on the hour.
WALL_NS: Final = 1_785_000_009_000 * MS
NEXT_HOUR_NS: Final = 1_785_002_400_000 * MS

DIGITS_OF_DOUBLE: Final = 17


def directory(venue: str) -> Path:
    """Return where a venue's frames are."""
    return Path(__file__).parent / venue / "frames"


def lines(venue: str, name: str) -> list[bytes]:
    """Return the frames of a fixture: one in each line, or the whole file."""
    body = (directory(venue) / name).read_bytes().strip()
    return body.splitlines() if name.endswith(".jsonl") else [body]


def comparable(events: Sequence[Event], digits: int = DIGITS_OF_DOUBLE) -> list[Any]:
    """Return events as values that compare equal, NaN to NaN, to so many digits."""
    return [
        (type(event).__name__, [_plain(value, digits) for value in row])
        for event in events
        for row in [msgspec.structs.astuple(event)]
    ]


def forms(frame: bytes) -> list[bytes | bytearray | str]:
    """Return a frame in every form that the transport may hand over."""
    return [frame, bytearray(frame), frame.decode()]


@contextlib.contextmanager
def refused(reason: str) -> Iterator[pytest.ExceptionInfo[FrameError]]:
    """Hold that what stands inside is refused, for this reason."""
    with pytest.raises(FrameError) as refusal:
        yield refusal
    assert refusal.value.reason == reason


def _plain(value: object, digits: int) -> object:
    return f"{value:.{digits}g}" if isinstance(value, float) else str(value)
