"""A venue with a socket for each stream: one session over all of them, no requests."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from feedhandler.book.trades import TradeFilter
from feedhandler.config import VenueConfig
from feedhandler.errors import UsageError
from feedhandler.events import Event, QuoteEvent, SyncingEvent, TradeEvent
from feedhandler.feed.session import Session
from feedhandler.feed.settings import settle
from feedhandler.venues._base import Market, Options
from feedhandler.venues.extended import VENUE
from shm_layout import LINK_UP
from shm_layout.segment import remove_leftover, segment_name
from tests.feed.driver import MS, SECOND, TICK, TIMING, WALL_MS
from tests.feed.simulated import Feed, Venue, check_truth
from tests.support import Programs

BTC, ETH = "BTC-USD", "ETH-USD"
TOUCH, BOOK = "orderbooks.1.", "orderbooks."
BASE = "wss://host.example/stream.extended.exchange/v1"
PATHS = VENUE.at(BASE)


class Bundled:
    """A session whose frames a test hands in by the socket that they come on."""

    def __init__(self, kind: str = "bbo", symbols: Sequence[str] = (BTC, ETH)) -> None:
        self.now = 0
        self.counted: Counter[str] = Counter()
        self.numbers: Counter[str] = Counter()
        self.session = Session(
            PATHS,
            {symbol: Market(symbol, symbol) for symbol in symbols},
            Options(kind),
            replace(TIMING, ping_interval_ns=PATHS.limits.ping_interval_ms),
            {symbol: TradeFilter() for symbol in symbols},
            self._count,
            self.now,
            WALL_MS * MS,
        )

    def _count(self, name: str, amount: int) -> None:
        self.counted[name] += amount

    @property
    def label(self) -> str:
        return "" if self.session.ending is None else self.session.ending.label

    def open(self) -> None:
        self.session.opened(self.now, WALL_MS * MS + self.now)

    def turn(self, span_ns: int) -> list[Event]:
        """Let time pass, tick by tick; nothing is ever sent."""
        end = self.now + span_ns
        events: list[Event] = []
        while self.now < end and not self.label:
            self.now += TICK
            events += self.session.tick(self.now, WALL_MS * MS + self.now)
            assert self.session.take_outgoing() == []
        return events

    def say(self, topic: str, data: Any, kind: str = "", **facts: Any) -> list[Event]:
        """Receive the next frame of a topic's socket, which does not name it."""
        self.numbers[topic] += 1
        stamp_ms = WALL_MS + self.now // MS + self.numbers[topic]
        frame = {"data": data, "ts": stamp_ms, "seq": self.numbers[topic], **facts}
        if kind:
            frame["type"] = kind
        self.session.turn_to(topic)
        return [*self.session.receive(json.dumps(frame).encode(), self.now)]

    def touch(self, symbol: str, bid: str = "100", **facts: Any) -> list[Event]:
        return self.say(TOUCH + symbol, levels(symbol, bid), "SNAPSHOT", **facts)

    def image(self, symbol: str, bid: str = "100", **facts: Any) -> list[Event]:
        return self.say(BOOK + symbol, levels(symbol, bid), "SNAPSHOT", **facts)

    def change(self, symbol: str, result: str, **facts: Any) -> list[Event]:
        row = {"p": "100", "q": "1", "c": result}
        return self.say(
            BOOK + symbol, {"m": symbol, "b": [row], "a": []}, "DELTA", **facts
        )


def levels(symbol: str, bid: str) -> dict[str, Any]:
    ask = {"p": "101", "q": "1"}
    return {"t": "SNAPSHOT", "m": symbol, "b": [{"p": bid, "q": "1"}], "a": [ask]}


def running(kind: str = "bbo") -> Bundled:
    bundled = Bundled(kind)
    bundled.open()
    for symbol in (BTC, ETH):
        if kind != "depth":
            bundled.touch(symbol)
        if kind != "bbo":
            bundled.image(symbol)
    assert bundled.session.is_whole
    return bundled


# --- Addresses ----------------------------------------------------------------------


def test_each_stream_has_its_path() -> None:
    session = Bundled("both", ["1000PEPE-USD"]).session
    for base in (BASE, BASE + "/"):
        found = [PATHS.stream_url(base, topic) for topic in session.streams]
        assert found == [
            f"{BASE}/orderbooks/1000PEPE-USD?depth=1",
            f"{BASE}/orderbooks/1000PEPE-USD",
            f"{BASE}/prices/mark/1000PEPE-USD",
            f"{BASE}/publicTrades/1000PEPE-USD",
        ]


