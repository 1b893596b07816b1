"""Limits from cadence: they follow the feed, and thin evidence gives none."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from feedhandler.cli.group import main
from feedhandler.config import load
from feedhandler.errors import UsageError
from feedhandler.report import settings, whole
from feedhandler.report.alarms import Alarm, Silence
from feedhandler.report.tails import DAY_S, Tail
from feedhandler.report.tally import Spans
from feedhandler.report.tune import KNOBS, Change, propose
from feedhandler.telemetry.buckets import Spread
from tests.report.made import Story, write

LONG = Story(
    seconds=1_000.0,
    sample_ms=1_000,
    totals_s=50.0,
    gaps_ms={"lighter": 50.0, "paradex": 3_000.0},
)


def proposed(story: Story, directory: Path) -> dict[str, Any]:
    run, _, manifest = whole.read_directory(write(story, directory))
    return propose(run, manifest)


def limits(values: dict[str, Any], limit: str) -> dict[str, dict[str, Any]]:
    return {row["instrument"]: row for row in values["limits"] if row["limit"] == limit}


def tail_of(gaps_s: Any, observed_s: float, excused: int = 0) -> Tail:
    spread = Spread()
    spread.add((np.asarray(gaps_s) * 1e9).astype(np.int64))
    spans = Spans()
    spans.add(spread.record("x"), from_zero=True)
    return Tail(spans, observed_s, excused)


def test_a_fast_depth_feed_and_a_slow_bbo_feed_get_other_limits(tmp_path: Path) -> None:
    values = proposed(LONG, tmp_path)
    assert values["refused"] == {}
    fresh = limits(values, "fresh limit")
    fast = fresh["lighter:BTC-PERP"]["proposed_ms"]
    slow = fresh["paradex:BTC-PERP"]["proposed_ms"]
    assert 250 <= fast <= 1_000
    assert slow == 5_000
    changed = {(c["section"], c["key"]): c["proposed"] for c in values["changes"]}
    assert changed["venue.lighter", "fresh_ms"] <= 1_000
    assert changed["venue.paradex", "fresh_ms"] == 5_000


def test_fresh_limit_of_a_slow_market_is_never_above_what_a_watchdog_may_be(
    tmp_path: Path,
) -> None:
    slow = Story(
        seconds=6_000.0,
        sample_ms=2_000,
        totals_s=200.0,
        gaps_ms={"lighter": 20_000.0, "paradex": 20_000.0},
    )
    bounds = {knob.key: knob for knob in KNOBS}
    assert bounds["fresh_ms"].most_ms <= bounds["stale_ms"].least_ms
    for row in limits(proposed(slow, tmp_path), "fresh limit").values():
        assert row["proposed_ms"] == bounds["fresh_ms"].most_ms
        assert row["proposed_per_day"] > bounds["fresh_ms"].per_day
        assert "which REST has to confirm" in row["note"]


@pytest.mark.parametrize("is_confirmed", [False, True])
def test_fresh_limit_counts_only_silences_that_cost_tradable_time(
    tmp_path: Path, is_confirmed: bool
) -> None:
    story = Story(
        seconds=3_000.0,
        sample_ms=500,
        totals_s=100.0,
        kinds={"paradex": "bbo"},
        gaps_ms={"paradex": 3_000.0},
        confirmed=is_confirmed,  # at once: an old quote stays tradable
    )
    for row in limits(proposed(story, tmp_path), "fresh limit").values():
        if is_confirmed:
            assert row["in_run"] == row["current_per_day"] == 0
            continue
        lost_a_day = row["in_run"] / story.seconds * DAY_S
        assert row["in_run"] > 100
        assert 0.9 * lost_a_day <= row["current_per_day"] <= 1.1 * lost_a_day


def test_quote_silences_are_no_alarm_of_the_layers_while_liveness_ticks(
    tmp_path: Path,
) -> None:
    def rows(tick_s: float) -> list[dict[str, Any]]:
        story = Story(
            seconds=6_000.0,
            sample_ms=2_000,
            totals_s=200.0,
            kinds={"paradex": "bbo"},
            gaps_ms={"paradex": 15_000.0},
            ticks_s={"paradex": tick_s},
        )
        values = proposed(story, tmp_path / str(tick_s))
        names = ("layer B fallback", "layer A resubscribe", "layer A reconnect")
        return [row for name in names for row in limits(values, name).values()]

    bounds = {knob.name: knob for knob in KNOBS}
    for row in rows(1.0):  # no quote for 30 s and more, and QUIET all the while
        assert row["current_per_day"] < 1e-3
        assert row["in_run"] == 0
        assert row["proposed_ms"] == bounds[row["limit"]].least_ms
        assert row["proposed_per_day"] < 1e-3
    for row in rows(50.0):  # its liveness is silent for longer than its limit
        assert row["current_per_day"] > bounds[row["limit"]].per_day
        assert row["proposed_ms"] is None or (
            row["proposed_ms"] > bounds[row["limit"]].least_ms
        )


def test_layers_count_from_the_limits_that_come_before_them(tmp_path: Path) -> None:
    values = proposed(LONG, tmp_path)
    waits = {
        # runner.liveness_ms, which the fresh limit is below, and a look each second
        "layer B fallback": 1_000,
        "layer A resubscribe": 10_000 + 1_000,
        "layer A reconnect": 10_000 + 1_000,
    }
    for name, wait_ms in waits.items():
        for row in limits(values, name).values():
            assert row["detects_within_ms"] == row["proposed_ms"] + wait_ms


def test_an_alarm_of_two_silences_is_as_rare_as_the_rarer_one() -> None:
    generator = np.random.default_rng(3)
    often = tail_of(generator.exponential(5.0, 2_000), 10_000.0)
    rare = tail_of([1.0] * 10_000, 10_000.0)
    both = Alarm((Silence(often), Silence(rare, since_ms=500)))
    assert both.per_day(10_000) == rare.per_day(10_500)
    assert both.per_day(10_000) < 0.01 < (often.per_day(10_000) or 0.0)
    assert both.seen_after_ms(10_000) == 10_500
    alone = Alarm((Silence(often), Silence(rare, 700, counts_limit=False)))
    assert alone.per_day(20_000) == often.per_day(20_000)
    assert not alone.is_beyond(10_000), "neither is longer than usual"
    nothing = Alarm((Silence(often), Silence(tail_of([], 0.0))))
    assert nothing.per_day(10_000) is None


def test_every_proposal_keeps_its_promise_and_its_bounds(tmp_path: Path) -> None:
    values = proposed(LONG, tmp_path)
    bounds = {knob.name: knob for knob in KNOBS}
    for row in values["limits"]:
        knob = bounds[row["limit"]]
        if row["proposed_ms"] is not None:
            assert knob.least_ms <= row["proposed_ms"] <= knob.most_ms
            is_rare = row["proposed_per_day"] <= knob.per_day
            assert is_rare or (row["proposed_ms"] == knob.most_ms and row["note"])
            assert is_rare or knob.key == "fresh_ms"
            assert row["detects_within_ms"] >= row["proposed_ms"]
        else:
            assert row["note"]


def test_who_helps_later_waits_longer_than_the_watchdog(tmp_path: Path) -> None:
    story = Story(
        seconds=1_000.0, sample_ms=1_000, totals_s=50.0, gaps_ms={"paradex": 700.0}
    )
    values = proposed(story, tmp_path)
    changed = {(c["section"], c["key"]): c["proposed"] for c in values["changes"]}
    watchdog = max(value for (_, key), value in changed.items() if key == "stale_ms")
    assert changed.get(("rest", "after_ms"), 20_000) >= 2 * watchdog
    assert changed.get(("ladder", "reconnect_ms"), 30_000) >= 3 * watchdog


def test_thin_evidence_is_refused_with_its_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    values = proposed(Story(), tmp_path / "short")
    assert all("120 s, at least 300" in text for text in values["refused"].values())
    assert values["changes"] == []
    rare = Story(seconds=600.0, sample_ms=1_000, gaps_ms={"paradex": 30_000.0})
    values = proposed(rare, tmp_path / "rare")
    assert set(values["refused"]) == {"paradex:BTC-PERP", "paradex:ETH-PERP"}
    assert main(["tune", str(tmp_path / "short")]) == 1
    assert "no proposal for lighter:BTC-PERP" in capsys.readouterr().out


def test_run_without_telemetry_gives_no_proposal_and_says_why(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (write(Story(), tmp_path) / "telemetry.jsonl").unlink()
    assert main(["tune", str(tmp_path)]) == 1
    shown = capsys.readouterr().out
    assert "- no proposal: there is no telemetry of any quote here" in shown
    assert "nothing would change" not in shown


def test_one_thin_instrument_keeps_what_all_share_as_it_is(tmp_path: Path) -> None:
    rare = Story(seconds=600.0, sample_ms=1_000, gaps_ms={"paradex": 30_000.0})
    values = proposed(rare, tmp_path)
    changed = {(c["section"], c["key"]) for c in values["changes"]}
    assert ("venue.lighter", "fresh_ms") in changed
    assert ("venue.paradex", "fresh_ms") not in changed
    assert not {section for section, _ in changed} & {"rest", "ladder"}


def test_limits_of_liveness_follow_its_ticks(tmp_path: Path) -> None:
    even = proposed(LONG, tmp_path / "even")
    rows = limits(even, "liveness limit").values()
    assert {row["proposed_ms"] for row in rows} == {5_000}
    slow = Story(
        seconds=1_000.0, sample_ms=1_000, totals_s=50.0, ticks_s={"paradex": 9.0}
    )
    values = proposed(slow, tmp_path / "slow")
    rows_by_name = limits(values, "liveness limit")
    assert rows_by_name["lighter:BTC-PERP"]["proposed_ms"] == 5_000
    needed = rows_by_name["paradex:BTC-PERP"]["proposed_ms"]
    assert 1.5 * 9_000 <= needed <= 30_000
    changed = {(c["section"], c["key"]): c["proposed"] for c in values["changes"]}
    assert changed["runner", "liveness_ms"] == needed


def test_a_watchdog_is_patient_with_quotes_where_liveness_ticks(
    tmp_path: Path,
) -> None:
    def watchdog(tick_s: float) -> int:
        story = Story(
            seconds=3_000.0,
            sample_ms=1_000,
            totals_s=100.0,
            kinds={"paradex": "bbo"},
            gaps_ms={"paradex": 9_000.0},
            ticks_s={"paradex": tick_s},
        )
        values = proposed(story, tmp_path / str(tick_s))
        found: int = limits(values, "watchdog")["paradex"]["proposed_ms"]
        return found

    assert watchdog(1.0) == 5_000
    assert watchdog(60.0) > 20_000


def test_silences_that_the_watchdog_ended_itself_are_told(tmp_path: Path) -> None:
    ends = {"lighter": [(at_s, "stale_watchdog") for at_s in (100.0, 200.0)]}
    story = Story(seconds=400.0, sample_ms=1_000, ends=ends)
    rows = limits(proposed(story, tmp_path), "watchdog")
    assert rows["lighter"]["note"] == "not counted: 2 silences that it ended itself"
    assert rows["paradex"]["note"] == ""


def test_telemetry_without_ticks_gives_no_limit_of_liveness(tmp_path: Path) -> None:
    write(LONG, tmp_path)
    path = tmp_path / "telemetry.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for line in lines:
        line.pop("ticks", None)
        line.pop("signs", None)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    run, _, manifest = whole.read_directory(tmp_path)
    values = propose(run, manifest)
    for limit in ("liveness limit", "watchdog"):
        rows = limits(values, limit).values()
        assert {row["proposed_ms"] for row in rows} == {None}
    assert "no cadence" in values["refused"]["lighter signs of life"]
    assert "no cadence" in values["refused"]["lighter:BTC-PERP liveness"]
    changed = {(c["section"], c["key"]): c["proposed"] for c in values["changes"]}
    # Without ticks nobody knows which silences were QUIET.
    assert not {section for section, _ in changed} & {"runner", "rest", "ladder"}


def test_the_tail_of_exponential_silences_is_continued_as_it_is() -> None:
    gaps = np.random.default_rng(1).exponential(0.5, 20_000)
    tail = tail_of(gaps, float(gaps.sum()))
    for limit_s in (1.0, 3.0, 6.0, 8.0):
        expected = np.exp(-limit_s / 0.5) / 0.5 * DAY_S
        assert 0.25 * expected < (tail.per_day(limit_s * 1e3) or 0.0) < 4 * expected
    rates = [tail.per_day(limit) or 0.0 for limit in (100, 500, 1e3, 5e3, 1e4, 6e4)]
    assert rates == sorted(rates, reverse=True)


@pytest.mark.parametrize("period_s", [1.0, 0.97, 3.0])
def test_even_ticks_promise_no_silence_of_many_periods(period_s: float) -> None:
    tail = tail_of([period_s] * 500, 500 * period_s)
    assert (tail.per_day(0.5 * period_s * 1e3) or 0.0) > 0.9 * DAY_S / period_s
    assert (tail.per_day(3 * period_s * 1e3) or 0.0) < 1e-3
    rates = [tail.per_day(step * 1e2 * period_s) or 0.0 for step in range(1, 40)]
    assert rates == sorted(rates, reverse=True)


def test_silences_of_failures_are_excused() -> None:
    gaps = [0.1] * 5_000 + [40.0, 50.0]
    assert tail_of(gaps, 600.0, excused=2).longest_ms == pytest.approx(100, rel=0.1)
    assert tail_of(gaps, 600.0).longest_ms == pytest.approx(50_000, rel=0.1)


def test_nothing_measured_promises_nothing() -> None:
    tail = Tail(Spans(), 600.0)
    assert tail.per_day(1_000) is None
    assert tail.percentile_ms(99) is None


# --- The configuration --------------------------------------------------------------

CHANGES = [
    Change("venue.lighter", "fresh_ms", 0, 750),
    Change("rest", "after_ms", 20_000, 25_000),
]


def test_a_merge_keeps_comments_and_everything_else() -> None:
    text = (
        '# ours\ninstance = "desk"\n\n[venue.lighter]\nfresh_ms = 0  # auto\n'
        "stale_ms = 9000\n\n[rest]\n# when\n\n[runner]\npass_ms = 2\n"
    )
    merged = settings.merge(text, CHANGES, ["lighter"])
    assert "fresh_ms = 750  # auto" in merged
    assert "# ours" in merged
    assert tomllib.loads(merged) == {
        "instance": "desk",
        "venue": {"lighter": {"fresh_ms": 750, "stale_ms": 9_000}},
        "rest": {"after_ms": 25_000},
        "runner": {"pass_ms": 2},
    }


def test_a_file_that_names_no_venue_still_runs_all_of_them(tmp_path: Path) -> None:
    path = tmp_path / "new.toml"
    settings.apply(path, CHANGES, ["lighter", "paradex"])
    config = load(str(path), {})
    assert config.enabled_venues() == ("lighter", "paradex")
    assert config.venue["lighter"].fresh_ms == 750
    assert config.venue["paradex"].fresh_ms == 0


def test_a_venue_that_the_file_does_not_run_is_not_added() -> None:
    merged = settings.merge("[venue.paradex]\n", CHANGES, ["lighter", "paradex"])
    assert list(tomllib.loads(merged)["venue"]) == ["paradex"]


@pytest.mark.parametrize(
    "text",
    [
        "venue.lighter.fresh_ms = 5\n",
        "venue = { lighter = { fresh_ms = 5 } }\n",
        "[venue]\nlighter.fresh_ms = 5\n",
        "[rest\n",
    ],
)
def test_what_cannot_be_merged_into_is_left_alone(text: str, tmp_path: Path) -> None:
    path = tmp_path / "odd.toml"
    path.write_text(text)
    with pytest.raises(UsageError):
        settings.apply(path, CHANGES, ["lighter"])
    assert path.read_text() == text
    assert [file.name for file in tmp_path.iterdir()] == ["odd.toml"]


def test_the_command_writes_only_what_apply_names(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = write(LONG, tmp_path / "run")
    before = sorted(path.name for path in run.iterdir())
    assert main(["tune", str(run)]) == 0
    assert sorted(path.name for path in run.iterdir()) == before
    text = capsys.readouterr().out
    assert "+fresh_ms" in text
    assert "-fresh_ms" in text
    target = tmp_path / "new.toml"
    assert main(["tune", str(run), "--apply", str(target), "--json"]) == 0
    values = json.loads(capsys.readouterr().out)
    config = load(str(target), {})
    for change in values["changes"]:
        place: Any = config
        for part in change["section"].split("."):
            place = place[part] if isinstance(place, dict) else getattr(place, part)
        assert getattr(place, change["key"]) == change["proposed"]
