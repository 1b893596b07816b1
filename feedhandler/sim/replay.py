"""Recorded frames and the times they are due.

Owns the reading of a recording (JSON Lines of `{"recv_ns", "msg"}`) and its schedule.
Owns no socket: the simulation waits for a frame's time and the venue hands it out.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

Message = dict[str, object]


class ReplayError(ValueError):
    """A recording that cannot be played; names the file and the line."""


class Recorded(NamedTuple):
    offset_s: float  # since the first frame
    message: Message


class Due(NamedTuple):
    """A frame of the schedule; `shift_ms` is to be added to the times it tells."""

    at_s: float  # since the start of the replay
    message: Message
    shift_ms: int


class Recording:
    """A recording in memory, in the order of the file."""

    def __init__(self, frames: list[Recorded]) -> None:
        if not frames:
            raise ReplayError("recording has no frames")
        self.frames = frames

    @classmethod
    def load(cls, path: str | Path) -> Recording:
        frames: list[Recorded] = []
        first_ns = last_ns = 0
        try:
            lines = Path(path).read_text("utf-8").split("\n")
        except (OSError, UnicodeDecodeError) as error:
            raise ReplayError(f"cannot read recording: {error}") from error
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
                recv_ns, message = int(row["recv_ns"]), row["msg"]
                if not isinstance(message, dict):
                    raise TypeError("msg is not an object")
            except (ValueError, KeyError, TypeError, RecursionError) as error:
                raise ReplayError(
                    f"not a recording: path={path} line={number}: "
                    f'expected {{"recv_ns":…,"msg":{{…}}}}: {error!r}'
                ) from error
            first_ns = first_ns if frames else recv_ns
            last_ns = max(last_ns, recv_ns) if frames else recv_ns
            frames.append(Recorded((last_ns - first_ns) / 1e9, message))
        return cls(frames)

    @property
    def length_s(self) -> float:
        """Time of one round, counting one mean gap after the last frame."""
        end_s = self.frames[-1].offset_s
        return end_s + end_s / max(1, len(self.frames) - 1)

    def schedule(self, speed: float, loop: bool) -> Iterator[Due]:
        """Yield the frames with their times, for ever if they shall loop.

        The first round is as recorded. A later round is shifted by whole rounds, since
        a venue's time does not step back.
        """
        round_number = 0
        while True:
            shift_s = round_number * self.length_s
            for frame in self.frames:
                at_s = (frame.offset_s + shift_s) / speed
                yield Due(at_s, frame.message, round(shift_s * 1000))
            round_number += 1
            # A recording of one instant would spin for ever.
            if not loop or self.length_s <= 0:
                return
