"""What every venue declares: limits, streams, names of markets, and images by REST."""

from __future__ import annotations

import pytest

from feedhandler.venues._base import load_venue, venue_names
from tests.conformance import declared_claims
from tests.conformance.facts import facts_of

every_venue = pytest.mark.parametrize("name", venue_names())


def test_there_are_venues_to_look_at() -> None:
    assert len(venue_names()) >= 2


@every_venue
def test_limits_are_declared(name: str) -> None:
    declared_claims.limits_are_declared(load_venue(name), name)


@every_venue
def test_streams_are_declared(name: str) -> None:
    declared_claims.streams_are_declared(load_venue(name), facts_of(name))


@every_venue
def test_markets_are_named_by_the_rule(name: str) -> None:
    declared_claims.markets_are_named_by_the_rule(load_venue(name), facts_of(name))


@every_venue
def test_bad_list_of_markets_is_refused(name: str) -> None:
    declared_claims.bad_list_of_markets_is_refused(load_venue(name), facts_of(name))


@every_venue
def test_image_is_that_of_the_market(name: str) -> None:
    declared_claims.image_is_that_of_the_market(load_venue(name), facts_of(name))


@every_venue
def test_bad_image_is_refused(name: str) -> None:
    declared_claims.bad_image_is_refused(load_venue(name), facts_of(name))


@every_venue
def test_funding_answer_is_checked(name: str) -> None:
    declared_claims.funding_answer_is_checked(load_venue(name), facts_of(name))
