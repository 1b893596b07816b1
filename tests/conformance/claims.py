"""What must hold for the decoder of every venue: each claim raises when it does not.

A claim takes a decoder and frames, so that a test can show it a decoder that is wrong.
What a frame says is read here without the venue's code: every number that an event
holds must be one that the frame holds.
"""

from __future__ import annotations

import json
import random
import struct
import time
from collections.abc import Iterable, Sequence
from typing import Any

from feedhandler.codec.decimal import VALUE_MIN
from feedhandler.events import (
    TIME_NONE,
    AddEvent,
    BookEvent,
    Event,
    NoticeEvent,
    QuoteEvent,
    RejectEvent,
    TradeEvent,
)
from tests.conformance import mutate
from tests.conformance.facts import WALL_NS, Numbers
from tests.conformance.fixtures import Case
from tests.conformance.reading import (
    EARLIEST_NS,
    check_said,
    check_sense,
    comparable,
    data_of,
    levels_of,
    numbers_of,
    references_of,
    said_by,
)
from tests.conformance.subject import Subject

CUTS_MAX = 1_500
FLIPS_MAX = 700
LONG_CHARS = 3_000
SPAN_S = 0.05


def good_frame_is_said_as_it_was_sent(subject: Subject, case: Case) -> None:
    """A frame of the venue decodes, and its events hold the numbers of its texts."""
    events, reason = subject.outcome(case.frame)
    assert not reason, f"refused: {reason}"
    assert events, "no event"
    check_sense(events)
    rejected = [row for row in events if isinstance(row, RejectEvent)]
    assert not rejected, f"refused in part: {rejected}"
    is_strange = case.file.startswith(subject.facts.strange or ("-",))
    unknown = [row for row in events if getattr(row, "name", "") == "unknown_type"]
    assert is_strange or not unknown, f"not understood: {unknown}"
    if not data_of(events):
        return
    said = numbers_of(subject.facts, case.frame)
    for event in data_of(events):
        check_said(said, event)
        if isinstance(event, QuoteEvent) and len(said.prices) >= 2:
            assert event.bid <= event.ask, f"crossed or a side lost: {event}"
        symbol: str = event.symbol  # type: ignore[union-attr]
        assert symbol.encode() in case.frame, f"symbol not in the frame: {event}"
        event_ns = getattr(event, "event_ns", TIME_NONE)
        is_plausible = event_ns == TIME_NONE or EARLIEST_NS < event_ns <= WALL_NS
        assert is_plausible, f"not plausible: {event}"


def cut_frame_says_nothing(subject: Subject, case: Case, rng: random.Random) -> None:
    """A frame that ends too early is refused, whatever byte it ends at."""
    whole = comparable(subject.outcome(case.frame)[0])
    ends: Iterable[int] = range(len(case.frame))
    if len(case.frame) > CUTS_MAX:
        ends = {*rng.sample(range(len(case.frame)), CUTS_MAX - 64)}
        ends |= {*range(len(case.frame) - 64, len(case.frame))}
    for end in ends:
        events, reason = subject.good(case.frame[:end], f"cut at {end}")
        if not events:
            assert reason, f"cut at {end}: neither refused nor an event"
        elif case.kind == "binary":
            # What a newer version appends may be absent: then it says the same.
            is_same = comparable(events) == whole
            assert is_same or not data_of(events), f"cut at {end}: {events}"
        else:
            assert case.kind == "text", f"cut at {end}: {events}"
            assert not data_of(events), f"cut at {end}: {events}"


def damaged_frame_makes_sense_or_is_refused(
    subject: Subject, case: Case, rng: random.Random
) -> None:
    """One wrong bit never makes an event that the frame, as it is now, does not say."""
    for frame in mutate.flipped(case.frame, rng, FLIPS_MAX):
        _check_damaged(subject, frame, "flipped")
    if case.kind != "binary":
        return
    for tail in (b"\0", b"\0" * 64, b"\xff" * 8):
        _check_damaged(subject, case.frame + tail, "longer")
    if len(case.frame) < 200:
        for frame in mutate.overwritten(case.frame):
            _check_damaged(subject, frame, "overwritten")


