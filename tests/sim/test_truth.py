"""The checker of published quotes finds each kind of lie, and nothing in the truth."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from math import nan
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from feedhandler.sim import Entry, Simulation, Top, Truth
from feedhandler.sim.truth import Fill, Funding, Note
from tests.sim.harness import open_stream
from tests.truth import PRICES, check

VENUE, SYMBOL = "lighter", "BTC"

Json = dict[str, Any]


def quote(bid: float | None, ask: float | None = 100.0) -> Json:
    """A record, or an entry's prices: sizes follow from the prices."""
    sizes = [None if price is None else price / 10 for price in (bid, ask)]
    return dict(zip(PRICES, (bid, sizes[0], ask, sizes[1]), strict=True))


def entry(record: Json, number: int = 0, **changes: Any) -> Entry:
    bid, bid_size, ask, ask_size = (
        None if value is None else str(value) for value in record.values()
    )
    facts = {"fault": "", **changes}
    top = Top(bid, bid_size, ask, ask_size, number, facts["fault"], number)
    return Entry(
        VENUE,
        facts.get("symbol", SYMBOL),
        facts.get("channel", "ticker"),
        facts.get("connection", 1),
        1000 * number,
        top,
    )


def log(path: Path, entries: Iterable[Entry]) -> Path:
    truth = Truth(path / "truth.jsonl")
    for one in entries:
        truth.add(one)
    truth.close()
    return path / "truth.jsonl"


def numbered(records: Iterable[Json], **changes: Any) -> list[Entry]:
    return [entry(one, number, **changes) for number, one in enumerate(records)]


ABCDE = [quote(90.0 + number) for number in range(5)]


def test_all_that_was_sent_is_true(tmp_path: Path) -> None:
    report = check(log(tmp_path, numbered(ABCDE)), ABCDE, VENUE, SYMBOL)
    assert report.is_true
    assert (report.sent, report.published, report.matched) == (5, 5, 5)


def test_some_of_it_and_some_of_it_twice_is_true_and_counted(tmp_path: Path) -> None:
    published = [ABCDE[0], ABCDE[2], ABCDE[2], ABCDE[4]]
    report = check(log(tmp_path, numbered(ABCDE)), published, VENUE, SYMBOL)
    assert report.is_true
    assert (report.matched, report.repeated) == (3, 1)


def test_value_that_comes_again_is_matched_again(tmp_path: Path) -> None:
    records = [ABCDE[0], ABCDE[1], ABCDE[0], ABCDE[1]]
    report = check(log(tmp_path, numbered(records)), records, VENUE, SYMBOL)
    assert (report.matched, report.is_true) == (4, True)


def test_invented_quote_is_found(tmp_path: Path) -> None:
    published = [ABCDE[0], quote(90.5), ABCDE[1]]
    report = check(log(tmp_path, numbered(ABCDE)), published, VENUE, SYMBOL)
    assert (report.invented, report.matched) == (1, 2)
    assert [(row.place, row.why) for row in report.wrong] == [(1, "invented")]
    assert "invented" in str(report)


def test_wrong_size_is_an_invention(tmp_path: Path) -> None:
    published = [{**ABCDE[0], "bid_size": 9.1}]
    report = check(log(tmp_path, numbered(ABCDE)), published, VENUE, SYMBOL)
    assert report.invented == 1


def test_sides_of_two_quotes_in_one_are_an_invention(tmp_path: Path) -> None:
    sent = [quote(90.0, 100.0), quote(91.0, 101.0)]
    torn = quote(91.0, 100.0)
    report = check(log(tmp_path, numbered(sent)), [torn], VENUE, SYMBOL)
    assert report.invented == 1


def test_reordered_quote_is_found(tmp_path: Path) -> None:
    published = [ABCDE[0], ABCDE[3], ABCDE[1], ABCDE[4]]
    report = check(log(tmp_path, numbered(ABCDE)), published, VENUE, SYMBOL)
    assert (report.reordered, report.matched) == (1, 3)
    assert [(row.place, row.why) for row in report.wrong] == [(2, "reordered")]


def test_falsified_quote_is_found(tmp_path: Path) -> None:
    entries = numbered(ABCDE)
    entries[2] = entry(ABCDE[2], 2, fault="crossed")
    report = check(log(tmp_path, entries), ABCDE, VENUE, SYMBOL)
    assert (report.falsified, report.matched) == (1, 4)
    assert (report.sent, report.falsified_sent) == (4, 1)
    assert [row.why for row in report.wrong] == ["falsified"]


