"""One sample: what every segment shows at one instant, as columns of venues and quotes.

Owns what a sample remembers from the one before: the cursors in the rings and the
counts that rates come from.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np

from feedhandler.config import Config
from feedhandler.telemetry.follow import Cadence, FeedFollower, MoveFollower
from feedhandler.telemetry.look import (
    FeedLook,
    QuoteLook,
    SlotsLook,
    judge,
    look_at_feed,
    look_at_slots,
    shown_kind,
    stamp,
)
from feedhandler.telemetry.records import AGE_UNKNOWN, SCHEMA, Move, Sample
from feedhandler.telemetry.sources import REST, RUNNER, Sources
from feedhandler.verdict import is_beating
from shm_layout.codes import LINK_NAMES, REASON_NAMES, STATE_NAMES
from shm_layout.schema import QUOTE, STATUS

MS: Final = 1_000_000
NO_FEED: Final = "no_feed"  # reasons where no quote has one
NOT_LISTED: Final = "not_listed"

# The worst of its instruments is the venue's state; this is what worse means.
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

_FEED_COUNTS: Final = ("frames", "published", "unchanged")
_RING_COUNTS: Final = {  # column -> the runner's counter
    "ring_lag": "lag",
    "ring_laps": "laps",
    "ring_lost": "lost",
    "ring_drained": "drained",
    "budget_hits": "budget_hits",
}

Columns = dict[str, list[Any]]
Clock = Callable[[], int]


class Sampler:
    """Makes one sample after the other."""

    def __init__(self, config: Config, venues: Sequence[str], sources: Sources) -> None:
        self.expected = tuple(venues)
        self.cadence = Cadence()
        self._sources = sources
        self._config = config
        self._heartbeat_limit_ns = config.runner.heartbeat_limit_ms * MS
        self._confirm_limit_ns = config.runner.quiet_confirm_ms * MS
        self._followers: dict[str, FeedFollower] = {}
        self._lost: dict[str, int] = {}  # of followers that are gone, by venue
        self._moves: MoveFollower | None = None
        self._frames: dict[str, tuple[int, int]] = {}  # venue -> (now_ns, frames)

    def sample(self, number: int, clock: Clock, wall_minus_mono_ns: int) -> Sample:
        """Read everything once. `clock` is the monotonic one; see `look`."""
        readers = self._sources.feeds()
        feeds = {venue: look_at_feed(reader) for venue, reader in readers.items()}
        runner = look_at_slots(self._sources.readers.get(RUNNER), STATUS)
        rest = look_at_slots(self._sources.readers.get(REST), QUOTE)
        for venue in {*feeds, *self._followers}:
            self._follow(venue, feeds.get(venue), wall_minus_mono_ns)
        now_ns = clock()

        columns: Columns = {name: [] for name in Sample.__struct_fields__[4:]}
        for venue in sorted({*self.expected, *feeds}):
            feed = feeds.get(venue)
            quotes = self._quotes(venue, feed, runner, now_ns)
            _append(columns, self._venue(venue, feed, runner, quotes, now_ns))
            _append(columns, _ages(feed, quotes, now_ns, now_ns + wall_minus_mono_ns))
            for quote in quotes:
                key = (venue, quote.instrument)
                checked_ns = stamp(runner.slots.get(key), "confirmed_ns")
                rest_ns = stamp(rest.slots.get(key), "recv_ns")
                row = _quote(venue, feed, quote, checked_ns, rest_ns, now_ns)
                event_ns, wall_ns = quote.event_ns, now_ns + wall_minus_mono_ns
                row["event_age_ms"] = (
                    None if event_ns is None else _ms(wall_ns - event_ns)
                )
                _append(columns, row | self._cadence_of(venue, quote))
        return Sample(
            schema=SCHEMA,
            number=number,
            ts_ms=(now_ns + wall_minus_mono_ns) // MS,
            ts_mono_ns=now_ns,
            **columns,
        )

    def moves(self, wall_minus_mono_ns: int) -> list[Move]:
        """Return the changes of state since the last call."""
        runner = self._sources.readers.get(RUNNER)
        if runner is None:
            self._moves = None
            return []
        if self._moves is None or self._moves.reader is not runner:
            self._moves = MoveFollower(runner)
        return [
            Move(
                schema=SCHEMA,
                ts_ms=(wall_minus_mono_ns + int(row["publish_ns"])) // MS,
                ts_mono_ns=int(row["publish_ns"]),
                venue=entry.venue,
                instrument=entry.instrument,
                state=STATE_NAMES.get(int(row["state"]), "UNKNOWN"),
                reason=REASON_NAMES.get(int(row["reason"]), "unknown"),
                previous=STATE_NAMES.get(int(row["previous"]), "UNKNOWN"),
                since_ns=int(row["since_ns"]),
                moves=int(row["moves"]),
                session=int(row["session"]),
            )
            for entry, row in self._moves.drain()
        ]

    def _quotes(
        self, venue: str, feed: FeedLook | None, runner: SlotsLook, now_ns: int
    ) -> list[QuoteLook]:
        """Return the venue's quotes, also those that nobody publishes."""
        shown: list[QuoteLook] = []
        if feed is not None:
            limits = (self._heartbeat_limit_ns, self._confirm_limit_ns)
            shown = judge(venue, feed, runner, now_ns, *limits)
        section = self._config.venue.get(venue)
        if section is None or venue not in self.expected:
            return shown
        known = {quote.instrument for quote in shown}
        return shown + [
            QuoteLook(
                instrument=name,
                index=None,
                feed_kind=shown_kind(section.feed_kind),
                state="UNKNOWN",
                reason=NO_FEED if feed is None else NOT_LISTED,
                source="",
            )
            for name in section.instruments
            if name not in known
        ]

    def _follow(
        self, venue: str, feed: FeedLook | None, wall_minus_mono_ns: int
    ) -> None:
        follower = self._followers.get(venue)
        reader = None if feed is None else feed.reader
        if follower is not None and follower.reader is not reader:
            self._lost[venue] = self._lost.get(venue, 0) + follower.lost
            del self._followers[venue]
            follower = None
        if feed is None:
            return
        if follower is None:
            follower = FeedFollower(venue, feed.reader, self.cadence)
            self._followers[venue] = follower
        names = [f"{venue}:{entry.instrument}" for entry in feed.instruments]
        follower.reset()
        follower.drain(names, wall_minus_mono_ns)

    def _venue(
        self,
        venue: str,
        feed: FeedLook | None,
        runner: SlotsLook,
        quotes: list[QuoteLook],
        now_ns: int,
    ) -> dict[str, Any]:
        counts: Mapping[str, int] = {} if feed is None else feed.counters
        follower = self._followers.get(venue)
        skew_ns = None if follower is None else follower.skew_ns
        lost = self._lost.get(venue, 0) + (0 if follower is None else follower.lost)
        states = [quote.state for quote in quotes]
        rejected = sum(group(counts, "rejected").values())
        row: dict[str, Any] = {
            "venues": venue,
            "feed_kind": quotes[0].feed_kind if quotes else "",
            "venue_state": max(states, key=SEVERITY.index, default="UNKNOWN"),
            "link": self._link_name(feed, now_ns),
            "session": None if feed is None else feed.session,
            "epoch": None if feed is None else feed.epoch,
            "exchange_skew_ms": None if skew_ns is None else _ms(skew_ns),
            "reconnects": group(counts, "reconnects"),
            "resyncs": group(counts, "resyncs"),
            "rejected": None if feed is None else rejected,
            "frames_hz": self._rate(venue, counts.get("frames"), now_ns),
            "ring_head": None if feed is None else feed.head,
            "follow_lost": lost,
        }
        for name in _FEED_COUNTS:
            row[name] = counts.get(name)
        for name, counter in _RING_COUNTS.items():
            row[name] = runner.counters.get(f"{counter}.{venue}")
        return row

    def _cadence_of(self, venue: str, quote: QuoteLook) -> dict[str, int]:
        follower = self._followers.get(venue)
        if follower is None or quote.index is None:
            return {"quotes": 0, "gap_max_ns": 0}
        return {
            "quotes": int(follower.quotes[quote.index]),
            "gap_max_ns": int(follower.gap_max_ns[quote.index]),
        }

    def _link_name(self, feed: FeedLook | None, now_ns: int) -> str:
        if feed is None:
            return "ABSENT"
        if not is_beating(feed.heartbeat_ns, now_ns, self._heartbeat_limit_ns):
            return "DEAD"
        return LINK_NAMES.get(feed.link, "DOWN")

    def _rate(self, venue: str, frames: int | None, now_ns: int) -> float | None:
        if frames is None:
            self._frames.pop(venue, None)
            return None
        last = self._frames.get(venue)
        self._frames[venue] = (now_ns, frames)
        if last is None or now_ns <= last[0] or frames < last[1]:
            return None
        return round((frames - last[1]) * 1e9 / (now_ns - last[0]), 1)


