"""Arguments: both implementations take and refuse the same, with the same errors."""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shm_layout import schema
from shm_layout.limits import RECORD_BYTES
from tests.shm_layout.memory import (
    IMPLEMENTATIONS,
    SMALL,
    Memory,
    fields_of,
    records,
)

WORD_MAX = (1 << 64) - 1
SIGNED_MAX = (1 << 63) - 1
GOOD_QUOTE: list[Any] = [0, 0, 1, 2, 3, 4, 1.0, 2.0, 3.0, 4.0]
GOOD_RECORD: list[Any] = [1, 7, 0, 0, 1, 2, 3, 4, bytes(64), 0]


class Indexed:
    """Has `__index__` and nothing else, like a scalar of another library."""

    def __index__(self) -> int:
        return 3


class Broken:
    """Raises whatever it is asked for."""

    def __index__(self) -> int:
        raise KeyError("index")

    def __float__(self) -> float:
        raise KeyError("float")


def replaced(good: list[Any], position: int, value: object) -> list[Any]:
    return [*good[:position], value, *good[position + 1 :]]


Cases = list[tuple[Any, type[Exception] | None]]

WHOLE: Cases = [(True, None), (Indexed(), None)]
WHOLE += [(kind(3), None) for kind in (np.uint8, np.int64, np.uint64)]
WHOLE += [(value, TypeError) for value in (1.0, "1", b"1", None, Decimal(1), math.nan)]
WHOLE += [(Broken(), KeyError), (-(1 << 80), OverflowError), (1 << 80, OverflowError)]

SIGNED: Cases = [(SIGNED_MAX, None), (-(1 << 63), None)]
SIGNED += [(value, OverflowError) for value in (SIGNED_MAX + 1, -(1 << 63) - 1)]

WORD: Cases = [(WORD_MAX, None), (WORD_MAX + 1, OverflowError), (-1, OverflowError)]

REAL: Cases = [(value, None) for value in (7, -1.0, True, math.inf, Decimal("1.5"))]
REAL += [(value, None) for value in (Fraction(1, 3), np.float32(1.5), Indexed())]
REAL += [(value, TypeError) for value in ("1.0", b"1.0", bytearray(b"1"), None, 1j)]
REAL += [([1.0], TypeError)]
REAL += [(10**400, OverflowError), (Broken(), KeyError)]


def below(limit: int) -> Cases:
    return [
        (limit, None),
        (limit + 1, ValueError),
        (WORD_MAX, ValueError),
        (WORD_MAX + 1, OverflowError),
        (-1, OverflowError),
    ]


QUOTE_CASES: dict[str, Cases] = {
    "instrument": WHOLE + below(SMALL.instruments - 1),
    "flags": WHOLE + below(0xFFFF),
    "session": WHOLE + below(0xFFFF_FFFF),
    "event_ns": WHOLE + SIGNED,
    "recv_ns": WHOLE + SIGNED,
    "venue_sequence": WHOLE + WORD,
    "bid": REAL,
    "bid_size": REAL,
    "ask": REAL,
    "ask_size": REAL,
}


@pytest.mark.parametrize("field", QUOTE_CASES)
def test_quote_is_taken_or_refused_whole(name: str, field: str) -> None:
    position = list(QUOTE_CASES).index(field)
    for value, error in QUOTE_CASES[field]:
        memory = Memory()
        writer = memory.writer(name)
        before = bytes(memory.bytes)
        arguments = replaced(GOOD_QUOTE, position, value)
        if error is None:
            assert writer.publish_quote(*arguments) == 1, value
            continue
        with pytest.raises(error):
            writer.publish_quote(*arguments)
        assert bytes(memory.bytes) == before, f"{value!r} was refused, not undone"


def test_converted_values_are_the_given_ones(name: str, memory: Memory) -> None:
    values: list[Any] = [Indexed(), np.uint16(9), True, np.int32(-4), Indexed()]
    values += [np.uint64(WORD_MAX), Decimal("1.5"), 7, np.float32(0.5), Fraction(1, 4)]
    memory.writer(name).publish_quote(*values)
    record = memory.reader(name).read_slot(3)
    assert record is not None
    fields = fields_of(record)
    assert [fields[key] for key in ("flags", "session", "event_ns")] == [9, 1, -4]
    assert [fields[key] for key in ("recv_ns", "venue_sequence")] == [3, WORD_MAX]
    assert [fields[key] for key in ("bid", "bid_size")] == [1.5, 7.0]
    assert [fields[key] for key in ("ask", "ask_size")] == [0.5, 0.25]


