"""One client's session at the simulated Paradex, and how it asks for one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from feedhandler.sim.venues._base import Session
from feedhandler.sim.venues.paradex.channels import Channel, Topic, conflict
from feedhandler.sim.venues.paradex.sbe import SCHEMA_ID, VERSIONS


class Beat(NamedTuple):
    """The topic of one session's heartbeats, which it holds from the start."""

    number: int


@dataclass(eq=False, slots=True)
class Client(Session):
    """A session, the names of what it holds, and when it was last sent something."""

    version: int = 0
    number: int = 0
    active_s: float = 0.0
    names: dict[Channel, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.topics.add(Beat(self.number))

    def add(self, channel: Channel, name: str) -> None:
        self.names[channel] = name
        self.topics.add(Topic(channel, self.version))

    def discard(self, channel: Channel) -> None:
        del self.names[channel]
        self.topics.discard(Topic(channel, self.version))

    def refusal(self, channel: Channel, name: str) -> str:
        """Why the channel cannot be added, or nothing."""
        if channel in self.names:
            return "already subscribed"
        return conflict(channel, name, self.names)


def version_of(query: Mapping[str, str]) -> int | None:
    """The version of the schema a stream asks for; None for one that is not served."""
    if query.get("sbeSchemaId") != str(SCHEMA_ID):
        return None
    version = query.get("sbeSchemaVersion")
    return next((one for one in VERSIONS if str(one) == version), None)