def test_address_alone_decides_how_the_venue_is_spoken_to() -> None:
    assert VENUE.at("") is VENUE
    assert VENUE.at(VENUE.ws_url) is VENUE
    assert not VENUE.at(BASE + "/").has_requests


def test_more_sockets_than_are_allowed_are_refused_before_any_is_opened() -> None:
    names = tuple(f"A{number}-PERP" for number in range(17))
    config = VenueConfig(ws_url=BASE, instruments=names)
    settle(VENUE, config)
    settle(PATHS, VenueConfig(ws_url=BASE, instruments=names[:16]))
    with pytest.raises(UsageError, match="50 streams a connection: list at most 16"):
        settle(PATHS, config)


# --- The session --------------------------------------------------------------------


def test_streams_stand_from_the_opening_and_nothing_is_sent() -> None:
    bundled = Bundled()
    bundled.open()
    assert bundled.session.is_subscribed
    assert bundled.session.next_due_ns is None
    bundled.touch(BTC)
    bundled.turn(5 * SECOND)
    assert not bundled.label


def test_frames_count_from_the_first_socket_on_that_is_open() -> None:
    bundled = Bundled()
    (quote,) = bundled.touch(BTC)
    assert isinstance(quote, QuoteEvent)
    bundled.open()
    bundled.touch(ETH)
    assert bundled.session.is_whole


def test_each_socket_has_numbers_of_its_own() -> None:
    bundled = running("both")
    for number in range(3):
        assert bundled.touch(BTC, f"99.{number}")
    bundled.change(BTC, "2")
    assert bundled.touch(ETH, "99")
    assert not bundled.label
    assert sum(bundled.counted.values()) == 0
    assert bundled.touch(BTC, "98", seq=4) == []
    assert bundled.counted["duplicates"] == 1


@pytest.mark.parametrize("topic", [TOUCH + ETH, f"prices.mark.{BTC}", f"trades.{BTC}"])
def test_gap_on_any_socket_ends_the_session(topic: str) -> None:
    bundled = running()
    bundled.say(topic, [])
    before = bundled.numbers[topic]
    doubts = bundled.say(topic, [], seq=before + 2)
    assert doubts == [SyncingEvent(BTC, "seq_gap"), SyncingEvent(ETH, "seq_gap")]
    assert bundled.label == "seq_gap"


def test_socket_tells_the_touch_from_the_book_and_one_market_from_another() -> None:
    bundled = running("both")
    (touch,) = bundled.touch(BTC, "99")
    assert isinstance(touch, QuoteEvent)
    assert not touch.is_depth
    bundled.image(BTC, "99")
    assert bundled.say(TOUCH + BTC, levels(ETH, "98"), "SNAPSHOT") == []
    assert bundled.counted["rejected.symbol"] == 1


def test_trades_come_without_a_type() -> None:
    bundled = running()
    row = {"m": BTC, "S": "BUY", "tT": "TRADE", "T": WALL_MS, "p": "100", "q": "1"}
    (trade,) = bundled.say(f"trades.{BTC}", [{**row, "i": 7}])
    assert isinstance(trade, TradeEvent)
    assert bundled.say(f"trades.{BTC}", [{**row, "i": 7}]) == []


def test_book_that_is_wrong_needs_a_new_connection() -> None:
    bundled = running("depth")
    assert bundled.change(BTC, "2")
    assert bundled.change(BTC, "9") == [SyncingEvent(BTC, "checksum")]
    bundled.turn(TICK)
    assert bundled.label == "seq_gap"
    assert bundled.counted["resyncs.checksum"] == 1


def test_book_ordered_anew_needs_a_new_connection() -> None:
    bundled = running()
    bundled.session.resubscribe(ETH, bundled.now)
    bundled.turn(TICK)
    assert bundled.label == "seq_gap"


@pytest.mark.parametrize("kind", ["bbo", "depth", "both"])
def test_stream_that_never_speaks_does_not_end_the_others(kind: str) -> None:
    bundled = Bundled(kind)
    bundled.open()
    while bundled.now < 60 * SECOND and not bundled.label:
        bundled.turn(SECOND)
        (bundled.image if kind == "depth" else bundled.touch)(BTC)
    assert not bundled.label


def test_session_without_any_quote_ends() -> None:
    bundled = Bundled()
    bundled.now += 5 * TICK
    bundled.open()
    bundled.turn(20 * SECOND)
    assert bundled.label == "first_data_timeout"
    assert bundled.now == TIMING.first_data_ns + 5 * TICK


