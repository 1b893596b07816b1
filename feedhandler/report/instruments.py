"""What one instrument showed over a run: ages, states, tradable time, funding."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from feedhandler.report.ages import AgeTrack
from feedhandler.report.blocks import Blocks
from feedhandler.report.spread import SIGNED_EDGES_MS
from feedhandler.report.tradable import TradableTrack

GOOD: Final = frozenset({"LIVE", "QUIET"})
FUNDING_STALE_MS: Final = 600_000.0  # venues publish it each minute or faster

# What is drawn in a band of states, the best first; the worst of a block is shown.
SEVERITY: Final = (
    "LIVE",
    "QUIET",
    "SYNCING",
    "UNKNOWN",
    "SUSPECT",
    "STALE",
    "QUARANTINED",
    "DOWN",
)
_RANKS: Final = {state: rank for rank, state in enumerate(SEVERITY)}
_LINE_BLOCKS: Final = 512


@dataclass(slots=True)
class Look:
    """One instrument in one sample; ages in ms, None where unknown."""

    state: str
    reason: str
    is_tradable: bool
    is_rest: bool  # REST alone is fresh
    apply_ms: float | None
    recv_ms: float | None
    event_ms: float | None
    confirmed_ms: float | None
    funding_ms: float | None
    quotes: int
    gap_max_ms: float


class InstrumentTrack:
    """Takes the looks at one instrument, in order of time."""

    def __init__(self, venue: str, instrument: str) -> None:
        self.venue = venue
        self.instrument = instrument
        self.quotes = 0
        self.seen_s = 0.0

        # Ages. Proof is younger than the quote where REST agreed with a quiet stream.
        self.apply = AgeTrack(with_blocks=True)
        self.proof = AgeTrack()
        self.event = AgeTrack(SIGNED_EDGES_MS)
        self.line = Blocks(keep="max", blocks_max=_LINE_BLOCKS)

        # States, by the sample at the beginning of each span.
        self.state_s: dict[str, float] = {}
        self.reason_s: dict[str, float] = {}
        self.tradable = TradableTrack()
        self.rest_s = 0.0
        self.band = Blocks(keep="max", blocks_max=_LINE_BLOCKS)
        self.flaps = Blocks()
        self.moves = 0
        self.bad_longest_s = 0.0
        self._bad_since_s: float | None = None

        # Funding.
        self.funding_first_s: float | None = None
        self.funding_max_ms: float | None = None
        self.funding_stale_s = 0.0

        self._last: Look | None = None
        self._last_s = 0.0

    def add(self, at_s: float, look: Look, is_whole: bool) -> None:
        """Take one sample; `is_whole` is False when some before it are missing."""
        last, span_s = self._last, at_s - self._last_s
        self.quotes += look.quotes
        ramps = self.apply.add(
            at_s, look.apply_ms, look.quotes, look.gap_max_ms, is_whole
        )
        self.proof.add(at_s, _proof_ms(look), look.quotes, look.gap_max_ms, is_whole)
        self._add_event(at_s, look, ramps)
        if ramps:
            self.line.add(at_s, max(high for _, high, _ in ramps))
        self.band.add(at_s, float(_RANKS.get(look.state, _RANKS["UNKNOWN"])))
        if last is not None:
            self.seen_s += span_s
            self.state_s[last.state] = self.state_s.get(last.state, 0.0) + span_s
            if last.reason:
                reason_s = self.reason_s.get(last.reason, 0.0)
                self.reason_s[last.reason] = reason_s + span_s
            if is_whole:
                word = f"{last.state} {last.reason}".strip()
                self.tradable.add(at_s, span_s, last.is_tradable, word)
            self.rest_s += span_s * last.is_rest
        self._follow_bad(at_s, look.state in GOOD)
        self._add_funding(at_s, look, span_s if last is not None else 0.0)
        self._last, self._last_s = look, at_s

    def add_missing(self, at_s: float, is_whole: bool) -> None:
        """Take a sample in which the instrument no longer is."""
        nothing = Look(
            "UNKNOWN",
            "not_listed",
            False,
            False,
            *(None,) * 5,
            quotes=0,
            gap_max_ms=0.0,
        )
        self.add(at_s, nothing, is_whole)

    def add_move(self, at_s: float, previous: str, state: str) -> None:
        """Take one change of state; a flap is one that leaves the good ones."""
        if previous == state:
            return  # the reason alone is new
        self.moves += 1
        self.flaps.add(at_s, float(previous in GOOD and state not in GOOD))

    def close(self) -> None:
        """Bring everything up to date."""
        for track in (self.apply, self.proof, self.event):
            track.close()
        if self._bad_since_s is not None:
            lasted_s = self._last_s - self._bad_since_s
            self.bad_longest_s = max(self.bad_longest_s, lasted_s)

    def _add_event(
        self, at_s: float, look: Look, ramps: list[tuple[float, float, float]]
    ) -> None:
        """Event-age is apply-age and how long the newest quote was under way."""
        last = self._last
        ways = [_way_ms(last), _way_ms(look)]
        if ways[0] is None:
            ways[0] = ways[1]
        if ways[1] is None:
            ways[1] = ways[0]
        if ways[0] is None or ways[1] is None or look.apply_ms is None:
            self.event.unknown_s += sum(n * (b - a) for a, b, n in ramps) / 1e3
            return
        shifted = [
            (low + ways[index > 0], high + ways[index > 0], count)  # type: ignore[operator]
            for index, (low, high, count) in enumerate(ramps)
        ]
        self.event.take(at_s, shifted)

    def _follow_bad(self, at_s: float, is_good: bool) -> None:
        if not is_good and self._bad_since_s is None:
            self._bad_since_s = at_s
        elif is_good and self._bad_since_s is not None:
            self.bad_longest_s = max(self.bad_longest_s, at_s - self._bad_since_s)
            self._bad_since_s = None

    def _add_funding(self, at_s: float, look: Look, span_s: float) -> None:
        age_ms = look.funding_ms
        if age_ms is None:
            if self.funding_first_s is not None:
                self.funding_stale_s += span_s
            return
        if self.funding_first_s is None:
            self.funding_first_s = at_s
        self.funding_max_ms = max(self.funding_max_ms or 0.0, age_ms)
        if age_ms > FUNDING_STALE_MS:
            self.funding_stale_s += span_s


def _way_ms(look: Look | None) -> float | None:
    if look is None or look.event_ms is None or look.apply_ms is None:
        return None
    way = look.event_ms - look.apply_ms
    return way if np.isfinite(way) else None


def _proof_ms(look: Look) -> float | None:
    """Return the age of the youngest proof that the quote still stands."""
    if look.state != "QUIET" or not look.is_tradable or look.confirmed_ms is None:
        return look.apply_ms
    if look.apply_ms is None:
        return None
    return min(look.apply_ms, look.confirmed_ms)
