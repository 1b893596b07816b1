"""Whether too large a share of the last ten seconds' frames was refused.

A venue that changed its format, or an error page in place of frames, ends the session;
a single bad frame never does.
"""

from __future__ import annotations

from collections import deque
from typing import Final

WINDOW_S: Final = 10
REJECTS_MIN: Final = 20
SHARE_DIVISOR: Final = 100  # more than one in a hundred
BUCKET_NS: Final = 1_000_000_000


class RejectShare:
    """Frames and refusals of the last seconds, one bucket a second."""

    def __init__(self) -> None:
        self._buckets: deque[tuple[int, int]] = deque(maxlen=WINDOW_S)
        self._bucket_end_ns = 0
        self._frames_before = 0
        self._rejects_before = 0
        self.rejects = 0

    def is_exceeded(self, now_ns: int, frames: int) -> bool:
        """Tell whether the share is too large; `frames` counts the whole session."""
        frames_now = frames - self._frames_before
        rejects_now = self.rejects - self._rejects_before
        if now_ns >= self._bucket_end_ns:
            if self._bucket_end_ns:
                self._buckets.append((frames_now, rejects_now))
                self._frames_before = frames
                self._rejects_before = self.rejects
                frames_now = rejects_now = 0
            self._bucket_end_ns = now_ns + BUCKET_NS
        rejects = rejects_now + sum(bucket[1] for bucket in self._buckets)
        if rejects < REJECTS_MIN:
            return False
        frames_in_window = frames_now + sum(bucket[0] for bucket in self._buckets)
        return rejects * SHARE_DIVISOR > frames_in_window
