"""Two runs: equal ones are not told apart, worse ones are, unlike ones are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from feedhandler.cli.group import main
from feedhandler.report import bootstrap
from feedhandler.report.compare import compare, read_side
from feedhandler.report.scorecard import ages_no_higher, reconnects_no_more
from tests.report.made import Story, write

AGES = "lower or equal apply-age p95 and p99"
RECONNECTS = "no growth of reconnects"


def compared(
    tmp_path: Path, before: Story, after: Story, *, anyway: bool = False
) -> dict[str, Any]:
    sides = [
        read_side(write(story, tmp_path / name))
        for name, story in (("before", before), ("after", after))
    ]
    return compare(sides[0], sides[1], anyway=anyway)


def lines_of(values: dict[str, Any]) -> dict[str, str]:
    return {line["sentence"]: line["verdict"] for line in values["scorecard"]}


def percents(values: list[float]) -> Any:
    return np.column_stack((values, np.ones(len(values))))


def mean(rows: Any) -> Any:
    return rows[:, 0] / rows[:, 1]


def verdicts(values: dict[str, Any], metric: str = "") -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for row in values["metrics"]:
        if row["metric"].startswith(metric):
            found.setdefault(row["verdict"], set()).add(row["subject"])
    return found


@pytest.mark.parametrize("seed", [2, 3, 4])
def test_two_equal_runs_of_other_seeds_are_not_distinguishable(
    tmp_path: Path, seed: int
) -> None:
    values = compared(tmp_path, Story(), Story(seed=seed))
    assert set(verdicts(values)) == {"not distinguishable"}
    assert values["problems"] == []
    missed = [line for line in values["scorecard"] if line["verdict"] == "missed"]
    assert missed == []


def test_doubled_cadence_is_worse_and_the_reverse_is_better(tmp_path: Path) -> None:
    slow = Story(seed=2, gaps_ms={"lighter": 200.0})
    worse = compared(tmp_path / "a", Story(), slow)
    names = {"lighter:BTC-PERP", "lighter:ETH-PERP"}
    assert verdicts(worse, "apply_age")["worse"] == names
    assert "better" not in verdicts(worse)
    better = compared(tmp_path / "b", slow, Story())
    assert verdicts(better, "apply_age")["better"] == names
    assert lines_of(worse)[AGES] == "missed"
    assert lines_of(better)[AGES] == "met"


def test_ages_that_may_be_higher_are_no_evidence_and_equal_ones_are_met(
    tmp_path: Path,
) -> None:
    higher = Story(seed=2, gaps_ms={"lighter": 115.0})
    values = compared(tmp_path / "a", Story(), higher)
    assert "worse" not in verdicts(values, "apply_age_p9")
    assert lines_of(values)[AGES] == "no evidence"
    (line,) = [line for line in values["scorecard"] if line["sentence"] == AGES]
    assert "may be higher; least sure: apply_age_p9" in line["evidence"]
    assert lines_of(compared(tmp_path / "b", Story(), Story()))[AGES] == "met"


def test_ages_higher_by_less_than_matters_are_met() -> None:
    row = {"metric": "apply_age_p95", "subject": "x", "note": "", "least": 1.1}
    facts = {"before": 100.0, "after": 101.0, "low": 0.98, "verdict": "same"}
    assert ages_no_higher([{**row, **facts, "high": 1.05}])["verdict"] == "met"
    assert ages_no_higher([{**row, **facts, "high": 1.15}])["verdict"] == "no evidence"
    assert ages_no_higher([])["verdict"] == "no evidence"


def test_more_session_ends_are_worse(tmp_path: Path) -> None:
    ends = {"paradex": [(10.0 + 5 * n, "read_timeout") for n in range(20)]}
    values = compared(tmp_path, Story(), Story(seed=2, ends=ends))
    assert verdicts(values, "session_ends")["worse"] == {"paradex"}
    assert lines_of(values)[RECONNECTS] == "missed"


@pytest.mark.parametrize(
    ("before", "after", "verdict"),
    [
        ({}, {}, "met"),
        ({"lighter": 4}, {"lighter": 4}, "met"),
        ({"lighter": 4}, {"lighter": 1}, "met"),
        ({}, {"lighter": 4}, "missed"),
        ({}, {"lighter": 1}, "no evidence"),
        ({"lighter": 4}, {"lighter": 5}, "no evidence"),
        ({"lighter": 4}, {"paradex": 3}, "no evidence"),
        ({"lighter": 4}, {"paradex": 4}, "missed"),
        ({"lighter": 4000}, {"lighter": 5000}, "missed"),
    ],
)
def test_reconnects_are_compared_as_counts(
    before: dict[str, int], after: dict[str, int], verdict: str
) -> None:
    sides = [
        {
            "run": {"span_s": 180.0},
            "venues": [
                {
                    "venue": venue,
                    "frames": 10,
                    "session_ends": {"read_timeout": ends.get(venue, 0)},
                }
                for venue in ("lighter", "paradex")
            ],
        }
        for ends in (before, after)
    ]
    assert reconnects_no_more(sides[0], sides[1])["verdict"] == verdict
    sides[1]["venues"][0]["frames"] = None  # never seen: its ends are not known
    assert reconnects_no_more(sides[0], sides[1])["verdict"] == "no evidence"


def test_losses_are_a_missed_sentence(tmp_path: Path) -> None:
    values = compared(tmp_path, Story(), Story(lost={"lighter": 50.0}))
    lines = {line["sentence"]: line["verdict"] for line in values["scorecard"]}
    assert lines["no growth of ring loss or budget hits"] == "missed"


def test_a_venue_that_is_missing_is_named_and_met_by_nothing(tmp_path: Path) -> None:
    absent = Story(absent=("paradex",))
    values = compared(tmp_path, Story(), absent, anyway=True)
    assert "venue paradex is in BEFORE alone" in values["problems"]
    lines = lines_of(values)
    assert lines["no venue stale longer than 2 minutes"] == "no evidence"
    assert lines[RECONNECTS] == "no evidence"


def test_other_lengths_and_feed_kinds_are_named(tmp_path: Path) -> None:
    other = Story(seconds=60.0, kinds={"lighter": "bbo", "paradex": "bbo"})
    values = compared(tmp_path, Story(), other)
    problems = "\n".join(values["problems"])
    assert "lengths differ" in problems
    assert "feed kind of lighter changed: depth -> bbo" in problems
    assert values["metrics"] is values["scorecard"] is None


def test_the_command_says_by_its_code_what_it_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = str(write(Story(), tmp_path / "good"))
    slow = str(write(Story(gaps_ms={"lighter": 300.0}), tmp_path / "slow"))
    short = str(write(Story(seconds=60.0), tmp_path / "short"))
    assert main(["compare", good, good]) == 0
    text = capsys.readouterr().out
    assert text.index("feed kind bbo") < text.index("feed kind depth")
    assert main(["compare", good, slow]) == 1
    capsys.readouterr()
    assert main(["compare", good, short]) == 1
    told = capsys.readouterr()
    assert "--anyway compares what is in both" in told.err
    assert "not alike: lengths differ" in told.out
    assert "|" not in told.out, "no table of what is not compared"
    assert main(["compare", good, short, "--anyway"]) == 0
    told = capsys.readouterr()
    assert "not alike: lengths differ" in told.out
    assert "## Scorecard of AFTER" in told.out


def test_processor_of_equal_runs_that_differ_by_less_than_a_hundredth_is_the_same() -> (
    None
):
    def verdict(before: float, after: float) -> str:
        wobble = [0.0, 0.1, -0.1, 0.05] * 6
        found = bootstrap.compare(
            percents([before + more for more in wobble]),
            percents([after + more for more in wobble]),
            mean,
            metrics=10,
            is_ratio=True,
            least=0.15,
            seed=1,
            least_units=1.0,
        )
        return found.verdict

    assert verdict(3.56, 4.33) == bootstrap.SAME  # of two runs with nothing between
    assert verdict(4.33, 3.56) == bootstrap.SAME
    assert verdict(3.5, 7.0) == bootstrap.WORSE
    assert verdict(50.0, 52.0) == bootstrap.SAME  # two of a hundred, though by two
    assert verdict(50.0, 70.0) == bootstrap.WORSE


def test_only_an_interval_wholly_beyond_what_matters_tells_two_runs_apart() -> None:
    wobble = [-30.0, 30.0] * 20
    before = percents([100.0 + more for more in wobble])
    after = percents([130.0 + more for more in wobble])
    found = bootstrap.compare(
        before, after, mean, metrics=1, is_ratio=True, least=0.2, seed=1
    )
    assert found.low is not None
    assert 1.0 < found.low < found.least == 1.2
    assert found.verdict == bootstrap.SAME
    found = bootstrap.compare(
        before, after, mean, metrics=1, is_ratio=True, least=0.05, seed=1
    )
    assert found.verdict == bootstrap.WORSE


def test_a_process_looked_at_more_often_is_no_more_evidence(tmp_path: Path) -> None:
    often = Story(seconds=40.0, totals_s=1.0)
    values = compared(tmp_path, often, often)
    rows = [row for row in values["metrics"] if row["metric"] in ("rss", "cpu")]
    assert rows
    assert all(row["note"].startswith("no evidence: blocks=") for row in rows)


def test_too_few_blocks_are_no_evidence() -> None:
    def total(rows: Any) -> Any:
        return rows.sum(axis=1)

    interval = bootstrap.compare(
        np.ones((3, 2)),
        np.full((3, 2), 9.0),
        total,
        metrics=1,
        is_ratio=True,
        least=0.1,
        seed=1,
    )
    assert interval.verdict == bootstrap.SAME
    assert interval.note.startswith("no evidence")


def test_an_interval_covers_the_truth_as_often_as_it_says() -> None:
    generator = np.random.default_rng(5)
    wrong = 0
    for trial in range(100):
        sides = [
            np.column_stack((generator.exponential(1.0, 60), np.ones(60)))
            for _ in range(2)
        ]
        interval = bootstrap.compare(
            sides[0], sides[1], mean, metrics=1, is_ratio=True, least=0.0, seed=trial
        )
        wrong += interval.verdict != bootstrap.SAME
    assert wrong <= 12  # of 100 at 95 %, with the chance of a few more


def test_a_process_that_was_never_measured_is_no_evidence(tmp_path: Path) -> None:
    groups = bootstrap.groups(np.zeros((0, 2)), 5.0, 120.0)
    assert groups.shape == (0, 2)
    short = Story(seconds=12.0)  # its start is no use of processor or memory
    values = compared(tmp_path, short, short)
    rows = [row for row in values["metrics"] if row["metric"] in ("rss", "cpu")]
    assert rows
    assert all(row["note"].startswith("no evidence: blocks=") for row in rows)
