"""Does the venue's REST snapshot show what its stream showed at that time?

    request begun ─────────────── answered ─▶ published         (the rest process)
          │ tops of the stream: ●  ●   ●   ●    │     │ settled
          └── REST lies within what these span ─┴─────┘ ─▶ agreement

A snapshot is of some moment between the two ends, so it may lie anywhere between the
least and the greatest of the tops of that time, with a tolerance: two ticks, or some
basis points. Several disagreements in a row make a quote suspect until one agrees, in
whichever session. Only the very same prices confirm it, as of the *start* of the
request: a market that is quiet shows them, and a stream that missed a move does not.

A price that jumped is in doubt until a check that began after it agrees: for ever once
one disagreed, and no longer than a limit while there is none.

Owns the history of tops and the comparison. Reads no clock and no shared memory.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from shm_layout.codes import FLAG_OUTLIER, TIME_NONE

SAMPLE_NS: Final = 40_000_000
SAMPLES_MAX: Final = 512  # 20 s: longer than any request of the rest process takes
SETTLE_NS: Final = 100_000_000  # what the stream may need to show the same
SCORE_WEIGHT: Final = 0.1
PENDING_MAX: Final = 4_096

_TOP: Final = np.dtype([("session", "u4"), ("bid", "f8"), ("ask", "f8")])

AGREED: Final = "agreed"
DISAGREED: Final = "disagreed"
DISCARDED: Final = "discarded"  # nothing to compare with


@dataclass(frozen=True, slots=True)
class Check:
    """One REST quote; times monotonic, `start_ns` is when its request began."""

    index: int  # in the feed's directory
    start_ns: int
    publish_ns: int
    bid: float
    ask: float


class Audit:
    """The checks of one venue, by its feed's index."""

    def __init__(
        self,
        instruments: int,
        tolerance_bps: int,
        misses_max: int,
        outlier_wait_ns: int = 0,
    ) -> None:
        # What agreed last, as of the start of the request, and with which record; it
        # confirms once the link has shown life since. Until then the one before does.
        self._agreed_ns = np.full(instruments, TIME_NONE, np.int64)
        self._agreed_sequence = np.zeros(instruments, np.uint64)
        self._advanced: set[int] = set()
        self._confirmed_ns = np.full(instruments, TIME_NONE, np.int64)
        self._confirmed_sequence = np.zeros(instruments, np.uint64)
        self.score = np.full(instruments, np.nan)  # 0 … 1; NaN before the first check
        self._misses = np.zeros(instruments, np.int64)
        self._misses_max = misses_max
        self._tolerance = tolerance_bps / 10_000

        # When its price jumped, and from when on REST shows what the stream shows.
        self.has_rest = False  # whether there is anybody who asks
        self._outlier_wait_ns = outlier_wait_ns
        self._outlier_ns = np.full(instruments, TIME_NONE, np.int64)
        self._believed_ns = np.full(instruments, TIME_NONE, np.int64)

        self._samples: deque[tuple[int, npt.NDArray[np.void]]] = deque(
            maxlen=SAMPLES_MAX
        )
        self._pending: deque[Check] = deque(maxlen=PENDING_MAX)

    @property
    def is_suspect(self) -> npt.NDArray[np.bool_]:
        """Of each instrument: whether its last checks disagreed."""
        return self._misses >= self._misses_max

    @property
    def is_missed(self) -> npt.NDArray[np.bool_]:
        """Of each instrument: whether its last check disagreed."""
        return self._misses > 0

    def suspect(self, index: int) -> None:
        """Take over that its last checks disagreed."""
        self._misses[index] = self._misses_max

    def doubt(self, tops: npt.NDArray[np.void], now_ns: int) -> npt.NDArray[np.bool_]:
        """Return whose price jumped, and no check has agreed with it yet."""
        count = len(tops)
        outlier_ns, believed_ns = self._outlier_ns[:count], self._believed_ns[:count]
        where = (tops["flags"] & FLAG_OUTLIER) != 0
        outlier_ns[where] = tops["recv_ns"][where]
        is_waiting = outlier_ns > now_ns - self._outlier_wait_ns
        is_refuted = self._misses[:count] > 0
        result: npt.NDArray[np.bool_] = (outlier_ns > believed_ns) & (
            (is_waiting & self.has_rest) | is_refuted
        )
        return result

    def confirmed_ns(self, tops: npt.NDArray[np.void]) -> npt.NDArray[np.int64]:
        """Return since when each of these records is confirmed; TIME_NONE if not.

        A record is confirmed by a check that was compared with it: not by one of its
        predecessor, which a late publish may follow.
        """
        count = len(tops)
        is_same = self._confirmed_sequence[:count] == tops["sequence"]
        return np.where(is_same, self._confirmed_ns[:count], TIME_NONE)

    def cover(self, ticks_ns: npt.NDArray[np.int64]) -> None:
        """Let agreements confirm whose instrument's liveness channel ticked since."""
        count = len(ticks_ns)
        agreed_ns = self._agreed_ns[:count]
        where = np.flatnonzero(
            (agreed_ns > self._confirmed_ns[:count]) & (ticks_ns >= agreed_ns)
        )
        self._advanced.update(where.tolist())
        self._confirmed_ns[where] = self._agreed_ns[where]
        self._confirmed_sequence[where] = self._agreed_sequence[where]

    def take_advanced(self) -> set[int]:
        """Return whose confirmation is younger than at the last call."""
        advanced, self._advanced = self._advanced, set()
        return advanced

    def confirmed_of(self, index: int, sequence: int) -> int:
        """Return the same of one instrument's record."""
        if int(self._confirmed_sequence[index]) != sequence:
            return TIME_NONE
        return int(self._confirmed_ns[index])

    def sample(self, tops: npt.NDArray[np.void], now_ns: int) -> None:
        """Remember what the stream shows now, unless a sample is young."""
        if self._samples and now_ns - self._samples[-1][0] < SAMPLE_NS:
            return
        sample = np.zeros(len(tops), _TOP)
        for name in _TOP.names or ():
            sample[name] = tops[name]
        self._samples.append((now_ns, sample))

    def expect(self, check: Check) -> None:
        """Take a REST quote; it is compared once the stream has settled."""
        self._pending.append(check)

    def forget(self) -> None:
        """Begin another session: other tops, but what is in doubt stays so."""
        self._agreed_ns[:] = self._confirmed_ns[:] = TIME_NONE
        self._pending.clear()
        self._samples.clear()

    def settle(
        self, tops: npt.NDArray[np.void], ticks: npt.NDArray[np.float64], now_ns: int
    ) -> list[tuple[int, str]]:
        """Compare what is due; return (index, AGREED | DISAGREED | DISCARDED)."""
        results = []
        for _ in range(len(self._pending)):
            check = self._pending.popleft()
            if now_ns < check.publish_ns + SETTLE_NS:
                self._pending.append(check)
                continue
            result = self._compare(check, tops, ticks, now_ns)
            self._note(check, result, tops)
            results.append((check.index, result))
        return results

    def _note(self, check: Check, result: str, tops: npt.NDArray[np.void]) -> None:
        if result == DISCARDED:
            return
        index, is_agreed = check.index, result == AGREED
        old = self.score[index]
        if np.isnan(old):
            self.score[index] = float(is_agreed)
        else:
            self.score[index] = old + SCORE_WEIGHT * (is_agreed - old)
        if not is_agreed:
            self._misses[index] += 1
            self._agreed_ns[index] = self._confirmed_ns[index] = TIME_NONE
            return
        self._misses[index] = 0
        # What began less than that after the jump may be compared with tops before it.
        self._believed_ns[index] = check.start_ns - SETTLE_NS
        if _is_same(check, tops[index]):
            self._agreed_ns[index] = check.start_ns
            self._agreed_sequence[index] = tops[index]["sequence"]

    def _compare(
        self,
        check: Check,
        tops: npt.NDArray[np.void],
        ticks: npt.NDArray[np.float64],
        now_ns: int,
    ) -> str:
        index = check.index
        if not check.start_ns <= check.publish_ns <= now_ns or index >= len(tops):
            return DISCARDED
        shown = self._shown(check, tops[index])
        if shown is None:
            return DISCARDED
        return AGREED if self._agrees(check, shown, float(ticks[index])) else DISAGREED

    def _agrees(self, check: Check, shown: list[np.void], tick: float) -> bool:
        return all(
            self._lies_within(price, [float(top[side]) for top in shown], tick)
            for side, price in (("bid", check.bid), ("ask", check.ask))
        )

    def _shown(self, check: Check, top: np.void) -> list[np.void] | None:
        """Return the tops from the one in force at the start on; None if unknown."""
        before: np.void | None = None
        shown = []
        for at_ns, sample in self._samples:
            if check.index >= len(sample):
                continue  # the instrument was not there yet
            if at_ns <= check.start_ns:
                before = sample[check.index]
            elif at_ns <= check.publish_ns + SETTLE_NS:
                shown.append(sample[check.index])
        if before is None:
            return None
        shown.insert(0, before)
        if any(each["session"] != top["session"] for each in shown):
            return None  # of two sessions, or of none
        return shown

    def _lies_within(self, price: float, values: list[float], tick: float) -> bool:
        sound = [value for value in values if value == value]
        if price != price:
            return len(sound) < len(values)  # absent, as the stream had it
        if not sound:
            return False
        tolerance = max(abs(price) * self._tolerance, 2 * tick if tick == tick else 0.0)
        return min(sound) - tolerance <= price <= max(sound) + tolerance


def _is_same(check: Check, top: np.void) -> bool:
    """Say whether both sides are the same to fifteen digits, or absent in both."""
    return all(
        math.isclose(price, value, rel_tol=1e-12) or (price != price and value != value)
        for price, value in (
            (check.bid, float(top["bid"])),
            (check.ask, float(top["ask"])),
        )
    )
