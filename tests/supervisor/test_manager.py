"""Who manages a process is told from its environment, and named where it matters."""

from __future__ import annotations

import pytest

from feedhandler.errors import AlreadyRunning
from feedhandler.supervisor.manager import manager_hint
from feedhandler.supervisor.own_segment import ROLE, OwnSegment
from feedhandler.supervisor.stop import stop_instance
from tests.supervisor.fakes import FEED, heartbeat_ns
from tests.support import MS, Programs, wait_until

SUPERVISORD = {"SUPERVISOR_ENABLED": "1", "SUPERVISOR_GROUP_NAME": "markets"}


@pytest.mark.parametrize(
    ("environment", "advice"),
    [
        ({}, "end it with `feedhandler stop --instance "),
        (
            SUPERVISORD,
            "supervisord runs it: end it with `supervisorctl stop markets:*`",
        ),
        (
            {"NOTIFY_SOCKET": "/nowhere"},
            "systemd runs it: end it with `systemctl stop`",
        ),
    ],
)
def test_refused_start_and_stop_name_the_manager_of_who_runs(
    instance: str, programs: Programs, environment: dict[str, str], advice: str
) -> None:
    owner = programs.python("-c", FEED, instance, ROLE, environment=environment)
    wait_until(lambda: heartbeat_ns(instance, ROLE), 10_000 * MS, "a heartbeat")
    with pytest.raises(AlreadyRunning, match=f"pid={owner.pid}; ") as refused:
        OwnSegment(instance)
    assert advice in str(refused.value)
    assert ("feedhandler stop" in str(refused.value)) == (not environment)
    said: list[str] = []
    assert stop_instance(instance, said.append)
    assert any(advice in line for line in said) == bool(environment)


def test_process_that_is_gone_has_no_manager() -> None:
    assert manager_hint(0) == ""
