"""Who starts a process again when it ends: supervisord, systemd, or nobody we know of.

Told from the environment that the process was started with, which both of them mark.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

SUPERVISORD_VARIABLE: Final = "SUPERVISOR_ENABLED"
_GROUP_VARIABLE: Final = "SUPERVISOR_GROUP_NAME"
_SYSTEMD_VARIABLE: Final = "NOTIFY_SOCKET"  # of Type=notify, as our unit has it


def environment_of(pid: int) -> dict[str, str]:
    """Return the environment that a process was started with. Raises `OSError`."""
    text = Path(f"/proc/{pid}/environ").read_bytes().decode("utf-8", "replace")
    return dict(pair.split("=", 1) for pair in text.split("\0") if "=" in pair)


def manager_hint(pid: int) -> str:
    """Return, for a person, who manages a process and how it is ended for good.

    Empty when nobody does that we know of: then it stays ended, whoever ends it.
    """
    try:
        environment = environment_of(pid)
    except OSError:
        return ""  # gone meanwhile, or not ours to see
    if SUPERVISORD_VARIABLE in environment:
        group = environment.get(_GROUP_VARIABLE, "feedhandler")
        return f"supervisord runs it: end it with `supervisorctl stop {group}:*`"
    if _SYSTEMD_VARIABLE in environment:
        return (
            "systemd runs it: end it with `systemctl stop` and its unit's name, "
            f"which `systemctl status {pid}` tells"
        )
    return ""
