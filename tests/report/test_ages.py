"""Ages over time: the saw between samples, not the samples alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedhandler.report.ages import THRESHOLDS_MS, AgeTrack, rebuild
from feedhandler.report.gather import Run
from feedhandler.report.spread import EDGES_MS, mean_ms, percentiles, time_below
from tests.report.made import Floats, Story, records_of


def shares(track: AgeTrack, percents: list[float]) -> list[float]:
    track.flush()
    return list(percentiles(EDGES_MS, track.below, percents))


def truth(
    arrivals: Floats, begin_s: float, end_s: float, percents: list[float]
) -> Floats:
    """Return percentiles, ms, of the age at a million moments."""
    at_s = np.linspace(begin_s, end_s, 1_000_000)
    places = np.searchsorted(arrivals, at_s, side="right") - 1
    result: Floats = np.percentile((at_s - arrivals[places]) * 1e3, percents)
    return result


@given(
    span_ms=st.floats(1, 10_000),
    before_ms=st.floats(0, 60_000),
    share=st.floats(0, 1),
    quotes=st.integers(0, 1_000),
    gap_ms=st.floats(0, 70_000),
)
def test_ramps_between_two_samples_fill_the_time_between_them(
    span_ms: float, before_ms: float, share: float, quotes: int, gap_ms: float
) -> None:
    after_ms = share * span_ms
    ramps = rebuild(span_ms, before_ms, after_ms, quotes, gap_ms)
    assert sum(n * (high - low) for low, high, n in ramps) == pytest.approx(span_ms)
    assert all(high >= low >= 0 and n > 0 for low, high, n in ramps)
    assert ramps[0][0] == before_ms
    assert ramps[-1][1] == pytest.approx(after_ms if len(ramps) > 1 else ramps[0][1])


@given(
    st.lists(st.tuples(st.floats(0, 1e5), st.floats(0, 1e5)), min_size=1, max_size=20)
)
def test_time_below_an_edge_is_what_counting_by_hand_gives(
    ends: list[tuple[float, float]],
) -> None:
    ramps = np.array([(min(pair), max(pair), 2.0) for pair in ends])
    below = time_below(EDGES_MS, ramps)
    for place in range(0, len(EDGES_MS), 17):
        edge = EDGES_MS[place]
        by_hand = sum(2 * (min(high, edge) - min(low, edge)) for low, high, _ in ramps)
        assert below[place] == pytest.approx(by_hand, abs=1e-3)


@pytest.mark.parametrize("gap_ms", [20.0, 100.0, 300.0, 3_000.0])
def test_percentiles_are_those_of_the_age_at_every_moment(gap_ms: float) -> None:
    story = Story(
        seconds=400.0, kinds={"lighter": "depth"}, gaps_ms={"lighter": gap_ms}
    )
    run = Run().take(records_of(story))
    track = run.instruments["lighter:BTC-PERP"].apply
    expected = truth(
        story.arrivals("lighter", "BTC-PERP"), story.starts_s, 400.0, [50, 95, 99]
    )
    # Several quotes between two samples are known by number and longest silence only.
    assert shares(track, [50.0, 95.0, 99.0]) == pytest.approx(expected, rel=0.25)
    assert shares(track, [99.0])[0] == pytest.approx(expected[2], rel=0.15)


def test_an_age_that_every_sample_sees_at_zero_is_not_zero() -> None:
    story = Story(kinds={"lighter": "depth"}, gaps_ms={"lighter": 250.0}, periodic=True)
    run = Run().take(records_of(story))
    track = run.instruments["lighter:BTC-PERP"].apply
    assert shares(track, [50.0])[0] == pytest.approx(125.0, rel=0.1)
    assert track.max_ms == pytest.approx(250.0, rel=0.01)


def test_silences_are_counted_once_with_their_whole_length() -> None:
    track = AgeTrack()
    for number in range(400):
        at_s = number * 0.25
        quiet = 20.0 <= at_s < 32.5
        track.add(at_s, (at_s - 20.0) * 1e3 if quiet else 0.0, 0 if quiet else 5, 50.0)
    over = dict(zip(THRESHOLDS_MS, track.counts, strict=True))
    assert over == {1e3: 1, 2e3: 1, 5e3: 1, 1e4: 1, 3e4: 0, 1.2e5: 0}
    assert track.totals_ms[3] == pytest.approx(2_500, abs=300)
    ((begin_s, end_s),) = track.silences()
    assert (begin_s, end_s) == pytest.approx((20.0, 32.5), abs=0.3)


def test_a_silence_that_lasts_to_the_end_is_shown() -> None:
    track = AgeTrack()
    for number in range(100):
        track.add(number * 0.25, number * 250.0)
    assert track.silences() == [(0.0, 24.75)]
    assert track.max_ms == pytest.approx(24_750)


def test_an_unknown_age_grows_from_the_last_known_stamp() -> None:
    track = AgeTrack()
    track.add(0.0, 0.0, 1)
    for number in range(1, 41):
        track.add(number * 0.25, None)
    assert track.max_ms == pytest.approx(10_000)
    assert track.unknown_s == pytest.approx(10.0)


def test_a_start_in_time_has_no_age_and_a_late_one_is_a_silence() -> None:
    for start_s, longest_ms in ((5.0, 250.0), (40.0, 40_000.0)):
        track = AgeTrack()
        for number in range(400):
            at_s = number * 0.25
            track.add(at_s, None if at_s < start_s else 0.0, 1, 250.0)
        track.close()
        assert track.first_s == start_s
        assert track.unknown_s == pytest.approx(start_s, abs=0.3)
        assert track.max_ms == pytest.approx(longest_ms, rel=0.01)


def test_what_never_speaks_was_silent_all_along() -> None:
    track = AgeTrack()
    for number in range(100):
        track.add(float(number), None)
    track.close()
    assert track.first_s is None
    assert track.max_ms == pytest.approx(99_000)


def test_what_lost_samples_would_have_shown_is_neither_old_nor_young() -> None:
    track = AgeTrack()
    track.add(0.0, 0.0, 1)
    track.add(20.0, 100.0, 3, 50.0, is_whole=False)
    assert track.unseen_s == pytest.approx(20.0)
    assert track.max_ms < 0
    track.add(40.0, 20_100.0, 0, 0.0, is_whole=False)  # nothing came: that is known
    assert track.max_ms == pytest.approx(20_100)


def test_mean_of_a_steady_saw_is_half_its_height() -> None:
    track = AgeTrack()
    for number in range(200):
        track.add(float(number), 0.0, 1, 1_000.0)
    track.flush()
    assert mean_ms(EDGES_MS, track.below) == pytest.approx(500, rel=0.01)


def test_nothing_seen_has_no_percentile() -> None:
    assert np.isnan(shares(AgeTrack(), [50.0])[0])


def test_event_age_keeps_its_sign_and_adds_the_way_here() -> None:
    story = Story(kinds={"lighter": "depth"})
    run = Run().take(records_of(story))
    quote = run.instruments["lighter:BTC-PERP"]
    assert quote.event.max_ms == pytest.approx(quote.apply.max_ms + 20.0, rel=0.02)
