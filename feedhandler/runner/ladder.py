"""The ladder: what the runner does about a feed that does not recover by itself.

An instrument is good when its evidence is LIVE, QUIET, or a one-sided book; all times
count from when it was last good, or from the ladder's start when it never was.

| step        | for        | taken when                                  | then waits |
|-------------|------------|---------------------------------------------|------------|
| resubscribe | instrument | not good for `resubscribe_ms`, or REST says | cooldown   |
|             |            | it is wrong, while most others are good     |            |
| reconnect   | venue      | most are not good for `reconnect_ms`; or an | cooldown   |
|             |            | instrument whose resubscribes are spent     | and grace  |
| restart     | process    | most are not good for `restart_ms`; or no   | cooldown   |
|             |            | heartbeat of a living process for `hung_ms` | and grace  |
| quarantine  | each that  | not good for `restart_ms`, and no step of   | disable_ms |
|             | is bad     | its kind is left in the budget              |            |
| retry       | as before  | quarantined for `disable_ms` and not good:  | disable_ms |
|             |            | its last kind of step, beyond the budget    |            |
| release     | instrument | quarantined, and good for `release_ms`      |            |

    not good ─▶ resubscribe ─▶ reconnect ─▶ restart ─▶ quarantine ─▶ retry ─┐
        └──────────────◀── good ──◀──────────────◀─ release ◀── good ◀──────┘

Grace is the venue's deadlines for connect and first data together. No step is taken
within it after the ladder's start, after its own last step on a venue, and, save a
restart or what REST says, after a session or a process began by itself. While the link
is not up the feed is connecting, or waits out its back-off: nothing is asked of it, and
its back-off is never reset; only a feed that begins no session for as long as its
longest back-off is restarted. Budgets are steps within `window_ms`; they outlive the
runner.

Pure: time is passed in, steps are returned. Owns no process and no shared memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from feedhandler.config import LadderConfig
from shm_layout.codes import (
    LINK_UP,
    REASON_AUDIT,
    REASON_LADDER,
    REASON_NONE,
    REASON_WRITER_DEAD,
)

RESUBSCRIBE: Final = "resubscribe"
RECONNECT: Final = "reconnect"
RESTART: Final = "restart"
QUARANTINE: Final = "quarantine"
RELEASE: Final = "release"
STEPS: Final = (RESUBSCRIBE, RECONNECT, RESTART, QUARANTINE, RELEASE)

_MS: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Sight:
    """What the ladder sees of a venue at one look; times monotonic nanoseconds."""

    reasons: Mapping[str, int]  # instrument -> REASON_*, NONE when it is good
    link: int
    session: int
    epoch: int
    heartbeat_ns: int  # or the start of the process before its first heartbeat


@dataclass(frozen=True, slots=True)
class Step:
    """One step to take. `instrument` is empty when it is for the whole venue."""

    kind: str
    reason: int
    instrument: str = ""


@dataclass(slots=True)
class _Trouble:
    """One instrument: since when it is not good, and what was done about it."""

    good_ns: int  # when it was last good
    bad_ns: int  # when it was last not good
    step_ns: int | None = None
    resubscribes: list[int] = field(default_factory=list)
    has_reconnected: bool = False
    quarantined_ns: int | None = None  # begin, or the last retry


class Ladder:
    """The ladder of one venue."""

    def __init__(
        self, config: LadderConfig, grace_ns: int, backoff_ns: int, now_ns: int
    ) -> None:
        self._config = config
        self._pause_ns = max(config.cooldown_ms * _MS, grace_ns)
        self._grace_ns = grace_ns
        self._stuck_ns = backoff_ns + grace_ns
        self._started_ns = now_ns
        self._step_ns: int | None = None  # last step on the whole venue
        self._good_ns = now_ns  # when most were last good
        self._session = (0, 0)  # epoch, session
        self._session_ns = now_ns
        self._up_ns = now_ns  # when the link was last up
        self._troubles: dict[str, _Trouble] = {}
        self._reconnects: list[int] = []
        self._restarts: list[int] = []
        self._spent_ns: int | None = None  # when every budget was counted as spent

    @property
    def quarantined(self) -> set[str]:
        """The instruments that are taken out."""
        return {
            name
            for name, trouble in self._troubles.items()
            if trouble.quarantined_ns is not None
        }

    def hold(self, now_ns: int) -> None:
        """Begin anew to count: we or the machine were stopped, not the feeds.

        Budgets and quarantines stay.
        """
        self._started_ns = self._good_ns = now_ns
        self._session_ns = self._up_ns = now_ns
        for trouble in self._troubles.values():
            trouble.good_ns = trouble.bad_ns = now_ns

    def look(self, sight: Sight, now_ns: int) -> list[Step]:
        """Return the steps to take now."""
        self._note(sight, now_ns)
        steps = list(self._release(now_ns))
        if now_ns - self._started_ns < self._grace_ns:
            return steps
        bad = [name for name, reason in sight.reasons.items() if reason != REASON_NONE]
        silent_ns = now_ns - sight.heartbeat_ns
        if silent_ns >= self._config.hung_ms * _MS:
            if self._may_step(now_ns):
                steps += self._restart(bad, REASON_WRITER_DEAD, now_ns)
        elif sight.link != LINK_UP:
            since_ns = max(self._session_ns, self._up_ns)
            is_stuck = now_ns - since_ns >= self._stuck_ns
            if is_stuck and self._may_step(now_ns):
                steps += self._restart(bad, REASON_LADDER, now_ns)
        elif 2 * len(bad) <= len(sight.reasons):
            steps += self._mend(sight, bad, now_ns)
        elif climbed := list(self._climb(sight, bad, now_ns)):
            steps += climbed
        else:
            wrong = [name for name in bad if sight.reasons[name] == REASON_AUDIT]
            steps += self._mend(sight, wrong, now_ns)
        return steps

    def dump(self) -> dict[str, Any]:
        """Return what has to outlive the runner."""
        return {
            "reconnects": self._reconnects,
            "restarts": self._restarts,
            "step_ns": self._step_ns,
            "instruments": {
                name: [trouble.resubscribes, trouble.quarantined_ns]
                for name, trouble in self._troubles.items()
                if trouble.resubscribes or trouble.quarantined_ns is not None
            },
        }

    def load(self, state: Mapping[str, Any], now_ns: int) -> None:
        """Take over what an earlier runner of this boot left.

        Raises `ValueError`, `KeyError` or `TypeError` for what no runner wrote.
        """
        reconnects = [_stamp(value, now_ns) for value in state["reconnects"]]
        restarts = [_stamp(value, now_ns) for value in state["restarts"]]
        step_ns = state["step_ns"]
        troubles = {}
        for name, (resubscribes, quarantined_ns) in state["instruments"].items():
            trouble = _Trouble(now_ns, now_ns)
            trouble.resubscribes = [_stamp(value, now_ns) for value in resubscribes]
            if quarantined_ns is not None:
                trouble.quarantined_ns = _stamp(quarantined_ns, now_ns)
            troubles[str(name)] = trouble
        self._step_ns = None if step_ns is None else _stamp(step_ns, now_ns)
        self._reconnects, self._restarts = reconnects, restarts
        self._troubles = troubles

    def spend(self, now_ns: int) -> None:
        """Count every budget as spent: what an earlier runner did is not known."""
        self._spent_ns = now_ns
        for trouble in self._troubles.values():
            trouble.resubscribes = self._resubscribes_before()
        self._reconnects = [now_ns] * self._config.reconnects_max
        self._restarts = [now_ns] * self._config.restarts_max

    def refund(self, kind: str, instrument: str = "") -> None:
        """Take the last step of that kind off its budget: it was not carried out."""
        trouble = self._troubles.get(instrument)
        taken: list[int] = []
        if kind == RESTART:
            taken = self._restarts
        elif kind == RECONNECT:
            taken = self._reconnects
            if trouble is not None:
                trouble.has_reconnected = False
        elif trouble is not None and trouble.quarantined_ns is None:
            taken = trouble.resubscribes  # a retry in quarantine was not charged
        if taken:
            taken.pop()

    # --- What is seen ---------------------------------------------------------------

    def _note(self, sight: Sight, now_ns: int) -> None:
        if (sight.epoch, sight.session) != self._session:
            self._session = (sight.epoch, sight.session)
            self._session_ns = now_ns
        if sight.link == LINK_UP:
            self._up_ns = now_ns
        for name, reason in sight.reasons.items():
            trouble = self._troubles.get(name)
            if trouble is None:
                trouble = _Trouble(now_ns, now_ns)
                trouble.resubscribes = self._resubscribes_before()
                self._troubles[name] = trouble
            if reason == REASON_NONE:
                trouble.good_ns = now_ns
                trouble.has_reconnected = False
            else:
                trouble.bad_ns = now_ns
        for name in set(self._troubles) - set(sight.reasons):
            if sight.reasons:  # else the directory is not filled yet
                del self._troubles[name]  # no longer followed
        bad = sum(reason != REASON_NONE for reason in sight.reasons.values())
        if sight.reasons and 2 * bad <= len(sight.reasons):
            self._good_ns = now_ns

    def _release(self, now_ns: int) -> Iterator[Step]:
        for name, trouble in self._troubles.items():
            lasting_ns = trouble.good_ns - trouble.bad_ns
            if (
                trouble.quarantined_ns is not None
                and lasting_ns >= self._config.release_ms * _MS
            ):
                trouble.quarantined_ns = None
                yield Step(RELEASE, REASON_LADDER, name)

    # --- The whole venue ------------------------------------------------------------

    def _climb(self, sight: Sight, bad: list[str], now_ns: int) -> Iterator[Step]:
        """Most instruments of a venue whose link is up are not good."""
        if not self._may_step(now_ns):
            return
        config = self._config
        bad_for_ns = now_ns - self._good_ns
        reason = sight.reasons[bad[0]]
        if bad_for_ns >= config.restart_ms * _MS:
            yield from self._restart(bad, reason, now_ns)
        elif (
            bad_for_ns >= config.reconnect_ms * _MS
            and now_ns - self._session_ns >= self._grace_ns
            and self._has_left(self._reconnects, config.reconnects_max, now_ns)
        ):
            self._reconnects.append(now_ns)
            self._step_ns = now_ns
            yield Step(RECONNECT, reason)

    def _restart(self, bad: list[str], reason: int, now_ns: int) -> Iterator[Step]:
        """Restart the process, or take out what is not good when that is spent."""
        is_allowed = self._has_left(self._restarts, self._config.restarts_max, now_ns)
        if not is_allowed:
            is_retry = [name for name in bad if self._is_retry_due(name, now_ns)]
            if not is_retry:
                yield from self._quarantine(bad, now_ns)
                return
            for name in is_retry:
                self._troubles[name].quarantined_ns = now_ns
        self._restarts.append(now_ns)
        self._step_ns = now_ns
        yield Step(RESTART, reason)

    # --- One instrument among others that are good ----------------------------------

    def _mend(self, sight: Sight, bad: list[str], now_ns: int) -> Iterator[Step]:
        """One step a look: a venue's register holds one command."""
        # Whoever waited longest comes first, so that none starves.
        for name in sorted(bad, key=lambda name: self._troubles[name].step_ns or 0):
            step = self._mend_one(name, sight.reasons[name], now_ns)
            if step is not None:
                self._troubles[name].step_ns = now_ns
                yield step
                return

    def _mend_one(self, name: str, reason: int, now_ns: int) -> Step | None:
        config, trouble = self._config, self._troubles[name]
        if trouble.step_ns is not None:
            if now_ns - trouble.step_ns < config.cooldown_ms * _MS:
                return None
        is_starting = now_ns - self._session_ns < self._grace_ns
        if not self._may_step(now_ns) or (is_starting and reason != REASON_AUDIT):
            return None
        bad_for_ns = now_ns - trouble.good_ns
        if trouble.quarantined_ns is not None:
            if not self._is_retry_due(name, now_ns):
                return None
            trouble.quarantined_ns = now_ns
            return Step(RESUBSCRIBE, reason, name)
        if reason != REASON_AUDIT and bad_for_ns < config.resubscribe_ms * _MS:
            return None
        if self._has_left(trouble.resubscribes, config.resubscribes_max, now_ns):
            trouble.resubscribes.append(now_ns)
            return Step(RESUBSCRIBE, reason, name)
        if bad_for_ns < config.reconnect_ms * _MS:
            return None
        is_left = self._has_left(self._reconnects, config.reconnects_max, now_ns)
        if is_left and not trouble.has_reconnected:
            trouble.has_reconnected = True
            self._reconnects.append(now_ns)
            self._step_ns = now_ns
            return Step(RECONNECT, reason, name)
        if bad_for_ns < config.restart_ms * _MS:
            return None
        return next(self._quarantine([name], now_ns), None)

    # --- Limits ---------------------------------------------------------------------

    def _quarantine(self, names: list[str], now_ns: int) -> Iterator[Step]:
        for name in names:
            trouble = self._troubles[name]
            if trouble.quarantined_ns is None:
                trouble.quarantined_ns = now_ns
                yield Step(QUARANTINE, REASON_LADDER, name)

    def _is_retry_due(self, name: str, now_ns: int) -> bool:
        since_ns = self._troubles[name].quarantined_ns
        return since_ns is not None and (
            now_ns - since_ns >= self._config.disable_ms * _MS
        )

    def _resubscribes_before(self) -> list[int]:
        """Return what counts as taken of an instrument that is new to us."""
        if self._spent_ns is None:
            return []
        return [self._spent_ns] * self._config.resubscribes_max

    def _may_step(self, now_ns: int) -> bool:
        return self._step_ns is None or now_ns - self._step_ns >= self._pause_ns

    def _has_left(self, taken: list[int], most: int, now_ns: int) -> bool:
        window_ns = self._config.window_ms * _MS
        taken[:] = [at_ns for at_ns in taken if now_ns - at_ns < window_ns]
        return len(taken) < most


def _stamp(value: Any, now_ns: int) -> int:
    """Return a stamp of this boot, which cannot lie ahead of now."""
    if type(value) is not int or value > now_ns:
        raise ValueError(f"not a stamp of the past: value={value!r}")
    return value
