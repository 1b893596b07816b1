"""A carrier whose own code fails on frames: one costs nothing, a row ends it all."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from feedhandler.book.trades import TradeFilter
from feedhandler.config import VenueConfig
from feedhandler.events import Event
from feedhandler.feed.carrier import FAULTS_MAX, Carrier
from feedhandler.feed.settings import settle
from feedhandler.venues._base import Market
from feedhandler.venues.hyperliquid import VENUE
from shm_layout import OwnershipLost


class Counted:
    """What a carrier counts."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def add(self, name: str, amount: int = 1) -> None:
        self.names.append(name)


def carried(receive: Callable[[Any, int], list[Event]], frames: int) -> tuple[int, int]:
    """Return how often faults were counted and told while frames were carried."""
    counted = Counted()
    failures: list[BaseException] = []

    async def carry() -> None:
        carrier = Carrier(
            1,
            VENUE,
            settle(VENUE, VenueConfig()),
            {"BTC": Market("BTC", "BTC-PERP")},
            {"BTC": TradeFilter()},
            None,
            counted,  # type: ignore[arg-type]
            lambda events, recv_ns: None,
            lambda carrier: None,
            failures.append,
        )
        carrier.session.receive = receive  # type: ignore[assignment]
        for number in range(frames):
            carrier._on_frame(b"{}", number)

    asyncio.run(carry())
    return counted.names.count("rejected.handler"), len(failures)


def broken(frame: Any, recv_ns: int) -> list[Event]:
    raise TypeError("our own fault")


def test_one_frame_that_our_code_fails_on_is_counted_and_nothing_more() -> None:
    assert carried(broken, 1) == (1, 0)


def test_frames_in_a_row_that_our_code_fails_on_end_the_process() -> None:
    assert carried(broken, FAULTS_MAX)[1] == 1


def test_faults_between_good_frames_never_add_up() -> None:
    def every_other(frame: Any, recv_ns: int) -> list[Event]:
        if recv_ns % 2:
            raise TypeError("our own fault")
        return []

    assert carried(every_other, 20 * FAULTS_MAX) == (10 * FAULTS_MAX, 0)


def test_lost_ownership_ends_the_process_at_once() -> None:
    def lost(frame: Any, recv_ns: int) -> list[Event]:
        raise OwnershipLost("another writer")

    assert carried(lost, 1) == (0, 1)
