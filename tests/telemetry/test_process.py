"""`feedhandler telemetry` as its users run it: started, scraped, starved, killed."""

from __future__ import annotations

import json
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest

from feedhandler.telemetry.read import Telemetry
from feedhandler.telemetry.records import Move, Sample, Start, Stop, Totals
from shm_layout import Reader, SegmentMissing, SegmentNotReady, segment
from tests.feed.simulated import feeding
from tests.support import MS, Program, Programs, free_port, wait_until
from tests.telemetry.segments import BTC, VENUE, Segments, segments
from tests.telemetry.test_records import validator

FAST = {
    "FEEDHANDLER_TELEMETRY_SAMPLE_MS": "50",
    "FEEDHANDLER_TELEMETRY_TOTALS_MS": "200",
    "FEEDHANDLER_TELEMETRY_STATS_MS": "200",
    "FEEDHANDLER_LIGHTER_INSTRUMENTS": "BTC-PERP",
}


@pytest.fixture(autouse=True)
def _no_segment_stays(instance: str, programs: Programs) -> Iterator[None]:
    yield
    programs.close()
    for name in segment.list_segments(instance):
        segment.remove_leftover(name)


def start(
    programs: Programs, instance: str, *arguments: str | Path, venue: str = VENUE
) -> Program:
    return programs.feedhandler(
        *("telemetry", "--instance", instance, "--venue", venue, *arguments),
        environment=FAST,
    )


def fetch(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}") as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()
    except OSError:
        return 0, ""


def live(made: Segments) -> bool:
    """Let the quote be live now; always true, so that a wait may go on with it."""
    made.now_ns = time.monotonic_ns()
    made.live()
    return True


def check_lines(path: Path) -> list[Any]:
    """Hold every line against the schema; return the records."""
    check = validator().validate
    for line in path.read_bytes().splitlines():
        check(json.loads(line))
    telemetry = Telemetry.of(path)
    records = list(telemetry)
    assert telemetry.damaged == telemetry.unknown == telemetry.missing == 0
    return records


def counts(instance: str) -> dict[str, int]:
    try:
        with Reader.attach(instance, "telemetry") as reader:
            return reader.counters()
    except (SegmentMissing, SegmentNotReady):
        return {}


def test_run_is_kept_whole_and_closed_in_order(
    instance: str, programs: Programs, tmp_path: Path
) -> None:
    with segments(instance) as made:
        program = start(programs, instance, "--out", tmp_path / "out")
        wait_until(
            lambda: live(made) and counts(instance).get("samples", 0) > 20,
            20_000 * MS,
            "samples",
        )
        begun_s = time.monotonic()
        assert program.stop(signal.SIGTERM) == 0, program.stderr()
        assert time.monotonic() - begun_s < 5_000 * MS
    records = check_lines(tmp_path / "out" / "telemetry.jsonl")
    assert isinstance(records[0], Start)
    assert (records[0].venues, records[0].file_number) == ([VENUE], 0)
    stop = records[-1]
    assert isinstance(stop, Stop)
    assert (stop.reason, stop.dropped) == ("SIGTERM", 0)
    samples = [record for record in records if isinstance(record, Sample)]
    assert stop.samples == len(samples) > 20
    assert "LIVE" in {sample.states[0] for sample in samples}
    stamps = [sample.ts_mono_ns for sample in samples]
    assert stamps == sorted(stamps)
    totals = [record for record in records if isinstance(record, Totals)][-1]
    roles = {process.role for process in totals.processes}
    assert roles == {f"feed:{VENUE}", "runner", "telemetry"}
    assert [spread.name for spread in totals.cadence] == [BTC]
    stats = (tmp_path / "out" / "market_rx_stats.log").read_text().splitlines()
    assert stats
    assert all(line.startswith(f"market_rx_stats venue={VENUE} ") for line in stats)


def test_endpoint_answers_for_process_and_quotes(
    instance: str, programs: Programs, tmp_path: Path
) -> None:
    port = free_port()
    with segments(instance) as made:
        start(programs, instance, "--out", tmp_path, "--port", str(port))
        wait_until(lambda: fetch(port, "/health")[0] == 200, 20_000 * MS, "health")
        status, body = fetch(port, "/ready")
        assert status == 503
        assert json.loads(body)["missing"][0]["venue"] == VENUE
        wait_until(
            lambda: live(made) and fetch(port, "/ready")[0] == 200,
            10_000 * MS,
            "ready",
        )
        status, body = fetch(port, "/metrics")
        assert status in (200, 503)  # with and without its library
        assert "feedhandler" in body
        # A quote that dies makes it unready again.
        wait_until(lambda: fetch(port, "/ready")[0] == 503, 10_000 * MS, "unready")


def test_full_disk_is_survived_counted_and_no_reason_to_wait(
    instance: str, programs: Programs, tmp_path: Path
) -> None:
    (tmp_path / "telemetry.jsonl").symlink_to("/dev/full")
    with segments(instance):
        program = start(programs, instance, "--out", tmp_path)
        wait_until(
            lambda: counts(instance).get("jsonl.errors.ENOSPC", 0) >= 1,
            20_000 * MS,
            "a failure",
        )
        before = counts(instance)["samples"]
        wait_until(lambda: counts(instance)["samples"] > before + 5, 10_000 * MS)
        assert program.stop(signal.SIGTERM) == 0
    assert "write_failed" in program.stderr()
    assert (tmp_path / "market_rx_stats.log").exists()


