"""One quote is judged alike by the C header, by the twin, and as an array of one."""

from __future__ import annotations

import math
import random
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from feedhandler import verdict
from shm_layout import codes
from shm_layout._twin_judge import judge
from shm_layout.limits import OUTLIER_HOLD_NS
from shm_layout.schema import QUOTE, STATUS
from tests.shm_layout.compiler import SANITIZED, STRICT, compiled

CASES = 4_000
NOW_NS = 1_000_000_000_000
FRESH_NS, HEARTBEAT_NS, CONFIRM_NS = 3_000_000_000, 500_000_000, 15_000_000_000
LARGEST = (1 << 63) - 1

# The bytes of struct fh_evidence, of struct fh_limits, and the time.
CASE = np.dtype(
    [
        ("quote", QUOTE.dtype),
        ("heartbeat_ns", "<i8"),
        ("link", "<u4"),
        ("session", "<u4"),
        ("said", STATUS.dtype),
        ("runner_heartbeat_ns", "<i8"),
        ("fresh_ns", "<i8"),
        ("heartbeat_limit_ns", "<i8"),
        ("confirm_limit_ns", "<i8"),
        ("now_ns", "<i8"),
    ]
)

PROGRAM = r"""
#include <stdio.h>
#include "feedhandler_shm.h"

struct one {
    struct fh_evidence seen;
    struct fh_limits limits;
    int64_t now_ns;
};

int main(void)
{
    struct one one;
    while (fread(&one, sizeof one, 1, stdin) == 1) {
        struct fh_verdict verdict = fh_judge(&one.seen, &one.limits, one.now_ns);
        printf("%u %u %u %lld\n", verdict.state, verdict.reason, verdict.tradable,
               (long long)verdict.apply_ns);
    }
    return 0;
}
"""


def a_stamp(chance: random.Random, limit_ns: int) -> int:
    """Return a stamp: mostly of a young thing, else near its limit, or absurd."""
    age_ns = chance.choice(
        [*[1] * 8, 0, -1, limit_ns - 1, limit_ns, limit_ns + 1, 2 * limit_ns]
    )
    absurd = (codes.TIME_NONE, codes.TIME_NONE + 1, -1, 0, LARGEST)
    return chance.choice(absurd) if chance.random() < 0.02 else NOW_NS - age_ns


def fill(case: Any, chance: random.Random) -> None:
    """Make a case of an array, in which mostly little is wrong."""

    def rarely(wrong: Any, right: Any) -> Any:
        return wrong if chance.random() < 0.05 else right

    quote, said = case["quote"], case["said"]
    quote["kind"] = codes.KIND_QUOTE
    quote["source"] = rarely(codes.SOURCE_REST, codes.SOURCE_STREAM)
    quote["flags"] = rarely(chance.randrange(1 << 16), chance.choice([0, 1, 256]))
    quote["epoch"], quote["session"], quote["sequence"] = 3, rarely(6, 7), 9
    limit_ns = chance.choice([FRESH_NS, OUTLIER_HOLD_NS])
    quote["recv_ns"] = a_stamp(chance, limit_ns)
    quote["bid"], quote["ask"] = rarely(math.nan, 1.0), rarely(-math.nan, math.inf)
    case["heartbeat_ns"] = a_stamp(chance, HEARTBEAT_NS)
    case["link"] = rarely(chance.choice(list(codes.LINK_NAMES)), codes.LINK_UP)
    case["session"] = rarely(8, 7)
    said["kind"] = rarely(0, codes.KIND_STATUS)
    said["session"], said["applied_epoch"] = rarely(6, 7), rarely(4, 3)
    said["applied_sequence"] = rarely(10, 9)
    said["apply_ns"] = a_stamp(chance, FRESH_NS)
    said["confirmed_ns"] = a_stamp(chance, CONFIRM_NS)
    said["state"], said["reason"] = chance.choice(
        [
            (codes.STATE_LIVE, codes.REASON_NONE),
            (codes.STATE_QUIET, codes.REASON_QUIET_CONFIRMED),
            (codes.STATE_QUIET, codes.REASON_QUIET_UNCONFIRMED),
            (chance.randrange(256), chance.randrange(256)),
        ]
    )
    case["runner_heartbeat_ns"] = a_stamp(chance, HEARTBEAT_NS)
    case["fresh_ns"], case["heartbeat_limit_ns"] = FRESH_NS, HEARTBEAT_NS
    case["confirm_limit_ns"], case["now_ns"] = CONFIRM_NS, NOW_NS


