"""The verdict: fails closed, and says the same of one quote as of many."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedhandler import verdict
from shm_layout import _twin_judge, codes
from shm_layout.limits import OUTLIER_HOLD_NS as HOLD_NS
from shm_layout.schema import QUOTE, STATUS

NOW_NS = 10_000_000_000
FRESH_NS = 1_000_000_000


def make_records(**fields: object) -> np.ndarray:
    record = np.zeros(1, QUOTE.dtype)
    values: dict[str, object] = {
        "kind": codes.KIND_QUOTE,
        "source": codes.SOURCE_STREAM,
        "epoch": 3,
        "session": 7,
        "recv_ns": NOW_NS - 5,
        "bid": 1.0,
        "bid_size": 1.0,
        "ask": 2.0,
        "ask_size": 1.0,
    }
    for name, value in (values | fields).items():
        record[name] = value
    return record


def make_verdicts(**fields: object) -> np.ndarray:
    record = np.zeros(1, STATUS.dtype)
    values: dict[str, object] = {
        "kind": codes.KIND_STATUS,
        "session": 7,
        "applied_epoch": 3,
        "state": codes.STATE_LIVE,
    }
    for name, value in (values | fields).items():
        record[name] = value
    return record


def judge(
    records: np.ndarray,
    verdicts: np.ndarray,
    *,
    writer_beats: bool = True,
    runner_beats: bool = True,
    link: int = codes.LINK_UP,
    session: int = 7,
) -> tuple[str, str, bool]:
    states, reasons = verdict.assess(
        records,
        np.full(len(records), FRESH_NS, np.int64),
        NOW_NS,
        writer_beats=writer_beats,
        link=link,
        session=session,
    )
    states, reasons = verdict.overlay(
        states, reasons, verdicts, records, NOW_NS, runner_beats=runner_beats
    )
    return (
        codes.STATE_NAMES[int(states[0])],
        codes.REASON_NAMES[int(reasons[0])],
        bool(verdict.is_tradable(states, reasons, records["source"])[0]),
    )


def test_fresh_two_sided_stream_quote_judged_live_is_tradable() -> None:
    assert judge(make_records(), make_verdicts()) == ("LIVE", "", True)


@pytest.mark.parametrize(
    ("fields", "state", "reason"),
    [
        ({"recv_ns": NOW_NS - FRESH_NS - 1}, "STALE", "age"),
        ({"recv_ns": NOW_NS + 1}, "STALE", "age"),
        ({"recv_ns": codes.TIME_NONE}, "STALE", "age"),
        ({"bid": math.nan}, "SUSPECT", "one_sided"),
        ({"ask": math.nan}, "SUSPECT", "one_sided"),
        ({"flags": codes.FLAG_ONE_SIDED}, "SUSPECT", "one_sided"),
        ({"flags": codes.FLAG_SYNCING}, "SYNCING", "resync"),
        ({"flags": codes.FLAG_DISPUTED}, "SUSPECT", "disputed"),
        ({"flags": codes.FLAG_DISPUTED, "bid": math.nan}, "SUSPECT", "disputed"),
        ({"flags": codes.FLAG_DISPUTED, "recv_ns": 0}, "SUSPECT", "disputed"),
        ({"flags": codes.FLAG_DISPUTED | codes.FLAG_SYNCING}, "SYNCING", "resync"),
        ({"flags": codes.FLAG_DISPUTED, "session": 6}, "SYNCING", "awaiting_quote"),
        ({"flags": codes.FLAG_OUTLIER}, "SUSPECT", "outlier"),
        (
            {"flags": codes.FLAG_OUTLIER, "recv_ns": NOW_NS - HOLD_NS + 1},
            "SUSPECT",
            "outlier",
        ),
        ({"flags": codes.FLAG_OUTLIER, "recv_ns": NOW_NS + 1}, "SUSPECT", "outlier"),
        ({"flags": codes.FLAG_OUTLIER, "recv_ns": codes.TIME_NONE}, "STALE", "age"),
        ({"flags": codes.FLAG_OUTLIER, "bid": math.nan}, "SUSPECT", "one_sided"),
        ({"flags": codes.FLAG_OUTLIER | codes.FLAG_SYNCING}, "SYNCING", "resync"),
        ({"flags": codes.FLAG_RESTARTED}, "SYNCING", "awaiting_quote"),
        ({"session": 6}, "SYNCING", "awaiting_quote"),
        ({"kind": 0}, "SYNCING", "awaiting_quote"),
    ],
)
def test_a_doubtful_quote_is_never_tradable(
    fields: dict[str, object], state: str, reason: str
) -> None:
    assert judge(make_records(**fields), make_verdicts()) == (state, reason, False)


def test_an_outlier_that_has_stood_is_judged_as_any_other_quote() -> None:
    stood = {"flags": codes.FLAG_OUTLIER, "recv_ns": NOW_NS - HOLD_NS}
    assert judge(make_records(**stood), make_verdicts()) == ("LIVE", "", True)


@given(
    age_ns=st.integers(-5, HOLD_NS - 1),
    flags=st.integers(0, 2 * max(codes.FLAG_NAMES) - 1),
    said=st.sampled_from(list(codes.STATE_NAMES)),
    why=st.sampled_from(list(codes.REASON_NAMES)),
)
def test_an_outlier_that_has_not_stood_is_never_tradable(
    age_ns: int, flags: int, said: int, why: int
) -> None:
    records = make_records(
        flags=flags | codes.FLAG_OUTLIER, recv_ns=NOW_NS - age_ns, sequence=9
    )
    verdicts = make_verdicts(
        state=said, reason=why, confirmed_ns=NOW_NS, applied_sequence=9
    )
    assert not judge(records, verdicts)[2]


@pytest.mark.parametrize(
    ("circumstance", "state", "reason"),
    [
        ({"writer_beats": False}, "DOWN", "writer_dead"),
        ({"link": codes.LINK_DOWN}, "DOWN", "link_down"),
        ({"link": codes.LINK_CONNECTING}, "DOWN", "link_down"),
        ({"session": 8}, "SYNCING", "awaiting_quote"),
        ({"runner_beats": False}, "UNKNOWN", "runner_dead"),
    ],
)
def test_a_dead_process_or_link_makes_nothing_tradable(
    circumstance: dict[str, object], state: str, reason: str
) -> None:
    assert judge(make_records(), make_verdicts(), **circumstance) == (  # type: ignore[arg-type]
        state,
        reason,
        False,
    )


@pytest.mark.parametrize("fields", [{"session": 6}, {"applied_epoch": 2}, {"kind": 0}])
def test_a_verdict_of_another_epoch_or_session_does_not_count(
    fields: dict[str, object],
) -> None:
    assert judge(make_records(), make_verdicts(**fields)) == (
        "UNKNOWN",
        "no_verdict",
        False,
    )


@pytest.mark.parametrize(
    "state",
    [code for code in codes.STATE_NAMES if code != codes.STATE_LIVE] + [200],
)
def test_only_the_runners_live_is_tradable(state: int) -> None:
    states, _ = verdict.assess(
        make_records(),
        np.array([FRESH_NS]),
        NOW_NS,
        writer_beats=True,
        link=codes.LINK_UP,
        session=7,
    )
    states, reasons = verdict.overlay(
        states,
        np.zeros(1, np.uint8),
        make_verdicts(state=state),
        make_records(),
        NOW_NS,
        runner_beats=True,
    )
    assert not verdict.is_tradable(states, reasons, make_records()["source"])[0]


def test_a_rest_price_is_shown_and_never_tradable() -> None:
    records = make_records(source=codes.SOURCE_REST)
    assert judge(records, make_verdicts()) == ("LIVE", "", False)


def test_an_instrument_that_never_spoke_on_a_dead_link_is_unknown() -> None:
    assert judge(make_records(kind=0), make_verdicts(), link=codes.LINK_DOWN) == (
        "UNKNOWN",
        "never_spoken",
        False,
    )


@pytest.mark.parametrize(
    ("heartbeat_ns", "beats"),
    [
        (NOW_NS, True),
        (NOW_NS - 500, True),
        (NOW_NS - 501, False),
        (NOW_NS + 1, False),  # from another clock: not a proof of life
        (0, False),
        (codes.TIME_NONE, False),
    ],
)
def test_a_heartbeat_proves_life_only_while_young(
    heartbeat_ns: int, beats: bool
) -> None:
    assert verdict.is_beating(heartbeat_ns, NOW_NS, 500) is beats


# --- QUIET ---------------------------------------------------------------------------

CONFIRM_NS = verdict.QUIET_CONFIRM_LIMIT_NS
LATER_NS = NOW_NS + CONFIRM_NS  # so that a check can be old
OLD_NS = LATER_NS - CONFIRM_NS - 5
QUIET = {
    "state": codes.STATE_QUIET,
    "reason": codes.REASON_QUIET_CONFIRMED,
    "confirmed_ns": LATER_NS - 5,
    "applied_sequence": 9,
}


def judge_quiet(
    record: Mapping[str, object] = MappingProxyType({}),
    said: Mapping[str, object] = MappingProxyType({}),
    *,
    writer_beats: bool = True,
    runner_beats: bool = True,
) -> tuple[str, str, bool]:
    """Judge an old quote whose runner says QUIET, by both ways, which must agree."""
    now_ns = LATER_NS
    records = make_records(**{"recv_ns": OLD_NS, "sequence": 9, **record})
    verdicts = make_verdicts(**{**QUIET, **said})
    evidence = verdict.assess(
        records,
        np.array([FRESH_NS]),
        now_ns,
        writer_beats=writer_beats,
        link=codes.LINK_UP,
        session=7,
    )
    states, reasons = verdict.overlay(
        *evidence, verdicts, records, now_ns, runner_beats=runner_beats
    )
    is_tradable = bool(verdict.is_tradable(states, reasons, records["source"])[0])
    one = _twin_judge.judge(
        records.tobytes(),
        now_ns if writer_beats else 0,
        7 << 32 | codes.LINK_UP,
        verdicts.tobytes(),
        now_ns if runner_beats else 0,
        now_ns,
        FRESH_NS,
        verdict.HEARTBEAT_LIMIT_NS,
        CONFIRM_NS,
    )
    assert one[-3:] == (int(states[0]), int(reasons[0]), is_tradable)
    return (
        codes.STATE_NAMES[int(states[0])],
        codes.REASON_NAMES[int(reasons[0])],
        is_tradable,
    )


def test_a_quiet_quote_is_tradable_while_its_check_is_young() -> None:
    assert judge_quiet() == ("QUIET", "quiet_confirmed", True)
    at_limit = {"confirmed_ns": LATER_NS - CONFIRM_NS}
    assert judge_quiet(said=at_limit) == ("QUIET", "quiet_confirmed", True)


@pytest.mark.parametrize(
    "said",
    [
        {"reason": codes.REASON_QUIET_UNCONFIRMED},
        {"reason": codes.REASON_NONE},
        {"confirmed_ns": codes.TIME_NONE},
        {"confirmed_ns": LATER_NS - CONFIRM_NS - 1},
        {"confirmed_ns": LATER_NS + 1},
        {"confirmed_ns": OLD_NS - 1},  # before the quote came
    ],
)
def test_a_quiet_quote_without_a_young_check_is_not_tradable(
    said: dict[str, object],
) -> None:
    assert judge_quiet(said=said) == ("QUIET", "quiet_unconfirmed", False)


@pytest.mark.parametrize(
    ("record", "state"),
    [
        ({"sequence": 10}, "STALE"),  # another record than the one that was judged
        ({"recv_ns": LATER_NS + 1}, "STALE"),
        ({"recv_ns": codes.TIME_NONE}, "STALE"),
        ({"flags": codes.FLAG_DISPUTED}, "SUSPECT"),
        ({"flags": codes.FLAG_SYNCING}, "SYNCING"),
        (
            {"flags": codes.FLAG_OUTLIER, "recv_ns": LATER_NS - HOLD_NS + 1},
            "SUSPECT",
        ),
        ({"bid": math.nan}, "SUSPECT"),
        ({"session": 6}, "SYNCING"),
        ({"epoch": 4}, "STALE"),
    ],
)
def test_quiet_excuses_age_alone_and_of_one_record(
    record: dict[str, object], state: str
) -> None:
    shown = judge_quiet(record)
    assert (shown[0], shown[2]) == (state, False)


def test_a_dead_process_makes_no_quiet_quote_tradable() -> None:
    assert judge_quiet(writer_beats=False)[::2] == ("DOWN", False)
    assert judge_quiet(runner_beats=False)[::2] == ("STALE", False)


def test_a_quiet_price_from_rest_is_not_tradable() -> None:
    assert judge_quiet({"source": codes.SOURCE_REST})[2] is False


def test_a_new_quote_not_judged_yet_is_as_good_as_its_check() -> None:
    fresh = {"recv_ns": LATER_NS - 3, "sequence": 10}
    assert judge_quiet(fresh) == ("QUIET", "quiet_unconfirmed", False)
