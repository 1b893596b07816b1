"""What a soak's evidence rests on: when faults begin, and who is stopped first."""

from __future__ import annotations

import asyncio

import pytest

from feedhandler.sim import Notice, Simulation
from feedhandler.sim import simulation as simulation_module
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
            faults=["mute@0.01s"],
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


@pytest.mark.parametrize("await_clients", [False, True])
@pytest.mark.parametrize("fault", ["refuse", "refuse@0s"])
def test_fault_without_a_time_begins_at_once(fault: str, await_clients: bool) -> None:
    async def scenario() -> None:
        simulation = Simulation(
            venues=["hyperliquid"], faults=[fault], await_clients=await_clients
        )
        async with simulation:
            assert simulation.active_faults

    asyncio.run(scenario())


def test_venue_that_refuses_is_not_awaited() -> None:
    async def scenario() -> None:
        simulation = Simulation(
            venues=["lighter", "hyperliquid"],
            faults=["lighter:refuse", "hyperliquid:mute@0.01s"],
            await_clients=True,
        )
        async with (
            simulation,
            open_stream(simulation.addresses[1].ws_url) as client,
        ):
            assert len(simulation.active_faults) == 1
            await client.subscribe("bbo", "BTC")
            await wait_until_async(
                lambda: len(simulation.active_faults) == 2, 5_000 * MS, "the other"
            )

    asyncio.run(scenario())


def test_venue_that_never_gets_a_client_holds_no_fault_up_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(simulation_module, "CLIENTS_WAIT_S", 0.01)

    async def scenario() -> None:
        simulation = Simulation(
            venues=["hyperliquid"], faults=["mute@0.01s"], await_clients=True
        )
        async with simulation:
            await wait_until_async(
                lambda: simulation.active_faults, 5_000 * MS, "the fault"
            )

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
