"""Paradex: an image and its changes make a book whose top is what `bbo` says."""

from __future__ import annotations

import json
import struct
from math import isnan

import pytest

from feedhandler.book.book import UNSYNCED, Book
from feedhandler.book.continuity import (
    APPLY,
    BEFORE_SNAPSHOT,
    DUPLICATE,
    GAP,
    REGRESSED,
    OrderingGuard,
    SequencePlusOne,
)
from feedhandler.events import BookEvent, FundingEvent, QuoteEvent, TradeEvent
from feedhandler.venues._base import Market, Options
from feedhandler.venues.paradex import VENUE
from tests.venues.fed import Fed
from tests.venues.frames import HOUR_NS, US
from tests.venues.frames import WALL_NS as FED_WALL_NS
from tests.venues.test_paradex import (
    BTC,
    CONSTRUCTED,
    ETH,
    NOW_US,
    WALL_NS,
    decode,
    decoder,
    recorded,
    texts,
)
from tests.venues.test_paradex_bad_input import bbo, book, text

FIRST = CONSTRUCTED["book_snapshot_1000"]
CHANGES = [
    CONSTRUCTED[f"book_delta_{name}"]
    for name in ("1001_remove_bid_change_ask", "1002_empty", "longer_entries")
]


def then(frame: bytes) -> bytes:
    """Return a binary frame as it was at the time of a `Fed` session."""
    return frame[:8] + struct.pack("<q", FED_WALL_NS // US) + frame[16:]


def step(frame: bytes) -> BookEvent:
    (event,) = decode(frame, WALL_NS)
    assert isinstance(event, BookEvent)
    return event


def judge(rule: SequencePlusOne, kept: Book, event: BookEvent) -> int:
    """Take one step as a feed does."""
    if event.is_snapshot:
        verdict = rule.judge_snapshot(event.sequence)
        if verdict == APPLY:
            kept.replace(event.bids, event.asks)
        return verdict
    verdict = rule.judge_delta(event.sequence)
    if verdict == APPLY:
        kept.change(event.bids, event.asks)
    return verdict


# --- Books ----------------------------------------------------------------------------


def test_recorded_book_is_whole_and_its_changes_follow_without_a_hole() -> None:
    rule, kept = SequencePlusOne(), Book()
    for frame in recorded("sbe_order_book_deltas_eth"):
        assert judge(rule, kept, step(frame)) == APPLY
        assert kept.fault == 0
        assert (kept.bid, kept.bid_size) == (2579.7, 0.005)
        assert (kept.ask, kept.ask_size) == (2580.84, 0.005)
    # Of 124 bids and 30 asks one each was removed, and one ask was added.
    assert kept.depth == (123, 30)
    assert kept.absent_removals == 0
    assert (2706.57, 4.0) in kept.asks()


def test_constructed_book_follows_its_changes_to_the_gap() -> None:
    rule, kept = SequencePlusOne(), Book()
    assert kept.fault == UNSYNCED
    assert judge(rule, kept, step(CHANGES[0])) == BEFORE_SNAPSHOT
    for frame in (FIRST, *CHANGES[:2]):
        assert judge(rule, kept, step(frame)) == APPLY
    assert kept.bids() == [(62000.0, 1.0)]
    assert kept.asks() == [(62000.5, 2.0), (62001.0, 3.0)]
    assert judge(rule, kept, step(CHANGES[1])) == DUPLICATE
    assert judge(rule, kept, step(CHANGES[0])) == REGRESSED
    gap = step(CONSTRUCTED["book_delta_1004_gap_after_1002"])
    assert judge(rule, kept, gap) == GAP
    assert (rule.expected, rule.received) == (1003, 1004)


def test_changes_in_json_lead_to_the_same_book() -> None:
    rule, kept = SequencePlusOne(), Book()
    frames = texts("ws_json_order_book_deltas_constructed.jsonl")
    verdicts = [judge(rule, kept, step(frame)) for frame in frames]
    assert verdicts == [APPLY, APPLY, GAP]
    assert kept.bids() == [(67629.7, 1.5)]
    assert kept.asks() == [(67630.0, 0.5), (67630.1, 3.137)]


def test_image_follows_image_where_a_channel_sends_nothing_else() -> None:
    rule, kept = SequencePlusOne(), Book()
    for sequence in (10, 15, 400):
        image = step(book((sequence, 10**8), package=0, seq=sequence))
        assert judge(rule, kept, image) == APPLY
        assert kept.bid == sequence / 10**8
    assert judge(rule, kept, step(book((1, 1), package=0, seq=399))) == REGRESSED


def test_recorded_touches_grow_in_number_with_holes() -> None:
    guard = OrderingGuard()
    found = [decode(frame, WALL_NS)[0] for frame in recorded("sbe_bbo_btc")]
    numbers = [row.venue_sequence for row in found if isinstance(row, QuoteEvent)]
    assert len(numbers) == len(found)
    assert [guard.judge_snapshot(number) for number in numbers] == [APPLY] * len(found)
    assert numbers[-1] - numbers[0] >= len(numbers)
    assert guard.judge_snapshot(numbers[0]) == REGRESSED


# --- Sessions -------------------------------------------------------------------------


def test_session_publishes_the_tops_of_a_book_and_asks_anew_after_a_gap() -> None:
    first, second, third = (then(frame) for frame in (FIRST, *CHANGES[:2]))
    fed = Fed(VENUE, "BTC-PERP", first, Options("depth"))
    (quote,) = fed.receive(second)
    assert (quote.bid, quote.ask, quote.ask_size) == (62000.0, 62000.5, 2.0)
    assert quote.venue_sequence == 1001
    (quote,) = fed.receive(third)
    assert quote.venue_sequence == 1002
    assert fed.receive(third) == []
    assert fed.counted["duplicates"] == 1
    fed.receive(then(CONSTRUCTED["book_delta_1004_gap_after_1002"]))
    assert fed.counted["resyncs.seq_gap"] == 1


def test_book_of_which_a_change_was_refused_has_a_gap() -> None:
    fed = Fed(VENUE, "BTC-PERP", then(FIRST), Options("depth"))
    assert fed.receive(then(book((0, 1), seq=1001))) == []
    assert fed.counted["rejected.range"] == 1
    fed.receive(then(CHANGES[1]))
    assert fed.counted["resyncs.seq_gap"] == 1


def test_session_drops_older_and_repeated_touches() -> None:
    frames = [then(bbo(seq=seq)) for seq in (7, 6, 7, 9)]
    fed = Fed(VENUE, "BTC-PERP", frames[0])
    assert [len(fed.receive(frame)) for frame in frames[1:]] == [0, 0, 1]
    assert (fed.counted["regressed"], fed.counted["duplicates"]) == (1, 1)


def test_heartbeat_is_no_data() -> None:
    fed = Fed(VENUE, "BTC-PERP", then(bbo()))
    assert fed.receive(CONSTRUCTED["heartbeat"]) == []
    assert fed.counted == {"pongs": 1}


# --- Twins: the same in JSON and in SBE -----------------------------------------------


def test_touch_in_json_is_the_binary_one() -> None:
    twin = text(
        f"bbo.{BTC}",
        market=BTC,
        seq_no=7,
        bid="1",
        bid_size="2",
        ask="3",
        ask_size="4",
        last_updated_at=WALL_NS // 1_000_000,
    )
    assert list(decode(twin, WALL_NS)) == list(decode(bbo(), WALL_NS))


def test_book_in_json_is_the_binary_one() -> None:
    for frame in (FIRST, *CHANGES):
        event = step(frame)
        rows = [
            {"side": side, "price": f"{price:.8f}", "size": f"{size:.8f}"}
            for side, levels in (("BUY", event.bids), ("SELL", event.asks))
            for price, size in levels
        ]
        twin = text(
            f"order_book.{BTC}.deltas",
            market=BTC,
            seq_no=event.sequence,
            update_type="s" if event.is_snapshot else "d",
            inserts=[row for row in rows if float(row["size"])],
            updates=[],
            deletes=[row for row in rows if not float(row["size"])],
            last_updated_at=NOW_US // 1_000,
        )
        assert step(twin) == event


def test_trade_in_json_is_the_binary_one() -> None:
    (event,) = decode(CONSTRUCTED["trade_v2_with_trade_id_str"], WALL_NS)
    assert isinstance(event, TradeEvent)
    # The time in JSON has no microseconds.
    event.event_ns -= 700_000
    twin = text(
        f"trades.{BTC}",
        market=BTC,
        id="1791427988628201709233240001",
        side="BUY",
        price="83452.9",
        size="0.012",
        created_at=NOW_US // 1_000 - 1,
        trade_type="FILL",
    )
    assert list(decode(twin, WALL_NS)) == [event]


# --- Funding --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "rate"),
    [
        ("markets_summary_v0", 0.0004436),
        ("markets_summary_v1_precise_funding", 0.000443605046),
        ("markets_summary_v3_settlement_twap", 0.000443605046),
    ],
)
@pytest.mark.parametrize("hours", [1, 8])
def test_rate_of_a_summary_is_for_the_period_of_its_market(
    name: str, rate: float, hours: int
) -> None:
    (event,) = decoder(ETH, hours)(CONSTRUCTED[name], WALL_NS)
    assert isinstance(event, FundingEvent)
    assert event.rate_per_hour == pytest.approx(rate / hours, rel=1e-15)
    assert event.interval_ns == hours * HOUR_NS


