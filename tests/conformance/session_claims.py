"""What must hold for every venue once its frames go through a session.

Like the claims about decoders, each takes what makes a session, so that a test can show
it one of a venue that is wrong. A step is told by the bid that was published.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Final

from feedhandler.events import (
    FLAG_LOCKED,
    TIME_NONE,
    QuoteEvent,
    SyncingEvent,
    TradeEvent,
)
from feedhandler.venues._base import BBO, DEPTH, Options
from tests.conformance import mutate
from tests.conformance.drive import (
    MS,
    SECOND,
    Driven,
    check_publishable,
    counted,
    syncing,
)
from tests.conformance.facts import CROSSED_STEP, LOCKED_STEP, ask_at, bid_at

# (kind, whether the kit answers requests, bases) -> a session that is subscribed.
Make = Callable[..., Driven]

SHUFFLES = 12
FLIPS_MAX = 150
STRANGERS = 500


def quotes_are_published_as_they_come(make: Make, kind: str) -> None:
    """Every frame of a good conversation is a quote that may be traded on."""
    driven = make(kind)
    driven.begin()
    for step in range(2, 8):
        driven.receive(driven.frame(step))
    assert driven.steps() == [1, 2, 3, 4, 5, 6, 7], dict(driven.counted)
    check_publishable(driven.published)
    assert all(row.symbol == driven.symbol for row in driven.quotes())
    assert not counted(driven, "rejected"), dict(driven.counted)
    assert driven.session.is_subscribed, "not every request was acknowledged"


def newer_is_never_followed_by_older(make: Make, kind: str) -> None:
    """Whatever is repeated, reordered or replayed: no publication goes back."""
    for seed in range(SHUFFLES):
        rng = random.Random(seed)
        driven = make(kind)
        driven.begin(3)
        steps = [rng.randrange(1, 12) for _ in range(25)]
        for step in steps:
            driven.receive(driven.frame(step))
        _check_order(driven, f"frames {steps}")
    driven = make(kind)
    driven.begin(20)
    for step in range(1, 20):  # all that an older session has seen
        driven.receive(driven.frame(step))
    if not driven.label:
        driven.image(5) if driven.has_changes else driven.receive(driven.frame(5))
    _check_order(driven, "a replay of an old session")
    assert driven.steps() == [20], driven.steps()


def _check_order(driven: Driven, what: str) -> None:
    steps = driven.steps()
    assert steps == sorted(steps), f"{what}: {steps}"
    stamps = [row.event_ns for row in driven.quotes() if row.event_ns != TIME_NONE]
    assert stamps == sorted(stamps), f"{what}: {stamps}"
    check_publishable(driven.published)


def lost_change_is_told_before_anything_else(make: Make) -> None:
    """A hole in the changes: first SYNCING, then nothing, and an image heals it."""
    driven = make(DEPTH)
    driven.begin()
    driven.change(2)
    before = len(driven.published)
    events = driven.change(4)
    assert events, "a hole was not noticed"
    assert isinstance(events[0], SyncingEvent), f"before SYNCING: {events}"
    assert syncing(events, driven.symbol), events
    for step in (5, 6, 3):
        driven.change(step)
    late = [row for row in driven.published[before:] if isinstance(row, QuoteEvent)]
    assert not late, f"published in doubt: {late}"
    if driven.venue.frame_rule is not None:
        # Which market has lost something is unknown: only a new session can help.
        assert driven.label == "seq_gap", driven.label
        return
    assert counted(driven, "resyncs.") == 1, dict(driven.counted)
    driven.turn(2 * SECOND)
    asked = len(driven.sent) > 1 or driven.facts.image is None
    assert asked, "no image was asked for"
    driven.image(20)
    driven.change(21)
    assert driven.steps()[-2:] == [20, 21], driven.steps()
    assert counted(driven, "resyncs.") == 1, dict(driven.counted)
    assert not driven.label, driven.label


def refused_change_is_a_lost_one(make: Make) -> None:
    """What follows a change that could not be read is not applied to a book without it.

    One is cut, one has a price that is no number: neither may leave the book wrong.
    """
    for is_cut in (True, False):
        driven = make(DEPTH)
        driven.begin()
        frame = driven.frame(2)
        wrong = frame.replace(bid_at(2).encode(), b"zz")
        driven.receive(frame[: len(frame) // 2] if is_cut or wrong == frame else wrong)
        assert counted(driven, "rejected.") == 1, dict(driven.counted)
        driven.change(3)
        assert driven.steps() == [1], f"applied without the one before: {is_cut}"
        assert syncing(driven.published, driven.symbol), "in doubt, and nobody told"


def change_without_an_image_is_no_quote(make: Make) -> None:
    """What comes before the image is kept or dropped, and never published."""
    driven = make(DEPTH)
    before = len(driven.quotes())
    for step in (2, 3, 4):
        driven.change(step)
    late = [row for row in driven.quotes()[before:] if row.bid == row.bid]
    assert not late, late
    driven.image(5)
    assert driven.steps()[-1:] == [5], dict(driven.counted)


def second_image_replaces_the_book(make: Make) -> None:
    """A new image is the whole book: nothing of the old one comes up again."""
    driven = make(DEPTH)
    driven.begin(10)
    if driven.has_changes:
        driven.change(11)
    driven.image(12)
    quote = driven.quotes()[-1]
    check_publishable([quote])
    if driven.facts.image is not None:  # one that nobody asked REST for may be dropped
        assert driven.steps()[-1] == 12, driven.steps()
        assert quote.ask == float(ask_at(12)), f"an old ask is left: {quote}"


def crossed_quote_is_dropped_then_doubted(make: Make, kind: str) -> None:
    """A bid above the ask is never published; one that stays begins a resync."""
    driven = make(kind)
    driven.begin(CROSSED_STEP - 1)
    before = len(driven.published)
    for step in range(CROSSED_STEP, CROSSED_STEP + 4):
        driven.receive(driven.frame(step))
    new = driven.published[before:]
    assert not [row for row in new if isinstance(row, QuoteEvent)], new
    assert len(syncing(new, driven.symbol)) == 1, new
    assert counted(driven, "resyncs.crossed") == 1, dict(driven.counted)


def locked_quote_is_published_as_such(make: Make, kind: str) -> None:
    """A bid that is the ask is legal on some venues: published, and flagged."""
    driven = make(kind)
    if driven.has_changes:
        driven.image(LOCKED_STEP)
    else:
        driven.receive(driven.frame(LOCKED_STEP))
    assert driven.quotes(), dict(driven.counted)
    quote = driven.quotes()[-1]
    assert quote.bid == quote.ask == float(bid_at(LOCKED_STEP)), quote
    assert quote.flags & FLAG_LOCKED, quote
    assert not counted(driven, "crossed"), dict(driven.counted)


def answer_nobody_asked_for_is_counted(make: Make, kind: str) -> None:
    """An acknowledgement of a request that was never sent changes nothing."""
    driven = make(kind)
    driven.begin()
    before = len(driven.published)
    (stranger,) = driven.venue.subscriptions("777", Options(kind, trades=False))[:1]
    request = driven.venue.request([stranger.topic], 999)
    for frame in driven.facts.accept(request):
        driven.receive(frame)
    assert len(driven.published) == before, driven.published[before:]
    assert counted(driven, "acks.unknown") == 1, dict(driven.counted)
    assert not driven.label, driven.label


def only_data_keeps_a_session(make: Make, kind: str) -> None:
    """Answers, refusals, pongs and heartbeats prove no quote to be fresh."""
    driven = make(kind)
    driven.begin()
    began = driven.now
    while not driven.label and driven.now - began < 30 * SECOND:
        for frame in driven.facts.idle:
            events = driven.receive(frame)
            assert not events, f"published: {frame!r}: {events}"
        driven.turn(500 * MS)
    assert driven.label == "stale_watchdog", f"kept alive: {driven.label}"
    assert driven.now - began <= 11 * SECOND, driven.now - began


def liveness_keeps_a_quiet_market(make: Make, kind: str) -> None:
    """A market whose quotes do not move is alive while its liveness channel ticks."""
    driven = make(kind)
    driven.begin()
    for step in range(2, 40):
        driven.turn(800 * MS)
        driven.receive(driven.facts.liveness(driven.symbol, step))
        assert not driven.label, f"{driven.label} at {driven.now / SECOND} s"


def refused_market_costs_only_itself(make: Make, kind: str) -> None:
    """Of two markets one is refused: the other goes on."""
    driven = make(kind, bases=("BTC", "SOL"), is_answered=False)
    (other,) = (symbol for symbol in driven.markets if symbol != driven.symbol)
    answered = 0
    while answered < len(driven.sent):
        text = driven.sent[answered]
        answered += 1
        assert answered < 100, "requests without end"
        if other.lower() in text.lower():
            driven.receive(driven.facts.refuse(text))
        else:
            for frame in driven.facts.accept(text):
                driven.receive(frame)
        driven.turn(2 * SECOND, is_until_sent=True)
    assert driven.counted["subscriptions.rejected"] >= 1, dict(driven.counted)
    driven.begin()
    driven.turn(8 * SECOND)
    assert not driven.label, driven.label
    assert driven.session.is_subscribed, driven.sent


def refused_quotes_end_the_session(make: Make, kind: str) -> None:
    """A session whose every request for quotes was refused has no purpose."""
    driven = make(kind, is_answered=False)
    answered = 0
    while answered < len(driven.sent) and not driven.label:
        driven.receive(driven.facts.refuse(driven.sent[answered]))
        answered += 1
        driven.turn(1 * SECOND)
    assert driven.label == "subscribe_error", f"goes on: {driven.label}"


def trade_is_published_once(make: Make) -> None:
    """A trade that comes again, as after a subscribe, is no new one."""
    driven = make(BBO)
    driven.begin()
    facts = driven.facts
    for step in (2, 3, 2, 3, 4):
        driven.receive(facts.trade(driven.symbol, step))
    ids = [row.trade_id for row in driven.published if isinstance(row, TradeEvent)]
    assert ids == [2, 3, 4], ids
    assert driven.counted["duplicates"] == 2, dict(driven.counted)


def stranger_is_no_data(make: Make, kind: str) -> None:
    """Frames of markets nobody asked for are counted, and nothing grows by them."""
    driven = make(kind)
    driven.begin()
    facts = driven.facts
    before = len(driven.published)
    symbol = driven.symbol
    for index in range(STRANGERS):
        driven.symbol = f"ZZ{index}"
        driven.receive(driven.frame(2 + index))
    driven.symbol = symbol
    assert len(driven.published) == before, driven.published[before:]
    assert counted(driven, "rejected.unsubscribed") == STRANGERS, dict(driven.counted)
    driven.receive(facts.quote(symbol, 2 + STRANGERS)) if kind == BBO else None
    if kind == BBO:
        assert driven.steps()[-1] == 2 + STRANGERS


def bad_frame_is_counted_and_the_session_goes_on(make: Make, kind: str) -> None:
    """Each bad frame is one count of its reason; the next good frame is taken."""
    driven = make(kind)
    driven.begin()
    frame = driven.frame(2)
    before = len(driven.published)
    for name, bad, _ in mutate.whole_frames(b'{"a":[1,"b"]}'):
        start = counted(driven, "rejected.")
        driven.receive(bad)
        assert counted(driven, "rejected.") <= start + 1, name
        assert len(driven.published) == before, name
        assert not driven.label, name
    assert counted(driven, "rejected.") > 0, "nothing was counted"
    driven.receive(frame)
    assert driven.steps()[-1] == 2, dict(driven.counted)


def damaged_frame_is_never_published_crossed(make: Make, kind: str) -> None:
    """One wrong bit may cost a frame or a book; what is published can be traded on."""
    rng = random.Random(kind)
    frame = make(kind).frame(2)
    for wrong in mutate.flipped(frame, rng, FLIPS_MAX):
        driven = make(kind)
        driven.begin()
        driven.receive(wrong)
        for step in (3, 4):
            driven.receive(driven.frame(step))
        check_publishable(driven.published)
        for row in driven.published:
            assert getattr(row, "symbol", driven.symbol) == driven.symbol, row


# Held of sessions of each kind, called with it.
OF_EACH_KIND: Final = (
    quotes_are_published_as_they_come,
    newer_is_never_followed_by_older,
    crossed_quote_is_dropped_then_doubted,
    locked_quote_is_published_as_such,
    answer_nobody_asked_for_is_counted,
    only_data_keeps_a_session,
    liveness_keeps_a_quiet_market,
    refused_market_costs_only_itself,
    refused_quotes_end_the_session,
    stranger_is_no_data,
    bad_frame_is_counted_and_the_session_goes_on,
    damaged_frame_is_never_published_crossed,
)
# Held once, of every venue and of those whose books have changes.
OF_VENUES: Final = (second_image_replaces_the_book, trade_is_published_once)
OF_CHANGES: Final = (
    lost_change_is_told_before_anything_else,
    refused_change_is_a_lost_one,
    change_without_an_image_is_no_quote,
)
