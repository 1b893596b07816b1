"""The simulated venues as a child: its command, its addresses, and who is sent there.

Owns the hand-over of addresses: the simulation prints a line a venue, and every feed
gets them through its environment. What the processes keep on disk goes to a directory
of the demo, so that nothing simulated is ever taken for a real venue's.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from feedhandler.config.environment import variable_for
from feedhandler.supervisor import demo_folder
from feedhandler.supervisor.child import ChildSpec, program

SIMULATION_ROLE: Final = "sim"
_ADDRESS_FIELDS: Final = ("venue", "ws_url", "rest_url")


@dataclass(frozen=True, slots=True)
class Address:
    """Where one simulated venue answers."""

    venue: str
    ws_url: str
    rest_url: str


class Simulation:
    """The simulated venues of one `start --demo`."""

    def __init__(
        self,
        venues: Sequence[str],
        *,
        seed: int | None = None,
        rate: float | None = None,
        faults: Sequence[str] = (),
        await_clients: bool = False,
    ) -> None:
        self._venues = tuple(venues)
        self._seed = seed
        self._rate = rate
        self._faults = tuple(faults)
        self._await_clients = await_clients
        self.addresses: dict[str, Address] = {}
        self._instance = ""

    @property
    def is_ready(self) -> bool:
        """Say whether every venue has its address."""
        return all(venue in self.addresses for venue in self._venues)

    def open(self, instance: str) -> None:
        """Make the directory for what the processes keep. Raises `ResourcesMissing`."""
        demo_folder.make(instance)
        self._instance = instance

    def spec(self) -> ChildSpec:
        """Return the child to start."""
        arguments = ["sim", "--json"]
        for venue in self._venues:
            arguments += ["--venue", venue]
        if self._seed is not None:
            arguments += ["--seed", str(self._seed)]
        if self._rate is not None:
            arguments += ["--rate", str(self._rate)]
        for fault in self._faults:
            arguments += ["--fault", fault]
        if self._await_clients:
            arguments.append("--await-clients")
        if self.is_ready:
            # Started again: the feeds know these addresses already.
            for venue in self._venues:
                port = urlsplit(self.addresses[venue].ws_url).port
                arguments += ["--port", str(port)]
        return ChildSpec(SIMULATION_ROLE, program(*arguments))

    def take_line(self, line: bytes) -> str | None:
        """Take a line it printed; return what is to be shown of it, None for nothing.

        The simulation prints its addresses first, and its notices, such as the begin
        and end of a fault, as JSON too.
        """
        fields = _parse(line)
        if all(isinstance(fields.get(name), str) for name in _ADDRESS_FIELDS):
            address = Address(*(fields[name] for name in _ADDRESS_FIELDS))
            self.addresses[address.venue] = address
            return None
        if "what" in fields:
            return " ".join(str(value) for value in fields.values() if value)
        return line.decode("utf-8", "backslashreplace")

    def direct(self, spec: ChildSpec) -> ChildSpec:
        """Return the child with the simulated addresses in its environment."""
        assert self._instance, "opened first"
        added = dict(spec.environment)
        state_dir = demo_folder.path_of(self._instance)
        added[variable_for("", "state_dir")] = str(state_dir)
        for venue, address in self.addresses.items():
            added[variable_for(venue, "ws_url")] = address.ws_url
            added[variable_for(venue, "rest_url")] = address.rest_url
        return ChildSpec(spec.role, spec.command, added)

    def close(self) -> None:
        """Remove what the processes kept of the simulated venues."""
        demo_folder.remove(self._instance)


def _parse(line: bytes) -> dict[str, Any]:
    if not line.startswith(b"{"):
        return {}
    try:
        fields = json.loads(line)
    except ValueError:
        return {}  # a traceback or the like, shown as it is
    return fields if isinstance(fields, dict) else {}