def to_ms(age_ns: int, digits: int = 3) -> float:
    """Return milliseconds; unknown stays what it is."""
    return AGE_UNKNOWN if age_ns == AGE_UNKNOWN else _ms(age_ns, digits)


def group(counters: Mapping[str, int], prefix: str) -> dict[str, int]:
    """Return the counters below a dotted prefix that are not zero."""
    start = f"{prefix}."
    return {
        name.removeprefix(start): value
        for name, value in counters.items()
        if value and name.startswith(start)
    }


def _append(columns: Columns, row: Mapping[str, Any]) -> None:
    for name, value in row.items():
        columns[name].append(value)


def _ages(
    feed: FeedLook | None, quotes: list[QuoteLook], now_ns: int, wall_ns: int
) -> dict[str, float | None]:
    """Return the ages of a venue: those of its youngest quote."""
    applied = [quote.apply_ns for quote in quotes if quote.apply_ns is not None]
    events = [quote.event_ns for quote in quotes if quote.event_ns is not None]
    tick_ns = None if feed is None else feed.liveness_ns or None
    return {
        "venue_age_ms": to_ms(_age(max(applied, default=None), now_ns)),
        "venue_age_event_ms": _ms(wall_ns - max(events)) if events else None,
        "liveness_age_ms": to_ms(_age(tick_ns, now_ns), 1),
    }


