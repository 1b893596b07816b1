"""What is normal: figures of measured runs, from which limits are derived.

A limit is `FACTOR` times its figure, so that a doubling is caught. A baseline is a file
that `feedhandler report --json` wrote of a good run; without one, the figures below are
taken: those of simulated venues where the run was simulated, else those of live ones.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from feedhandler.errors import UsageError

FACTOR: Final = 1.8
_BYTES_MAX: Final = 256 << 20


@dataclass(frozen=True, slots=True)
class Normal:
    """Figures of one instrument's feed; None is not known."""

    p95_ms: float | None
    p99_ms: float | None
    flaps_per_hour: float | None = None
    ends_per_hour: float | None = None


# By venue and feed kind; `*` is any venue that has no figures of its own. Simulated:
# five venues for 90 minutes on two cores (ops/reports/soak_90min): p95 597 ms of the
# faster market and 711 of the slower, p99 1,277 and 1,412, no flap and no session end.
# Live: the operators' own measurements of February 2026, where there are some; else the
# limits they start from.
SIMULATED: Final[dict[tuple[str, str], Normal]] = {
    ("*", "bbo"): Normal(720.0, 1_450.0, 1.0, 0.5),
    ("*", "depth"): Normal(720.0, 1_450.0, 1.0, 0.5),
}
LIVE: Final[dict[tuple[str, str], Normal]] = {
    ("hyperliquid", "depth"): Normal(1_250.0, 1_300.0, 12.0, 0.7),
    ("lighter", "depth"): Normal(190.0, 400.0, 12.0, 0.7),
    ("extended", "depth"): Normal(470.0, 1_250.0, 12.0, 0.7),
    ("aster", "depth"): Normal(231.0, 500.0, 12.0, 0.7),
    ("paradex", "bbo"): Normal(250.0, 1_000.0, 12.0, 0.7),
    ("*", "bbo"): Normal(3_000.0, 6_000.0, 12.0, 0.7),
    ("*", "depth"): Normal(1_000.0, 2_000.0, 12.0, 0.7),
}
# Of the hops inside this host, p99 in ms. Simulated venues take processor from the
# feeds: the same run, partly beside other work, showed 16, 2, 16 and 4 ms at most.
SIMULATED_HOPS: Final[dict[str, float]] = {
    "loop_lag": 16.0,
    "recv_to_publish": 2.0,
    "publish_to_apply": 16.5,
    "pass_time": 4.2,
}
LIVE_HOPS: Final[dict[str, float]] = {
    "loop_lag": 25.0,
    "recv_to_publish": 2.0,
    "publish_to_apply": 12.0,
    "pass_time": 5.0,
}


class Baseline:
    """Where limits come from."""

    def __init__(self, source: str, values: dict[str, Any] | None = None) -> None:
        self.source = source
        self._figures: dict[tuple[str, str, str], Normal] = {}
        self._hops: dict[str, float] = {}
        self._is_measured = values is not None
        if values is not None:
            self._take(values)

    @classmethod
    def of(cls, path: Path | None, is_simulated: bool) -> Baseline:
        """Return the baseline of a file, or the one that is shipped."""
        if path is None:
            return cls("simulated" if is_simulated else "live")
        try:
            with path.open("rb") as file:
                values = json.loads(file.read(_BYTES_MAX))
        except OSError as error:
            raise UsageError(f"baseline {path}: {error.strerror}") from error
        except ValueError as error:
            raise UsageError(f"baseline {path} is no report: {error}") from error
        if not isinstance(values, dict) or not values.get("instruments"):
            raise UsageError(
                f"baseline {path} is no report: write one with"
                " `feedhandler report DIR --json`"
            )
        return cls(path.name, values)

    def normal(self, venue: str, instrument: str, kind: str) -> Normal | None:
        """Return an instrument's figures; None when the baseline has none for it."""
        if self._is_measured:
            return self._figures.get((venue, instrument, kind))
        table = SIMULATED if self.source == "simulated" else LIVE
        return table.get((venue, kind)) or table.get(("*", kind))

    def ends_per_hour(self, venue: str, kind: str) -> float | None:
        """Return how often a venue's sessions end, None when that is not known."""
        for (name, _, its_kind), figures in self._figures.items():
            if (name, its_kind) == (venue, kind):
                return figures.ends_per_hour
        normal = None if self._is_measured else self.normal(venue, "", kind)
        return None if normal is None else normal.ends_per_hour

    def hop_p99_ms(self, hop: str) -> float | None:
        """Return a hop's p99, None for one that has no figure."""
        if self._is_measured:
            return self._hops.get(hop)
        is_simulated = self.source == "simulated"
        return (SIMULATED_HOPS if is_simulated else LIVE_HOPS).get(short_hop(hop))

    def _take(self, values: dict[str, Any]) -> None:
        ends = {
            row.get("venue"): row.get("session_ends_per_hour")
            for row in values.get("venues", [])
        }
        for row in values["instruments"]:
            age = row.get("unproven_age") or {}
            key = (row.get("venue"), row.get("instrument"), row.get("feed_kind"))
            self._figures[key] = Normal(
                age.get("p95_ms"),
                age.get("p99_ms"),
                row.get("flaps_per_hour"),
                ends.get(row.get("venue")),
            )
        for row in values.get("hops", []):
            if (
                short_hop(row.get("hop", "")) in LIVE_HOPS
                and row.get("p99_ms") is not None
            ):
                self._hops[row["hop"]] = row["p99_ms"]


def short_hop(hop: str) -> str:
    """Return the name of a hop without its process and its venue."""
    return hop.rpartition("/")[2].partition(".")[0]
