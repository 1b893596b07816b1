"""Which addresses are refused, and what Retry-After is worth."""

from __future__ import annotations

import pytest

from feedhandler.errors import UsageError
from feedhandler.transport.address import check_address
from feedhandler.transport.errors import (
    TransportError,
    parse_retry_after,
    status_error,
)


@pytest.mark.parametrize(
    "url",
    ["wss://host/ws", "ws://127.0.0.1:1/ws", "ws://localhost/ws", "ws://[::1]:5/ws"],
)
def test_encrypted_or_local_address_is_accepted(url: str) -> None:
    check_address(url, "wss", is_insecure_allowed=False)


@pytest.mark.parametrize(
    "url",
    [
        "ws://example.com/ws",
        "ws://127.0.0.1.example.com/ws",
        "ws://10.0.0.1/ws",
        "http://127.0.0.1/",
        "file:///etc/passwd",
        "wss://",
        "",
    ],
)
def test_other_address_is_refused(url: str) -> None:
    with pytest.raises(UsageError):
        check_address(url, "wss", is_insecure_allowed=False)


def test_plain_address_elsewhere_needs_an_explicit_word() -> None:
    check_address("ws://10.0.0.1/ws", "wss", is_insecure_allowed=True)
    with pytest.raises(UsageError):
        check_address("http://10.0.0.1/ws", "wss", is_insecure_allowed=True)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (None, 0),
        ("", 0),
        ("5", 5),
        (" 7 ", 7),
        ("300", 300),
        ("301", 300),
        ("1000000000", 300),
        ("9" * 5_000, 300),
        ("-1", 0),
        ("1.5", 0),
        ("1e9", 0),
        ("٣", 0),
        ("soon", 0),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0),
    ],
)
def test_retry_after_is_between_nothing_and_five_minutes(
    text: str | None, seconds: int
) -> None:
    assert parse_retry_after(text) == seconds


DATE = "Sat, 21 Nov 2026 12:00:00 GMT"


@pytest.mark.parametrize(
    ("text", "date", "seconds"),
    [
        ("Sat, 21 Nov 2026 12:00:30 GMT", DATE, 30),
        ("Sat, 21 Nov 2026 11:59:30 GMT", DATE, 0),
        ("Sat, 21 Nov 2026 18:00:00 GMT", DATE, 300),
        ("Sat, 21 Nov 2026 12:00:30 GMT", "soon", 0),
        ("Sat, 21 Nov 2026 12:00:30 GMT", None, 0),
        ("Sat, 21 Nov 2026 12:00:30", DATE, 0),
        ("Sat, 99 Nov 99999 12:00:30 GMT", DATE, 0),
        ("Sat, 21 Nov 2026 12:00:30 GMT" * 100, DATE, 0),
        ("5", "soon", 5),
    ],
)
def test_retry_after_as_a_time_counts_from_the_date_of_its_answer(
    text: str, date: str | None, seconds: int
) -> None:
    assert parse_retry_after(text, date) == seconds


@pytest.mark.parametrize(
    ("status", "headers", "wait_s", "penalty_s"),
    [
        (418, {}, 120, 120),
        (418, {"Retry-After": "0"}, 120, 120),
        (418, {"Retry-After": "7"}, 7, 7),
        (418, {"Retry-After": "9999999"}, 300, 300),
        (429, {}, 0, 10),
        (429, {"Retry-After": "3"}, 3, 3),
        (429, {"Retry-After": "30"}, 30, 30),
        (503, {"Retry-After": "30"}, 30, 30),
        (503, {}, 0, 0),
        (403, {}, 0, 0),
        (500, {}, 0, 0),
    ],
)
def test_status_tells_how_long_to_stay_away(
    status: int, headers: dict[str, str], wait_s: int, penalty_s: int
) -> None:
    error = status_error("text", status, headers.get, b"body")
    assert (error.label, error.status, error.body) == ("http_status", status, b"body")
    assert (error.retry_after_s, error.penalty_s) == (wait_s, penalty_s)


def test_refusal_of_our_own_penalises_nobody() -> None:
    assert TransportError("rate_limited", "not sent", 0, 60).penalty_s == 0
