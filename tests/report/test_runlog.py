"""What `run.log` tells: ends of processes by cause, and faults by their times."""

from __future__ import annotations

from pathlib import Path

from feedhandler.report.runlog import NAME, RunLog, read_log
from tests.report.made import WALL_MS, Story, write


def log_of(directory: Path) -> RunLog:
    log = read_log(directory)
    assert log is not None
    return log


def test_ends_are_counted_by_cause_and_a_missing_log_is_not_none_of_them(
    tmp_path: Path,
) -> None:
    assert read_log(tmp_path) is None
    ends = [("runner", "SIGKILL"), ("runner", "SIGKILL"), ("feed:lighter", "exit_70")]
    write(Story(seconds=5.0, process_ends=ends), tmp_path)
    expected = {"runner": {"SIGKILL": 2}, "feed:lighter": {"exit_70": 1}}
    assert log_of(tmp_path).ends == expected


def test_a_fault_has_its_times_and_one_that_did_not_end_has_none(
    tmp_path: Path,
) -> None:
    faults = [
        ("lighter", "lighter:mute@30s+20s", 31.5, 51.5),
        ("paradex", "paradex:drop@40s", 41.5, 41.5),
        ("lighter", "lighter:http(status=429,on=ws)@9s", 50.0, None),
    ]
    write(Story(seconds=5.0, faults=faults), tmp_path)
    rows = log_of(tmp_path).placed(WALL_MS)
    times = [(row["fault"], row["begin_s"], row["end_s"]) for row in rows]
    assert times == [fault[1:] for fault in faults]
    assert [row["venues"] for row in rows] == [[fault[0]] for fault in faults]


def test_one_fault_of_all_venues_is_one_until_the_last_is_rid_of_it(
    tmp_path: Path,
) -> None:
    faults = [
        ("lighter", "mute@2s+3s", 2.0, 5.0),
        ("paradex", "mute@2s+3s", 2.1, 5.2),
        ("aster", "mute@2s+3s", 60.0, 61.0),  # the same words, a minute later
    ]
    write(Story(seconds=5.0, faults=faults), tmp_path)
    first, second = log_of(tmp_path).placed(WALL_MS)
    assert first["venues"] == ["lighter", "paradex"]
    assert (first["begin_s"], first["end_s"]) == (2.0, 5.2)
    assert second["venues"] == ["aster"]
    assert (second["begin_s"], second["end_s"]) == (60.0, 61.0)


def test_lines_that_only_look_like_faults_are_none(tmp_path: Path) -> None:
    lines = [
        b"soon sim| lighter fault started lighter:mute@1s",
        b"2026-01-01T00:00:00.000Z sim| lighter fault ended lighter:mute@1s",
        b"2026-01-01T00:00:00.000Z soak| lighter fault started lighter:mute@1s",
        b"2026-01-01T00:00:00.000Z sim| \xff\xfe",
        b"2026-01-01T00:00:00.000Z sim| lighter fault started",
    ]
    (tmp_path / NAME).write_bytes(b"\n".join(lines))
    assert log_of(tmp_path).faults == []
