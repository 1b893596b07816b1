"""One client's session: who must be heard of until when, and how it ends.

A client must say something within two minutes, and answer the venue's own ping. A
session that did not is ended.
"""

from __future__ import annotations

from dataclasses import dataclass

from feedhandler.sim.venues._base import Ending, Session

NO_PONG = Ending(1008, "no pong")  # literally, in an issue of the official client
SILENT = Ending(1000)  # how the venue closes a silent client is not documented


@dataclass(eq=False, slots=True)
class LighterSession(Session):
    session_id: str = ""
    heard_s: float = 0.0  # when the client last said something
    pinged_s: float | None = None  # when the oldest unanswered ping was sent
    error_count: int = 0

    def heard(self, now_s: float) -> None:
        self.heard_s = now_s

    def overdue(
        self, now_s: float, client_silence_s: float, pong_s: float
    ) -> Ending | None:
        """Why this session has to end now, or None."""
        if self.pinged_s is not None and now_s >= self.pinged_s + pong_s:
            return NO_PONG
        if now_s >= self.heard_s + client_silence_s:
            return SILENT
        return None
