"""One runner over real segments: what it drains, stamps and posts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from feedhandler.config import RunnerConfig
from feedhandler.runner.process import Runner
from shm_layout import (
    FLAG_ONE_SIDED,
    FLAG_RESTARTED,
    FLAG_SYNCING,
    LINK_DOWN,
    TIME_NONE,
    Instrument,
    OwnershipLost,
    SegmentBusy,
)
from tests.runner.sides import MS, TICK_MS, VENUE, Bench, FeedSide, bench

NAN = float("nan")


@pytest.fixture
def one(instance: str, tmp_path: Path) -> Iterator[Bench]:
    with bench(instance, tmp_path) as made:
        yield made


def test_a_quote_is_applied_stamped_and_live(one: Bench) -> None:
    one.step()
    one.feed.quote(age_ns=3 * MS)
    one.step()
    verdict = one.verdict()
    assert one.state() == ("LIVE", "")
    assert verdict["apply_ns"] == one.time.now_ns
    assert verdict["recv_ns"] == one.time.now_ns - (TICK_MS + 3) * MS
    assert verdict["session"] == one.feed.session
    assert verdict["applied_epoch"] == one.feed.writer.epoch()
    assert verdict["applied_sequence"] == 1


def test_states_follow_the_evidence_there_and_back(one: Bench) -> None:
    one.step()
    assert one.state() == ("SYNCING", "awaiting_quote")
    one.feed.quote()
    one.step()
    assert one.state() == ("LIVE", "")
    one.feed.quote(age_ns=2_000 * MS)
    one.step()
    one.step()
    assert one.state() == ("STALE", "liveness")
    one.feed.quote(flags=FLAG_ONE_SIDED, bid=NAN)
    one.step()
    assert one.state() == ("SUSPECT", "one_sided")
    one.feed.quote(flags=FLAG_SYNCING)
    one.step()
    assert one.state() == ("SYNCING", "resync")
    one.feed.set_link(LINK_DOWN)
    one.step()
    assert one.state() == ("DOWN", "link_down")
    one.feed.open_session()
    one.step()
    assert one.state() == ("SYNCING", "awaiting_quote")
    one.feed.quote()
    one.step()
    assert one.state() == ("SYNCING", "hysteresis")
    one.run(300, quotes=True)
    assert one.state() == ("LIVE", "")
    assert one.verdict()["moves"] == 8


def test_words_written_during_a_pass_are_no_stamps_of_the_future(one: Bench) -> None:
    one.run(300, quotes=True, live=True)
    moves = one.verdict()["moves"]
    for _ in range(5):
        before_ns = one.time.now_ns
        one.time.now_ns += 10 * MS  # the pass began at `before_ns`, and takes long
        one.feed.beat()
        one.feed.live()
        one.feed.quote()
        one.runner.step(before_ns + MS)
        one.time.now_ns += TICK_MS * MS
    assert one.verdict()["moves"] == moves


def test_a_silent_heartbeat_is_a_dead_writer(one: Bench) -> None:
    one.feed.quote()
    one.step()
    for _ in range(12):
        one.step(beats=False)
    assert one.state() == ("DOWN", "writer_dead")


@pytest.mark.parametrize("flag", [FLAG_RESTARTED, FLAG_SYNCING, FLAG_ONE_SIDED])
def test_a_doubtful_record_does_not_renew_the_apply_stamp(
    one: Bench, flag: int
) -> None:
    one.step()
    one.feed.quote()
    one.step()
    applied_ns = one.verdict()["apply_ns"]
    one.feed.quote(flags=flag, bid=NAN if flag == FLAG_ONE_SIDED else 10.0)
    one.step()
    assert one.verdict()["apply_ns"] == applied_ns


def test_a_new_runner_makes_nothing_look_fresher(one: Bench) -> None:
    one.feed.quote()
    recv_ns = one.time.now_ns
    one.step()
    one.time.now_ns += 700 * MS
    one.restart_runner()
    one.step()
    assert one.verdict()["apply_ns"] == recv_ns
    assert one.state() == ("LIVE", "")


def test_a_lapped_runner_counts_exactly_what_it_lost(one: Bench) -> None:
    one.step()
    for _ in range(1_000):
        one.feed.quote()
    one.step()
    lost, drained = one.counter("lost"), one.counter("drained")
    assert lost > 0
    assert lost + drained + one.counter("lag") == 1_000
    assert one.counter("laps") == 1


def test_the_last_word_on_an_instrument_survives_a_lap(
    instance: str, tmp_path: Path
) -> None:
    with bench(instance, tmp_path, names=("BTC-PERP", "ETH-PERP")) as two:
        two.feed.quote(1, bid=NAN, flags=FLAG_ONE_SIDED)
        two.feed.quote(0)
        two.step()
        two.feed.quote(1)
        for _ in range(1_000):
            two.feed.quote(0)
        two.run(300)
        assert two.state(1) == ("LIVE", "")
        latest = two.feed.writer.read_slot(1)
        assert latest is not None
        sequence = int.from_bytes(latest[:8], "little")
        assert two.verdict(1)["applied_sequence"] == sequence


def test_the_budget_limits_a_pass_and_its_hits_are_counted(
    instance: str, tmp_path: Path
) -> None:
    config = RunnerConfig(budget=10, tick_ms=TICK_MS)
    with bench(instance, tmp_path, runner=config) as one:
        one.step()
        for _ in range(25):
            one.feed.quote()
        one.step()
        assert one.counter("drained") == 10
        assert one.counter("budget_hits") == 1
        assert one.counter("lag") == 15
        assert one.runner.wait_ns(one.time.now_ns) == 0  # it goes on at once
        one.step()
        one.step()
        assert one.counter("drained") == 25
        assert one.counter("budget_hits") == 2
        assert one.counter("lag") == 0
        assert one.runner.wait_ns(one.time.now_ns) == 5 * MS


def test_each_pass_tells_its_time_and_its_records(one: Bench) -> None:
    one.step()
    for _ in range(5):
        one.feed.quote()
    one.step()
    found = {each.name: each for each in one.reader.histograms()}
    passes = one.reader.counters()["passes"]
    assert found["pass_time"].count == found["records_a_pass"].count == passes == 2
    assert found["records_a_pass"].max_ns == 5
    assert found[f"publish_to_apply.{VENUE}"].count == 5


def test_a_paused_runner_suspends_live_for_one_window(one: Bench) -> None:
    one.feed.quote()
    one.step()
    assert one.state() == ("LIVE", "")
    one.time.now_ns += 5_000 * MS
    one.feed.quote()
    one.step()
    assert one.state() == ("SYNCING", "runner_paused")
    one.run(400, quotes=True)
    assert one.state() == ("SYNCING", "runner_paused")
    one.run(100, quotes=True)
    assert one.state() == ("LIVE", "")
    assert one.reader.counters()["pauses"] == 1


def test_a_replaced_feed_segment_is_found_again(one: Bench) -> None:
    one.feed.quote()
    one.step()
    one.feed.writer.close(unlink=True)
    one.feed = FeedSide(one.instance, one.time)
    one.feed.session = 7
    one.feed.open_session()
    one.feed.quote()
    one.step(300)
    assert one.state() == ("LIVE", "")
    assert one.verdict()["session"] == 8


def test_only_moves_stand_in_the_runners_ring(one: Bench) -> None:
    one.step()
    head = one.reader.head()
    one.run(1_000, quotes=True)
    assert one.reader.head() - head == 1  # SYNCING to LIVE, once


def test_a_second_runner_is_refused_by_name_of_the_first(one: Bench) -> None:
    with pytest.raises(SegmentBusy):
        Runner(one.config, one.time.clocks)


def test_a_runner_whose_segment_was_removed_gives_up(one: Bench) -> None:
    one.step()
    Path(f"/dev/shm/fh.{one.instance}.runner").unlink()
    with pytest.raises(OwnershipLost, match="was removed"):
        one.step(300)


def test_an_instrument_added_while_running_is_judged(one: Bench) -> None:
    one.step()
    added = one.feed.writer.add_instrument(Instrument(VENUE, "ETH-PERP", "ETH"))
    one.feed.writer.publish_quote(
        added,
        0,
        one.feed.session,
        TIME_NONE,
        one.time.now_ns,
        0,
        1.0,
        1.0,
        2.0,
        1.0,
    )
    one.step(300)
    names = [entry.instrument for entry in one.reader.instruments()]
    assert names == ["BTC-PERP", "ETH-PERP"]
    assert one.state(1) == ("LIVE", "")
