"""Share of time tradable: what counts, what was there instead, how runs compare."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from feedhandler.cli.group import main
from feedhandler.report import whole
from feedhandler.report.ages import START_MAX_S
from feedhandler.report.compare import compare, read_side
from feedhandler.report.facts import document
from feedhandler.report.gather import Run
from feedhandler.telemetry.records import Sample
from tests.report.made import Story, records_of, write

OFTEN = [(at_s, at_s + 9.0) for at_s in range(10, 110, 12)]  # tradable 2 s of 3


def quote_of(story: Story, directory: Path, name: str = "lighter") -> dict[str, Any]:
    _, values, _ = whole.read_directory(write(story, directory))
    rows: list[dict[str, Any]] = values["instruments"]
    return next(row for row in rows if row["venue"] == name)


def compared(tmp_path: Path, before: Story, after: Story) -> dict[str, Any]:
    sides = [
        read_side(write(story, tmp_path / name))
        for name, story in (("before", before), ("after", after))
    ]
    return compare(sides[0], sides[1], anyway=True)


def metrics_of(values: dict[str, Any], venue: str) -> list[dict[str, Any]]:
    return [
        row
        for row in values["metrics"]
        if row["metric"] == "tradable_after_start" and row["subject"].startswith(venue)
    ]


def test_a_silence_takes_its_time_and_says_what_was_there_instead(
    tmp_path: Path,
) -> None:
    row = quote_of(Story(mutes={"lighter": [(30.0, 50.0)]}), tmp_path)
    lost = row["untradable"]
    assert lost["instead_s"] == {
        "STALE age": pytest.approx(15.0, abs=0.5),  # after 5 s of age
        "UNKNOWN": 1.0,
    }
    assert lost["longest_s"] == lost["instead_s"]["STALE age"]
    assert lost["count"] == 1
    assert row["tradable_share"] == pytest.approx(104 / 120, abs=0.005)
    assert row["tradable_after_start"] == pytest.approx(104 / 119, abs=0.005)


def test_a_start_counts_in_the_whole_and_not_after_it(tmp_path: Path) -> None:
    row = quote_of(Story(starts_s=12.0), tmp_path)
    assert row["untradable"]["first_s"] == 12.0
    assert row["untradable"]["count"] == 0
    assert row["tradable_share"] == 0.9
    assert row["tradable_after_start"] == 1.0


def test_a_start_beyond_its_deadline_counts_from_there(tmp_path: Path) -> None:
    late = quote_of(Story(starts_s=60.0), tmp_path / "late")
    share = 60 / (120 - START_MAX_S)
    assert late["tradable_after_start"] == pytest.approx(share, abs=0.005)
    never = quote_of(Story(starts_s=1_000.0), tmp_path / "never")
    assert never["tradable_after_start"] == 0.0
    assert never["untradable"]["first_s"] is None


def test_time_between_lost_samples_counts_neither_way(tmp_path: Path) -> None:
    lost = tuple(range(30 * 4 + 1, 50 * 4))  # all but the ends of the silence
    story = Story(mutes={"lighter": [(30.0, 49.0)]}, missing=lost)
    row = quote_of(story, tmp_path)
    assert row["tradable_share"] == pytest.approx(99 / 100)


def test_a_venue_has_the_share_of_its_instruments_together() -> None:
    def without_the_second(record: Any) -> Any:
        if not isinstance(record, Sample):
            return record
        flags = [
            flag * name.endswith("BTC-PERP")
            for name, flag in zip(record.instruments, record.tradable, strict=True)
        ]
        return msgspec.structs.replace(record, tradable=flags)

    story = Story(starts_s=0.0)
    values = document(Run().take(map(without_the_second, records_of(story))))
    assert {row["tradable_share"] for row in values["venues"]} == {0.5}
    assert {row["tradable_share"] for row in values["instruments"]} == {0.0, 1.0}


def test_less_time_to_trade_is_worse_and_the_reverse_is_better(tmp_path: Path) -> None:
    torn = Story(seed=2, mutes={"lighter": OFTEN})
    values = compared(tmp_path / "a", Story(), torn)
    for row in metrics_of(values, "lighter"):
        assert row["verdict"] == "worse"
        assert row["low"] < row["after"] - row["before"] < row["high"] < 0
    assert {row["verdict"] for row in metrics_of(values, "paradex")} == {
        "not distinguishable"
    }
    line = values["scorecard"][0]
    assert line["verdict"] == "missed"
    assert "lighter:BTC-PERP 100.00 -> " in line["evidence"]
    values = compared(tmp_path / "b", torn, Story())
    assert {row["verdict"] for row in metrics_of(values, "lighter")} == {"better"}
    assert values["scorecard"][0]["verdict"] == "met"


def test_runs_without_a_loss_meet_the_sentence_whatever_their_starts(
    tmp_path: Path,
) -> None:
    values = compared(tmp_path, Story(), Story(seed=2, starts_s=12.0))
    rows = metrics_of(values, "")
    assert {row["verdict"] for row in rows} == {"not distinguishable"}
    assert {row["after"] for row in rows} == {100.0}
    assert values["scorecard"][0]["verdict"] == "met"


def test_one_outage_that_may_be_chance_is_neither_worse_nor_met(
    tmp_path: Path,
) -> None:
    outage = Story(seed=2, mutes={"lighter": [(30.0, 50.0)]})
    values = compared(tmp_path, Story(), outage)
    for row in metrics_of(values, "lighter"):
        assert row["verdict"] == "not distinguishable"
        assert row["low"] < -1.0
    line = values["scorecard"][0]
    assert line["verdict"] == "no evidence"
    assert "lighter" in line["evidence"]


def test_an_instrument_that_is_gone_is_a_missed_sentence(tmp_path: Path) -> None:
    absent = Story(absent=("paradex",))
    values = compared(tmp_path, Story(), absent)
    line = values["scorecard"][0]
    assert line["verdict"] == "missed"
    assert line["evidence"] == "not in AFTER: paradex:BTC-PERP, paradex:ETH-PERP"


def test_what_never_began_is_worse_than_what_did(tmp_path: Path) -> None:
    values = compared(tmp_path, Story(), Story(starts_s=1_000.0))
    assert {row["verdict"] for row in metrics_of(values, "")} == {"worse"}


def test_tradable_time_stands_first_and_apart_by_feed_kind(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = str(write(Story(), tmp_path / "good"))
    slow = str(write(Story(gaps_ms={"lighter": 300.0}), tmp_path / "slow"))
    main(["compare", good, slow])
    text = capsys.readouterr().out
    for kind, venue in (("bbo", "paradex"), ("depth", "lighter")):
        part = text.partition(f"## Metrics (feed kind {kind})")[2]
        first, second, third = part.splitlines()[4:7]
        assert first.startswith(f"| tradable_after_start | {venue}:BTC-PERP")
        assert second.startswith(f"| tradable_after_start | {venue}:ETH-PERP")
        assert "tradable" not in third
    main(["report", good])
    text = capsys.readouterr().out
    for kind, venue in (("bbo", "paradex"), ("depth", "lighter")):
        part = text.partition(f"### Share of time tradable ({kind})")[2]
        rows = part.partition("###")[0].splitlines()[4:]
        assert [row.split(":")[0] for row in rows if row] == [f"| {venue}"] * 2
