"""The segment of the REST process: its quotes, and what asking came to.

Owns the names of its counters, and how a reader turns them into words again. A counter
is `<name>.<venue>`; all are there before the first request, so that none of them is
missing until its event happens.

    rest_check   requests that were due           success   answers that were sound
    attempt      requests begun                   inject    quotes published
    fail.<kind>  attempts without an answer       discarded.<reason>   not published
    entered, left, fallback   instruments that REST stands in for: so far, and now
    self_check   0 pending, 1 sound, 2 and above: the kind it failed with
    budget_fallbacks, budget_resets   what became of the weight that the host shares
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from feedhandler.codec.frame import FrameError
from feedhandler.errors import UsageError
from feedhandler.rest import validate
from feedhandler.rest.validate import Top
from feedhandler.transport.budget import FALLBACK, RESET
from feedhandler.transport.errors import BANNED, TOO_MANY, TransportError
from shm_layout import (
    FLAG_RESTARTED,
    LINK_UP,
    SOURCE_REST,
    TIME_NONE,
    Capacities,
    Instrument,
    Writer,
)
from shm_layout.limits import (
    COUNTERS_DEFAULT,
    COUNTERS_MAX,
    HISTOGRAMS_DEFAULT,
    INSTRUMENTS_MAX,
)
from shm_layout.schema import QUOTE

ROLE: Final = "rest"
RING_SLOTS: Final = 4_096  # a few requests a second: half an hour of them

# Why an attempt brought no answer that could be read.
KINDS: Final = (
    "rate_limited",  # not sent: our own budget is spent
    "connect_timeout",
    "connect_error",
    "tls_error",
    "http_429",
    "http_418",
    "http_4xx",
    "http_5xx",
    "http_other",
    "venue_error",  # a 200 that holds the venue's own error
    "decode",
)
_TOTALS: Final = ("rest_check", "attempt", "success", "inject", FALLBACK, RESET)
_GAUGES: Final = ("entered", "left", "fallback", "self_check")

PENDING: Final = 0
SOUND: Final = 1
_PROBLEMS: Final = (*KINDS, *validate.REASONS)

_COUNTERS_EACH: Final = len(_TOTALS) + len(_GAUGES) + len(_PROBLEMS)
_FIELDS: Final = {field.name: n for n, field in enumerate(QUOTE.fields)}


def kind_of(error: TransportError | FrameError) -> str:
    """Return the kind of a failure; a wrong market is none, but discarded."""
    if isinstance(error, FrameError):
        return error.reason if error.reason in ("venue_error", "symbol") else "decode"
    if error.label != "http_status":
        return error.label if error.label in KINDS else "connect_error"
    if error.status in (TOO_MANY, BANNED):
        return f"http_{error.status}"
    return (
        f"http_{error.status // 100}xx" if 400 <= error.status < 600 else "http_other"
    )


class Board:
    """Writes what the REST process knows. One for each such process."""

    def __init__(self, instance: str, venues: Iterable[str], instruments: int) -> None:
        names = tuple(venues)
        self.writer = Writer.open(
            instance,
            ROLE,
            Capacities(
                instruments=min(instruments, INSTRUMENTS_MAX),
                ring_slots=RING_SLOTS,
                counters=min(
                    COUNTERS_MAX, max(COUNTERS_DEFAULT, _COUNTERS_EACH * len(names))
                ),
                histograms=max(HISTOGRAMS_DEFAULT, len(names)),
            ),
            source=SOURCE_REST,
        )
        if self.writer.adopted:
            self.writer.mark_all(FLAG_RESTARTED)
        self._session = self.writer.session + 1
        self.writer.set_link(LINK_UP, self._session)
        self._counters: dict[str, int] = {}
        self._answers: dict[str, int] = {}
        self._entered: dict[str, set[int]] = {}
        for venue in names:
            for name in _counter_names():
                key = f"{name}.{venue}"
                self._counters[key] = self.writer.counter(key)
            self._answers[venue] = self.writer.histogram(f"answer.{venue}")
            self.set(venue, "fallback", 0)
            self.set(venue, "self_check", PENDING)

    def enter(self, venue: str, instruments: Iterable[Instrument]) -> list[int]:
        """Enter a venue's instruments; return their indexes."""
        try:
            indexes = [self.writer.add_instrument(entry) for entry in instruments]
        except ValueError as error:
            raise UsageError(f"an instrument of {venue}: {error}") from error
        self._entered[venue] = set(indexes)
        if len(self._entered) == len(self._answers):
            # Before every venue has entered its own, what is not named is unknown.
            self.writer.retire_instruments(set().union(*self._entered.values()))
        return indexes

    def last(self, index: int) -> tuple[int, int]:
        """Return event time and number of the quote that stands there, if any."""
        record = self.writer.read_slot(index)
        if record is None:
            return TIME_NONE, -1
        fields = QUOTE.struct.unpack(record)
        sequence: int = fields[_FIELDS["venue_sequence"]]
        return fields[_FIELDS["event_ns"]], sequence or -1

    def publish(
        self, index: int, top: Top, event_ns: int, sequence: int, start_ns: int
    ) -> None:
        """Publish an answer, received at the earliest when its request began."""
        self.writer.publish_quote(
            index,
            top.flags,
            self._session,
            event_ns,
            start_ns,
            max(0, sequence),
            top.bid,
            top.bid_size,
            top.ask,
            top.ask_size,
        )

    def count(self, venue: str, name: str) -> None:
        """Add one to a venue's counter."""
        self.writer.count(self._counters[f"{name}.{venue}"])

    def set(self, venue: str, name: str, value: int) -> None:
        """Set a venue's gauge."""
        self.writer.set_counter(self._counters[f"{name}.{venue}"], value)

    def time_answer(self, venue: str, took_ns: int) -> None:
        """Record how long a request took, with the wait for its budget."""
        self.writer.record(self._answers[venue], took_ns)


def problem_code(problem: str) -> int:
    """Return the gauge's value for a self-check that failed with this."""
    return SOUND + 1 + _PROBLEMS.index(problem)


def counts_of(counters: Mapping[str, int], venue: str) -> dict[str, Any]:
    """Return what the counters say of one venue, in words."""
    check = counters.get(f"self_check.{venue}", PENDING)
    word = "pending" if check == PENDING else "ok"
    if check > SOUND:
        known = check - SOUND - 1 < len(_PROBLEMS)
        word = _PROBLEMS[check - SOUND - 1] if known else "unknown"
    return {
        "self_check": word,
        "fallback": counters.get(f"fallback.{venue}", 0),
        "checks": counters.get(f"rest_check.{venue}", 0),
        "attempts": counters.get(f"attempt.{venue}", 0),
        "successes": counters.get(f"success.{venue}", 0),
        "injected": counters.get(f"inject.{venue}", 0),
        "failures": {kind: counters.get(f"fail.{kind}.{venue}", 0) for kind in KINDS},
        "discarded": {
            reason: counters.get(f"discarded.{reason}.{venue}", 0)
            for reason in validate.REASONS
        },
    }


def venues_of(counters: Mapping[str, int]) -> list[str]:
    """Return the venues that the process asks, by its counters."""
    prefix = "self_check."
    return [name.removeprefix(prefix) for name in counters if name.startswith(prefix)]


def _counter_names() -> list[str]:
    return [
        *_TOTALS,
        *_GAUGES,
        *(f"fail.{kind}" for kind in KINDS),
        *(f"discarded.{reason}" for reason in validate.REASONS),
    ]
