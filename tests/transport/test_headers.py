"""Which headers are sent, and which are refused."""

from __future__ import annotations

import pytest

from feedhandler.errors import UsageError
from feedhandler.identity import USER_AGENT
from feedhandler.transport.headers import request_headers


def test_we_always_say_who_we_are() -> None:
    assert request_headers() == {"User-Agent": USER_AGENT}
    assert request_headers({"Origin": "https://a.example", "X-Key": "a b"}) == {
        "User-Agent": USER_AGENT,
        "Origin": "https://a.example",
        "X-Key": "a b",
    }


def test_configured_user_agent_replaces_ours() -> None:
    assert request_headers({"user-agent": "Mozilla/5.0"}) == {
        "User-Agent": "Mozilla/5.0"
    }


@pytest.mark.parametrize(
    "extra",
    [
        {"X-A": "a\r\nX-B: b"},
        {"X-A": "a\n"},
        {"X-A": "a\rb"},
        {"X-A": "a\0b"},
        {"X-A": "\tb"},
        {"X-A": " a"},
        {"X-A": ""},
        {"X-A": "ä"},
        {"X-A": "x" * 1_025},
        {"X-A\r\nX-B": "a"},
        {"X-A\n": "a"},
        {"X A": "a"},
        {"X-A:": "a"},
        {"Ä": "a"},
        {"": "a"},
        {"x" * 65: "a"},
        {"Host": "other.example"},
        {"content-length": "5"},
        {"Transfer-Encoding": "chunked"},
        {"Accept-Encoding": "gzip"},
        {"Connection": "close"},
        {"Sec-WebSocket-Key": "a"},
        {"X-A": "a", "x-a": "b"},
        {f"X-{number}": "a" for number in range(17)},
    ],
)
def test_header_that_could_break_a_request_is_refused(extra: dict[str, str]) -> None:
    with pytest.raises(UsageError):
        request_headers(extra)


def test_error_does_not_repeat_the_value() -> None:
    with pytest.raises(UsageError) as caught:
        request_headers({"X-Key": "secret\n"})
    assert "X-Key" in str(caught.value)
    assert "secret" not in str(caught.value)
