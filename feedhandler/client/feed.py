"""Attach, read-only, from any process: what is the quote, how old, may I trade on it?

    with feedhandler.attach() as feed:
        quote = feed.quote("hyperliquid", "BTC-PERP")
        if quote and quote.tradable: ...

Needs no event loop and no thread, and never writes: the feeds do not know who reads
them. Not safe for use by two threads at once; attach once in each.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from types import TracebackType

import numpy as np
import numpy.typing as npt

from feedhandler import verdict
from feedhandler.client.follow import Follower, Losses, Record
from feedhandler.client.quote import Quote, unpack_status
from feedhandler.client.quotes import Quotes
from shm_layout import Reader, SegmentError, SegmentMissing, segment
from shm_layout.codes import (
    REASON_NO_VERDICT,
    REASON_RUNNER_DEAD,
    STATE_LIVE,
    STATE_UNKNOWN,
)

_LOOK_NS = 250_000_000  # how often a dead or missing segment is looked for again
_FEED = "feed:"
_RUNNER = "runner"
_LINK_MASK = 0xFFFF_FFFF


def attach(
    instance: str = "default", *, timeout_s: float = 0.0, heartbeat_limit_ms: int = 500
) -> Feed:
    """Attach to an instance's feeds and runner, waiting at most `timeout_s`.

    Raises `SegmentMissing` when nothing of that instance exists by then. A single
    missing feed is no error: its quotes are None until it appears.
    """
    feed = Feed(instance, heartbeat_limit_ms=heartbeat_limit_ms)
    deadline = time.monotonic() + timeout_s
    while not feed.venues and not feed.refresh():
        if time.monotonic() >= deadline:
            raise SegmentMissing(
                f"no feed is running: instance={instance}; start one with "
                "`feedhandler start` or `feedhandler start --demo`"
            )
        time.sleep(0.005)
    return feed


class _Entry:
    """Where one instrument's quote and verdict stand, bound for the next read."""

    __slots__ = ("fresh_ns", "index", "names", "read", "read_verdict", "verdict_index")

    def __init__(
        self,
        reader: Reader,
        index: int,
        names: tuple[str, str, str],
        fresh_ns: int,
        runner: Reader | None,
        verdict_index: int | None,
    ) -> None:
        self.read = reader.read_live
        self.index = index
        self.names = names  # venue, instrument, symbol
        self.fresh_ns = fresh_ns
        self.read_verdict = runner.read_live if runner is not None else None
        self.verdict_index = verdict_index


