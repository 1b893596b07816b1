"""What the simulator says has the shape of what was recorded or documented."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from tests.sim.harness import shape
from tests.sim.venues.aster.desk import FRAMES, Desk, sample, samples


def streamed(name: str, **wanted: Any) -> Callable[[], Any]:
    """The first frame of a stream with these values."""

    def take() -> Any:
        desk = Desk(path="/stream" if "stream" in wanted else "/ws")
        desk.subscribe(name)

        def accept(told: Any) -> bool:
            if isinstance(told, list):
                return True
            row = told.get("data", told)
            kind = wanted.get("X", row.get("X"))
            # An event with both sides tells the shape of both.
            return bool(row.get("X") == kind and row.get("b", 1) and row.get("a", 1))

        return desk.until(accept)

    return take


def asked(name: str, **query: object) -> Callable[[], Any]:
    def take() -> Any:
        desk = Desk()
        desk.move(200)
        return desk.get(name, **query)

    return take


def dead(name: str) -> Callable[[], Any]:
    """The answer while one side of the book is gone."""

    def take() -> Any:
        desk = Desk()
        desk.venue.missing_side = "ask"
        desk.venue.refresh()
        return desk.get(name)

    return take


SHAPES: dict[str, Callable[[], Any]] = {
    "ws_bookTicker_btcusdt_2025_recorded.json": streamed("btcusdt@bookTicker"),
    "ws_bookTicker_asterusdt_2025_recorded.json": streamed("hypeusdt@bookTicker"),
    "ws_aggTrade_btcusdt_2025_recorded.json": streamed("btcusdt@aggTrade"),
    "ws_depthUpdate_diff_btcusdt_2025_recorded.json": streamed("btcusdt@depth@100ms"),
    "ws_24hrTicker_cakeusdt_2025_recorded.json": streamed("xrpusdt@ticker"),
    "ws_markPriceUpdate_btcusdt_2025_recorded.json": streamed("btcusdt@markPrice@1s"),
    "ws_markPriceUpdate_empty_rate_constructed.json": streamed("newusdt@markPrice@1s"),
    "ws_markPriceUpdate_arr_doc.json": streamed("!markPrice@arr"),
    "ws_combined_trade_market_constructed.json": streamed(
        "btcusdt@trade", stream=True, X="MARKET"
    ),
    "ws_combined_trade_insurance_fund_dogeusdt_2026.json": streamed(
        "dogeusdt@trade", stream=True, X="INSURANCE_FUND"
    ),
    "ws_depth5_partial_doc.json": streamed("btcusdt@depth5"),
    "ws_kline_doc.json": streamed("btcusdt@kline_1m"),
    "ws_miniTicker_doc.json": streamed("btcusdt@miniTicker"),
    "ws_forceOrder_doc.json": streamed("!forceOrder@arr"),
    "rest_depth_doc.json": asked("depth", symbol="BTCUSDT"),
    "rest_bookTicker_empty_ask_2026_recorded.json": dead("ticker/bookTicker"),
    "rest_premiumIndex_btcusdt_2025_recorded.json": asked(
        "premiumIndex", symbol="BTCUSDT"
    ),
    "rest_fundingRate_history_2025_recorded.json": asked(
        "fundingRate", symbol="BTCUSDT"
    ),
    "rest_fundingInfo_doc.json": asked("fundingInfo"),
    "rest_openInterest_2026_recorded.json": asked("openInterest", symbol="BTCUSDT"),
    "rest_ticker24hr_ethusdt_2026_recorded.json": asked(
        "ticker/24hr", symbol="ETHUSDT"
    ),
    "rest_trades_ethusdt_2026_recorded.json": asked("trades", symbol="ETHUSDT"),
    "rest_exchangeInfo_doc.json": asked("exchangeInfo"),
}

# Compared elsewhere, or steps of a procedure and not frames.
OTHERS = {
    "PROVENANCE.md",
    "rest_errors.jsonl",
    "rest_exchangeInfo_symbol_asterusdt_2025.json",
    "ws_acks_doc.jsonl",
    "ws_client_requests_doc.jsonl",
    "ws_errors_doc.jsonl",
    "ws_depth_adjacent_first_event_constructed.jsonl",
    "ws_depth_no_overlap_constructed.json",
    "ws_depth_sync_sequence_constructed.jsonl",
}


@pytest.mark.parametrize("name", SHAPES)
def test_shape_is_that_of_the_sample(name: str) -> None:
    assert shape(SHAPES[name]()) == shape(sample(name))


def test_every_sample_is_compared() -> None:
    names = {path.name for path in FRAMES.iterdir()}
    assert names == set(SHAPES) | OTHERS


@pytest.mark.parametrize(
    "name", [name for name in SHAPES if name.endswith("_recorded.json")]
)
def test_keys_come_in_the_recorded_order(name: str) -> None:
    told, recorded = SHAPES[name](), sample(name)
    if isinstance(told, list):
        told, recorded = told[0], recorded[0]
    assert list(told) == list(recorded)


def test_numbers_are_written_as_recorded() -> None:
    told = SHAPES["ws_bookTicker_btcusdt_2025_recorded.json"]()
    recorded = sample("ws_bookTicker_btcusdt_2025_recorded.json")
    for key in "bBaA":
        assert len(told[key].split(".")[1]) == len(recorded[key].split(".")[1])
    # Below the tick there are zeros.
    assert SHAPES["ws_bookTicker_asterusdt_2025_recorded.json"]()["b"].endswith("00")


def test_events_of_the_recorded_kind_have_one_id_far_above_the_last() -> None:
    recorded = sample("ws_depthUpdate_diff_btcusdt_2025_recorded.json")
    assert recorded["U"] == recorded["u"] > recorded["pu"] + 1
    desk = Desk()
    desk.subscribe("btcusdt@depth@0ms")
    told = desk.until(lambda event: event["U"] == event["u"])
    assert told["u"] > told["pu"] + 1


def test_filters_have_the_documented_kinds_and_keys() -> None:
    documented = sample("rest_exchangeInfo_doc.json")["symbols"][0]["filters"]
    for symbol in asked("exchangeInfo")()["symbols"]:
        assert [shape(one) for one in symbol["filters"]] == [
            shape(one) for one in documented
        ]


def test_insurance_fund_fills_are_in_trades_alone() -> None:
    desk = Desk()
    desk.subscribe("btcusdt@trade", "btcusdt@aggTrade", "btcusdt@forceOrder")
    told = [*desk.move(8000), *desk.tick(0.1)]
    kinds = {row["X"] for row in told if row["e"] == "trade"}
    assert kinds == {"MARKET", "INSURANCE_FUND"}
    market = [row for row in told if row["e"] == "trade" and row["X"] == "MARKET"]
    aggregates = [row for row in told if row["e"] == "aggTrade"]
    ids = [row["t"] for row in market]
    covered = [number for row in aggregates for number in range(row["f"], row["l"] + 1)]
    assert covered == ids
    assert {row["id"] for row in desk.get("trades", symbol="BTCUSDT", limit=50)} <= set(
        ids
    )
    sold = {row["t"]: float(row["q"]) for row in market}
    for row in aggregates:
        numbers = range(row["f"], row["l"] + 1)
        assert float(row["q"]) == pytest.approx(sum(sold[one] for one in numbers))
    orders = [row for row in told if row["e"] == "forceOrder"]
    assert orders
    times = [row["E"] for row in orders]
    assert all(after - before >= 1000 for before, after in pairwise(times))


def test_trades_hit_the_touch_that_was_known() -> None:
    desk = Desk()
    desk.subscribe("btcusdt@trade", "btcusdt@bookTicker")
    known: Any = None
    count = 0
    for row in desk.move(6000):
        if row["e"] == "bookTicker":
            known = row
        elif known is not None and row["X"] == "MARKET":
            count += 1
            price, size = ("b", "B") if row["m"] else ("a", "A")
            assert row["p"] == known[price]
            assert float(row["q"]) <= float(known[size])
    assert count > 50


def test_mark_prices_come_each_second_on_the_second_in_a_still_market() -> None:
    desk = Desk()
    desk.subscribe("btcusdt@markPrice@1s", "ethusdt@markPrice", "!markPrice@arr@1s")
    told: list[Any] = []
    for _ in range(12):
        told += desk.tick(1.0)
    arrays = [row for row in told if isinstance(row, list)]
    single = [row for row in told if isinstance(row, dict)]
    assert len([row for row in single if row["s"] == "BTCUSDT"]) == 12
    assert len([row for row in single if row["s"] == "ETHUSDT"]) == 4
    assert all(row["E"] % 1000 == 0 for row in single)
    assert len(arrays) == 12
    rows = {row["s"]: row for row in arrays[-1]}
    assert (rows["NEWUSDT"]["r"], rows["NEWUSDT"]["T"]) == ("", 0)
    hours = {
        row["symbol"]: row["fundingIntervalHours"] for row in desk.get("fundingInfo")
    }
    assert set(hours.values()) == {1, 4, 8}
    for symbol, interval in hours.items():
        assert rows[symbol]["T"] % (interval * 3_600_000) == 0
        assert 0 < rows[symbol]["T"] - rows[symbol]["E"] <= interval * 3_600_000


def test_rate_is_for_the_whole_interval() -> None:
    desk = Desk()
    for symbol, hours in (("BTCUSDT", 8), ("HYPEUSDT", 4), ("1000PEPEUSDT", 1)):
        asset = desk.venue.listed[symbol].asset
        assert asset is not None
        told = float(desk.get("premiumIndex", symbol=symbol)["lastFundingRate"])
        assert told == pytest.approx(asset.context().funding_per_hour * hours, abs=1e-8)


def test_ticker_arrays_list_only_what_traded() -> None:
    desk = Desk()
    desk.subscribe("!ticker@arr")
    desk.tick(0.0)
    assert desk.tick(1.0) == []
    traded: set[str] = set()
    while not traded:
        before = {
            symbol: perp.tape.next_id for symbol, perp in desk.venue.listed.items()
        }
        desk.move(30, seconds=0.0)
        traded = {
            symbol
            for symbol, perp in desk.venue.listed.items()
            if perp.tape.next_id != before[symbol]
        }
    (rows,) = [told for told in desk.tick(1.0) if isinstance(told, list)]
    assert traded <= {row["s"] for row in rows}
    assert "MATICUSDT" not in {row["s"] for row in rows}


def test_candle_grows_and_its_end_is_told_once() -> None:
    desk = Desk()
    desk.subscribe("btcusdt@kline_1m")
    candles = [row["k"] for row in desk.move(6000, seconds=0.03)]
    assert all(one["T"] - one["t"] == 59_999 for one in candles)
    ends = [one["t"] for one in candles if one["x"]]
    assert len(ends) == len(set(ends)) >= 2
    for one in candles:
        low, high = float(one["l"]), float(one["h"])
        assert low <= float(one["o"]) <= high
        assert low <= float(one["c"]) <= high


@pytest.mark.parametrize(
    "interval", "1m 3m 5m 15m 30m 1h 2h 4h 6h 8h 12h 1d 3d 1w 1M".split()
)
def test_every_documented_interval_is_served(interval: str) -> None:
    desk = Desk()
    desk.subscribe(f"btcusdt@kline_{interval}")
    candle = desk.until()["k"]
    assert candle["i"] == interval
    assert candle["t"] <= desk.clock.wall_ms() <= candle["T"]


def test_same_seed_sends_the_same_frames() -> None:
    def frames() -> list[Any]:
        desk = Desk()
        desk.subscribe("!bookTicker", "btcusdt@depth@100ms", "btcusdt@trade")
        return desk.move(2000)

    assert frames() == frames()


def test_errors_of_rest_have_the_documented_bodies() -> None:
    rows = {
        (row["status"], str(row["_kind"])): row for row in samples("rest_errors.jsonl")
    }
    wanted = rows[400, "documentation"]
    answer = Desk().answer("/fapi/v3/depth", symbol="NOSUCH")
    assert (answer.status, json.loads(answer.body)) == (400, wanted["body"])
