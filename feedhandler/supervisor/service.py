"""What systemd is told: started, alive, ending.

Owns the protocol of sd_notify(3): lines in a datagram to the socket that NOTIFY_SOCKET
names. Without that variable, as in a terminal or under supervisord, nobody is told.
Being alive is said by the supervisor's own loop, so that one that hangs is ended by
systemd (`WatchdogSec=` in ops/feedhandler.service).
"""

from __future__ import annotations

import socket
from collections.abc import MutableMapping
from typing import Final

VARIABLE: Final = "NOTIFY_SOCKET"
ALIVE_NS: Final = 1_000_000_000  # between two words that we live


class ServiceManager:
    """The other end of the socket; silent when there is none, or it takes nothing."""

    def __init__(self, environment: MutableMapping[str, str]) -> None:
        # Children are not the service: what they inherit does not name the socket.
        self._address = environment.pop(VARIABLE, "")
        if self._address.startswith("@"):
            self._address = "\0" + self._address[1:]  # a name of no file system
        self._next_ns = 0
        self._socket: socket.socket | None = None
        if self._address:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self._socket.setblocking(False)

    def ready(self) -> None:
        """Say that all processes were started."""
        self._tell("READY=1")

    def alive(self, now_ns: int) -> None:
        """Say that the loop turns; more often than once a second says nothing."""
        if now_ns >= self._next_ns:
            self._next_ns = now_ns + ALIVE_NS
            self._tell("WATCHDOG=1")

    def stopping(self, reason: str) -> None:
        """Say that the end has begun, and why."""
        self._tell(f"STOPPING=1\nSTATUS=stopping: {reason}")

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()

    def _tell(self, text: str) -> None:
        if self._socket is None:
            return
        try:
            self._socket.sendto(text.encode(), self._address)
        except OSError:
            return  # a manager that is gone or busy ends us by itself if it must