@pytest.fixture(scope="module")
def cases() -> Any:
    """Return as many cases; the same ones in each run."""
    chance = random.Random(20261121)
    cases = np.zeros(CASES, CASE)
    for case in cases:
        fill(case, chance)
    return cases


@pytest.fixture(scope="module")
def verdicts(cases: Any) -> list[tuple[int, int, bool]]:
    """Return state, reason and `tradable` of each, by the rules for arrays."""
    found = []
    for case in np.split(cases, len(cases)):
        records = case["quote"]
        beats = [
            verdict.is_beating(int(case[name][0]), NOW_NS, HEARTBEAT_NS)
            for name in ("heartbeat_ns", "runner_heartbeat_ns")
        ]
        evidence = verdict.assess(
            records,
            case["fresh_ns"],
            NOW_NS,
            writer_beats=beats[0],
            link=int(case["link"][0]),
            session=int(case["session"][0]),
        )
        states, reasons = verdict.overlay(
            *evidence, case["said"], records, NOW_NS, runner_beats=beats[1]
        )
        is_tradable = verdict.is_tradable(states, reasons, records["source"])
        found.append((int(states[0]), int(reasons[0]), bool(is_tradable[0])))
    return found


def test_the_cases_meet_every_rule(verdicts: list[tuple[int, int, bool]]) -> None:
    shown = {
        (codes.STATE_NAMES[state], codes.REASON_NAMES[reason], is_tradable)
        for state, reason, is_tradable in verdicts
        if state in codes.STATE_NAMES and reason in codes.REASON_NAMES
    }
    assert shown >= {
        ("DOWN", "writer_dead", False),
        ("DOWN", "link_down", False),
        ("SYNCING", "awaiting_quote", False),
        ("SYNCING", "resync", False),
        ("SUSPECT", "disputed", False),
        ("SUSPECT", "one_sided", False),
        ("SUSPECT", "outlier", False),
        ("STALE", "age", False),
        ("UNKNOWN", "runner_dead", False),
        ("UNKNOWN", "no_verdict", False),
        ("QUIET", "quiet_confirmed", True),
        ("QUIET", "quiet_confirmed", False),  # by REST
        ("QUIET", "quiet_unconfirmed", False),
        ("LIVE", "", True),
        ("LIVE", "", False),  # by REST
    }


def test_the_twin_judges_one_as_the_array_of_it(
    cases: Any, verdicts: list[tuple[int, int, bool]]
) -> None:
    for case, expected in zip(cases, verdicts, strict=True):
        fields = judge(
            case["quote"].tobytes(),
            int(case["heartbeat_ns"]),
            int(case["session"]) << 32 | int(case["link"]),
            case["said"].tobytes(),
            int(case["runner_heartbeat_ns"]),
            NOW_NS,
            FRESH_NS,
            HEARTBEAT_NS,
            CONFIRM_NS,
        )
        assert fields[-3:] == expected, case
        assert fields[-4] == apply_ns_of(case), case


@pytest.mark.parametrize(
    ("language", "options"),
    [
        ("c", ("-O3",)),
        ("c++", ("-O3",)),
        ("c", ("-O3", "-ffast-math")),
        ("c", ("-O1", *SANITIZED)),
    ],
    ids=["c", "c++", "fast-math", "sanitized"],
)
def test_the_header_judges_one_as_the_array_of_it(
    tmp_path: Path,
    cases: Any,
    verdicts: list[tuple[int, int, bool]],
    language: str,
    options: tuple[str, ...],
) -> None:
    program = compiled(tmp_path, PROGRAM, *STRICT, *options, language=language)
    result = subprocess.run(
        [program], input=cases.tobytes(), capture_output=True, timeout=60, check=True
    )
    lines = result.stdout.decode().splitlines()
    for case, expected, line in zip(cases, verdicts, lines, strict=True):
        state, reason, is_tradable, apply_ns = map(int, line.split())
        assert (state, reason, bool(is_tradable)) == expected, case
        assert apply_ns == apply_ns_of(case), case


def apply_ns_of(case: Any) -> int:
    """Return when the runner applied it, if what it said counts."""
    counts = (
        case["said"]["kind"] != 0
        and case["said"]["session"] == case["quote"]["session"]
        and case["said"]["applied_epoch"] == case["quote"]["epoch"]
        and verdict.is_beating(int(case["runner_heartbeat_ns"]), NOW_NS, HEARTBEAT_NS)
    )
    return int(case["said"]["apply_ns"]) if counts else codes.TIME_NONE