class Feed:
    """One instance's quotes, as seen by a reader. Use `attach`."""

    def __init__(self, instance: str, *, heartbeat_limit_ms: int = 500) -> None:
        self.instance = instance
        self._heartbeat_limit_ns = heartbeat_limit_ms * 1_000_000
        self._feeds: dict[str, Reader] = {}  # by venue
        self._runner: Reader | None = None
        self._entries: dict[tuple[str, str], _Entry] = {}
        self._losses = Losses()
        self._next_look_ns = 0

    @property
    def venues(self) -> list[str]:
        """The venues whose feed is attached, sorted."""
        return sorted(self._feeds)

    @property
    def lost(self) -> int:
        """Records that were overwritten before `follow` could read them."""
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
        record, heartbeat_ns, link = entry.read(entry.index)
        now_ns = time.monotonic_ns()
        writer_beats = 0 <= now_ns - heartbeat_ns <= self._heartbeat_limit_ns
        if not writer_beats:
            self._look(now_ns)  # for a later read: it may have been replaced
        if record is None:
            return None
        quote = Quote(record, now_ns, entry.names)
        state, reason = verdict.assess_one(
            quote.flags,
            quote.session,
            quote.recv_ns,
            quote.is_two_sided,
            entry.fresh_ns,
            now_ns,
            writer_beats,
            link & _LINK_MASK,
            link >> 32,
        )
        runner_state, runner_reason = self._verdict_of(entry, quote, now_ns)
        if state == STATE_LIVE:
            state, reason = runner_state, runner_reason
        quote.set_verdict(state, reason)
        return quote

    def quotes(self) -> npt.NDArray[np.void]:
        """Return every instrument's quote and verdict as one structured array.

        Fields: venue, instrument, symbol, feed_kind (text); bid, bid_size, ask,
        ask_size (NaN absent); event_ns, recv_ns, publish_ns, apply_ns (TIME_NONE
        absent); apply_age_ns, recv_age_ns, event_age_ns (-1 unknown for apply and recv,
        TIME_NONE for event); session, epoch, sequence, flags; state, reason, source
        (text); tradable (bool). An instrument that never spoke has kind 0 sizes NaN.
        """
        self._look(time.monotonic_ns())
        table = Quotes(self._feeds, self._runner, self._heartbeat_limit_ns)
        return table.read(time.monotonic_ns(), time.time_ns())

    def follow(
        self,
        venues: Iterable[str] | None = None,
        kinds: Iterable[str] | None = None,
        instruments: Iterable[str] | None = None,
        *,
        timeout_s: float | None = None,
        poll_s: float = 0.001,
        from_start: bool = False,
    ) -> Iterator[Record]:
        """Yield records as they are published, in order, from now on.

        With `from_start`, begin with what the rings still hold for certain, the newer
        half of each.
        `kinds` are quote, trade, funding, status. Waits for more for ever, or ends once
        nothing came for `timeout_s`. `lost` counts what was overwritten meanwhile.
        """
        follower = Follower(
            self.instance,
            venues,
            kinds,
            instruments,
            self._losses,
            from_start=from_start,
        )
        return follower.records(timeout_s, poll_s)

    def refresh(self) -> bool:
        """Attach what has appeared, let go of what was replaced; say if any feed is."""
        for name in segment.list_segments(self.instance):
            place = name.rpartition(".")[2]
            if place not in ("rest", "telemetry", "supervisor"):
                self._attach(place)
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

    def _verdict_of(self, entry: _Entry, quote: Quote, now_ns: int) -> tuple[int, int]:
        if entry.read_verdict is None or entry.verdict_index is None:
            self._look(now_ns)
            is_missing = self._runner is None
            return (
                STATE_UNKNOWN,
                REASON_RUNNER_DEAD if is_missing else REASON_NO_VERDICT,
            )
        record, heartbeat_ns, _ = entry.read_verdict(entry.verdict_index)
        # The heartbeat was loaded after `now_ns` was taken and may be younger.
        if not now_ns - heartbeat_ns <= self._heartbeat_limit_ns:
            self._look(now_ns)
            return STATE_UNKNOWN, REASON_RUNNER_DEAD
        if record is None:
            return STATE_UNKNOWN, REASON_NO_VERDICT
        session, apply_ns, epoch, state, reason = unpack_status(record)
        if session != quote.session or epoch != quote.epoch:
            return STATE_UNKNOWN, REASON_NO_VERDICT
        quote.apply_ns = apply_ns
        return state, reason

    def _look(self, now_ns: int) -> None:
        if now_ns >= self._next_look_ns:
            self._next_look_ns = now_ns + _LOOK_NS
            self.refresh()

    def _attach(self, place: str) -> None:
        old = self._runner if place == _RUNNER else self._feeds.get(place)
        if old is not None and old.is_current():
            return
        role = _RUNNER if place == _RUNNER else _FEED + place
        try:
            reader = Reader.attach(self.instance, role)
        except SegmentError:
            return  # not ready, or not ours: looked at again; `doctor` tells why
        if old is not None:
            old.close()
        if place == _RUNNER:
            self._runner = reader
        else:
            self._feeds[place] = reader

    def _rebuild_entries(self) -> None:
        verdicts = (
            {}
            if self._runner is None
            else {
                (entry.venue, entry.instrument): index
                for index, entry in enumerate(self._runner.instruments())
            }
        )
        self._entries = {
            (venue, entry.instrument): _Entry(
                reader,
                index,
                (venue, entry.instrument, entry.symbol),
                entry.fresh_ms * 1_000_000,
                self._runner,
                verdicts.get((venue, entry.instrument)),
            )
            for venue, reader in self._feeds.items()
            for index, entry in enumerate(reader.instruments())
            if entry.is_active
        }
