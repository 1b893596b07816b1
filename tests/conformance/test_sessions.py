"""Every venue's conversation through a session: order, doubt, freshness, refusals."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from feedhandler.venues._base import BBO, DEPTH, load_venue, venue_names
from tests.conformance import session_claims
from tests.conformance.drive import Driven
from tests.conformance.facts import MissingFacts, facts_of
from tests.conformance.session_claims import Make


def _has_changes(name: str) -> bool:
    try:
        return facts_of(name).change is not None
    except MissingFacts:
        return True  # told by each of its tests


VENUES = venue_names()
CHANGING = [name for name in VENUES if _has_changes(name)]

every_venue = pytest.mark.parametrize("name", VENUES)
every_kind = pytest.mark.parametrize("kind", [BBO, DEPTH])
with_changes = pytest.mark.parametrize("name", CHANGING)


def maker(name: str) -> Make:
    venue = load_venue(name)
    facts = facts_of(name)

    def make(
        kind: str, *, bases: Sequence[str] = ("BTC",), is_answered: bool = True
    ) -> Driven:
        return Driven(venue, facts, kind, bases=bases, is_answered=is_answered)

    return make


@every_venue
@every_kind
def test_quotes_are_published_as_they_come(name: str, kind: str) -> None:
    session_claims.quotes_are_published_as_they_come(maker(name), kind)


@every_venue
@every_kind
def test_newer_is_never_followed_by_older(name: str, kind: str) -> None:
    session_claims.newer_is_never_followed_by_older(maker(name), kind)


@with_changes
def test_lost_change_is_told_before_anything_else(name: str) -> None:
    session_claims.lost_change_is_told_before_anything_else(maker(name))


@with_changes
def test_refused_change_is_a_lost_one(name: str) -> None:
    session_claims.refused_change_is_a_lost_one(maker(name))


@with_changes
def test_change_without_an_image_is_no_quote(name: str) -> None:
    session_claims.change_without_an_image_is_no_quote(maker(name))


@every_venue
def test_second_image_replaces_the_book(name: str) -> None:
    session_claims.second_image_replaces_the_book(maker(name))


@every_venue
@every_kind
def test_crossed_quote_is_dropped_then_doubted(name: str, kind: str) -> None:
    session_claims.crossed_quote_is_dropped_then_doubted(maker(name), kind)


@every_venue
@every_kind
def test_locked_quote_is_published_as_such(name: str, kind: str) -> None:
    session_claims.locked_quote_is_published_as_such(maker(name), kind)


@every_venue
@every_kind
def test_answer_nobody_asked_for_is_counted(name: str, kind: str) -> None:
    session_claims.answer_nobody_asked_for_is_counted(maker(name), kind)


@every_venue
@every_kind
def test_only_data_keeps_a_session(name: str, kind: str) -> None:
    session_claims.only_data_keeps_a_session(maker(name), kind)


@every_venue
@every_kind
def test_liveness_keeps_a_quiet_market(name: str, kind: str) -> None:
    session_claims.liveness_keeps_a_quiet_market(maker(name), kind)


@every_venue
@every_kind
def test_refused_market_costs_only_itself(name: str, kind: str) -> None:
    session_claims.refused_market_costs_only_itself(maker(name), kind)


@every_venue
@every_kind
def test_refused_quotes_end_the_session(name: str, kind: str) -> None:
    session_claims.refused_quotes_end_the_session(maker(name), kind)


@every_venue
def test_trade_is_published_once(name: str) -> None:
    session_claims.trade_is_published_once(maker(name))


@every_venue
@every_kind
def test_stranger_is_no_data(name: str, kind: str) -> None:
    session_claims.stranger_is_no_data(maker(name), kind)


@every_venue
@every_kind
def test_bad_frame_is_counted_and_the_session_goes_on(name: str, kind: str) -> None:
    session_claims.bad_frame_is_counted_and_the_session_goes_on(maker(name), kind)


@every_venue
@every_kind
def test_damaged_frame_is_never_published_crossed(name: str, kind: str) -> None:
    session_claims.damaged_frame_is_never_published_crossed(maker(name), kind)
