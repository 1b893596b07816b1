"""A sample shows what the segments hold, with ages of its own instant."""

from __future__ import annotations

import math
import time

import pytest

from feedhandler.telemetry.records import Sample
from shm_layout import (
    FLAG_REPLAYED,
    LINK_DOWN,
    SOURCE_REST,
    TIME_NONE,
    Capacities,
    Instrument,
    Writer,
    codes,
)
from tests.telemetry.segments import BTC, MS, VENUE, WALL_NS, S, segments


def test_live_quote_is_shown_with_its_ages_to_the_nanosecond(instance: str) -> None:
    with segments(instance) as made:
        made.quote(made.now_ns - 7_654_321, event_ns=WALL_NS - 9_500_000)
        made.verdict(made.now_ns - 1_234_567)
        made.beat()
        sample = made.sample()
    assert sample.venues == [VENUE]
    assert sample.instruments == [BTC]
    assert (sample.states, sample.reasons) == (["LIVE"], [""])
    assert (sample.tradable, sample.sources) == ([1], ["STREAM"])
    assert sample.recv_age_ns == [7_654_321]
    assert sample.apply_age_ns == [1_234_567]
    assert sample.venue_age_ms == [1.235]
    assert sample.event_age_ms == sample.venue_age_event_ms == [9.5]
    assert sample.feed_kind == ["bbo"]
    assert sample.ts_ms == WALL_NS // MS
    assert (sample.link, sample.venue_state) == (["UP"], ["LIVE"])


def test_kind_is_that_of_the_top_that_is_shown(instance: str) -> None:
    with segments(instance) as made:
        made.feed.add_instrument(Instrument(VENUE, "BTC-PERP", "1", feed_kind="both"))
        assert made.sample().feed_kind == ["bbo"]
        made.feed.add_instrument(Instrument(VENUE, "BTC-PERP", "1", feed_kind="depth"))
        assert made.sample().feed_kind == ["depth"]


def test_event_of_the_future_has_a_negative_age(instance: str) -> None:
    with segments(instance) as made:
        made.live()
        made.quote(made.now_ns, event_ns=WALL_NS + 2 * S)
        assert made.sample().event_age_ms == [-2_000.0]


def test_unknown_is_not_zero(instance: str) -> None:
    with segments(instance) as made:
        made.beat()
        sample = made.sample()
    assert sample.apply_age_ns == sample.recv_age_ns == [-1]
    assert sample.venue_age_ms == sample.liveness_age_ms == [-1]
    assert sample.rest_age_ms == sample.confirmed_age_ms == sample.funding_age_ms
    assert sample.event_age_ms == sample.funding_rate == [None]
    assert sample.venue_age_event_ms == sample.exchange_skew_ms == [None]
    assert sample.tradable == [0]
    assert sample.sources == ["NONE"]


def test_expected_venue_without_a_feed_is_shown_as_absent(instance: str) -> None:
    with segments(instance) as made:
        made.feed.close(unlink=True)
        sample = made.sample()
        assert sample.instruments == [BTC]
        assert (sample.states, sample.reasons) == (["UNKNOWN"], ["no_feed"])
        assert sample.link == ["ABSENT"]
        assert sample.session == sample.frames == sample.ring_head == [None]


def test_instrument_that_the_feed_does_not_list_is_shown(instance: str) -> None:
    with segments(instance) as made:
        made.feed.retire_instruments(set())
        made.beat()
        sample = made.sample()
    assert (sample.instruments, sample.reasons) == ([BTC], ["not_listed"])


@pytest.mark.parametrize("who", ["feed", "runner"])
def test_dead_process_leaves_nothing_tradable(instance: str, who: str) -> None:
    with segments(instance) as made:
        made.live()
        made.pass_ns(600 * MS)
        (made.runner if who == "feed" else made.feed).beat(made.now_ns, 1)
        sample = made.sample()
    assert sample.tradable == [0]
    assert sample.link == ["DEAD" if who == "feed" else "UP"]


def test_age_grows_when_nothing_comes(instance: str) -> None:
    with segments(instance) as made:
        made.live(age_ns=0)
        made.pass_ns(40 * S)
        made.beat()
        sample = made.sample()
    assert sample.apply_age_ns == [40 * S]
    assert sample.states == ["STALE"]


def test_rest_is_the_source_only_while_the_stream_is_older(instance: str) -> None:
    with segments(instance) as made:
        made.live(age_ns=30 * S)
        with Writer.open(
            instance, "rest", Capacities(8, ring_slots=8), source=SOURCE_REST
        ) as rest:
            index = rest.add_instrument(Instrument(VENUE, "BTC-PERP", "1"))
            rest.publish_quote(
                index, 0, 1, WALL_NS, made.now_ns - S, 0, 10.0, 1.0, 11.0, 1.0
            )
            made.pass_ns(S)
            made.beat()
            sample = made.sample()
            assert (sample.sources, sample.rest_age_ms) == (["REST"], [2_000.0])
            assert sample.recv_age_ns == [31 * S]  # never touched by REST
            made.live()
            assert made.sample().sources == ["STREAM"]


