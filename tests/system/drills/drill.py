"""One drill: strike, see it refused in time, heal, see it traded again, and tell both.

Owns the measuring and what a drill leaves for the table of the run: one line a drill,
handed to pytest as a property of the test, so that it outlives a worker.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from tests.support import MS
from tests.system.drills.world import HYPERLIQUID, NS_PER_MS, World, now_ns

PROPERTY: Final = "drill"
DEAD_MS: Final = 600.0  # a dead or stopped writer: five beats of 100 ms, and one
NO_LIMIT: Final = 0.0
BUSY: Final = 2_000 * MS  # how much longer a busy machine may take to act


@dataclass
class Measured:
    """One line of the table. Times in ms; -1 where there is nothing to measure."""

    row: str
    fault: str
    detect_ms: float = -1.0
    detect_limit_ms: float = NO_LIMIT
    recover_ms: float = -1.0
    recover_limit_ms: float = NO_LIMIT
    timing: str = "scaled"
    reads: int = 0
    notes: str = ""


@dataclass
class Drill:
    """What a test gets: the world, and a pen."""

    world: World
    lines: list[Measured] = field(default_factory=list)
    # Set where a wrong price may be shown as long as it is never tradable.
    is_wrong_shown: bool = False

    def strike(
        self,
        row: str,
        fault: str,
        inject: Callable[[], object],
        *only: str,
        venue: str = HYPERLIQUID,
        heal: Callable[[], object] | None = None,
        detect_ms: float = DEAD_MS,
        recover_ms: float = 3_000.0,
        meanwhile: Callable[[], object] | None = None,
    ) -> Measured:
        """Inject; refused within `detect_ms`; heal; traded within `recover_ms`.

        That a writer is dead is held to the reads themselves, so a slow machine excuses
        nothing. What a process has to notice first, and the way back, need the machine:
        they are noted beside their limits, and the first fails far beyond it. `only`
        names the instruments that the fault is about, `meanwhile` what has to come
        before it is healed.
        """
        world = self.world
        world.wait(world.is_calm, "calm before the drill")
        line = Measured(row, fault, timing="scaled" if world.is_scaled else "default")
        self.lines.append(line)
        struck_ns = now_ns()
        inject()
        refused_ns = world.wait(
            lambda: world.refused_ns(venue, struck_ns, *only), f"{row}: refused"
        )
        last_ns = world.last_tradable_ns(venue, refused_ns, *only)
        line.detect_ms = max(0.0, (last_ns - struck_ns) / NS_PER_MS)
        line.detect_limit_ms = detect_ms
        slack = 1.0 if detect_ms == DEAD_MS else BUSY
        assert line.detect_ms <= detect_ms * slack, f"{line}\n{world.facts()}"
        if meanwhile is not None:
            meanwhile()
        healed_ns = struck_ns
        if heal is not None:
            healed_ns = now_ns()
            heal()
        after_ns = max(refused_ns, healed_ns)
        traded_ns = world.wait(
            lambda: world.traded_ns(venue, after_ns, *only), f"{row}: traded again"
        )
        line.recover_ms = (traded_ns - healed_ns) / NS_PER_MS
        line.recover_limit_ms = recover_ms
        return line

    def endure(
        self, row: str, fault: str, inject: Callable[[], object], notes: str = ""
    ) -> Measured:
        """Inject what is no reason to refuse anything for long, or to restart."""
        self.world.wait(self.world.is_calm, "calm before the drill")
        inject()
        return self.note(row, fault, notes)

    def note(self, row: str, fault: str, notes: str) -> Measured:
        """Add a line for what the drill saw by itself."""
        timing = "scaled" if self.world.is_scaled else "default"
        line = Measured(row, fault, timing=timing, notes=notes)
        self.lines.append(line)
        return line

    def end(self) -> list[dict[str, Any]]:
        """Calm down, and hold every read of the drill to the truth."""
        self.world.calm()
        findings = self.world.judge()
        if self.is_wrong_shown:
            findings.forgive_untraded()
        assert findings.is_clean, f"{findings}\n{self.world.facts()}"
        for line in self.lines:
            line.reads = findings.reads
            if not line.notes:
                line.notes = _late(line)
        return [asdict(line) for line in self.lines]


def _late(line: Measured) -> str:
    is_late = (
        line.detect_ms > line.detect_limit_ms > 0
        or line.recover_ms > line.recover_limit_ms > 0
    )
    return "late: shared machine" if is_late else ""
