"""What a soak's evidence rests on: when faults begin, and who is stopped first."""

from __future__ import annotations

import asyncio

from feedhandler.sim import Notice, Simulation
from feedhandler.sim.simulation import PLAN_BEGINS
from feedhandler.soak.console import CLOCK_STARTS
from tests.sim.harness import open_stream
from tests.supervisor.fakes import WAITER, fake_feed, owner_pid, python, supervise
from tests.support import MS, Programs, wait_until, wait_until_async


def test_faults_await_a_client_of_every_venue() -> None:
    seen: list[Notice] = []

    async def scenario() -> None:
        simulation = Simulation(
            venues=["hyperliquid"],
            faults=["mute@0s"],
            await_clients=True,
            notify=seen.append,
        )
        async with simulation:
            async with open_stream(simulation.addresses[0].ws_url) as client:
                await client.ping()
                assert not simulation.active_faults, "connected, and asks for nothing"
                await client.subscribe("bbo", "BTC")
                await wait_until_async(
                    lambda: simulation.active_faults, 5_000 * MS, "the fault"
                )
            assert [notice.what for notice in seen].count(PLAN_BEGINS) == 1

    asyncio.run(scenario())
    assert PLAN_BEGINS == CLOCK_STARTS


def test_without_waiting_faults_begin_at_once() -> None:
    async def scenario() -> None:
        async with Simulation(venues=["hyperliquid"], faults=["mute"]) as simulation:
            assert simulation.active_faults

    asyncio.run(scenario())


def test_telemetry_is_stopped_first(instance: str, programs: Programs) -> None:
    role = "feed:hyperliquid"
    children = {**fake_feed(instance), "telemetry": python(WAITER)}
    program = supervise(programs, instance, children)
    wait_until(lambda: owner_pid(instance, role), 10_000 * MS, "a feed")
    wait_until(
        lambda: "process_started process=telemetry" in program.stderr(),
        10_000 * MS,
        "telemetry",
    )
    assert program.stop() == 0
    ends = [
        line.partition("process=")[2].split()[0]
        for line in program.stderr().splitlines()
        if "process_stopped" in line
    ]
    assert ends == ["telemetry", role]
