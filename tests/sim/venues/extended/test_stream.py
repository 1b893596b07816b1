"""Books and sequences: what a client that applies every frame holds."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.sim.venues.extended.desk import LIVE, Desk, NaiveBook, numbers


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    symbol=st.sampled_from(LIVE),
    version=st.sampled_from([1, 2]),
    steps=st.lists(st.integers(0, 40), min_size=5, max_size=25),
)
def test_naive_client_holds_the_markets_book_and_the_told_top_at_every_step(
    seed: int, symbol: str, version: int, steps: list[int]
) -> None:
    desk = Desk(seed, cadence={"snapshot": 0.7})
    if version == 1:
        line = desk.open(f"/orderbooks/{symbol}")
    else:
        line = desk.rpc()
        line.call("subscribe", "orderbooks", market=symbol, depth="full")
    book = NaiveBook()
    done = 0
    for events in [0, *steps]:
        line.step(events)
        for frame, message in zip(line.got[done:], line.messages[done:], strict=True):
            if "result" in message:
                continue
            book.apply(message)
            assert frame.top is not None
            assert numbers(frame.top) == book.top
        done = len(line.got)
        assert book.equals(desk.perp(symbol))
    assert book.mismatches == 0
    kinds = [one["type"] for one in line.messages if "type" in one]
    assert any(kind.endswith("DELTA") for kind in kinds) or sum(steps) < 60


def test_official_client_that_only_adds_the_changes_holds_the_same() -> None:
    line = Desk().open("/orderbooks/BTC-USD")
    held: dict[Decimal, Decimal] = {}
    for row in line.messages[0]["data"]["b"]:
        held[Decimal(row["p"])] = Decimal(row["q"])
    for _ in range(100):
        for message in line.step(20):
            for row in message["data"]["b"]:
                price = Decimal(row["p"])
                held[price] = held.get(price, Decimal(0)) + Decimal(row["q"])
                assert held[price] == Decimal(row["c"])
                if not held[price]:
                    del held[price]
    assert len(held) == len(line.desk.perp("BTC-USD").shown.bids)


def test_deltas_add_change_and_remove_levels_best_price_first() -> None:
    line = Desk().open("/orderbooks/BTC-USD")
    seen = set()
    for _ in range(100):
        for message in line.step(20):
            for key, sign in (("b", -1), ("a", 1)):
                prices = [Decimal(row["p"]) * sign for row in message["data"][key]]
                assert prices == sorted(prices)
                for row in message["data"][key]:
                    change, size = Decimal(row["q"]), Decimal(row["c"])
                    assert change != 0
                    seen.add("added" if change == size else "changed")
                    if not size:
                        seen.add("removed")
    assert seen == {"added", "changed", "removed"}


def test_one_price_is_written_in_several_ways() -> None:
    line = Desk().open("/orderbooks/BTC-USD")
    writings: dict[Decimal, set[str]] = {}
    for _ in range(200):
        line.step(20)
    for message in line.messages:
        for row in message["data"]["b"] + message["data"]["a"]:
            writings.setdefault(Decimal(row["p"]), set()).add(row["p"])
    assert any(len(texts) > 1 for texts in writings.values())
    texts = set().union(*writings.values())
    assert any(text.endswith(".000000") for text in texts)
    assert any(text.endswith(".0") for text in texts)


def test_full_book_holds_far_levels_off_todays_tick() -> None:
    (message,) = Desk().open("/orderbooks/BTC-USD").messages
    prices = [Decimal(row["p"]) for row in message["data"]["b"]]
    assert prices == sorted(prices, reverse=True)
    assert len(prices) > 50
    assert prices[-1] < prices[0] / 20
    assert any(price % 1 for price in prices)


def test_quiet_book_sends_nothing_between_snapshots() -> None:
    desk = Desk(cadence={"snapshot": 60.0})
    line = desk.open("/orderbooks/BTC-USD")
    for _ in range(20):
        assert line.step(0) == []
    (fresh,) = line.step(0, seconds=60.0)
    assert fresh["type"] == "SNAPSHOT"
    assert fresh["seq"] == 2
    assert line.step(0) == []


def test_depth_one_sends_snapshots_of_the_touch_when_it_changed() -> None:
    desk = Desk()
    line = desk.open("/orderbooks/BTC-USD", depth="1")
    touch = None
    for _ in range(300):
        line.step(2, seconds=0.01)
    assert len(line.messages) > 50
    for message in line.messages:
        assert message["type"] == message["data"]["t"] == "SNAPSHOT"
        now = message["data"]["b"], message["data"]["a"]
        assert [len(side) for side in now] == [1, 1]
        assert now != touch
        touch = now


def test_touch_is_told_at_most_every_ten_milliseconds() -> None:
    desk = Desk()
    line = desk.open("/orderbooks/BTC-USD", depth="1")
    line.of(desk.tick(0.0))
    desk.move(200)
    assert line.of(desk.tick(0.009)) == []
    assert len(line.of(desk.tick(0.002))) == 1


def test_ticks_are_fast_only_while_somebody_wants_the_touch() -> None:
    desk = Desk()
    desk.tick(0.0)
    now_s = desk.clock.monotonic_s()
    assert desk.venue.next_tick_s() - now_s == pytest.approx(0.1)
    desk.open("/orderbooks", depth="1")
    assert desk.venue.next_tick_s() - now_s == pytest.approx(0.01)


def test_v1_sequence_counts_from_one_on_each_socket() -> None:
    desk = Desk()
    opened = [desk.open("/orderbooks/BTC-USD"), desk.open("/publicTrades")]
    for _ in range(50):
        pushes = desk.move(20) + desk.tick()
        for line in opened:
            line.of(pushes)
    opened.append(desk.open("/orderbooks/BTC-USD"))
    for line in opened:
        numbers_told = [message["seq"] for message in line.messages]
        assert numbers_told == list(range(1, len(numbers_told) + 1))
    assert [len(line.got) > 20 for line in opened] == [True, True, False]


def test_all_markets_share_one_sequence_and_each_begins_with_a_snapshot() -> None:
    line = Desk().open("/orderbooks")
    first = line.messages
    assert [message["data"]["m"] for message in first] == list(LIVE)
    books = {symbol: NaiveBook() for symbol in LIVE}
    for _ in range(30):
        line.step(30)
    for expected, message in enumerate(line.messages, 1):
        assert message["seq"] == expected
        books[message["data"]["m"]].apply(message)
    for symbol, book in books.items():
        assert book.equals(line.desk.perp(symbol))


def test_v2_sequence_counts_from_zero_over_all_topics_and_not_for_answers() -> None:
    line = Desk().rpc()
    line.call("subscribe", "orderbooks", market="BTC-USD", depth="full")
    line.call("subscribe", "orderbooks", market="ETH-USD", depth="1")
    line.call("subscribe", "prices", type="mark", market="BTC-USD")
    line.call("subscribe", "trades", market=None)
    for number in range(30):
        line.step(20)
        if number % 10 == 0:
            line.call("subscribe", "orderbooks", market="BTC-USD", depth="full")
    data = [message for message in line.messages if "result" not in message]
    assert [message["seq"] for message in data] == list(range(len(data)))
    assert len({message["subscription"] for message in data}) == 4
    answers = [message for message in line.messages if "result" in message]
    assert all("seq" not in answer for answer in answers)


def test_subscribing_again_brings_a_new_snapshot_and_the_deltas_fit_it() -> None:
    line = Desk().rpc()
    for _ in range(6):
        line.desk.move(30)  # what no tick has told yet
        line.call("subscribe", "orderbooks", market="BTC-USD", depth="full")
        line.step(10)
    book = NaiveBook()
    kinds = []
    for message in line.messages:
        if "result" not in message:
            kinds.append(message["type"])
            book.apply(message)
    assert kinds.count("ORDERBOOKS.SNAPSHOT") == 6
    assert book.mismatches == 0
    assert book.equals(line.desk.perp("BTC-USD"))


def test_newcomer_in_the_middle_of_a_tick_disturbs_nobody() -> None:
    desk = Desk()
    first = desk.open("/orderbooks/SOL-USD")
    desk.tick(0.0)
    opened = [first]
    for _ in range(5):
        desk.move(60)
        opened.append(desk.open("/orderbooks/SOL-USD"))
        desk.move(60)
        pushes = desk.tick()
        for line in opened:
            line.of(pushes)
    for line in opened:
        book = NaiveBook()
        for message in line.messages:
            book.apply(message)
        assert book.mismatches == 0
        assert book.equals(desk.perp("SOL-USD"))


def test_same_seed_sends_the_same_frames() -> None:
    def frames() -> list[object]:
        line = Desk().rpc()
        for scope in ("orderbooks", "trades", "funding-rates"):
            line.call("subscribe", scope, market=None)
        for _ in range(30):
            line.step(30)
        return [frame.text for frame in line.got]

    assert frames() == frames()