def test_rate_of_an_unknown_period_is_absent() -> None:
    (event,) = decode(CONSTRUCTED["markets_summary_v0"], WALL_NS)
    assert isinstance(event, FundingEvent)
    assert isnan(event.rate_per_hour)
    assert event.mark_price == 2662.8925496


@pytest.mark.parametrize(
    ("rate", "hours", "rate_8h", "per_hour", "period"),
    [
        ("0.0008", 8, "0.0008", 0.0001, 8),
        ("0.0001", 1, "0.0008", 0.0001, 1),
        ("0.0024", 24, "", 0.0001, 24),
        ("0.0001", 0, "0.0008", 0.0001, 8),
        ("0.0004", 0, "", 0.0001, 4),
        ("0.0004", 0, "0", 0.0001, 4),
        ("0", 0, "0", 0.0, 8),
        ("0.0004", -1, "", 0.0001, 4),
        ("", 8, "0.0008", 0.0001, 8),
    ],
)
def test_rate_is_brought_to_one_hour(
    rate: str, hours: int, rate_8h: str, per_hour: float, period: int
) -> None:
    data = {"funding_rate": rate, "funding_period_hours": hours}
    frame = text("funding_data", market=ETH, funding_rate_8h=rate_8h, **data)
    (event,) = decoder(ETH, 4)(frame, WALL_NS)
    assert isinstance(event, FundingEvent)
    assert event.rate_per_hour == pytest.approx(per_hour, rel=1e-15)
    assert event.interval_ns == period * HOUR_NS


def test_recorded_row_without_a_period_needs_the_market() -> None:
    row = json.loads(b"".join(texts("rest_funding_data_2025_recorded.json")))
    frame = text("funding_data", **row["results"][0])
    (unknown,) = decode(frame, WALL_NS)
    (known,) = decoder(BTC, 8)(frame, WALL_NS)
    assert isinstance(unknown, FundingEvent)
    assert isinstance(known, FundingEvent)
    assert isnan(unknown.rate_per_hour)
    assert known.rate_per_hour == -0.00006992598926 / 8


def test_markets_that_a_decoder_has_may_grow() -> None:
    markets: dict[str, Market] = {}
    growing = VENUE.decoder(markets)
    frame = CONSTRUCTED["markets_summary_v0"]
    (before,) = growing(frame, WALL_NS)
    markets[ETH] = Market(ETH, "ETH-PERP", funding_interval_ns=HOUR_NS)
    (after,) = growing(frame, WALL_NS)
    assert isinstance(before, FundingEvent)
    assert isinstance(after, FundingEvent)
    assert isnan(before.rate_per_hour)
    assert after.rate_per_hour == 0.0004436
