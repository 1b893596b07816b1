"""The history checker finds what must not be, and only that."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.history import History, Limits, judge

S = 1_000_000_000
LIMITS = {"v": Limits(fresh_ns=1 * S, confirm_ns=3 * S)}
NAN = float("nan")


def truth(folder: Path, *rows: tuple[Any, ...]) -> Path:
    """Write a log of (second, bid[, fault[, channel]]); the ask is one above."""
    path = folder / "truth.jsonl"
    lines = []
    for at_s, bid, *more in rows:
        fault, channel = [*more, *("", "bbo")[len(more) :]]
        prices = {"bid": bid, "bid_size": 1.0, "ask": bid + 1.0, "ask_size": 2.0}
        head = {"kind": "quote", "venue": "v", "symbol": "BTC", "channel": channel}
        row = {**head, "connection": 1, "sent_ns": int(at_s * S), "fault": fault}
        lines.append(json.dumps({**row, **prices}))
    path.write_text("".join(line + "\n" for line in lines))
    return path


def quote(bid: float, sequence: int, recv_s: float, **changes: Any) -> Any:
    fields = {
        "venue": "v",
        "instrument": "BTC-PERP",
        "symbol": "BTC",
        "source": "STREAM",
        "epoch": 1,
        "session": 1,
        "sequence": sequence,
        "recv_ns": int(recv_s * S),
        "publish_ns": int(recv_s * S) + 1,
        "bid": bid,
        "bid_size": 1.0,
        "ask": bid + 1.0,
        "ask_size": 2.0,
        "state": "LIVE",
        "reason": "none",
        "tradable": True,
    }
    return SimpleNamespace(**{**fields, **changes})


def history(*reads: tuple[float, Any]) -> History:
    made = History()
    for at_s, one in reads:
        made.add(one, int(at_s * S))
    return made


def test_true_history_is_clean_and_counted(tmp_path: Path) -> None:
    path = truth(tmp_path, (1, 100.0), (2, 101.0), (3, 102.0))
    first, last = quote(100.0, 1, 1.1), quote(102.0, 3, 3.1)
    made = history((1.2, first), (1.3, first), (3.2, last))
    findings = judge(made, path, LIMITS)
    assert findings.is_clean, str(findings)
    assert (findings.reads, findings.tradable, findings.spans) == (3, 3, 2)


def test_price_left_behind_is_stale_once_its_limit_is_over(tmp_path: Path) -> None:
    path = truth(tmp_path, (1, 100.0), (2, 101.0))
    old = quote(100.0, 1, 1.1)
    within = judge(history((1.2, old), (2.05, old)), path, LIMITS)
    assert within.is_clean
    beyond = judge(history((1.2, old), (3.5, old)), path, LIMITS)
    assert (beyond.stale, beyond.wrong, beyond.reversed) == (2, 0, 0)


def test_price_received_late_is_stale_whatever_its_receive_stamp(
    tmp_path: Path,
) -> None:
    """It waited on the way: its own age is nothing, the market is elsewhere."""
    path = truth(tmp_path, (1, 100.0), (2, 101.0))
    findings = judge(history((9.1, quote(100.0, 1, 9.0))), path, LIMITS)
    assert findings.stale == 1


def test_silence_is_stale_although_the_market_told_nothing(tmp_path: Path) -> None:
    path = truth(tmp_path, (1, 100.0))
    findings = judge(history((3, quote(100.0, 1, 1.1))), path, LIMITS)
    assert findings.stale == 1


def test_quiet_quote_may_be_old_but_not_contradicted(tmp_path: Path) -> None:
    path = truth(tmp_path, (1, 100.0), (20, 105.0, "", "rest"))
    silent = quote(100.0, 1, 1.1, state="QUIET")
    assert judge(history((19, silent)), path, LIMITS).is_clean
    assert judge(history((22, silent)), path, LIMITS).is_clean
    assert judge(history((24, silent)), path, LIMITS).stale == 1


def test_what_is_not_tradable_may_be_old(tmp_path: Path) -> None:
    path = truth(tmp_path, (1, 100.0), (2, 101.0))
    down = quote(100.0, 1, 1.1, state="DOWN", tradable=False)
    assert judge(history((60, down)), path, LIMITS).is_clean


def test_price_that_returned_is_true_again(tmp_path: Path) -> None:
    path = truth(tmp_path, (1, 100.0), (2, 101.0), (3, 100.0))
    again = quote(100.0, 3, 3.1)
    assert judge(history((3.9, again)), path, LIMITS).is_clean


@pytest.mark.parametrize("is_tradable", [True, False])
@pytest.mark.parametrize(
    ("rows", "bid"),
    [
        (((1, 100.0),), 100.5),  # never sent
        (((5, 100.0),), 100.0),  # not sent by then
        (((1, 100.0, "crossed"),), 100.0),  # sent by a fault
    ],
)
def test_price_that_was_not_sent_is_wrong(
    rows: tuple[Any, ...], bid: float, is_tradable: bool, tmp_path: Path
) -> None:
    path = truth(tmp_path, *rows)
    one = quote(bid, 1, 1.1, tradable=is_tradable)
    findings = judge(history((1.2, one)), path, LIMITS)
    assert findings.wrong == 1


def test_prices_in_another_order_than_sent_are_wrong(tmp_path: Path) -> None:
    path = truth(tmp_path, (1, 100.0), (1.1, 101.0))
    made = history((1.2, quote(101.0, 1, 1.2)), (1.3, quote(100.0, 2, 1.25)))
    assert judge(made, path, LIMITS).wrong == 1


@pytest.mark.parametrize(
    "older",
    [
        {"sequence": 1, "recv_s": 1.1},
        {"sequence": 9, "recv_s": 1.3, "epoch": 0},
        {"sequence": 9, "recv_s": 1.3, "session": 0},
        {"sequence": 9, "recv_s": 1.1},  # newer by number, received earlier
    ],
)
def test_older_read_after_a_newer_one_is_a_reversal(
    older: dict[str, Any], tmp_path: Path
) -> None:
    path = truth(tmp_path, (1, 100.0), (1.1, 100.0))
    made = history((1.3, quote(100.0, 2, 1.2)), (1.4, quote(100.0, **older)))
    assert judge(made, path, LIMITS).reversed == 1


def test_rest_is_an_order_of_its_own_and_never_tradable(tmp_path: Path) -> None:
    path = truth(tmp_path, (1, 100.0), (2, 101.0, "", "rest"))
    # Its age counts from the request, which was made before the answer was sent.
    answer = {"source": "REST", "publish_ns": int(2.1 * S), "state": "DOWN"}
    shown = quote(101.0, 7, 1.9, **answer, tradable=False)
    stream = quote(100.0, 1, 1.1, tradable=False, state="DOWN")
    made = history((1.2, stream), (2.2, shown), (2.3, stream))
    assert judge(made, path, LIMITS).is_clean
    traded = quote(101.0, 7, 1.9, **answer)
    assert judge(history((2.2, traded)), path, LIMITS).rest == 1


def test_instrument_that_never_spoke_claims_nothing(tmp_path: Path) -> None:
    path = truth(tmp_path)
    silent = quote(NAN, 0, 0.0, ask=NAN, state="UNKNOWN", tradable=False)
    silent.recv_ns = -(2**63)
    assert judge(history((1, silent)), path, LIMITS).is_clean


def test_cut_keeps_what_the_next_read_is_compared_with(tmp_path: Path) -> None:
    path = truth(tmp_path, (1, 100.0), (1.1, 101.0))
    made = history((1.2, quote(100.0, 1, 1.1)), (1.3, quote(101.0, 2, 1.2)))
    made.cut()
    made.add(quote(100.0, 1, 1.1), int(1.4 * S))
    assert judge(made, path, LIMITS).reversed == 1


def test_only_what_was_wrong_and_not_tradable_can_be_forgiven(tmp_path: Path) -> None:
    path = truth(tmp_path, (1, 100.0))
    shown = quote(99.0, 1, 1.1, state="SYNCING", tradable=False)
    findings = judge(history((1.2, shown)), path, LIMITS)
    findings.forgive_untraded()
    assert findings.is_clean
    findings = judge(history((1.2, quote(99.0, 1, 1.1))), path, LIMITS)
    findings.forgive_untraded()
    assert not findings.is_clean
