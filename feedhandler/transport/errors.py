"""What can go wrong between us and a venue's host, each with its session-end label."""

from __future__ import annotations

from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import Final

RETRY_AFTER_S_MAX: Final = 300
# 418 says that our address is banned: for two minutes at first, and longer each time.
BANNED: Final = 418
BANNED_S_MIN: Final = 120
# 429 without a Retry-After, as most venues send it. Our count of what was spent is
# wrong then, and the windows that venues count in are a minute long.
TOO_MANY: Final = 429
TOO_MANY_S: Final = 10
ERROR_BYTES: Final = 1_024  # of a body that says what was wrong


class TransportError(Exception):
    """A connection or a request failed.

    `label` is the session end it stands for, or `rate_limited` for a request that was
    not sent because the host's budget is spent. `status` is the HTTP status, 0 when
    there was none; `retry_after_s` is what the host asked us to wait; `body` is how an
    answer with another status than 200 begins.
    """

    def __init__(
        self,
        label: str,
        text: str,
        status: int = 0,
        retry_after_s: int = 0,
        body: bytes = b"",
    ) -> None:
        super().__init__(text)
        self.label = label
        self.status = status
        self.retry_after_s = retry_after_s
        self.body = body

    @property
    def penalty_s(self) -> int:
        """How long nothing of this host should ask the same host again; 0: as usual."""
        if self.label != "http_status":
            return 0
        if self.status == TOO_MANY:
            return self.retry_after_s or TOO_MANY_S
        return self.retry_after_s


def status_error(
    text: str, status: int, header: Callable[[str], str | None], body: bytes = b""
) -> TransportError:
    """Return the error for an answer with a status that we cannot use.

    `header` returns the answer's header of that name, the first if there are several.
    """
    wait_s = parse_retry_after(header("Retry-After"), header("Date"))
    if status == BANNED and wait_s == 0:
        wait_s = BANNED_S_MIN
    return TransportError("http_status", text, status, wait_s, body)


def parse_retry_after(text: str | None, date: str | None = None) -> int:
    """Return the seconds that a Retry-After header asks for, 0 to 300.

    A time counts from the `Date` of the same answer: two stamps of one foreign clock
    can be compared, ours has no part in it. Without that date it is worth nothing,
    as is anything else.
    """
    if text is None:
        return 0
    text = text.strip()
    if text.isascii() and text.isdigit():
        # Longer than any permitted value: no need to convert it.
        seconds = RETRY_AFTER_S_MAX if len(text) > 9 else int(text)
    else:
        until_s, from_s = parse_date(text), parse_date(date)
        seconds = 0 if until_s is None or from_s is None else until_s - from_s
    return max(0, min(seconds, RETRY_AFTER_S_MAX))


def parse_date(text: str | None) -> int | None:
    """Return an HTTP date in seconds since 1970, None for what is none."""
    if text is None or len(text) > 64:
        return None
    try:
        date = parsedate_to_datetime(text)
        return None if date.tzinfo is None else int(date.timestamp())
    except (ValueError, OverflowError, TypeError, IndexError):
        return None