Call = Callable[[Any], object]
OTHER_CASES: list[tuple[str, Call, type[Exception] | None]] = [
    ("few", lambda w: w.publish_quote(*GOOD_QUOTE[:-1]), TypeError),
    ("many", lambda w: w.publish_quote(*GOOD_QUOTE, 1), TypeError),
    ("none", lambda w: w.publish_quote(), TypeError),
    ("kind", lambda w: w.publish(*replaced(GOOD_RECORD, 0, 256)), ValueError),
    ("kind below", lambda w: w.publish(*replaced(GOOD_RECORD, 0, -1)), OverflowError),
    ("where", lambda w: w.publish(*replaced(GOOD_RECORD, 1, 8)), ValueError),
    ("index", lambda w: w.publish(*replaced(GOOD_RECORD, 2, 4)), ValueError),
    ("session", lambda w: w.publish(*replaced(GOOD_RECORD, 4, 1 << 32)), ValueError),
    ("short", lambda w: w.publish(*replaced(GOOD_RECORD, 8, bytes(63))), ValueError),
    ("long", lambda w: w.publish(*replaced(GOOD_RECORD, 8, bytes(65))), ValueError),
    ("text", lambda w: w.publish(*replaced(GOOD_RECORD, 8, "x" * 64)), TypeError),
    ("array", lambda w: w.publish(*replaced(GOOD_RECORD, 8, bytearray(64))), TypeError),
    ("source", lambda w: w.publish(*replaced(GOOD_RECORD, 9, 256)), ValueError),
    ("source real", lambda w: w.publish(*replaced(GOOD_RECORD, 9, 1.0)), TypeError),
    ("parts", lambda w: w.publish(*GOOD_RECORD[:-1]), TypeError),
    ("slot", lambda w: w.read_slot(4), ValueError),
    ("slot below", lambda w: w.read_slot(-1), OverflowError),
    ("slot far", lambda w: w.read_slot(1 << 64), OverflowError),
    ("slot float", lambda w: w.read_slot(0.0), TypeError),
    ("slot scalar", lambda w: w.read_slot(np.uint32(1)), None),
    ("funding", lambda w: w.read_funding(4), ValueError),
    ("funding below", lambda w: w.read_funding(-1), OverflowError),
    ("funding float", lambda w: w.read_funding(0.0), TypeError),
    ("fundings gaps", lambda w: w.read_fundings(records(8)[::2]), ValueError),
    ("fundings bytes", lambda w: w.read_fundings(bytes(RECORD_BYTES)), BufferError),
    ("words end", lambda w: w.load_words(w.end, bytearray(8)), ValueError),
    ("words last", lambda w: w.load_words(w.end - 8, bytearray(8)), None),
    ("words past", lambda w: w.load_words(w.end - 8, bytearray(16)), ValueError),
    ("words below", lambda w: w.load_words(-8, bytearray(8)), OverflowError),
    ("words odd", lambda w: w.load_words(4, bytearray(8)), ValueError),
    ("words part", lambda w: w.load_words(8, bytearray(9)), ValueError),
    ("words none", lambda w: w.load_words(8, bytearray()), None),
    ("words bytes", lambda w: w.load_words(8, bytes(8)), BufferError),
    ("words parts", lambda w: w.load_words(8), TypeError),
    ("counter", lambda w: w.count(4, 1), ValueError),
    ("counter below", lambda w: w.count(-1, 1), OverflowError),
    ("amount", lambda w: w.count(0, -1), OverflowError),
    ("amount far", lambda w: w.count(0, 1 << 64), OverflowError),
    ("amount float", lambda w: w.count(0, 1.0), TypeError),
    ("histogram", lambda w: w.record(2, 1), ValueError),
    ("value far", lambda w: w.record(0, 1 << 63), OverflowError),
    ("value float", lambda w: w.record(0, 1.0), TypeError),
    ("beat", lambda w: w.beat(1 << 63, 0), OverflowError),
    ("beat below", lambda w: w.beat(-(1 << 63), WORD_MAX), None),
    ("progress", lambda w: w.beat(0, -1), OverflowError),
    ("beat parts", lambda w: w.beat(0), TypeError),
    ("load end", lambda w: w.load(w.end), ValueError),
    ("load last", lambda w: w.load(w.end - 8), None),
    ("load below", lambda w: w.load(-8), OverflowError),
    ("load odd", lambda w: w.load(4), ValueError),
    ("load float", lambda w: w.load(8.0), TypeError),
    ("store end", lambda w: w.store(w.end, 0), ValueError),
    ("store odd", lambda w: w.store(12, 0), ValueError),
    ("store far", lambda w: w.store(8, 1 << 64), OverflowError),
    ("store below", lambda w: w.store(8, -1), OverflowError),
    ("store text", lambda w: w.store(8, "1"), TypeError),
    ("cursor", lambda w: w.drain(-1, records(1)), OverflowError),
    ("cursor far", lambda w: w.drain(1 << 64, records(1)), OverflowError),
    ("cursor none", lambda w: w.drain(None, records(1)), TypeError),
    ("drain nothing", lambda w: w.drain(0, None), TypeError),
    ("drain numbers", lambda w: w.drain(0, [1, 2]), TypeError),
    ("drain part", lambda w: w.drain(0, bytearray(RECORD_BYTES + 1)), ValueError),
    ("drain bytes", lambda w: w.drain(0, bytes(RECORD_BYTES)), BufferError),
    ("drain empty", lambda w: w.drain(0, bytearray()), None),
    ("drain gaps", lambda w: w.drain(0, records(4)[::2]), ValueError),
    ("drain turned", lambda w: w.drain(0, records(4).reshape(2, 2).T), ValueError),
    ("slots gaps", lambda w: w.read_slots(records(8)[::2]), ValueError),
    ("slots bytes", lambda w: w.read_slots(bytes(RECORD_BYTES)), BufferError),
    ("slots empty", lambda w: w.read_slots(records(0)), None),
    ("abandon", lambda w: w.abandon_after(1 << 63), OverflowError),
    ("abandon text", lambda w: w.abandon_after("1"), TypeError),
]


