"""supervisord with the shipped file: what dies, hangs or is left behind comes back."""

from __future__ import annotations

import configparser
import os
import shlex
import signal

import pytest

from feedhandler.cli.group import COMMANDS
from feedhandler.config import known_venues
from shm_layout import identity
from tests.ops.conftest import CONF, Group
from tests.support import MS, wait_until

VENUE = "hyperliquid"
FEED = f"feed:{VENUE}"


def programs_of_file() -> dict[str, configparser.SectionProxy]:
    parser = configparser.RawConfigParser(inline_comment_prefixes=(";",))
    parser.read(CONF)
    return {
        name.removeprefix("program:"): parser[name]
        for name in parser.sections()
        if name.startswith("program:")
    }


def test_file_runs_what_start_runs_with_one_set_of_rules() -> None:
    found = programs_of_file()
    commands = {
        name: ["feedhandler", "feed", name]
        if name in known_venues()
        else ["feedhandler", name]
        for name in (*known_venues(), "runner", "rest", "telemetry", "watch")
    }
    assert {
        name: shlex.split(row["command"]) for name, row in found.items()
    } == commands
    assert {command[1] for command in commands.values()} <= set(COMMANDS)
    rules = [
        {key: value for key, value in row.items() if key != "command"}
        for row in found.values()
    ]
    assert all(each == rules[0] for each in rules)
    assert rules[0]["stopsignal"] == "TERM"
    assert rules[0]["autorestart"] == "true"
    parser = configparser.RawConfigParser()
    parser.read(CONF)
    members = parser["group:feedhandler"]["programs"].split(",")
    assert sorted(members) == sorted(found)


def wait_process(group: Group, role: str, pid: int) -> int:
    """Wait for another process of a role than `pid`."""

    def find() -> int:
        row = group.process(role)
        is_new = row.get("state") == "running" and row["pid"] != pid
        return int(row["pid"]) if is_new else 0

    try:
        return wait_until(find, 30_000 * MS, f"another {role}")
    except AssertionError as error:
        raise AssertionError(f"{error}\n{group.status()}\n{group.logs()}") from None


def wait_anew(group: Group, role: str, pid: int) -> int:
    """Wait for another process of a role than `pid`, with everything whole again."""
    found = wait_process(group, role, pid)
    group.wait_whole()
    return found


@pytest.mark.system
@pytest.mark.slow
def test_killed_processes_are_started_again_and_a_stop_ends_all(group: Group) -> None:
    pids = group.wait_whole()
    for role in (FEED, "runner", "rest", "supervisor"):
        os.kill(pids[role], signal.SIGKILL)
    for role in (FEED, "runner", "rest", "supervisor"):
        pids[role] = wait_anew(group, role, pids[role])
        row = group.process(role)
        assert (row["epoch"], row["restarts"]) == (2, None), "nobody tells us a count"
    ticks = {pid: identity.start_ticks(pid) for pid in pids.values()}
    assert group.supervisord.stop() == 0
    assert not [
        pid for pid, start in ticks.items() if identity.is_alive(pid, start or 0)
    ]


@pytest.mark.system
@pytest.mark.slow
def test_stopped_runner_and_rest_are_ended_by_the_watch(group: Group) -> None:
    pids = group.wait_whole()
    for role in ("runner", "rest"):
        os.kill(pids[role], signal.SIGSTOP)
    document = group.status()
    states = {row["role"]: row["state"] for row in document["processes"]}
    assert states["rest"] in ("hung", "running")
    for role in ("runner", "rest"):
        wait_anew(group, role, pids[role])
    assert "process_hung process=runner" in group.logs()


@pytest.mark.system
@pytest.mark.slow
def test_stopped_feed_is_ended_by_the_ladder_of_the_runner(group: Group) -> None:
    pids = group.wait_whole()
    os.kill(pids[FEED], signal.SIGSTOP)
    wait_anew(group, FEED, pids[FEED])


@pytest.mark.system
@pytest.mark.slow
def test_processes_of_a_killed_supervisord_are_ended_by_the_next_one(
    group: Group,
) -> None:
    pids = group.wait_whole()
    group.supervisord.kill()
    assert group.process(FEED)["state"] == "running", "nothing depends on supervisord"
    group.start()
    for role, pid in pids.items():
        wait_process(group, role, pid)
    group.wait_whole()
