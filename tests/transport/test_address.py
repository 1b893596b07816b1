"""Which addresses are refused, and what Retry-After is worth."""

from __future__ import annotations

import pytest

from feedhandler.errors import UsageError
from feedhandler.transport.address import check_address
from feedhandler.transport.errors import parse_retry_after


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
