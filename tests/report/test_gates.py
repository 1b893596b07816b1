"""Each gate has a run that fails it, and fails nothing else than that run explains."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from feedhandler.report import whole
from feedhandler.report.gates import Check
from tests.report.made import Story, write

# A mute shows in all that its length brings.
LONG = {"plateau", "apply_age_p95", "apply_age_p95_normal", "apply_age_p99_normal"}
STORIES: list[tuple[str, Story, set[str], str]] = [
    (
        "a silence of 31 s",
        Story(seconds=180, mutes={"lighter": [(30, 61)]}),
        LONG,
        "lighter",
    ),
    (
        "silent for good",
        Story(seconds=200, mutes={"lighter": [(30, 200)]}),
        LONG | {"apply_age_p99", "venue_stale"},
        "lighter",
    ),
    (
        "twice as slow as normal",
        Story(gaps_ms={"paradex": 1_000.0}),
        {"apply_age_p95_normal", "apply_age_p99_normal"},
        "paradex",
    ),
    (
        "four sessions ended for one reason",
        Story(ends={"paradex": [(t, "read_timeout") for t in (20, 40, 60, 80)]}),
        {"session_ends", "session_ends_normal"},
        "paradex",
    ),
    (
        "four sessions ended, each for another reason",
        Story(ends={"paradex": [(20, "a"), (40, "b"), (60, "c"), (80, "d")]}),
        {"session_ends_normal"},
        "paradex",
    ),
    (
        "four resyncs for one reason",
        Story(resyncs={"lighter": [(t, "nonce_gap") for t in (20, 40, 60, 80)]}),
        {"resyncs"},
        "lighter",
    ),
    (
        "records lost",
        Story(lost={"lighter": 20.0}),
        {"ring_lost", "ring_laps"},
        "lighter",
    ),
    ("a late budget hit", Story(hits={"lighter": 60.0}), {"budget_hits"}, "lighter"),
    (
        "a venue that never appears",
        Story(absent=("lighter",)),
        {"venue_present", "process_seen"},
        "lighter",
    ),
    (
        "flapping",
        Story(flaps={"paradex": [10.0 + t for t in range(8)]}),
        {"flaps_normal"},
        "paradex",
    ),
    ("late funding", Story(funding_s={"lighter": 70.0}), {"funding_first"}, "lighter"),
    (
        "no funding",
        Story(funding_s={"lighter": 1e9}),
        {"funding_first", "funding_stale"},
        "lighter",
    ),
    (
        "a first quote after 32 s",
        Story(seconds=400.0, sample_ms=500, starts_s=32.0),
        LONG | {"first_quote"},
        "",
    ),
    ("a leak", Story(rss_mib_h={"runner": 300.0}), {"rss_slope"}, "runner"),
    ("leaked files", Story(files_more={"rest": 9}), {"descriptors"}, "rest"),
    ("slow hops", Story(hop_ms=150.0), {"hop_p99_normal"}, "feed:"),
    (
        "four crashes of one cause",
        Story(process_ends=[("runner", "SIGSEGV")] * 4),
        {"restarts"},
        "runner",
    ),
    (
        "samples lost",
        Story(missing=tuple(range(100, 140))),
        {"telemetry_missing", "age_unseen"},
        "",
    ),
    (
        "telemetry of half the run",
        Story(lasted_s=240.0, minutes=4.0),
        {"telemetry_covers_run"},
        "run",
    ),
    ("killed on the way", Story(minutes=90.0, ended=("", None)), {"run_ended"}, "run"),
    ("killed at the end", Story(ended=("", None)), {"run_ended"}, "run"),
    ("shorter than asked", Story(minutes=90.0), {"run_ended"}, "run"),
    ("ended by a bug", Story(ended=("RuntimeError: x", 70)), {"run_ended"}, "run"),
    (
        "another exit code at its time",
        Story(ended=("time is up", 1)),
        {"run_ended"},
        "run",
    ),
    (
        # A start that took long makes such a run last as long as it was asked to.
        "stopped early",
        Story(lasted_s=150.0, minutes=2.0, ended=("Ctrl-C", 0)),
        {"run_ended"},
        "run",
    ),
    (
        "too short",
        Story(seconds=8.0, totals_s=1.0),
        {"telemetry"},
        "",
    ),
]


def checks_of(directory: Path, baseline: Path | None = None) -> list[Check]:
    _, values, manifest = whole.read_directory(directory)
    return whole.gate(values, manifest, baseline)


def failed(checks: list[Check]) -> set[str]:
    return {check.name for check in checks if not check.passed}


def test_a_good_run_passes_every_gate(tmp_path: Path) -> None:
    checks = checks_of(write(Story(), tmp_path))
    assert [check for check in checks if not check.passed] == []
    assert all(check.evidence and check.limit for check in checks)


def test_run_on_a_host_that_starts_slowly_is_whole_when_it_has_what_was_asked(
    tmp_path: Path,
) -> None:
    late = Story(lasted_s=146.0, minutes=2.0)
    assert failed(checks_of(write(late, tmp_path))) == set()


@pytest.mark.parametrize(
    ("story", "gates", "subject"),
    [case[1:] for case in STORIES],
    ids=[case[0] for case in STORIES],
)
def test_each_wrong_fails_exactly_its_gates_and_names_its_subject(
    tmp_path: Path, story: Story, gates: set[str], subject: str
) -> None:
    checks = checks_of(write(story, tmp_path))
    assert failed(checks) == gates
    for check in checks:
        if not check.passed:
            assert subject in check.subject, check


def test_every_gate_is_failed_by_one_of_the_runs(tmp_path: Path) -> None:
    names = {check.name for check in checks_of(write(Story(), tmp_path))}
    covered = {gate for _, _, gates, _ in STORIES for gate in gates}
    # Those two need no story: a damaged file, and a run that names no venue.
    assert names - covered == {"telemetry_damaged", "expected_venues"}


def test_without_telemetry_no_gate_passes_that_needs_it(tmp_path: Path) -> None:
    write(Story(), tmp_path)
    (tmp_path / "telemetry.jsonl").unlink()
    checks = checks_of(tmp_path)
    assert {"telemetry", "telemetry_covers_run", "venue_present"} <= failed(checks)
    passed = {check.name for check in checks if check.passed}
    assert passed == {"run_ended", "expected_venues"}  # the manifest alone tells those


def test_an_empty_directory_fails_and_does_not_raise(tmp_path: Path) -> None:
    assert "expected_venues" in failed(checks_of(tmp_path))


def test_a_damaged_line_is_counted_and_many_fail(tmp_path: Path) -> None:
    write(Story(), tmp_path)
    path = tmp_path / "telemetry.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:50], b'{"kind":"sam\n', *lines[50:]]))
    checks = {check.name: check for check in checks_of(tmp_path)}
    assert checks["telemetry_damaged"].passed
    assert "telemetry.jsonl:51" in checks["telemetry_damaged"].evidence
    path.write_bytes(b"".join([*lines[:50], *[b"garbage\n"] * 20, *lines[50:]]))
    assert failed(checks_of(tmp_path)) == {"telemetry_damaged"}


def test_a_quiet_market_that_rest_confirms_is_no_plateau(tmp_path: Path) -> None:
    story = Story(mutes={"paradex": [(30, 75)]}, confirmed=True)
    assert "plateau" not in failed(checks_of(write(story, tmp_path)))


def test_a_measured_baseline_catches_a_doubling_that_is_far_from_hard_limits(
    tmp_path: Path,
) -> None:
    good = Story(gaps_ms={"lighter": 100.0, "paradex": 100.0})
    slow = Story(gaps_ms={"lighter": 210.0, "paradex": 100.0})
    _, values, _ = whole.read_directory(write(good, tmp_path / "good"))
    baseline = tmp_path / "good.json"
    baseline.write_bytes(msgspec.json.encode(values))
    assert failed(checks_of(tmp_path / "good", baseline)) == set()
    checks = checks_of(write(slow, tmp_path / "slow"), baseline)
    assert failed(checks) == {"apply_age_p95_normal", "apply_age_p99_normal"}
    named = {check.subject for check in checks if not check.passed}
    assert all(name.startswith("lighter:") for name in named)


def test_a_baseline_without_a_figure_is_no_evidence(tmp_path: Path) -> None:
    _, values, _ = whole.read_directory(
        write(Story(kinds={"lighter": "depth"}), tmp_path / "one")
    )
    baseline = tmp_path / "one.json"
    baseline.write_bytes(msgspec.json.encode(values))
    checks = checks_of(write(Story(), tmp_path / "two"), baseline)
    lacking = [check for check in checks if not check.passed]
    assert lacking
    assert all("no evidence" in check.evidence for check in lacking)


def test_gates_of_hops_show_how_busy_the_host_was(tmp_path: Path) -> None:
    def evidence(story: Story, name: str) -> set[str]:
        checks = checks_of(write(story, tmp_path / name))
        return {c.evidence for c in checks if c.name == "hop_p99_normal"}

    machine = {"cores": 2, "load": [8.5, 5.0, 3.0]}
    busy = Story(manifest={"machine": machine, "load_max": 40.25})
    for text in evidence(busy, "busy"):
        assert text.endswith("; load 8.5 at the start, 40.25 at most, of 2 cores")
    for text in evidence(Story(), "unknown"):
        assert text.endswith("; load of the host unknown")
    for text in evidence(Story(manifest={"machine": [], "load_max": "x"}), "odd"):
        assert text.endswith("; load of the host unknown")


@pytest.mark.parametrize("ended", [None, "soon", {"reason": 7}, {"exit_code": 0}])
def test_a_manifest_that_tells_no_end_is_no_evidence_of_one(
    tmp_path: Path, ended: object
) -> None:
    path = write(Story(), tmp_path) / "manifest.json"
    manifest = json.loads(path.read_text())
    path.write_text(json.dumps({**manifest, "ended": ended}))
    (check,) = [check for check in checks_of(tmp_path) if check.name == "run_ended"]
    assert not check.passed
    assert check.evidence.startswith("no evidence: ")
    path.unlink()
    assert "run_ended" in failed(checks_of(tmp_path))
