"""Clock steps and sleeps are found and counted, and disturb no age."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from feedhandler.runner.clocks import Clocks, ClockWatch
from feedhandler.runner.skew import WINDOW_NS, Skew
from shm_layout.codes import TIME_NONE
from tests.runner.sides import MS, VENUE, Bench, Time, bench

HOUR_NS = 3_600_000 * MS
OFFSET_NS = Time().wall_offset_ns


@pytest.fixture
def one(instance: str, tmp_path: Path) -> Iterator[Bench]:
    with bench(instance, tmp_path) as made:
        made.run(500, quotes=True, live=True)
        yield made


@pytest.mark.parametrize("step_ns", [HOUR_NS, -HOUR_NS, 51 * MS])
def test_a_step_of_the_wall_clock_is_found_once(step_ns: int) -> None:
    time = Time()
    watch = ClockWatch(time.clocks)
    time.wall_offset_ns += step_ns
    assert watch.look().step_ns == step_ns
    assert watch.look().step_ns == 0


def test_slewing_is_no_step_however_long_it_goes_on() -> None:
    time = Time()
    watch = ClockWatch(time.clocks)
    for _ in range(1_000):
        time.now_ns += 100 * MS
        time.wall_offset_ns += 50_000
        assert watch.look().step_ns == 0


def test_a_sleep_is_no_step_though_the_wall_clock_went_on() -> None:
    time = Time()
    watch = ClockWatch(time.clocks)
    time.asleep_ns += HOUR_NS
    jump = watch.look()
    assert (jump.step_ns, jump.suspend_ns) == (0, HOUR_NS)


def test_clocks_read_with_a_pause_between_are_not_compared() -> None:
    time = Time()
    reads = iter([0, 0, 400 * MS, 400 * MS, 400 * MS])
    clocks = Clocks(
        lambda: time.now_ns + next(reads),
        lambda: time.clocks.wall_ns() + 400 * MS,
        lambda: time.clocks.boot_ns() + 400 * MS,
    )
    watch = ClockWatch(clocks, asleep_ns=0)
    assert watch.look().suspend_ns == 0
    assert watch.look().suspend_ns == 0


@pytest.mark.parametrize("step_ns", [HOUR_NS, -HOUR_NS])
def test_a_step_is_counted_and_no_age_or_state_moves(one: Bench, step_ns: int) -> None:
    moves = one.verdict()["moves"]
    one.time.wall_offset_ns += step_ns
    one.run(500, quotes=True, live=True)
    assert one.reader.counters()["clock_steps"] == 1
    assert one.reader.counters()["suspends"] == 0
    assert one.verdict()["moves"] == moves
    assert one.counter("clock_certain") == 0


def test_after_a_sleep_no_quote_from_before_is_good(one: Bench) -> None:
    one.time.asleep_ns += 60_000 * MS
    one.step(1)
    assert one.reader.counters()["suspends"] == 1
    assert one.state() == ("STALE", "runner_paused")
    one.run(400)
    assert one.state() == ("STALE", "runner_paused")
    one.run(1_000, quotes=True, live=True)
    assert one.state() == ("LIVE", "")


def test_a_runner_started_after_a_sleep_knows_of_it(one: Bench) -> None:
    one.runner.close()
    one.time.asleep_ns += 60_000 * MS
    one.restart_runner()
    one.step(1)
    assert one.state() == ("STALE", "runner_paused")
    one.restart_runner()
    one.step(1)
    assert one.state() == ("STALE", "runner_paused")


# --- the venue's clock ---------------------------------------------------------------


class Venue:
    """Records of a venue whose clock the test sets."""

    def __init__(self) -> None:
        self.skew = Skew(0)
        self.now_ns = 0

    def run(self, seconds: int, behind_ns: int, drift_ppm: int = 0) -> np.ndarray:
        delays = np.zeros(0, np.int64)
        for _ in range(seconds):
            self.now_ns += 1_000 * MS
            recv_ns = np.array([self.now_ns, self.now_ns])
            drift_ns = self.now_ns * drift_ppm // 1_000_000
            way_ns = np.array([5 * MS, 40 * MS])  # the way adds, and never takes away
            event_ns = recv_ns + OFFSET_NS - way_ns - behind_ns - drift_ns
            delays = self.skew.take(event_ns, recv_ns, OFFSET_NS, self.now_ns)
        return delays


@pytest.mark.parametrize("behind_ns", [5_000 * MS, -5_000 * MS, 0])
def test_the_skew_is_the_least_delay(behind_ns: int) -> None:
    venue = Venue()
    venue.run(30, behind_ns)
    assert venue.skew.skew_ns == behind_ns + 5 * MS
    assert venue.skew.is_certain(venue.now_ns) == (behind_ns >= 0)


@pytest.mark.parametrize("drift_ppm", [100, -100])
def test_the_drift_is_how_fast_the_delay_grows(drift_ppm: int) -> None:
    venue = Venue()
    venue.run(120, 1_000 * MS, drift_ppm)
    assert venue.skew.drift_ppm == pytest.approx(drift_ppm, rel=0.05)


def test_a_frozen_venue_clock_shows_as_drift() -> None:
    venue = Venue()
    venue.run(60, 0, drift_ppm=1_000_000)
    assert venue.skew.drift_ppm == pytest.approx(1_000_000, rel=0.05)


def test_our_own_step_forgets_what_was_measured() -> None:
    venue = Venue()
    venue.run(60, 1_000 * MS)
    venue.skew.step(venue.now_ns)
    assert venue.skew.skew_ns is None
    assert venue.skew.drift_ppm is None
    venue.run(30, 1_000 * MS)
    assert not venue.skew.is_certain(venue.now_ns)
    venue.run(31, 1_000 * MS)
    assert venue.skew.is_certain(venue.now_ns)


@pytest.mark.parametrize("event_ns", [TIME_NONE, 0, -1, 1, 2**62])
def test_an_absent_or_absurd_event_time_is_left_out(event_ns: int) -> None:
    skew = Skew(0)
    stamps = np.array([event_ns]), np.array([WINDOW_NS])
    assert len(skew.take(*stamps, OFFSET_NS, WINDOW_NS)) == 0
    assert skew.skew_ns is None


@pytest.mark.parametrize(
    ("behind_ms", "counter", "other"),
    [
        (5_000, "venue_behind_us", "venue_ahead_us"),
        (-5_000, "venue_ahead_us", "venue_behind_us"),
    ],
)
def test_a_venues_clock_is_shown_and_its_quotes_are_live(
    one: Bench, behind_ms: int, counter: str, other: str
) -> None:
    for _ in range(60):
        wall_ns = one.time.clocks.wall_ns()
        one.feed.quote(event_ns=wall_ns - behind_ms * MS)
        one.step()
    assert one.state() == ("LIVE", "")
    assert one.counter(counter) == pytest.approx(5_000_000, rel=0.05)
    assert one.counter(other) == 0
    assert one.counter("clock_certain") == int(behind_ms > 0)
    found = {each.name: each for each in one.reader.histograms()}
    hop = found[f"venue_to_recv.{VENUE}"]
    assert (hop.count, hop.negative) == (60, 60 if behind_ms < 0 else 0)
