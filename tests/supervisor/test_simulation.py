"""The simulation's lines: addresses are taken, everything else is shown."""

from __future__ import annotations

from contextlib import closing

from feedhandler.config import load
from feedhandler.supervisor.child import ChildSpec
from feedhandler.supervisor.simulation import Simulation

LINE = (
    b'{"venue": "hyperliquid", "ws_url": "ws://127.0.0.1:81/ws",'
    b' "rest_url": "http://127.0.0.1:81"}'
)


def test_command_carries_what_was_asked_for() -> None:
    simulation = Simulation(["hyperliquid"], seed=3, rate=2.0, faults=["mute@1s"])
    words = " ".join(simulation.spec().command)
    assert words.endswith(
        "feedhandler sim --json --venue hyperliquid --seed 3 --rate 2.0 --fault mute@1s"
    )


def test_ready_once_every_venue_has_its_address() -> None:
    simulation = Simulation(["hyperliquid", "lighter"])
    assert simulation.take_line(LINE) is None
    assert not simulation.is_ready
    simulation.take_line(LINE.replace(b"hyperliquid", b"lighter"))
    assert simulation.is_ready


def test_second_start_asks_for_the_same_port() -> None:
    simulation = Simulation(["hyperliquid"])
    simulation.take_line(LINE)
    assert simulation.spec().command[-2:] == ("--port", "81")


def test_second_start_asks_for_the_port_of_each_venue() -> None:
    simulation = Simulation(["lighter", "hyperliquid"])
    simulation.take_line(LINE)
    simulation.take_line(LINE.replace(b"hyperliquid", b"lighter").replace(b"81", b"7"))
    wanted = ("--port", "7", "--port", "81")
    assert simulation.spec().command[-4:] == wanted


def test_addresses_reach_a_feed_as_variables_the_configuration_knows(
    instance: str,
) -> None:
    with closing(Simulation(["hyperliquid"])) as simulation:
        simulation.open(instance)
        simulation.take_line(LINE)
        spec = simulation.direct(ChildSpec("feed:hyperliquid", ("true",), {"A": "b"}))
        config = load(None, {**spec.environment}, venues=["hyperliquid"])
        assert config.state_path().parent.is_dir()
    assert not config.state_path().parent.exists()
    assert spec.environment["A"] == "b"
    assert config.venue["hyperliquid"].ws_url == "ws://127.0.0.1:81/ws"
    assert config.venue["hyperliquid"].rest_url == "http://127.0.0.1:81"


def test_notices_and_other_lines_are_shown() -> None:
    simulation = Simulation(["hyperliquid"])
    notice = b'{"venue": "hyperliquid", "what": "fault", "detail": "mute begins"}'
    assert simulation.take_line(notice) == "hyperliquid fault mute begins"
    assert simulation.take_line(b"Traceback") == "Traceback"
    assert simulation.take_line(b"{broken") == "{broken"
    assert simulation.take_line(b'["a"]') == '["a"]'
    assert simulation.take_line(b"{\xff") == "{\\xff"
    assert not simulation.addresses
