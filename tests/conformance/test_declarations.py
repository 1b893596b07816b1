"""What every venue declares: limits, streams, names of markets, and images by REST.

The claims are told in `declared_claims`.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from feedhandler.venues._base import Venue, load_venue, venue_names
from tests.conformance.declared_claims import OF_FACTS, limits_are_declared
from tests.conformance.facts import Facts, facts_of

every_venue = pytest.mark.parametrize("name", venue_names())


def test_there_are_venues_to_look_at() -> None:
    assert len(venue_names()) >= 2


@every_venue
def test_limits_are_declared(name: str) -> None:
    limits_are_declared(load_venue(name), name)


@every_venue
@pytest.mark.parametrize("claim", OF_FACTS)
def test_claim_about_declarations_holds(
    claim: Callable[[Venue, Facts], None], name: str
) -> None:
    claim(load_venue(name), facts_of(name))
