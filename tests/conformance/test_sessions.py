"""Every venue's conversation through a session: order, doubt, freshness, refusals.

The claims are told in `session_claims`; that each can fail is shown in `test_controls`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from feedhandler.venues._base import BBO, DEPTH, load_venue, venue_names
from tests.conformance.drive import Driven
from tests.conformance.facts import MissingFacts, facts_of
from tests.conformance.session_claims import OF_CHANGES, OF_EACH_KIND, OF_VENUES, Make


def _has_changes(name: str) -> bool:
    try:
        return facts_of(name).change is not None
    except MissingFacts:
        return True  # told by each of its tests


VENUES = venue_names()
CHANGING = [name for name in VENUES if _has_changes(name)]


def maker(name: str) -> Make:
    return partial(Driven, load_venue(name), facts_of(name))


@pytest.mark.parametrize("name", VENUES)
@pytest.mark.parametrize("kind", [BBO, DEPTH])
@pytest.mark.parametrize("claim", OF_EACH_KIND)
def test_claim_about_each_kind_holds(
    claim: Callable[[Make, str], None], kind: str, name: str
) -> None:
    claim(maker(name), kind)


@pytest.mark.parametrize("name", VENUES)
@pytest.mark.parametrize("claim", OF_VENUES)
def test_claim_about_every_venue_holds(
    claim: Callable[[Make], None], name: str
) -> None:
    claim(maker(name))


@pytest.mark.parametrize("name", CHANGING)
@pytest.mark.parametrize("claim", OF_CHANGES)
def test_claim_about_changes_holds(claim: Callable[[Make], None], name: str) -> None:
    claim(maker(name))
