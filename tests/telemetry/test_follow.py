"""Cadence is what a venue does while a session lasts; what ends one is none of it."""

from __future__ import annotations

from shm_layout import LINK_CONNECTING, LINK_UP
from tests.telemetry.segments import BTC, MS, VENUE, S, Segments, segments


def begin_session(made: Segments) -> None:
    made.session += 1
    made.feed.set_link(LINK_CONNECTING, made.session)
    made.feed.set_link(LINK_UP, made.session)


def tick(made: Segments) -> None:
    made.feed.stamp_liveness(made.index, made.now_ns)


def longest_ms(made: Segments, kind: str, name: str) -> float | None:
    spread = getattr(made.sampler.cadence, kind).get(name)
    return None if spread is None else spread.max_ns / MS


def test_silence_over_a_session_end_is_a_plateau_and_no_cadence(instance: str) -> None:
    with segments(instance) as made:
        made.sample()
        for _ in range(2):
            made.live(age_ns=0)
            made.pass_ns(100 * MS)
        made.sample()
        made.pass_ns(20 * S)
        begin_session(made)
        made.live(age_ns=0)
        made.pass_ns(150 * MS)
        made.live(age_ns=0)
        sample = made.sample()
        assert sample.gap_max_ns == [20_100 * MS]
        spread = made.sampler.cadence.quotes[BTC]
        assert (spread.count, spread.max_ns) == (2, 150 * MS)
        assert longest_ms(made, "signs", VENUE) == 150


def test_ticks_are_counted_by_instrument_and_only_within_a_session(
    instance: str,
) -> None:
    with segments(instance) as made:
        for _ in range(3):
            tick(made)
            made.sample()
            made.pass_ns(S)
        assert longest_ms(made, "ticks", BTC) == 1_000
        made.pass_ns(30 * S)
        begin_session(made)
        made.sample()
        for gap_s in (5, 3):
            made.pass_ns(gap_s * S)
            tick(made)
            made.sample()
        ticks = made.sampler.cadence.ticks[BTC]
        assert (ticks.count, ticks.max_ns) == (2, 3 * S)


def test_tick_that_nobody_followed_yet_may_be_of_another_session(instance: str) -> None:
    with segments(instance) as made:
        tick(made)
        made.sample()
        begin_session(made)
        made.pass_ns(40 * S)
        tick(made)
        made.sample()
        made.pass_ns(S)
        tick(made)
        made.sample()
        assert longest_ms(made, "ticks", BTC) is None
        made.pass_ns(2 * S)
        tick(made)
        made.sample()
        assert longest_ms(made, "ticks", BTC) == 2_000


def test_a_tick_between_two_quotes_is_a_sign_of_life(instance: str) -> None:
    with segments(instance) as made:
        made.sample()
        for speak in (made.live, lambda: tick(made), made.live):
            speak()
            made.sample()
            made.pass_ns(4 * S)
        assert longest_ms(made, "quotes", BTC) == 8_000
        assert (longest_ms(made, "signs", VENUE) or 0) < 4_010


def test_two_ticks_between_two_samples_count_as_one(instance: str) -> None:
    with segments(instance) as made:
        tick(made)
        made.sample()
        made.pass_ns(100 * MS)
        tick(made)
        made.sample()
        made.pass_ns(150 * MS)
        tick(made)
        made.pass_ns(50 * MS)
        tick(made)
        made.sample()
        ticks = made.sampler.cadence.ticks[BTC]
        assert (ticks.count, ticks.max_ns) == (1, 200 * MS)
