"""One connection to the simulated Aster: what it holds, and how much it may say.

Protocol pings and pongs are messages too: they count to what it may say in a second.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from feedhandler.sim.venues._base import CUT, Ending, Session
from feedhandler.sim.venues.aster.streams import Topic

# No close code is documented; both ends are expected without a closing frame.
OVER = Ending(CUT)


@dataclass(eq=False, slots=True)
class Subscriber(Session):
    """One connection: the names it subscribed to, and how payloads are wrapped."""

    combined: bool = False
    messages_per_second: int = 0  # 0 for any number
    names: dict[str, None] = field(default_factory=dict)  # in order, as listed
    said_s: deque[float] = field(default_factory=deque)  # at most one second's worth

    def hold(self, names: list[str]) -> None:
        self.names.update(dict.fromkeys(names))
        self._arrange()

    def release(self, names: list[str]) -> None:
        for name in names:
            self.names.pop(name, None)
        self._arrange()

    def wrap(self, combined: bool) -> None:
        self.combined = combined
        self._arrange()

    def heard(self, now_s: float) -> None:
        """Note one message; one too many in a second ends the session."""
        if not self.messages_per_second:
            return
        while self.said_s and self.said_s[0] <= now_s - 1.0:
            self.said_s.popleft()
        self.said_s.append(now_s)
        if len(self.said_s) > self.messages_per_second:
            self.end(OVER)

    def _arrange(self) -> None:
        """Hold the topics of the names as they are wrapped now."""
        self.topics = {Topic(name, self.combined) for name in self.names}
