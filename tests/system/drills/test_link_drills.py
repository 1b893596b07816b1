"""The network and the venue hurt the connection, under a whole instance."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import pytest

from tests.system.drills.drill import Drill
from tests.system.drills.test_feed_drills import wait_ns
from tests.system.drills.world import BTC, ETH, HYPERLIQUID, LIGHTER, World, now_ns

pytestmark = [pytest.mark.system, pytest.mark.slow]

HL: Final = HYPERLIQUID
WS: Final = f"{HL}.ws"
ETH_SYMBOL: Final = "ETH"
# Of the scaled configuration: a silent quote may be LIVE for `fresh_ms`.
SILENT_MS: Final = 1_100.0
CUT_MS: Final = 400.0  # a reset is seen at once; the rest is a busy machine's


class Case(NamedTuple):
    """One fault of the link: what is done, and what has to be counted for it."""

    row: str
    fault: str
    act: Callable[[World], Any]
    counter: str = ""  # of the feed, which has to grow
    detect_ms: float = CUT_MS
    venue: str = HL
    only: tuple[str, ...] = ()
    is_healed: bool = True  # only once the fault is ended; else by itself


def cut_off(how: str) -> Callable[[World], None]:
    """Cut by the simulation's own hand, and keep the feed away until healed."""
    return lambda world: world.inject(
        f"{HL}:refuse(how=http,status=503)", f"{HL}:drop(how={how})"
    )


def close(code: int) -> Callable[[World], None]:
    return lambda world: world.inject(
        f"{HL}:refuse(how=http,status=503)", f"{HL}:drop(how=close,code={code})"
    )


def without(door: str) -> Callable[[World], None]:
    """Cut, and find the door refused or swallowing."""

    def act(world: World) -> None:
        getattr(world, door)(WS)
        world.cut(WS)

    return act


def flood_then_cut(world: World) -> None:
    """Let data pile up behind a dead link, then let it all in as the link ends."""
    world.hold(WS, "down")
    wait_ns(world, 1_500_000_000)
    world.market_do("clear")
    world.refuse(WS)
    world.cut(WS)


def again(*faults: str, place: str = WS) -> Callable[[World], None]:
    """Cut, and meet those faults on the way back."""

    def act(world: World) -> None:
        world.inject(*faults)
        world.cut(place)

    return act


CASES: Final = (
    Case(
        "F66",
        "TCP reset",
        lambda world: (world.refuse(WS), world.cut(WS, "rst")),
        "reconnects.stream_end",
    ),
    Case("F67", "FIN without close", cut_off("fin"), "reconnects.stream_end"),
    Case("F67", "FIN mid-frame", cut_off("mid"), "reconnects.stream_end"),
    *(
        Case("F68", f"close {code}", close(code), "reconnects.ws_closed")
        for code in (1000, 1001, 1012, 1013)
    ),
    Case(
        "F69",
        "half-open link",
        lambda world: world.hold(WS),
        "reconnects.stale_watchdog",
        SILENT_MS,
    ),
    Case(
        "F71",
        "mute, pongs go on",
        lambda world: world.inject(f"{HL}:mute"),
        "reconnects.stale_watchdog",
        SILENT_MS,
    ),
    Case(
        "F73",
        "one symbol mute",
        lambda world: world.inject(f"{HL}:mute(symbol={ETH_SYMBOL})"),
        "",
        SILENT_MS + 2_000,  # its channel of liveness has to fall silent too
        only=(ETH,),
    ),
    Case(
        "F79", "backlog of a dead link", flood_then_cut, "reconnects.stream_end", 1_900
    ),
    Case("F80", "refused", without("refuse"), "reconnects.connect_error"),
    Case("F81", "SYN unanswered", without("swallow"), "reconnects.connect_timeout"),
    Case(
        "F87",
        "429 with Retry-After",
        again(f"{HL}:http(status=429,retry_after=1,on=upgrade)"),
        "reconnects.http_status",
    ),
    Case(
        "F87",
        "503",
        again(f"{HL}:http(status=503,on=upgrade)"),
        "reconnects.http_status",
    ),
    Case(
        "F92",
        "never acknowledged",
        again(f"{HL}:never_ack(data=no)"),
        "reconnects.subscribe_error",
    ),
    Case(
        "F93",
        "one symbol refused",
        again(f"{HL}:reject(symbol={ETH_SYMBOL})"),
        "subscriptions.rejected",
        only=(ETH,),
    ),
)


