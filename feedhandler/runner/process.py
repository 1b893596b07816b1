"""The runner process: one loop that drains, stamps, judges, posts and enforces.

    pass   every `pass_ms`        drain all rings
    tick   every `tick_ms`        compare REST checks, judge, post moves
    look   every `ladder.poll_ms` the ladder

Owns the loop and its timing. It reads segments and its own clocks, and nothing else: it
needs no event loop, because it never waits for more than one thing, a signal or the
next pass.
"""

from __future__ import annotations

import signal
from dataclasses import replace
from types import FrameType

from feedhandler import log
from feedhandler.config import Config
from feedhandler.runner.board import Board
from feedhandler.runner.clocks import Clocks, ClockWatch
from feedhandler.runner.enforcer import Enforcer, grace_ns
from feedhandler.runner.evidence import Limits
from feedhandler.runner.rest_side import RestSide
from feedhandler.runner.skew import Skew
from feedhandler.runner.states import Recovery
from feedhandler.runner.venue import VenueView
from shm_layout import (
    Reader,
    SegmentMissing,
    SegmentNotReady,
    SegmentRefused,
)
from shm_layout.codes import (
    FLAG_REPLAYED,
    FLAG_SYNCING,
    FLAG_UNCHANGED,
    KIND_FUNDING,
    REASON_NAMES,
    STATE_NAMES,
)
from shm_layout.limits import INSTRUMENTS_MAX

_OLD = FLAG_REPLAYED | FLAG_SYNCING | FLAG_UNCHANGED
_BEAT_NS = 100_000_000
_ATTACH_NS = 250_000_000  # how often a missing or replaced segment is looked for
_SKEW_NS = 1_000_000_000
_MS = 1_000_000
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
            runner.step(runner.clocks.monotonic_ns())
            stop.wait(runner.wait_ns(runner.clocks.monotonic_ns()) / 1e9)
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
        taken = signal.sigtimedwait(_SIGNALS, timeout_s)
        # Interrupted by SIGCONT, it may return what is no signal at all (CPython).
        if taken is not None and taken.si_signo in _SIGNALS:
            self.is_asked = True

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.is_asked = True