def test_cadence_between_samples_is_not_missed(instance: str) -> None:
    with segments(instance) as made:
        made.live(age_ns=0)
        made.sample()
        start_ns = made.now_ns
        for offset_ms in (10, 20, 190, 200):
            made.quote(start_ns + offset_ms * MS, event_ns=WALL_NS + 5 * MS)
        made.pass_ns(250 * MS)
        sample = made.sample()
        assert sample.quotes == [4]
        assert sample.gap_max_ns == [170 * MS]
        assert sample.ring_head == [5]
        spread = made.sampler.cadence.quotes[BTC]
        assert (spread.count, spread.max_ns) == (3, 170 * MS)
        made.pass_ns(250 * MS)
        sample = made.sample()
        assert (sample.quotes, sample.gap_max_ns) == ([0], [0])


def test_replayed_history_is_no_cadence(instance: str) -> None:
    with segments(instance) as made:
        made.sample()
        made.quote(made.now_ns, flags=FLAG_REPLAYED)
        assert made.sample().quotes == [0]


def test_skew_is_the_least_of_the_quotes(instance: str) -> None:
    with segments(instance) as made:
        made.sample()
        for late_ms in (30, 12, 45):
            made.quote(made.now_ns, event_ns=WALL_NS - late_ms * MS)
        assert made.sample().exchange_skew_ms == [12.0]
        assert made.sample().exchange_skew_ms == [None]


def test_lapped_sampler_counts_what_it_lost(instance: str) -> None:
    with segments(instance, ring_slots=8) as made:
        made.sample()
        for number in range(100):
            made.quote(made.now_ns + number)
        sample = made.sample()
        assert sample.follow_lost[0] + sample.quotes[0] == 100
        assert sample.follow_lost[0] > 0
        made.feed.close(unlink=True)
        made.pass_ns(S)
        assert made.sample().follow_lost == sample.follow_lost  # never less


def test_counters_and_rate_are_those_of_the_feed(instance: str) -> None:
    with segments(instance) as made:
        frames = made.feed.counter("frames")
        ended = made.feed.counter("reconnects.stale_watchdog")
        made.feed.counter("reconnects.ws_closed")
        made.feed.count(made.feed.counter("rejected.json"), 2)
        made.feed.count(frames, 100)
        made.runner.set_counter(made.runner.counter(f"lag.{VENUE}"), 7)
        assert made.sample().frames_hz == [None]
        made.feed.count(frames, 50)
        made.feed.count(ended)
        made.pass_ns(250 * MS)
        sample = made.sample()
    assert (sample.frames, sample.frames_hz) == ([150], [200.0])
    assert sample.reconnects == [{"stale_watchdog": 1}]
    assert sample.resyncs == [{}]
    assert (sample.rejected, sample.ring_lag) == ([2], [7])


def test_funding_is_shown_with_its_age(instance: str) -> None:
    with segments(instance) as made:
        made.feed.publish_funding(
            *(made.index, 0, made.session, WALL_NS, made.now_ns - 3 * S),
            rate_per_hour=0.00001 / 3,
            interval_ns=3_600 * S,
            next_funding_ns=TIME_NONE,
            mark_price=math.nan,
            oracle_price=math.nan,
            mid_price=math.nan,
            open_interest=math.nan,
        )
        sample = made.sample()
    assert sample.funding_rate == [3.33333333333e-06]
    assert sample.funding_age_ms == [3_000.0]


def test_every_change_of_state_is_a_move(instance: str) -> None:
    with segments(instance) as made:
        made.sample()
        assert made.sampler.moves(0) == []
        for number, state in enumerate((codes.STATE_LIVE, codes.STATE_DOWN), 1):
            made.verdict(made.now_ns, moved=True, state=state, moves=number)
        made.feed.set_link(LINK_DOWN, made.session)
        before_ns = time.monotonic_ns()
        moves = made.sampler.moves(WALL_NS)
        assert [(move.state, move.moves) for move in moves] == [
            ("LIVE", 1),
            ("DOWN", 2),
        ]
        assert {(move.venue, move.instrument) for move in moves} == {
            (VENUE, "BTC-PERP")
        }
        assert all(move.ts_mono_ns <= before_ns for move in moves)
        assert made.sampler.moves(0) == []


def test_replaced_segment_is_found_and_read_on(instance: str) -> None:
    with segments(instance) as made:
        made.live()
        made.sample()
        made.feed.close(unlink=True)
        made.feed = Writer.open(instance, f"feed:{VENUE}", Capacities(8, ring_slots=64))
        made.index = made.feed.add_instrument(Instrument(VENUE, "BTC-PERP", "1"))
        made.pass_ns(S)
        made.sample()
        made.quote(made.now_ns)
        sample = made.sample()
    assert (sample.ring_head, sample.quotes) == ([1], [1])


def test_each_column_is_of_venues_or_of_instruments(instance: str) -> None:
    with segments(instance) as made:
        made.live()
        sample = made.sample()
    for name in Sample.__struct_fields__[4:]:
        assert len(getattr(sample, name)) == 1, name
