"""The requests of one session: paced, acknowledged, repeated, refused.

    PENDING ──sent──▶ SENT ──ack──▶ ACKED ──resubscribe──▶ PENDING
                       │  ╲
            overdue: sent  ╲──refusal──▶ REFUSED   (the others go on)
            again, twice;
            then exhausted

Owns the state of each request. It sends nothing: `take_due` returns what is due now.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Final

from feedhandler.venues._base import Subscription

TRIES_MAX: Final = 3

PENDING: Final = 0
SENT: Final = 1
ACKED: Final = 2
REFUSED: Final = 3


class _Request:
    __slots__ = ("sent_ns", "state", "subscription", "tries")

    def __init__(self, subscription: Subscription) -> None:
        self.subscription = subscription
        self.state = PENDING
        self.sent_ns = 0
        self.tries = 0


class Subscriptions:
    """Every request of one session, by its key."""

    def __init__(
        self, wanted: Iterable[Subscription], gap_ns: int, ack_ns: int
    ) -> None:
        self._gap_ns = gap_ns
        self._ack_ns = ack_ns

        # Every request, and the texts that wait for their turn.
        self._requests: dict[str, _Request] = {}
        self._queue: deque[tuple[str, str]] = deque()
        self._next_send_ns = 0

        # Whether not one request for quotes is left that the venue did not refuse.
        self.is_book_refused = False

        self.add(wanted)

    @property
    def is_complete(self) -> bool:
        """Whether each request was acknowledged or refused."""
        return all(row.state >= ACKED for row in self._requests.values())

    @property
    def next_send_ns(self) -> int | None:
        """When the next text is due, None when none waits."""
        return self._next_send_ns if self._queue else None

    def add(self, wanted: Iterable[Subscription]) -> None:
        """Queue requests that are not there yet."""
        for subscription in wanted:
            if subscription.key not in self._requests:
                self._requests[subscription.key] = _Request(subscription)
                self._queue.append((subscription.key, subscription.request))

    def take_due(self, now_ns: int) -> tuple[str, Subscription | None]:
        """Return the text to send now, and the request it is; empty when none is due.

        A text that ends a subscription comes without one.
        """
        if not self._queue or now_ns < self._next_send_ns:
            return "", None
        key, text = self._queue.popleft()
        self._next_send_ns = now_ns + self._gap_ns
        request = self._requests[key]
        if text != request.subscription.request:
            return text, None
        request.state = SENT
        request.sent_ns = now_ns
        request.tries += 1
        return text, request.subscription

    def find(self, key: str) -> Subscription | None:
        """Return the subscription of a key, None when nobody asked for it."""
        request = self._requests.get(key)
        return None if request is None else request.subscription

    def acked(self, key: str) -> bool:
        """Note an acknowledgement; False when nobody asked for it."""
        request = self._requests.get(key)
        if request is None or request.state == PENDING:
            return False
        request.state = ACKED
        request.tries = 0
        return True

    def refused(self, key: str) -> Subscription | None:
        """Note a refusal; without a key it is of the oldest unanswered request.

        Returns None when there is no request that it could be of.
        """
        request = self._requests.get(key) if key else self._oldest_unanswered()
        if request is None:
            return None
        request.state = REFUSED
        books = [row for row in self._requests.values() if row.subscription.is_book]
        self.is_book_refused = all(row.state == REFUSED for row in books)
        return request.subscription

    def repeat_overdue(self, now_ns: int) -> str:
        """Queue overdue requests again; return the key of one that is exhausted."""
        for key, request in self._requests.items():
            if request.state != SENT or now_ns - request.sent_ns < self._ack_ns:
                continue
            if request.tries >= TRIES_MAX:
                return key
            request.state = PENDING
            self._queue.append((key, request.subscription.request))
        return ""

    def resubscribe_book(self, symbol: str) -> None:
        """Queue the end and the new start of a symbol's quotes."""
        for key, request in self._requests.items():
            subscription = request.subscription
            is_due = subscription.is_book and subscription.symbol == symbol
            if is_due and request.state in (SENT, ACKED):
                request.state = PENDING
                request.tries = 0
                self._queue.append((key, subscription.cancel))
                self._queue.append((key, subscription.request))

    def unanswered(self) -> list[str]:
        """Return the keys that were sent and not answered, oldest first."""
        rows = [row for row in self._requests.values() if row.state == SENT]
        rows.sort(key=lambda row: row.sent_ns)
        return [row.subscription.key for row in rows]

    def _oldest_unanswered(self) -> _Request | None:
        keys = self.unanswered()
        return self._requests[keys[0]] if keys else None
