"""How far a venue's clock is from ours, and how fast the two part.

    delay = our wall clock at the socket read − the venue's event time
          = time on the way + (our clock − theirs)

The least delay of a window is the skew: the way adds, and never takes away. Below zero
the venue's clock is ahead for certain; above zero it says "behind, or far away". For
diagnosis alone: no age, no verdict uses it.
"""

from __future__ import annotations

from collections import deque
from typing import Final

import numpy as np
import numpy.typing as npt

from shm_layout.codes import TIME_NONE

WINDOW_NS: Final = 10_000_000_000
WINDOWS: Final = 30
INVALID_NS: Final = 60_000_000_000  # after a step of our clock
# An event time that is further away than this is no time of this event.
ABSURD_NS: Final = 86_400_000_000_000


class Skew:
    """The skew of one venue. Time is passed in."""

    def __init__(self, now_ns: int) -> None:
        self._window_ends_ns = now_ns + WINDOW_NS
        self._least_ns: int | None = None
        self._windows: deque[tuple[int, int]] = deque(maxlen=WINDOWS)  # end, least
        self._invalid_until_ns = 0

    def step(self, now_ns: int) -> None:
        """Forget what was measured: our own wall clock was set."""
        self._windows.clear()
        self._least_ns = None
        self._invalid_until_ns = now_ns + INVALID_NS

    def take(
        self,
        event_ns: npt.NDArray[np.int64],
        recv_ns: npt.NDArray[np.int64],
        wall_offset_ns: int,
        now_ns: int,
    ) -> npt.NDArray[np.int64]:
        """Take the stamps of some records; return the delays of those that have both.

        Negative delays are kept: they show the uncertainty of the two clocks.
        """
        has_both = (event_ns != TIME_NONE) & (event_ns > 0) & (recv_ns > 0)
        raw: npt.NDArray[np.int64]
        raw = recv_ns[has_both] + wall_offset_ns - event_ns[has_both]
        delays: npt.NDArray[np.int64] = raw[np.abs(raw) < ABSURD_NS]
        self._close_window(now_ns)
        if len(delays):
            least = int(delays.min())
            if self._least_ns is None or least < self._least_ns:
                self._least_ns = least
        return delays

    def is_certain(self, now_ns: int) -> bool:
        """Say whether no step of our clock is recent and the venue is not ahead."""
        skew = self.skew_ns
        return now_ns >= self._invalid_until_ns and skew is not None and skew >= 0

    @property
    def skew_ns(self) -> int | None:
        """The least delay of the last window that has one, None before."""
        if self._windows:
            return self._windows[-1][1]
        return self._least_ns

    @property
    def drift_ppm(self) -> float | None:
        """How much the delay grows, in microseconds a second; None before two."""
        if len(self._windows) < 2:
            return None
        (first_ns, first), (last_ns, last) = self._windows[0], self._windows[-1]
        return (last - first) / (last_ns - first_ns) * 1e6

    def _close_window(self, now_ns: int) -> None:
        if now_ns < self._window_ends_ns:
            return
        if self._least_ns is not None:
            self._windows.append((now_ns, self._least_ns))
        self._least_ns = None
        self._window_ends_ns = now_ns + WINDOW_NS
