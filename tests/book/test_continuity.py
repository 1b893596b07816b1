"""Which step of a book may follow which: none after a hole, none seen before."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from feedhandler.book.continuity import (
    APPLY,
    BEFORE_SNAPSHOT,
    DUPLICATE,
    GAP,
    IGNORED,
    NEED_SNAPSHOT,
    REGRESSED,
    SEQUENCE_NONE,
    VERDICT_NAMES,
    FrameSequence,
    NonceChain,
    OrderingGuard,
    Rule,
    SequencePlusOne,
    SnapshotOnly,
)

# A busy machine is no failure.
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

U64_MAX = (1 << 64) - 1
FAR = 1 << 40

rules = pytest.mark.parametrize(
    "kind", [SnapshotOnly, OrderingGuard, NonceChain, SequencePlusOne, FrameSequence]
)
chains = pytest.mark.parametrize("kind", [NonceChain, SequencePlusOne])


def test_every_verdict_has_a_name() -> None:
    verdicts = (APPLY, DUPLICATE, REGRESSED, BEFORE_SNAPSHOT, GAP, NEED_SNAPSHOT)
    assert [VERDICT_NAMES[verdict] for verdict in verdicts] == list(VERDICT_NAMES)
    assert set(verdicts) - IGNORED == {APPLY, GAP, NEED_SNAPSHOT}


# --- what holds for all -------------------------------------------------------------


@rules
def test_new_session_forgets_every_number(kind: type[Rule]) -> None:
    rule = kind()
    assert rule.judge_snapshot(U64_MAX - 1) == APPLY
    rule.reset()
    assert rule.judge_snapshot(3) == APPLY


@chains
def test_change_before_an_image_is_ignored(kind: type[Rule]) -> None:
    rule = kind()
    assert rule.judge_delta(980, 975) == BEFORE_SNAPSHOT
    rule.judge_snapshot(1000)
    rule.reset()
    assert rule.judge_delta(1001, 1000) == BEFORE_SNAPSHOT


@chains
def test_gap_is_told_once_and_nothing_is_applied_until_an_image(
    kind: type[Rule],
) -> None:
    rule = kind()
    rule.judge_snapshot(1000)
    assert rule.judge_delta(1003, 1002) == GAP
    assert rule.judge_delta(1001, 1000) == BEFORE_SNAPSHOT
    assert rule.judge_delta(1004, 1003) == BEFORE_SNAPSHOT
    assert rule.judge_snapshot(1010) == APPLY
    assert rule.judge_delta(1011, 1010) == APPLY


@chains
def test_jump_over_any_width_is_one_gap(kind: type[Rule]) -> None:
    rule = kind()
    for received in (FAR, U64_MAX):
        rule.reset()
        rule.judge_snapshot(7)
        assert rule.judge_delta(received, received - 1) == GAP
        assert rule.received >= received - 1
        assert rule.expected <= 8


@chains
def test_image_older_than_what_was_applied_is_dropped(kind: type[Rule]) -> None:
    rule = kind()
    rule.judge_snapshot(1000)
    rule.judge_delta(1001, 1000)
    assert rule.judge_snapshot(1000) == REGRESSED
    assert rule.judge_delta(1002, 1001) == APPLY
    rule.await_snapshot()
    assert rule.judge_delta(1003, 1002) == BEFORE_SNAPSHOT
    assert rule.judge_snapshot(1001) == REGRESSED
    assert rule.judge_snapshot(1002) == APPLY


@chains
def test_image_in_the_middle_replaces_and_the_chain_goes_on(kind: type[Rule]) -> None:
    rule = kind()
    rule.judge_snapshot(1000)
    rule.judge_delta(1001, 1000)
    assert rule.judge_snapshot(1001) == APPLY
    assert rule.judge_snapshot(1500) == APPLY
    assert rule.judge_delta(1501, 1500) == APPLY


# --- one by one ---------------------------------------------------------------------


def test_snapshot_only_takes_every_image_and_no_change() -> None:
    rule = SnapshotOnly()
    assert [rule.judge_snapshot() for _ in range(3)] == [APPLY] * 3
    assert rule.judge_delta(1, 0) == NEED_SNAPSHOT


def test_ordering_guard_lets_holes_pass_and_drops_what_is_older() -> None:
    # Recorded bbo of BTC-USD-PERP (fueledbychai-rs, 2026-10-08): seq with holes.
    rule = OrderingGuard()
    numbers = [7687292570, 7687292571, 7687292573, 7687292575, 7687292604]
    assert [rule.judge_snapshot(number) for number in numbers] == [APPLY] * 5
    assert rule.judge_snapshot(7687292604) == DUPLICATE
    assert rule.judge_snapshot(7687292575) == REGRESSED
    assert rule.judge_snapshot(7687292604 + FAR) == APPLY
    assert rule.judge_delta(7687292604 + FAR + 1) == NEED_SNAPSHOT


def test_ordering_guard_takes_an_image_without_a_number_and_counts_it() -> None:
    rule = OrderingGuard()
    assert rule.judge_snapshot() == APPLY
    assert rule.judge_snapshot(5) == APPLY
    assert rule.judge_snapshot() == APPLY
    assert rule.judge_snapshot(4) == REGRESSED
    assert rule.unlinked == 2


def test_nonce_chain_holds_over_a_recorded_pair() -> None:
    # Recorded 2026-04-20 (tardis-node): snapshot nonce, then begin_nonce and nonce.
    rule = NonceChain()
    assert rule.judge_snapshot(10382292136) == APPLY
    assert rule.judge_delta(10382292188, 10382292136) == APPLY
    assert rule.last == 10382292188


def test_nonce_chain_breaks_where_the_gap_drill_breaks() -> None:
    # Constructed after the venue's document: (nonce, begin_nonce) of each frame.
    rule = NonceChain()
    assert rule.judge_delta(980, 975) == BEFORE_SNAPSHOT
    assert rule.judge_snapshot(1000) == APPLY
    assert rule.judge_delta(1004, 1000) == APPLY
    assert rule.judge_delta(1010, 1004) == APPLY
    assert rule.judge_delta(1030, 1017) == GAP
    assert (rule.expected, rule.received) == (1010, 1017)
    assert rule.judge_delta(1040, 1030) == BEFORE_SNAPSHOT
    assert rule.judge_snapshot(1041) == APPLY


def test_nonce_chain_ignores_what_it_has_seen() -> None:
    rule = NonceChain()
    rule.judge_snapshot(1000)
    rule.judge_delta(1004, 1000)
    assert rule.judge_delta(1004, 1000) == DUPLICATE
    assert rule.judge_delta(1000, 990) == REGRESSED
    assert rule.judge_delta(1010, 1004) == APPLY


def test_nonce_chain_takes_a_change_without_a_link_and_counts_it() -> None:
    # Frames of 2025 have a nonce and no begin_nonce (ccxt, recorded 2025-11-18).
    rule = NonceChain()
    rule.judge_snapshot(3107818660)
    assert rule.judge_delta(3107818665) == APPLY
    assert rule.judge_delta(3107818665) == DUPLICATE
    assert rule.judge_delta(3107818664) == REGRESSED
    assert rule.judge_delta(3107818670, 3107818665) == APPLY
    assert rule.unlinked == 1


def test_change_that_only_overlaps_the_chain_is_a_gap() -> None:
    rule = NonceChain()
    rule.judge_snapshot(1000)
    assert rule.judge_delta(1004, 998) == GAP
    assert (rule.expected, rule.received) == (1000, 998)


def test_chain_may_start_at_the_nonce_of_an_empty_book() -> None:
    rule = NonceChain()
    assert rule.judge_snapshot(0) == APPLY
    assert rule.judge_delta(8, 0) == APPLY


def test_sequence_plus_one_follows_the_recorded_deltas() -> None:
    # Recorded 2026-10-08 (fueledbychai-rs, ETH-USD-PERP): a snapshot and 16 deltas.
    rule = SequencePlusOne()
    assert rule.judge_snapshot(8106617644) == APPLY
    for number in range(8106617645, 8106617661):
        assert rule.judge_delta(number) == APPLY
    assert rule.judge_delta(8106617660) == DUPLICATE
    assert rule.judge_delta(8106617650) == REGRESSED
    assert rule.judge_delta(0) == REGRESSED
    assert rule.judge_delta(8106617662) == GAP
    assert (rule.expected, rule.received) == (8106617661, 8106617662)


def test_frame_sequence_finds_the_gap_of_the_drill() -> None:
    # Constructed after the SDK: snapshot 0, a price 1, delta 2, then 4; a new socket.
    rule = FrameSequence()
    assert rule.judge_snapshot(0) == APPLY
    assert rule.judge_delta(1) == APPLY
    assert rule.judge_delta(2) == APPLY
    assert rule.judge_delta(4) == GAP
    assert (rule.expected, rule.received) == (3, 4)
    rule.reset()
    assert rule.judge_snapshot(0) == APPLY


def test_frame_sequence_counts_images_too_and_none_heals_a_gap() -> None:
    rule = FrameSequence()
    assert rule.judge_snapshot(1) == APPLY
    assert rule.judge_snapshot(2) == APPLY
    assert rule.judge_snapshot(4) == GAP
    assert rule.judge_snapshot(5) == NEED_SNAPSHOT
    assert rule.judge_delta(3) == NEED_SNAPSHOT


def test_frame_sequence_ignores_what_it_has_seen() -> None:
    rule = FrameSequence()
    rule.judge_snapshot(7)
    rule.judge_delta(8)
    assert rule.judge_delta(8) == DUPLICATE
    assert rule.judge_delta(7) == REGRESSED
    assert rule.judge_delta(9) == APPLY
    assert rule.judge_delta(FAR) == GAP


# --- any history --------------------------------------------------------------------

# What a link may do to frames: each is delivered, lost, said twice or said late.
fates = st.lists(st.sampled_from(("good", "good", "good", "lost", "twice", "late")))


@unhurried
@given(fates=fates, width=st.integers(1, 5), first=st.integers(0, U64_MAX // 2))
@chains
def test_nothing_is_applied_out_of_its_place_over_any_history(
    kind: type[Rule], fates: list[str], width: int, first: int
) -> None:
    rule = kind()
    step = 1 if kind is SequencePlusOne else width
    assert rule.judge_snapshot(first) == APPLY
    sent = [first + step * index for index in range(1, len(fates) + 1)]
    arrived = [
        number
        for number, fate in zip(sent, fates, strict=True)
        for _ in range({"lost": 0, "twice": 2}.get(fate, 1))
    ]
    arrived += [
        number for number, fate in zip(sent, fates, strict=True) if fate == "late"
    ]
    held = first
    is_broken = False
    for number in arrived:
        verdict = rule.judge_delta(number, number - step)
        if verdict == APPLY:
            assert number == held + step
            assert not is_broken
            held = number
        elif verdict == GAP:
            assert not is_broken
            assert number > held + step
            is_broken = True
        elif verdict == BEFORE_SNAPSHOT:
            assert is_broken
        else:
            assert number <= held
            assert verdict == (DUPLICATE if number == held else REGRESSED)
    assert is_broken or held == max([first, *arrived])


def test_number_that_is_absent_is_not_a_number_of_any_venue() -> None:
    assert SEQUENCE_NONE < 0
