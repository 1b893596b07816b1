"""The requests of one session: paced, acknowledged, repeated, refused.

    PENDING ──sent──▶ SENT ──ack──▶ ACKED ──resubscribe──▶ PENDING
                       │  ╲
            overdue: sent  ╲──refusal──▶ REFUSED   (the others go on)
            again, twice;
            then exhausted

Owns the state of each subscription and the ids of requests. One request carries as many
subscriptions as the venue takes. One of several that is refused is asked again piece by
piece, so that a bad name costs only itself. It sends nothing: `take_due` returns what
is due now. Where each stream has a socket of its own nothing is asked for: they stand
from the opening, and only another connection can begin one anew.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Final, TypeAlias

from feedhandler.feed.settings import Timing
from feedhandler.venues._base import Subscription, Venue

TRIES_MAX: Final = 3
# Requests whose answer may still come; an older one's answer is unknown.
REQUESTS_MAX: Final = 4_096

# (now in ns) -> 0 for one more request, or how long to wait in ns: what all processes
# of the host may send together.
Pace: TypeAlias = Callable[[int], int]

PENDING: Final = 0
SENT: Final = 1
ACKED: Final = 2
REFUSED: Final = 3
LEAVING: Final = 4


_SETTLED: Final = (PENDING, LEAVING)


class _State:
    __slots__ = ("is_alone", "sent_ns", "state", "subscription", "tries")

    def __init__(self, subscription: Subscription) -> None:
        self.subscription = subscription
        self.state = PENDING
        self.sent_ns = 0
        self.tries = 0
        self.is_alone = False  # its request carries no other


class Subscriptions:
    """Every subscription of one session, by its key."""

    def __init__(self, venue: Venue, timing: Timing, pace: Pace | None = None) -> None:
        self._venue = venue
        self._pace = pace
        self._gap_ns = timing.subscribe_gap_ns
        self._ack_ns = timing.ack_ns

        # Every subscription, and those that wait for a request: (key, whether it ends).
        self._states: dict[str, _State] = {}
        self._queue: deque[tuple[str, bool]] = deque()
        self._next_send_ns = 0

        # Request id -> what it subscribes; nothing where it ended subscriptions.
        self._requests: dict[str, tuple[str, ...]] = {}
        self._request_id = 0

        # The symbol of a stream that was to begin anew and cannot.
        self.stuck = ""

        # Whether not one subscription of quotes is left that was not refused.
        self.is_book_refused = False

    @property
    def is_complete(self) -> bool:
        """Whether each subscription was acknowledged or refused."""
        return all(row.state >= ACKED for row in self._states.values())

    @property
    def next_send_ns(self) -> int | None:
        """When the next request is due, None when none waits."""
        return self._next_send_ns if self._queue else None

    def add(self, wanted: Iterable[Subscription]) -> None:
        """Queue subscriptions that are not there yet."""
        for subscription in wanted:
            if subscription.key not in self._states:
                state = self._states[subscription.key] = _State(subscription)
                if self._venue.has_requests:
                    self._queue.append((subscription.key, False))
                else:
                    state.state = ACKED

    def all(self) -> list[Subscription]:
        """Return every subscription that there is."""
        return [state.subscription for state in self._states.values()]

    def take_due(self, now_ns: int) -> tuple[str, list[Subscription]]:
        """Return the request to send now and what it subscribes; empty when none is.

        A request that ends subscriptions comes without any.
        """
        if not self._queue or now_ns < self._next_send_ns:
            return "", []
        if self._pace is not None and (wait_ns := self._pace(now_ns)):
            self._next_send_ns = now_ns + wait_ns
            return "", []
        self._next_send_ns = now_ns + self._gap_ns
        keys, is_end = self._take_chunk()
        states = [self._states[key] for key in keys]
        self._request_id += 1
        self._requests[f"#{self._request_id}"] = () if is_end else tuple(keys)
        if len(self._requests) > REQUESTS_MAX:
            del self._requests[next(iter(self._requests))]
        topics = [state.subscription.topic for state in states]
        text = self._venue.request(topics, self._request_id, is_end=is_end)
        if is_end:
            for key in keys:
                if self._states[key].state == LEAVING:
                    del self._states[key]
            return text, []
        for state in states:
            state.state = SENT
            state.sent_ns = now_ns
            state.tries += 1
        return text, [state.subscription for state in states]

    def find(self, key: str) -> list[Subscription]:
        """Return the subscriptions behind the key of an answer."""
        return [state.subscription for state in self._find(key)]

    def acked(self, key: str) -> bool:
        """Note an acknowledgement; False when nobody asked for it."""
        states = [row for row in self._find(key) if row.state not in _SETTLED]
        for state in states:
            state.state = ACKED
            state.tries = 0
        return bool(states) or key in self._requests

    def refused(self, key: str) -> list[Subscription]:
        """Note a refusal; without a key it is of the oldest unanswered request.

        Returns what was refused for good: nothing where the request carried several,
        which are now asked for one by one, or where there is no such request.
        """
        states = self._find(key) if key else self._oldest_unanswered()
        if len(states) > 1:
            for state in states:
                if state.state == SENT:
                    state.is_alone = True
                    self._ask_again(state)
            return []
        for state in states:
            state.state = REFUSED
        books = [row for row in self._states.values() if row.subscription.is_book]
        self.is_book_refused = all(row.state >= REFUSED for row in books)
        return [state.subscription for state in states]

    def repeat_overdue(self, now_ns: int) -> str:
        """Queue overdue subscriptions again; return the key of an exhausted one."""
        for key, state in self._states.items():
            if state.state != SENT or now_ns - state.sent_ns < self._ack_ns:
                continue
            if state.tries >= TRIES_MAX:
                return key
            self._ask_again(state)
        return ""

    def resubscribe(self, symbol: str, kinds: Iterable[str]) -> None:
        """Queue the end and the new start of a symbol's quotes of those kinds."""
        if not self._venue.has_requests:
            self.stuck = symbol
            return
        for key, state in self._states.items():
            subscription = state.subscription
            is_due = subscription.symbol == symbol and subscription.carries in kinds
            if is_due and state.state in (SENT, ACKED):
                state.tries = 0
                self._queue.append((key, True))
                self._ask_again(state)

    def remove(self, symbol: str) -> None:
        """End what is subscribed of a symbol, and forget what is not."""
        for key, state in list(self._states.items()):
            if state.subscription.symbol != symbol or state.state == LEAVING:
                continue
            self._queue = deque(each for each in self._queue if each[0] != key)
            if state.state in (SENT, ACKED):
                state.state = LEAVING
                self._queue.append((key, True))
            else:
                del self._states[key]

    def unanswered(self) -> list[str]:
        """Return the keys that were sent and not answered, oldest first."""
        return [state.subscription.key for state in self._unanswered()]

    def _find(self, key: str) -> list[_State]:
        found = (self._states.get(each) for each in self._requests.get(key, (key,)))
        return [state for state in found if state is not None]

    def _take_chunk(self) -> tuple[list[str], bool]:
        """Take what one request can carry from the front of the queue."""
        key, is_end = self._queue.popleft()
        keys = [key]
        is_alone = self._states[key].is_alone
        while self._queue and not is_alone and len(keys) < self._venue.limits.chunk:
            key, is_next_end = self._queue[0]
            if is_next_end != is_end or self._states[key].is_alone or key in keys:
                break
            keys.append(key)
            self._queue.popleft()
        return keys, is_end

    def _ask_again(self, state: _State) -> None:
        state.state = PENDING
        self._queue.append((state.subscription.key, False))

    def _unanswered(self) -> list[_State]:
        rows = [row for row in self._states.values() if row.state == SENT]
        rows.sort(key=lambda row: row.sent_ns)
        return rows

    def _oldest_unanswered(self) -> list[_State]:
        """Return all that one request carried: they were sent at one time."""
        rows = self._unanswered()
        return [row for row in rows if row.sent_ns == rows[0].sent_ns]