def test_killed_run_is_readable_and_continued(
    instance: str, programs: Programs, tmp_path: Path
) -> None:
    path = tmp_path / "telemetry.jsonl"
    with segments(instance):
        for _ in range(2):
            size_bytes = path.stat().st_size if path.exists() else 0
            program = start(programs, instance, "--out", tmp_path)
            wait_until(
                lambda size=size_bytes: (
                    path.exists() and path.stat().st_size > size + 20_000
                ),
                20_000 * MS,
                "lines",
            )
            program.kill()
        with path.open("ab") as file:
            file.write(b'{"kind":"sample","schema":1,"num')
        assert Telemetry.of(path).samples()
        program = start(programs, instance, "--out", tmp_path)
        wait_until(
            lambda: counts(instance).get("jsonl.cut_bytes", 0) == 32,
            20_000 * MS,
            "the third",
        )
        assert program.stop() == 0
    telemetry = Telemetry.of(tmp_path)
    starts = [record for record in telemetry if isinstance(record, Start)]
    assert [record.file_number for record in starts] == [0, 0, 0]
    assert (telemetry.damaged, telemetry.is_cut) == (0, False)


def test_second_of_an_instance_is_refused(
    instance: str, programs: Programs, tmp_path: Path
) -> None:
    start(programs, instance, "--out", tmp_path)
    wait_until(lambda: counts(instance), 20_000 * MS, "the first")
    assert start(programs, instance, "--out", tmp_path).wait() == 4


def test_nothing_to_do_is_a_wrong_call(instance: str, programs: Programs) -> None:
    program = programs.feedhandler(
        *("telemetry", "--instance", instance),
        environment={"FEEDHANDLER_TELEMETRY_JSONL": "false"},
    )
    assert program.wait() == 2
    assert "nothing to do" in program.stderr()


def test_90_minutes_of_five_venues_fit_in_60_megabytes(instance: str) -> None:
    with segments(instance) as made:
        made.live()
        one = msgspec.to_builtins(made.sample())
    names = list(Sample.__struct_fields__)
    by_instrument = names[names.index("instruments") :]
    # As wide as values get: names, minutes in nanoseconds, counts of a busy venue.
    wide = {
        "venues": "hyperliquid",
        "instruments": "hyperliquid:BTC-PERP",
        "apply_age_ns": 123_456_789,
        "recv_age_ns": 123_456_789,
        "gap_max_ns": 1_234_567_890,
        "event_age_ms": 1_234.567,
        "funding_rate": 0.0000123456789,
        "funding_age_ms": 1_234.5,
        **dict.fromkeys(("frames", "published", "ring_head"), 123_456),
    }
    for name in names[4:]:
        count = 10 if name in by_instrument else 5
        one[name] = [wide.get(name, one[name][0])] * count
    line_bytes = len(msgspec.json.encode(one)) + 1
    samples = 90 * 60 * 4
    totals_bytes = 90 * 3 * 30_000
    assert samples * line_bytes + totals_bytes < 60_000_000, line_bytes
    jsonschema.validate(one, validator().schema)


@pytest.mark.slow
def test_killed_feed_is_seen_from_its_death_to_its_recovery(
    instance: str, programs: Programs, tmp_path: Path
) -> None:
    role = "feed:hyperliquid"
    name = "hyperliquid:BTC-PERP"
    with feeding(instance, programs, {}, seed=3) as (_, feed):
        programs.feedhandler("runner", "--instance", instance)
        telemetry = start(programs, instance, "--out", tmp_path, venue="hyperliquid")
        path = tmp_path / "telemetry.jsonl"

        def shown() -> list[Sample]:
            return list(Telemetry.of(path).samples()) if path.exists() else []

        def is_tradable() -> bool:
            samples = shown()
            return bool(samples) and _row(samples[-1], name)["tradable"] == 1

        wait_until(is_tradable, 30_000 * MS, "tradable")
        feed.program.kill()
        wait_until(lambda: not is_tradable(), 10_000 * MS, "not tradable")
        feed.start()
        wait_until(is_tradable, 30_000 * MS, "tradable again")
        assert telemetry.stop(signal.SIGTERM) == 0
    records = check_lines(path)
    samples = [record for record in records if isinstance(record, Sample)]
    assert "DEAD" in {sample.link[0] for sample in samples}
    assert {sample.epoch[0] for sample in samples} >= {1, 2}
    moves = [record for record in records if isinstance(record, Move)]
    path_of_it = [
        move.state for move in moves if f"{move.venue}:{move.instrument}" == name
    ]
    assert "DOWN" in path_of_it
    assert path_of_it[-1] == "LIVE"
    totals = [record for record in records if isinstance(record, Totals)][-1]
    assert {f"{role}/recv_to_publish", f"{role}/loop_lag"} <= {
        histogram.name for histogram in totals.histograms
    }


def _row(sample: Sample, name: str) -> dict[str, Any]:
    index = sample.instruments.index(name)
    return {"state": sample.states[index], "tradable": sample.tradable[index]}
