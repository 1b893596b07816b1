"""Carries out what the ladder decides, and remembers what became of it.

    Sight ─▶ Ladder ─┬─ resubscribe, reconnect ─▶ command register ─▶ acknowledgement
                     ├─ restart ─▶ Restarter
                     └─ quarantine, release ─▶ VenueView

Owns one ladder a venue, the commands outstanding and the file of budgets.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from feedhandler import log
from feedhandler.config import Config, VenueConfig
from feedhandler.runner import ladder, restart
from feedhandler.runner.board import Board
from feedhandler.runner.ladder import Ladder, Sight, Step
from feedhandler.runner.ladder_file import NAME, LadderFile
from feedhandler.runner.restart import Identity, Restarter
from feedhandler.runner.venue import VenueView
from shm_layout import (
    COMMAND_RECONNECT,
    COMMAND_RESUBSCRIBE,
    INSTRUMENT_ALL,
    RESULT_BUSY,
    RESULT_LATE,
    RESULT_NAMES,
    identity,
)
from shm_layout.codes import REASON_NAMES

ACK_NS: Final = 2_000_000_000  # twenty heartbeats of a feed
# A feed's back-off grows to four times its maximum while failures go on.
_BACKOFF_FACTOR: Final = 4
_MS: Final = 1_000_000
# It came between two sessions. What the feed does not know is charged: it climbs on.
_NOT_CARRIED_OUT: Final = (RESULT_BUSY, RESULT_LATE)
_COMMANDS: Final = {
    ladder.RESUBSCRIBE: COMMAND_RESUBSCRIBE,
    ladder.RECONNECT: COMMAND_RECONNECT,
}


@dataclass(frozen=True, slots=True)
class _Order:
    number: int
    kind: str
    instrument: str
    issued_ns: int


def grace_ns(venue: VenueConfig) -> int:
    """Return what the start of a session may take: connect, then first data."""
    return (venue.connect_timeout_ms + venue.first_data_ms) * _MS


class Enforcer:
    """The ladders of all venues."""

    def __init__(self, config: Config, board: Board, now_ns: int) -> None:
        self._config = config.ladder
        self._board = board
        self._boot_id = identity.boot_id()
        self._file = LadderFile(config.state_path() / NAME, self._boot_id)
        self._restarter = Restarter(config.ladder.term_ms * _MS)
        self._orders: dict[str, _Order] = {}
        self._next_look_ns = now_ns
        self._ladders = {
            name: Ladder(
                config.ladder,
                grace_ns(config.venue[name]),
                config.venue[name].backoff_max_ms * _BACKOFF_FACTOR * _MS,
                now_ns,
            )
            for name in config.enabled_venues()
        }
        if config.ladder.enabled:
            self._load(now_ns)

    def hold(self, now_ns: int) -> None:
        """Begin anew to count: we were stopped, not the feeds."""
        for each in self._ladders.values():
            each.hold(now_ns)

    def adopt(self, venue: str, view: VenueView) -> None:
        """Tell a view that was just attached who is quarantined."""
        view.set_quarantined(self._ladders[venue].quarantined)

    def look(self, views: Mapping[str, VenueView], now_ns: int) -> None:
        """Let every ladder look, when it is time, and do what they say."""
        if not self._config.enabled or now_ns < self._next_look_ns:
            return
        self._next_look_ns = now_ns + self._config.poll_ms * _MS
        for venue, outcome in self._restarter.poll(now_ns):
            log.event("restart", venue=venue, outcome=outcome)
        for venue, view in views.items():
            self._settle(venue, view, now_ns)
            steps = self._ladders[venue].look(_sight(view), now_ns)
            for step in steps:
                self._take(venue, view, step, now_ns)
            if steps:
                view.set_quarantined(self._ladders[venue].quarantined)
        self._file.save({name: each.dump() for name, each in self._ladders.items()})

    def close(self) -> None:
        """Let go of the processes that are being restarted."""
        self._restarter.close()

    def _load(self, now_ns: int) -> None:
        kept = self._file.load()
        for venue, each in self._ladders.items():
            try:
                if kept is None:
                    raise ValueError("the file is unusable")
                if venue in kept:
                    each.load(kept[venue], now_ns)
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                log.event("ladder_budget_unknown", venue=venue, error=error)
                each.spend(now_ns)

    def _take(self, venue: str, view: VenueView, step: Step, now_ns: int) -> None:
        outcome = ""
        if step.kind in _COMMANDS:
            self._command(venue, view, step, now_ns)
        elif step.kind == ladder.RESTART:
            outcome = self._restart(venue, view, now_ns)
            if outcome != restart.BEGUN:
                self._ladders[venue].refund(ladder.RESTART)
        self._board.count_step(venue, step.kind)
        log.event(
            "ladder",
            venue=venue,
            step=step.kind,
            instrument=step.instrument,
            reason=REASON_NAMES.get(step.reason, step.reason),
            outcome=outcome,
        )

    def _command(self, venue: str, view: VenueView, step: Step, now_ns: int) -> None:
        index: int | None = INSTRUMENT_ALL
        if step.kind == ladder.RESUBSCRIBE:
            index = view.index_of(step.instrument)
        if index is None:
            return  # it left the directory meanwhile
        number = self._board.writer.issue_command(
            venue, _COMMANDS[step.kind], index, step.reason, now_ns=now_ns
        )
        self._orders[venue] = _Order(number, step.kind, step.instrument, now_ns)

    def _settle(self, venue: str, view: VenueView, now_ns: int) -> None:
        """See what became of the venue's outstanding command."""
        order = self._orders.get(venue)
        if order is None:
            return
        result = view.reader.result_of(order.number)
        if result is None:
            if now_ns - order.issued_ns < ACK_NS:
                return
            text = "unanswered"
        else:
            text = RESULT_NAMES.get(result, "unknown")
            if result in _NOT_CARRIED_OUT:
                self._ladders[venue].refund(order.kind, order.instrument)
        del self._orders[venue]
        self._board.count_command(venue, text)
        log.event("ladder_command", venue=venue, step=order.kind, result=text)

    def _restart(self, venue: str, view: VenueView, now_ns: int) -> str:
        owner = view.reader.owner()
        if view.reader.owner().epoch != owner.epoch:
            return restart.GONE  # a new writer takes over at this very moment
        process = Identity(owner.pid, owner.start_ticks, self._boot_id)
        return self._restarter.begin(venue, process, now_ns)


def _sight(view: VenueView) -> Sight:
    owner = view.reader.owner()
    return Sight(
        reasons=view.faults(),
        link=owner.link,
        session=owner.session,
        epoch=owner.epoch,
        heartbeat_ns=max(owner.heartbeat_ns, owner.stages["started"]),
    )
