"""`feedhandler sim` as a process."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from feedhandler.sim import VENUE_NAMES
from tests.sim.harness import DEADLINE_S, RECORDING, open_stream
from tests.support import Program, Programs, free_port, wait_until

START_S = 3 * DEADLINE_S  # a process has to import before it can listen


ONE = ("--venue", "hyperliquid")


def first_lines(program: Program, count: int) -> list[str]:
    wait_until(lambda: program.stdout().count("\n") >= count, START_S, "the addresses")
    return program.stdout().splitlines()[:count]


def first_line(program: Program) -> str:
    return first_lines(program, 1)[0]


def bbo_of(url: str) -> object:
    async def scenario() -> object:
        async with open_stream(url) as client:
            await client.subscribe("bbo", "BTC")
            return await client.next("bbo")

    return asyncio.run(scenario())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_sim_prints_its_address_serves_and_ends_cleanly(
    programs: Programs, number: int
) -> None:
    program = programs.feedhandler("sim", "--json", "--seed", "3")
    lines = first_lines(program, len(VENUE_NAMES))
    addresses = {row["venue"]: row for row in map(json.loads, lines)}
    assert tuple(addresses) == VENUE_NAMES
    assert all(
        list(row) == ["venue", "ws_url", "rest_url"] for row in addresses.values()
    )
    assert bbo_of(addresses["hyperliquid"]["ws_url"])
    assert program.stop(number) == 0
    notices = [json.loads(line) for line in program.stderr().splitlines()]
    told = [notice["what"] for notice in notices]
    assert told == ["listening"] * len(lines) + ["connected", "disconnected"]
    assert program.stdout().splitlines() == lines


def test_lines_for_people_tell_connections_and_faults(programs: Programs) -> None:
    program = programs.feedhandler("sim", *ONE, "--fault", "mute@0s+100ms")
    venue, what, ws_url, _ = first_line(program).split()
    assert (venue, what) == ("hyperliquid", "listening")
    bbo_of(ws_url)
    wait_until(lambda: "disconnected" in program.stdout(), START_S, "the end")
    wait_until(lambda: "fault ended" in program.stdout(), START_S, "the fault's end")
    assert "hyperliquid  fault started  mute" in program.stdout()
    assert program.stop() == 0
    assert program.stderr() == ""


def test_sim_listens_on_loopback_only(programs: Programs) -> None:
    port = free_port()
    program = programs.feedhandler("sim", *ONE, "--port", str(port))
    assert f":{port}/" in first_line(program)
    wanted = f"{port:04X}"
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()]
    local = [row[1].split(":") for row in rows[1:] if row[3] == "0A"]
    assert [address for address, at in local if at == wanted] == ["0100007F"]
    rows = [line.split() for line in Path("/proc/net/tcp6").read_text().splitlines()]
    assert not [row for row in rows[1:] if row[1].endswith(f":{wanted}")]


def test_each_venue_takes_its_own_port(programs: Programs) -> None:
    ports = [free_port(), free_port()]
    arguments = [word for port in ports for word in ("--port", str(port))]
    venues = ("--venue", "lighter", *ONE)
    program = programs.feedhandler("sim", "--json", *venues, *arguments)
    rows = [json.loads(line) for line in first_lines(program, 2)]
    assert [row["venue"] for row in rows] == ["lighter", "hyperliquid"]
    for row, port in zip(rows, ports, strict=True):
        assert f":{port}" in row["ws_url"]


def test_sim_ends_after_its_time_and_writes_the_truth(
    programs: Programs, tmp_path: Path
) -> None:
    path = tmp_path / "truth.jsonl"
    program = programs.feedhandler(
        "sim", *ONE, "--json", "--for", "1.5", "--truth", path
    )
    assert bbo_of(json.loads(first_line(program))["ws_url"])
    assert program.wait() == 0
    entry = json.loads(path.read_text().splitlines()[0])
    assert (entry["venue"], entry["symbol"]) == ("hyperliquid", "BTC")


def test_taken_port_is_exit_5_with_what_to_do(programs: Programs) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        program = programs.feedhandler("sim", "--port", str(port))
        assert program.wait() == 5
    assert f"port={port}" in program.stderr()
    assert "choose another --port" in program.stderr()
    assert "Traceback" not in program.stderr()


def test_full_disk_is_exit_5_with_its_reason(programs: Programs) -> None:
    program = programs.feedhandler("sim", *ONE, "--json", "--truth", "/dev/full")
    bbo_of(json.loads(first_line(program))["ws_url"])
    assert program.wait() == 5
    assert "cannot write: file=/dev/full" in program.stderr()
    assert "Traceback" not in program.stderr()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--fault", "muet"], "did you mean mute?"),
        ([*ONE, "--fault", "lighter:mute"], "not simulated"),
        (["--venue", "nowhere"], "simulated venues: aster, extended"),
        ([*ONE, "--replay", "nowhere.jsonl"], "cannot read recording"),
        (["--replay", str(RECORDING)], "by exactly one venue"),
        (["--venue", "aster", "--replay", str(RECORDING)], "venue=aster"),
        (["--truth", "nowhere/truth.jsonl"], "cannot write"),
        (["--rate", "0"], "--rate"),
        (["--port", "70000"], "--port"),
        (["--port", "7001", "--port", "7002"], "one port a venue"),
        (["--port", "65535"], "no port for every venue"),
    ],
)
def test_wrong_usage_is_exit_2_with_its_reason(
    programs: Programs, arguments: list[str], words: str
) -> None:
    program = programs.feedhandler("sim", *arguments)
    assert program.wait() == 2
    assert words in program.stderr()
    assert "Traceback" not in program.stderr()
    assert program.stdout() == ""


def test_replay_is_served_by_the_command(programs: Programs) -> None:
    program = programs.feedhandler(
        "sim", *ONE, "--json", "--replay", RECORDING, "--replay-speed", "20", "--loop"
    )
    data = bbo_of(json.loads(first_line(program))["ws_url"])
    assert isinstance(data, dict)
    assert data["bbo"][0]["px"].startswith("105")


def test_help_has_an_example_and_kinds_are_listed(programs: Programs) -> None:
    shown = programs.feedhandler("sim", "--help")
    assert shown.wait() == 0
    assert "feedhandler sim --seed 7 --fault" in shown.stdout()
    assert "--parent-pid" not in shown.stdout()
    listed = programs.feedhandler("sim", "--kinds")
    assert listed.wait() == 0
    assert "never_ack" in listed.stdout()


def test_sim_ends_with_the_process_it_was_told_of(programs: Programs) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=-1) as parent:
        program = programs.feedhandler("sim", "--json", "--parent-pid", str(parent.pid))
        first_line(program)
        assert program.is_running()
        parent.kill()
        parent.wait()
        assert program.wait() == 0


def test_sim_ends_at_once_if_that_process_is_gone(programs: Programs) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    program = programs.feedhandler("sim", "--parent-pid", str(gone.pid))
    assert program.wait() == 0


def test_unread_output_does_not_stop_the_venues(tmp_path: Path) -> None:
    """Connections are announced on a pipe that nobody reads and that is full."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    while True:
        try:
            os.write(writer, b"x" * 4096)
        except BlockingIOError:
            break
    os.set_blocking(writer, True)
    programs = Programs(tmp_path)
    source = "import sys; from feedhandler.cli import main; sys.exit(main())"
    process = subprocess.Popen(
        [sys.executable, "-c", source, "sim", *ONE, "--json"],
        stdout=subprocess.PIPE,
        stderr=writer,
        env=programs.environment(),
        text=True,
    )
    try:
        assert process.stdout is not None
        address = json.loads(process.stdout.readline())
        for _ in range(3):
            assert bbo_of(address["ws_url"])
        process.terminate()
        assert process.wait(START_S) == 0
    finally:
        process.kill()
        process.communicate()
        os.close(reader)
        os.close(writer)
