"""Registered readers in `status`, and `tap --name`, which is one."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from typing import Any

import pytest

from feedhandler.cli.readers import POLL_LIMIT_NS, reader_rows
from feedhandler.cli.snapshot import read_status
from shm_layout import Capacities, Reader, Writer
from tests.client.host import VENUE, Host, attached
from tests.support import MS, Program, Programs, segment_paths, wait_until

RING = f"feed:{VENUE}"
KEYS = {"name", "pid", "state", "poll_age_ms", "rings"}
RING_KEYS = {"ring", "lag", "lag_max", "read", "lost", "laps"}


@pytest.fixture
def host(instance: str, programs: Programs) -> Iterator[Host]:
    """A feed and a runner; what reads them is ended first."""
    with attached(instance) as (host, _):
        yield host
        programs.close()


def readers(instance: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = read_status(instance)["readers"]
    return rows


def tap(programs: Programs, instance: str, *arguments: str) -> Program:
    return programs.feedhandler("tap", "--instance", instance, *arguments)


def reading(programs: Programs, instance: str) -> Program:
    program = tap(programs, instance, "--name", "recorder")
    wait_until(
        lambda: [row["state"] for row in readers(instance)] == ["reading"],
        20_000 * MS,
        "a reader",
    )
    return program


def test_tap_with_a_name_is_in_status(host: Host, programs: Programs) -> None:
    program = reading(programs, host.instance)
    for number in range(7):
        host.quote(float(number + 1))

    def ring() -> dict[str, Any]:
        ((row,),) = [
            [ring for ring in reader["rings"] if ring["ring"] == RING]
            for reader in readers(host.instance)
        ]
        return dict(row)

    wait_until(lambda: ring()["read"] == 7, 10_000 * MS, "what was published")
    (reader,) = readers(host.instance)
    assert set(reader) == KEYS
    assert (reader["name"], reader["pid"]) == ("recorder", program.pid)
    assert 0 <= reader["poll_age_ms"] < 5_000
    assert set(ring()) == RING_KEYS
    assert (ring()["lag"], ring()["lost"], ring()["laps"]) == (0, 0, 0)
    roles = {row["role"] for row in read_status(host.instance)["processes"]}
    assert roles == {RING, "runner"}, "a reader is no process of the instance"
    shown = programs.feedhandler("status", "--json", "--instance", host.instance)
    shown.wait()
    assert [row["name"] for row in json.loads(shown.stdout())["readers"]] == [
        "recorder"
    ]


def test_status_shows_a_line_for_each_ring_of_a_reader(
    host: Host, programs: Programs
) -> None:
    program = reading(programs, host.instance)
    shown = programs.feedhandler("status", "--instance", host.instance)
    shown.wait()
    lines = shown.stdout().splitlines()
    (head,) = [number for number, line in enumerate(lines) if "READER" in line]
    assert lines[head].split() == (
        "READER PID STATE POLL ms RING READ LAG MAX LOST LAPS".split()
    )
    for line, ring in zip(lines[head + 1 : head + 3], (RING, "runner"), strict=True):
        assert line.split()[:3] == ["recorder", str(program.pid), "reading"]
        assert line.split()[4] == ring


def test_status_without_readers_does_not_speak_of_them(
    host: Host, programs: Programs
) -> None:
    assert readers(host.instance) == []
    shown = programs.feedhandler("status", "--instance", host.instance)
    shown.wait()
    assert "READER" not in shown.stdout()


def test_killed_tap_is_dead_in_status_until_its_name_is_taken(
    host: Host, programs: Programs
) -> None:
    first = reading(programs, host.instance)
    first.kill()
    (row,) = readers(host.instance)
    assert (row["state"], row["pid"]) == ("dead", first.pid)
    before = [ring["lag"] for ring in row["rings"]]
    host.quote()
    (row,) = readers(host.instance)
    assert [ring["lag"] for ring in row["rings"]] == before, "nobody waits for it"
    second = reading(programs, host.instance)
    assert [row["pid"] for row in readers(host.instance)] == [second.pid]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_ended_tap_gives_its_name_back(
    host: Host, programs: Programs, number: signal.Signals
) -> None:
    program = reading(programs, host.instance)
    assert program.stop(number) == 130
    assert readers(host.instance) == []
    assert not program.stderr().strip()
    assert not [path for path in segment_paths(host.instance) if "reader" in path.name]


def test_second_tap_of_a_name_is_refused_with_exit_4(
    host: Host, programs: Programs
) -> None:
    first = reading(programs, host.instance)
    second = tap(programs, host.instance, "--name", "recorder")
    assert second.wait() == 4
    assert f"reader-recorder pid={first.pid}" in second.stderr()
    assert first.is_running()


def test_name_that_cannot_be_is_a_usage_error(host: Host, programs: Programs) -> None:
    program = tap(programs, host.instance, "--name", "my-recorder")
    assert program.wait() == 2
    assert "a-z 0-9 _" in program.stderr()


def test_reader_that_does_not_poll_is_stalled(instance: str) -> None:
    with attached(instance) as (host, feed), feed.follower(name="bot") as follower:
        follower.poll()
        host.quote()
        now_ns = time.monotonic_ns()
        with Reader.attach(instance, "reader:bot") as reader:
            opened = {"reader:bot": reader, RING: host.feed}
            (soon,) = reader_rows(opened, {}, now_ns)
            (late,) = reader_rows(opened, {}, now_ns + POLL_LIMIT_NS)
        assert (soon["state"], late["state"]) == ("reading", "stalled")
        assert late["poll_age_ms"] >= 5_000
        assert [row["lag"] for row in late["rings"] if row["ring"] == RING] == [1]


def test_readers_are_shown_when_nothing_else_is_there(
    instance: str, programs: Programs
) -> None:
    with Writer.open(instance, "reader:bot", Capacities(1, 8, 8, 1)) as writer:
        assert [row["state"] for row in readers(instance)] == ["stalled"]
        shown = programs.feedhandler("status", "--instance", instance)
        assert shown.wait() == 1
        assert "nothing runs" in shown.stdout()
        assert "bot" in shown.stdout()
        writer.close(unlink=True)


def test_segment_that_cannot_be_read_is_shown_with_the_reason() -> None:
    (row,) = reader_rows({}, {"reader:bot": "refused: version", "rest": "starting"}, 0)
    assert (row["name"], row["state"]) == ("bot", "refused: version")
    assert row["rings"] == []
