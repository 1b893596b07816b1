"""What a session asks for, and what it makes of the answers."""

from __future__ import annotations

import json
from itertools import pairwise

from tests.feed.driver import (
    MS,
    SECOND,
    TICK,
    TIMING,
    Driven,
    ack,
    error,
    running,
)


def test_nothing_is_sent_before_the_connection_is_open() -> None:
    driven = Driven(is_open=False)
    driven.turn(5 * SECOND)
    assert driven.sent == []
    assert driven.label == ""


def test_quotes_are_asked_for_first_and_at_once() -> None:
    driven = Driven()
    assert driven.requests() == [{"type": "bbo", "coin": "BTC"}]


def test_requests_keep_their_distance() -> None:
    driven = Driven(["BTC", "ETH", "SOL"])
    driven.turn(SECOND, 1 * MS)
    times = [when for when, _ in driven.sent]
    assert len(times) == 9
    gaps = [after - before for before, after in pairwise(times)]
    assert min(gaps) >= TIMING.subscribe_gap_ns


def test_session_tells_when_its_next_request_is_due() -> None:
    driven = Driven()
    assert driven.session.next_due_ns == TIMING.subscribe_gap_ns
    driven.turn(SECOND, 10 * MS)
    assert driven.session.next_due_ns is None


def test_session_is_subscribed_once_every_request_is_acknowledged() -> None:
    driven = Driven()
    driven.turn(SECOND, 10 * MS)
    driven.receive(ack(driven.requests()[0]))
    assert not driven.session.is_subscribed
    driven.acknowledge()
    assert driven.session.is_subscribed


def test_unacknowledged_request_is_repeated_twice_and_then_ends_the_session() -> None:
    driven = running()
    lost = Driven()
    lost.turn(SECOND, 10 * MS)
    for subscription in lost.requests()[1:]:
        lost.receive(ack(subscription))
    while lost.goes_on:
        lost.turn(TICK)
        lost.quote()
    assert lost.label == "subscribe_error"
    assert lost.requests().count({"type": "bbo", "coin": "BTC"}) == 3
    assert 15 * SECOND <= lost.now <= 16 * SECOND
    assert driven.label == ""


def test_already_subscribed_counts_as_acknowledged() -> None:
    driven = Driven()
    driven.turn(SECOND, 10 * MS)
    for subscription in driven.requests():
        driven.receive(error(f"Already subscribed: {json.dumps(subscription)}"))
    assert driven.session.is_subscribed


def test_refused_symbol_leaves_the_others_alive_with_its_reason() -> None:
    driven = Driven(["BTC", "NOSUCH"])
    driven.turn(SECOND, 10 * MS)
    for subscription in driven.requests():
        if subscription["coin"] == "NOSUCH":
            text = json.dumps(subscription)
            driven.receive(error(f"Invalid subscription {text}"))
        else:
            driven.receive(ack(subscription))
    for _ in range(200):
        driven.quote()
        driven.turn(TICK)
    assert driven.label == ""
    assert driven.session.is_subscribed
    assert driven.counted["subscriptions.rejected"] == 3
    refused = [
        facts for name, facts in driven.session.take_notes() if "refused" in name
    ]
    assert {facts["reason"] for facts in refused} == {"invalid"}
    assert len(driven.requests()) == 6


def test_refusal_without_a_key_is_of_the_oldest_unanswered_request() -> None:
    driven = Driven(["BTC", "ETH"])
    driven.turn(SECOND, 10 * MS)
    driven.receive(ack(driven.requests()[0]))
    driven.receive(error("Cannot subscribe to more than 1000 channels."))
    (note,) = [
        facts for name, facts in driven.session.take_notes() if "refused" in name
    ]
    assert (note["key"], note["reason"]) == ("activeAssetCtx:BTC", "too_many")


def test_session_without_a_single_quote_subscription_ends() -> None:
    driven = Driven()
    driven.turn(SECOND, 10 * MS)
    driven.receive(error('Invalid subscription {"type":"bbo","coin":"BTC"}'))
    driven.tick()
    assert driven.label == "subscribe_error"


def test_error_about_nothing_we_asked_is_counted() -> None:
    driven = running()
    driven.receive(error('Invalid subscription {"type":"bbo","coin":"XRP"}'))
    driven.receive(error("something new"))
    assert driven.counted["venue_error"] == 2
    assert driven.label == ""


def test_symbol_learnt_later_is_subscribed_in_the_running_session() -> None:
    driven = running()
    driven.session.follow(["BTC", "ETH"])
    driven.turn(SECOND, 10 * MS)
    assert {"type": "bbo", "coin": "ETH"} in driven.requests()
    assert len(driven.requests()) == 6
    assert driven.quote("ETH")
