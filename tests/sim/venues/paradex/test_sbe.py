"""What the simulator writes is, byte for byte, what was recorded."""

from __future__ import annotations

import struct
from decimal import Decimal

import pytest

from feedhandler.codec.sbe import NULL_INT64
from feedhandler.sim.venues.paradex import sbe
from tests.sim.venues.paradex.desk import BTC, ETH, Desk, read, recorded, sample

CONSTRUCTED = {
    row["name"]: (bytes.fromhex(row["hex"]), row["expect"])
    for row in sample("sbe_frames_constructed.jsonl")
}


def scaled(text: str | None) -> int:
    return sbe.NULL if text is None else int(Decimal(text) * 10**8)


def pairs(rows: list[list[str]]) -> list[tuple[int, int]]:
    return [(scaled(price), scaled(size)) for price, size in rows]


def test_null_is_the_same_at_both_ends() -> None:
    assert sbe.NULL == NULL_INT64


def test_recorded_touches_are_written_alike() -> None:
    for frame, said in recorded("sbe_bbo_btc"):
        bid, bid_size = scaled(said["bid_price"]), scaled(said["bid_size"])
        touch = (bid, bid_size, scaled(said["ask_price"]), scaled(said["ask_size"]))
        version = said["schema_version"]
        written = sbe.bbo(version, said["ts_us"], said["seq"], touch, said["market"])
        assert written == frame


def test_recorded_books_are_written_alike() -> None:
    for frame, said in recorded("sbe_order_book_deltas_eth"):
        sides = pairs(said["bids"]), pairs(said["asks"])
        package = {"SNAPSHOT": sbe.SNAPSHOT, "DELTA": sbe.DELTA}[said["pkg_type"]]
        version, ts_us = said["schema_version"], said["ts_us"]
        written = sbe.book(version, ts_us, said["seq"], package, sides, said["market"])
        assert written == frame


@pytest.mark.parametrize("name", ["trade_v1", "trade_liquidation_seq0"])
def test_constructed_trades_are_written_alike(name: str) -> None:
    frame, _ = CONSTRUCTED[name]
    said = read(frame)
    written = sbe.trade(
        1,
        (said.ts_us, said.created_us),
        said.seq,
        str(said.number % 2**64),
        sbe.BUY if said.side == "BUY" else sbe.SELL,
        said.price,
        said.size,
        sbe.FILL if said.trade_type == "FILL" else sbe.LIQUIDATION,
        said.market,
    )
    assert written == frame


def test_trade_of_version_2_ends_in_its_whole_id() -> None:
    frame, expected = CONSTRUCTED["trade_v2_with_trade_id_str"]
    said = read(frame)
    times_us = said.ts_us, said.created_us
    written = sbe.trade(2, times_us, said.seq, expected["trade_id_str"], sbe.BUY,
                        said.price, said.size, sbe.FILL, BTC)  # fmt: skip
    # The constructed number is not that of its id: all else is the same.
    assert written[:24] + frame[24:32] + written[32:] == frame


def test_number_of_a_trade_is_its_id_cut_to_64_bits() -> None:
    trade_id = "1791427988628201709233240001"
    frame = sbe.trade(2, (0, 0), 1, trade_id, sbe.BUY, 1, 1, sbe.FILL, BTC)
    said = read(frame)
    assert said.number % 2**64 == int(trade_id) % 2**64
    assert -(2**63) <= said.number < 2**63
    assert said.trade_id == trade_id


@pytest.mark.parametrize(
    ("name", "version"),
    [("markets_summary_v0", 0), ("markets_summary_v1_precise_funding", 1)],
)
def test_constructed_summaries_are_written_alike(name: str, version: int) -> None:
    frame, _ = CONSTRUCTED[name]
    said = read(frame)
    figures = (said.mark, said.index, said.last, said.volume, said.open_interest,
               said.rate, said.bid, said.ask, said.total, said.change)  # fmt: skip
    precise = struct.unpack_from("<q", frame, 8 + 232)[0] if version else 0
    sizes = said.bid_size, said.ask_size
    # The constructed one has an external fair price, which perps here have not.
    written = bytearray(
        sbe.summary(version, said.ts_us, figures, sizes, precise, said.market)
    )
    written[8 + 192 : 8 + 200] = frame[8 + 192 : 8 + 200]
    assert written == frame


@pytest.mark.parametrize("version", [0, 1])
def test_constructed_funding_is_written_alike(version: int) -> None:
    frame, _ = CONSTRUCTED[f"funding_data_v{version}"]
    said = read(frame)
    times_us = said.ts_us, said.created_us
    written = sbe.funding(version, times_us, said.rate, said.index, said.premium,
                          said.rate_8h, said.hours, said.market)  # fmt: skip
    assert written == frame


def test_constructed_heartbeat_is_written_alike() -> None:
    frame, expected = CONSTRUCTED["heartbeat"]
    assert sbe.heartbeat(1, expected["ts_us"]) == frame


@pytest.mark.parametrize(
    ("version", "lengths"),
    [
        (0, {"trade": 50, "bbo": 48, "book": 89, "summary": 216, "funding": 58}),
        (1, {"trade": 50, "bbo": 48, "book": 89, "summary": 240, "funding": 66}),
        (2, {"trade": 50, "bbo": 48, "book": 89, "summary": 240, "funding": 66}),
        (3, {"trade": 50, "bbo": 48, "book": 89, "summary": 248, "funding": 66}),
    ],
)
def test_each_version_has_its_block_lengths(
    version: int, lengths: dict[str, int]
) -> None:
    desk = Desk(version=version)
    names = "bbo.ALL trades.ALL funding_data markets_summary".split()
    for name in (*names, f"order_book.{ETH}.deltas"):
        desk.subscribe(name)
    events = [read(frame.text) for frame in desk.move(200) + desk.tick(1.0)]
    assert {event.header.version for event in events} == {version}
    assert {event.header.schema_id for event in events} == {1}
    found = {event.kind: event.header.block_bytes for event in events}
    assert found == lengths
    ids = {event.trade_id is not None for event in events if event.kind == "trade"}
    assert ids == {version >= 2}
    (beat,) = desk.tick(25.0)[-1:]
    assert read(beat.text).header == (16, 40, 1, version)
