"""A ladder that a test looks at once a second, and what it sees then."""

from __future__ import annotations

from feedhandler.config import LadderConfig
from feedhandler.runner.ladder import Ladder, Sight, Step
from shm_layout import codes

S = 1_000_000_000
GRACE_S = 25
BACKOFF_S = 120
BAD = codes.REASON_LIVENESS
GOOD = codes.REASON_NONE


class Climb:
    """A ladder at true defaults, looked at once a second."""

    def __init__(self, *names: str, config: LadderConfig | None = None) -> None:
        self.config = config or LadderConfig()
        self.start_s = self.now_s = 1_000
        self.ladder = self.make()
        self.reasons = dict.fromkeys(names or ("BTC", "ETH", "SOL"), GOOD)
        self.link = codes.LINK_UP
        self.session = self.epoch = 1
        self.beats = True
        self._beat_s = self.now_s
        self.steps: list[tuple[int, str, str]] = []  # second, kind, instrument

    def make(self) -> Ladder:
        return Ladder(self.config, GRACE_S * S, BACKOFF_S * S, self.now_s * S)

    def run(self, seconds: int) -> list[tuple[int, str, str]]:
        """Let time pass; return the new steps, their seconds counted from here."""
        begun_s = self.now_s
        taken: list[tuple[int, str, str]] = []
        for _ in range(seconds):
            self.now_s += 1
            for step in self.look():
                taken.append((self.now_s - begun_s, step.kind, step.instrument))
        return taken

    def look(self) -> list[Step]:
        if self.beats:
            self._beat_s = self.now_s
        sight = Sight(
            dict(self.reasons), self.link, self.session, self.epoch, self._beat_s * S
        )
        return self.ladder.look(sight, self.now_s * S)

    def all(self, reason: int) -> None:
        self.reasons = dict.fromkeys(self.reasons, reason)


def in_quarantine(*names: str) -> Climb:
    climb = Climb(*names)
    climb.run(60)
    climb.all(BAD)
    while not climb.ladder.quarantined:
        climb.run(1)
    return climb