def _check_damaged(subject: Subject, frame: bytes, what: str) -> None:
    events, _ = subject.good(frame, what)
    data = data_of(events)
    if not data:
        return
    try:
        said = numbers_of(subject.facts, frame)
    except (ValueError, struct.error):
        return  # only the venue's own decoder can read it
    for event in data:
        try:
            check_said(said, event, is_damaged=True)
            is_counted = any(isinstance(row, NoticeEvent) for row in events)
            is_whole = len(levels_of(event)) in (0, said.level_count)
            assert is_whole or is_counted, f"levels lost uncounted: {event}"
        except AssertionError as error:
            raise AssertionError(f"{what}: {error}\n{frame[:400]!r}") from error


def bad_whole_is_refused(subject: Subject, case: Case, *, has_binary: bool) -> None:
    """What is no frame at all is refused, for the reason that it has."""
    for name, frame, expected in mutate.whole_frames(case.frame):
        events, reason = subject.good(frame, name)
        assert not data_of(events), f"{name}: {events}"
        is_foreign = has_binary and frame[:1] not in (b"{", b"[")
        allowed = {expected, "shape", "type"} if expected == "shape" else {expected}
        assert reason in allowed or is_foreign, f"{name}: {reason or events}"
    said = numbers_of(subject.facts, case.frame)
    for name, frame in mutate.texts_broken(case.frame):
        # The transport ends a session with such a text: here it only must do no harm.
        events, _ = subject.good(frame, name)
        _check_numbers(said, events, name)


def unknown_field_changes_nothing(subject: Subject, case: Case) -> None:
    """A field more in any object, or another order of fields, is no news."""
    document = case.document
    expected = subject.outcome(mutate.write(document))
    for path, held in mutate.places(document):
        if not isinstance(held, dict) or mutate.is_map(held):
            continue
        for name, raw in mutate.UNKNOWN.items():
            for is_first in (True, False):
                frame = mutate.extended(document, path, raw, is_first=is_first)
                found = subject.outcome(frame)
                _check_same(found, expected, f"unknown {name} at {path}")
    for depth in (1_100, 50_000):
        frame = mutate.write(_with_depth(document), "[" * depth + "]" * depth)
        events, reason = subject.good(frame, f"nested {depth} deep")
        is_same = comparable(events) == comparable(expected[0])
        assert reason == "depth" or is_same, f"nested {depth} deep: {reason}"
    for seed in range(3):
        frame = mutate.write(mutate.shuffled(document, random.Random(seed)))
        _check_same(subject.outcome(frame), expected, "another order of fields")


def crowd_of_unknown_fields_changes_nothing(subject: Subject, case: Case) -> None:
    """A hundred thousand fields more are skipped; nothing is kept of them."""
    document = case.document
    assert isinstance(document, dict)
    crowd = ",".join(f'"k{index}":[{index}]' for index in range(100_000))
    frame = mutate.extended(document, (), "{" + crowd + "}", is_first=False)
    expected = subject.outcome(mutate.write(document))
    _check_same(subject.outcome(frame), expected, "100,000 fields")


def order_of_levels_changes_nothing(subject: Subject, case: Case) -> None:
    """The best of a side counts, wherever it stands."""
    document = case.document
    good, _ = subject.outcome(mutate.write(document))
    for path, held in mutate.places(document):
        is_side = isinstance(held, list) and len(held) > 2
        if not is_side or not all(_is_level(subject, row) for row in held):
            continue
        turned = mutate.replaced(document, path, json.dumps(held[::-1]))
        events, reason = subject.good(turned, f"turned {path}")
        assert not reason, f"turned {path}: {reason}"
        for old, new in zip(data_of(good), data_of(events), strict=True):
            same = (sorted(levels_of(old)), sorted(levels_of(new)))
            assert same[0] == same[1], f"turned {path}: {new}"
            if isinstance(old, QuoteEvent):
                assert said_by(old) == said_by(new), f"turned {path}: {new}"
                told = {getattr(row, "name", "") for row in events}
                assert "unsorted" in told, f"turned {path}: not counted: {events}"


def _is_level(subject: Subject, row: Any) -> bool:
    """Tell a level of a book from another row, as of trades, by what it holds."""
    if isinstance(row, list):
        return len(row) >= 2 and isinstance(row[0], str)
    keys = {*subject.facts.sizes_of}
    return isinstance(row, dict) and len(row) <= 4 and bool(keys & {*row})