def test_quote_that_was_sent_true_and_false_is_true(tmp_path: Path) -> None:
    entries = [entry(ABCDE[0], 0, fault="crossed"), entry(ABCDE[0], 1)]
    report = check(log(tmp_path, entries), [ABCDE[0]], VENUE, SYMBOL)
    assert report.is_true


def test_quote_of_another_market_or_venue_is_an_invention(tmp_path: Path) -> None:
    path = log(tmp_path, numbered(ABCDE, symbol="ETH"))
    assert check(path, ABCDE, VENUE, SYMBOL).invented == 5
    assert check(path, ABCDE, "aster", "ETH").invented == 5
    assert check(path, ABCDE, VENUE, "ETH").is_true


def test_streams_need_not_keep_each_others_order(tmp_path: Path) -> None:
    first = numbered(ABCDE, channel="ticker")
    second = numbered(ABCDE, channel="order_book")
    both = [one for pair in zip(first, second, strict=True) for one in pair]
    published = [*ABCDE[:3], *ABCDE]
    path = log(tmp_path, both)
    assert check(path, published, VENUE, SYMBOL).is_true
    narrow = check(path, published, VENUE, SYMBOL, channels=["ticker"])
    assert (narrow.reordered, narrow.repeated) == (2, 1)


def test_quote_is_not_published_before_it_was_sent(tmp_path: Path) -> None:
    early = {**ABCDE[2], "recv_ns": 1999}
    report = check(log(tmp_path, numbered(ABCDE)), [early], VENUE, SYMBOL)
    assert report.invented == 1
    in_time = {**ABCDE[2], "recv_ns": 2000}
    report = check(log(tmp_path, numbered(ABCDE)), [in_time], VENUE, SYMBOL)
    assert report.is_true


@pytest.mark.parametrize("absent", [None, nan])
def test_absent_side_is_none_or_nan(tmp_path: Path, absent: float | None) -> None:
    record = {**quote(None), "bid": absent, "bid_size": absent}
    path = log(tmp_path, numbered([quote(None)]))
    assert check(path, [record], VENUE, SYMBOL).is_true
    assert check(path, [ABCDE[0]], VENUE, SYMBOL).invented == 1


def test_records_are_objects_or_rows_of_an_array(tmp_path: Path) -> None:
    path = log(tmp_path, numbered(ABCDE))
    objects = [SimpleNamespace(**one) for one in ABCDE]
    assert check(path, objects, VENUE, SYMBOL).matched == 5
    rows = np.array(
        [tuple(one.values()) for one in ABCDE],
        dtype=[(name, "f8") for name in PRICES],
    )
    assert check(path, rows, VENUE, SYMBOL).matched == 5


def test_trades_funding_and_half_a_line_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "truth.jsonl"
    truth = Truth(path)
    truth.note(Note(VENUE, "trade", 1, 5, Fill(SYMBOL, "90.0", "9.0", "buy", "7", 5)))
    truth.note(Note(VENUE, "s", 1, 5, Funding(SYMBOL, 1e-5, 1, 90.0, None, 5)))
    truth.add(entry(ABCDE[0]))
    truth.close()
    trade, funding, _ = map(json.loads, path.read_text().splitlines())
    assert (trade["kind"], trade["price"], trade["side"]) == ("trade", 90.0, "buy")
    assert (funding["kind"], funding["rate"], funding["oracle"]) == (
        "funding", 1e-5, None
    )  # fmt: skip
    with path.open("a") as file:
        file.write('{"kind":"quo')
    assert check(path, [ABCDE[0]], VENUE, SYMBOL).is_true


def test_what_a_plain_client_read_is_true_and_falsified_quotes_are_not(
    tmp_path: Path,
) -> None:
    path = tmp_path / "truth.jsonl"
    published: list[Json] = []

    async def scenario() -> None:
        async with (
            Simulation(rate=20.0, truth_path=path) as simulation,
            open_stream(simulation.addresses[0].ws_url) as client,
        ):
            await client.subscribe("bbo", "BTC")
            for turn in range(40):
                rows = (await client.next("bbo"))["bbo"]
                texts = [row[key] for row in rows for key in ("px", "sz")]
                record = dict(zip(PRICES, map(float, texts), strict=True))
                published.append(record)
                if turn == 20:
                    simulation.inject("crossed+1h")

    asyncio.run(scenario())
    report = check(path, published, "hyperliquid", "BTC")
    assert report.falsified > 0
    assert report.matched + report.falsified == report.published
    crossed = {row.place for row in report.wrong}
    assert crossed == {
        number for number, one in enumerate(published) if one["bid"] >= one["ask"]
    }
