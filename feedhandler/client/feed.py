"""One instance, seen by a reader: what is the quote, how old, may I trade on it?

    with feedhandler.attach() as feed:
        feed.wait_ready(["hyperliquid:BTC-PERP"], timeout_s=10)
        quote = feed.quote("hyperliquid", "BTC-PERP")
        if quote and quote.tradable: ...

Needs no event loop and no thread, and never writes, but a follower with a name its own
segment: the feeds do not know who reads them. Not safe for use by two threads at once;
attach once in each.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from types import TracebackType

import numpy as np
import numpy.typing as npt

from feedhandler.client.entries import Entry, make_entries
from feedhandler.client.follow import Follower, Losses, Record
from feedhandler.client.funding import STALE_AFTER_S, Funding, unpack_funding
from feedhandler.client.quote import Quote
from feedhandler.client.quotes import Quotes
from feedhandler.client.ready import NO_FEED, NOT_LISTED, NotReady, parse_names
from shm_layout import Reader, SegmentError, segment
from shm_layout.codes import REASON_NAMES, REASON_WRITER_DEAD, TIME_NONE

_LOOK_NS = 250_000_000  # how often a dead or missing segment is looked for again
_POLL_S = 0.005
_FEED = "feed:"
_RUNNER = "runner"
_WRITER_DEAD = REASON_NAMES[REASON_WRITER_DEAD]


class Feed:
    """One instance's quotes, as seen by a reader. Use `attach`."""

    def __init__(
        self,
        instance: str,
        *,
        heartbeat_limit_ms: int = 500,
        quiet_confirm_ms: int = 15_000,
    ) -> None:
        self.instance = instance
        self._heartbeat_limit_ns = heartbeat_limit_ms * 1_000_000
        self._confirm_limit_ns = quiet_confirm_ms * 1_000_000
        self._feeds: dict[str, Reader] = {}  # by venue
        self._runner: Reader | None = None
        self._quotes = Quotes(
            self._feeds,
            self._heartbeat_limit_ns,
            self._confirm_limit_ns,
            time.monotonic_ns,
        )
        self._entries: dict[tuple[str, str], Entry] = {}
        self._made_from: tuple[object, ...] = ()  # what the entries were made from
        self._losses = Losses()
        self._next_look_ns = 0

    @property
    def venues(self) -> list[str]:
        """The venues whose feed is attached, sorted."""
        return sorted(self._feeds)

    @property
    def lost(self) -> int:
        """Records that were overwritten before any follower could read them."""
        return self._losses.count

    def quote(self, venue: str, instrument: str) -> Quote | None:
        """Return the newest quote with its verdict, or None when there is none yet.

        One consistent read: the record cannot be torn, and its verdict counts only if
        it was made for the same epoch and session.
        """
        entry = self._entries.get((venue, instrument))
        if entry is None:
            self._look(time.monotonic_ns())
            entry = self._entries.get((venue, instrument))
            if entry is None:
                return None
        fields = entry.read()
        if fields is None:
            self._look(time.monotonic_ns())  # for a later read, as below
            return None
        quote = Quote(entry.names, fields)
        if quote.apply_ns == TIME_NONE or quote.reason == _WRITER_DEAD:
            self._look(quote.read_ns)  # feed or runner may have been replaced
        return quote

    def funding(
        self, venue: str, instrument: str, *, stale_after_s: float = STALE_AFTER_S
    ) -> Funding | None:
        """Return the newest funding of an instrument, or None when there is none yet.

        It stays readable when its feed is dead; `is_stale` above `stale_after_s`.
        """
        entry = self._entries.get((venue, instrument))
        if entry is None:
            self._look(time.monotonic_ns())
            entry = self._entries.get((venue, instrument))
            if entry is None:
                return None
        record = entry.read_funding(entry.index)
        now_ns = time.monotonic_ns()
        if record is None:
            self._look(now_ns)  # for a later read: the segment may have been replaced
            return None
        limit_ns = int(stale_after_s * 1e9)
        funding = unpack_funding(record, entry.names, now_ns, limit_ns)
        if funding.is_stale:
            self._look(now_ns)
        return funding

    def wait_ready(self, names: Iterable[str], timeout_s: float = 30.0) -> None:
        """Wait until every named quote is tradable, all of them at one look.

        Names are `venue:instrument`. Raises `NotReady`, which says who is missing and
        why, once `timeout_s` is over; `ValueError` for a name that is none.
        """
        wanted = parse_names(names)
        deadline = time.monotonic() + timeout_s
        while not self._are_tradable(wanted.values()):
            if time.monotonic() >= deadline:
                missing = self._missing(wanted)
                if not missing:
                    return  # became tradable while we looked for the reason
                raise NotReady(missing, timeout_s)
            time.sleep(_POLL_S)

    def quotes(self) -> npt.NDArray[np.void]:
        """Return every instrument's quote and verdict as one structured array.

        Fields: venue, instrument, symbol, feed_kind (text); bid, bid_size, ask,
        ask_size (NaN absent); event_ns, recv_ns, publish_ns, apply_ns (TIME_NONE
        absent); apply_age_ns, recv_age_ns, event_age_ns (-1 unknown for apply and recv,
        TIME_NONE for event); session, epoch, sequence, flags; state, reason, source
        (text); tradable (bool). An instrument that never spoke has kind 0 sizes NaN.
        """
        self._look(time.monotonic_ns())
        return self._quotes.read(self._runner, time.monotonic_ns(), time.time_ns())

    def follow(
        self,
        venues: Iterable[str] | None = None,
        kinds: Iterable[str] | None = None,
        instruments: Iterable[str] | None = None,
        *,
        timeout_s: float | None = None,
        poll_s: float = 0.001,
        from_start: bool = False,
        name: str | None = None,
    ) -> Iterator[Record]:
        """Yield records as they are published, in order, from now on.

        With `from_start`, begin with what the rings still hold for certain, the newer
        half of each. `kinds` are quote, trade, funding, status. Waits for more for
        ever, or ends once nothing came for `timeout_s`. `lost` counts what was
        overwritten meanwhile. `name` is that of `follower`.
        """
        follower = self.follower(
            venues, kinds, instruments, from_start=from_start, name=name
        )
        return follower.records(timeout_s, poll_s)

    def follower(
        self,
        venues: Iterable[str] | None = None,
        kinds: Iterable[str] | None = None,
        instruments: Iterable[str] | None = None,
        *,
        from_start: bool = False,
        name: str | None = None,
    ) -> Follower:
        """Return what `follow` reads with, for a loop of one's own.

        Its `poll` returns at once with the records published since the last poll. Close
        it, or use it as a context.

        With a `name`, 1 to 32 of a-z 0-9 _, it registers: `status` and telemetry show
        its lag and losses, from a small segment that this process writes at each poll.
        Raises `ValueError` for any other name and `SegmentBusy` while a reader has it;
        a dead reader's is taken over. In a forked child `poll` raises `OwnershipLost`.
        """
        wanted = (venues, kinds, instruments)
        return Follower(
            self.instance, *wanted, self._losses, from_start=from_start, name=name
        )

    def refresh(self) -> bool:
        """Attach what has appeared, let go of what was replaced; say if any feed is."""
        for name in segment.list_segments(self.instance):
            role = segment.role_of(name)
            if role == _RUNNER or role.startswith(_FEED):
                self._attach(role)
        self._rebuild_entries()
        return bool(self._feeds)

    def close(self) -> None:
        """Let go of every segment."""
        for reader in [*self._feeds.values(), self._runner]:
            if reader is not None:
                reader.close()
        self._feeds.clear()
        self._runner = None
        self._entries.clear()

    def __enter__(self) -> Feed:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _look(self, now_ns: int) -> None:
        if now_ns >= self._next_look_ns:
            self._next_look_ns = now_ns + _LOOK_NS
            self.refresh()

    def _are_tradable(self, wanted: Iterable[tuple[str, str]]) -> bool:
        for venue, instrument in wanted:
            quote = self.quote(venue, instrument)
            if quote is None or not quote.tradable:
                return False
        return True

    def _missing(
        self, wanted: Mapping[str, tuple[str, str]]
    ) -> dict[str, tuple[str, str]]:
        """Return state and reason of what is not tradable, by its name."""
        known = {
            (row["venue"], row["instrument"]): row
            for row in self.quotes()[
                ["venue", "instrument", "state", "reason", "tradable"]
            ]
        }
        missing = {}
        for name, key in wanted.items():
            row = known.get(key)
            if row is None:
                missing[name] = NOT_LISTED if key[0] in self._feeds else NO_FEED
            elif not row["tradable"]:
                missing[name] = (str(row["state"]), str(row["reason"]))
        return missing

    def _attach(self, role: str) -> None:
        venue = role.removeprefix(_FEED)
        old = self._runner if role == _RUNNER else self._feeds.get(venue)
        if old is not None and old.is_current():
            return
        try:
            reader = Reader.attach(self.instance, role)
        except SegmentError:
            return  # not ready, or not ours: looked at again; `doctor` tells why
        if old is not None:
            old.close()
        if role == _RUNNER:
            self._runner = reader
        else:
            self._feeds[venue] = reader

    def _rebuild_entries(self) -> None:
        made_from = (
            self._runner,
            () if self._runner is None else self._runner.instruments(),
            *((reader, reader.instruments()) for reader in self._feeds.values()),
        )
        if made_from != self._made_from:
            self._made_from = made_from
            self._entries = make_entries(
                self._feeds,
                self._runner,
                self._heartbeat_limit_ns,
                self._confirm_limit_ns,
            )