def _with_depth(document: Any) -> Any:
    """Return a document with the mark in an unknown field of its first object."""
    if isinstance(document, list):
        return [_with_depth(row) for row in document]
    return {**document, "zz_unknown": mutate.MARK}


def _check_same(
    found: tuple[list[Event], str], expected: tuple[list[Event], str], what: str
) -> None:
    is_same = comparable(found[0]) == comparable(expected[0])
    assert is_same, f"{what}: {found} instead of {expected}"
    assert found[1] == expected[1], f"{what}: {found[1]}"


def bad_value_is_never_published(subject: Subject, case: Case) -> None:
    """A value that no field may have is refused or left out, and nothing is made up.

    The numbers of whatever is still said are those that the frame said before. A step
    of a book is whole, refused, or counted as less.
    """
    document = case.document
    good, _ = subject.outcome(mutate.write(document))
    said = numbers_of(subject.facts, mutate.write(document))
    has_prices = any(said_by(event)[0] for event in good)
    for path, held in mutate.places(document):
        for name, raw in mutate.wrong_for(held).items():
            what = f"{name} at {path}"
            events, reason = subject.good(mutate.replaced(document, path, raw), what)
            if raw == "[]":
                _check_numbers(said, events, what)  # an empty list may be good
                continue
            _check_less(said, good, events, what)
            if name in mutate.BAD_NUMBERS and not isinstance(held, dict | list):
                _check_no_side_lost(good, events, what)
                is_price = path[-1:] and path[-1] in subject.facts.sizes_of
                is_same = not reason and comparable(events) == comparable(good)
                assert not (is_price and is_same and has_prices), f"{what}: uncounted"
        for name, raw in mutate.NOT_JSON.items():
            if isinstance(held, dict | list):
                continue
            frame = mutate.replaced(document, path, raw)
            events, reason = subject.good(frame, f"{name} at {path}")
            assert reason, f"{name} at {path}: {events}"


def missing_key_is_never_filled(subject: Subject, case: Case) -> None:
    """A key that is missing, or there twice, makes no event of other numbers."""
    document = case.document
    good, _ = subject.outcome(mutate.write(document))
    said = numbers_of(subject.facts, mutate.write(document))
    for path, held in mutate.places(document):
        if not path or not isinstance(path[-1], str):
            continue
        what = f"without {path}"
        events, _ = subject.good(mutate.removed(document, path), what)
        _check_less(said, good, events, what)
        for raw in ('"nan"', "null", "[]", '"1e13"', json.dumps(held)):
            for is_first in (True, False):
                frame = mutate.doubled(document, path, raw, is_first=is_first)
                what = f"{path} twice, one {raw[:40]}"
                events, _ = subject.good(frame, what)
                # Which of the two counts, JSON does not say: no number may be new.
                _check_numbers(said, events, what)


def _check_less(
    said: Numbers, good: list[Event], events: list[Event], what: str
) -> None:
    """Check that a damaged frame says nothing that the good one did not say.

    Levels may be fewer only where that is counted and no later change depends on them.
    """
    _check_numbers(said, events, what)
    before = [len(levels_of(event)) for event in good if levels_of(event)]
    after = [len(levels_of(event)) for event in data_of(events) if _is_step(event)]
    if after and before and after != before:
        is_image = all(
            getattr(event, "is_snapshot", False) for event in events if _is_step(event)
        )
        is_counted = any(isinstance(row, NoticeEvent | RejectEvent) for row in events)
        assert is_image, f"{what}: a change lost levels: {events}"
        assert is_counted, f"{what}: an image lost levels uncounted: {events}"


def _check_numbers(said: Numbers, events: Iterable[Event], what: str) -> None:
    """Check that the good frame held every number; a size of zero says that none is.

    The deeper levels of an image may come up when its touch goes.
    """
    for event in data_of(events):
        prices, pairs = said_by(event)
        if isinstance(event, AddEvent):
            # A signed change may be anything: the size that results convicts it.
            pairs = [(level[0], level[2]) for level in levels_of(event)]
        real = [pair for pair in pairs if pair[1] >= VALUE_MIN]
        assert said.prices.issuperset(prices), f"{what}: {event}"
        assert said.pairs.issuperset(real), f"{what}: {event}"
        assert said.references.issuperset(references_of(event)), f"{what}: {event}"


def _is_step(event: Event) -> bool:
    return isinstance(event, BookEvent | AddEvent)


