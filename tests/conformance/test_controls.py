"""The claims hold for the template, and each fails for a venue that is wrong."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from feedhandler.venues._base import BBO, DEPTH, Venue
from tests.conformance import claims, fixtures
from tests.conformance import declared_claims as declared
from tests.conformance import session_claims as on
from tests.conformance import wrong_declarations as other
from tests.conformance import wrong_venues as wrong
from tests.conformance.drive import Driven
from tests.conformance.facts import MissingFacts, facts_of
from tests.conformance.subject import Subject
from tests.conformance.template_venue import VENUE

FACTS = facts_of("template")
# --- Each family of claims, called in one way: with a venue ---------------------------


def of_frames(claim: Callable[..., None], venue: Venue, file: str = "") -> None:
    """Hold a claim over the template's frames."""
    subject = Subject.of(venue, FACTS)
    for case in fixtures.cases("template"):
        mixed = FACTS.mixed or ("-",)
        if file in case.file and not case.file.startswith(mixed):
            more: dict[str, Any] = {}
            if claim is claims.bad_whole_is_refused:
                more = {"has_binary": False}
            elif claim in RANDOM:
                more = {"rng": random.Random(case.name)}
            claim(subject, case, **more)


def of_sessions(claim: Callable[..., None], venue: Venue) -> None:
    make = partial(Driven, venue, FACTS)
    if claim in on.OF_EACH_KIND:
        claim(make, BBO)
        claim(make, DEPTH)
    else:
        claim(make)


# Those whose names leave no room for what they are shown.
GOOD_FRAME = claims.good_frame_is_said_as_it_was_sent
DAMAGED = claims.damaged_frame_makes_sense_or_is_refused
CROWD = claims.crowd_of_unknown_fields_changes_nothing
BAD_VALUE = claims.bad_value_is_never_published
WRONG_TIME = claims.wrong_time_is_absent_or_refused
LOST_CHANGE = on.lost_change_is_told_before_anything_else
BAD_FRAME = on.bad_frame_is_counted_and_the_session_goes_on

RANDOM = (claims.cut_frame_says_nothing, DAMAGED)
FRAMES = (
    *RANDOM,
    claims.good_frame_is_said_as_it_was_sent,
    claims.bad_whole_is_refused,
    claims.unknown_field_changes_nothing,
    claims.crowd_of_unknown_fields_changes_nothing,
    claims.order_of_levels_changes_nothing,
    claims.bad_value_is_never_published,
    claims.missing_key_is_never_filled,
    claims.wrong_time_is_absent_or_refused,
    claims.wrong_word_is_no_data,
    claims.long_text_costs_no_more_than_its_length,
)
SESSIONS = (*on.OF_EACH_KIND, *on.OF_VENUES, *on.OF_CHANGES)


def hold(claim: Callable[..., None], venue: Venue) -> None:
    """Hold any claim over a venue that speaks as the template does."""
    if claim in FRAMES:
        of_frames(claim, venue)
    elif claim in SESSIONS:
        of_sessions(claim, venue)
    elif claim in declared.OF_FACTS:
        claim(venue, FACTS)
    else:
        claim(venue, "template")


EVERY = (*FRAMES, *SESSIONS, *declared.OF_FACTS, declared.limits_are_declared)


@pytest.mark.parametrize("claim", EVERY)
def test_claim_holds_for_the_template(claim: Callable[..., None]) -> None:
    hold(claim, VENUE)


decoding, saying = wrong.with_decode, wrong.with_events

