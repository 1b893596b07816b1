"""The verdict: fails closed, and says the same of one quote as of many."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedhandler import verdict
from shm_layout import codes
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
        states, reasons, verdicts, records, runner_beats=runner_beats
    )
    return (
        codes.STATE_NAMES[int(states[0])],
        codes.REASON_NAMES[int(reasons[0])],
        bool(verdict.is_tradable(states, records["source"])[0]),
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
        ({"flags": codes.FLAG_RESTARTED}, "SYNCING", "awaiting_quote"),
        ({"session": 6}, "SYNCING", "awaiting_quote"),
        ({"kind": 0}, "SYNCING", "awaiting_quote"),
    ],
)
def test_a_doubtful_quote_is_never_tradable(
    fields: dict[str, object], state: str, reason: str
) -> None:
    assert judge(make_records(**fields), make_verdicts()) == (state, reason, False)


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
    states, _ = verdict.overlay(
        states,
        np.zeros(1, np.uint8),
        make_verdicts(state=state),
        make_records(),
        runner_beats=True,
    )
    assert not verdict.is_tradable(states, make_records()["source"])[0]


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


@given(
    flags=st.integers(0, 0x7F),
    record_session=st.integers(6, 8),
    age_ns=st.integers(-5, 2 * FRESH_NS),
    bid=st.sampled_from([1.0, math.nan]),
    ask=st.sampled_from([2.0, math.nan]),
    writer_beats=st.booleans(),
    link=st.sampled_from(list(codes.LINK_NAMES)),
)
def test_one_quote_is_judged_as_the_array_of_it(
    flags: int,
    record_session: int,
    age_ns: int,
    bid: float,
    ask: float,
    writer_beats: bool,
    link: int,
) -> None:
    recv_ns = NOW_NS - age_ns
    records = make_records(
        flags=flags, session=record_session, recv_ns=recv_ns, bid=bid, ask=ask
    )
    states, reasons = verdict.assess(
        records,
        np.array([FRESH_NS]),
        NOW_NS,
        writer_beats=writer_beats,
        link=link,
        session=7,
    )
    one = verdict.assess_one(
        flags,
        record_session,
        recv_ns,
        not (math.isnan(bid) or math.isnan(ask)),
        FRESH_NS,
        NOW_NS,
        writer_beats,
        link,
        7,
    )
    assert one == (int(states[0]), int(reasons[0]))