class Ended:
    """A writer that also knows where its memory ends."""

    def __init__(self, writer: Any, end: int) -> None:
        self._writer = writer
        self.end = end

    def __getattr__(self, name: str) -> Any:
        return getattr(self._writer, name)


@pytest.mark.parametrize(
    ("call", "error"),
    [case[1:] for case in OTHER_CASES],
    ids=[case[0] for case in OTHER_CASES],
)
def test_call_is_taken_or_refused(
    name: str, memory: Memory, call: Call, error: type[Exception] | None
) -> None:
    writer = Ended(memory.writer(name), memory.plan.segment_bytes)
    before = bytes(memory.bytes)
    if error is None:
        call(writer)
        return
    with pytest.raises(error):
        call(writer)
    assert bytes(memory.bytes) == before, "a refused call changed the memory"


def test_array_that_may_not_be_written_is_refused(name: str, memory: Memory) -> None:
    memory.writer(name).publish_quote(*GOOD_QUOTE)
    out = records(2)
    out.flags.writeable = False
    reader = memory.reader(name)
    with pytest.raises(ValueError, match=r"read-only|writable"):
        reader.drain(0, out)
    with pytest.raises(ValueError, match=r"read-only|writable"):
        reader.read_slots(out)
    assert not out["kind"].any()


# --- anything at all ------------------------------------------------------------------

_INTEGERS = st.one_of(
    st.integers(0, 5),
    st.integers(-(1 << 66), 1 << 66),
    st.sampled_from([0xFFFF, 1 << 16, 1 << 32, SIGNED_MAX, WORD_MAX, -(1 << 63)]),
)
_ANYTHING = st.one_of(
    _INTEGERS,
    _INTEGERS,
    st.floats(),
    st.none(),
    st.text(max_size=2),
    st.binary(min_size=63, max_size=65),
)
_METHODS = {
    "publish_quote": 10,
    "publish": 10,
    "count": 2,
    "record": 2,
    "beat": 2,
    "store": 2,
    "load": 1,
    "read_slot": 1,
    "read_funding": 1,
}


@st.composite
def calls(draw: st.DrawFn) -> tuple[str, list[Any]]:
    method = draw(st.sampled_from(list(_METHODS)))
    good = {"publish_quote": GOOD_QUOTE, "publish": GOOD_RECORD}.get(method, [0, 1])
    arguments = list(good[: _METHODS[method]])
    # One wrong argument a call: which of two is refused first is nobody's promise.
    arguments[draw(st.integers(0, len(arguments) - 1))] = draw(_ANYTHING)
    return method, arguments


@settings(max_examples=300, deadline=None)
@given(st.lists(calls(), min_size=1, max_size=8))
def test_both_answer_alike_and_leave_the_same_bytes(
    sequence: list[tuple[str, list[Any]]],
) -> None:
    memories = {name: Memory() for name in IMPLEMENTATIONS}
    writers = {name: memory.writer(name) for name, memory in memories.items()}
    for method, arguments in sequence:
        answers = {
            name: _answer(getattr(writer, method), arguments)
            for name, writer in writers.items()
        }
        assert answers["native"] == answers["twin"], (method, arguments)
    native, twin = (_without_clock(memories[name]) for name in IMPLEMENTATIONS)
    assert native == twin


def _answer(method: Call, arguments: list[Any]) -> object:
    try:
        answer = method(*arguments)
    except (TypeError, ValueError, OverflowError) as error:
        return type(error)
    except Exception as error:  # noqa: BLE001 - its kind is what is compared
        return type(error).__name__
    return _without_publish(answer) if isinstance(answer, bytes) else answer


def _without_publish(record: bytes) -> bytes:
    start = schema.QUOTE.offsets["publish_ns"]
    return record[:start] + bytes(8) + record[start + 8 :]


def _without_clock(memory: Memory) -> bytes:
    plan = memory.plan
    data = bytearray(memory.bytes)
    cells = [
        memory.cell(instrument, index, section)
        for instrument in range(SMALL.instruments)
        for index in (0, 1)
        for section in ("latest", "funding")
    ]
    first = plan.ring_offset + schema.RING.size_bytes
    cells += range(first, first + SMALL.ring_slots * RECORD_BYTES, RECORD_BYTES)
    for cell in cells:
        start = cell + schema.QUOTE.offsets["publish_ns"]
        data[start : start + 8] = bytes(8)
    return bytes(data)
