"""Every shipped scenario in a shortened form: its outcome is the expected one.

Scenarios of different venues run in one instance. Times count from when every venue
has a client, so that a busy machine only makes the test longer.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support import Programs

SCALE = 0.04
LIMIT_S = 110.0

RUNS = [
    (
        ["venue_outage", "slow_clock", "bursty_tail"],
        ["lighter", "extended", "aster", "hyperliquid"],
        SCALE,
    ),
    (["rolling_disconnects"], ["hyperliquid", "aster"], SCALE),
    (["quiet_night"], ["hyperliquid", "lighter"], SCALE),
    (["burst"], ["hyperliquid", "lighter"], SCALE),
    # A new session has a second at least: a tenth of this day, as of a long one.
    (["day_rotation"], ["hyperliquid", "aster"], 0.17),
]


@pytest.mark.system
@pytest.mark.slow
@pytest.mark.parametrize(
    ("names", "venues", "scale"), RUNS, ids=[names[0] for names, _, _ in RUNS]
)
def test_shortened_scenario_comes_out_as_expected(
    programs: Programs,
    instance: str,
    tmp_path: Path,
    names: Sequence[str],
    venues: Sequence[str],
    scale: float,
) -> None:
    out = tmp_path / "out"
    arguments = [word for name in names for word in ("--scenario", name)]
    arguments += [word for venue in venues for word in ("--venue", venue)]
    program = programs.feedhandler(
        *("soak", "--demo", "--instance", instance, "--out", str(out)),
        *("--scale", str(scale)),
        *arguments,
        limit_s=LIMIT_S,
    )
    code = program.wait(LIMIT_S)
    outcome = json.loads((out / "manifest.json").read_text()).get("outcome", [])
    missed = [row for row in outcome if not row["met"]]
    assert outcome, program.stdout() + program.stderr()
    assert not missed, missed
    assert code == 0
