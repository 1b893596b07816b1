"""Events become records: real segment, every field, every kind."""

from __future__ import annotations

from collections.abc import Iterator
from math import isnan, nan
from time import monotonic_ns
from typing import Any

import numpy as np
import pytest

from feedhandler.events import (
    FLAG_DISPUTED,
    FLAG_ONE_SIDED,
    FLAG_OUTLIER,
    FLAG_REPLAYED,
    FLAG_SNAPSHOT,
    FLAG_UNCHANGED,
    SIDE_ASK,
    TIME_NONE,
    DisputeEvent,
    FundingEvent,
    QuoteEvent,
    SyncingEvent,
    TickEvent,
    TradeEvent,
)
from feedhandler.feed.counters import NAMES, Counters
from feedhandler.feed.outliers import STEADY_KEPT_NS
from feedhandler.feed.publisher import Publisher
from shm_layout import (
    FLAG_SYNCING,
    KIND_FUNDING,
    KIND_QUOTE,
    KIND_TRADE,
    RECORD_DTYPES,
    SOURCE_STREAM,
    Capacities,
    Instrument,
    Writer,
)
from shm_layout.limits import OUTLIER_HOLD_NS

HOUR_NS = 3_600_000_000_000


class Published:
    """A publisher on a segment of its own, and what a reader sees."""

    def __init__(self, instance: str, **options: Any) -> None:
        self.writer = Writer.open(
            instance, "feed:hyperliquid", Capacities(instruments=4, ring_slots=64)
        )
        self.index = self.writer.add_instrument(
            Instrument("hyperliquid", "BTC-PERP", "BTC")
        )
        self.counters = Counters(self.writer)
        self.publisher = Publisher(self.writer, self.counters, **options)
        self.publisher.set_indexes({"BTC": self.index})
        self.publisher.begin(9)

    def restart(self, **options: Any) -> None:
        """Let another process publish into the same segment."""
        self.publisher = Publisher(self.writer, self.counters, **options)
        self.publisher.set_indexes({"BTC": self.index})
        self.publisher.begin(10)

    def latest(self) -> Any:
        record = self.writer.read_slot(self.index)
        assert record is not None
        return np.frombuffer(record, RECORD_DTYPES[KIND_QUOTE])[0]

    def drained(self) -> list[bytes]:
        out = np.zeros(64, RECORD_DTYPES[KIND_QUOTE])
        count, lost, _ = self.writer.drain(0, out)
        assert lost == 0
        return [out[index].tobytes() for index in range(count)]


@pytest.fixture
def published(instance: str) -> Iterator[Published]:
    made = Published(instance)
    yield made
    made.writer.close(unlink=True)


def quote(symbol: str = "BTC", flags: int = 0) -> QuoteEvent:
    return QuoteEvent(symbol, 1_000, 0, 9.0, 1.0, 10.0, 2.0, flags)


def test_quote_is_in_the_slot_and_in_the_ring_field_by_field(
    published: Published,
) -> None:
    published.publisher.publish([quote(flags=FLAG_SNAPSHOT)], 500)
    for row in (
        published.latest(),
        np.frombuffer(published.drained()[0], RECORD_DTYPES[KIND_QUOTE])[0],
    ):
        assert (row["bid"], row["bid_size"]) == (9.0, 1.0)
        assert (row["ask"], row["ask_size"]) == (10.0, 2.0)
        assert (row["event_ns"], row["recv_ns"]) == (1_000, 500)
        assert (row["flags"], row["session"]) == (FLAG_SNAPSHOT, 9)
        assert (row["kind"], row["source"]) == (KIND_QUOTE, SOURCE_STREAM)
        assert row["publish_ns"] > 0


def test_absent_side_is_nan_with_its_flag(published: Published) -> None:
    event = QuoteEvent("BTC", TIME_NONE, 0, nan, nan, 10.0, 2.0, FLAG_ONE_SIDED)
    published.publisher.publish([event], 1)
    row = published.latest()
    assert isnan(row["bid"])
    assert isnan(row["bid_size"])
    assert row["event_ns"] == TIME_NONE
    assert row["flags"] == FLAG_ONE_SIDED


def test_trade_is_in_the_ring_field_by_field(published: Published) -> None:
    event = TradeEvent("BTC", 1_000, 9.5, 0.1, SIDE_ASK, 77, FLAG_REPLAYED)
    published.publisher.publish([event], 500)
    (record,) = published.drained()
    row = np.frombuffer(record, RECORD_DTYPES[KIND_TRADE])[0]
    assert (row["kind"], row["flags"]) == (KIND_TRADE, FLAG_REPLAYED)
    assert (row["price"], row["size"], row["trade_id"]) == (9.5, 0.1, 77)
    assert (row["aggressor"], row["event_ns"]) == (SIDE_ASK, 1_000)


def funding() -> FundingEvent:
    return FundingEvent(
        "BTC", TIME_NONE, 1.25e-5, HOUR_NS, 7 * HOUR_NS, 9.0, 9.1, nan, 5.0
    )