class Runner:
    """Everything one pass needs; `step` is the pass."""

    def __init__(self, config: Config, clocks: Clocks | None = None) -> None:
        self.clocks = clocks or Clocks()
        self.venues = config.enabled_venues()
        self._config = config
        self._instance = config.instance
        self._pass_ns = config.runner.pass_ms * _MS
        self._tick_ns = config.runner.tick_ms * _MS
        self._heartbeat_limit_ns = config.runner.heartbeat_limit_ms * _MS
        self._outlier_wait_ns = config.runner.outlier_wait_ms * _MS
        slots = config.shm.instruments * max(1, len(self.venues))
        self._board = Board(self._instance, min(slots, INSTRUMENTS_MAX))

        now_ns = self.clocks.monotonic_ns()
        self._views: dict[str, VenueView] = {}
        self._skews = {venue: Skew(now_ns) for venue in self.venues}
        self._rest = RestSide(self._instance)
        self._refusals: dict[str, str] = {}  # venue -> reason last logged
        self._enforcer = Enforcer(config, self._board, now_ns)
        # Quotes from before a sleep stay old, whichever runner saw the sleep, or none.
        asleep_ns, self._not_before_ns = self._board.sleeps() or (None, 0)
        self._watch = ClockWatch(self.clocks, asleep_ns)

        self._last_pass_ns = now_ns
        self._next_pass_ns = now_ns
        self._next_tick_ns = now_ns
        self._next_beat_ns = now_ns
        self._next_attach_ns = now_ns
        self._next_skew_ns = now_ns
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
        began_ns = self.clocks.monotonic_ns()
        drained_before = self._drained_count
        self._notice_pause(now_ns)
        self._look_at_clocks(now_ns)
        if now_ns >= self._next_attach_ns:
            self._next_attach_ns = now_ns + _ATTACH_NS
            self._attach_missing(now_ns)
        for venue, view in self._views.items():
            self._drain(venue, view)
        for venue, instrument, check in self._rest.drain():
            found = self._views.get(venue)
            index = found.index_of(instrument) if found is not None else None
            if found is not None and index is not None:
                found.audit.expect(replace(check, index=index))
        if now_ns >= self._next_tick_ns:
            self._next_tick_ns = now_ns + self._tick_ns
            self._judge_all(now_ns)
            self._enforcer.look(self._views, now_ns)
        self._board.remember_sleeps(self._watch.asleep_ns, self._not_before_ns)
        if now_ns >= self._next_beat_ns:
            self._next_beat_ns = now_ns + _BEAT_NS
            self._board.writer.beat(now_ns, self._drained_count)
        took_ns = self.clocks.monotonic_ns() - began_ns
        self._board.count_pass(took_ns, self._drained_count - drained_before)
        self._last_pass_ns = now_ns
        # Who is behind goes on at once: a burst is taken budget by budget.
        is_behind = any(view.lag for view in self._views.values())
        self._next_pass_ns = now_ns + (0 if is_behind else self._pass_ns)

    def close(self) -> None:
        """Let go of every segment; our own stays for the next runner to adopt."""
        for view in self._views.values():
            view.reader.close()
        self._views.clear()
        self._rest.close()
        self._enforcer.close()
        self._board.writer.close()

    # --- Time -----------------------------------------------------------------------

    def _notice_pause(self, now_ns: int) -> None:
        gap_ns = now_ns - self._last_pass_ns
        if gap_ns > _PAUSE_TICKS * self._tick_ns + self._heartbeat_limit_ns:
            self._suspend_verdicts(now_ns)
            self._board.count_pause()
            log.event("runner_paused", gap_ms=gap_ns // _MS)

    def _look_at_clocks(self, now_ns: int) -> None:
        # With each pass: a machine that slept must not show its old quotes as young.
        jump = self._watch.look()
        if jump.suspend_ns:
            self._not_before_ns = now_ns
            for view in self._views.values():
                view.wake(now_ns)
            self._suspend_verdicts(now_ns)
            self._next_tick_ns = now_ns  # no reader is left with what we said before
            self._board.count_suspend()
            log.event("suspended", slept_ms=jump.suspend_ns // _MS)
        if jump.step_ns:
            self._board.count_clock_step()
            log.event("clock_step", step_ms=jump.step_ns // _MS)
        if jump.step_ns or jump.suspend_ns:
            for skew in self._skews.values():
                skew.step(now_ns)

    def _suspend_verdicts(self, now_ns: int) -> None:
        """Judge nothing LIVE for a window: what waited in the rings is old."""
        self._suspended_until_ns = now_ns + self._heartbeat_limit_ns
        self._enforcer.hold(now_ns)

    # --- Segments -------------------------------------------------------------------

    def _attach_missing(self, now_ns: int) -> None:
        self._board.writer.check_linked()
        self._rest.attach()
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
                self._board.enter_venue(venue, view, self._config.rest.enabled)
                self._enforcer.adopt(venue, view)

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
        view = VenueView(reader, self._config.runner.budget, self._limits(venue))
        view.start(now_ns)
        view.wake(self._not_before_ns)
        self._views[venue] = view
        log.event("attached", venue=venue, instruments=len(view.instruments))
        return view

    def _limits(self, venue: str) -> Limits:
        runner = self._config.runner
        return Limits(
            liveness_ns=runner.liveness_ms * _MS,
            confirm_ns=runner.quiet_confirm_ms * _MS,
            startup_ns=grace_ns(self._config.venue[venue]),
            recovery=Recovery(runner.recover_ticks, runner.recover_ms * _MS),
            tolerance_bps=runner.audit_tolerance_bps,
            audit_misses=runner.audit_misses,
            outlier_wait_ns=self._outlier_wait_ns,
        )

    # --- Records and verdicts -------------------------------------------------------

    def _drain(self, venue: str, view: VenueView) -> None:
        if view.reader.head() == view.cursor:
            return
        # The stamp is taken before the copy: an age may be overstated by the copy's
        # time, never understated.
        apply_ns = self.clocks.monotonic_ns()
        drained = view.drain(apply_ns)
        self._drained_count += drained.count
        records = drained.records
        # Only what was news to the venue too tells how long its way took.
        is_news = (records["kind"] != KIND_FUNDING) & ((records["flags"] & _OLD) == 0)
        records = records[is_news]
        delays = self._skews[venue].take(
            records["event_ns"],
            records["recv_ns"],
            self._watch.wall_offset_ns,
            apply_ns,
        )
        self._board.count_drained(venue, drained, view.lag, apply_ns, delays)
        for index in drained.applied.tolist():
            self._board.post(venue, view, index, moved=False)

    def _judge_all(self, now_ns: int) -> None:
        is_suspended = now_ns < self._suspended_until_ns
        is_skew_due = now_ns >= self._next_skew_ns
        if is_skew_due:
            self._next_skew_ns = now_ns + _SKEW_NS
        has_rest = self._rest.is_beating(now_ns, self._outlier_wait_ns)
        for venue, view in self._views.items():
            view.audit.has_rest = has_rest
            checked = self._compare(venue, view, now_ns)
            moved = view.judge(
                now_ns,
                self._heartbeat_limit_ns,
                is_suspended,
                self.clocks.monotonic_ns,
            )
            for index in moved:
                self._board.post(venue, view, index, moved=True)
                self._say(venue, view, index)
            for index in (checked | view.audit.take_advanced()).difference(moved):
                self._board.post(venue, view, index, moved=False)
            if is_skew_due:
                self._board.show_skew(venue, self._skews[venue], now_ns)

    def _compare(self, venue: str, view: VenueView, now_ns: int) -> set[int]:
        """Compare REST and stream where that is due; return whose stamp moved."""
        checked = set()
        for index, result in view.settle_checks(now_ns):
            name = view.instruments[index].instrument
            score = float(view.audit.score[index])
            self._board.count_check(venue, name, result, score)
            checked.add(index)
        return checked

    def _say(self, venue: str, view: VenueView, index: int) -> None:
        known = view.verdicts[index]
        log.event(
            "state",
            venue=venue,
            instrument=view.instruments[index].instrument,
            state=STATE_NAMES[known.state],
            reason=REASON_NAMES[known.reason],
            previous=STATE_NAMES[known.previous],
        )
