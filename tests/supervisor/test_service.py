"""What systemd hears of the supervisor, over a socket as systemd makes it."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from feedhandler.supervisor.service import ALIVE_NS, VARIABLE, ServiceManager
from tests.supervisor.fakes import fake_feed, supervise
from tests.support import MS, Programs, wait_until

ALIVE = "WATCHDOG=1"


class Manager:
    """The side of systemd."""

    def __init__(self, address: str) -> None:
        self.told: list[str] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(address)
        self._socket.setblocking(False)

    def hear(self) -> list[str]:
        """All that was told so far."""
        while True:
            try:
                self.told.append(self._socket.recv(4_096).decode())
            except BlockingIOError:
                return self.told

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def address(tmp_path: Path) -> str:
    return str(tmp_path / "notify")


@pytest.fixture
def manager(address: str) -> Iterator[Manager]:
    made = Manager(address)
    yield made
    made.close()


def test_start_life_and_end_are_told_in_their_order(
    instance: str, programs: Programs, address: str, manager: Manager
) -> None:
    environment = {VARIABLE: address}
    program = supervise(
        programs, instance, fake_feed(instance), environment=environment
    )
    wait_until(lambda: manager.hear().count(ALIVE) > 1, 15_000 * MS, "a second beat")
    assert [text for text in manager.told if text != ALIVE] == ["READY=1"]
    assert program.stop() == 0
    assert manager.hear()[-1] == "STOPPING=1\nSTATUS=stopping: SIGTERM"


def test_supervisor_that_hangs_says_nothing(
    instance: str, programs: Programs, address: str, manager: Manager
) -> None:
    environment = {VARIABLE: address}
    program = supervise(
        programs, instance, fake_feed(instance), environment=environment
    )
    wait_until(lambda: ALIVE in manager.hear(), 15_000 * MS, "a beat")
    os.kill(program.pid, signal.SIGSTOP)
    os.waitid(os.P_PID, program.pid, os.WSTOPPED | os.WNOWAIT)
    count = len(manager.hear())
    with pytest.raises(AssertionError):
        wait_until(lambda: len(manager.hear()) > count, 2 * ALIVE_NS / 1e9)
    os.kill(program.pid, signal.SIGCONT)
    wait_until(lambda: len(manager.hear()) > count, 15_000 * MS, "the next beat")
    assert program.stop() == 0


def test_nothing_is_told_more_often_than_once_a_second(
    address: str, manager: Manager
) -> None:
    service = ServiceManager({VARIABLE: address})
    for now_ns in range(0, 3 * ALIVE_NS, ALIVE_NS // 10):
        service.alive(now_ns)
    service.close()
    assert manager.hear() == [ALIVE] * 3


def test_name_of_no_file_system_is_understood() -> None:
    name = f"feedhandler-{os.getpid()}-{os.urandom(4).hex()}"
    manager = Manager(f"\0{name}")
    service = ServiceManager({VARIABLE: f"@{name}"})
    service.ready()
    assert manager.hear() == ["READY=1"]
    service.close()
    manager.close()


@pytest.mark.parametrize("told", ["", "/nobody/listens"])
def test_no_manager_or_a_deaf_one_disturbs_nothing(told: str) -> None:
    environment = {VARIABLE: told, "OTHER": "stays"}
    service = ServiceManager(environment)
    assert environment == {"OTHER": "stays"}, "children inherit no such name"
    service.ready()
    service.alive(0)
    service.stopping("SIGTERM")
    service.close()