@pytest.mark.parametrize("symbols", [(BTC, ETH, "SOL-USD"), (BTC,)])
def test_other_symbols_need_other_sockets(symbols: Sequence[str]) -> None:
    bundled = running()
    for followed, label in (([ETH, BTC], ""), (symbols, "session_timeout")):
        bundled.session.follow(followed)
        assert bundled.label == label


def test_change_before_the_image_makes_no_quote() -> None:
    bundled = Bundled("depth")
    bundled.open()
    assert bundled.change(BTC, "2") == []
    (quote,) = bundled.image(BTC)
    assert isinstance(quote, QuoteEvent)


# --- A feed process -----------------------------------------------------------------

SETTINGS: dict[str, Any] = {"instruments": "BTC-PERP,ETH-PERP", "trades": True}


@contextmanager
def feeding_by_paths(
    instance: str, programs: Programs, **given: Any
) -> Iterator[tuple[Venue, Feed]]:
    """Run a simulated venue and a feed that speaks to it by paths."""
    venue = Venue("extended", rate=20.0)
    try:
        ws_url = venue.ws_url.removesuffix("/v2/rpc") + "/v1"
        feed = Feed(instance, programs, venue, {**SETTINGS, "ws_url": ws_url, **given})
        try:
            yield venue, feed
        finally:
            feed.reader.close()
            feed.program.close()
            remove_leftover(segment_name(instance, "feed:extended"))
    finally:
        venue.close()


def reconnected(venue: Venue, feed: Feed, fault: str, counter: str) -> None:
    """Inject a fault and wait until a new session has live quotes of both markets."""
    before = feed.count(counter)
    session = feed.reader.owner().session
    venue.inject(fault)
    feed.wait(lambda: feed.count(counter) > before, counter)
    venue.clear()
    feed.wait(lambda: feed.reader.owner().session > session, "the next session")
    feed.wait(lambda: feed.is_live(0) and feed.is_live(1), "both markets")


@pytest.mark.parametrize("kind", ["bbo", "depth", "both"])
def test_feed_over_paths_publishes_what_was_sent_and_survives(
    kind: str, instance: str, programs: Programs
) -> None:
    with feeding_by_paths(instance, programs, feed_kind=kind) as (venue, feed):
        feed.wait(lambda: feed.is_live(0) and feed.is_live(1), "both markets")
        feed.wait(feed.trade_ids, "a trade")
        for fault, counter in (
            ("drop", "reconnects.stream_end"),
            ("drop(how=close)", "reconnects.ws_closed"),
        ):
            reconnected(venue, feed, fault, counter)
        if kind != "bbo":
            reconnected(venue, feed, "gap+1h", "reconnects.seq_gap")
        assert feed.reader.owner().link == LINK_UP
        feed.wait(lambda: len(feed.quotes()) > 20, "quotes")
        assert check_truth(feed, venue) > 10


def test_bundle_hands_over_to_another_before_its_limit(
    instance: str, programs: Programs
) -> None:
    with feeding_by_paths(instance, programs, session_limit_ms=4_000) as (venue, feed):
        feed.wait(lambda: feed.is_live(0) and feed.is_live(1), "both markets")
        feed.wait(lambda: "handed_over" in feed.program.stderr(), "a handover")
        assert feed.reader.owner().link == LINK_UP
        feed.wait(lambda: feed.count("reconnects.session_timeout") > 0, "its count")
        assert check_truth(feed, venue) > 0
        feed.program.stop()
        log = feed.program.stderr()
        assert "retry_in_ms" not in log or "successor_failed" in log


def test_silent_socket_is_not_hidden_by_the_others(
    instance: str, programs: Programs
) -> None:
    with feeding_by_paths(instance, programs, read_timeout_ms=500) as (_, feed):
        # Mark prices come once a second.
        feed.wait(lambda: feed.count("reconnects.read_timeout") > 0, "the silence")
        assert feed.quotes()


def test_market_without_a_path_keeps_the_bundle_from_opening(
    instance: str, programs: Programs
) -> None:
    names = "BTC-PERP,NONESUCH-PERP"
    with feeding_by_paths(instance, programs, instruments=names) as (_, feed):
        feed.wait(lambda: feed.count("reconnects.http_status") > 1, "two refusals")
        assert feed.reader.owner().link != LINK_UP
        feed.program.stop()
        assert "NONESUCH" in feed.program.stderr()