def test_funding_is_in_the_ring_field_by_field(published: Published) -> None:
    published.publisher.publish([funding()], 500)
    (record,) = published.drained()
    row = np.frombuffer(record, RECORD_DTYPES[KIND_FUNDING])[0]
    assert row["kind"] == KIND_FUNDING
    assert row["rate_per_hour"] == 1.25e-5
    assert (row["interval_ns"], row["next_funding_ns"]) == (HOUR_NS, 7 * HOUR_NS)
    assert (row["mark_price"], row["oracle_price"]) == (9.0, 9.1)
    assert isnan(row["mid_price"])
    assert row["open_interest"] == 5.0


def test_funding_can_be_left_out(instance: str) -> None:
    published = Published(instance, publishes_funding=False)
    published.publisher.publish([funding(), TickEvent("BTC")], 500)
    assert published.drained() == []
    published.writer.close(unlink=True)


def test_syncing_flags_the_latest_quote_and_keeps_its_prices(
    published: Published,
) -> None:
    published.publisher.publish([quote()], 500)
    published.publisher.publish([SyncingEvent("BTC", "crossed")], 900)
    row = published.latest()
    assert row["flags"] & FLAG_SYNCING
    assert (row["bid"], row["recv_ns"]) == (9.0, 500)
    published.publisher.publish([quote()], 950)
    assert not published.latest()["flags"] & FLAG_SYNCING


@pytest.fixture
def guarded(instance: str) -> Iterator[Published]:
    made = Published(instance, outlier_bps=500)
    yield made
    made.writer.close(unlink=True)


def at(price: float) -> QuoteEvent:
    return QuoteEvent("BTC", 1_000, 0, price, 1.0, price + 1, 2.0)


def is_outlier(published: Published) -> bool:
    return bool(published.latest()["flags"] & FLAG_OUTLIER)


def test_price_that_jumps_is_published_at_once_with_its_flag(
    guarded: Published,
) -> None:
    guarded.publisher.publish([at(100.0)], 1)
    assert not is_outlier(guarded)
    guarded.publisher.publish([at(120.0)], 2)
    assert is_outlier(guarded)
    assert guarded.latest()["bid"] == 120.0
    guarded.publisher.publish([at(120.0)], 2 + OUTLIER_HOLD_NS)
    assert not is_outlier(guarded)
    assert guarded.counters.value("outliers") == 1


@pytest.mark.parametrize("what", ["a resync", "another session"])
def test_first_price_after_a_break_is_compared_with_the_last_steady_one(
    guarded: Published, what: str
) -> None:
    now_ns = monotonic_ns()
    guarded.publisher.publish([at(100.0), at(120.0)], now_ns)
    if what == "a resync":
        guarded.publisher.publish([SyncingEvent("BTC", "nonce_gap")], now_ns)
    else:
        guarded.publisher.begin(10)
    guarded.publisher.publish([at(120.0)], now_ns + OUTLIER_HOLD_NS)
    assert is_outlier(guarded), "what had jumped before did not stand in the break"
    guarded.publisher.publish([at(100.0)], now_ns + OUTLIER_HOLD_NS + 1)
    assert not is_outlier(guarded)


def test_first_price_of_a_process_is_compared_with_what_the_one_before_it_showed(
    guarded: Published,
) -> None:
    now_ns = monotonic_ns()
    guarded.publisher.publish([at(100.0)], now_ns)
    guarded.restart(outlier_bps=500)
    guarded.publisher.publish([at(120.0)], now_ns)
    assert is_outlier(guarded)


def test_first_price_after_a_venue_was_silent_for_long_is_compared_with_none(
    guarded: Published,
) -> None:
    guarded.publisher.publish([at(100.0)], monotonic_ns() - STEADY_KEPT_NS)
    guarded.publisher.begin(10)
    guarded.publisher.publish([at(120.0)], monotonic_ns())
    assert not is_outlier(guarded)


def test_dispute_keeps_the_flag_and_the_price_before(guarded: Published) -> None:
    guarded.publisher.publish([at(100.0), at(120.0), DisputeEvent("BTC")], 1)
    assert guarded.latest()["flags"] == FLAG_OUTLIER | FLAG_DISPUTED
    guarded.publisher.publish([at(120.0)], 2)
    assert is_outlier(guarded)


def test_published_and_unchanged_are_counted_with_each_flush(
    published: Published,
) -> None:
    events = [quote(), quote(flags=FLAG_UNCHANGED), quote(flags=FLAG_UNCHANGED)]
    published.publisher.publish(events, 1)
    published.publisher.flush()
    published.publisher.flush()
    assert published.counters.value("published") == 3
    assert published.counters.value("unchanged") == 2


def test_symbol_without_an_index_is_counted_not_published(
    published: Published,
) -> None:
    trade = TradeEvent("ETH", 1, 1.0, 1.0, SIDE_ASK, 1)
    published.publisher.publish([quote("ETH"), trade], 1)
    assert published.drained() == []
    assert published.counters.value("rejected.unsubscribed") == 2


def test_time_from_receive_to_publish_is_recorded(published: Published) -> None:
    published.publisher.publish([quote()], 1)
    (histogram,) = [
        row for row in published.writer.histograms() if row.name == "recv_to_publish"
    ]
    assert histogram.count == 1
    assert histogram.max_ns > 0


def test_every_counter_stands_at_zero_from_the_start(published: Published) -> None:
    counters = published.writer.counters()
    assert {name: counters[name] for name in NAMES} == dict.fromkeys(NAMES, 0)