@pytest.mark.parametrize(
    "case", CASES, ids=[f"{case.row}-{case.fault}".replace(" ", "_") for case in CASES]
)
def test_link_is_refused_in_time_and_comes_back(drill: Drill, case: Case) -> None:
    world = drill.world
    feed = f"feed:{case.venue}"
    before = world.count(feed, case.counter) if case.counter else 0

    def is_counted() -> None:
        if case.counter:
            world.wait(
                lambda: world.count(feed, case.counter) > before,
                f"{case.row}: more {case.counter}",
            )
        if case.only:
            world.wait(
                lambda: world.spans(case.venue, BTC)[-1].read.tradable,
                "the others go on",
            )

    pid = world.pid(feed)
    drill.strike(
        case.row,
        case.fault,
        lambda: case.act(world),
        *case.only,
        venue=case.venue,
        heal=lambda: renew(world, case),
        detect_ms=case.detect_ms,
        meanwhile=is_counted,
    )
    assert world.pid(feed) == pid, "no restart for what a connection can mend"


def renew(world: World, case: Case) -> None:
    """End the fault; a refused symbol is asked for by the next session."""
    world.clear()
    if case.row == "F93":
        world.cut(WS)


def test_stopped_peer_is_a_silent_one(drill: Drill) -> None:
    """Its kernel goes on to acknowledge what nobody reads."""
    world = drill.world
    market = world.market.pid
    ends = world.count(f"feed:{HL}", "reconnects.stale_watchdog")
    drill.strike(
        "F70",
        "the venue's process stopped",
        lambda: os.kill(market, signal.SIGSTOP),
        detect_ms=SILENT_MS,
        meanwhile=lambda: world.wait(
            lambda: world.count(f"feed:{HL}", "reconnects.stale_watchdog") > ends,
            "the watchdog",
        ),
        heal=lambda: os.kill(market, signal.SIGCONT),
    )


def test_quiet_market_is_no_fault(drill: Drill) -> None:
    world = drill.world
    before = {role: world.counters(f"feed:{role}") for role in world.venues}
    pids = world.pids()

    def fall_quiet() -> None:
        world.inject("quiet")
        for venue in world.venues:
            world.wait(
                lambda venue=venue: (
                    world.spans(venue)[-1].read.reason == "quiet_confirmed"
                ),
                f"{venue} quiet and confirmed",
            )
        wait_ns(world, 4_000_000_000)

    drill.endure("F72", "a quiet market", fall_quiet, "no reconnect, no restart")
    assert world.pids() == pids
    for venue, counters in before.items():
        after = world.counters(f"feed:{venue}")
        ends = [name for name in after if name.startswith(("reconnects", "resyncs"))]
        assert [after[name] for name in ends] == [counters[name] for name in ends]


def test_all_venues_cut_at_once_come_back(drill: Drill) -> None:
    world = drill.world
    struck: list[int] = []

    def cut() -> None:
        struck.append(now_ns())
        for venue in world.venues:
            world.refuse(f"{venue}.ws")
        world.cut("ws")

    drill.strike(
        "F91",
        "every link cut at once",
        cut,
        meanwhile=lambda: world.wait(
            lambda: world.refused_ns(LIGHTER, struck[0]), "the other venue refused"
        ),
        heal=world.clear,
        detect_ms=CUT_MS,
    )


class Book(NamedTuple):
    """One fault of the book: its counter, and whether anything is refused for it."""

    row: str
    fault: str
    counter: str
    refused: bool = True
    venue: str = LIGHTER


@pytest.mark.parametrize(
    "case",
    [
        Book("F95", "gap", "resyncs.nonce_gap"),
        Book("F96", "duplicate", "duplicates", refused=False),
        Book("F98", "old_snapshot", "", refused=False),
        Book("F99", "crossed", "resyncs.crossed"),
        Book("F12", "garbage+2s", "", refused=False),
        Book("F104", "slow_clock(ms=5000)", "", refused=False),
    ],
    ids=lambda case: f"{case.row}-{case.fault}",
)
def test_book_is_doubted_before_anything_wrong_is_shown(
    drill: Drill, case: Book
) -> None:
    """What else could go wrong is found by holding every read to the truth."""
    world = drill.world
    feed = f"feed:{case.venue}"
    before = world.count(feed, case.counter) if case.counter else 0
    pid = world.pid(feed)

    def hurt() -> None:
        world.inject(f"{case.venue}:{case.fault}")
        if case.row == "F98":
            world.cut(f"{case.venue}.ws")

    def is_counted() -> None:
        if case.counter:
            world.wait(
                lambda: world.count(feed, case.counter) > before,
                f"{case.row}: more {case.counter}",
            )

    if case.refused:
        drill.strike(
            case.row,
            case.fault,
            hurt,
            venue=case.venue,
            meanwhile=is_counted,
            heal=world.clear,
            detect_ms=2_000,
        )
    else:
        drill.is_wrong_shown = case.row == "F98"
        note = "shown, never tradable" if drill.is_wrong_shown else "reads stay true"
        drill.endure(case.row, case.fault, hurt, note)
        is_counted()
        wait_ns(world, 1_500_000_000)
    assert world.pid(feed) == pid, world.facts()