def _quote(
    venue: str,
    feed: FeedLook | None,
    quote: QuoteLook,
    checked_ns: int | None,
    rest_ns: int | None,
    now_ns: int,
) -> dict[str, Any]:
    source = quote.source or "NONE"
    if not quote.tradable and rest_ns is not None:
        if quote.recv_ns is None or rest_ns > quote.recv_ns:
            source = "REST"
    funding = None
    if feed is not None and quote.index is not None:
        funding = feed.fundings[quote.index]
    rate, funding_age_ms = _funding(funding, now_ns)
    return {
        "instruments": f"{venue}:{quote.instrument}",
        "states": quote.state,
        "reasons": quote.reason,
        "sources": source,
        "tradable": int(quote.tradable),
        "apply_age_ns": _age(quote.apply_ns, now_ns),
        "recv_age_ns": _age(quote.recv_ns, now_ns),
        "rest_age_ms": to_ms(_age(rest_ns, now_ns), 1),
        "confirmed_age_ms": to_ms(_age(checked_ns, now_ns), 1),
        "funding_rate": rate,
        "funding_age_ms": funding_age_ms,
    }


def _age(stamp_ns: int | None, now_ns: int) -> int:
    return AGE_UNKNOWN if stamp_ns is None else max(0, now_ns - stamp_ns)


def _ms(age_ns: int, digits: int = 3) -> float:
    return round(age_ns / MS, digits)


def _funding(record: Any, now_ns: int) -> tuple[float | None, float]:
    recv_ns = stamp(record, "recv_ns")
    if recv_ns is None:
        return None, AGE_UNKNOWN
    rate = float(record["rate_per_hour"])
    # What a venue sends has at most ten digits; the rest is of dividing by its hours.
    known = None if np.isnan(rate) else float(f"{rate:.12g}")
    return known, to_ms(_age(recv_ns, now_ns), 1)
