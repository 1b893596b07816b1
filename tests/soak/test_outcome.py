"""Expected outcomes: what is met, what is not, and what nobody looked at."""

from __future__ import annotations

from typing import Any

from feedhandler.soak.outcome import Finding, Outcome, gates_finding
from feedhandler.soak.scenario import Expect
from tests.soak.samples import sample

A, B = "aster", "lighter"


def judged(
    expect: Expect, *samples: Any, harmed: set[str] | None = None
) -> list[Finding]:
    outcome = Outcome([expect], [A, B], harmed or set(), 0)
    for one in samples:
        outcome.take(one)
    return outcome.findings()


def both(at_s: float, state: str, other: str = "LIVE", **row: Any) -> Any:
    return sample(at_s, {A: state, B: other}, {A: row})


def test_word_that_was_seen_is_met_and_one_that_was_not_is_not() -> None:
    expect = Expect("state", A, seen=("STALE", "DOWN"), never=("SUSPECT", "LIVE"))
    found = judged(expect, both(1, "LIVE"), both(2, "STALE"))
    assert [finding.is_met for finding in found] == [True, False, True, False]


def test_start_up_is_not_looked_at() -> None:
    expect = Expect("state", A, never=("DOWN",))
    samples = [both(1, "DOWN"), both(2, "LIVE")]
    assert judged(expect, *samples)[0].is_met
    assert not judged(expect, *samples, both(3, "DOWN"))[0].is_met


def test_what_was_never_looked_at_is_not_met() -> None:
    for expect in (
        Expect("state", A, never=("DOWN",)),
        Expect("ring_lost", A, at_most=0),
        Expect("tradable_share", A, at_most=0),
        Expect("not_good_s", A, at_most=5),
    ):
        assert not judged(expect)[0].is_met
        assert not judged(expect, both(1, "UNKNOWN"))[0].is_met


def test_window_leaves_out_what_is_before_and_behind() -> None:
    expect = Expect("tradable_share", A, at_most=0, from_s=2, to_s=3)
    samples = [both(1, "LIVE"), both(2, "DOWN"), both(3, "DOWN"), both(4, "LIVE")]
    assert judged(expect, *samples)[0].is_met
    late = Expect("tradable_share", A, at_most=0, from_s=2, to_s=4)
    assert not judged(late, *samples)[0].is_met


def test_longest_bad_time_is_of_one_silence() -> None:
    states = ["LIVE", "STALE", "DOWN", "LIVE", "DOWN", "DOWN", "DOWN", "QUIET"]
    samples = [both(at_s, state) for at_s, state in enumerate(states)]
    assert judged(Expect("not_good_s", A, at_most=2), *samples)[0].is_met
    assert not judged(Expect("not_good_s", A, at_most=1), *samples)[0].is_met


def test_labels_count_from_the_first_good_moment() -> None:
    samples = [
        both(1, "LIVE", reconnects={"connect_error": 2}),
        both(2, "LIVE", reconnects={"connect_error": 2, "ws_closed": 1}),
    ]
    expect = Expect("reconnects", A, seen=("ws_closed",), never=("connect_error",))
    assert all(finding.is_met for finding in judged(expect, *samples))


def test_greatest_value_decides_and_unknown_is_none() -> None:
    samples = [both(1, "LIVE", exchange_skew_ms=None), both(2, "LIVE")]
    skew = Expect("exchange_skew_ms", A, at_least=1_500)
    assert not judged(skew, *samples)[0].is_met
    samples.append(both(3, "LIVE", exchange_skew_ms=1_600.0))
    assert judged(skew, *samples)[0].is_met
    lost = Expect("ring_lost", "*", at_most=0)
    assert len(judged(lost, *samples)) == 2
    unknown = [both(1, "LIVE", ring_lost=None)]
    assert not judged(Expect("ring_lost", A, at_most=0), *unknown)[0].is_met


def test_others_are_the_venues_that_no_fault_names() -> None:
    expect = Expect("final", "others", seen=("LIVE",))
    found = judged(expect, both(1, "LIVE"), both(2, "DOWN"), harmed={A})
    assert [(finding.venue, finding.is_met) for finding in found] == [(B, True)]


def test_venue_that_does_not_run_is_not_expected() -> None:
    assert judged(Expect("state", "paradex", seen=("LIVE",)), both(1, "LIVE")) == []


def test_gate_that_should_fail_and_others_that_should_not() -> None:
    failed = ["plateau lighter:BTC-PERP (bbo)", "rss_slope runner"]
    found = gates_finding(failed, ["plateau lighter", "venue_stale lighter"], [])
    assert [finding.is_met for finding in found] == [True, False, False]
    assert found[2].found == "rss_slope runner"
    tolerated = gates_finding(failed, ["plateau lighter"], ["rss_slope"])
    assert all(finding.is_met for finding in tolerated)
    assert gates_finding([], [], [])[0].is_met
    assert not gates_finding(["plateau"], [], [])[0].is_met
