"""What can go wrong between us and a venue's host, each with its session-end label."""

from __future__ import annotations

from typing import Final

RETRY_AFTER_S_MAX: Final = 300


class TransportError(Exception):
    """A connection or a request failed.

    `label` is the session end it stands for. `status` is the HTTP status, 0 when there
    was none; `retry_after_s` is what the host asked us to wait.
    """

    def __init__(
        self, label: str, text: str, status: int = 0, retry_after_s: int = 0
    ) -> None:
        super().__init__(text)
        self.label = label
        self.status = status
        self.retry_after_s = retry_after_s


def parse_retry_after(text: str | None) -> int:
    """Return the seconds of a Retry-After header, 0 to 300; 0 for what is no number.

    A date is not honoured: it would compare a foreign clock with ours.
    """
    if text is None:
        return 0
    text = text.strip()
    if not (text.isascii() and text.isdigit()):
        return 0
    # Longer than any permitted value: no need to convert it.
    return RETRY_AFTER_S_MAX if len(text) > 9 else min(int(text), RETRY_AFTER_S_MAX)