def _check_no_side_lost(good: list[Event], events: list[Event], what: str) -> None:
    """Check that a quote with a bad number at its touch is not called one-sided."""
    before = [event for event in good if isinstance(event, QuoteEvent)]
    after = [event for event in events if isinstance(event, QuoteEvent)]
    for old, new in zip(before, after, strict=False):
        assert (old.bid == old.bid) == (new.bid == new.bid), f"{what}: {new}"
        assert (old.ask == old.ask) == (new.ask == new.ask), f"{what}: {new}"


def wrong_time_is_absent_or_refused(subject: Subject, case: Case) -> None:
    """A time in another unit, or ahead of the clock, is never published."""
    document = case.document
    good, _ = subject.outcome(mutate.write(document))
    stamps = {getattr(event, "event_ns", TIME_NONE) for event in data_of(good)}
    for path, held in mutate.places(document):
        if not mutate.is_integer(held):
            continue
        for unit in (1, 1_000, 10**6, 10**9):
            if held * unit not in stamps:
                continue
            ahead = (WALL_NS + 3_600 * 10**9) // unit
            wrong = (ahead, held * 1_000, held * 10**6, held // 1_000, 0, -5)
            for value in wrong:
                what = f"time {value} at {path}"
                frame = mutate.replaced(document, path, str(value))
                events, reason = subject.good(frame, what)
                assert reason in ("", "time", "time_future", "range"), (
                    f"{what}: {reason}"
                )
                if value in (ahead, held * 1_000):
                    _check_refused(events, reason, stamps, what)


def _check_refused(
    events: Sequence[Event], reason: str, stamps: set[int], what: str
) -> None:
    """Check that a time ahead was refused, or another time of the frame is used."""
    rejected = {row.reason for row in events if isinstance(row, RejectEvent)}
    found = {getattr(event, "event_ns", TIME_NONE) for event in data_of(events)}
    is_told = reason in ("time", "time_future") or rejected & {"time", "time_future"}
    assert is_told or found <= {*stamps, TIME_NONE}, f"{what}: {events}"


def wrong_word_is_no_data(subject: Subject, case: Case) -> None:
    """An unknown channel, kind or side makes no event; an unknown symbol another's."""
    document = case.document
    good, _ = subject.outcome(mutate.write(document))
    expected = {*comparable(data_of(good))}
    for path, held in mutate.places(document):
        if not isinstance(held, str) or mutate.number_of(held) is not None:
            continue
        word = "zz" if held.islower() else "ZZ"
        for raw in (word, held.swapcase() + "\u0000", held + "\u202e"):
            what = f"{raw!r} at {path}"
            frame = mutate.replaced(document, path, json.dumps(raw))
            events, _ = subject.good(frame, what)
            for event in data_of(events):
                is_same = comparable([event])[0] in expected
                symbol: str = event.symbol  # type: ignore[union-attr]
                is_other = symbol not in {row.symbol for row in data_of(good)}  # type: ignore[union-attr]
                assert is_same or is_other, f"{what}: {event}"
        if held.lower() in ("a", "b", "buy", "sell", "bid", "ask"):
            events, _ = subject.good(mutate.replaced(document, path, '"ZZ"'), "side")
            trades = [row for row in events if isinstance(row, TradeEvent)]
            before = [row for row in good if isinstance(row, TradeEvent)]
            assert len(trades) < len(before) or not before, f"side at {path}: {trades}"


def long_text_costs_no_more_than_its_length(subject: Subject, case: Case) -> None:
    """A text eight times as long takes no more than about eight times as long.

    Within the limit of a frame's size nothing may stop the feed. Two spans of one run
    are compared; one that is short proves nothing.
    """
    document = case.document
    for path, held in mutate.places(document):
        if isinstance(held, dict | list):
            continue
        for pattern in ("x", "a:", " ", "{", '"a":'):
            spans = []
            for chars in (LONG_CHARS, 8 * LONG_CHARS):
                text = json.dumps(pattern * (chars // len(pattern)))
                frame = mutate.replaced(document, path, text)
                began = time.process_time()
                subject.good(frame, f"long text at {path}")
                spans.append(time.process_time() - began)
            is_short = spans[1] < SPAN_S
            assert is_short or spans[1] < 32 * spans[0], (
                f"{pattern!r} at {path}: {spans}"
            )
