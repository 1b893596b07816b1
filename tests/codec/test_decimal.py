"""Decimal text: what the grammar takes, as which double, and why not the rest."""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedhandler.codec import decimal
from feedhandler.codec.decimal import DecimalError, Price, Size

plain = st.decimals(
    min_value=Decimal("1e-12"),
    max_value=Decimal("1e12"),
    allow_nan=False,
    allow_infinity=False,
    places=12,
).map(lambda value: format(value, "f"))
exponents = st.builds(
    "{}.{}e{}".format,
    st.integers(1, 9),
    st.integers(0, 10**15),
    st.integers(-12, 11),
)


@given(text=plain | exponents)
def test_every_accepted_text_becomes_the_nearest_double(text: str) -> None:
    assert decimal.price(text) == float(text)
    assert decimal.parse("-" + text) == -float(text)


@given(text=st.text(max_size=12) | st.text("0123456789.eE+-_ ", max_size=12))
def test_nothing_but_a_finite_double_or_a_named_reason_comes_out(text: str) -> None:
    for convert in (decimal.price, decimal.size, decimal.parse):
        reason = "none"
        try:
            value = convert(text)
        except DecimalError as error:
            reason = error.reason
        else:
            assert math.isfinite(value)
            assert value == float(text)
        assert reason in ("none", "number", "range", "nonpositive")


@given(text=st.text("0123456789.eE+-_ nNaAiIfF", max_size=12) | plain | exponents)
def test_decoding_in_one_pass_takes_what_the_grammar_takes(text: str) -> None:
    one_pass = msgspec.json.Decoder(Price, strict=False).decode
    try:
        value = one_pass(msgspec.json.encode(text))
    except msgspec.ValidationError:
        with pytest.raises(DecimalError):
            decimal.price(text)
    else:
        assert decimal.price(text) == value


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("nan", "number"),
        ("NaN", "number"),
        ("inf", "number"),
        ("-inf", "number"),
        ("Infinity", "number"),
        ("1_000", "number"),
        (" 1", "number"),
        ("1 ", "number"),
        ("1\n", "number"),
        ("\t1", "number"),
        ("+5", "number"),
        ("１２", "number"),
        ("٣", "number"),
        ("0x10", "number"),
        ("1,5", "number"),
        ("1e", "number"),
        ("1.", "number"),
        (".5", "number"),
        ("007", "number"),
        ("--1", "number"),
        ("", "number"),
        ("true", "number"),
        ("null", "number"),
        ('"1"', "number"),
        ("[1]", "number"),
        ("1\x00", "number"),
        ("\ud800", "number"),
        ("1" * 41, "number"),
        ("0." + "1" * 39, "number"),
        ("1e400", "range"),
        ("1e1000000", "range"),
        ("1e13", "range"),
        ("1000000000000.1", "range"),
        ("1e-13", "range"),
        ("1e-400", "nonpositive"),
        ("0", "nonpositive"),
        ("-0.0", "nonpositive"),
        ("-1", "nonpositive"),
        ("-1e400", "range"),
    ],
)
def test_price_is_refused_with_its_reason(text: str, reason: str) -> None:
    with pytest.raises(DecimalError) as caught:
        decimal.price(text)
    assert caught.value.reason == reason


@pytest.mark.parametrize("value", [None, True, 1, 1.5, b"1", [], {}])
@pytest.mark.parametrize("convert", [decimal.price, decimal.size, decimal.parse])
def test_what_is_no_text_is_refused_as_type(
    convert: Callable[[object], float], value: object
) -> None:
    with pytest.raises(DecimalError) as caught:
        convert(value)
    assert caught.value.reason == "type"


@pytest.mark.parametrize(
    ("text", "reason"), [("-1", "range"), ("1e-13", "range"), ("1e13", "range")]
)
def test_size_is_refused_with_its_reason(text: str, reason: str) -> None:
    with pytest.raises(DecimalError) as caught:
        decimal.size(text)
    assert caught.value.reason == reason


@pytest.mark.parametrize("text", ["0", "0.0", "-0.0", "-0", "0e5"])
def test_zero_size_is_zero_without_a_sign(text: str) -> None:
    assert math.copysign(1.0, decimal.size(text)) == 1.0
    assert decimal.size(text) == 0.0


@pytest.mark.parametrize("text", ["1e-12", "0.000000000001", "1e12", "1000000000000"])
def test_limits_themselves_are_accepted(text: str) -> None:
    assert decimal.price(text) == float(text)


def test_rate_may_be_negative_and_tiny() -> None:
    assert decimal.parse("-0.0000000000000125") == -1.25e-14
    assert math.copysign(1.0, decimal.parse("-0.0")) == 1.0


def test_refusal_quotes_a_bounded_text() -> None:
    with pytest.raises(DecimalError) as caught:
        decimal.price("9" * 100_000)
    assert len(str(caught.value)) < 100


@pytest.mark.parametrize("text", ['"nan"', '"inf"', '"0"', '"-1"', "true", "null"])
def test_price_decoded_in_one_pass_has_the_same_limits(text: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.Decoder(Price, strict=False).decode(text)


@pytest.mark.parametrize("text", ['"nan"', '"inf"', '"-1"', '"1e13"', "false"])
def test_size_decoded_in_one_pass_has_the_same_limits(text: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.Decoder(Size, strict=False).decode(text)
