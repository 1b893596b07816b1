"""REST as the way out of a dead stream, hurt itself."""

from __future__ import annotations

import pytest

from tests.history import REST
from tests.system.drills.drill import Drill
from tests.system.drills.test_feed_drills import wait_ns
from tests.system.drills.world import BTC, HYPERLIQUID, World

pytestmark = [pytest.mark.system, pytest.mark.slow]

HL = HYPERLIQUID
SILENT_MS = 1_100.0


def rest_count(world: World, name: str) -> int:
    return world.count("rest", f"{name}.{HL}")


def shows_rest(world: World) -> bool:
    return world.spans(HL, BTC)[-1].read.source == REST


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        ("F107", "slow_rest(ms=3000)"),
        ("F108", "http(status=429,retry_after=2,on=rest)"),
    ],
)
def test_bad_rest_is_counted_and_asked_less(drill: Drill, row: str, fault: str) -> None:
    """What it did show is held to the truth with every other read."""
    world = drill.world
    before = sum_of(world, ("fail.", "discarded."))

    def hurt() -> None:
        world.inject(f"{HL}:{fault}", f"{HL}:mute")

    def is_counted() -> None:
        world.wait(
            lambda: sum_of(world, ("fail.", "discarded.")) > before,
            f"{row}: a counted failure",
        )
        wait_ns(world, 1_500_000_000)

    drill.strike(
        row,
        f"{fault}, stream mute",
        hurt,
        detect_ms=SILENT_MS,
        meanwhile=is_counted,
        heal=world.clear,
    )


def sum_of(world: World, beginnings: tuple[str, ...]) -> int:
    counters = world.counters("rest")
    return sum(
        value
        for name, value in counters.items()
        if name.startswith(beginnings) and name.endswith(HL)
    )


def test_rest_that_is_older_than_the_stream_changes_nothing(drill: Drill) -> None:
    world = drill.world
    before = rest_count(world, "discarded.older")
    drill.endure(
        "F109",
        "REST older than the stream",
        lambda: world.inject(f"{HL}:old_snapshot"),
        "discarded, stream unchanged",
    )
    world.wait(
        lambda: rest_count(world, "discarded.older") > before, "a discarded answer"
    )
    assert world.is_calm()


def test_mute_stream_shows_the_price_of_rest_as_such(drill: Drill) -> None:
    world = drill.world
    line = drill.strike(
        "F71",
        "mute stream, REST price shown",
        lambda: world.inject(f"{HL}:mute"),
        detect_ms=SILENT_MS,
        meanwhile=lambda: world.wait(lambda: shows_rest(world), "a price from REST"),
        heal=world.clear,
    )
    line.notes = "never tradable"
    world.wait(lambda: not shows_rest(world), "the stream's price again")


def test_rest_and_stream_both_down_is_down(drill: Drill) -> None:
    world = drill.world
    before = world.connections(f"{HL}.rest")

    def hurt() -> None:
        world.refuse(f"{HL}.rest")
        world.cut(f"{HL}.rest")
        world.refuse(f"{HL}.ws")
        world.cut(f"{HL}.ws")

    def is_down() -> None:
        wait_ns(world, 3_000_000_000)
        assert world.spans(HL, BTC)[-1].read.state == "DOWN"
        assert world.connections(f"{HL}.rest") == before

    drill.strike(
        "F106",
        "REST and stream refused",
        hurt,
        detect_ms=400.0,
        meanwhile=is_down,
        heal=world.clear,
    )


def test_stream_that_returns_amid_a_request_wins(drill: Drill) -> None:
    world = drill.world
    late = rest_count(world, "discarded.late")

    def hurt() -> None:
        world.inject(f"{HL}:slow_rest(ms=800)", f"{HL}:mute")

    drill.strike(
        "F111",
        "stream returns amid a request",
        hurt,
        detect_ms=SILENT_MS,
        meanwhile=lambda: wait_ns(world, 2_600_000_000),
        heal=world.clear,
    )
    wait_ns(world, 1_000_000_000)
    assert rest_count(world, "discarded.late") >= late
    assert not shows_rest(world)


def test_flapping_stream_does_not_flap_rest(drill: Drill) -> None:
    world = drill.world
    before = rest_count(world, "entered") + rest_count(world, "left")
    ws = f"{HL}.ws"

    def flap() -> None:
        for _ in range(3):
            world.refuse(ws)
            world.cut(ws)
            wait_ns(world, 1_000_000_000)
            world.clear()
            wait_ns(world, 700_000_000)

    drill.endure("F112", "stream up 0.7 s, down 1 s", flap, "REST stays out or in")
    moves = rest_count(world, "entered") + rest_count(world, "left") - before
    assert moves <= 4, "two instruments, in and out once at most"
