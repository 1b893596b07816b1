"""Every venue's frames, as they were sent, cut, damaged and made wrong.

The claims are told in `claims`; that each can fail is shown in `test_controls`.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable

import pytest

from feedhandler.events import (
    AddEvent,
    BookEvent,
    Event,
    FundingEvent,
    QuoteEvent,
    TickEvent,
    TradeEvent,
)
from feedhandler.venues._base import load_venue, venue_names
from tests.conformance import claims, fixtures
from tests.conformance.facts import MissingFacts, facts_of
from tests.conformance.fixtures import Case
from tests.conformance.subject import Subject

VENUES = venue_names()

# What a subscription carries -> the events that it may bring.
CARRIES = {
    "bbo": QuoteEvent,
    "depth": QuoteEvent | BookEvent | AddEvent,
    "trades": TradeEvent,
    "liveness": FundingEvent | TickEvent,
}


def _cases(*, is_json: bool = False, is_good: bool = False) -> list[Case]:
    """Return the frames of every venue that says enough of itself."""
    found = []
    for venue in VENUES:
        try:
            rows = fixtures.cases(venue)
            mixed = facts_of(venue).mixed or ("-",)
        except MissingFacts:
            continue  # told by the test of the venue's facts
        for case in rows:
            if is_good and case.file.startswith(mixed):
                continue
            if not is_json or case.kind == "json":
                found.append(case)
    return found


every_frame = pytest.mark.parametrize("case", _cases(), ids=lambda case: case.name)
good_frame = pytest.mark.parametrize(
    "case", _cases(is_good=True), ids=lambda case: case.name
)
json_frame = pytest.mark.parametrize(
    "case", _cases(is_json=True), ids=lambda case: case.name
)


def subject_of(case: Case) -> Subject:
    return Subject.of(load_venue(case.venue), facts_of(case.venue))


@pytest.mark.parametrize("name", VENUES)
def test_venue_says_what_the_kit_must_know(name: str) -> None:
    facts = facts_of(name)
    assert {*facts.carried} == {*CARRIES}
    listed = {*fixtures.provenance(name)}
    for file in fixtures.files(name):
        assert file in listed, f"{file} is not in PROVENANCE.md"


@pytest.mark.parametrize("name", VENUES)
def test_every_kind_of_subscription_is_carried_by_a_fixture(name: str) -> None:
    facts = facts_of(name)
    subject = Subject.of(load_venue(name), facts)
    found: dict[str, list[Event]] = defaultdict(list)
    for case in fixtures.cases(name, is_sampled=False):
        found[case.file] += subject.outcome(case.frame)[0]
    for carries, file in facts.carried.items():
        kinds = [type(event) for event in found[file]]
        assert any(issubclass(kind, CARRIES[carries]) for kind in kinds), (file, kinds)


@good_frame
def test_good_frame_is_said_as_it_was_sent(case: Case) -> None:
    claims.good_frame_is_said_as_it_was_sent(subject_of(case), case)


@every_frame
def test_cut_frame_says_nothing(case: Case) -> None:
    claims.cut_frame_says_nothing(subject_of(case), case, random.Random(case.name))


@every_frame
def test_damaged_frame_makes_sense_or_is_refused(case: Case) -> None:
    rng = random.Random(case.name)
    claims.damaged_frame_makes_sense_or_is_refused(subject_of(case), case, rng)


@pytest.mark.parametrize("name", VENUES)
def test_bad_whole_is_refused(name: str) -> None:
    facts = facts_of(name)
    case = next(row for row in fixtures.cases(name) if row.kind == "json")
    subject = Subject.of(load_venue(name), facts)
    has_binary = facts.numbers is not None
    claims.bad_whole_is_refused(subject, case, has_binary=has_binary)


@pytest.mark.parametrize("name", VENUES)
def test_crowd_of_unknown_fields_changes_nothing(name: str) -> None:
    case = next(row for row in fixtures.cases(name) if row.frame[:1] == b"{")
    subject = Subject.of(load_venue(name), facts_of(name))
    claims.crowd_of_unknown_fields_changes_nothing(subject, case)


@json_frame
@pytest.mark.parametrize(
    "claim",
    [
        claims.order_of_levels_changes_nothing,
        claims.unknown_field_changes_nothing,
        claims.bad_value_is_never_published,
        claims.missing_key_is_never_filled,
        claims.wrong_time_is_absent_or_refused,
        claims.wrong_word_is_no_data,
        claims.long_text_costs_no_more_than_its_length,
    ],
)
def test_claim_about_json_holds(
    claim: Callable[[Subject, Case], None], case: Case
) -> None:
    claim(subject_of(case), case)