# Claim, a venue that breaks it, what the claim says then.
WRONG: list[tuple[Callable[..., None], Venue, str]] = [
    # Frames.
    (GOOD_FRAME, saying(wrong.rounded), "price not in"),
    (
        claims.good_frame_is_said_as_it_was_sent,
        saying(wrong.of_another_time),
        "event_ns",
    ),
    (GOOD_FRAME, saying(wrong.of_another_level), "lost"),
    (GOOD_FRAME, saying(wrong.mispaired), "size not of its price"),
    (GOOD_FRAME, saying(wrong.of_lower_case), "symbol"),
    (GOOD_FRAME, saying(wrong.nothing), "no event"),
    (claims.cut_frame_says_nothing, decoding(wrong.mending), "cut at .*Event"),
    (claims.cut_frame_says_nothing, decoding(wrong.silent), "neither refused"),
    (claims.cut_frame_says_nothing, decoding(wrong.odd_reason), "not listed: odd"),
    (DAMAGED, decoding(wrong.raising), "flipped: KeyError"),
    (DAMAGED, decoding(wrong.naive_but_refusing), "flipped: event_ns"),
    (claims.bad_whole_is_refused, decoding(wrong.silent), r"empty: \[\]"),
    (claims.bad_whole_is_refused, decoding(wrong.first_of_two), "behind: .*Ack"),
    (claims.bad_whole_is_refused, decoding(wrong.naive), "empty: JSONDecodeError"),
    (claims.unknown_field_changes_nothing, decoding(wrong.forbidding), "shape"),
    (claims.unknown_field_changes_nothing, decoding(wrong.deaf_to_order), "shape"),
    (CROWD, decoding(wrong.forbidding), "shape"),
    (claims.order_of_levels_changes_nothing, saying(wrong.first_only), "turned"),
    (BAD_VALUE, decoding(wrong.naive_but_refusing), "symbol=None"),
    (BAD_VALUE, decoding(wrong.without_levels), "lost levels"),
    (BAD_VALUE, decoding(wrong.one_sided), "text nan at .*bid=nan"),
    (BAD_VALUE, decoding(wrong.last_good_bid), "uncounted"),
    (BAD_VALUE, saying(wrong.zero_for_absent), "bid=0.0"),
    (BAD_VALUE, decoding(wrong.taking_literals), "literal NaN"),
    (claims.missing_key_is_never_filled, decoding(wrong.naive_but_refusing), "twice"),
    (claims.missing_key_is_never_filled, decoding(wrong.naive), "without.*KeyError"),
    (WRONG_TIME, decoding(wrong.naive_but_refusing), "time .*: event_ns"),
    (claims.wrong_word_is_no_data, decoding(wrong.naive_but_refusing), "side at"),
    (claims.long_text_costs_no_more_than_its_length, decoding(wrong.slow), "'x' at"),
    # Sessions.
    (on.quotes_are_published_as_they_come, saying(wrong.unknown_ack), "not every"),
    (on.quotes_are_published_as_they_come, other.Unordered(), "before_image"),
    (on.newer_is_never_followed_by_older, saying(wrong.without_number), "frames"),
    (LOST_CHANGE, saying(wrong.all_images), "before SYNCING"),
    (LOST_CHANGE, other.Unordered(), "not noticed"),
    (LOST_CHANGE, saying(wrong.all_sums), "not noticed"),
    (on.refused_change_is_a_lost_one, decoding(wrong.emptied), "applied without"),
    (on.change_without_an_image_is_no_quote, saying(wrong.all_images), "ask=nan"),
    (on.second_image_replaces_the_book, saying(wrong.Remembering()), "old ask"),
    (on.crossed_quote_is_dropped_then_doubted, saying(wrong.uncrossed), "QuoteEvent"),
    (on.locked_quote_is_published_as_such, saying(wrong.never_locked), "ask"),
    (on.answer_nobody_asked_for_is_counted, saying(wrong.known_ack), "acks"),
    (on.only_data_keeps_a_session, saying(wrong.pong_as_tick), "pong"),
    (on.liveness_keeps_a_quiet_market, saying(wrong.mark_as_notice), "watchdog"),
    (on.refused_market_costs_only_itself, saying(wrong.soft_refusal), "venue_error"),
    (on.refused_quotes_end_the_session, saying(wrong.soft_refusal), "goes on"),
    (on.trade_is_published_once, saying(wrong.without_trade_id), "0, 0, 0"),
    (on.stranger_is_no_data, saying(wrong.of_one_market), "QuoteEvent"),
    (BAD_FRAME, decoding(wrong.raising), "empty"),
    (BAD_FRAME, decoding(wrong.silent), "nothing was counted"),
    (on.damaged_frame_is_never_published_crossed, decoding(wrong.raising), "json"),
    (on.damaged_frame_is_never_published_crossed, saying(wrong.nan_size), "nan"),
    # Declarations.
    (declared.limits_are_declared, other.with_parts(name="another"), "another"),
    (declared.limits_are_declared, other.with_parts(fresh_ms={"bbo": 1}), "depth"),
    (declared.limits_are_declared, other.with_parts(ws_url="ws://a.b"), "ws://a.b"),
    (declared.limits_are_declared, other.with_parts(discovery=()), "no discovery"),
    (declared.streams_are_declared, other.Mute(), "'bbo', 'trades'"),
    (declared.streams_are_declared, other.Endless(), "an end looks like"),
    (declared.streams_are_declared, saying(wrong.unknown_ack), "elsewhere"),
    (declared.streams_are_declared, saying(wrong.end_as_ack), "end taken for"),
    (declared.markets_are_named_by_the_rule, other.Misnaming(), "1000PEPE-PERP"),
    (declared.bad_list_of_markets_is_refused, other.Trusting(), "empty: JSON"),
    (declared.image_is_that_of_the_market, other.Trusting(), "another market"),
    (declared.image_is_that_of_the_market, other.Forgetful(), "names no market"),
    (declared.bad_image_is_refused, other.Trusting(), "empty: JSON"),
    (declared.funding_answer_is_checked, other.Funded(), "no answer"),
    (declared.funding_answer_is_checked, other.Unfunded(), "no request: KeyError"),
]


@pytest.mark.parametrize(
    ("claim", "venue", "text"),
    WRONG,
    ids=[f"{row[0].__name__}-{row[2]}" for row in WRONG],
)
def test_claim_fails_for_a_wrong_venue(
    claim: Callable[..., None], venue: Venue, text: str
) -> None:
    with pytest.raises((AssertionError, KeyError), match=f"(?s){text}"):
        hold(claim, venue)


def test_every_claim_is_shown_a_wrong_venue() -> None:
    assert {row[0] for row in WRONG} == {*EVERY}


def test_venue_without_facts_is_told_what_to_write() -> None:
    with pytest.raises(MissingFacts, match=r"tests/venues/nowhere/conformance\.py"):
        facts_of("nowhere")
