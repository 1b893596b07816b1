"""What every venue must declare, and what its REST answers must lead to."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from math import isfinite
from typing import Final, TypeVar
from urllib.parse import urlsplit

import msgspec

from feedhandler.book.continuity import Rule
from feedhandler.codec.frame import REASONS, FrameError
from feedhandler.events import AckEvent, BookEvent, RefusalEvent, StandingEvent
from feedhandler.venues._base import (
    BBO,
    DEPTH,
    LIVENESS,
    SUFFIX,
    TRADES,
    Market,
    Options,
    RestRequest,
    Venue,
    find_market,
)
from tests.conformance import mutate
from tests.conformance.facts import WALL_NS, Facts, ask_at, bid_at
from tests.conformance.reading import check_sense
from tests.conformance.subject import Subject, checked_reason

Item = TypeVar("Item")

KINDS = (BBO, DEPTH)
NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,31}$")
BAD_BODIES = {
    "empty": b"",
    "null": b"null",
    "number": b"5",
    "text": b'"zz"',
    "empty list": b"[]",
    "empty object": b"{}",
    "HTML": b"<html><body>502 Bad Gateway</body></html>",
    "NUL": b"\0",
    "nested": b"[" * 50_000 + b"]" * 50_000,
    "nested object": b'{"zz":' + b"[" * 50_000 + b"]" * 50_000 + b"}",
}


def limits_are_declared(venue: Venue, name: str) -> None:
    """Where it is, what it allows, when its quotes are stale."""
    assert venue.name == name, f"called {venue.name}"
    for url, schemes in ((venue.ws_url, ("wss",)), (venue.rest_url, ("https",))):
        assert urlsplit(url).scheme in schemes, url
        assert urlsplit(url).hostname, url
        assert not url.endswith("/"), url
    limits = venue.limits
    for field in msgspec.structs.fields(limits):
        value = getattr(limits, field.name)
        is_zero_fine = field.name in ("ping_interval_ms", "subscribe_gap_ms")
        assert value > 0 or (is_zero_fine and value == 0), f"{field.name}={value}"
    assert limits.frame_bytes_max <= 16 << 20, "a frame that nobody could survive"
    assert limits.chunk <= limits.subscriptions_max
    assert (venue.ping() is None) or limits.ping_interval_ms, "a ping that is never due"
    for kind in KINDS:
        assert 0 < venue.fresh_ms[kind] < 60_000, kind
    for rule in (*venue.continuity.values(), venue.frame_rule):
        assert rule is None or issubclass(rule, Rule), rule
    assert {*venue.continuity} <= {*KINDS}
    assert venue.cross_check in ("sequence", "time", "long")
    assert venue.discovery, "no discovery"
    for request in venue.discovery:
        check_rest(venue, request)


def check_rest(venue: Venue, request: RestRequest) -> None:
    """Check that a request can be sent as it stands, and has its price."""
    assert request.method in ("GET", "POST"), request
    assert request.path.startswith("/"), request
    assert request.path.isascii(), request
    assert not set(request.path) & set(" \r\n#"), request
    assert 0 < request.weight <= venue.limits.rest_weight_per_minute, request
    if request.method == "POST":
        assert json.loads(request.body), request
    else:
        assert not request.body, request


def streams_are_declared(venue: Venue, facts: Facts) -> None:
    """Each kind that is asked for has a stream, then liveness, then trades."""
    market = only_market(venue, facts, "BTC")
    for kind in (*KINDS, "both"):
        for is_with_trades in (True, False):
            options = Options(kind, trades=is_with_trades)
            wanted = venue.subscriptions(market.key, options)
            carried = [row.carries for row in wanted]
            expected = [*options.kinds, LIVENESS, *([TRADES] if is_with_trades else [])]
            assert carried == expected, carried
            assert len({row.key for row in wanted}) == len(wanted), wanted
            assert len({row.topic for row in wanted}) == len(wanted), wanted
            assert all(row.symbol == market.key for row in wanted), wanted
            liveness = wanted[len(options.kinds)]
            assert venue.liveness_channel in liveness.topic, liveness
    _check_requests(venue, facts, market)


def _check_requests(venue: Venue, facts: Facts, market: Market) -> None:
    """Check requests of one stream and of many, and what their answers mean."""
    subject = Subject.of(venue, facts)
    wanted = venue.subscriptions(market.key, Options("both"))
    keys = {row.key for row in wanted}
    for row in wanted:
        begin = venue.request([row.topic], 7)
        end = venue.request([row.topic], 8, is_end=True)
        assert isinstance(json.loads(begin), dict)
        assert begin.replace("7", "8") != end, f"an end looks like a beginning: {end}"
        acks = _acks(subject, begin)
        assert acks, f"not acknowledged: {begin}"
        assert acks <= {*keys, "#7"}, acks
        ends = _acks(subject, end)
        assert ends <= {"#8"}, f"an end taken for a beginning: {ends}"
        (refusal,) = (
            event
            for event in subject.outcome(facts.refuse(begin))[0]
            if isinstance(event, RefusalEvent)
        )
        assert refusal.key in (row.key, "#7", ""), refusal
    topics = [row.topic for row in wanted][: venue.limits.chunk]
    text = venue.request(topics, 9)
    assert all(_inner(topic) in text for topic in topics), text


def _acks(subject: Subject, request: str) -> set[str]:
    """Return the keys of all that the answer to a request says to stand."""
    return {
        event.key
        for frame in subject.facts.accept(request)
        for event in subject.outcome(frame)[0]
        if isinstance(event, AckEvent | StandingEvent)
    }


def _inner(topic: str) -> str:
    """Return what of a topic a request must hold: its last word."""
    return re.split(r"[/.:@]", topic)[-1]


def markets_are_named_by_the_rule(venue: Venue, facts: Facts) -> None:
    """An instrument is BASE-PERP, of the single coin, whatever the venue calls it."""
    bitcoin = only_market(venue, facts, "BTC")
    pepe = only_market(venue, facts, facts.multiple)
    assert (bitcoin.instrument, bitcoin.multiplier) == ("BTC-PERP", 1.0), bitcoin
    assert (pepe.instrument, pepe.multiplier) == ("PEPE-PERP", 1_000.0), pepe
    for market in (bitcoin, pepe):
        assert NAME.match(market.instrument), market
        assert market.is_active, market
        assert not market.tick <= 0, market
        assert not market.lot <= 0, market
        for name in (market.instrument, market.symbol):
            assert find_market(venue, name, [bitcoin, pepe]) == market, name
    by_name = venue.market_by_name("BTC-PERP")
    assert by_name.instrument == "BTC-PERP"
    if not venue.has_market_ids:
        assert by_name.key == bitcoin.key, by_name
    for name in ("BTC-PERP", bitcoin.symbol, "ZZ-PERP", "zz:ZZ-PERP", "ZZ"):
        assert find_market(venue, name, []).instrument, name


def only_market(venue: Venue, facts: Facts, base: str) -> Market:
    """Return the market of a base."""
    bodies = facts.discover(base)
    assert len(bodies) == len(venue.discovery), "one answer for each request"
    (market,) = venue.parse_markets(bodies)
    assert market.instrument.endswith(SUFFIX), market
    return market


def bad_list_of_markets_is_refused(venue: Venue, facts: Facts) -> None:
    """An answer that is no list of markets is a refusal, and no other exception."""
    bodies = facts.discover("BTC")
    for name, bad in BAD_BODIES.items():
        with_bad = [bad, *bodies[1:]]
        found, reason = _listed(venue, with_bad, name)
        assert reason or not found, f"{name}: {found}"
    for index, body in enumerate(bodies):
        for bad in (*BAD_BODIES.values(), *_cut(body), *_with_wrong_values(body)):
            several = [*bodies[:index], bad, *bodies[index + 1 :]]
            found, _ = _listed(venue, several, repr(bad[:200]))
            for market in found:
                assert isinstance(market.instrument, str), market
                assert not market.tick <= 0 or market.tick != market.tick, market
                assert not market.lot <= 0 or market.lot != market.lot, market


def _listed(venue: Venue, bodies: list[bytes], what: str) -> tuple[list[Market], str]:
    markets, reason = _parsed(lambda: venue.parse_markets(bodies), what)
    return markets or [], reason


def _parsed(parse: Callable[[], Item], what: str) -> tuple[Item | None, str]:
    """Return what an answer means, or why it was refused."""
    try:
        return parse(), ""
    except FrameError as error:
        return None, checked_reason(error)
    except Exception as error:
        raise AssertionError(f"{what}: {type(error).__name__}: {error}") from error


def image_is_that_of_the_market(venue: Venue, facts: Facts) -> None:
    """The answer to `snapshot_request` is an image of this market, or a refusal."""
    market = only_market(venue, facts, "BTC")
    other = only_market(venue, facts, "SOL")
    request = venue.snapshot_request(market)
    check_rest(venue, request)
    assert request != venue.snapshot_request(other), "the request names no market"
    image = venue.parse_snapshot(market, facts.snapshot(market.key, 3), WALL_NS)
    assert image.is_snapshot
    assert image.symbol == market.key
    assert [price for price, _ in image.bids] == [float(bid_at(3))], image
    assert [price for price, _ in image.asks] == [float(ask_at(3))], image
    if facts.is_snapshot_named:
        body = facts.snapshot(other.key, 3)
        reason = _imaged(venue, market, body, "another market")
        assert reason == "symbol", f"another market's image: {reason}"
    reason = _imaged(venue, market, facts.snapshot_error, "the venue's error")
    assert reason == "venue_error", reason


def bad_image_is_refused(venue: Venue, facts: Facts) -> None:
    """An answer that is no image is a refusal; numbers are those of its texts."""
    market = only_market(venue, facts, "BTC")
    good = facts.snapshot(market.key, 3)
    for name, bad in BAD_BODIES.items():
        assert _imaged(venue, market, bad, name), f"{name}: taken for an image"
    for bad in _cut(good):
        assert _imaged(venue, market, bad, repr(bad)), f"cut: {bad!r}"
    for bad in _with_wrong_values(good):
        _imaged(venue, market, bad, repr(bad[:300]))


def funding_answer_is_checked(venue: Venue, facts: Facts) -> None:
    """Funding by REST is of this market, sensible, or refused."""
    market = only_market(venue, facts, "BTC")
    request = venue.funding_request(market)
    if request is None:
        assert not facts.funding, "an answer to no request"
        assert _funded(venue, market, b"{}", "no request") in REASONS
        return
    check_rest(venue, request)
    assert facts.funding, "the facts have no answer"
    assert request != venue.funding_request(only_market(venue, facts, "SOL"))
    assert not _funded(venue, market, facts.funding, "good")
    for name, bad in BAD_BODIES.items():
        assert _funded(venue, market, bad, name), f"{name}: taken for funding"
    reason = _funded(venue, market, facts.snapshot_error, "the venue's error")
    assert reason == "venue_error", reason
    for bad in _cut(facts.funding):
        assert _funded(venue, market, bad, repr(bad)), f"cut: {bad!r}"
    for bad in _with_wrong_values(facts.funding):
        _funded(venue, market, bad, repr(bad[:300]))


def _funded(venue: Venue, market: Market, body: bytes, what: str) -> str:
    """Return why funding was refused; check what is not."""
    event, reason = _parsed(lambda: venue.parse_funding(market, body, WALL_NS), what)
    if event is not None:
        assert event.symbol == market.key, f"{what}: {event}"
        check_sense([event])
    return reason


def _imaged(venue: Venue, market: Market, body: bytes, what: str) -> str:
    """Return why an image was refused; check what is not."""
    image, reason = _parsed(lambda: venue.parse_snapshot(market, body, WALL_NS), what)
    if image is not None:
        _check_image(image, what)
    return reason


def _check_image(image: BookEvent, what: str) -> None:
    allowed = {float(bid_at(3)), float(ask_at(3)), 1.0}
    for price, size in (*image.bids, *image.asks):
        assert price in allowed, f"{what}: {image}"
        assert isfinite(size), f"{what}: {image}"
        assert 0.0 <= size <= 1e12, f"{what}: {image}"


def _cut(body: bytes) -> Iterable[bytes]:
    return (body[:end] for end in range(len(body)))


def _with_wrong_values(body: bytes) -> Iterable[bytes]:
    """Yield a body with each value that no field may have, everywhere."""
    document = json.loads(body)
    for path, held in mutate.places(document):
        for raw in mutate.wrong_for(held).values():
            yield mutate.replaced(document, path, raw)
        if path and isinstance(path[-1], str):
            yield mutate.removed(document, path)


# All that ask for the venue's facts.
OF_FACTS: Final = (
    streams_are_declared,
    markets_are_named_by_the_rule,
    bad_list_of_markets_is_refused,
    image_is_that_of_the_market,
    bad_image_is_refused,
    funding_answer_is_checked,
)
