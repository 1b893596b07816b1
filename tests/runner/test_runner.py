"""One runner over real segments, with the feed's side played by the test."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from feedhandler.config import Config, RunnerConfig, ShmConfig, VenueConfig
from feedhandler.runner.process import Runner
from shm_layout import (
    FLAG_ONE_SIDED,
    FLAG_RESTARTED,
    FLAG_SYNCING,
    LINK_DOWN,
    LINK_UP,
    TIME_NONE,
    Capacities,
    Instrument,
    OwnershipLost,
    Reader,
    SegmentBusy,
    Writer,
    codes,
    schema,
    segment,
)

VENUE = "hyperliquid"
MS = 1_000_000


class FeedSide:
    """What a feed process would write."""

    def __init__(self, instance: str, ring_slots: int = 64) -> None:
        self.writer = Writer.open(
            instance, f"feed:{VENUE}", Capacities(instruments=8, ring_slots=ring_slots)
        )
        self.index = self.writer.add_instrument(
            Instrument(VENUE, "BTC-PERP", "BTC", fresh_ms=1_000)
        )
        self.session = self.writer.session + 1
        self.writer.set_link(LINK_UP, self.session)

    def quote(
        self, recv_ns: int, *, flags: int = 0, bid: float = 10.0, ask: float = 11.0
    ) -> None:
        self.writer.beat(recv_ns, 0)
        self.writer.publish_quote(
            self.index, flags, self.session, 1, recv_ns, 0, bid, 1.0, ask, 1.0
        )


class RunnerSide:
    """A runner whose clock the test moves, and a reader of its verdicts."""

    def __init__(self, instance: str, budget: int = 4_096) -> None:
        config = Config(
            instance=instance,
            venue={VENUE: VenueConfig()},
            runner=RunnerConfig(budget=budget, tick_ms=1, pass_ms=1),
            shm=ShmConfig(instruments=8, ring_slots=64),
        )
        self.runner = Runner(config)
        self.reader = Reader.attach(instance, "runner")
        self.now_ns = 0

    def step(self) -> int:
        # Two ticks on at least, so that every step judges.
        self.now_ns = max(time.monotonic_ns(), self.now_ns + 2 * MS)
        self.runner.step(self.now_ns)
        return self.now_ns

    def verdict(self) -> dict[str, int]:
        record = self.reader.read_slot(0)
        assert record is not None
        names = (field.name for field in schema.STATUS.fields)
        return dict(zip(names, schema.STATUS.struct.unpack(record), strict=True))

    def state(self) -> tuple[str, str]:
        verdict = self.verdict()
        return (
            codes.STATE_NAMES[verdict["state"]],
            codes.REASON_NAMES[verdict["reason"]],
        )

    def counter(self, name: str) -> int:
        return self.reader.counters()[f"{name}.{VENUE}"]


@contextmanager
def both(
    instance: str, *, ring_slots: int = 64, budget: int = 4_096
) -> Iterator[tuple[FeedSide, RunnerSide]]:
    feed = FeedSide(instance, ring_slots)
    runner = RunnerSide(instance, budget)
    try:
        yield feed, runner
    finally:
        runner.reader.close()
        runner.runner.close()
        feed.writer.close(unlink=True)
        for name in segment.list_segments(instance):
            segment.remove_leftover(name)


def test_a_quote_is_applied_stamped_and_live(instance: str) -> None:
    with both(instance) as (feed, runner):
        runner.step()
        recv_ns = time.monotonic_ns()
        feed.quote(recv_ns)
        before_ns = time.monotonic_ns()
        runner.step()
        verdict = runner.verdict()
        assert runner.state() == ("LIVE", "")
        assert before_ns <= verdict["apply_ns"] <= time.monotonic_ns()
        assert verdict["recv_ns"] == recv_ns
        assert verdict["session"] == feed.session
        assert verdict["applied_epoch"] == feed.writer.epoch()
        assert verdict["applied_sequence"] == 1


def test_states_follow_the_evidence_there_and_back(instance: str) -> None:
    with both(instance) as (feed, runner):
        feed.writer.beat(time.monotonic_ns(), 0)
        runner.step()
        assert runner.state() == ("SYNCING", "awaiting_quote")
        feed.quote(time.monotonic_ns())
        runner.step()
        assert runner.state() == ("LIVE", "")
        feed.quote(time.monotonic_ns() - 2_000 * MS)
        feed.writer.beat(time.monotonic_ns(), 0)
        runner.step()
        assert runner.state() == ("STALE", "age")
        feed.quote(time.monotonic_ns(), flags=FLAG_ONE_SIDED, bid=float("nan"))
        runner.step()
        assert runner.state() == ("SUSPECT", "one_sided")
        feed.quote(time.monotonic_ns(), flags=FLAG_SYNCING)
        runner.step()
        assert runner.state() == ("SYNCING", "resync")
        feed.writer.set_link(LINK_DOWN, feed.session)
        runner.step()
        assert runner.state() == ("DOWN", "link_down")
        feed.session += 1
        feed.writer.set_link(LINK_UP, feed.session)
        runner.step()
        assert runner.state() == ("SYNCING", "awaiting_quote")
        feed.quote(time.monotonic_ns())
        runner.step()
        assert runner.state() == ("LIVE", "")
        assert runner.counter("moves") == 8


def test_a_silent_heartbeat_is_a_dead_writer(instance: str) -> None:
    with both(instance) as (feed, runner):
        feed.quote(time.monotonic_ns())
        runner.step()
        feed.writer.beat(time.monotonic_ns() - 600 * MS, 0)
        runner.step()
        assert runner.state() == ("DOWN", "writer_dead")


@pytest.mark.parametrize("flag", [FLAG_RESTARTED, FLAG_SYNCING, FLAG_ONE_SIDED])
def test_a_doubtful_record_does_not_renew_the_apply_stamp(
    instance: str, flag: int
) -> None:
    with both(instance) as (feed, runner):
        runner.step()
        feed.quote(time.monotonic_ns())
        runner.step()
        applied_ns = runner.verdict()["apply_ns"]
        bid = float("nan") if flag == FLAG_ONE_SIDED else 10.0
        feed.quote(time.monotonic_ns(), flags=flag, bid=bid)
        runner.step()
        assert runner.verdict()["apply_ns"] == applied_ns


def test_a_new_runner_makes_nothing_look_fresher(instance: str) -> None:
    feed = FeedSide(instance)
    recv_ns = time.monotonic_ns() - 700 * MS
    feed.quote(recv_ns)
    feed.writer.beat(time.monotonic_ns(), 0)
    runner = RunnerSide(instance)
    try:
        runner.step()
        assert runner.verdict()["apply_ns"] == recv_ns
        assert runner.state() == ("LIVE", "")
    finally:
        runner.reader.close()
        runner.runner.close()
        feed.writer.close(unlink=True)
        segment.remove_leftover(segment.segment_name(instance, "runner"))


def test_a_lapped_runner_counts_exactly_what_it_lost(instance: str) -> None:
    with both(instance) as (feed, runner):
        runner.step()
        for _ in range(1_000):
            feed.quote(time.monotonic_ns())
        runner.step()
        lost, drained = runner.counter("lost"), runner.counter("drained")
        assert lost > 0
        assert lost + drained + runner.counter("lag") == 1_000
        assert runner.counter("laps") == 1


def test_the_budget_limits_a_pass_and_its_hits_are_counted(instance: str) -> None:
    with both(instance, budget=10) as (feed, runner):
        runner.step()
        for _ in range(25):
            feed.quote(time.monotonic_ns())
        runner.step()
        assert runner.counter("drained") == 10
        assert runner.counter("budget_hits") == 1
        assert runner.counter("lag") == 15
        runner.step()
        runner.step()
        assert runner.counter("drained") == 25
        assert runner.counter("budget_hits") == 2
        assert runner.counter("lag") == 0


def test_a_paused_runner_suspends_live_for_one_window(instance: str) -> None:
    with both(instance) as (feed, runner):
        now_ns = runner.step()
        feed.quote(now_ns)
        runner.runner.step(now_ns + 2 * MS)
        assert runner.state() == ("LIVE", "")
        later_ns = now_ns + 5_000 * MS
        feed.quote(later_ns)
        runner.runner.step(later_ns)
        assert runner.state() == ("SYNCING", "runner_paused")
        feed.quote(later_ns + 501 * MS)
        for step_ns in range(0, 502, 100):
            runner.runner.step(later_ns + step_ns * MS)
        runner.runner.step(later_ns + 502 * MS)
        assert runner.state() == ("LIVE", "")
        assert runner.reader.counters()["pauses"] == 1


def test_a_replaced_feed_segment_is_found_again(instance: str) -> None:
    with both(instance) as (feed, runner):
        feed.quote(time.monotonic_ns())
        now_ns = runner.step()
        feed.writer.close(unlink=True)
        again = FeedSide(instance)
        try:
            again.session = feed.session + 1
            again.writer.set_link(LINK_UP, again.session)
            again.quote(now_ns + 300 * MS)
            runner.runner.step(now_ns + 300 * MS)
            assert runner.state() == ("LIVE", "")
            assert runner.verdict()["session"] == again.session
        finally:
            again.writer.close(unlink=True)


def test_only_moves_stand_in_the_runners_ring(instance: str) -> None:
    with both(instance) as (feed, runner):
        runner.step()
        head = runner.reader.head()
        for _ in range(20):
            feed.quote(time.monotonic_ns())
            runner.step()
        assert runner.reader.head() - head == 1  # SYNCING to LIVE, once


def test_a_second_runner_is_refused_by_name_of_the_first(instance: str) -> None:
    with both(instance), pytest.raises(SegmentBusy):
        RunnerSide(instance)


def test_a_runner_whose_segment_was_removed_gives_up(instance: str) -> None:
    with both(instance) as (_, runner):
        now_ns = runner.step()
        Path(f"/dev/shm/fh.{instance}.runner").unlink()
        with pytest.raises(OwnershipLost, match="was removed"):
            runner.runner.step(now_ns + 300 * MS)


def test_an_instrument_added_while_running_is_judged(instance: str) -> None:
    with both(instance) as (feed, runner):
        now_ns = runner.step()
        added = feed.writer.add_instrument(Instrument(VENUE, "ETH-PERP", "ETH"))
        feed.writer.publish_quote(
            added, 0, feed.session, TIME_NONE, now_ns, 0, 1.0, 1.0, 2.0, 1.0
        )
        runner.runner.step(now_ns + 300 * MS)
        names = [entry.instrument for entry in runner.reader.instruments()]
        assert names == ["BTC-PERP", "ETH-PERP"]
        assert runner.reader.read_slot(1) is not None
