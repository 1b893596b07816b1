"""The runner process: one loop that drains, stamps, judges and posts.

Owns the loop and its timing. It reads segments and its own clock, and nothing else: it
needs no event loop, because it never waits for more than one thing, a signal or the
next pass.
"""

from __future__ import annotations

import signal
import time
from types import FrameType

from feedhandler import log
from feedhandler.config import Config
from feedhandler.runner.board import Board
from feedhandler.runner.venue import VenueView
from shm_layout import (
    Reader,
    SegmentMissing,
    SegmentNotReady,
    SegmentRefused,
)
from shm_layout.codes import REASON_NAMES, STATE_NAMES
from shm_layout.limits import INSTRUMENTS_MAX

_BEAT_NS = 100_000_000
_ATTACH_NS = 250_000_000  # how often a missing or replaced segment is looked for
_PAUSE_TICKS = 3  # a gap of more ticks than this means that we were stopped
_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def run(config: Config) -> int:
    """Run until SIGTERM or SIGINT; return the exit code.

    Raises what `Writer.open` raises when the runner's segment cannot be had.
    """
    stop = _Stop()
    runner = Runner(config)
    log.event("runner_started", venues=",".join(runner.venues), epoch=runner.epoch)
    try:
        while not stop.is_asked:
            runner.step(time.monotonic_ns())
            stop.wait(runner.wait_ns(time.monotonic_ns()) / 1e9)
    finally:
        runner.close()
    log.event("runner_stopped")
    return 0


class _Stop:
    """Waits, and knows whether a signal asked to stop.

    The signals are blocked here, so that one is taken between passes and never inside
    one. A thread of a library, such as numpy's, does not block them and may take one
    too: then the handler notes it.
    """

    def __init__(self) -> None:
        self.is_asked = False
        for number in _SIGNALS:
            signal.signal(number, self._note)
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)

    def wait(self, timeout_s: float) -> None:
        """Wait for a signal, at most that long."""
        if signal.sigtimedwait(_SIGNALS, timeout_s) is not None:
            self.is_asked = True

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.is_asked = True


class Runner:
    """Everything one pass needs; `step` is the pass."""

    def __init__(self, config: Config) -> None:
        self.venues = config.enabled_venues()
        self._instance = config.instance
        self._pass_ns = config.runner.pass_ms * 1_000_000
        self._tick_ns = config.runner.tick_ms * 1_000_000
        self._budget = config.runner.budget
        self._heartbeat_limit_ns = config.runner.heartbeat_limit_ms * 1_000_000
        slots = config.shm.instruments * max(1, len(self.venues))
        self._board = Board(self._instance, min(slots, INSTRUMENTS_MAX))

        self._views: dict[str, VenueView] = {}
        self._refusals: dict[str, str] = {}  # venue -> reason last logged

        now_ns = time.monotonic_ns()
        self._last_pass_ns = now_ns
        self._next_pass_ns = now_ns
        self._next_tick_ns = now_ns
        self._next_beat_ns = now_ns
        self._next_attach_ns = now_ns
        self._suspended_until_ns = 0
        self._drained_count = 0

    @property
    def epoch(self) -> int:
        """Which runner of this segment we are."""
        return self._board.writer.epoch()

    def wait_ns(self, now_ns: int) -> int:
        """Return how long to wait until the next pass."""
        return max(0, self._next_pass_ns - now_ns)

    def step(self, now_ns: int) -> None:
        """Do everything that is due at `now_ns`."""
        self._notice_pause(now_ns)
        if now_ns >= self._next_attach_ns:
            self._next_attach_ns = now_ns + _ATTACH_NS
            self._attach_missing(now_ns)
        for venue, view in self._views.items():
            self._drain(venue, view)
        self._board.count_pass()
        if now_ns >= self._next_tick_ns:
            self._next_tick_ns = now_ns + self._tick_ns
            self._judge_all(now_ns)
        if now_ns >= self._next_beat_ns:
            self._next_beat_ns = now_ns + _BEAT_NS
            self._board.writer.beat(now_ns, self._drained_count)
        self._last_pass_ns = now_ns
        self._next_pass_ns = now_ns + self._pass_ns

    def close(self) -> None:
        """Let go of every segment; our own stays for the next runner to adopt."""
        for view in self._views.values():
            view.reader.close()
        self._views.clear()
        self._board.writer.close()

    def _notice_pause(self, now_ns: int) -> None:
        gap_ns = now_ns - self._last_pass_ns
        if gap_ns > _PAUSE_TICKS * self._tick_ns + self._heartbeat_limit_ns:
            # What waited in the rings is old: one window passes before we judge LIVE.
            self._suspended_until_ns = now_ns + self._heartbeat_limit_ns
            self._board.count_pause()
            log.event("runner_paused", gap_ms=gap_ns // 1_000_000)

    def _attach_missing(self, now_ns: int) -> None:
        self._board.writer.check_linked()
        for venue in self.venues:
            view = self._views.get(venue)
            if view is not None and not view.reader.is_current():
                view.reader.close()
                del self._views[venue]
                self._board.forget_venue(venue)
                view = None
            if view is None:
                view = self._attach(venue, now_ns)
            if view is not None:
                view.refresh_instruments(now_ns)
                self._board.enter_venue(venue, view)

    def _attach(self, venue: str, now_ns: int) -> VenueView | None:
        try:
            reader = Reader.attach(self._instance, f"feed:{venue}")
        except (SegmentMissing, SegmentNotReady):
            return None  # not started yet: looked for again
        except SegmentRefused as error:
            if self._refusals.get(venue) != error.reason:
                self._refusals[venue] = error.reason
                log.event("segment_refused", venue=venue, error=error)
            return None
        self._refusals.pop(venue, None)
        view = VenueView(reader, self._budget)
        view.start(now_ns)
        self._views[venue] = view
        log.event("attached", venue=venue, instruments=len(view.instruments))
        return view

    def _drain(self, venue: str, view: VenueView) -> None:
        if view.reader.head() == view.cursor:
            return
        # The stamp is taken before the copy: an age may be overstated by the copy's
        # time, never understated.
        drained = view.drain(time.monotonic_ns())
        self._drained_count += drained.count
        self._board.count_drained(venue, drained, view.lag)
        for index in drained.applied.tolist():
            if index < len(view.verdicts):
                self._board.post(venue, view, index, moved=False)

    def _judge_all(self, now_ns: int) -> None:
        is_suspended = now_ns < self._suspended_until_ns
        for venue, view in self._views.items():
            for index in view.judge(now_ns, self._heartbeat_limit_ns, is_suspended):
                self._board.post(venue, view, index, moved=True)
                known = view.verdicts[index]
                log.event(
                    "state",
                    venue=venue,
                    instrument=view.instruments[index].instrument,
                    state=STATE_NAMES[known.state],
                    reason=REASON_NAMES[known.reason],
                    previous=STATE_NAMES[known.previous],
                )
