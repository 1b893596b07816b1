"""Whatever happened to a file, the rest of it is read."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path
from typing import Any

import msgspec
import pytest

from feedhandler.telemetry.read import Telemetry, find_files
from feedhandler.telemetry.records import Sample, Stop
from tests.telemetry.segments import segments

Document = dict[str, Any]


@pytest.fixture
def sample(instance: str) -> Document:
    with segments(instance) as made:
        made.live()
        document: Document = msgspec.to_builtins(made.sample())
    return document


def text(*documents: Document | str) -> bytes:
    rows = (row if isinstance(row, str) else json.dumps(row) for row in documents)
    return "".join(f"{row}\n" for row in rows).encode()


def read(path: Path) -> tuple[list[Any], Telemetry]:
    telemetry = Telemetry.of(path)
    return list(telemetry), telemetry


def test_record_comes_back_as_it_was_written(tmp_path: Path, sample: Document) -> None:
    path = tmp_path / "a"
    stop = Stop(schema=1, ts_ms=2, ts_mono_ns=3, reason="SIGTERM", samples=1, dropped=0)
    path.write_bytes(text(sample) + msgspec.json.encode(stop) + b"\n")
    records, telemetry = read(path)
    assert records == [msgspec.convert(sample, Sample), stop]
    assert (telemetry.lines, telemetry.damaged, telemetry.is_cut) == (2, 0, False)


def test_half_a_last_line_is_no_damage(tmp_path: Path, sample: Document) -> None:
    path = tmp_path / "a"
    whole = text(sample, sample | {"number": 1})
    for cut in range(len(text(sample)) + 1, len(whole) - 1, 37):
        path.write_bytes(whole[:cut])
        records, telemetry = read(path)
        assert len(records) == 1, cut
        assert (telemetry.is_cut, telemetry.damaged) == (True, 0), cut


def test_whole_last_line_without_its_end_counts(
    tmp_path: Path, sample: Document
) -> None:
    path = tmp_path / "a"
    path.write_bytes(text(sample)[:-1])
    records, telemetry = read(path)
    assert (len(records), telemetry.is_cut) == (1, False)


def test_damaged_lines_are_counted_and_skipped(
    tmp_path: Path, sample: Document
) -> None:
    path = tmp_path / "a"
    damaged = [
        '{"kind":"sample","ts_ms"',
        "not json",
        "[]",
        json.dumps(sample | {"ts_ms": "now"}),
        json.dumps(sample | {"venues": ["lighter", "aster"]}),  # columns disagree
        json.dumps(sample)[:-9] + json.dumps(sample),
    ]
    body = text(sample, *damaged, sample | {"number": 3})
    path.write_bytes(body + b"\x00\x00\xff\xfe\n\n")
    records, telemetry = read(path)
    assert [record.number for record in records] == [0, 3]
    assert telemetry.damaged == len(damaged) + 1
    assert telemetry.damaged_at[0] == (path, 2)
    assert telemetry.missing == 2


def test_newer_version_is_read_as_far_as_it_is_known(
    tmp_path: Path, sample: Document
) -> None:
    path = tmp_path / "a"
    path.write_bytes(
        text(
            sample | {"schema": 2, "mood": ["calm"]},
            {"kind": "forecast", "schema": 2, "ts_ms": 1},
        )
    )
    records, telemetry = read(path)
    assert len(records) == 1
    assert (telemetry.unknown, telemetry.newer, telemetry.damaged) == (1, 2, 0)


def test_rotated_files_are_read_oldest_first(tmp_path: Path, sample: Document) -> None:
    for number, suffix in enumerate((".10", ".9", ".1", "")):
        path = tmp_path / f"telemetry.jsonl{suffix}"
        path.write_bytes(text(sample | {"number": number}))
    (tmp_path / "telemetry.jsonl.bak").write_bytes(b"{}\n")
    telemetry = Telemetry.of(tmp_path)
    assert [record.number for record in telemetry.samples()] == [0, 1, 2, 3]
    assert telemetry.missing == 0
    assert len(find_files(tmp_path)) == 4


def test_directory_without_telemetry_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no telemetry\.jsonl"):
        Telemetry.of(tmp_path)


def test_reading_twice_counts_once(tmp_path: Path, sample: Document) -> None:
    path = tmp_path / "a"
    path.write_bytes(text(sample, "broken"))
    telemetry = Telemetry.of(path)
    assert len(list(telemetry)) == len(list(telemetry)) == 1
    assert telemetry.damaged == 1


def test_memory_does_not_grow_with_the_file(tmp_path: Path, sample: Document) -> None:
    path = tmp_path / "a"
    path.write_bytes(text(*(sample | {"number": n} for n in range(3_000))))
    tracemalloc.start()
    try:
        assert sum(1 for _ in Telemetry.of(path)) == 3_000
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak_bytes < path.stat().st_size / 4


def test_line_without_end_is_one_damaged_line(
    tmp_path: Path, sample: Document, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("feedhandler.telemetry.read.LINE_BYTES_MAX", 4_096)
    path = tmp_path / "a"
    path.write_bytes(b"x" * 20_000 + b"\n" + text(sample))
    records, telemetry = read(path)
    assert (len(records), telemetry.damaged) == (1, 1)
