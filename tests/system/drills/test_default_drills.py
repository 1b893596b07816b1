"""A few drills a day at the timings an operator has, where nothing is scaled down.

The set goes by the day of the year, or by `DRILLS_DEFAULT`, a number, `all` or `none`.
"""

from __future__ import annotations

import datetime
import os
import signal
from collections.abc import Callable, Iterator
from typing import Final

import pytest

from tests.history import REST
from tests.system.drills.drill import PROPERTY, Drill
from tests.system.drills.world import BTC, HYPERLIQUID, LIGHTER, World, running

pytestmark = [pytest.mark.system, pytest.mark.slow]

FEED: Final = f"feed:{HYPERLIQUID}"
WS: Final = f"{HYPERLIQUID}.ws"
FRESH_MS: Final = 3_000.0  # of the venue's own limit, for its top-of-book stream
VENUES: Final = {HYPERLIQUID: {}, LIGHTER: {}}
RATE: Final = 3.0


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("defaults")
    with running(folder, venues=dict(VENUES), scaled=None, rate=RATE) as made:
        yield made


@pytest.fixture
def drill(world: World, request: pytest.FixtureRequest) -> Iterator[Drill]:
    made = Drill(world)
    yield made
    for line in made.end():
        request.node.user_properties.append((PROPERTY, line))


def kill(drill: Drill) -> None:
    world = drill.world
    drill.strike(
        "F01", "SIGKILL of a feed", lambda: os.kill(world.pid(FEED), signal.SIGKILL)
    )


def kill_runner(drill: Drill) -> None:
    world = drill.world
    drill.strike(
        "F33",
        "SIGKILL of the runner",
        lambda: os.kill(world.pid("runner"), signal.SIGKILL),
    )


def stop(drill: Drill) -> None:
    world = drill.world
    drill.strike(
        "F05",
        "SIGSTOP of a feed for ever",
        lambda: os.kill(world.pid(FEED), signal.SIGSTOP),
        recover_ms=20_000,
    )


def reset(drill: Drill) -> None:
    world = drill.world
    drill.strike("F66", "TCP reset", lambda: world.cut(WS), detect_ms=600)


def mute(drill: Drill) -> None:
    world = drill.world
    ends = world.count(FEED, "reconnects.stale_watchdog")

    def shows_rest() -> bool:
        return (
            world.count(FEED, "reconnects.stale_watchdog") > ends
            and world.spans(HYPERLIQUID, BTC)[-1].read.source == REST
        )

    drill.strike(
        "F71",
        "mute, pongs go on",
        lambda: world.inject(f"{HYPERLIQUID}:mute"),
        detect_ms=FRESH_MS + 100,
        meanwhile=lambda: world.wait(shows_rest, "the watchdog, and a REST price"),
        heal=world.clear,
        recover_ms=12_000,
    )


SETS: Final[tuple[Callable[[Drill], None], ...]] = (
    kill,
    reset,
    mute,
    kill_runner,
    stop,
)
A_DAY: Final = 2


def chosen() -> list[Callable[[Drill], None]]:
    """Return the drills of today, or of the number that the environment gives."""
    word = os.environ.get("DRILLS_DEFAULT", "")
    if word in ("all", "none"):
        return list(SETS) if word == "all" else []
    day = int(word) if word else datetime.date.today().timetuple().tm_yday
    return [SETS[(day * A_DAY + offset) % len(SETS)] for offset in range(A_DAY)]


@pytest.mark.parametrize("run", chosen(), ids=lambda run: run.__name__)
def test_drill_of_the_day_at_true_timings(
    drill: Drill, run: Callable[[Drill], None]
) -> None:
    run(drill)
