"""Two runs: equal ones are not told apart, worse ones are, unlike ones are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from feedhandler.cli.group import main
from feedhandler.report import bootstrap
from feedhandler.report.compare import compare, read_side
from tests.report.made import Story, write


def compared(tmp_path: Path, before: Story, after: Story) -> dict[str, Any]:
    sides = [
        read_side(write(story, tmp_path / name))
        for name, story in (("before", before), ("after", after))
    ]
    return compare(sides[0], sides[1])


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
    lines = {line["sentence"]: line["verdict"] for line in worse["scorecard"]}
    assert lines["lower or equal apply-age p95 and p99"] == "missed"


def test_more_session_ends_are_worse(tmp_path: Path) -> None:
    ends = {"paradex": [(10.0 + 5 * n, "read_timeout") for n in range(20)]}
    values = compared(tmp_path, Story(), Story(seed=2, ends=ends))
    assert verdicts(values, "session_ends")["worse"] == {"paradex"}
    lines = {line["sentence"]: line["verdict"] for line in values["scorecard"]}
    assert lines["no growth of reconnects"] == "missed"


def test_losses_are_a_missed_sentence(tmp_path: Path) -> None:
    values = compared(tmp_path, Story(), Story(lost={"lighter": 50.0}))
    lines = {line["sentence"]: line["verdict"] for line in values["scorecard"]}
    assert lines["no growth of ring loss or budget hits"] == "missed"


def test_a_venue_that_is_missing_is_named_and_met_by_nothing(tmp_path: Path) -> None:
    values = compared(tmp_path, Story(), Story(absent=("paradex",)))
    assert "venue paradex is in BEFORE alone" in values["problems"]
    assert values["scorecard"][0]["verdict"] == "no evidence"


def test_other_lengths_and_feed_kinds_are_named(tmp_path: Path) -> None:
    other = Story(seconds=60.0, kinds={"lighter": "bbo", "paradex": "bbo"})
    problems = "\n".join(compared(tmp_path, Story(), other)["problems"])
    assert "lengths differ" in problems
    assert "feed kind of lighter changed: depth -> bbo" in problems


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
    assert main(["compare", good, short]) == 1
    assert "not alike" in capsys.readouterr().err
    assert main(["compare", good, short, "--anyway"]) == 0


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
    def mean(rows: Any) -> Any:
        return rows[:, 0] / rows[:, 1]

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
